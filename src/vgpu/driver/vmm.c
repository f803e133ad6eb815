// Virtual memory management: physical memory by handle (a file of its own in memory), reserved addresses, and mappings of the one into the other. A reservation
// is one allocation of the memory model, so kernels and copies run across neighbouring mappings; pages that are not mapped and opened belong to nobody.
#include "vgpu/driver/work.h"
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LOCATION_DEVICE = 1, PINNED = 1, ACCESS_NONE = 0, ACCESS_ALL = 3, GRANULE = VG_MAP_BYTES };

typedef struct physical {
    size_t bytes;
    int fd;
    unsigned refs, maps;      // of the program's handles, of mappings
    bool mapped_before;       // it may hold something
    CUallocProps props;
    struct CUctx_st *context; // that counts it
    uint64_t context_id;
    struct physical *next;
} physical;
typedef struct mapping { size_t at, bytes; physical *of; bool open; } mapping;
typedef struct reservation {
    vg_alloc *alloc;
    struct CUctx_st *context;
    uint64_t context_id;
    HONE_VEC(mapping) maps;   // by address
    struct reservation *next;
} reservation;
static physical *physicals;
static reservation *reservations;
static pthread_mutex_t vmm_lock = PTHREAD_MUTEX_INITIALIZER;   // taken after a context's

static bool whole(size_t x) { return x % GRANULE == 0; }

// ---- physical memory

static void drop_physical(physical *p) {
    physical **at = &physicals;
    if (p->refs || p->maps)
        return;
    while (*at && *at != p)
        at = &(*at)->next;
    if (*at)
        *at = p->next;
    if (vg_front_is_alive(p->context, p->context_id))
        vg_memory_uncharge(p->context->vg->memory, p->bytes);
    vg_handle_drop(p);
    close(p->fd);
    hone_free(p);
}

static CUresult check_props(const CUallocProps *p) {
    if (!p || p->type != PINNED)
        return CUDA_ERROR_INVALID_VALUE;
    if (p->where.type != LOCATION_DEVICE || p->handle_types)
        return CUDA_ERROR_NOT_SUPPORTED;
    return p->where.id == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

static CUresult make_physical(struct CUctx_st *c, size_t bytes, const CUallocProps *props, physical **out) {
    hone_err e = {0};
    if (vg_memory_charge(c->vg->memory, bytes, &e) != HONE_OK)
        return vg_front_result(&e);
    physical *p = hone_calloc(1, sizeof *p);
    int fd = p ? memfd_create("hone-vmm", MFD_CLOEXEC) : -1;
    if (fd < 0 || ftruncate(fd, (off_t)bytes) != 0 || !vg_handle_add(p, VG_PHYSICAL)) {
        vg_memory_uncharge(c->vg->memory, bytes);
        if (fd >= 0)
            close(fd);
        hone_free(p);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    pthread_mutex_lock(&vmm_lock);
    *p = (physical){.bytes = bytes, .fd = fd, .refs = 1, .props = *props, .context = c, .context_id = c->id, .next = physicals};
    physicals = p;
    pthread_mutex_unlock(&vmm_lock);
    *out = p;
    return CUDA_SUCCESS;
}

VG_API CUresult cuMemGetAllocationGranularity(size_t *bytes, const CUallocProps *props, int option) {
    CUresult r = vg_front_device() ? check_props(props) : CUDA_ERROR_NOT_INITIALIZED;
    if (r == CUDA_SUCCESS && (!bytes || option < 0 || option > 1))
        r = CUDA_ERROR_INVALID_VALUE;
    if (r == CUDA_SUCCESS)
        *bytes = GRANULE;
    return r;
}

VG_API CUresult cuMemCreate(unsigned long long *handle, size_t bytes, const CUallocProps *props, unsigned long long flags) {
    struct CUctx_st *c;
    physical *p = NULL;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    r = check_props(props);
    if (r == CUDA_SUCCESS && (!handle || !bytes || !whole(bytes) || flags))
        r = CUDA_ERROR_INVALID_VALUE;
    if (r == CUDA_SUCCESS)
        r = make_physical(c, bytes, props, &p);
    if (r == CUDA_SUCCESS)
        *handle = (unsigned long long)(uintptr_t)p;
    return vg_front_leave(c, r);
}

static physical *physical_of(unsigned long long handle) {
    physical *p = (physical *)(uintptr_t)handle;
    return vg_handle_is(p, VG_PHYSICAL) && p->refs ? p : NULL;
}

VG_API CUresult cuMemRelease(unsigned long long handle) {
    pthread_mutex_lock(&vmm_lock);
    physical *p = physical_of(handle);
    if (p && --p->refs == 0)
        drop_physical(p);   // unless it is mapped: then with its last mapping
    pthread_mutex_unlock(&vmm_lock);
    return p ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

VG_API CUresult cuMemGetAllocationPropertiesFromHandle(CUallocProps *props, unsigned long long handle) {
    pthread_mutex_lock(&vmm_lock);
    const physical *p = physical_of(handle);
    if (p && props)
        *props = p->props;
    pthread_mutex_unlock(&vmm_lock);
    return p && props ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

// ---- addresses

static reservation *reservation_of(const struct CUctx_st *c, CUdeviceptr at, size_t bytes) {
    for (reservation *r = reservations; r; r = r->next)
        if (r->context == c && r->context_id == c->id && at >= r->alloc->base && at - r->alloc->base <= r->alloc->bytes &&
            bytes <= r->alloc->bytes - (at - r->alloc->base))
            return r;
    return NULL;
}

VG_API CUresult cuMemAddressReserve(CUdeviceptr *out, size_t bytes, size_t align, CUdeviceptr hint, unsigned long long flags) {
    struct CUctx_st *c;
    hone_err e = {0};
    (void)hint;   // a wish
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    if (!out || !bytes || !whole(bytes) || (align & (align - 1)) || flags)
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    reservation *x = hone_calloc(1, sizeof *x);
    if (!x || vg_memory_reserve(c->vg->memory, bytes, align, &x->alloc, &e) != HONE_OK) {
        hone_free(x);
        return vg_front_leave(c, CUDA_ERROR_OUT_OF_MEMORY);
    }
    x->alloc->use = VG_USE_VMM;
    x->context = c;
    x->context_id = c->id;
    pthread_mutex_lock(&vmm_lock);
    x->next = reservations;
    reservations = x;
    pthread_mutex_unlock(&vmm_lock);
    *out = x->alloc->base;
    return vg_front_leave(c, CUDA_SUCCESS);
}

VG_API CUresult cuMemAddressFree(CUdeviceptr at, size_t bytes) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    pthread_mutex_lock(&vmm_lock);
    reservation *x = reservation_of(c, at, bytes), **link = &reservations;
    if (!x || x->alloc->base != at || x->alloc->bytes != bytes || x->maps.n) {   // as it was reserved, and with nothing in it
        r = CUDA_ERROR_INVALID_VALUE;
    } else {
        while (*link != x)
            link = &(*link)->next;
        *link = x->next;
        vg_memory_free(c->vg->memory, at, NULL);
        hone_vec_free(&x->maps);
        hone_free(x);
    }
    pthread_mutex_unlock(&vmm_lock);
    return vg_front_leave(c, r);
}

// ---- mappings

// The first mapping that ends after `at`.
static size_t mapping_at(const reservation *x, size_t at) {
    size_t i = 0;
    while (i < x->maps.n && x->maps.v[i].at + x->maps.v[i].bytes <= at)
        i++;
    return i;
}

static CUresult add_mapping(reservation *x, struct CUctx_st *c, mapping m, size_t file_at) {
    size_t i = mapping_at(x, m.at);
    if (i < x->maps.n && x->maps.v[i].at < m.at + m.bytes)
        return CUDA_ERROR_INVALID_VALUE;   // something is mapped there
    if (!hone_vec_push(&x->maps, m))
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (!vg_memory_map(c->vg->memory, x->alloc, m.at, m.bytes, m.of->fd, file_at)) {
        x->maps.n--;
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    memmove(&x->maps.v[i + 1], &x->maps.v[i], (x->maps.n - 1 - i) * sizeof m);
    x->maps.v[i] = m;
    if (m.of->mapped_before)
        vg_init_mark(x->alloc, m.at, m.bytes);
    m.of->mapped_before = true;
    m.of->maps++;
    return CUDA_SUCCESS;
}

// What was written at one place is seen at the others.
static void mark_others(const physical *p) {
    for (reservation *x = reservations; x && p->maps > 1; x = x->next)
        for (size_t i = 0; i < x->maps.n && vg_front_is_alive(x->context, x->context_id); i++)
            if (x->maps.v[i].of == p)
                vg_init_mark(x->alloc, x->maps.v[i].at, x->maps.v[i].bytes);
}

VG_API CUresult cuMemMap(CUdeviceptr at, size_t bytes, size_t offset, unsigned long long handle, unsigned long long flags) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    pthread_mutex_lock(&vmm_lock);
    reservation *x = reservation_of(c, at, bytes);
    physical *p = physical_of(handle);
    if (!x || !p || !bytes || !whole(at - x->alloc->base) || !whole(bytes) || !whole(offset) || offset > p->bytes || bytes > p->bytes - offset || flags)
        r = CUDA_ERROR_INVALID_VALUE;
    else
        r = add_mapping(x, c, (mapping){.at = at - x->alloc->base, .bytes = bytes, .of = p}, offset);
    if (r == CUDA_SUCCESS)
        mark_others(p);
    pthread_mutex_unlock(&vmm_lock);
    return vg_front_leave(c, r);
}

// Whether whole mappings fill [at, at+bytes): *first and *n of them.
static bool whole_mappings(const reservation *x, size_t at, size_t bytes, size_t *first, size_t *n) {
    size_t i = *first = mapping_at(x, at), end = at;
    if (i == x->maps.n || x->maps.v[i].at != at)
        return false;
    for (; i < x->maps.n && x->maps.v[i].at == end && end < at + bytes; i++)
        end += x->maps.v[i].bytes;
    *n = i - *first;
    return end == at + bytes;
}

VG_API CUresult cuMemUnmap(CUdeviceptr at, size_t bytes) {
    struct CUctx_st *c;
    size_t first, n;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    r = vg_work_drain(c, NULL);   // what is held back may use it
    if (r != CUDA_SUCCESS)
        return vg_front_leave(c, r);
    pthread_mutex_lock(&vmm_lock);
    reservation *x = reservation_of(c, at, bytes);
    if (!x || !whole_mappings(x, at - x->alloc->base, bytes, &first, &n)) {
        r = CUDA_ERROR_INVALID_VALUE;
    } else {
        vg_memory_unmap(c->vg->memory, x->alloc, at - x->alloc->base, bytes);
        for (size_t i = first; i < first + n; i++) {
            x->maps.v[i].of->maps--;
            drop_physical(x->maps.v[i].of);
        }
        memmove(&x->maps.v[first], &x->maps.v[first + n], (x->maps.n - first - n) * sizeof x->maps.v[0]);
        x->maps.n -= n;
    }
    pthread_mutex_unlock(&vmm_lock);
    return vg_front_leave(c, r);
}

static CUresult set_access(struct CUctx_st *c, CUdeviceptr at, size_t bytes, const CUmemAccess *a) {
    reservation *x = reservation_of(c, at, bytes);
    size_t first, n;
    if (!x || !whole_mappings(x, at - x->alloc->base, bytes, &first, &n) || a->where.type != LOCATION_DEVICE)
        return CUDA_ERROR_INVALID_VALUE;
    if (a->where.id != 0)
        return CUDA_ERROR_INVALID_DEVICE;
    if (a->flags != ACCESS_NONE && a->flags != ACCESS_ALL)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (!vg_memory_open(c->vg->memory, x->alloc, at - x->alloc->base, bytes, a->flags == ACCESS_ALL))
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (size_t i = first; i < first + n; i++)
        x->maps.v[i].open = a->flags == ACCESS_ALL;
    return CUDA_SUCCESS;
}

VG_API CUresult cuMemSetAccess(CUdeviceptr at, size_t bytes, const CUmemAccess *list, size_t n) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    if (!list || !n)
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    pthread_mutex_lock(&vmm_lock);
    for (size_t i = 0; i < n && r == CUDA_SUCCESS; i++)
        r = set_access(c, at, bytes, &list[i]);
    pthread_mutex_unlock(&vmm_lock);
    return vg_front_leave(c, r);
}

static const mapping *find_mapping(const struct CUctx_st *c, CUdeviceptr at) {
    const reservation *x = reservation_of(c, at, 1);
    size_t i = x ? mapping_at(x, at - x->alloc->base) : 0;
    return x && i < x->maps.n && x->maps.v[i].at <= at - x->alloc->base ? &x->maps.v[i] : NULL;
}

VG_API CUresult cuMemGetAccess(unsigned long long *flags, const CUmemLocation *where, CUdeviceptr at) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    pthread_mutex_lock(&vmm_lock);
    const mapping *m = find_mapping(c, at);
    if (m && flags && where && where->type == LOCATION_DEVICE && where->id == 0)
        *flags = m->open ? ACCESS_ALL : ACCESS_NONE;
    else
        r = CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_unlock(&vmm_lock);
    return vg_front_leave(c, r);
}

VG_API CUresult cuMemRetainAllocationHandle(unsigned long long *handle, void *at) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    pthread_mutex_lock(&vmm_lock);
    const mapping *m = find_mapping(c, (CUdeviceptr)(uintptr_t)at);
    if (m && handle) {
        m->of->refs++;
        *handle = (unsigned long long)(uintptr_t)m->of;
    } else {
        r = CUDA_ERROR_INVALID_VALUE;
    }
    pthread_mutex_unlock(&vmm_lock);
    return vg_front_leave(c, r);
}

void vg_vmm_free(void) {
    for (reservation *x = reservations, *next; x; x = next) {
        next = x->next;
        hone_vec_free(&x->maps);
        hone_free(x);
    }
    for (physical *p = physicals, *next; p; p = next) {
        next = p->next;
        close(p->fd);
        hone_free(p);
    }
    reservations = NULL;
    physicals = NULL;
}
