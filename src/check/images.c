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

void hone_inputs_free(uint8_t **inputs, const hone_plan *base) {
    for (size_t i = 0; inputs && i < base->n_buffers; i++)
        hone_free(inputs[i]);
    hone_free(inputs);
}

hone_code hone_inputs_fill(const hone_plan *base, hone_input input, uint64_t seed, uint8_t ***out, hone_err *e) {
    uint8_t **v = hone_calloc(base->n_buffers + 1, sizeof *v);
    hone_code c = v ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for input data");
    for (size_t i = 0; c == HONE_OK && i < base->n_buffers; i++) {
        const hone_plan_buffer *b = &base->buffers[i];
        if (b->arg->role != HONE_IN && b->arg->role != HONE_INOUT)
            continue;
        v[i] = hone_malloc(b->bytes ? b->bytes : 1);
        if (!v[i])
            c = hone_fail(e, HONE_E_NOMEM, 0, "out of memory for buffer '%s' of %zu bytes", b->arg->name, b->bytes);
        else
            c = hone_fill(base, i, hone_input_applies(b->arg, input) ? input : HONE_INPUT_TASK, seed, v[i], e);
    }
    if (c != HONE_OK)
        hone_inputs_free(v, base);
    else
        *out = v;
    return c;
}

// A factor in [1-relative, 1+relative) for element i, from its own counter, so that it does not depend on the order of filling.
static double nudge(hone_perturbation p, uint64_t stream, size_t i) {
    uint32_t r[4];
    if (p.relative == 0)
        return 1;
    hone_philox(p.seed, stream, i, r);
    return 1 + p.relative * ((double)r[0] * 0x1p-31 - 1);
}

static void copy_input(const hone_plan_buffer *from, const uint8_t *data, size_t k, hone_dtype type, hone_perturbation p, uint8_t *dst) {
    if (type == from->arg->type && (p.relative == 0 || !hone_dtype_is_float(type))) {
        memcpy(dst, data, from->bytes);
        return;
    }
    for (size_t i = 0; i < from->n_elems; i++)
        hone_dtype_set(type, dst, i, hone_dtype_get(from->arg->type, data, i) * nudge(p, k, i));
}

double *hone_input_moved(const hone_plan *base, size_t buffer, const uint8_t *data, hone_perturbation p) {
    const hone_plan_buffer *b = &base->buffers[buffer];
    double *v = hone_calloc(b->n_elems + 1, sizeof *v);
    for (size_t i = 0; v && i < b->n_elems; i++)
        v[i] = hone_dtype_get(b->arg->type, data, i) * nudge(p, buffer, i);
    return v;
}

static hone_code make_one(const hone_plan_buffer *b, const hone_plan *base, uint8_t *const *inputs, uint8_t poison, size_t guard,
                          hone_perturbation p, hone_run_buffer *out, hone_err *e) {
    bool contract = b->arg->role != HONE_SCRATCH;
    int k = contract ? hone_plan_find(base, b->arg->name) : -1;
    if (contract && (k < 0 || base->buffers[k].n_elems != b->n_elems))
        return hone_fail(e, HONE_E_WRONG, 0, "buffer '%s' is not the task's", b->arg->name);
    size_t bytes;
    HONE_TRY(hone_add_size(b->bytes, 2 * guard, &bytes, e));
    *out = (hone_run_buffer){.name = b->arg->name, .role = b->arg->role, .image = hone_malloc(bytes ? bytes : 1), .image_bytes = bytes,
                             .guard_bytes = guard, .bytes = b->bytes, .undefined = b->arg->role == HONE_OUT ||
                                 b->arg->role == HONE_SCRATCH};
    if (!out->image)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for buffer '%s' of %zu bytes", b->arg->name, bytes);
    memset(out->image, poison, bytes);
    if (!out->undefined)
        copy_input(&base->buffers[k], inputs[k], (size_t)k, b->arg->type, p, hone_image_data(out));
    return HONE_OK;
}

hone_code hone_images_make(const hone_plan *plan, const hone_plan *base, uint8_t *const *inputs, uint8_t poison, size_t guard,
                           hone_perturbation p, hone_images *out, hone_err *e) {
    *out = (hone_images){.v = hone_calloc(plan->n_buffers + 1, sizeof *out->v), .n = plan->n_buffers, .poison = poison};
    hone_code c = out->v ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for the buffers of a run");
    for (size_t i = 0; c == HONE_OK && i < plan->n_buffers; i++)
        c = make_one(&plan->buffers[i], base, inputs, poison, guard, p, &out->v[i], e);
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
