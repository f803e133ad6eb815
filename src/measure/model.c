// Modelled time on the virtual GPU: one sampled run of the launch plan, counters and model taken after every launch. The same code serves
// `hone profile` (per source line). Physical devices: pair.c.
#include "measure/measure.h"
#include <string.h>

json_t *hone_counters_json(const honeVgpuCounters *c) {
    json_t *o = json_object();
#define COUNTER(member)                                                \
    if (c->member != 0) /* absent is zero here: counters are counts */ \
        json_object_set_new(o, #member, json_real(c->member));
#include "measure/counters.def"
#undef COUNTER
    return o;
}

json_t *hone_model_json(const honeVgpuModel *m) {
    return json_pack("{s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:i,s:i,s:i,s:s,s:s,s:{s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f},s:f}", "time_us", m->time_us,
                     "cycles", m->cycles, "clock_mhz", m->clock_mhz, "launch_us", m->launch_us, "occupancy", m->occupancy, "waves",
                     m->waves, "tail_fraction", m->tail_fraction, "blocks_per_sm", (int)m->blocks_per_sm, "registers", (int)m->registers,
                     "shared_bytes", (int)m->shared_bytes, "limiter", m->limiter, "bottleneck", m->bottleneck, "shares", "issue",
                     m->share_issue, "pipe", m->share_pipe, "l1", m->share_l1, "shared", m->share_shared, "l2", m->share_l2, "dram",
                     m->share_dram, "latency", m->share_latency, "atomic", m->share_atomic, "blocks", m->share_blocks,
                     "error_band", m->error_band);
}

static json_t *launch_json(const honeVgpuLaunch *l) {
    return json_pack("{s:s,s:[iii],s:[iii],s:i,s:f,s:o,s:o}", "kernel", l->kernel, "grid", (int)l->grid[0], (int)l->grid[1],
                     (int)l->grid[2], "block", (int)l->block[0], (int)l->block[1], (int)l->block[2], "dynamic_shared",
                     (int)l->dynamic_shared, "time_us", l->model.time_us, "counters", hone_counters_json(&l->counters), "model",
                     hone_model_json(&l->model));
}

static json_t *line_json(const char *kernel, const honeVgpuLine *l) {
    return json_pack("{s:s,s:s,s:i,s:i,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f}", "kernel", kernel, "file", l->file, "line", (int)l->line,
                     "ptx_line", (int)l->ptx_line, "share", l->share, "warp_insts", l->warp_insts, "thread_insts", l->thread_insts,
                     "global_requests", l->global_requests, "global_sectors", l->global_sectors, "global_sectors_ideal",
                     l->global_sectors_ideal, "shared_wavefronts", l->shared_wavefronts, "shared_wavefronts_ideal",
                     l->shared_wavefronts_ideal);
}

typedef struct taker { hone_device *device; hone_modelled *out; double band; bool want_lines; } taker;
enum { MAX_LINES = 512 };

static hone_code take_lines(taker *t, const char *kernel, hone_err *e) {
    const hone_driver *drv = t->device->driver;
    if (!t->want_lines || !drv->vgpu.TakeLines)
        return HONE_OK;
    honeVgpuLine *lines = hone_calloc(MAX_LINES, sizeof *lines);
    uint32_t n = 0;
    if (!lines)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for counters per line");
    CUresult r = drv->vgpu.TakeLines(lines, MAX_LINES, &n);
    for (uint32_t i = 0; r == CUDA_SUCCESS && i < n && i < MAX_LINES; i++)
        json_array_append_new(t->out->lines, line_json(kernel, &lines[i]));
    hone_free(lines);
    return r == CUDA_SUCCESS ? HONE_OK : hone_driver_fail(drv, r, e, "read counters per line");
}

static hone_code take_launch(void *self, size_t launch, hone_err *e) {
    taker *t = self;
    const hone_driver *drv = t->device->driver;
    CUresult r = drv->CtxSynchronize();
    if (r != CUDA_SUCCESS)
        return hone_driver_fail(drv, r, e, "finish launch %zu", launch + 1);
    honeVgpuLaunch l;
    uint32_t n = 0;
    r = drv->vgpu.TakeLaunches(&l, 1, &n);
    if (r != CUDA_SUCCESS || n == 0)
        return hone_driver_fail(drv, r, e, "read the counters of launch %zu", launch + 1);
    t->out->time_us += l.model.time_us;
    t->band += l.model.time_us * l.model.error_band;
    json_t *j = launch_json(&l);
    if (!j || json_array_append_new(t->out->launches, j) != 0)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for counters");
    return take_lines(t, l.kernel, e);
}

static hone_code run(const hone_bound *b, hone_program *p, const hone_model_config *c, taker *t, hone_err *e) {
    const hone_driver *drv = t->device->driver;
    honeVgpuOptions saved = {.size = sizeof saved}, o = {.size = sizeof o};
    drv->vgpu.GetOptions(&saved);
    o.flags = HONE_VGPU_SAMPLE | HONE_VGPU_COUNT | HONE_VGPU_SERIAL;
    o.sample_warp_insts = c->sample_warp_insts;
    o.max_warp_insts = c->max_warp_insts;
    CUresult r = drv->vgpu.SetOptions(&o);
    if (r != CUDA_SUCCESS)
        return hone_driver_fail(drv, r, e, "set the virtual GPU's options");
    uint32_t n = 0;
    honeVgpuLaunch old;
    drv->vgpu.TakeLaunches(&old, 1, &n);   // forgets earlier ones
    hone_launch_hook hook = {take_launch, t};
    // Zero, not NaN: launches that read what a sampled launch left unwritten then do something harmless and the same every time.
    hone_code code = hone_bound_reset(b, 0, 0, e);
    if (code == HONE_OK)
        code = hone_program_launch(p, b->plan, hone_bound_set(b, 0), NULL, &hook, e);
    saved.size = sizeof saved;
    drv->vgpu.SetOptions(&saved);
    return code;
}

hone_code hone_measure_modelled(const hone_bound *b, hone_program *p, const hone_model_config *c, hone_modelled *out, hone_err *e) {
    *out = (hone_modelled){0};
    const hone_driver *drv = b->w->device->driver;
    if (!drv->vgpu.TakeLaunches || !drv->vgpu.SetOptions || !drv->vgpu.GetOptions)
        return hone_fail(e, HONE_E_UNSUPPORTED, 0, "device '%s' has no modelled time", b->w->device->info.name);
    out->launches = json_array();
    out->lines = c->want_lines ? json_array() : NULL;
    if (!out->launches || (c->want_lines && !out->lines)) {
        hone_modelled_free(out);
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for counters");
    }
    taker t = {.device = b->w->device, .out = out, .want_lines = c->want_lines};
    hone_code code = run(b, p, c, &t, e);
    if (code != HONE_OK) {
        hone_modelled_free(out);
        return code;
    }
    out->error_band = out->time_us > 0 ? t.band / out->time_us : 0;
    return HONE_OK;
}

void hone_modelled_free(hone_modelled *m) {
    json_decref(m->launches);
    json_decref(m->lines);
    *m = (hone_modelled){0};
}
