// Speed of the virtual GPU on the naive GEMM of a first CUDA lesson, checks on: million warp instructions per second on one and two host
// threads, against a plain per-thread interpretation of the same PTX (scalar_peer.h). Prints a table; asserts nothing.
//     build/…/vgpu_gemm [n [profile]]      "profile": only the checked run on one thread, for a profiler
#include "scalar_peer.h"
#include "vgpu/context.h"
#include "vgpu/device.h"
#include "vgpu/exec.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char g_ptx[] =
    ".version 8.0\n.target sm_90\n.address_size 64\n"
    ".visible .entry gemm(.param .u64 p0, .param .u64 p1, .param .u64 p2, .param .u32 p3)\n{\n"
    ".reg .pred %p<9>;\n.reg .f32 %f<30>;\n.reg .b32 %r<30>;\n.reg .b64 %rd<34>;\n"
    "ld.param.u64 %rd18, [p0];\nld.param.u64 %rd19, [p1];\nld.param.u64 %rd17, [p2];\nld.param.u32 %r13, [p3];\n"
    "cvta.to.global.u64 %rd1, %rd19;\ncvta.to.global.u64 %rd2, %rd18;\n"
    "mov.u32 %r14, %ntid.x;\nmov.u32 %r15, %ctaid.x;\nmov.u32 %r16, %tid.x;\nmad.lo.s32 %r1, %r15, %r14, %r16;\n"
    "mov.u32 %r17, %ntid.y;\nmov.u32 %r18, %ctaid.y;\nmov.u32 %r19, %tid.y;\nmad.lo.s32 %r2, %r18, %r17, %r19;\n"
    "setp.ge.s32 %p1, %r2, %r13;\nsetp.ge.s32 %p2, %r1, %r13;\nor.pred %p3, %p2, %p1;\n@%p3 bra END;\n"
    "mul.lo.s32 %r3, %r2, %r13;\nmov.f32 %f29, 0f00000000;\nmov.u32 %r27, %r13;\nmul.wide.s32 %rd3, %r3, 4;\nmul.wide.s32 %rd20, %r1, 4;\n"
    "add.s64 %rd30, %rd1, %rd20;\nmul.wide.s32 %rd5, %r13, 4;\nmov.u32 %r28, 0;\nmov.u64 %rd31, %rd2;\n"
    "LOOP:\nadd.s64 %rd21, %rd31, %rd3;\nld.global.nc.f32 %f12, [%rd30];\nld.global.nc.f32 %f13, [%rd21];\nfma.rn.f32 %f14, %f13, %f12, %f29;\n"
    "add.s64 %rd22, %rd30, %rd5;\nld.global.nc.f32 %f15, [%rd22];\nld.global.nc.f32 %f16, [%rd21+4];\nfma.rn.f32 %f17, %f16, %f15, %f14;\n"
    "add.s64 %rd23, %rd22, %rd5;\nld.global.nc.f32 %f18, [%rd23];\nld.global.nc.f32 %f19, [%rd21+8];\nfma.rn.f32 %f20, %f19, %f18, %f17;\n"
    "add.s64 %rd24, %rd23, %rd5;\nadd.s64 %rd30, %rd24, %rd5;\nld.global.nc.f32 %f21, [%rd24];\nld.global.nc.f32 %f22, [%rd21+12];\n"
    "fma.rn.f32 %f29, %f22, %f21, %f20;\nadd.s32 %r28, %r28, 4;\nadd.s64 %rd31, %rd31, 16;\nadd.s32 %r27, %r27, -4;\n"
    "setp.ne.s32 %p6, %r27, 0;\n@%p6 bra LOOP;\n"
    "add.s32 %r25, %r3, %r1;\ncvta.to.global.u64 %rd27, %rd17;\nmul.wide.s32 %rd28, %r25, 4;\nadd.s64 %rd29, %rd27, %rd28;\n"
    "st.global.f32 [%rd29], %f29;\nEND:\nret;\n}\n";

typedef struct bench { vg_context *ctx; ptx_module *ptx; vg_program *program; vg_alloc *a, *b, *c; uint32_t n; } bench;

static void must(hone_code c, const hone_err *e) {
    if (c != HONE_OK) {
        fprintf(stderr, "vgpu_gemm: %s\n", e->msg);
        exit(1);
    }
}

static double cpu_s(void) {   // of all threads: what a launch costs however busy the machine is
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

typedef struct rate { double wall, per_core; } rate;   // million warp instructions per second: of the clock, and of CPU time

static rate run(const bench *x, uint32_t flags, uint32_t threads, double *seconds, double *cpu) {
    hone_err e = {0};
    uint8_t params[28];
    memcpy(params, &x->a->base, 8);
    memcpy(params + 8, &x->b->base, 8);
    memcpy(params + 16, &x->c->base, 8);
    memcpy(params + 24, &x->n, 4);
    vg_launch l = {.ctx = x->ctx, .code = vg_program_find(x->program, "gemm"), .grid = {x->n / 32, x->n / 8, 1}, .block = {32, 8, 1},
                   .cluster = {1, 1, 1}, .params = params, .param_bytes = sizeof params, .shared_window = VG_SHARED_WINDOW,
                   .local_window = VG_LOCAL_WINDOW, .flags = flags, .threads = threads};
    const hone_clock clock = hone_clock_monotonic();
    const double t0 = hone_now_s(&clock), cpu0 = cpu_s();
    must(vg_exec_launch(&l, &e), &e);
    *seconds = hone_now_s(&clock) - t0;
    *cpu = cpu_s() - cpu0;
    if (l.fault)
        fprintf(stderr, "vgpu_gemm: fault %u\n", l.fault);
    return (rate){(double)l.warp_insts / *seconds * 1e-6, (double)l.warp_insts / *cpu * 1e-6};
}

static rate best(const bench *x, uint32_t flags, uint32_t threads) {
    rate top = {0, 0};
    double s, cpu;
    for (int i = 0; i < 9; i++) {
        const rate v = run(x, flags, threads, &s, &cpu);
        top.wall = v.wall > top.wall ? v.wall : top.wall;
        top.per_core = v.per_core > top.per_core ? v.per_core : top.per_core;
    }
    return top;
}

int main(int argc, char **argv) {
    bench x = {.n = argc > 1 ? (uint32_t)atoi(argv[1]) : 256};
    vg_device dev;
    hone_err e = {0};
    const size_t bytes = (size_t)x.n * x.n * 4;
    must(vg_device_load("h200", &dev, &e), &e);
    must(vg_context_new(&dev, (size_t)1 << 32, &x.ctx, &e), &e);
    must(ptx_parse(g_ptx, sizeof g_ptx - 1, &x.ptx, &e), &e);
    must(vg_program_build(x.ptx, NULL, NULL, &x.program, &e), &e);
    vg_alloc **const buf[3] = {&x.a, &x.b, &x.c};
    for (int i = 0; i < 3; i++) {
        must(vg_memory_alloc(x.ctx->memory, bytes, 256, VG_ALLOC_DEVICE, buf[i], &e), &e);
        for (size_t k = 0; k < (size_t)x.n * x.n; k++)
            ((float *)(void *)(*buf[i])->host)[k] = (float)(k % 97) * 0.01f;
        vg_init_mark(*buf[i], 0, i < 2 ? bytes : 0);
    }
    printf("naive GEMM, n = %u, %s, M warp instructions/s\n", x.n, vg_isa_name());
    const rate one = best(&x, HONE_VGPU_CHECK, 1);
    if (argc > 2) {
        printf("checks on, 1 thread: %.1f per core-second\n", one.per_core);
        return 0;
    }
    const rate two = best(&x, HONE_VGPU_CHECK, 2), unchecked = best(&x, 0, 1);
    vg_program *const plain = x.program;
    must(vg_program_build_shadow(x.ptx, NULL, NULL, &x.program, &e), &e);
    const rate shadow = best(&x, HONE_VGPU_CHECK | HONE_VGPU_SHADOW, 1);
    vg_program_free(x.program);
    x.program = plain;
    const rate races = best(&x, HONE_VGPU_CHECK | HONE_VGPU_RACE | HONE_VGPU_RACE_GLOBAL | HONE_VGPU_INIT, 1);
    const double scalar = scalar_peer_run(x.ptx->funcs[0], x.ctx->memory, (uint64_t[]){x.a->base, x.b->base, x.c->base}, x.n);
    printf("%-24s %10s %16s\n", "", "wall clock", "per core-second");
    printf("%-24s %10.1f %16.1f\n", "checks on, 1 thread", one.wall, one.per_core);
    printf("%-24s %10.1f %16.1f   %.2fx of one thread\n", "checks on, 2 threads", two.wall, two.per_core, two.wall / one.wall);
    printf("%-24s %10.1f %16.1f\n", "checks + races, 1 thread", races.wall, races.per_core);
    printf("%-24s %10.1f %16.1f\n", "checks off, 1 thread", unchecked.wall, unchecked.per_core);
    printf("%-24s %10.1f %16.1f   %.1fx slower than without\n", "binary64 shadow", shadow.wall, shadow.per_core, one.per_core / shadow.per_core);
    printf("%-24s %10.1f %16s   virtual GPU is %.1fx\n", "scalar interpreter", scalar, "", one.wall / scalar);
    vg_program_free(x.program);
    ptx_free(x.ptx);
    vg_context_free(x.ctx);
    vg_device_free(&dev);
    return 0;
}
