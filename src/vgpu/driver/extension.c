// The honeVgpu* functions: options, findings, names, initialisation, counters (include/hone_vgpu.h).
#include "vgpu/driver/front.h"
#include "vgpu/fpshadow.h"
#include <stdio.h>
#include <string.h>

// A context with a sticky error still answers: that is when its findings matter.
static struct CUctx_st *enter_any(void) {
    struct CUctx_st *c = vg_front_current();
    if (c)
        pthread_mutex_lock(&c->lock);
    return c;
}

static void copy_options(honeVgpuOptions *to, const honeVgpuOptions *from, size_t size) {
    memcpy(to, from, size < sizeof *to ? size : sizeof *to);
    to->size = sizeof *to;
}

VG_API int honeVgpuSetOptions(const honeVgpuOptions *o) {
    if (!o || o->size < sizeof(uint32_t) * 2 || o->size > sizeof *o)
        return CUDA_ERROR_INVALID_VALUE;
    if (o->flags & ~(uint32_t)(HONE_VGPU_CHECK | HONE_VGPU_RACE | HONE_VGPU_COUNT | HONE_VGPU_SAMPLE | HONE_VGPU_SERIAL | HONE_VGPU_SHADOW |
                               HONE_VGPU_RACE_GLOBAL | HONE_VGPU_INIT | HONE_VGPU_CLOCKS))
        return CUDA_ERROR_INVALID_VALUE;
    honeVgpuOptions all = {0};
    copy_options(&all, o, o->size);
    struct CUctx_st *c = enter_any();
    if (!c) {
        *vg_front_options() = all;
        return CUDA_SUCCESS;
    }
    c->vg->options = all;
    vg_memory_set_layout(c->vg->memory, all.schedule_seed);
    return vg_front_leave(c, CUDA_SUCCESS);
}

VG_API int honeVgpuGetOptions(honeVgpuOptions *o) {
    if (!o || o->size < sizeof(uint32_t) * 2)
        return CUDA_ERROR_INVALID_VALUE;
    uint32_t size = o->size < sizeof *o ? o->size : (uint32_t)sizeof *o;
    struct CUctx_st *c = enter_any();
    memcpy(o, c ? &c->vg->options : vg_front_options(), size);
    o->size = size;
    return c ? vg_front_leave(c, CUDA_SUCCESS) : CUDA_SUCCESS;
}

VG_API int honeVgpuTakeFindings(honeVgpuFinding *out, uint32_t cap, uint32_t *n) {
    struct CUctx_st *c = (out || !cap) && n ? enter_any() : NULL;
    if (!c)
        return n && (out || !cap) ? CUDA_ERROR_INVALID_CONTEXT : CUDA_ERROR_INVALID_VALUE;
    *n = vg_findings_take(c->vg->findings, out, cap);
    return vg_front_leave(c, CUDA_SUCCESS);
}

// Runs with the context locked and the allocation that holds [p, p+bytes).
#define WITH_ALLOCATION(p, bytes)                                                                    \
    struct CUctx_st *c = enter_any();                                                                \
    if (!c)                                                                                          \
        return CUDA_ERROR_INVALID_CONTEXT;                                                           \
    vg_alloc *a = vg_memory_find(c->vg->memory, p, bytes);                                           \
    if (!a)                                                                                          \
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE)

VG_API int honeVgpuName(uint64_t dptr, const char *name) {
    if (!name)
        return CUDA_ERROR_INVALID_VALUE;
    WITH_ALLOCATION(dptr, 1);
    snprintf(a->name, sizeof a->name, "%s", name);
    return vg_front_leave(c, CUDA_SUCCESS);
}

VG_API int honeVgpuProtect(uint64_t dptr, int on) {
    WITH_ALLOCATION(dptr, 1);
    if (!a->is_input && a->read_only)
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    a->is_input = a->read_only = on != 0;
    return vg_front_leave(c, CUDA_SUCCESS);
}

VG_API int honeVgpuForget(uint64_t dptr, size_t bytes) {
    WITH_ALLOCATION(dptr, bytes);
    vg_init_forget(a, dptr - a->base, bytes);
    return vg_front_leave(c, CUDA_SUCCESS);
}

VG_API int honeVgpuUnwritten(uint64_t dptr, size_t bytes, uint64_t *count, uint64_t *first) {
    WITH_ALLOCATION(dptr, bytes);
    size_t at = 0, missing = vg_init_missing(a, dptr - a->base, bytes, &at);
    if (count)
        *count = missing;
    if (first)
        *first = at;
    return vg_front_leave(c, CUDA_SUCCESS);
}

VG_API int honeVgpuSetResources(void *cufunction, uint32_t registers, uint32_t spill_store_bytes, uint32_t spill_load_bytes) {
    struct CUfunc_st *f = cufunction;
    if (!vg_is_function(f))
        return CUDA_ERROR_INVALID_HANDLE;
    if (registers > 255)
        return CUDA_ERROR_INVALID_VALUE;
    f->resources = (vg_resources){registers, spill_store_bytes, spill_load_bytes, true};
    return CUDA_SUCCESS;
}

VG_API int honeVgpuTakeLaunches(honeVgpuLaunch *out, uint32_t cap, uint32_t *n) {
    struct CUctx_st *c = (out || !cap) && n ? enter_any() : NULL;
    if (!c)
        return n && (out || !cap) ? CUDA_ERROR_INVALID_CONTEXT : CUDA_ERROR_INVALID_VALUE;
    uint32_t copied = cap < c->n_launches ? cap : c->n_launches;
    if (copied)
        memcpy(out, c->launches, copied * sizeof *out);
    *n = c->launches_there_were;
    c->n_launches = c->launches_there_were = 0;
    return vg_front_leave(c, CUDA_SUCCESS);
}

VG_API int honeVgpuTakeLines(honeVgpuLine *out, uint32_t cap, uint32_t *n) {
    struct CUctx_st *c = (out || !cap) && n ? enter_any() : NULL;
    if (!c)
        return n && (out || !cap) ? CUDA_ERROR_INVALID_CONTEXT : CUDA_ERROR_INVALID_VALUE;
    uint32_t copied = cap < c->n_lines ? cap : c->n_lines;
    if (copied)
        memcpy(out, c->lines, copied * sizeof *out);
    *n = c->n_lines;
    hone_free(c->lines);
    c->lines = NULL;
    c->n_lines = 0;
    return vg_front_leave(c, CUDA_SUCCESS);
}

VG_API const char *honeVgpuDeviceText(void) { return vg_front_device() && vg_front_device()->text ? vg_front_device()->text : ""; }
VG_API const char *honeVgpuVersion(void) { return HONE_VERSION; }

VG_API int honeVgpuObserved(uint64_t dptr, uint64_t *read_end, uint64_t *write_end) {
    WITH_ALLOCATION(dptr, 1);
    if (read_end)
        *read_end = a->read_end;
    if (write_end)
        *write_end = a->write_end;
    a->read_end = a->write_end = 0;
    return vg_front_leave(c, CUDA_SUCCESS);
}

VG_API int honeVgpuShadowRead(uint64_t dptr, size_t count, int type, double *out) {
    WITH_ALLOCATION(dptr, 1);
    return vg_front_leave(c, out && vg_fs_read(a, dptr - a->base, count, type, out) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE);
}

VG_API int honeVgpuShadowWrite(uint64_t dptr, size_t count, int type, const double *in) {
    WITH_ALLOCATION(dptr, 1);
    return vg_front_leave(c, vg_fs_write(a, dptr - a->base, count, type, in) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE);
}

VG_API int honeVgpuTakeShadowStats(honeVgpuShadowStats *out) {
    struct CUctx_st *c = out && out->size >= sizeof *out ? enter_any() : NULL;
    if (!c)
        return out && out->size >= sizeof *out ? CUDA_ERROR_INVALID_CONTEXT : CUDA_ERROR_INVALID_VALUE;
    const vg_fs_stats *s = &c->vg->fs;
    *out = (honeVgpuShadowStats){.size = sizeof *out, .ptx_line = s->ptx_line, .results = s->results, .lost = s->lost, .rederived = s->rederived};
    memcpy(out->kernel, s->kernel, sizeof out->kernel);
    c->vg->fs = (vg_fs_stats){0};
    return vg_front_leave(c, CUDA_SUCCESS);
}
