// Time of matrix instructions on the virtual GPU, per warp instruction: mma.m16n8k16 of f16 and bf16 into f32 (a chain of dependent ones in a loop),
// and wgmma.m64n128k16 per warp of the group. CPU time; prints a table; asserts nothing.
//     build/…/vgpu_mma
#include "vgpu/context.h"
#include "vgpu/device.h"
#include "vgpu/exec.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LOOPS = 20000, UNROLL = 8, WGMMA_LOOPS = 400 };

static void must(hone_code c, const hone_err *e) {
    if (c != HONE_OK) {
        fprintf(stderr, "vgpu_mma: %s\n", e->msg);
        exit(1);
    }
}

static double cpu_s(void) {   // what a launch costs however busy the machine is
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double seconds_of(const char *ptx, uint32_t threads) {
    hone_err e = {0};
    vg_device device;
    vg_context *ctx;
    ptx_module *m;
    vg_program *p;
    must(vg_device_load("h200", &device, &e), &e);
    must(vg_context_new(&device, (size_t)1 << 28, &ctx, &e), &e);
    must(ptx_parse(ptx, strlen(ptx), &m, &e), &e);
    must(vg_program_build(m, NULL, NULL, &p, &e), &e);
    double best = 1e9;
    for (int i = 0; i < 5; i++) {
        vg_launch l = {.ctx = ctx, .code = vg_program_find(p, "k"), .grid = {1, 1, 1}, .block = {threads, 1, 1}, .cluster = {1, 1, 1},
                       .shared_window = VG_SHARED_WINDOW, .local_window = VG_LOCAL_WINDOW, .flags = HONE_VGPU_CHECK, .threads = 1};
        const double t0 = cpu_s();
        must(vg_exec_launch(&l, &e), &e);
        const double t = cpu_s() - t0;
        best = t < best ? t : best;
    }
    vg_program_free(p);
    ptx_free(m);
    vg_context_free(ctx);
    vg_device_free(&device);
    return best;
}

static double mma_ns(const char *types) {
    char text[4096];
    int n = snprintf(text, sizeof text, ".version 8.0\n.target sm_90\n.address_size 64\n.visible .entry k()\n{\n.reg .pred %%p; .reg .b32 %%r<9>; .reg .f32 %%f<5>;\n"
                     "mov.u32 %%r1, 0x3c003c00; mov.u32 %%r2, 0x34003400; mov.f32 %%f1, 0f00000000; mov.f32 %%f2, %%f1; mov.f32 %%f3, %%f1; mov.f32 %%f4, %%f1;\n"
                     "mov.u32 %%r8, 0;\nL:\n");
    for (int i = 0; i < UNROLL; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "mma.sync.aligned.m16n8k16.row.col.f32.%s.f32 {%%f1,%%f2,%%f3,%%f4}, {%%r1,%%r1,%%r1,%%r1}, {%%r2,%%r2}, "
                      "{%%f1,%%f2,%%f3,%%f4};\n", types);
    snprintf(text + n, sizeof text - (size_t)n, "add.u32 %%r8, %%r8, 1; setp.lt.u32 %%p, %%r8, %d; @%%p bra L;\nret;\n}\n", LOOPS);
    return seconds_of(text, 32) / (LOOPS * UNROLL) * 1e9;
}

static double wgmma_ns(void) {
    static char text[8192];
    int n = snprintf(text, sizeof text, ".version 8.0\n.target sm_90a\n.address_size 64\n.visible .entry k()\n{\n.reg .pred %%p, %%q; .reg .b32 %%r<9>; .reg .f32 %%f<64>; .reg .b64 %%d<9>;\n"
                     ".shared .align 1024 .b8 s[18432];\nmov.u32 %%r1, %%tid.x; mov.u32 %%r2, s; shl.b32 %%r3, %%r1, 2; add.u32 %%r2, %%r2, %%r3; mov.u32 %%r4, 0x3c003400; mov.u32 %%r8, 0;\n"
                     "F: st.shared.u32 [%%r2], %%r4; add.u32 %%r2, %%r2, 512; add.u32 %%r8, %%r8, 1; setp.lt.u32 %%p, %%r8, 36; @%%p bra F;\nbar.sync 0;\n"
                     "mov.u64 %%d1, 0x4000004000010000; mov.u64 %%d2, 0x4000004000010080; setp.eq.u32 %%q, %%r1, %%r1; mov.u32 %%r8, 0;\n");
    for (int i = 0; i < 64; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "mov.f32 %%f%d, 0f00000000;", i);
    n += snprintf(text + n, sizeof text - (size_t)n, "\nL: wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 {");
    for (int i = 0; i < 64; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "%s%%f%d", i ? "," : "", i);
    snprintf(text + n, sizeof text - (size_t)n, "}, %%d1, %%d2, %%q, 1, 1, 0, 0;\nadd.u32 %%r8, %%r8, 1; setp.lt.u32 %%p, %%r8, %d; @%%p bra L;\nret;\n}\n", WGMMA_LOOPS);
    return seconds_of(text, 128) / (WGMMA_LOOPS * 4) * 1e9;
}

int main(void) {
    printf("matrix instructions, checks on, handlers: %s\n", vg_isa_name());
    printf("  mma.m16n8k16 f16 → f32    %8.0f ns per warp instruction\n", mma_ns("f16.f16"));
    printf("  mma.m16n8k16 bf16 → f32   %8.0f ns per warp instruction\n", mma_ns("bf16.bf16"));
    printf("  wgmma.m64n128k16 f16      %8.0f ns per warp (a quarter of the instruction)\n", wgmma_ns());
    return 0;
}
