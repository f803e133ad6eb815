// Streams and events. Work runs in the call that issues it unless something before it is held back (work.c), so order is kept by construction: in a
// stream, between the default stream and blocking ones, and across events. Both carry modelled time: every launch and copy moves its stream's clock; an
// event keeps the clock at its record.
#include "vgpu/driver/work.h"
#include <string.h>

enum { STREAM_NON_BLOCKING = 1, EVENT_DISABLE_TIMING = 2, EVENT_INTERPROCESS = 4, PRIORITY_LEAST = 0, PRIORITY_GREATEST = -5 };
_Thread_local bool vg_default_is_per_thread;

double vg_copy_us(const vg_device *d, size_t bytes, bool host) {
    /* PCIe Gen5 ×16: about 55 GB/s and 8 µs a call; on the device reads and writes share the bandwidth */
    return host ? 8.0 + (double)bytes / 55e3 : 1.5 + 2.0 * (double)bytes / (vg_dev(d, VG_DEV_DRAM_GBS) * 1e3);
}

static uint64_t this_thread(void) {
    static uint64_t last;
    static _Thread_local uint64_t mine;
    if (!mine)
        mine = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
    return mine;
}

static struct CUstream_st *stream_new(struct CUctx_st *c, unsigned flags, int priority, uint64_t thread) {
    struct CUstream_st *s = hone_calloc(1, sizeof *s);
    if (!s || (!thread && !vg_handle_add(s, VG_STREAM))) {
        hone_free(s);
        return NULL;
    }
    *s = (struct CUstream_st){.context = c, .clock_us = c->null_stream.clock_us, .flags = flags, .priority = priority, .id = ++c->next_stream_id,
                              .blocking = !(flags & STREAM_NON_BLOCKING), .thread = thread, .next = c->streams};
    c->streams = s;
    return s;
}

static struct CUstream_st *thread_stream(struct CUctx_st *c) {
    uint64_t me = this_thread();
    for (struct CUstream_st *p = c->streams; p; p = p->next)
        if (p->thread == me)
            return p;
    return stream_new(c, 0, 0, me);
}

struct CUstream_st *vg_stream_of(struct CUctx_st *c, CUstream s) {
    if (s == CU_STREAM_PER_THREAD_HANDLE || (!s && vg_default_is_per_thread))
        return thread_stream(c);
    if (!s || s == CU_STREAM_LEGACY_HANDLE)
        return &c->null_stream;
    return vg_handle_is(s, VG_STREAM) && s->context == c ? s : NULL;
}

static double later(double a, double b) { return a > b ? a : b; }

void vg_stream_advance(struct CUctx_st *c, struct CUstream_st *s, double us) {
    if (s == &c->null_stream) {
        for (struct CUstream_st *p = c->streams; p; p = p->next)
            if (p->blocking)
                s->clock_us = later(s->clock_us, p->clock_us);
        s->clock_us += us;
        return;
    }
    if (s->blocking)
        s->clock_us = later(s->clock_us, c->null_stream.clock_us);
    s->clock_us += us;
}

// ---- streams

VG_API CUresult cuStreamCreateWithPriority(CUstream *out, unsigned flags, int priority) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    if (!out || (flags & ~(unsigned)STREAM_NON_BLOCKING))
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    int within = priority < PRIORITY_GREATEST ? PRIORITY_GREATEST : priority > PRIORITY_LEAST ? PRIORITY_LEAST : priority;
    *out = stream_new(c, flags, within, 0);
    return vg_front_leave(c, *out ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY);
}
VG_API CUresult cuStreamCreate(CUstream *out, unsigned flags) { return cuStreamCreateWithPriority(out, flags, 0); }

VG_API CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    if (least)
        *least = PRIORITY_LEAST;
    if (greatest)
        *greatest = PRIORITY_GREATEST;
    return vg_front_leave(c, r);
}

static void stream_free(struct CUctx_st *c, struct CUstream_st *s) {
    for (struct CUstream_st **p = &c->streams; *p; p = &(*p)->next)
        if (*p == s) {
            *p = s->next;
            break;
        }
    hone_vec_free(&s->tail);
    hone_free(s);
}

VG_API CUresult cuStreamDestroy_v2(CUstream s) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    if (!vg_handle_is(s, VG_STREAM) || s->context != c)
        return vg_front_leave(c, CUDA_ERROR_INVALID_HANDLE);
    vg_capture_stream_gone(c, s);
    vg_handle_drop(s);
    if (vg_work_pending(c, s))
        s->dead = true;   // its work still runs; freed with the context
    else
        stream_free(c, s);
    return vg_front_leave(c, CUDA_SUCCESS);
}
VG_API CUresult cuStreamDestroy(CUstream s) { return cuStreamDestroy_v2(s); }

VG_API CUresult cuStreamSynchronize(CUstream s) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    struct CUstream_st *found = vg_stream_of(c, s);
    if (!found)
        return vg_front_leave(c, CUDA_ERROR_INVALID_HANDLE);
    r = vg_capture_no_wait(c, found);
    if (r == CUDA_SUCCESS)
        r = vg_work_drain(c, found);
    vg_front_flush_print(c);
    return vg_front_leave(c, r);
}

VG_API CUresult cuStreamQuery(CUstream s) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    struct CUstream_st *found = vg_stream_of(c, s);
    if (!found)
        return vg_front_leave(c, CUDA_ERROR_INVALID_HANDLE);
    r = vg_capture_no_wait(c, found);
    if (r == CUDA_SUCCESS && vg_work_pending(c, found))
        r = CUDA_ERROR_NOT_READY;
    vg_front_flush_print(c);
    return vg_front_leave(c, r == CUDA_SUCCESS ? c->refused : r);
}

static CUresult with_stream(CUstream s, const void *out, struct CUstream_st *copy) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    const struct CUstream_st *found = vg_stream_of(c, s);
    if (found)
        *copy = *found;
    return vg_front_leave(c, !found ? CUDA_ERROR_INVALID_HANDLE : out ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE);
}
#define STREAM_FACT(name, T, value)                      \
    VG_API CUresult name(CUstream s, T *out) {           \
        struct CUstream_st found = {0};                  \
        CUresult r = with_stream(s, out, &found);        \
        if (r == CUDA_SUCCESS)                           \
            *out = value;                                \
        return r;                                        \
    }
STREAM_FACT(cuStreamGetFlags, unsigned, found.flags)
STREAM_FACT(cuStreamGetPriority, int, found.priority)
STREAM_FACT(cuStreamGetCtx, CUcontext, found.context)
VG_API CUresult cuStreamGetCtx_v2(CUstream s, CUcontext *out, void **green) {
    CUresult r = cuStreamGetCtx(s, out);
    if (r == CUDA_SUCCESS && green)
        *green = NULL;
    return r;
}
STREAM_FACT(cuStreamGetId, unsigned long long, found.context->id << 32 | found.id)
STREAM_FACT(cuStreamGetDevice, CUdevice, 0)

// ---- stream attributes: hints, kept so that they read back as set

enum { ATTRIBUTE_WINDOW = 1, ATTRIBUTE_SYNC_POLICY = 3, ATTRIBUTE_PRIORITY = 8, ATTRIBUTE_DOMAIN_MAP = 9, ATTRIBUTE_DOMAIN = 10 };

static CUresult attribute_slot(CUstream s, int id, struct CUctx_st **c, struct CUstream_st **found) {
    CUresult r = vg_front_enter(c);
    if (r != CUDA_SUCCESS)
        return r;
    *found = vg_stream_of(*c, s);
    if (!*found)
        return vg_front_leave(*c, CUDA_ERROR_INVALID_HANDLE);
    bool known = id == ATTRIBUTE_WINDOW || id == ATTRIBUTE_SYNC_POLICY || id == ATTRIBUTE_PRIORITY || id == ATTRIBUTE_DOMAIN_MAP || id == ATTRIBUTE_DOMAIN;
    return known ? CUDA_SUCCESS : vg_front_leave(*c, CUDA_ERROR_INVALID_VALUE);
}
VG_API CUresult cuStreamGetAttribute(CUstream s, int id, CUlaunchAttributeValue *out) {
    struct CUctx_st *c;
    struct CUstream_st *found;
    CUresult r = out ? attribute_slot(s, id, &c, &found) : CUDA_ERROR_INVALID_VALUE;
    if (r != CUDA_SUCCESS)
        return r;
    *out = found->attribute[id];
    if (id == ATTRIBUTE_PRIORITY)
        memcpy(out, &found->priority, sizeof found->priority);
    return vg_front_leave(c, CUDA_SUCCESS);
}
VG_API CUresult cuStreamSetAttribute(CUstream s, int id, const CUlaunchAttributeValue *value) {
    struct CUctx_st *c;
    struct CUstream_st *found;
    CUresult r = value ? attribute_slot(s, id, &c, &found) : CUDA_ERROR_INVALID_VALUE;
    if (r != CUDA_SUCCESS)
        return r;
    found->attribute[id] = *value;
    if (id == ATTRIBUTE_PRIORITY)
        memcpy(&found->priority, value, sizeof found->priority);
    return vg_front_leave(c, CUDA_SUCCESS);
}
VG_API CUresult cuStreamCopyAttributes(CUstream to, CUstream from) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    struct CUstream_st *t = vg_stream_of(c, to), *f = vg_stream_of(c, from);
    if (!t || !f)
        return vg_front_leave(c, CUDA_ERROR_INVALID_HANDLE);
    memmove(t->attribute, f->attribute, sizeof t->attribute);
    return vg_front_leave(c, CUDA_SUCCESS);
}

// ---- host functions, values in memory

static CUresult submit(CUstream q, bool fine, vg_work *w) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    struct CUstream_st *s = vg_stream_of(c, q);
    if (!s || !fine)
        return vg_front_leave(c, s ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_HANDLE);
    return vg_front_leave(c, vg_work_submit(c, s, w));
}

VG_API CUresult cuLaunchHostFunc(CUstream q, void (*fn)(void *), void *user) {
    return submit(q, fn != NULL, &(vg_work){.kind = VG_WORK_HOST, .host = {.fn = fn, .user = user}});
}
VG_API CUresult cuStreamAddCallback(CUstream q, void (*fn)(CUstream, CUresult, void *), void *user, unsigned flags) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    struct CUstream_st *s = vg_stream_of(c, q);
    r = s && s->capture ? vg_capture_no_wait(c, s) : CUDA_SUCCESS;   // a callback cannot be captured
    vg_front_leave(c, r);
    return r != CUDA_SUCCESS ? r : submit(q, fn && !flags, &(vg_work){.kind = VG_WORK_HOST, .host = {.callback = fn, .stream = q, .user = user}});
}

static bool op_is_fine(const CUmemOp *o) {
    bool wide = o->operation == CU_OP_WAIT_64 || o->operation == CU_OP_WRITE_64, waits = o->operation == CU_OP_WAIT_32 || o->operation == CU_OP_WAIT_64;
    if (o->operation == CU_OP_FLUSH || o->operation == CU_OP_BARRIER)
        return true;
    if (!waits && o->operation != CU_OP_WRITE_32 && o->operation != CU_OP_WRITE_64)
        return false;
    return o->address % (wide ? 8 : 4) == 0 && !(o->flags & ~(waits ? 3u | 1u << 30 : 1u));
}

// Values may lie in registered host memory, given by its host address.
static CUresult submit_op(CUstream q, const CUmemOp *op) {
    CUmemOp o = *op;
    CUdeviceptr at;
    bool fine = op_is_fine(&o), touches = o.operation != CU_OP_FLUSH && o.operation != CU_OP_BARRIER;
    if (fine && touches && cuMemHostGetDevicePointer_v2(&at, (void *)(uintptr_t)o.address, 0) == CUDA_SUCCESS)
        o.address = at;
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    fine = fine && (!touches || vg_memory_find(c->vg->memory, o.address, o.operation >= CU_OP_WAIT_64 ? 8 : 4));
    vg_front_leave(c, r);
    return submit(q, fine, &(vg_work){.kind = VG_WORK_MEM_OPS, .mem_ops = {&o, 1}});
}
VG_API CUresult cuStreamBatchMemOp_v2(CUstream q, unsigned n, CUmemOp *ops, unsigned flags) {
    if (!n || n > 256 || !ops || flags)
        return vg_front_device() ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_NOT_INITIALIZED;
    for (unsigned i = 0; i < n; i++)
        if (!op_is_fine(&ops[i]))
            return CUDA_ERROR_INVALID_VALUE;
    CUresult r = CUDA_SUCCESS;
    for (unsigned i = 0; i < n && r == CUDA_SUCCESS; i++)
        r = submit_op(q, &ops[i]);
    return r;
}
VG_API CUresult cuStreamWaitValue32_v2(CUstream q, CUdeviceptr p, uint32_t v, unsigned flags) { return submit_op(q, &(CUmemOp){CU_OP_WAIT_32, p, v, flags, 0, 0}); }
VG_API CUresult cuStreamWaitValue64_v2(CUstream q, CUdeviceptr p, uint64_t v, unsigned flags) { return submit_op(q, &(CUmemOp){CU_OP_WAIT_64, p, v, flags, 0, 0}); }
VG_API CUresult cuStreamWriteValue32_v2(CUstream q, CUdeviceptr p, uint32_t v, unsigned flags) { return submit_op(q, &(CUmemOp){CU_OP_WRITE_32, p, v, flags, 0, 0}); }
VG_API CUresult cuStreamWriteValue64_v2(CUstream q, CUdeviceptr p, uint64_t v, unsigned flags) { return submit_op(q, &(CUmemOp){CU_OP_WRITE_64, p, v, flags, 0, 0}); }

// ---- events

bool vg_is_event(struct CUctx_st *c, const struct CUevent_st *v) { return vg_handle_is(v, VG_EVENT) && v->context == c; }

CUresult vg_event_wait_run(struct CUctx_st *c, struct CUstream_st *s, struct CUevent_st *v) {
    (void)c;
    if (v->recorded)
        s->clock_us = later(s->clock_us, v->at_us);
    return CUDA_SUCCESS;
}

CUresult vg_event_record_run(struct CUctx_st *c, struct CUstream_st *s, struct CUevent_st *v) {
    vg_stream_advance(c, s, 0);
    v->at_us = s->clock_us;
    v->recorded = true;
    return CUDA_SUCCESS;
}

VG_API CUresult cuStreamWaitEvent(CUstream q, CUevent v, unsigned flags) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    struct CUstream_st *s = vg_stream_of(c, q);
    if (flags > 1 || !s || !vg_is_event(c, v))
        return vg_front_leave(c, flags > 1 ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_HANDLE);
    bool external = flags == 1;   // in a capture: a node that waits for the event at launch
    if (!external && (s->capture || v->capture_id))
        return vg_front_leave(c, vg_capture_wait(c, s, v));
    return vg_front_leave(c, vg_work_submit(c, s, &(vg_work){.kind = VG_WORK_WAIT, .event = v}));
}

VG_API CUresult cuEventCreate(CUevent *out, unsigned flags) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    if (!out || flags > 7 || ((flags & EVENT_INTERPROCESS) && !(flags & EVENT_DISABLE_TIMING)))
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    if (flags & EVENT_INTERPROCESS)
        return vg_front_leave(c, CUDA_ERROR_NOT_SUPPORTED);
    struct CUevent_st *v = hone_calloc(1, sizeof *v);
    if (!v || !vg_handle_add(v, VG_EVENT)) {
        hone_free(v);
        return vg_front_leave(c, CUDA_ERROR_OUT_OF_MEMORY);
    }
    *v = (struct CUevent_st){.context = c, .timing = !(flags & EVENT_DISABLE_TIMING), .next = c->events};
    c->events = v;
    *out = v;
    return vg_front_leave(c, CUDA_SUCCESS);
}

// The object stays until the context ends: graphs and held-back work may name it.
VG_API CUresult cuEventDestroy_v2(CUevent v) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    if (!vg_is_event(c, v))
        return vg_front_leave(c, CUDA_ERROR_INVALID_HANDLE);
    vg_handle_drop(v);
    v->dead = true;
    hone_vec_free(&v->tail);
    if (!c->held && !v->in_graphs) {
        struct CUevent_st **p = &c->events;
        while (*p != v)
            p = &(*p)->next;
        *p = v->next;
        hone_free(v);
    }
    return vg_front_leave(c, CUDA_SUCCESS);
}
VG_API CUresult cuEventDestroy(CUevent v) { return cuEventDestroy_v2(v); }

VG_API CUresult cuEventRecordWithFlags(CUevent v, CUstream q, unsigned flags) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    struct CUstream_st *s = vg_stream_of(c, q);
    if (!s || !vg_is_event(c, v) || flags > 1)
        return vg_front_leave(c, flags > 1 ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_HANDLE);
    if (s->capture && !flags)
        return vg_front_leave(c, vg_capture_record(c, s, v));
    if (!s->capture)
        v->capture_id = 0;
    return vg_front_leave(c, vg_work_submit(c, s, &(vg_work){.kind = VG_WORK_RECORD, .event = v}));
}
VG_API CUresult cuEventRecord(CUevent v, CUstream s) { return cuEventRecordWithFlags(v, s, 0); }

static CUresult with_event(CUevent v, bool wait) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    if (!vg_is_event(c, v))
        return vg_front_leave(c, CUDA_ERROR_INVALID_HANDLE);
    if (v->capture_id)
        return vg_front_leave(c, CUDA_ERROR_CAPTURED_EVENT);
    if (vg_event_pending(c, v))
        r = wait ? vg_work_drain(c, NULL) : CUDA_ERROR_NOT_READY;
    vg_front_flush_print(c);
    return vg_front_leave(c, r == CUDA_SUCCESS ? c->refused : r);
}
VG_API CUresult cuEventQuery(CUevent v) { return with_event(v, false); }
VG_API CUresult cuEventSynchronize(CUevent v) { return with_event(v, true); }

VG_API CUresult cuEventElapsedTime_v2(float *ms, CUevent from, CUevent to) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    if (!ms)
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    if (!vg_is_event(c, from) || !vg_is_event(c, to) || !from->timing || !to->timing)
        return vg_front_leave(c, CUDA_ERROR_INVALID_HANDLE);
    if (vg_event_pending(c, from) || vg_event_pending(c, to))
        return vg_front_leave(c, CUDA_ERROR_NOT_READY);
    if (!from->recorded || !to->recorded)
        return vg_front_leave(c, CUDA_ERROR_INVALID_HANDLE);
    *ms = (float)((to->at_us - from->at_us) / 1000.0);
    return vg_front_leave(c, CUDA_SUCCESS);
}
VG_API CUresult cuEventElapsedTime(float *ms, CUevent from, CUevent to) { return cuEventElapsedTime_v2(ms, from, to); }

void vg_stream_free_all(struct CUctx_st *c) {
    vg_work_drop_all(c);
    vg_captures_free_all(c);
    while (c->streams) {
        vg_handle_drop(c->streams);
        stream_free(c, c->streams);
    }
    hone_vec_free(&c->null_stream.tail);
    while (c->events) {
        struct CUevent_st *v = c->events;
        c->events = v->next;
        vg_handle_drop(v);
        hone_vec_free(&v->tail);
        hone_free(v);
    }
}
