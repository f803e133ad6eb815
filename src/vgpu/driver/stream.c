// Streams and events carry modelled time: every launch and copy moves its stream's clock; an event keeps the clock at its record. The default stream
// and blocking streams wait for each other, as on hardware.
#include "vgpu/driver/front.h"

enum { STREAM_NON_BLOCKING = 1, EVENT_DISABLE_TIMING = 2 };

double vg_copy_us(const vg_device *d, size_t bytes, bool host) {
    /* PCIe Gen5 ×16: about 55 GB/s and 8 µs a call; on the device reads and writes share the bandwidth */
    return host ? 8.0 + (double)bytes / 55e3 : 1.5 + 2.0 * (double)bytes / (vg_dev(d, VG_DEV_DRAM_GBS) * 1e3);
}

struct CUstream_st *vg_stream_of(struct CUctx_st *c, CUstream s) {
    if (!s || s == CU_STREAM_LEGACY_HANDLE || s == CU_STREAM_PER_THREAD_HANDLE)
        return &c->null_stream;
    for (struct CUstream_st *p = c->streams; p; p = p->next)
        if (p == s)
            return p;
    return NULL;
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
    struct CUstream_st *s = hone_calloc(1, sizeof *s);
    if (!s)
        return vg_front_leave(c, CUDA_ERROR_OUT_OF_MEMORY);
    *s = (struct CUstream_st){.magic = VG_MAGIC_STREAM, .context = c, .clock_us = c->null_stream.clock_us, .flags = flags, .priority = priority,
                              .blocking = !(flags & STREAM_NON_BLOCKING), .next = c->streams};
    c->streams = s;
    *out = s;
    return vg_front_leave(c, CUDA_SUCCESS);
}
VG_API CUresult cuStreamCreate(CUstream *out, unsigned flags) { return cuStreamCreateWithPriority(out, flags, 0); }

VG_API CUresult cuStreamDestroy_v2(CUstream s) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    for (struct CUstream_st **p = &c->streams; *p; p = &(*p)->next)
        if (*p == s) {
            *p = s->next;
            s->magic = 0;
            hone_free(s);
            return vg_front_leave(c, CUDA_SUCCESS);
        }
    return vg_front_leave(c, CUDA_ERROR_INVALID_HANDLE);
}
VG_API CUresult cuStreamDestroy(CUstream s) { return cuStreamDestroy_v2(s); }

static CUresult with_stream(CUstream s, bool flush, struct CUstream_st **out) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    struct CUstream_st *found = vg_stream_of(c, s);
    if (found && flush)
        vg_front_flush_print(c);
    if (out)
        *out = found;
    return vg_front_leave(c, found ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE);
}
VG_API CUresult cuStreamSynchronize(CUstream s) { return with_stream(s, true, NULL); }
VG_API CUresult cuStreamQuery(CUstream s) { return with_stream(s, true, NULL); }
VG_API CUresult cuStreamGetFlags(CUstream s, unsigned *flags) {
    struct CUstream_st *found;
    CUresult r = flags ? with_stream(s, false, &found) : CUDA_ERROR_INVALID_VALUE;
    if (r == CUDA_SUCCESS)
        *flags = found->flags;
    return r;
}
VG_API CUresult cuStreamGetPriority(CUstream s, int *priority) {
    struct CUstream_st *found;
    CUresult r = priority ? with_stream(s, false, &found) : CUDA_ERROR_INVALID_VALUE;
    if (r == CUDA_SUCCESS)
        *priority = found->priority;
    return r;
}
VG_API CUresult cuStreamGetCtx(CUstream s, CUcontext *out) {
    struct CUstream_st *found;
    CUresult r = out ? with_stream(s, false, &found) : CUDA_ERROR_INVALID_VALUE;
    if (r == CUDA_SUCCESS)
        *out = found->context;
    return r;
}
VG_API CUresult cuStreamIsCapturing(CUstream s, int *status) {
    CUresult r = status ? with_stream(s, false, NULL) : CUDA_ERROR_INVALID_VALUE;
    if (r == CUDA_SUCCESS)
        *status = 0;
    return r;
}

// ---- events

static struct CUevent_st **find_event(struct CUctx_st *c, const struct CUevent_st *v) {
    for (struct CUevent_st **p = &c->events; *p; p = &(*p)->next)
        if (*p == v)
            return p;
    return NULL;
}

VG_API CUresult cuStreamWaitEvent(CUstream s, CUevent v, unsigned flags) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    struct CUstream_st *to = vg_stream_of(c, s);
    if (flags || !to || !find_event(c, v))
        return vg_front_leave(c, flags ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_HANDLE);
    if (v->recorded)
        to->clock_us = later(to->clock_us, v->at_us);
    return vg_front_leave(c, CUDA_SUCCESS);
}

VG_API CUresult cuEventCreate(CUevent *out, unsigned flags) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    struct CUevent_st *v = out ? hone_calloc(1, sizeof *v) : NULL;
    if (!v)
        return vg_front_leave(c, out ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_INVALID_VALUE);
    *v = (struct CUevent_st){.magic = VG_MAGIC_EVENT, .context = c, .timing = !(flags & EVENT_DISABLE_TIMING), .next = c->events};
    c->events = v;
    *out = v;
    return vg_front_leave(c, CUDA_SUCCESS);
}

VG_API CUresult cuEventDestroy_v2(CUevent v) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    struct CUevent_st **p = find_event(c, v);
    if (!p)
        return vg_front_leave(c, CUDA_ERROR_INVALID_HANDLE);
    *p = v->next;
    v->magic = 0;
    hone_free(v);
    return vg_front_leave(c, CUDA_SUCCESS);
}
VG_API CUresult cuEventDestroy(CUevent v) { return cuEventDestroy_v2(v); }

VG_API CUresult cuEventRecordWithFlags(CUevent v, CUstream s, unsigned flags) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    struct CUstream_st *on = vg_stream_of(c, s);
    if (!on || !find_event(c, v) || flags > 1)
        return vg_front_leave(c, flags > 1 ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_HANDLE);
    vg_stream_advance(c, on, 0);
    v->at_us = on->clock_us;
    v->recorded = true;
    return vg_front_leave(c, CUDA_SUCCESS);
}
VG_API CUresult cuEventRecord(CUevent v, CUstream s) { return cuEventRecordWithFlags(v, s, 0); }

static CUresult with_event(CUevent v, bool flush) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    bool known = find_event(c, v) != NULL;
    if (known && flush)
        vg_front_flush_print(c);
    return vg_front_leave(c, known ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE);
}
VG_API CUresult cuEventQuery(CUevent v) { return with_event(v, true); }
VG_API CUresult cuEventSynchronize(CUevent v) { return with_event(v, true); }

VG_API CUresult cuEventElapsedTime_v2(float *ms, CUevent from, CUevent to) {
    struct CUctx_st *c;
    if (!ms)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    if (!find_event(c, from) || !find_event(c, to) || !from->recorded || !to->recorded || !from->timing || !to->timing)
        return vg_front_leave(c, CUDA_ERROR_INVALID_HANDLE);
    *ms = (float)((to->at_us - from->at_us) / 1000.0);
    return vg_front_leave(c, CUDA_SUCCESS);
}
VG_API CUresult cuEventElapsedTime(float *ms, CUevent from, CUevent to) { return cuEventElapsedTime_v2(ms, from, to); }

void vg_stream_free_all(struct CUctx_st *c) {
    while (c->streams) {
        struct CUstream_st *s = c->streams;
        c->streams = s->next;
        hone_free(s);
    }
    while (c->events) {
        struct CUevent_st *v = c->events;
        c->events = v->next;
        hone_free(v);
    }
}
