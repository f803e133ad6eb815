// Device memory: addresses, backing, the page table and the initialisation bits. Backing and bits are one anonymous mapping per
// allocation that the host populates lazily, so a 140 GB device costs nothing until touched. Freed allocations give their host memory
// back at once; their addresses stay in quarantine so that a late access is named a use after free. Nothing here knows warps or findings.
#include "vgpu/mem.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 1 << VG_PAGE_SHIFT, REGION_PAGES = 1 << (VG_REGION_SHIFT - VG_PAGE_SHIFT), QUARANTINE_MAX = 256 };
#define REGION_BYTES (1ull << VG_REGION_SHIFT)
#define REGIONS (VG_DEVICE_SPAN >> VG_REGION_SHIFT)
#define HUGE_PAGES_FROM (8u << 20)

typedef struct range { uint64_t first, end; } range;   // free addresses

struct vg_memory {
    vg_page_table table;                     // first: vg_page_alloc reads it through the opaque pointer
    pthread_mutex_t lock;
    HONE_VEC(vg_alloc *) allocs;             // by base address; live and quarantined
    HONE_VEC(range) free_ranges;             // by address, coalesced
    HONE_VEC(vg_alloc *) quarantine;         // oldest first
    size_t used, capacity;
    uint64_t regions_used;                   // regions at and above were never written
    uint32_t next_id;
    uint64_t layout_seed;
};

static uint64_t round_up(uint64_t x, uint64_t to) { return (x + to - 1) / to * to; }

vg_memory *vg_memory_new(size_t capacity_bytes) {
    vg_memory *m = hone_calloc(1, sizeof *m);
    if (!m)
        return NULL;
    void *regions = mmap(NULL, REGIONS * sizeof(uintptr_t), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (regions == MAP_FAILED) {
        hone_free(m);
        return NULL;
    }
    m->table.regions = regions;
    m->capacity = capacity_bytes;
    pthread_mutex_init(&m->lock, NULL);
    range all = {VG_DEVICE_BASE + REGION_BYTES, VG_DEVICE_BASE + VG_DEVICE_SPAN};
    if (!hone_vec_push(&m->free_ranges, all)) {
        vg_memory_free_all(m);
        return NULL;
    }
    return m;
}

void vg_fs_alloc_free(vg_alloc *a);   // fpshadow.c
static void unmap_backing(vg_alloc *a) {
    vg_fs_alloc_free(a);
    if (a->mapped_bytes)
        munmap(a->kind == VG_ALLOC_HOST ? (void *)a->init.bits : (void *)a->host, a->mapped_bytes);
    if (a->granules)
        munmap(a->granules, a->granule_bytes);
    a->granules = NULL;
    a->mapped_bytes = 0;
    a->host = NULL;
    a->init.bits = NULL;
}

void vg_memory_free_all(vg_memory *m) {
    if (!m)
        return;
    for (size_t i = 0; i < m->allocs.n; i++) {
        unmap_backing(m->allocs.v[i]);
        hone_free(m->allocs.v[i]);
    }
    for (uint64_t i = 0; i < m->regions_used; i++)
        if (m->table.regions[i] & 1)
            hone_free((void *)(m->table.regions[i] - 1));
    munmap(m->table.regions, REGIONS * sizeof(uintptr_t));
    hone_vec_free(&m->allocs);
    hone_vec_free(&m->free_ranges);
    hone_vec_free(&m->quarantine);
    pthread_mutex_destroy(&m->lock);
    hone_free(m);
}

// ---- the page table

// Writes `a` (or NULL) for every page of [first, end), both page aligned. False when a region's table cannot be allocated.
static bool table_set(vg_memory *m, uint64_t first, uint64_t end, vg_alloc *a) {
    for (uint64_t at = first; at < end;) {
        uint64_t index = (at - VG_DEVICE_BASE) >> VG_REGION_SHIFT;
        uint64_t region_first = VG_DEVICE_BASE + index * REGION_BYTES, region_end = region_first + REGION_BYTES;
        uintptr_t *entry = &m->table.regions[index];
        m->regions_used = index >= m->regions_used ? index + 1 : m->regions_used;
        if (at == region_first && end >= region_end && !(*entry & 1)) {
            __atomic_store_n(entry, (uintptr_t)a, __ATOMIC_RELEASE);
            at = region_end;
            continue;
        }
        if (!(*entry & 1)) {
            uintptr_t *pages = hone_calloc(REGION_PAGES, sizeof *pages);
            if (!pages)
                return false;
            for (unsigned i = 0; i < REGION_PAGES; i++)
                pages[i] = *entry;
            __atomic_store_n(entry, (uintptr_t)pages | 1, __ATOMIC_RELEASE);
        }
        uintptr_t *pages = (uintptr_t *)(*entry - 1);
        for (; at < end && at < region_end; at += PAGE)
            __atomic_store_n(&pages[(at - region_first) >> VG_PAGE_SHIFT], (uintptr_t)a, __ATOMIC_RELEASE);
    }
    return true;
}

static bool table_map(vg_memory *m, vg_alloc *a) {
    uint64_t first = a->base & ~(uint64_t)(PAGE - 1), end = round_up(a->base + a->bytes, PAGE);
    if (table_set(m, first, end, a))
        return true;
    table_set(m, first, end, NULL);   // what was written before the failure is cleared again; no new tables are needed for those
    return false;
}

// ---- free address ranges

static size_t range_at_or_after(const vg_memory *m, uint64_t addr) {
    size_t lo = 0, hi = m->free_ranges.n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (m->free_ranges.v[mid].first < addr)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static bool range_insert(vg_memory *m, size_t i, range r) {
    if (!hone_vec_push(&m->free_ranges, r))
        return false;
    memmove(&m->free_ranges.v[i + 1], &m->free_ranges.v[i], (m->free_ranges.n - 1 - i) * sizeof(range));
    m->free_ranges.v[i] = r;
    return true;
}

static void range_remove(vg_memory *m, size_t i) {
    m->free_ranges.n--;
    memmove(&m->free_ranges.v[i], &m->free_ranges.v[i + 1], (m->free_ranges.n - i) * sizeof(range));
}

// Returns addresses; when the list cannot grow they are lost, which only costs address space.
static void range_give(vg_memory *m, range r) {
    size_t i = range_at_or_after(m, r.first);
    bool joins_before = i > 0 && m->free_ranges.v[i - 1].end == r.first;
    bool joins_after = i < m->free_ranges.n && m->free_ranges.v[i].first == r.end;
    if (joins_before) {
        m->free_ranges.v[i - 1].end = joins_after ? m->free_ranges.v[i].end : r.end;
        if (joins_after)
            range_remove(m, i);
    } else if (joins_after) {
        m->free_ranges.v[i].first = r.first;
    } else {
        range_insert(m, i, r);
    }
}

// Where [base, range_end) can go in r, or 0. Every placement leaves a red zone of a page before and behind.
static uint64_t place_in(range r, size_t bytes, size_t align, uint64_t *range_end) {
    uint64_t base = round_up(r.first, align > PAGE ? align : PAGE);
    uint64_t end = round_up(base + (bytes ? bytes : 1), PAGE) + PAGE;
    if (base < r.first || end <= base || end > r.end)
        return 0;
    *range_end = end;
    return base;
}

// Takes addresses from free range i. With a layout seed they come from a random place far inside it, so that the order of allocations and
// the distances between them differ from run to run.
static uint64_t range_take(vg_memory *m, size_t i, size_t bytes, size_t align, uint64_t *range_end) {
    range r = m->free_ranges.v[i], from = r;
    if (m->layout_seed) {
        hone_rng rng;
        hone_rng_init(&rng, m->layout_seed, m->next_id);
        uint64_t room = r.end - r.first;
        from.first += hone_rng_below(&rng, room / 2 + 1) & ~(uint64_t)(PAGE - 1);
    }
    uint64_t base = place_in(from, bytes, align, range_end);
    if (!base)
        base = place_in(r, bytes, align, range_end);
    if (!base)
        return 0;
    range behind = {*range_end, r.end};
    if (base > r.first) {
        m->free_ranges.v[i].end = base;
        if (behind.first < behind.end)
            range_insert(m, i + 1, behind);
    } else if (behind.first < behind.end) {
        m->free_ranges.v[i] = behind;
    } else {
        range_remove(m, i);
    }
    return base;
}

static uint64_t take_addresses(vg_memory *m, size_t bytes, size_t align, uint64_t *range_end) {
    for (size_t i = 0; i < m->free_ranges.n; i++) {
        uint64_t base = range_take(m, i, bytes, align, range_end);
        if (base)
            return base;
    }
    return 0;
}

// ---- allocations

static size_t alloc_at_or_after(const vg_memory *m, uint64_t addr) {
    size_t lo = 0, hi = m->allocs.n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (m->allocs.v[mid]->base < addr)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static size_t shadow_bytes(size_t bytes) { return (size_t)round_up((bytes + 63) / 64 * 8 + 8, PAGE); }

// Maps backing and shadow together. Host-visible kinds sit at their own device address.
static bool map_backing(vg_alloc *a) {
    size_t data = (size_t)round_up(a->bytes ? a->bytes : 1, PAGE), bits = shadow_bytes(a->bytes);
    bool visible = a->kind == VG_ALLOC_MANAGED, foreign = a->kind == VG_ALLOC_HOST;
    size_t total = foreign ? bits : data + bits;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *p = MAP_FAILED;
    if (visible) {   // the data pages at the device address, the bits elsewhere would need a second mapping: keep them behind the data
        p = mmap((void *)(uintptr_t)a->base, total, PROT_READ | PROT_WRITE, flags | MAP_FIXED_NOREPLACE, -1, 0);
        if (p != MAP_FAILED && (uint64_t)(uintptr_t)p != a->base) {
            munmap(p, total);
            p = MAP_FAILED;
        }
    } else {
        p = mmap(NULL, total, PROT_READ | PROT_WRITE, flags, -1, 0);
    }
    if (p == MAP_FAILED)
        return false;
    if (total >= HUGE_PAGES_FROM)
        madvise(p, total, MADV_HUGEPAGE);
    if (!foreign)
        a->host = p;
    a->init.bits = (uint64_t *)(void *)((uint8_t *)p + (foreign ? 0 : data));
    a->init.bytes = bits;
    a->mapped_bytes = total;
    return true;
}

static hone_code alloc_nomem(vg_memory *m, size_t bytes, hone_err *e) {
    return hone_fail(e, HONE_E_NOMEM, ENOMEM, "cannot allocate %zu B of device memory: %zu of %zu B are in use", bytes, m->used, m->capacity);
}

static bool alloc_insert(vg_memory *m, vg_alloc *a) {
    size_t i = alloc_at_or_after(m, a->base);
    if (!hone_vec_push(&m->allocs, a))
        return false;
    memmove(&m->allocs.v[i + 1], &m->allocs.v[i], (m->allocs.n - 1 - i) * sizeof a);
    m->allocs.v[i] = a;
    return true;
}

static void alloc_remove(vg_memory *m, const vg_alloc *a) {
    size_t i = alloc_at_or_after(m, a->base);
    m->allocs.n--;
    memmove(&m->allocs.v[i], &m->allocs.v[i + 1], (m->allocs.n - i) * sizeof a);
}

static size_t charged(const vg_alloc *a) { return a->kind == VG_ALLOC_RESERVED ? 0 : a->bytes; }

static hone_code alloc_locked(vg_memory *m, vg_alloc *a, size_t align, hone_err *e) {
    size_t for_bits = a->kind == VG_ALLOC_MANAGED ? shadow_bytes(a->bytes) : 0;   // lies behind the data in the same addresses
    uint64_t base = take_addresses(m, a->bytes + for_bits, align, &a->range_end);
    if (!base)
        return alloc_nomem(m, a->bytes, e);
    a->base = base;
    a->id = ++m->next_id;
    snprintf(a->name, sizeof a->name, "allocation #%u", a->id);
    if (map_backing(a)) {
        if (a->kind == VG_ALLOC_RESERVED || table_map(m, a)) {
            if (alloc_insert(m, a)) {
                m->used += charged(a);
                return HONE_OK;
            }
            table_set(m, a->base, round_up(a->base + a->bytes, PAGE), NULL);
        }
        unmap_backing(a);
    }
    range_give(m, (range){base, a->range_end});
    return alloc_nomem(m, a->bytes, e);
}

static hone_code alloc_kind(vg_memory *m, size_t bytes, size_t align, uint32_t kind, void *host, vg_alloc **out, hone_err *e) {
    if (kind != VG_ALLOC_HOST && kind != VG_ALLOC_RESERVED && (bytes > m->capacity || m->used > m->capacity - bytes))
        return alloc_nomem(m, bytes, e);
    vg_alloc *a = hone_calloc(1, sizeof *a);
    if (!a)
        return alloc_nomem(m, bytes, e);
    a->bytes = bytes;
    a->kind = kind;
    a->host = host;
    atomic_store(&a->initialized, host != NULL || kind == VG_ALLOC_MANAGED);   // the host writes there unseen
    pthread_mutex_lock(&m->lock);
    hone_code code = alloc_locked(m, a, align, e);
    pthread_mutex_unlock(&m->lock);
    if (code != HONE_OK) {
        hone_free(a);
        return code;
    }
    *out = a;
    return HONE_OK;
}

hone_code vg_memory_alloc(vg_memory *m, size_t bytes, size_t align, uint32_t kind, vg_alloc **out, hone_err *e) {
    return alloc_kind(m, bytes, align, kind, NULL, out, e);
}

hone_code vg_memory_register(vg_memory *m, void *host, size_t bytes, vg_alloc **out, hone_err *e) {
    return alloc_kind(m, bytes, PAGE, VG_ALLOC_HOST, host, out, e);
}

static void quarantine_push(vg_memory *m, vg_alloc *a) {
    if (m->quarantine.n >= QUARANTINE_MAX || !hone_vec_push(&m->quarantine, a)) {
        vg_alloc *oldest = m->quarantine.n ? m->quarantine.v[0] : a;
        alloc_remove(m, oldest);
        range_give(m, (range){oldest->base, oldest->range_end});
        if (oldest != a) {
            memmove(&m->quarantine.v[0], &m->quarantine.v[1], (m->quarantine.n - 1) * sizeof a);
            m->quarantine.v[m->quarantine.n - 1] = a;
        }
        unmap_backing(oldest);
        hone_free(oldest);
    }
}

hone_code vg_memory_free(vg_memory *m, uint64_t base, hone_err *e) {
    pthread_mutex_lock(&m->lock);
    size_t i = alloc_at_or_after(m, base);
    vg_alloc *a = i < m->allocs.n && m->allocs.v[i]->base == base ? m->allocs.v[i] : NULL;
    if (!a || a->freed) {
        pthread_mutex_unlock(&m->lock);
        return hone_fail(e, HONE_E_USAGE, 0, "cannot free 0x%llx: %s", (unsigned long long)base, a ? "it is free already" : "no allocation starts there");
    }
    table_set(m, a->base, round_up(a->base + (a->bytes ? a->bytes : 1), PAGE), NULL);
    m->used -= charged(a);
    a->freed = true;
    unmap_backing(a);
    quarantine_push(m, a);
    pthread_mutex_unlock(&m->lock);
    return HONE_OK;
}

int vg_memory_free_heap(vg_memory *m, uint64_t base, size_t *bytes) {
    pthread_mutex_lock(&m->lock);
    size_t i = alloc_at_or_after(m, base);
    vg_alloc *a = i < m->allocs.n && m->allocs.v[i]->base == base ? m->allocs.v[i] : NULL;
    const int result = !a || a->kind != VG_ALLOC_HEAP ? VG_HEAP_UNKNOWN : a->freed ? VG_HEAP_TWICE : VG_HEAP_FREED;
    if (result == VG_HEAP_FREED) {
        table_set(m, a->base, round_up(a->base + a->bytes, PAGE), NULL);
        m->used -= *bytes = a->bytes;
        a->freed = true;
        quarantine_push(m, a);
    }
    pthread_mutex_unlock(&m->lock);
    return result;
}

void vg_memory_set_layout(vg_memory *m, uint64_t layout_seed) { m->layout_seed = layout_seed; }

// Of a reservation whose first byte is open: the others too?
static bool all_open(const vg_memory *m, const vg_alloc *a, uint64_t addr, size_t bytes) {
    for (uint64_t at = (addr | (REGION_BYTES - 1)) + 1; at < addr + bytes; at += REGION_BYTES)
        if (vg_page_alloc(m, at) != a)
            return false;
    return true;
}

vg_alloc *vg_memory_find(const vg_memory *m, uint64_t addr, size_t bytes) {
    vg_alloc *a = vg_page_alloc(m, addr);
    if (a && a->kind == VG_ALLOC_RESERVED && !all_open(m, a, addr, bytes))
        return NULL;
    return a && addr >= a->base && addr - a->base <= a->bytes && bytes <= a->bytes - (addr - a->base) ? a : NULL;
}

// ---- reservations

hone_code vg_memory_reserve(vg_memory *m, size_t bytes, size_t align, vg_alloc **out, hone_err *e) {
    return alloc_kind(m, bytes, align > VG_MAP_BYTES ? align : VG_MAP_BYTES, VG_ALLOC_RESERVED, NULL, out, e);
}

bool vg_memory_map(vg_memory *m, vg_alloc *a, size_t at, size_t bytes, int fd, size_t file_at) {
    (void)m;
    return mmap(a->host + at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, (off_t)file_at) != MAP_FAILED;
}

bool vg_memory_open(vg_memory *m, vg_alloc *a, size_t at, size_t bytes, bool open) {
    pthread_mutex_lock(&m->lock);
    bool ok = table_set(m, a->base + at, a->base + at + bytes, open ? a : NULL);
    pthread_mutex_unlock(&m->lock);
    return ok;
}

// Empty pages take its place, so that a stray access by a warp that was in the open part before does not end the process.
void vg_memory_unmap(vg_memory *m, vg_alloc *a, size_t at, size_t bytes) {
    vg_memory_open(m, a, at, bytes, false);
    vg_init_forget(a, at, bytes);
    if (mmap(a->host + at, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
        madvise(a->host + at, bytes, MADV_DONTNEED);   // it keeps the old pages: nothing finds them
}

hone_code vg_memory_charge(vg_memory *m, size_t bytes, hone_err *e) {
    pthread_mutex_lock(&m->lock);
    bool fits = bytes <= m->capacity && m->used <= m->capacity - bytes;
    m->used += fits ? bytes : 0;
    pthread_mutex_unlock(&m->lock);
    return fits ? HONE_OK : alloc_nomem(m, bytes, e);
}

void vg_memory_uncharge(vg_memory *m, size_t bytes) {
    pthread_mutex_lock(&m->lock);
    m->used -= bytes;
    pthread_mutex_unlock(&m->lock);
}

static uint64_t distance(const vg_alloc *a, uint64_t addr) {
    if (addr < a->base)
        return a->base - addr;
    return addr < a->base + a->bytes ? 0 : addr - (a->base + a->bytes) + 1;
}

const vg_alloc *vg_memory_nearest(const vg_memory *m, uint64_t addr) {
    pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&m->lock;
    pthread_mutex_lock(lock);
    size_t i = alloc_at_or_after(m, addr + 1);
    const vg_alloc *before = i > 0 ? m->allocs.v[i - 1] : NULL, *after = i < m->allocs.n ? m->allocs.v[i] : NULL;
    pthread_mutex_unlock(lock);
    if (!before || !after)
        return before ? before : after;
    return distance(before, addr) <= distance(after, addr) ? before : after;
}

void vg_memory_each(vg_memory *m, void (*visit)(vg_alloc *a, void *self), void *self) {
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->allocs.n; i++)
        if (!m->allocs.v[i]->freed)
            visit(m->allocs.v[i], self);
    pthread_mutex_unlock(&m->lock);
}

size_t vg_memory_used(const vg_memory *m) { return m->used; }
size_t vg_memory_capacity(const vg_memory *m) { return m->capacity; }

// ---- initialisation bits: bit k of word k / 64

// The bits of word i that [at, at+bytes) covers.
static uint64_t word_mask(size_t at, size_t bytes, size_t i) {
    size_t first = i * 64 > at ? 0 : at - i * 64, end = at + bytes - i * 64;
    uint64_t up = end >= 64 ? ~0ull : (1ull << end) - 1;
    return up & ~((1ull << first) - 1);
}

void vg_init_mark(vg_alloc *a, size_t at, size_t bytes) {
    if (!bytes || atomic_load_explicit(&a->initialized, memory_order_relaxed))
        return;
    if (at == 0 && bytes >= a->bytes) {
        atomic_store_explicit(&a->initialized, true, memory_order_relaxed);
        return;
    }
    uint64_t *w = a->init.bits;
    for (size_t i = at / 64, last = (at + bytes - 1) / 64; i <= last; i++) {
        uint64_t mask = word_mask(at, bytes, i);
        if (mask == ~0ull)
            __atomic_store_n(&w[i], mask, __ATOMIC_RELAXED);
        else if ((__atomic_load_n(&w[i], __ATOMIC_RELAXED) & mask) != mask)
            __atomic_fetch_or(&w[i], mask, __ATOMIC_RELAXED);
    }
}

void vg_init_forget(vg_alloc *a, size_t at, size_t bytes) {
    if (!bytes)
        return;
    uint64_t *w = a->init.bits;
    if (atomic_exchange(&a->initialized, false))
        memset(w, 0xff, (a->bytes + 63) / 64 * 8);
    for (size_t i = at / 64, last = (at + bytes - 1) / 64; i <= last; i++)
        __atomic_fetch_and(&w[i], ~word_mask(at, bytes, i), __ATOMIC_RELAXED);
}

bool vg_init_all(const vg_alloc *a, size_t at, size_t bytes) {
    return vg_init_missing(a, at, bytes, NULL) == 0;
}

size_t vg_init_missing(const vg_alloc *a, size_t at, size_t bytes, size_t *first) {
    if (!bytes || atomic_load_explicit(&a->initialized, memory_order_relaxed))
        return 0;
    size_t missing = 0;
    for (size_t i = at / 64, last = (at + bytes - 1) / 64; i <= last; i++) {
        uint64_t hole = word_mask(at, bytes, i) & ~__atomic_load_n(&a->init.bits[i], __ATOMIC_RELAXED);
        if (hole && !missing && first)
            *first = i * 64 + (size_t)__builtin_ctzll(hole) - at;
        missing += (size_t)__builtin_popcountll(hole);
    }
    return missing;
}
