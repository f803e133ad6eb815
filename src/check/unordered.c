// Outputs that the task calls `unordered`: their rows (elements of the first extent) may stand in any order. Every run's rows are sorted right after
// it, the baseline's, its shadow's and the candidate's alike, and all comparisons see sorted rows. Rows that nobody wrote come last.
#include "check/internal.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct order { hone_dtype type; size_t elements, bytes; uint8_t poison; } order;

// Numbers ascending, then NaN.
static int compare_values(double x, double y) {
    if (isnan(x) || isnan(y))
        return isnan(x) - isnan(y);
    return (x > y) - (x < y);
}

static int compare_rows(const void *a, const void *b, void *self) {
    const order *o = self;
    const bool empty_a = hone_is_poison(a, o->bytes, o->poison), empty_b = hone_is_poison(b, o->bytes, o->poison);
    if (empty_a || empty_b)
        return empty_a - empty_b;
    for (size_t i = 0; i < o->elements; i++) {
        const int c = compare_values(hone_dtype_get(o->type, a, i), hone_dtype_get(o->type, b, i));
        if (c)
            return c;
    }
    return memcmp(a, b, o->bytes);
}

void hone_rows_sort(const hone_plan_buffer *b, void *data, uint8_t poison) {
    const size_t rows = b->n_dims ? b->dims[0] : 0;
    if (rows < 2)
        return;
    order o = {.type = b->arg->type, .elements = b->n_elems / rows, .bytes = b->bytes / rows, .poison = poison};
    qsort_r(data, rows, o.bytes, compare_rows, &o);
}

void hone_images_sort(const hone_plan *plan, hone_images *im) {
    for (size_t i = 0; i < plan->n_buffers; i++)
        if (plan->buffers[i].arg->unordered)
            hone_rows_sort(&plan->buffers[i], hone_image_data(&im->v[i]), im->poison);
}

bool hone_plan_unordered(const hone_plan *plan) {
    for (size_t i = 0; i < plan->n_buffers; i++)
        if (plan->buffers[i].arg->unordered)
            return true;
    return false;
}
