// Memory that the sanitizer needs: peak resident memory of kernels that touch all of theirs, with every check on, as a multiple of what they
// allocate. Each case runs in a process of its own. Prints a table; asserts nothing.
//     build/…/vgpu_sanitize [MiB per buffer]
#include "vgpu/context.h"
#include "vgpu/device.h"
#include "vgpu/exec.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HEAD ".version 8.0\n.target sm_90\n.address_size 64\n.visible .entry k(.param .u64 a, .param .u64 b, .param .u32 n)\n{\n.reg .b32 %r<12>;\n.reg .b64 %q<8>;\n" \
    "ld.param.u64 %q0, [a];\nld.param.u64 %q1, [b];\nld.param.u32 %r6, [n];\nmov.u32 %r0, %ctaid.x;\nmov.u32 %r1, %tid.x;\nmad.lo.s32 %r2, %r0, 256, %r1;\n"
#define LOAD "mul.wide.u32 %q2, %r2, 4;\nadd.s64 %q3, %q0, %q2;\nld.global.u32 %r3, [%q3];\n"
#define STORE "mul.wide.u32 %q4, %r4, 4;\nadd.s64 %q5, %q1, %q4;\nst.global.u32 [%q5], %r3;\nret;\n}\n"
static const struct { const char *name, *ptx; unsigned per_thread; } g_cases[] = {
    {"copy, one float per thread", HEAD LOAD "mov.u32 %r4, %r2;\n" STORE, 1},
    {"copy, four floats per thread", HEAD "mul.wide.u32 %q2, %r2, 16;\nadd.s64 %q3, %q0, %q2;\nadd.s64 %q5, %q1, %q2;\n"
     "ld.global.v4.u32 {%r7, %r8, %r9, %r10}, [%q3];\nst.global.v4.u32 [%q5], {%r7, %r8, %r9, %r10};\nret;\n}\n", 4},
    {"naive transpose, 1024 rows", HEAD LOAD "shr.u32 %r5, %r6, 10;\nand.b32 %r4, %r2, 1023;\nmul.lo.u32 %r4, %r4, %r5;\nshr.u32 %r5, %r2, 10;\nadd.u32 %r4, %r4, %r5;\n" STORE, 1},
    {"random permutation", HEAD LOAD "sub.u32 %r5, %r6, 1;\nmul.lo.u32 %r4, %r2, 2654435761;\nand.b32 %r4, %r4, %r5;\n" STORE, 1},
};

static double run_case(unsigned i, size_t bytes, uint32_t flags, double *seconds) {
    vg_device dev;
    vg_context *ctx = NULL;
    ptx_module *m = NULL;
    vg_program *p = NULL;
    vg_alloc *buf[2];
    hone_err e = {0};
    if (vg_device_load("h200", &dev, &e) || vg_context_new(&dev, (size_t)8 << 30, &ctx, &e) || ptx_parse(g_cases[i].ptx, strlen(g_cases[i].ptx), &m, &e) ||
        vg_program_build(m, NULL, NULL, &p, &e))
        return fprintf(stderr, "vgpu_sanitize: %s\n", e.msg), 0;
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    for (int k = 0; k < 2; k++)
        if (vg_memory_alloc(ctx->memory, bytes, 256, VG_ALLOC_DEVICE, &buf[k], &e))
            return fprintf(stderr, "vgpu_sanitize: %s\n", e.msg), 0;
    memset(buf[0]->host, 1, bytes);
    vg_init_mark(buf[0], 0, bytes);
    const uint32_t n = (uint32_t)(bytes / 4);
    uint8_t params[20];
    memcpy(params, &buf[0]->base, 8);
    memcpy(params + 8, &buf[1]->base, 8);
    memcpy(params + 16, &n, 4);
    vg_launch l = {.ctx = ctx, .code = vg_program_find(p, "k"), .grid = {n / 256 / g_cases[i].per_thread, 1, 1}, .block = {256, 1, 1}, .cluster = {1, 1, 1},
                   .params = params, .param_bytes = sizeof params, .shared_window = VG_SHARED_WINDOW, .local_window = VG_LOCAL_WINDOW, .flags = flags, .threads = 1};
    const clock_t t0 = clock();
    if (vg_exec_launch(&l, &e) || l.fault)
        return fprintf(stderr, "vgpu_sanitize: fault %u %s\n", l.fault, e.msg), 0;
    *seconds = (double)(clock() - t0) / CLOCKS_PER_SEC;
    getrusage(RUSAGE_SELF, &after);
    if (vg_findings_count(ctx->findings))
        fprintf(stderr, "vgpu_sanitize: unexpected findings\n");
    return (double)(after.ru_maxrss - before.ru_maxrss) * 1024 / (2 * (double)bytes);
}

int main(int argc, char **argv) {
    const size_t bytes = (size_t)(argc > 1 ? atoi(argv[1]) : 64) << 20;
    const uint32_t all = HONE_VGPU_CHECK | HONE_VGPU_RACE | HONE_VGPU_RACE_GLOBAL | HONE_VGPU_INIT;
    printf("two buffers of %zu MiB; peak memory / allocated, CPU seconds\n%-32s %10s %8s %10s %8s\n", bytes >> 20, "", "checks", "", "all", "");
    for (unsigned i = 0; i < HONE_COUNT(g_cases); i++)
        for (int k = 0; k < 2; k++) {
            fflush(stdout);
            const pid_t child = fork();
            if (!child) {
                double s = 0;
                const double ratio = run_case(i, bytes, k ? all : HONE_VGPU_CHECK, &s);
                if (!k)
                    printf("%-32s", g_cases[i].name);
                printf(" %9.2fx %7.2fs%s", ratio, s, k ? "\n" : "");
                fflush(stdout);
                _exit(0);
            }
            waitpid(child, NULL, 0);
        }
    return 0;
}
