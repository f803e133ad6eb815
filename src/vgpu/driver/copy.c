// Copies and sets as work: every copy is a CUmemcpy3D (one row for the linear ones), whose sides are host memory, device memory or arrays. It moves the
// stream's modelled clock by its size over the modelled bandwidth, and carries the initialisation bits along: a copy of unwritten bytes is no write.
#include "vgpu/driver/array.h"
#include "vgpu/driver/work.h"
#include <string.h>

// A row of one side: host memory or part of an allocation.
typedef struct row { uint8_t *host; vg_alloc *a; size_t at; } row;

static bool device_row(struct CUctx_st *c, CUdeviceptr p, size_t bytes, row *r) {
    vg_alloc *a = vg_memory_find(c->vg->memory, p, bytes);
    if (a)
        *r = (row){a->host + (p - a->base), a, p - a->base};
    return a != NULL;
}

// Where row (y, z) of a side starts. Unified addressing: an address that no allocation holds is host memory.
static row row_of(struct CUctx_st *c, const CUcopySide *s, size_t y, size_t z, size_t width) {
    CUdeviceptr at = (s->type == CU_MEMORY_HOST ? (CUdeviceptr)(uintptr_t)s->host : s->device);
    if (s->type == CU_MEMORY_ARRAY)
        at = vg_array_address(s->array, s->x, s->y + y, s->z + z);
    else
        at += ((s->z + z) * s->rows + s->y + y) * s->pitch + s->x;
    row r = {(uint8_t *)(uintptr_t)at, NULL, 0};
    device_row(c, at, width, &r);
    return r;
}

static void carry_bits(const row *to, const row *from, size_t bytes) {
    if (!to->a)
        return;
    size_t first = 0;
    if (!from->a || vg_init_missing(from->a, from->at, bytes, &first) == 0) {
        vg_init_mark(to->a, to->at, bytes);
        return;
    }
    for (size_t i = 0; i < bytes; i++) {
        if (vg_init_all(from->a, from->at + i, 1))
            vg_init_mark(to->a, to->at + i, 1);
        else
            vg_init_forget(to->a, to->at + i, 1);
    }
}

// The bytes from the first of a linear side to the last, or false when the sizes overflow.
static bool extent(const CUcopySide *s, const CUmemcpy3D *p, size_t *first, size_t *bytes) {
    size_t rows, start, last;
    if (__builtin_mul_overflow(s->z, s->rows, &rows) || __builtin_add_overflow(rows, s->y, &rows) || __builtin_mul_overflow(rows, s->pitch, &start) ||
        __builtin_add_overflow(start, s->x, first))
        return false;
    if (__builtin_mul_overflow(p->depth - 1, s->rows, &rows) || __builtin_add_overflow(rows, p->height - 1, &rows) ||
        __builtin_mul_overflow(rows, s->pitch, &last) || __builtin_add_overflow(last, p->width_bytes, bytes))
        return false;
    return *bytes <= SIZE_MAX / 4 && *first <= SIZE_MAX / 4;
}

static CUresult check_side(struct CUctx_st *c, const CUcopySide *s, const CUmemcpy3D *p) {
    if (s->level)
        return CUDA_ERROR_INVALID_VALUE;
    if (s->type == CU_MEMORY_ARRAY)
        return vg_array_holds(c, s->array, s->x, s->y, s->z, p->width_bytes, p->height, p->depth);
    if (s->type != CU_MEMORY_HOST && s->type != CU_MEMORY_DEVICE && s->type != CU_MEMORY_UNIFIED)
        return CUDA_ERROR_INVALID_VALUE;
    CUdeviceptr at = s->type == CU_MEMORY_HOST ? (CUdeviceptr)(uintptr_t)s->host : s->device;
    size_t first, bytes;
    row r;
    if (!at || (p->height * p->depth > 1 && s->pitch < p->width_bytes) || (p->depth > 1 && s->rows < p->height) || !extent(s, p, &first, &bytes))
        return CUDA_ERROR_INVALID_VALUE;
    bool ours = at + first >= VG_DEVICE_BASE && at + first < VG_DEVICE_BASE + VG_DEVICE_SPAN;
    if (device_row(c, at + first, bytes, &r))
        return CUDA_SUCCESS;
    return s->type == CU_MEMORY_DEVICE || ours ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;   // a device address past its allocation is no host memory
}

CUresult vg_copy_check(struct CUctx_st *c, const CUmemcpy3D *p) {
    if (!p->width_bytes || !p->height || !p->depth)
        return CUDA_SUCCESS;
    CUresult r = check_side(c, &p->from, p);
    return r == CUDA_SUCCESS ? check_side(c, &p->to, p) : r;
}

CUresult vg_copy_run(struct CUctx_st *c, struct CUstream_st *s, const CUmemcpy3D *p) {
    bool host = false;
    CUresult r = vg_copy_check(c, p);   // a graph or held-back copy: its memory may be gone
    if (r != CUDA_SUCCESS || !p->width_bytes || !p->height || !p->depth)
        return r;
    for (size_t z = 0; z < p->depth; z++)
        for (size_t y = 0; y < p->height; y++) {
            row to = row_of(c, &p->to, y, z, p->width_bytes), from = row_of(c, &p->from, y, z, p->width_bytes);
            carry_bits(&to, &from, p->width_bytes);
            memmove(to.host, from.host, p->width_bytes);
            host = !to.a || !from.a;
        }
    if (p->height && p->depth)
        vg_stream_advance(c, s, vg_copy_us(vg_front_device(), p->width_bytes * p->height * p->depth, host));
    return CUDA_SUCCESS;
}

// ---- sets

static void fill(uint8_t *to, uint32_t value, unsigned element, size_t n) {
    if (element == 1) {
        memset(to, (int)value, n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        memcpy(to + i * element, &value, element);
}

CUresult vg_set_check(struct CUctx_st *c, const vg_set *p) {
    size_t bytes, last;
    row r;
    if ((p->element != 1 && p->element != 2 && p->element != 4) || p->to % p->element || __builtin_mul_overflow(p->width, (size_t)p->element, &bytes))
        return CUDA_ERROR_INVALID_VALUE;
    if (!bytes || !p->height)
        return CUDA_SUCCESS;
    if (p->height > 1 && (p->pitch < bytes || p->pitch % p->element))
        return CUDA_ERROR_INVALID_VALUE;
    if (__builtin_mul_overflow(p->height - 1, p->pitch, &last) || __builtin_add_overflow(last, bytes, &bytes))
        return CUDA_ERROR_INVALID_VALUE;
    return device_row(c, p->to, bytes, &r) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult vg_set_run(struct CUctx_st *c, struct CUstream_st *s, const vg_set *p) {
    CUresult r = vg_set_check(c, p);
    size_t bytes = p->width * p->element;
    if (r != CUDA_SUCCESS)
        return r;
    for (size_t y = 0; bytes && y < p->height; y++) {
        row to = {0};
        device_row(c, p->to + y * p->pitch, bytes, &to);
        fill(to.host, p->value, p->element, p->width);
        vg_init_mark(to.a, to.at, bytes);
    }
    vg_stream_advance(c, s, vg_copy_us(vg_front_device(), bytes * p->height / 2, false));   // half of a copy's traffic
    return CUDA_SUCCESS;
}
