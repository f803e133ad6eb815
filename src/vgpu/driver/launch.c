// Launches: validation as the driver does it, parameter packing, execution, modelled time, the record of what ran. Also occupancy queries.
#include "vgpu/driver/work.h"
#include "vgpu/lines.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STATIC_SHARED_LIMIT = 48 * 1024, PARAM_MAX = 32764, BLOCK_THREADS_MAX = 1024, CLUSTER_MAX = 8, CLUSTER_MAX_NON_PORTABLE = 16 };

// ---- validation

static CUresult check_shape(const vg_launch_request *q) {
    static const uint32_t block_max[3] = {1024, 1024, 64}, grid_max[3] = {0x7fffffff, 65535, 65535};
    uint64_t threads = 1;
    for (int i = 0; i < 3; i++) {
        if (!q->grid[i] || !q->block[i] || q->grid[i] > grid_max[i] || q->block[i] > block_max[i])
            return CUDA_ERROR_INVALID_VALUE;
        threads *= q->block[i];
    }
    return threads > BLOCK_THREADS_MAX ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

static uint32_t threads_of(const uint32_t block[3]) { return block[0] * block[1] * block[2]; }

static CUresult check_bounds(const vg_launch_request *q) {
    const ptx_func *f = q->f->code->func;
    uint32_t threads = threads_of(q->block);
    if (f->maxntid[0] && threads > f->maxntid[0] * (f->maxntid[1] ? f->maxntid[1] : 1) * (f->maxntid[2] ? f->maxntid[2] : 1))
        return CUDA_ERROR_INVALID_VALUE;
    for (int i = 0; i < 3 && f->reqntid[0]; i++)
        if (q->block[i] != (f->reqntid[i] ? f->reqntid[i] : 1))
            return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}

static vg_occupancy occupancy_of(const struct CUfunc_st *f, uint32_t threads, size_t shared) {
    vg_occupancy o = {0};
    vg_occupancy_of(vg_front_device(), threads, vg_registers_of(f), (uint32_t)shared, &o);
    return o;
}

static CUresult check_resources(const vg_launch_request *q) {
    const vg_device *d = vg_front_device();
    size_t fixed = q->f->code->shared_bytes, most = (size_t)vg_dev(d, VG_DEV_SHARED_PER_BLOCK);
    if (q->shared_bytes > q->f->max_dynamic_shared && fixed + q->shared_bytes > STATIC_SHARED_LIMIT)
        return CUDA_ERROR_INVALID_VALUE;
    if (vg_shared_total(q->f->code, q->shared_bytes) > most)
        return CUDA_ERROR_INVALID_VALUE;
    uint32_t threads = threads_of(q->block), warps = (threads + 31) / 32;
    uint32_t per_warp = (vg_registers_of(q->f) * 32 + 255) / 256 * 256;
    if ((uint64_t)(warps + 3) / 4 * 4 * per_warp > (uint64_t)vg_dev(d, VG_DEV_REGS_PER_SM))
        return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
    return CUDA_SUCCESS;
}

static CUresult check_company(vg_launch_request *q) {
    const vg_device *d = vg_front_device();
    const uint32_t *own = q->f->code->func->cluster_dim;
    const bool given = q->cluster[0] != 0;
    for (int i = 0; i < 3; i++) {
        if (own[0] && given && q->cluster[i] != (own[i] ? own[i] : 1))
            return CUDA_ERROR_INVALID_VALUE;
        if (own[0])
            q->cluster[i] = own[i] ? own[i] : 1;
    }
    uint64_t size = 1;
    for (int i = 0; i < 3 && q->cluster[0]; i++) {
        q->cluster[i] = q->cluster[i] ? q->cluster[i] : 1;
        if (q->grid[i] % q->cluster[i])
            return CUDA_ERROR_INVALID_VALUE;
        size *= q->cluster[i];
    }
    if (size > (uint64_t)(q->f->non_portable_cluster ? CLUSTER_MAX_NON_PORTABLE : CLUSTER_MAX) || (size > 1 && vg_dev(d, VG_DEV_CC_MAJOR) < 9))
        return CUDA_ERROR_INVALID_CLUSTER_SIZE;
    if (!q->cooperative)
        return CUDA_SUCCESS;
    vg_occupancy o = occupancy_of(q->f, threads_of(q->block), vg_shared_total(q->f->code, q->shared_bytes));
    uint64_t blocks = (uint64_t)q->grid[0] * q->grid[1] * q->grid[2];
    return blocks > (uint64_t)o.blocks_per_sm * (uint64_t)vg_dev(d, VG_DEV_SMS) ? CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE : CUDA_SUCCESS;
}

// ---- parameters

// The packed parameter bytes of one launch in `to` (f->param_bytes long).
static CUresult pack_params(const ptx_func *f, void **params, void **extra, uint8_t *to) {
    if (!f->n_params)
        return CUDA_SUCCESS;
    if (params) {
        for (size_t i = 0; i < f->n_params; i++) {
            if (!params[i])
                return CUDA_ERROR_INVALID_VALUE;
            memcpy(to + f->param_offsets[i], params[i], f->params[i]->bytes);
        }
        return CUDA_SUCCESS;
    }
    const void *buffer = NULL;
    size_t bytes = 0;
    for (; extra && *extra != CU_PARAM_END; extra += 2) {
        if (extra[0] == CU_PARAM_POINTER)
            buffer = extra[1];
        else if (extra[0] == CU_PARAM_SIZE && extra[1])
            bytes = *(const size_t *)extra[1];
        else
            return CUDA_ERROR_INVALID_VALUE;
    }
    if (!buffer || bytes < f->param_bytes)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(to, buffer, f->param_bytes);
    return CUDA_SUCCESS;
}

// ---- what ran

// Counters per line are an extra: without memory for them there are none.
static void keep_lines(struct CUctx_st *c, const vg_counters *n, honeVgpuLaunch *r) {
    hone_free(c->lines);
    c->lines = NULL;
    c->n_lines = 0;
    vg_lines(vg_front_device(), n, &r->model, &c->lines, &c->n_lines, &r->counters.critical_path_cycles, NULL);
}

static void keep_launch(struct CUctx_st *c, const honeVgpuLaunch *r) {
    if (c->n_launches == VG_KEPT_LAUNCHES) {
        memmove(&c->launches[0], &c->launches[1], (VG_KEPT_LAUNCHES - 1) * sizeof c->launches[0]);
        c->n_launches--;
    }
    c->launches[c->n_launches++] = *r;
    c->launches_there_were++;
}

// Without counters nothing is modelled; the clocks of streams still move, by the launch and a wave's worth of time per wave.
static double rough_us(const vg_launch_request *q) {
    const vg_device *d = vg_front_device();
    vg_occupancy o = occupancy_of(q->f, threads_of(q->block), vg_shared_total(q->f->code, q->shared_bytes));
    double blocks = (double)q->grid[0] * q->grid[1] * q->grid[2];
    double resident = (o.blocks_per_sm ? o.blocks_per_sm : 1) * vg_dev(d, VG_DEV_SMS);
    return vg_dev(d, VG_DEV_LAUNCH_US) + blocks / resident;
}

// ---- execution

static uint32_t host_threads(const honeVgpuOptions *o) {
    if (o->threads)
        return o->threads;
    const char *s = getenv("HONE_VGPU_THREADS");
    long n = s ? strtol(s, NULL, 10) : 0;
    if (n <= 0)
        n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > 1024 ? 1024 : (uint32_t)n;
}

static vg_launch make_launch(struct CUctx_st *c, const vg_launch_request *q, const uint8_t *params) {
    const honeVgpuOptions *o = &c->vg->options;
    vg_launch l = {.ctx = c->vg, .code = q->f->code, .dynamic_shared = q->shared_bytes, .params = params, .param_bytes = q->f->code->func->param_bytes,
                   .shared_window = VG_SHARED_WINDOW, .local_window = VG_LOCAL_WINDOW, .flags = o->flags, .schedule_seed = o->schedule_seed,
                   .max_warp_insts = o->max_warp_insts, .sample_warp_insts = o->sample_warp_insts ? o->sample_warp_insts : 6000000,
                   .threads = host_threads(o), .cooperative = q->cooperative, .registers = vg_registers_of(q->f)};
    for (int i = 0; i < 3; i++) {
        l.grid[i] = q->grid[i];
        l.block[i] = q->block[i];
        l.cluster[i] = q->cluster[i] ? q->cluster[i] : 1;
    }
    if (l.flags & (HONE_VGPU_COUNT | HONE_VGPU_SAMPLE)) {
        l.flags |= HONE_VGPU_COUNT | HONE_VGPU_SERIAL;
        l.threads = 1;
    }
    if (l.flags & (HONE_VGPU_SERIAL | HONE_VGPU_SHADOW))
        l.threads = 1;
    return l;
}

CUresult vg_launch_packed(struct CUctx_st *c, const vg_launch_request *q, const uint8_t *params, struct CUstream_st *s) {
    vg_launch l = make_launch(c, q, params);
    vg_counters counters = {0};
    if (l.flags & HONE_VGPU_COUNT)
        l.counters = &counters;
    hone_err e = {0};
    if (l.flags & HONE_VGPU_SHADOW && vg_module_shadow_code(q->f->module->vg, q->f->code, &l.code, &e) != HONE_OK)
        return vg_front_result(&e);
    if (vg_exec_launch(&l, &e) != HONE_OK) {
        vg_counters_free(&counters);
        return vg_front_result(&e);
    }
    c->refused = (int)l.fault;   // the next call reports it
    double us = rough_us(q);
    if (l.counters && !l.fault) {
        honeVgpuLaunch r = {.dynamic_shared = q->shared_bytes, .counters = counters.total};
        snprintf(r.kernel, sizeof r.kernel, "%s", q->f->code->func->name);
        memcpy(r.grid, q->grid, sizeof r.grid);
        memcpy(r.block, q->block, sizeof r.block);
        vg_resources resources = q->f->resources;
        if (!resources.registers)
            resources.registers = q->f->code->registers_estimate;
        vg_model_time(vg_front_device(), q->f->code, &l, &resources, &counters, &r.model);
        us = r.model.time_us;
        keep_lines(c, &counters, &r);
        keep_launch(c, &r);
    }
    vg_counters_free(&counters);
    vg_stream_advance(c, s, us);
    return CUDA_SUCCESS;
}

CUresult vg_launch_check(vg_launch_request *q) {
    CUresult r = check_shape(q);
    if (r == CUDA_SUCCESS)
        r = check_bounds(q);
    if (r == CUDA_SUCCESS)
        r = check_resources(q);
    return r == CUDA_SUCCESS ? check_company(q) : r;
}

CUresult vg_launch_pack(const vg_launch_request *q, uint8_t **bytes) {
    size_t n = q->f->code->func->param_bytes;
    *bytes = n > PARAM_MAX ? NULL : hone_calloc(1, n + 16);
    return *bytes ? pack_params(q->f->code->func, q->params, q->extra, *bytes) : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult vg_front_launch(const vg_launch_request *request) {
    vg_work w = {.kind = VG_WORK_KERNEL, .kernel = {.q = *request}};
    vg_launch_request *q = &w.kernel.q;
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    struct CUstream_st *s = vg_stream_of(c, q->stream);
    q->f = vg_function_in(c, q->f);
    if (!q->f || !s)
        return vg_front_leave(c, CUDA_ERROR_INVALID_HANDLE);
    r = vg_launch_check(q);
    if (r == CUDA_SUCCESS)
        r = vg_launch_pack(q, &w.kernel.bytes);
    if (r == CUDA_SUCCESS)
        r = vg_work_submit(c, s, &w);
    hone_free(w.kernel.bytes);
    return vg_front_leave(c, r);
}

VG_API CUresult cuLaunchKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
                               CUstream stream, void **params, void **extra) {
    return vg_front_launch(&(vg_launch_request){.f = f, .grid = {gx, gy, gz}, .block = {bx, by, bz}, .shared_bytes = shared, .stream = stream,
                                                .params = params, .extra = extra});
}

VG_API CUresult cuLaunchCooperativeKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
                                          CUstream stream, void **params) {
    return vg_front_launch(&(vg_launch_request){.f = f, .grid = {gx, gy, gz}, .block = {bx, by, bz}, .shared_bytes = shared, .stream = stream,
                                                .params = params, .cooperative = true});
}

// The forms before cuLaunchKernel (cuFuncSetBlockShape, cuParamSet…) have been deprecated since CUDA 4 and are absent.

VG_API CUresult cuLaunchKernelEx(const CUlaunchConfig *k, CUfunction f, void **params, void **extra) {
    if (!k || (k->n_attributes && !k->attributes))
        return CUDA_ERROR_INVALID_VALUE;
    vg_launch_request q = {.f = f, .shared_bytes = k->shared_bytes, .stream = k->stream, .params = params, .extra = extra};
    memcpy(q.grid, k->grid, sizeof q.grid);
    memcpy(q.block, k->block, sizeof q.block);
    for (unsigned i = 0; i < k->n_attributes; i++) {   // the other attributes are hints that cannot change results
        const CUlaunchAttribute *a = &k->attributes[i];
        if (a->id == CU_ATTRIBUTE_PROGRAMMATIC_EVENT || a->id == CU_ATTRIBUTE_COMPLETION_EVENT || a->id == CU_ATTRIBUTE_UPDATABLE)
            return CUDA_ERROR_NOT_SUPPORTED;
        if (a->id == CU_ATTRIBUTE_COOPERATIVE)
            q.cooperative = a->value.cooperative != 0;
        else if (a->id == CU_ATTRIBUTE_CLUSTER) {
            if (!a->value.cluster.x || !a->value.cluster.y || !a->value.cluster.z)
                return CUDA_ERROR_INVALID_VALUE;
            q.cluster[0] = a->value.cluster.x;
            q.cluster[1] = a->value.cluster.y;
            q.cluster[2] = a->value.cluster.z;
        }
    }
    return vg_front_launch(&q);
}

// ---- occupancy

VG_API CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *n, CUfunction f, int block, size_t shared, unsigned flags) {
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    f = vg_function_here(f);
    if (!f)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!n || block <= 0 || flags > 1)
        return CUDA_ERROR_INVALID_VALUE;
    bool fits = block <= BLOCK_THREADS_MAX && shared <= f->max_dynamic_shared;
    *n = fits ? (int)occupancy_of(f, (uint32_t)block, vg_shared_total(f->code, (uint32_t)shared)).blocks_per_sm : 0;
    return CUDA_SUCCESS;
}
VG_API CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *n, CUfunction f, int block, size_t shared) {
    return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(n, f, block, shared, 0);
}

VG_API CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(int *min_grid, int *block, CUfunction f, size_t (*shared_of)(int), size_t shared, int limit,
                                                          unsigned flags) {
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    f = vg_function_here(f);
    if (!f)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!min_grid || !block || limit < 0 || flags > 1)
        return CUDA_ERROR_INVALID_VALUE;
    int most, best = 0, best_blocks = 0, per_sm;
    CUresult r = cuFuncGetAttribute(&most, CU_FUNC_MAX_THREADS_PER_BLOCK, f);
    if (r != CUDA_SUCCESS)
        return r;
    most = limit && limit < most ? limit : most;
    for (int threads = (most + 31) / 32 * 32; threads >= 32; threads -= 32) {   // the largest block wins among equals
        int size = threads < most ? threads : most;
        r = cuOccupancyMaxActiveBlocksPerMultiprocessor(&per_sm, f, size, shared_of ? shared_of(size) : shared);
        if (r == CUDA_SUCCESS && per_sm * size > best_blocks * best) {
            best = size;
            best_blocks = per_sm;
        }
    }
    *block = best;
    *min_grid = best_blocks * (int)vg_dev(vg_front_device(), VG_DEV_SMS);
    return CUDA_SUCCESS;
}
VG_API CUresult cuOccupancyMaxPotentialBlockSize(int *min_grid, int *block, CUfunction f, size_t (*shared_of)(int), size_t shared, int limit) {
    return cuOccupancyMaxPotentialBlockSizeWithFlags(min_grid, block, f, shared_of, shared, limit, 0);
}

VG_API CUresult cuOccupancyAvailableDynamicSMemPerBlock(size_t *bytes, CUfunction f, int blocks, int threads) {
    const vg_device *d = vg_front_device();
    if (!d)
        return CUDA_ERROR_NOT_INITIALIZED;
    f = vg_function_here(f);
    if (!f)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!bytes || blocks <= 0 || threads <= 0)
        return CUDA_ERROR_INVALID_VALUE;
    size_t each = (size_t)vg_dev(d, VG_DEV_SHARED_PER_SM) / (size_t)blocks, reserved = 1024 + f->code->shared_bytes;
    size_t most = (size_t)vg_dev(d, VG_DEV_SHARED_PER_BLOCK) - f->code->shared_bytes;
    size_t left = each > reserved ? (each - reserved) / 128 * 128 : 0;
    *bytes = left < most ? left : most;
    return CUDA_SUCCESS;
}
