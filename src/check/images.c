// Host images of a run's buffers: filled, poisoned, fenced.
//
//     image                                                       image_bytes
//     | guard: poison | contents: input data or poison | guard: poison |
//     0               guard_bytes                      + bytes
//
// The guard has the poison's pattern too, so that a result that depends on reading it differs between two poisons.
#include "check/internal.h"
#include <string.h>

bool hone_promoted_type(hone_dtype t) {
    return t == HONE_FLOAT || t == HONE_HALF || t == HONE_BFLOAT16 || t == HONE_FP8_E4M3 || t == HONE_FP8_E5M2;
}

int hone_plan_find(const hone_plan *p, const char *buffer) {
    for (size_t i = 0; i < p->n_buffers; i++)
        if (strcmp(p->buffers[i].arg->name, buffer) == 0)
            return (int)i;
    return -1;
}

void hone_images_free(hone_images *im) {
    for (size_t i = 0; im->v && i < im->n; i++)
        hone_free(im->v[i].image);
    hone_free(im->v);
    *im = (hone_images){0};
}

// relative·(u-½)·2 of every element, u from its own counter, so that the result does not depend on the order of filling
static void perturb(double *x, size_t n, hone_perturbation p, uint64_t stream) {
    for (size_t i = 0; i < n && p.relative > 0; i++) {
        uint32_t r[4];
        hone_philox(p.seed, stream, i, r);
        x[i] += x[i] * p.relative * ((double)r[0] * 0x1p-31 - 1.0);
    }
}

static hone_code fill_input(const hone_plan *like, size_t k, bool widen, hone_input input, uint64_t seed, hone_perturbation p, uint8_t *dst,
                            hone_err *e) {
    const hone_plan_buffer *b = &like->buffers[k];
    hone_input use = hone_input_applies(b->arg, input) ? input : HONE_INPUT_TASK;
    if (!widen)
        return hone_fill(like, k, use, seed, dst, e);
    uint8_t *narrow = hone_malloc(b->bytes ? b->bytes : 1);
    if (!narrow)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for buffer '%s'", b->arg->name);
    hone_code c = hone_fill(like, k, use, seed, narrow, e);
    double *wide = (double *)(void *)dst;
    for (size_t i = 0; c == HONE_OK && i < b->n_elems; i++)
        wide[i] = hone_dtype_get(b->arg->type, narrow, i);
    if (c == HONE_OK)
        perturb(wide, b->n_elems, p, k);
    hone_free(narrow);
    return c;
}

static hone_code make_one(const hone_plan *plan, const hone_plan *like, size_t i, hone_input input, uint64_t seed, uint8_t poison, size_t guard,
                          hone_perturbation p, hone_run_buffer *out, hone_err *e) {
    const hone_plan_buffer *b = &plan->buffers[i];
    bool contract = b->arg->role != HONE_SCRATCH;
    int k = contract ? hone_plan_find(like, b->arg->name) : -1;
    if (contract && (k < 0 || like->buffers[k].n_elems != b->n_elems))
        return hone_fail(e, HONE_E_WRONG, 0, "buffer '%s' is not the task's", b->arg->name);
    size_t bytes;
    HONE_TRY(hone_add_size(b->bytes, 2 * guard, &bytes, e));
    *out = (hone_run_buffer){.name = b->arg->name, .role = b->arg->role, .image = hone_malloc(bytes ? bytes : 1), .image_bytes = bytes,
                             .guard_bytes = guard, .bytes = b->bytes, .undefined = b->arg->role == HONE_OUT || b->arg->role == HONE_SCRATCH};
    if (!out->image)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for buffer '%s' of %zu bytes", b->arg->name, bytes);
    memset(out->image, poison, bytes);
    if (out->undefined)
        return HONE_OK;
    bool widen = b->arg->type == HONE_DOUBLE && like->buffers[k].arg->type != HONE_DOUBLE;
    return fill_input(like, (size_t)k, widen, input, seed, p, hone_image_data(out), e);
}

hone_code hone_images_make(const hone_plan *plan, const hone_plan *like, hone_input input, uint64_t seed, uint8_t poison, size_t guard,
                           hone_perturbation p, hone_images *out, hone_err *e) {
    *out = (hone_images){.v = hone_calloc(plan->n_buffers ? plan->n_buffers : 1, sizeof *out->v), .n = plan->n_buffers, .poison = poison};
    hone_code c = out->v ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for the buffers of a run");
    for (size_t i = 0; c == HONE_OK && i < plan->n_buffers; i++)
        c = make_one(plan, like, i, input, seed, poison, guard, p, &out->v[i], e);
    if (c != HONE_OK)
        hone_images_free(out);
    return c;
}

bool hone_guard_hit(const hone_run_buffer *b, uint8_t poison, int64_t *offset) {
    for (size_t i = 0; i < b->guard_bytes; i++) {
        if (b->image[b->guard_bytes - 1 - i] != poison) {
            *offset = -(int64_t)i - 1;
            return true;
        }
        if (b->image[b->guard_bytes + b->bytes + i] != poison) {
            *offset = (int64_t)(b->bytes + i);
            return true;
        }
    }
    return false;
}
