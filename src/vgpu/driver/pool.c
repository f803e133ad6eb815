// Stream-ordered allocation and its pools. Memory given back is really given back, so that a late use is found: a pool never caches, and what it
// reports as reserved is what is in use. Memory allocated inside a graph belongs to the graph: it keeps its address, and every launch of the allocation
// node makes its bytes unwritten again.
#include "vgpu/driver/work.h"
#include <string.h>

struct CUmemPoolHandle_st {
    bool is_default;
    uint64_t attribute[9];   // by CUmemPool_attribute; 5..8: reserved and used, current and high
    size_t max_bytes;
    uint64_t live;
};
enum { ATTR_FIRST = 1, ATTR_THRESHOLD = 4, RESERVED_NOW = 5, RESERVED_HIGH = 6, USED_NOW = 7, USED_HIGH = 8, ATTR_LAST = 8 };
static struct CUmemPoolHandle_st default_pool = {.is_default = true, .attribute = {[1] = 1, [2] = 1, [3] = 1}};
static struct CUmemPoolHandle_st *current_pool = &default_pool;
static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t graph_used, graph_high;

static bool is_pool(const struct CUmemPoolHandle_st *p) { return p == &default_pool || vg_handle_is(p, VG_POOL); }

static void count(struct CUmemPoolHandle_st *p, int64_t bytes) {
    pthread_mutex_lock(&pool_lock);
    p->live += bytes > 0 ? 1 : -1;
    for (int now = RESERVED_NOW; now <= USED_NOW; now += 2) {
        p->attribute[now] += (uint64_t)bytes;
        if (p->attribute[now] > p->attribute[now + 1])
            p->attribute[now + 1] = p->attribute[now];
    }
    pthread_mutex_unlock(&pool_lock);
}

// ---- memory of graphs

CUresult vg_graph_memory_new(struct CUctx_st *c, size_t bytes, vg_graph_memory **out) {
    vg_graph_memory *m = hone_calloc(1, sizeof *m);
    vg_alloc *a;
    hone_err e = {0};
    if (!m || vg_memory_alloc(c->vg->memory, bytes, 512, VG_ALLOC_DEVICE, &a, &e) != HONE_OK) {
        hone_free(m);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    a->use = VG_USE_GRAPH;
    a->owner = m;
    *m = (vg_graph_memory){.refs = 1, .context = c, .context_id = c->id, .at = a->base, .bytes = bytes};
    *out = m;
    graph_used += bytes;
    graph_high = graph_used > graph_high ? graph_used : graph_high;
    return CUDA_SUCCESS;
}

void vg_graph_memory_keep(vg_graph_memory *m) { __atomic_add_fetch(&m->refs, 1, __ATOMIC_RELAXED); }

void vg_graph_memory_drop(vg_graph_memory *m) {
    if (__atomic_sub_fetch(&m->refs, 1, __ATOMIC_ACQ_REL))
        return;
    graph_used -= m->bytes;
    if (vg_front_is_alive(m->context, m->context_id))
        vg_memory_free(m->context->vg->memory, m->at, NULL);
    hone_free(m);
}

// ---- allocation and release

CUresult vg_pool_release(struct CUctx_st *c, CUdeviceptr p) {
    vg_alloc *a = vg_memory_find(c->vg->memory, p, 1);
    hone_err e = {0};
    if (!a || a->base != p)
        return CUDA_ERROR_INVALID_VALUE;
    if (a->use == VG_USE_GRAPH) {   // its graph keeps the address
        vg_init_forget(a, 0, a->bytes);
        return CUDA_SUCCESS;
    }
    if (a->use == VG_USE_POOL && is_pool(a->owner))
        count(a->owner, -(int64_t)a->bytes);
    return vg_memory_free(c->vg->memory, p, &e) == HONE_OK ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult vg_pool_run(struct CUctx_st *c, struct CUstream_st *s, const vg_work *w) {
    (void)s;
    if (w->kind == VG_WORK_FREE)
        return vg_pool_release(c, w->memory.at);
    vg_alloc *a = vg_memory_find(c->vg->memory, w->memory.at, 1);
    if (!a)
        return CUDA_ERROR_INVALID_VALUE;
    vg_init_forget(a, 0, a->bytes);
    return CUDA_SUCCESS;
}

static CUresult take(struct CUctx_st *c, struct CUmemPoolHandle_st *pool, size_t bytes, CUdeviceptr *out) {
    vg_alloc *a;
    hone_err e = {0};
    if (pool->max_bytes && (bytes > pool->max_bytes || pool->attribute[USED_NOW] > pool->max_bytes - bytes))
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (vg_memory_alloc(c->vg->memory, bytes, 512, VG_ALLOC_DEVICE, &a, &e) != HONE_OK)
        return vg_front_result(&e);
    a->use = VG_USE_POOL;
    a->owner = pool;
    count(pool, (int64_t)bytes);
    *out = a->base;
    return CUDA_SUCCESS;
}

static CUresult capture_allocation(struct CUctx_st *c, struct CUstream_st *s, size_t bytes, CUdeviceptr *out) {
    vg_graph_memory *m;
    CUresult r = vg_graph_memory_new(c, bytes, &m);
    if (r != CUDA_SUCCESS)
        return r;
    r = vg_work_submit(c, s, &(vg_work){.kind = VG_WORK_ALLOC, .memory = {m->at, bytes, m}});
    *out = m->at;
    vg_graph_memory_drop(m);   // the node has its own hold
    return r;
}

VG_API CUresult cuMemAllocFromPoolAsync(CUdeviceptr *p, size_t bytes, CUmemoryPool pool, CUstream q) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    struct CUstream_st *s = vg_stream_of(c, q);
    if (!s || !is_pool(pool))
        return vg_front_leave(c, s ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_HANDLE);
    if (!p || !bytes)
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    return vg_front_leave(c, s->capture ? capture_allocation(c, s, bytes, p) : take(c, pool, bytes, p));
}
VG_API CUresult cuMemAllocAsync(CUdeviceptr *p, size_t bytes, CUstream q) { return cuMemAllocFromPoolAsync(p, bytes, current_pool, q); }

VG_API CUresult cuMemFreeAsync(CUdeviceptr p, CUstream q) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    struct CUstream_st *s = vg_stream_of(c, q);
    if (!s)
        return vg_front_leave(c, CUDA_ERROR_INVALID_HANDLE);
    const vg_alloc *a = p ? vg_memory_find(c->vg->memory, p, 1) : NULL;
    bool ours = a && a->base == p && a->kind != VG_ALLOC_GLOBAL && (a->use == VG_USE_PLAIN || a->use == VG_USE_POOL || a->use == VG_USE_GRAPH);
    if (p && !ours)
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    return vg_front_leave(c, p ? vg_work_submit(c, s, &(vg_work){.kind = VG_WORK_FREE, .memory = {.at = p}}) : CUDA_SUCCESS);
}

// ---- pools

static CUresult check(const void *out, CUdevice d) {
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    return d ? CUDA_ERROR_INVALID_DEVICE : out ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
VG_API CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *out, CUdevice d) {
    CUresult r = check(out, d);
    return r == CUDA_SUCCESS ? (*out = &default_pool, r) : r;
}
VG_API CUresult cuDeviceGetMemPool(CUmemoryPool *out, CUdevice d) {
    CUresult r = check(out, d);
    return r == CUDA_SUCCESS ? (*out = current_pool, r) : r;
}
VG_API CUresult cuDeviceSetMemPool(CUdevice d, CUmemoryPool p) {
    CUresult r = check(p, d);
    if (r == CUDA_SUCCESS && !is_pool(p))
        r = CUDA_ERROR_INVALID_VALUE;
    return r == CUDA_SUCCESS ? (current_pool = p, r) : r;
}

// The same by location: pools of device memory only (allocation type 1, pinned).
static CUresult check_location(const void *p, const CUmemLocation *where, int type) {
    if (!where || type != 1)
        return CUDA_ERROR_INVALID_VALUE;
    return where->type == 1 ? check(p, where->id) : CUDA_ERROR_NOT_SUPPORTED;
}
VG_API CUresult cuMemGetDefaultMemPool(CUmemoryPool *out, CUmemLocation *where, int type) {
    const CUresult r = check_location(out, where, type);
    return r == CUDA_SUCCESS ? cuDeviceGetDefaultMemPool(out, where->id) : r;
}
VG_API CUresult cuMemGetMemPool(CUmemoryPool *out, CUmemLocation *where, int type) {
    const CUresult r = check_location(out, where, type);
    return r == CUDA_SUCCESS ? cuDeviceGetMemPool(out, where->id) : r;
}
VG_API CUresult cuMemSetMemPool(CUmemLocation *where, int type, CUmemoryPool p) {
    const CUresult r = check_location(p, where, type);
    return r == CUDA_SUCCESS ? cuDeviceSetMemPool(where->id, p) : r;
}

VG_API CUresult cuMemPoolCreate(CUmemoryPool *out, const CUpoolProps *props) {
    enum { PINNED = 1, ON_DEVICE = 1 };
    CUresult r = check(out, 0);
    if (r != CUDA_SUCCESS || !props || props->type != PINNED || props->where.type != ON_DEVICE || props->where.id != 0)
        return r != CUDA_SUCCESS ? r : CUDA_ERROR_INVALID_VALUE;
    if (props->handle_types)
        return CUDA_ERROR_NOT_SUPPORTED;   // nothing can be shared with another process
    struct CUmemPoolHandle_st *p = hone_calloc(1, sizeof *p);
    if (!p || !vg_handle_add(p, VG_POOL)) {
        hone_free(p);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    p->attribute[1] = p->attribute[2] = p->attribute[3] = 1;
    p->max_bytes = props->max_bytes;
    *out = p;
    return CUDA_SUCCESS;
}

VG_API CUresult cuMemPoolDestroy(CUmemoryPool p) {
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!vg_handle_is(p, VG_POOL))
        return CUDA_ERROR_INVALID_VALUE;   // also the default pool
    if (current_pool == p)
        current_pool = &default_pool;
    vg_handle_drop(p);   // what was allocated from it stays valid until it is freed
    hone_free(p);
    return CUDA_SUCCESS;
}

static CUresult check_attribute(const struct CUmemPoolHandle_st *p, int attribute, const void *value) {
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    return is_pool(p) && value && attribute >= ATTR_FIRST && attribute <= ATTR_LAST ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

VG_API CUresult cuMemPoolGetAttribute(CUmemoryPool p, int attribute, void *value) {
    CUresult r = check_attribute(p, attribute, value);
    if (r != CUDA_SUCCESS)
        return r;
    if (attribute < ATTR_THRESHOLD)
        memcpy(value, &(int){(int)p->attribute[attribute]}, sizeof(int));
    else
        memcpy(value, &p->attribute[attribute], sizeof p->attribute[0]);
    return CUDA_SUCCESS;
}

VG_API CUresult cuMemPoolSetAttribute(CUmemoryPool p, int attribute, void *value) {
    CUresult r = check_attribute(p, attribute, value);
    uint64_t wide = 0;
    int narrow = 0;
    if (r != CUDA_SUCCESS)
        return r;
    memcpy(&narrow, value, sizeof narrow);
    if (attribute < ATTR_THRESHOLD) {
        p->attribute[attribute] = narrow != 0;
        return CUDA_SUCCESS;
    }
    memcpy(&wide, value, sizeof wide);
    if (attribute == ATTR_THRESHOLD) {
        p->attribute[attribute] = wide;
        return CUDA_SUCCESS;
    }
    if ((attribute != RESERVED_HIGH && attribute != USED_HIGH) || wide)   // the high marks can only be reset
        return CUDA_ERROR_INVALID_VALUE;
    p->attribute[attribute] = p->attribute[attribute - 1];
    return CUDA_SUCCESS;
}

VG_API CUresult cuMemPoolTrimTo(CUmemoryPool p, size_t keep) {
    (void)keep;   // nothing is cached
    return check_attribute(p, ATTR_FIRST, &keep);
}

VG_API CUresult cuMemPoolSetAccess(CUmemoryPool p, const CUmemAccess *map, size_t n) {
    CUresult r = check_attribute(p, ATTR_FIRST, map);
    for (size_t i = 0; r == CUDA_SUCCESS && i < n; i++)
        if (map[i].where.type != 1 || map[i].where.id != 0 || map[i].flags != 3)
            r = CUDA_ERROR_INVALID_DEVICE;   // the device itself always has access
    return r;
}

VG_API CUresult cuMemPoolGetAccess(int *flags, CUmemoryPool p, const CUmemLocation *where) {
    CUresult r = check_attribute(p, ATTR_FIRST, flags);
    if (r != CUDA_SUCCESS || !where)
        return r == CUDA_SUCCESS ? CUDA_ERROR_INVALID_VALUE : r;
    *flags = where->type == 1 && where->id == 0 ? 3 : 0;
    return CUDA_SUCCESS;
}

// ---- what graphs hold

VG_API CUresult cuDeviceGetGraphMemAttribute(CUdevice d, int attribute, void *value) {
    CUresult r = check(value, d);
    if (r != CUDA_SUCCESS || attribute < 0 || attribute > 3)
        return r != CUDA_SUCCESS ? r : CUDA_ERROR_INVALID_VALUE;
    memcpy(value, attribute % 2 ? &graph_high : &graph_used, sizeof graph_used);
    return CUDA_SUCCESS;
}
VG_API CUresult cuDeviceSetGraphMemAttribute(CUdevice d, int attribute, void *value) {
    CUresult r = check(value, d);
    if (r != CUDA_SUCCESS || (attribute != 1 && attribute != 3))
        return r != CUDA_SUCCESS ? r : CUDA_ERROR_INVALID_VALUE;
    graph_high = graph_used;
    return CUDA_SUCCESS;
}
VG_API CUresult cuDeviceGraphMemTrim(CUdevice d) { return check(&d, d); }
