// Runs work, or holds it back. Work is held only behind a cuStreamWaitValue whose value is not there yet; everything else that a piece of work could
// wait for was issued, and so ran, before it. Held work is one list in order of issue: a piece may go when nothing before it in the list is in its way.
#include "vgpu/driver/work.h"
#include <string.h>
#include <time.h>

enum { NAP_US = 100 };
unsigned vg_wait_max_ms = 20000;
struct vg_held { struct vg_held *next; struct CUstream_st *stream; vg_work work; };
static _Thread_local bool in_host_function;

bool vg_in_host_function(void) { return in_host_function; }

// ---- copies of work

static CUresult copy_kernel(vg_kernel *to, const vg_kernel *from) {
    const ptx_func *f = from->q.f->code->func;
    size_t bytes = f->param_bytes + 16;
    *to = *from;
    to->bytes = hone_malloc(bytes);
    to->pointers = hone_calloc(f->n_params + 1, sizeof *to->pointers);
    if (!to->bytes || !to->pointers) {
        hone_free(to->bytes);
        hone_free(to->pointers);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    memcpy(to->bytes, from->bytes, bytes);
    for (size_t i = 0; i < f->n_params; i++)
        to->pointers[i] = to->bytes + f->param_offsets[i];
    to->q.params = to->pointers;
    to->q.extra = NULL;
    return CUDA_SUCCESS;
}

CUresult vg_work_copy(vg_work *to, const vg_work *from) {
    *to = *from;
    switch (from->kind) {
    case VG_WORK_KERNEL:
        if (!vg_is_function(from->kernel.q.f))
            return CUDA_ERROR_INVALID_HANDLE;
        return copy_kernel(&to->kernel, &from->kernel);
    case VG_WORK_GRAPH:
        to->child.graph = vg_graph_copy(from->child.graph);
        return to->child.graph ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
    case VG_WORK_ALLOC:
        vg_graph_memory_keep(to->memory.memory);
        return CUDA_SUCCESS;
    case VG_WORK_MEM_OPS:
        to->mem_ops.ops = hone_calloc(from->mem_ops.n, sizeof *to->mem_ops.ops);
        if (!to->mem_ops.ops)
            return CUDA_ERROR_OUT_OF_MEMORY;
        memcpy(to->mem_ops.ops, from->mem_ops.ops, from->mem_ops.n * sizeof *to->mem_ops.ops);
        return CUDA_SUCCESS;
    default: return CUDA_SUCCESS;
    }
}

void vg_work_release(vg_work *w) {
    if (w->kind == VG_WORK_KERNEL) {
        hone_free(w->kernel.bytes);
        hone_free(w->kernel.pointers);
    } else if (w->kind == VG_WORK_GRAPH) {
        vg_graph_free(w->child.graph);
    } else if (w->kind == VG_WORK_ALLOC) {
        vg_graph_memory_drop(w->memory.memory);
    } else if (w->kind == VG_WORK_MEM_OPS) {
        hone_free(w->mem_ops.ops);
    }
    w->kind = VG_WORK_EMPTY;
}

// ---- values in memory

static bool satisfied(struct CUctx_st *c, const CUmemOp *o) {
    bool wide = o->operation == CU_OP_WAIT_64;
    const vg_alloc *a = vg_memory_find(c->vg->memory, o->address, wide ? 8 : 4);
    if (!a)
        return true;   // freed meanwhile: nothing will ever be written there
    const uint8_t *p = a->host + (o->address - a->base);
    uint64_t v = wide ? __atomic_load_n((const uint64_t *)(const void *)p, __ATOMIC_ACQUIRE) : __atomic_load_n((const uint32_t *)(const void *)p, __ATOMIC_ACQUIRE);
    uint64_t want = wide ? o->value : (uint32_t)o->value;
    switch (o->flags & 3) {
    case 0: return wide ? (int64_t)(v - want) >= 0 : (int32_t)((uint32_t)v - (uint32_t)want) >= 0;   // cyclic ≥
    case 1: return v == want;
    case 2: return (v & want) != 0;
    default: return (~(v | want) & (wide ? ~0ull : 0xffffffffull)) != 0;
    }
}

static void write_value(struct CUctx_st *c, const CUmemOp *o) {
    bool wide = o->operation == CU_OP_WRITE_64;
    vg_alloc *a = vg_memory_find(c->vg->memory, o->address, wide ? 8 : 4);
    if (!a)
        return;
    uint8_t *p = a->host + (o->address - a->base);
    if (wide)
        __atomic_store_n((uint64_t *)(void *)p, o->value, __ATOMIC_RELEASE);
    else
        __atomic_store_n((uint32_t *)(void *)p, (uint32_t)o->value, __ATOMIC_RELEASE);
    vg_init_mark(a, o->address - a->base, wide ? 8 : 4);
}

static bool is_wait(const CUmemOp *o) { return o->operation == CU_OP_WAIT_32 || o->operation == CU_OP_WAIT_64; }

// Whether work has a wait whose value is not there. Operations before it in the same batch have not run then; they run with it.
static bool must_wait(struct CUctx_st *c, const vg_work *w) {
    for (unsigned i = 0; w->kind == VG_WORK_MEM_OPS && i < w->mem_ops.n; i++)
        if (is_wait(&w->mem_ops.ops[i]) && !satisfied(c, &w->mem_ops.ops[i]))
            return true;
    return false;
}

// ---- running

static CUresult run_host(struct CUctx_st *c, const vg_host *h) {
    vg_host copy = *h;
    pthread_mutex_unlock(&c->lock);
    in_host_function = true;
    if (copy.fn)
        copy.fn(copy.user);
    else
        copy.callback(copy.stream, CUDA_SUCCESS, copy.user);
    in_host_function = false;
    pthread_mutex_lock(&c->lock);
    return CUDA_SUCCESS;
}

static void nap(struct CUctx_st *c) {
    pthread_mutex_unlock(&c->lock);
    nanosleep(&(struct timespec){0, NAP_US * 1000}, NULL);
    pthread_mutex_lock(&c->lock);
}

// A wait inside a graph cannot be held back: the call that launches the graph waits.
static CUresult run_ops(struct CUctx_st *c, const vg_mem_ops *m) {
    for (unsigned i = 0; i < m->n; i++) {
        for (unsigned us = 0; is_wait(&m->ops[i]) && !satisfied(c, &m->ops[i]); us += NAP_US) {
            if (us / 1000 >= vg_wait_max_ms)
                return CUDA_ERROR_LAUNCH_TIMEOUT;
            nap(c);
        }
        if (m->ops[i].operation == CU_OP_WRITE_32 || m->ops[i].operation == CU_OP_WRITE_64)
            write_value(c, &m->ops[i]);
    }
    return CUDA_SUCCESS;
}

CUresult vg_work_run(struct CUctx_st *c, struct CUstream_st *s, const vg_work *w) {
    switch (w->kind) {
    case VG_WORK_KERNEL: return vg_is_function(w->kernel.q.f) ? vg_launch_packed(c, &w->kernel.q, w->kernel.bytes, s) : CUDA_ERROR_INVALID_HANDLE;
    case VG_WORK_COPY: return vg_copy_run(c, s, &w->copy);
    case VG_WORK_SET: return vg_set_run(c, s, &w->set);
    case VG_WORK_HOST: return run_host(c, &w->host);
    case VG_WORK_GRAPH: return vg_graph_run_all(c, s, w->child.graph);
    case VG_WORK_EMPTY: return CUDA_SUCCESS;
    case VG_WORK_WAIT: return vg_event_wait_run(c, s, w->event);
    case VG_WORK_RECORD: return vg_event_record_run(c, s, w->event);
    case VG_WORK_ALLOC: case VG_WORK_FREE: return vg_pool_run(c, s, w);
    case VG_WORK_MEM_OPS: return run_ops(c, &w->mem_ops);
    }
    return CUDA_ERROR_NOT_SUPPORTED;
}

// ---- holding back

// Whether `before` has to end before work `w` on stream s may start: the same stream, the default stream's rule, or an event.
static bool in_the_way(struct CUctx_st *c, const struct vg_held *before, const struct CUstream_st *s, const vg_work *w) {
    const struct CUstream_st *b = before->stream, *legacy = &c->null_stream;
    if (b == s || (s == legacy && b->blocking) || (b == legacy && s->blocking))
        return true;
    return w->kind == VG_WORK_WAIT && before->work.kind == VG_WORK_RECORD && before->work.event == w->event;
}

static bool ready(struct CUctx_st *c, const struct vg_held *end, const struct CUstream_st *s, const vg_work *w) {
    for (const struct vg_held *h = c->held; h && h != end; h = h->next)
        if (in_the_way(c, h, s, w))
            return false;
    return !must_wait(c, w);
}

// Runs the first piece that may go; false when there is none.
static bool step(struct CUctx_st *c) {
    for (struct vg_held **p = &c->held; *p; p = &(*p)->next) {
        struct vg_held *h = *p;
        if (!ready(c, h, h->stream, &h->work))
            continue;
        *p = h->next;
        CUresult r = vg_work_run(c, h->stream, &h->work);
        if (r != CUDA_SUCCESS && !c->refused)
            c->refused = r;   // as an asynchronous error: the next call reports it
        vg_work_release(&h->work);
        hone_free(h);
        return true;
    }
    return false;
}

void vg_work_progress(struct CUctx_st *c) {
    while (c->held && step(c)) {
    }
}

bool vg_work_pending(struct CUctx_st *c, const struct CUstream_st *s) {
    vg_work_progress(c);
    for (const struct vg_held *h = c->held; h; h = h->next)
        if (!s || in_the_way(c, h, s, &(vg_work){.kind = VG_WORK_EMPTY}))
            return true;
    return false;
}

bool vg_event_pending(struct CUctx_st *c, const struct CUevent_st *v) {
    vg_work_progress(c);
    for (const struct vg_held *h = c->held; h; h = h->next)
        if (h->work.kind == VG_WORK_RECORD && h->work.event == v)
            return true;
    return false;
}

CUresult vg_work_drain(struct CUctx_st *c, const struct CUstream_st *s) {
    for (unsigned us = 0; vg_work_pending(c, s); us += NAP_US) {
        if (us / 1000 >= vg_wait_max_ms) {
            c->refused = CUDA_ERROR_LAUNCH_TIMEOUT;
            return CUDA_ERROR_LAUNCH_TIMEOUT;
        }
        nap(c);
    }
    return c->refused;
}

static CUresult hold(struct CUctx_st *c, struct CUstream_st *s, const vg_work *w) {
    struct vg_held *h = hone_calloc(1, sizeof *h), **end = &c->held;
    if (!h)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult r = vg_work_copy(&h->work, w);
    if (r != CUDA_SUCCESS) {
        hone_free(h);
        return r;
    }
    h->stream = s;
    while (*end)
        end = &(*end)->next;
    *end = h;
    return CUDA_SUCCESS;
}

void vg_work_drop_all(struct CUctx_st *c) {
    while (c->held) {
        struct vg_held *h = c->held;
        c->held = h->next;
        vg_work_release(&h->work);
        hone_free(h);
    }
}

CUresult vg_work_submit(struct CUctx_st *c, struct CUstream_st *s, const vg_work *w) {
    if (s->capture)
        return vg_capture_add(c, s, w);
    CUresult r = vg_capture_forbids(c, s);
    if (r != CUDA_SUCCESS)
        return r;
    vg_work_progress(c);
    return ready(c, NULL, s, w) ? vg_work_run(c, s, w) : hold(c, s, w);
}
