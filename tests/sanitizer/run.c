// Runs the labelled kernels of this folder on the virtual GPU with every check on and compares what it finds with what the labels say.
//
//     run LIBHONEGPU FILE.cu PTX [FILE.cu PTX …]
//
// In a source, `// RUN name blocks threads [coop]` starts a kernel's part; a line that ends in `// EXPECT kind` must be found (a race may name it
// as either of its two accesses). A kernel without EXPECT is correct: any finding is a false alarm. Every kernel is
// `extern "C" __global__ void name(int *out, const int *in, int n)`: out and tmp (behind it) hold zeros, in holds small numbers, n = 4096.
// HONE_TEST_SEEDS=n also runs every kernel under n seeded schedules, HONE_TEST_ONLY=name one kernel, HONE_TEST_SHOW=1 prints what is found. Prints precision and recall per kind; exit code 1 on a miss or a false alarm.
#include "hone_vgpu.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 4096, MAX_CASES = 256, MAX_EXPECT = 8, MAX_KINDS = 40, TAKE = 256, LINE = 512 };
typedef int (*fn)();
#define SYMBOLS(X) X(cuInit) X(cuDeviceGet) X(cuCtxCreate_v2) X(cuCtxDestroy_v2) X(cuModuleLoadData) X(cuModuleGetFunction) X(cuMemAlloc_v2) \
    X(cuMemcpyHtoD_v2) X(cuMemcpyDtoH_v2) X(cuCtxSynchronize) X(cuLaunchKernel) X(cuLaunchCooperativeKernel) X(honeVgpuSetOptions) X(honeVgpuTakeFindings) \
    X(honeVgpuName) X(honeVgpuForget) X(honeVgpuProtect)
#define DECLARE(s) static fn p_##s;
SYMBOLS(DECLARE)

typedef struct expect { char kind[40]; unsigned line; int hit; } expect;
typedef struct test { char name[64]; unsigned blocks, threads, from, to; int coop; expect expect[MAX_EXPECT]; unsigned n; int caught; unsigned alarms; } test;
typedef struct tally { char kind[40]; unsigned expected, found, alarms; } tally;
static test g_tests[MAX_CASES];
static unsigned g_n;
static tally g_kinds[MAX_KINDS];
static unsigned g_n_kinds, g_bad;

static tally *tally_of(const char *kind) {
    for (unsigned i = 0; i < g_n_kinds; i++)
        if (!strcmp(g_kinds[i].kind, kind))
            return &g_kinds[i];
    snprintf(g_kinds[g_n_kinds].kind, sizeof g_kinds[0].kind, "%s", kind);
    return &g_kinds[g_n_kinds++];
}

static char *read_all(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    fseek(f, 0, SEEK_END);
    long n = ftell(f);
    rewind(f);
    char *s = calloc(1, (size_t)n + 1);
    if (s && fread(s, 1, (size_t)n, f) != (size_t)n)
        s[0] = 0;
    fclose(f);
    return s;
}

static int read_labels(const char *path) {
    FILE *f = fopen(path, "r");
    char line[LINE];
    unsigned at = 0;
    test *t = NULL;
    g_n = 0;
    if (!f)
        return 0;
    while (fgets(line, sizeof line, f)) {
        at++;
        const char *run = strstr(line, "// RUN "), *want = strstr(line, "EXPECT ");
        if (run && g_n < MAX_CASES) {
            if (t)
                t->to = at - 1;
            t = &g_tests[g_n++];
            *t = (test){.from = at, .to = ~0u};
            if (sscanf(run, "// RUN %63s %u %u", t->name, &t->blocks, &t->threads) != 3)
                return 0;
            t->coop = strstr(run, "coop") != NULL;
        }
        for (; want && t && t->n < MAX_EXPECT; want = strstr(want + 1, "EXPECT ")) {
            expect *e = &t->expect[t->n++];
            *e = (expect){.line = at};
            sscanf(want + 7, "%39s", e->kind);
        }
    }
    fclose(f);
    return g_n > 0;
}

static void judge(test *t, const honeVgpuFinding *f, unsigned n, int report) {
    for (unsigned i = 0; i < n; i++) {
        int known = 0;
        for (unsigned k = 0; k < t->n; k++)
            if (!strcmp(t->expect[k].kind, f[i].kind) && (t->expect[k].line == f[i].line || t->expect[k].line == f[i].other_line))
                known = t->expect[k].hit = 1;
        if (known && getenv("HONE_TEST_SHOW"))
            printf("  %s %s:%u %s\n", f[i].kind, f[i].kernel, f[i].line, f[i].message);
        if (known)
            continue;
        t->alarms++;
        if (report)
            printf("FALSE ALARM %s: %s line %u (block %u thread %u): %s\n", t->name, f[i].kind, f[i].line, f[i].block[0], f[i].thread[0], f[i].message);
        tally_of(f[i].kind)->alarms++;
    }
}

static int run_once(test *t, const char *ptx, unsigned long long seed) {
    void *ctx, *module, *function;
    unsigned long long out = 0, in = 0;
    int host[2 * N], n = N;
    for (int i = 0; i < N; i++)
        host[i] = i * 7 % 61;
    if (p_cuCtxCreate_v2(&ctx, 0, 0) || p_cuModuleLoadData(&module, ptx) || p_cuModuleGetFunction(&function, module, t->name)) {
        printf("CANNOT LOAD %s\n", t->name);
        return 0;
    }
    honeVgpuOptions o = {.size = sizeof o, .flags = HONE_VGPU_CHECK | HONE_VGPU_RACE | HONE_VGPU_RACE_GLOBAL | HONE_VGPU_INIT | HONE_VGPU_CLOCKS,
                         .threads = 1, .max_findings = TAKE, .schedule_seed = seed, .max_warp_insts = 50000000};
    const int plain = getenv("HONE_TEST_PLAIN") != NULL;   // leaves checks and report to the library
    if (!plain)
        p_honeVgpuSetOptions(&o);
    int zeros[2 * N] = {0};
    p_cuMemAlloc_v2(&out, sizeof zeros);
    p_cuMemAlloc_v2(&in, N * sizeof(int));
    p_honeVgpuName(out, "out");
    p_honeVgpuName(in, "in");
    p_cuMemcpyHtoD_v2(out, zeros, sizeof zeros);
    p_cuMemcpyHtoD_v2(in, host, N * sizeof(int));
    p_honeVgpuForget(out + 2 * N * sizeof(int) - 4096, (size_t)4096);   // its last 1024 elements were never written
    p_honeVgpuProtect(in, 1);
    void *args[] = {&out, &in, &n};
    int r = t->coop ? p_cuLaunchCooperativeKernel(function, t->blocks, 1, 1, t->threads, 1, 1, 0, NULL, args)
                    : p_cuLaunchKernel(function, t->blocks, 1, 1, t->threads, 1, 1, 0, NULL, args, NULL);
    p_cuCtxSynchronize();
    static honeVgpuFinding f[TAKE];
    unsigned found = 0;
    if (!plain)
        p_honeVgpuTakeFindings(f, TAKE, &found);
    if (r)
        printf("CANNOT LAUNCH %s: %d\n", t->name, r);
    judge(t, f, found < TAKE ? found : TAKE, 1);
    p_cuCtxDestroy_v2(ctx);
    return r == 0;
}

static void run_file(const char *source, const char *ptx_path) {
    char *ptx = read_all(ptx_path);
    if (!ptx || !read_labels(source)) {
        printf("CANNOT READ %s\n", source);
        g_bad++;
        return;
    }
    const char *only = getenv("HONE_TEST_ONLY"), *seeds = getenv("HONE_TEST_SEEDS");
    for (unsigned i = 0; i < g_n; i++) {
        test *t = &g_tests[i];
        if (only && strcmp(only, t->name))
            continue;
        for (int s = 0; s <= (seeds ? atoi(seeds) : 0); s++)
            g_bad += !run_once(t, ptx, (unsigned long long)s);
        for (unsigned k = 0; k < t->n; k++) {
            tally *y = tally_of(t->expect[k].kind);
            y->expected++;
            y->found += (unsigned)t->expect[k].hit;
            if (!t->expect[k].hit)
                printf("MISS %s: %s at line %u\n", t->name, t->expect[k].kind, t->expect[k].line);
            g_bad += !t->expect[k].hit;
        }
        tally *y = tally_of(t->n ? "(buggy kernels)" : "(correct kernels)");
        y->expected++;
        y->found += t->alarms == 0;
        g_bad += t->alarms != 0;
    }
    free(ptx);
}

int main(int argc, char **argv) {
    void *lib = argc > 3 ? dlopen(argv[1], RTLD_NOW) : NULL;
    if (!lib) {
        fprintf(stderr, "usage: run LIBHONEGPU FILE.cu PTX …  (%s)\n", argc > 3 ? dlerror() : "");
        return 2;
    }
#define FIND(s) if (!(p_##s = (fn)dlsym(lib, #s))) return fprintf(stderr, "no %s\n", #s), 2;
    SYMBOLS(FIND)
    if (p_cuInit(0))
        return fprintf(stderr, "cuInit failed\n"), 2;
    for (int i = 2; i + 1 < argc; i += 2)
        run_file(argv[i], argv[i + 1]);
    printf("%-30s %9s %6s %13s\n", "kind", "labelled", "found", "false alarms");
    for (unsigned i = 0; i < g_n_kinds; i++)
        printf("%-30s %9u %6u %13u\n", g_kinds[i].kind, g_kinds[i].expected, g_kinds[i].found, g_kinds[i].alarms);
    return g_bad ? 1 : 0;
}
