// Outputs of timed runs at the sizes that are timed: the candidate runs once more on poisoned buffers, and its results are read piece by piece
// and compared with the baseline's, which are kept on the host while the size's buffers are. Physical devices only: on the virtual GPU timed
// runs are sampled and their outputs mean nothing.
#include "evaluate/internal.h"
#include <string.h>

enum { PIECE_BYTES = 16 << 20 };

void hone_size_forget_outputs(hone_size_state *z) {
    for (size_t i = 0; z->outputs && i < z->plan->n_buffers; i++)
        hone_free(z->outputs[i]);
    hone_free(z->outputs);
    z->outputs = NULL;
}

static hone_code run_once(const hone_bound *b, hone_program *p, hone_err *e) {
    HONE_TRY(hone_bound_reset(b, 0, 0xff, e));
    HONE_TRY(hone_program_launch(p, b->plan, hone_bound_set(b, 0), NULL, NULL, e));
    CUresult r = b->w->device->driver->CtxSynchronize();
    return r == CUDA_SUCCESS ? HONE_OK : hone_driver_fail(b->w->device->driver, r, e, "run the kernels");
}

static bool is_output(const hone_plan_buffer *b) { return b->arg->role == HONE_OUT || b->arg->role == HONE_INOUT; }

static hone_code keep_baseline(hone_size_state *z, hone_err *e) {
    if (z->outputs)
        return HONE_OK;
    z->outputs = hone_calloc(z->plan->n_buffers + 1, sizeof *z->outputs);
    hone_code c = z->outputs ? run_once(&z->bound, z->program, e) : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for outputs");
    for (size_t i = 0; c == HONE_OK && i < z->plan->n_buffers; i++)
        if (is_output(&z->plan->buffers[i]))
            c = hone_bound_read(&z->bound, 0, i, &z->outputs[i], e);
    if (c != HONE_OK)
        hone_size_forget_outputs(z);
    return c;
}

static hone_code compare_buffer(hone_session *s, const hone_size_state *z, size_t buffer, CUdeviceptr at, void *host, size_t host_bytes,
                                hone_findings *f, hone_err *e) {
    const hone_plan_buffer *b = &z->plan->buffers[buffer];
    const hone_driver *drv = s->device->driver;
    size_t size = hone_dtype_bytes(b->arg->type);
    hone_output_check check;
    hone_output_check_begin(&check, s->judge, z->plan, buffer, s->threads);
    size_t step = hone_output_check_step(&check, host_bytes);
    for (size_t first = 0; first < b->n_elems; first += step) {
        size_t n = b->n_elems - first < step ? b->n_elems - first : step;
        CUresult r = drv->MemcpyDtoH(host, at + first * size, n * size);
        if (r != CUDA_SUCCESS)
            return hone_driver_fail(drv, r, e, "read buffer '%s'", b->arg->name);
        if (!hone_output_check_piece(&check, (const uint8_t *)z->outputs[buffer] + first * size, host, n))
            break;
    }
    hone_output_check_end(&check, f);
    return HONE_OK;
}

// Room for the longest piece: PIECE_BYTES, or one row where rows are longer.
static size_t staging_bytes(const hone_session *s, const hone_size_state *z) {
    size_t most = 1;
    for (size_t i = 0; i < z->plan->n_buffers; i++) {
        if (!is_output(&z->plan->buffers[i]))
            continue;
        hone_output_check check;
        hone_output_check_begin(&check, s->judge, z->plan, i, 1);
        size_t bytes = hone_output_check_step(&check, PIECE_BYTES) * hone_dtype_bytes(z->plan->buffers[i].arg->type);
        most = bytes > most ? bytes : most;
    }
    return most;
}

static hone_code compare_all(hone_session *s, const hone_size_state *z, const hone_bound *b, hone_findings *f, hone_err *e) {
    size_t bytes = staging_bytes(s, z);
    void *host = hone_malloc(bytes);
    hone_code c = host ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory to read outputs");
    for (size_t i = 0; c == HONE_OK && i < z->plan->n_buffers; i++) {
        if (!is_output(&z->plan->buffers[i]))
            continue;
        for (size_t k = 0; c == HONE_OK && k < b->plan->n_buffers; k++)
            if (strcmp(b->plan->buffers[k].arg->name, z->plan->buffers[i].arg->name) == 0)
                c = compare_buffer(s, z, i, hone_bound_set(b, 0)[k], host, bytes, f, e);
    }
    hone_free(host);
    return c;
}

hone_code hone_compare_outputs(hone_session *s, size_t size, const hone_bound *b, hone_program *p, hone_findings *f, hone_err *e) {
    hone_size_state *z = &s->sizes[size];
    if (!s->judge)
        return HONE_OK;
    if (p) {
        HONE_TRY(keep_baseline(z, e));
        HONE_TRY(run_once(b, p, e));
    }
    return compare_all(s, z, b, f, e);
}

hone_code hone_keep_outputs(hone_session *s, size_t size, hone_err *e) { return s->judge ? keep_baseline(&s->sizes[size], e) : HONE_OK; }
