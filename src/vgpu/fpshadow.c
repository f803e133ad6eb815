// fpshadow: the shadows themselves: reading a word's shadow as a value of some type, cells of memory and their life, statistics. See
// fpshadow.h. Cells lie in their own mapping per allocation, which the host populates lazily: buffers that no float with a shadow was stored
// to cost nothing.
#include "vgpu/fpshadow.h"
#include "vgpu/fp.h"
#include <stdio.h>
#include <sys/mman.h>

double vg_fs_value(uint32_t bits, uint32_t kind, unsigned half) {
    switch (kind) {
    case VG_FS_F16: return (double)fp_f32_of_f16(bits >> (16 * half) & 0xffffu);
    case VG_FS_BF16: return (double)fp_f32_of_bf16(bits >> (16 * half) & 0xffffu);
    default: return (double)vg_f32_of(bits);
    }
}

// A bfloat16 is the upper half of the float of the same value, and programs convert by moving halves: such a word reads as either.
double vg_fs_as(vg_fs_word x, uint32_t bits, uint32_t kind, unsigned half) {
    if (x.kind == kind)
        return half ? x.hi : x.lo;
    if (kind == VG_FS_F32 && x.kind == VG_FS_BF16 && !(bits & 0xffffu))
        return x.hi;
    if (kind == VG_FS_BF16 && half == 1 && x.kind == VG_FS_F32)
        return x.lo;
    return vg_fs_value(bits, kind, half);
}

bool vg_fs_inexact(vg_fs_word x, uint32_t bits) {
    if (x.kind == VG_FS_NONE)
        return false;
    if (x.kind == VG_FS_F64)
        return true;
    if (x.kind == VG_FS_F32)
        return x.lo != vg_fs_value(bits, VG_FS_F32, 0);
    return x.lo != vg_fs_value(bits, x.kind, 0) || x.hi != vg_fs_value(bits, x.kind, 1);
}

void vg_fs_lost(vg_warp *w, const vg_inst *in, uint64_t n) {
    vg_fs_stats *s = &w->block->launch->ctx->fs;
    if (n && !s->lost) {
        snprintf(s->kernel, sizeof s->kernel, "%s", w->block->launch->code->func->name);
        s->ptx_line = in->src->line;
    }
    s->lost += n;
}
void vg_fs_rederived(vg_warp *w, uint64_t n) { w->block->launch->ctx->fs.rederived += n; }

void vg_fs_copy_row(const uint8_t *from_file, uint32_t from_off, uint8_t *to_file, uint32_t to_off, uint32_t mask) {
    const vg_fs_row *s = vg_fs_rows(from_file) + from_off / 128;
    vg_fs_row *d = vg_fs_rows(to_file) + to_off / 128;
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned l = (unsigned)__builtin_ctz(m);
        d->lo[l] = s->lo[l];
        d->hi[l] = s->hi[l];
        d->bits[l] = s->bits[l];
        d->kind[l] = s->kind[l];
        d->any |= s->kind[l];
    }
}

// ---- cells
static size_t cells_bytes(const vg_alloc *a) { return (a->bytes / 4 + 2) * sizeof(vg_fs_cell); }

vg_fs_cell *vg_fs_alloc_cells(vg_alloc *a) {
    if (a->fs_cells)
        return a->fs_cells;
    void *p = mmap(NULL, cells_bytes(a), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return a->fs_cells = p == MAP_FAILED ? NULL : p;
}
void vg_fs_alloc_free(vg_alloc *a) {
    if (a->fs_cells)
        munmap(a->fs_cells, cells_bytes(a));
    a->fs_cells = NULL;
}

bool vg_fs_plain_memory(const vg_warp *w, uint64_t lo, uint64_t hi) {
    const vg_alloc *a = vg_region_alloc(w->block->launch->regions, lo);
    return a && !a->fs_cells && lo >= a->base && hi - a->base <= a->bytes;
}

static vg_fs_cell *global_cell(const vg_warp *w, uint64_t address, bool make, const uint8_t **memory) {
    vg_alloc *a = vg_region_alloc(w->block->launch->regions, address);
    const size_t at = a ? (address - a->base) & ~(size_t)3 : 0;
    // The last word of an odd number of halves ends behind the allocation, where memory of our own has zeros.
    if (!a || at >= a->bytes || a->bytes - at < (a->kind == VG_ALLOC_HOST ? 4 : 2))
        return NULL;
    *memory = a->host + at;
    vg_fs_cell *cells = a->fs_cells || !make ? a->fs_cells : vg_fs_alloc_cells(a);
    return cells ? cells + at / 4 : NULL;
}

vg_fs_cell *vg_fs_cell_at(vg_warp *w, unsigned lane, vg_where where, uint64_t address, bool make, const uint8_t **memory) {
    if (where == VG_IN_GENERIC) {
        where = vg_where_of(address);
        if (where == VG_IN_SHARED)
            address -= VG_SHARED_WINDOW;   // of another block of the cluster: not followed
        else if (where != VG_IN_GLOBAL)
            address &= VG_WINDOW_BYTES - 1;
    }
    vg_block *b = w->block;
    switch (where) {
    case VG_IN_SHARED:
        if (address >= b->shared_bytes || !b->fs_shared)
            return NULL;
        *memory = b->shared + (address & ~3ull);
        return b->fs_shared + address / 4;
    case VG_IN_LOCAL:
        if (address >= w->local_stride || !w->fs_local)
            return NULL;
        *memory = w->local + lane * w->local_stride + (address & ~3ull);
        return w->fs_local + (lane * w->local_stride + address) / 4;
    case VG_IN_PARAM: return NULL;
    default: return global_cell(w, address, make, memory);
    }
}

static uint32_t word_of(const uint8_t *memory) {
    uint32_t x;
    memcpy(&x, memory, 4);
    return x;
}

void vg_fs_store_word(vg_warp *w, unsigned lane, vg_where where, uint64_t address, vg_fs_word x) {
    const uint8_t *memory = NULL;
    vg_fs_cell *c = vg_fs_cell_at(w, lane, where, address, x.kind != VG_FS_NONE, &memory);
    if (c)
        *c = (vg_fs_cell){x.lo, x.hi, word_of(memory), x.kind};
}

// The other half keeps its shadow when it is one of the same kind and still fits; else its value stands for it.
void vg_fs_store_half(vg_warp *w, unsigned lane, vg_where where, uint64_t address, uint32_t kind, double x) {
    const uint8_t *memory = NULL;
    vg_fs_cell *c = vg_fs_cell_at(w, lane, where, address, kind != VG_FS_NONE, &memory);
    if (!c || (kind == VG_FS_NONE && c->kind != VG_FS_F16 && c->kind != VG_FS_BF16))
        return;
    const unsigned half = address >> 1 & 1;
    const uint32_t now = word_of(memory), keep = half ? 0xffffu : 0xffff0000u;
    const bool fits = (c->bits & keep) == (now & keep) && (c->kind == kind || kind == VG_FS_NONE);
    const uint32_t k = kind == VG_FS_NONE ? c->kind : kind;
    const double other = fits && c->kind == k ? (half ? c->lo : c->hi) : vg_fs_value(now, k, !half);
    const double mine = kind == VG_FS_NONE ? vg_fs_value(now, k, half) : x;
    *c = (vg_fs_cell){half ? other : mine, half ? mine : other, now, k};
}

vg_fs_word vg_fs_load_word(vg_warp *w, unsigned lane, vg_where where, uint64_t address, uint32_t bits) {
    const uint8_t *memory = NULL;
    const vg_fs_cell *c = vg_fs_cell_at(w, lane, where, address, false, &memory);
    return c && c->bits == bits ? (vg_fs_word){c->lo, c->hi, c->kind} : (vg_fs_word){0, 0, VG_FS_NONE};
}

bool vg_fs_load_half(vg_warp *w, unsigned lane, vg_where where, uint64_t address, uint32_t bits, uint32_t *kind, double *x) {
    const uint8_t *memory = NULL;
    const vg_fs_cell *c = vg_fs_cell_at(w, lane, where, address, false, &memory);
    const unsigned half = address >> 1 & 1;
    if (!c || (c->kind != VG_FS_F16 && c->kind != VG_FS_BF16) || (c->bits >> (16 * half) & 0xffffu) != (bits & 0xffffu))
        return false;
    *kind = c->kind;
    *x = half ? c->hi : c->lo;
    return true;
}

// ---- from outside
static const struct { uint8_t bytes, kind; } g_types[] = {
    [HONE_VGPU_F32] = {4, VG_FS_F32}, [HONE_VGPU_F16] = {2, VG_FS_F16}, [HONE_VGPU_BF16] = {2, VG_FS_BF16}, [HONE_VGPU_F64] = {8, VG_FS_F64}};

static bool fits(const vg_alloc *a, size_t at, size_t count, int type) {
    if (type < 0 || type >= (int)HONE_COUNT(g_types) || !g_types[type].bytes)
        return false;
    const size_t size = g_types[type].bytes;
    return at % size == 0 && at <= a->bytes && count <= (a->bytes - at) / size;
}

static double read_one(const vg_alloc *a, size_t at, unsigned bytes, uint32_t kind) {
    const vg_fs_cell *c = a->fs_cells ? &a->fs_cells[at / 4] : NULL;
    uint32_t word[2] = {0, 0};
    if (bytes == 8) {
        double v;
        memcpy(&v, a->host + at, 8);
        memcpy(word, a->host + at, 8);
        return c && c->kind == VG_FS_F64 && c->bits == word[0] && c[1].bits == word[1] ? c->lo : v;
    }
    const size_t base = at & ~(size_t)3, n = a->bytes - base < 4 ? a->bytes - base : 4;
    memcpy(word, a->host + base, n);
    const unsigned half = bytes == 2 ? at >> 1 & 1 : 0;
    if (bytes == 2 && c && c->kind == kind && ((c->bits ^ word[0]) >> (16 * half) & 0xffffu) == 0)
        return half ? c->hi : c->lo;
    const vg_fs_word x = c && c->bits == word[0] ? (vg_fs_word){c->lo, c->hi, c->kind} : (vg_fs_word){0, 0, VG_FS_NONE};
    return vg_fs_as(x, word[0], kind, half);
}

bool vg_fs_read(const vg_alloc *a, size_t at, size_t count, int type, double *out) {
    if (!fits(a, at, count, type))
        return false;
    for (size_t i = 0; i < count; i++)
        out[i] = read_one(a, at + i * g_types[type].bytes, g_types[type].bytes, g_types[type].kind);
    return true;
}

bool vg_fs_write(vg_alloc *a, size_t at, size_t count, int type, const double *in) {
    if (!fits(a, at, count, type))
        return false;
    if (!in) {
        for (size_t i = at / 4; a->fs_cells && i * 4 < at + count * g_types[type].bytes; i++)
            a->fs_cells[i].kind = VG_FS_NONE;
        if (at == 0 && count * g_types[type].bytes + 4 > a->bytes)
            vg_fs_alloc_free(a);
        return true;
    }
    if (!vg_fs_alloc_cells(a))
        return false;
    const unsigned bytes = g_types[type].bytes;
    for (size_t i = 0; i < count; i++) {
        const size_t p = at + i * bytes, base = p & ~(size_t)3, n = a->bytes - base < 4 ? a->bytes - base : 4;
        vg_fs_cell *c = &a->fs_cells[p / 4];
        uint32_t word = 0;
        memcpy(&word, a->host + base, n);
        const unsigned half = bytes == 2 ? p >> 1 & 1 : 0;
        const double other = bytes == 2 ? vg_fs_value(word, g_types[type].kind, !half) : 0;
        const bool keep = bytes == 2 && half == 1 && i > 0 && c->kind == g_types[type].kind && c->bits == word;
        *c = (vg_fs_cell){half ? (keep ? c->lo : other) : in[i], half ? in[i] : other, word, g_types[type].kind};
        if (bytes == 8) {
            memcpy(&word, a->host + base + 4, 4);
            c[1] = (vg_fs_cell){0, 0, word, VG_FS_NONE};
        }
    }
    return true;
}
