// Runs small PTX kernels on the executor alone, without the driver front: parse, decode, launch, read memory back.
#ifndef EXEC_FIXTURE_H
#define EXEC_FIXTURE_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "vgpu/context.h"
#include "vgpu/device.h"
#include "vgpu/exec.h"

typedef struct fixture {
    vg_device device;
    vg_context *ctx;
    ptx_module *ptx;
    vg_program *program;
    const vg_code *code;
    vg_alloc *buf[8];
    unsigned n_bufs;
} fixture;

static inline void fx_load(fixture *f, const char *ptx) {
    hone_err e = {0};
    memset(f, 0, sizeof *f);
    if (vg_device_load("h200", &f->device, &e) != HONE_OK || vg_context_new(&f->device, (size_t)1 << 30, &f->ctx, &e) != HONE_OK ||
        ptx_parse(ptx, strlen(ptx), &f->ptx, &e) != HONE_OK || vg_program_build(f->ptx, NULL, NULL, &f->program, &e) != HONE_OK)
        fail_msg("%s", e.msg);
    f->code = vg_program_find(f->program, "k");
    assert_non_null(f->code);
}
static inline void *fx_buffer(fixture *f, const void *data, size_t bytes) {
    hone_err e = {0};
    vg_alloc *a = NULL;
    assert_int_equal(vg_memory_alloc(f->ctx->memory, bytes, 256, VG_ALLOC_DEVICE, &a, &e), HONE_OK);
    if (data)
        memcpy(a->host, data, bytes);
    vg_init_mark(a, 0, bytes);
    f->buf[f->n_bufs++] = a;
    return a->host;
}
typedef struct fx_options { uint32_t flags, threads; uint64_t budget, seed; uint32_t dynamic_shared, cluster; uint32_t block_y; bool cooperative; const void *tail; uint32_t tail_bytes; } fx_options;
// Parameters: the buffers' addresses in order, then n 32-bit scalars; or, aligned to 64, o->tail.
static inline uint32_t fx_launch(fixture *f, uint32_t grid, uint32_t block, const fx_options *o, unsigned n, const uint32_t *scalars) {
    hone_err e = {0};
    uint8_t params[512] = {0};
    size_t at = 0;
    for (unsigned i = 0; i < f->n_bufs; i++, at += 8)
        memcpy(params + at, &f->buf[i]->base, 8);
    for (unsigned i = 0; i < n; i++, at += 4)
        memcpy(params + at, &scalars[i], 4);
    if (o && o->tail)
        memcpy(params + (at + 63) / 64 * 64, o->tail, o->tail_bytes);
    vg_launch l = {.ctx = f->ctx, .code = f->code, .grid = {grid, 1, 1}, .block = {block, o && o->block_y ? o->block_y : 1, 1}, .cluster = {o && o->cluster ? o->cluster : 1, 1, 1}, .params = params,
                   .param_bytes = f->code->param_bytes, .shared_window = VG_SHARED_WINDOW, .local_window = VG_LOCAL_WINDOW,
                   .flags = o ? o->flags : HONE_VGPU_CHECK, .threads = o ? o->threads : 1, .max_warp_insts = o ? o->budget : 0,
                   .schedule_seed = o ? o->seed : 0, .dynamic_shared = o ? o->dynamic_shared : 0, .cooperative = o && o->cooperative};
    if (vg_exec_launch(&l, &e) != HONE_OK)
        fail_msg("%s", e.msg);
    return l.fault;
}
static inline uint32_t fx_findings(fixture *f, honeVgpuFinding *out, uint32_t cap) { return vg_findings_take(f->ctx->findings, out, cap); }
static inline void fx_free(fixture *f) {
    vg_program_free(f->program);
    ptx_free(f->ptx);
    vg_context_free(f->ctx);
    vg_device_free(&f->device);
}
#define PTX_HEAD ".version 8.0\n.target sm_90\n.address_size 64\n"
#endif
