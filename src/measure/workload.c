// Device buffers of a task. See workload.h. Sits on the driver table and task/'s fill.
#include "measure/workload.h"
#include "base/parallel.h"
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static hone_code alloc(hone_workload *w, size_t bytes, const char *name, unsigned set, CUdeviceptr *out, hone_err *e) {
    char what[160];
    if (w->n_sets > 1)
        snprintf(what, sizeof what, "'%.100s' (set %u of %u)", name, set + 1, w->n_sets);
    else
        snprintf(what, sizeof what, "'%.100s'", name);
    HONE_TRY(hone_device_alloc(w->device, bytes, what, out, e));
    w->bytes += bytes;
    return HONE_OK;
}

enum { FILL_BYTES = 16 << 20, FILL_ELEMENTS = 1 << 16 };   // of a piece on the host; of one thread's share at a time

typedef struct filling {
    const hone_workload *w;
    unsigned set;
    size_t buffer, first, n, size;   // elements; size in bytes of one
    uint8_t *host;
    atomic_int code;
} filling;

static void fill_part(void *self, size_t i) {
    filling *f = self;
    hone_err e = {0};
    size_t from = i * FILL_ELEMENTS, n = f->n - from < FILL_ELEMENTS ? f->n - from : FILL_ELEMENTS;
    hone_code c = hone_fill_range(f->w->base, f->buffer, HONE_INPUT_TASK, f->w->seed + f->set, f->first + from, n, f->host + from * f->size,
                                  &e);
    if (c != HONE_OK)
        atomic_store(&f->code, (int)c);
}

// Elements first .. first+n-1 to f->host. What can go wrong is the initialiser, which is the same for every part: said by one more try.
static hone_code fill_piece(filling *f, hone_err *e) {
    atomic_store(&f->code, HONE_OK);
    hone_parallel(f->w->threads, (f->n + FILL_ELEMENTS - 1) / FILL_ELEMENTS, fill_part, f);
    if (atomic_load(&f->code) == HONE_OK)
        return HONE_OK;
    return hone_fill_range(f->w->base, f->buffer, HONE_INPUT_TASK, f->w->seed + f->set, f->first, f->n, f->host, e);
}

// Piecewise, so that the host holds FILL_BYTES of a buffer at most.
static hone_code fill(hone_workload *w, unsigned set, size_t i, hone_err *e) {
    const hone_plan_buffer *b = &w->base->buffers[i];
    const hone_driver *drv = w->device->driver;
    size_t size = hone_dtype_bytes(b->arg->type), piece = FILL_BYTES / size, k = set * w->base->n_buffers + i;
    void *host = b->bytes ? hone_malloc(piece < b->n_elems ? piece * size : b->bytes) : NULL;
    if (b->bytes && !host)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for the contents of '%s' (%zu bytes)", b->arg->name, b->bytes);
    hone_code c = HONE_OK;
    CUresult r = CUDA_SUCCESS;
    filling f = {.w = w, .set = set, .buffer = i, .size = size, .host = host};
    for (f.first = 0; f.first < b->n_elems && c == HONE_OK && r == CUDA_SUCCESS; f.first += piece) {
        f.n = b->n_elems - f.first < piece ? b->n_elems - f.first : piece;
        c = fill_piece(&f, e);
        if (c == HONE_OK)
            r = drv->MemcpyHtoD(w->at[k] + f.first * size, host, f.n * size);
        if (c == HONE_OK && r == CUDA_SUCCESS && w->pristine[k])
            r = drv->MemcpyHtoD(w->pristine[k] + f.first * size, host, f.n * size);
    }
    hone_free(host);
    return c != HONE_OK || r == CUDA_SUCCESS ? c : hone_driver_fail(drv, r, e, "copy '%s' to the device", b->arg->name);
}

static hone_code make_buffer(hone_workload *w, unsigned set, size_t i, hone_err *e) {
    const hone_plan_buffer *b = &w->base->buffers[i];
    size_t k = set * w->base->n_buffers + i;
    if (b->arg->role == HONE_SCRATCH)
        return HONE_OK;
    HONE_TRY(alloc(w, b->bytes, b->arg->name, set, &w->at[k], e));
    if (w->device->driver->vgpu.Name)
        w->device->driver->vgpu.Name(w->at[k], b->arg->name);
    if (b->arg->role == HONE_INOUT)
        HONE_TRY(alloc(w, b->bytes, b->arg->name, set, &w->pristine[k], e));
    return b->arg->role == HONE_OUT ? HONE_OK : fill(w, set, i, e);
}

hone_code hone_workload_open(hone_device *d, const hone_plan *base, uint64_t seed, unsigned n_sets, unsigned threads, hone_workload **out,
                             hone_err *e) {
    hone_workload *w = hone_calloc(1, sizeof *w);
    size_t n = (n_sets ? n_sets : 1) * (base->n_buffers ? base->n_buffers : 1);
    if (w) {
        w->at = hone_calloc(n, sizeof *w->at);
        w->pristine = hone_calloc(n, sizeof *w->pristine);
    }
    if (!w || !w->at || !w->pristine) {
        hone_workload_close(w);
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a workload");
    }
    w->device = d;
    w->base = base;
    w->seed = seed;
    w->n_sets = n_sets ? n_sets : 1;
    w->threads = threads;
    hone_code c = HONE_OK;
    for (unsigned s = 0; c == HONE_OK && s < w->n_sets; s++)
        for (size_t i = 0; c == HONE_OK && i < base->n_buffers; i++)
            c = make_buffer(w, s, i, e);
    if (c != HONE_OK) {
        hone_workload_close(w);
        return c;
    }
    *out = w;
    return HONE_OK;
}

void hone_workload_close(hone_workload *w) {
    if (!w)
        return;
    for (size_t i = 0; w->device && i < w->n_sets * w->base->n_buffers; i++) {
        if (w->at[i])
            w->device->driver->MemFree(w->at[i]);
        if (w->pristine[i])
            w->device->driver->MemFree(w->pristine[i]);
    }
    hone_free(w->at);
    hone_free(w->pristine);
    hone_free(w);
}

unsigned hone_workload_sets_for(const hone_plan *base, size_t l2_bytes, unsigned l2_multiple, size_t max_bytes) {
    size_t one = base->total_bytes ? base->total_bytes : 1, want = (l2_bytes * l2_multiple + one - 1) / one, most = max_bytes / one;
    size_t n = want < most ? want : most;
    return (unsigned)(n < 1 ? 1 : n > HONE_MAX_SETS ? HONE_MAX_SETS : n);
}

static size_t base_index(const hone_plan *base, const char *name) {
    for (size_t i = 0; i < base->n_buffers; i++)
        if (base->buffers[i].arg->role != HONE_SCRATCH && strcmp(base->buffers[i].arg->name, name) == 0)
            return i;
    return SIZE_MAX;
}

static hone_code bind_buffer(hone_bound *b, size_t i, hone_err *e) {
    hone_workload *w = b->w;
    const hone_plan_buffer *p = &b->plan->buffers[i];
    if (p->arg->role == HONE_SCRATCH) {   // one for all sets
        CUdeviceptr at;
        HONE_TRY(alloc(w, p->bytes, p->arg->name, 0, &at, e));
        for (unsigned s = 0; s < w->n_sets; s++)
            b->at[s * b->plan->n_buffers + i] = at;
        if (w->device->driver->vgpu.Name)
            w->device->driver->vgpu.Name(at, p->arg->name);
        return HONE_OK;
    }
    size_t k = base_index(w->base, p->arg->name);
    if (k == SIZE_MAX || w->base->buffers[k].bytes != p->bytes)
        return hone_fail(e, HONE_E_WRONG, 0, "buffer '%s' is not the task's", p->arg->name);
    for (unsigned s = 0; s < w->n_sets; s++)
        b->at[s * b->plan->n_buffers + i] = w->at[s * w->base->n_buffers + k];
    return HONE_OK;
}

hone_code hone_bound_make(hone_workload *w, const hone_plan *plan, hone_bound *out, hone_err *e) {
    *out = (hone_bound){.w = w, .plan = plan};
    out->at = hone_calloc(w->n_sets * (plan->n_buffers ? plan->n_buffers : 1), sizeof *out->at);
    if (!out->at)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for buffer addresses");
    for (size_t i = 0; i < plan->n_buffers; i++) {
        hone_code c = bind_buffer(out, i, e);
        if (c != HONE_OK) {
            hone_bound_free(out);
            return c;
        }
    }
    return HONE_OK;
}

void hone_bound_free(hone_bound *b) {
    for (size_t i = 0; b->at && i < b->plan->n_buffers; i++)
        if (b->plan->buffers[i].arg->role == HONE_SCRATCH && b->at[i]) {
            b->w->device->driver->MemFree(b->at[i]);
            b->w->bytes -= b->plan->buffers[i].bytes;
        }
    hone_free(b->at);
    *b = (hone_bound){0};
}

const CUdeviceptr *hone_bound_set(const hone_bound *b, unsigned set) { return b->at + (size_t)set * b->plan->n_buffers; }

hone_code hone_bound_reset(const hone_bound *b, unsigned set, uint8_t poison, hone_err *e) {
    const hone_driver *drv = b->w->device->driver;
    const CUdeviceptr *at = hone_bound_set(b, set);
    for (size_t i = 0; i < b->plan->n_buffers; i++) {
        const hone_plan_buffer *p = &b->plan->buffers[i];
        CUresult r = CUDA_SUCCESS;
        if (p->bytes == 0 || p->arg->role == HONE_IN)
            continue;
        if (p->arg->role == HONE_INOUT)
            r = drv->MemcpyDtoD(at[i], b->w->pristine[(size_t)set * b->w->base->n_buffers + base_index(b->w->base, p->arg->name)],
                                p->bytes);
        else
            r = drv->MemsetD8(at[i], poison, p->bytes);
        if (r != CUDA_SUCCESS)
            return hone_driver_fail(drv, r, e, "reset buffer '%s'", p->arg->name);
    }
    return HONE_OK;
}

hone_code hone_bound_restore(const hone_bound *b, unsigned set, CUstream stream, hone_err *e) {
    const hone_driver *drv = b->w->device->driver;
    const hone_plan *base = b->w->base;
    for (size_t i = 0; i < b->plan->n_buffers; i++) {
        const hone_plan_buffer *p = &b->plan->buffers[i];
        if (p->bytes == 0 || p->arg->role != HONE_INOUT)
            continue;
        CUdeviceptr from = b->w->pristine[(size_t)set * base->n_buffers + base_index(base, p->arg->name)];
        CUresult r = drv->MemcpyDtoDAsync(hone_bound_set(b, set)[i], from, p->bytes, stream);
        if (r != CUDA_SUCCESS)
            return hone_driver_fail(drv, r, e, "restore buffer '%s'", p->arg->name);
    }
    return HONE_OK;
}

hone_code hone_bound_read(const hone_bound *b, unsigned set, size_t buffer, void **out, hone_err *e) {
    const hone_plan_buffer *p = &b->plan->buffers[buffer];
    void *host = hone_malloc(p->bytes ? p->bytes : 1);
    if (!host)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory to read '%s' (%zu bytes)", p->arg->name, p->bytes);
    CUresult r = p->bytes ? b->w->device->driver->MemcpyDtoH(host, hone_bound_set(b, set)[buffer], p->bytes) : CUDA_SUCCESS;
    if (r != CUDA_SUCCESS) {
        hone_free(host);
        return hone_driver_fail(b->w->device->driver, r, e, "read buffer '%s'", p->arg->name);
    }
    *out = host;
    return HONE_OK;
}
