// hone's virtual GPU against an OpenCL implementation running the same kernels on the same cores: every result is compared with scalar C, then
// a table: milliseconds (medians of several runs; wall and, because other work may share the machine, CPU), warp instructions per CPU second,
// and the ratio of CPU times. "checks": bounds, alignment, initialisation of global memory. "all": also races within and between blocks and
// uninitialised local memory and registers. Asserts no time. Without OpenCL it says so and leaves that side out.
//     build/bench_peers bench/peers/kernels.inc [KERNEL]
#include "peers.h"
#include "base/io.h"
#include "base/stats.h"
#include "hone_vgpu.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_CASES = 32, RUNS_CHECKED = 7, RUNS_ALL = 3, RUNS_OPENCL = 15, MAX_RUNS = 15 };
static const uint32_t g_checks = HONE_VGPU_CHECK, g_all = HONE_VGPU_CHECK | HONE_VGPU_RACE | HONE_VGPU_RACE_GLOBAL | HONE_VGPU_INIT;

typedef struct cost { double wall_s, cpu_s; bool right; } cost;
typedef struct side {   // one way of running a case
    const char *name;
    void *self;
    hone_code (*upload)(void *self, const peer_case *c, hone_err *e);
    hone_code (*run)(void *self, const peer_case *c, hone_err *e);
    hone_code (*result)(void *self, const peer_case *c, void *out, hone_err *e);
} side;
#define SIDE(kind)                                                                                                                      \
    static hone_code kind##_upload(void *p, const peer_case *c, hone_err *e) { return peer_##kind##_upload(p, c, e); }                \
    static hone_code kind##_run(void *p, const peer_case *c, hone_err *e) { return peer_##kind##_run(p, c, e); }                      \
    static hone_code kind##_result(void *p, const peer_case *c, void *out, hone_err *e) { return peer_##kind##_result(p, c, out, e); } \
    static side kind##_side(void *p, const char *name) { return (side){name, p, kind##_upload, kind##_run, kind##_result}; }
SIDE(cuda)
SIDE(opencl)

static void must(hone_code c, const hone_err *e) {
    if (c != HONE_OK)
        fprintf(stderr, "peers: %s\n", e->msg), exit(1);
}
static double seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool run_holds(const side *s, const peer_case *c) {
    hone_err e = {0};
    void *out = hone_calloc(1, c->buffer[c->n_buffers - 1].bytes);
    if (!out)
        return false;
    must(s->result(s->self, c, out, &e), &e);
    const bool holds = peer_case_holds(c, out, s->name);
    hone_free(out);
    return holds;
}

// The first run compiles and warms up; each run starts from freshly written buffers.
static cost measure(const side *s, const peer_case *c, int runs) {
    double wall[MAX_RUNS], cpu[MAX_RUNS];
    cost out = {.right = true};
    hone_err e = {0};
    for (int i = -1; i < runs; i++) {
        must(s->upload(s->self, c, &e), &e);
        const double w = seconds(CLOCK_MONOTONIC), p = seconds(CLOCK_PROCESS_CPUTIME_ID);
        must(s->run(s->self, c, &e), &e);
        if (i >= 0) {
            cpu[i] = seconds(CLOCK_PROCESS_CPUTIME_ID) - p;
            wall[i] = seconds(CLOCK_MONOTONIC) - w;
        }
        if (i <= 0)
            out.right = out.right && run_holds(s, c);
    }
    out.wall_s = hone_median(wall, (size_t)runs);
    out.cpu_s = hone_median(cpu, (size_t)runs);
    return out;
}

static bool compare(peer_cuda *cuda, peer_opencl *opencl, const peer_case *c) {
    hone_err e = {0};
    double insts = 0;
    const side ours = cuda_side(cuda, "hone"), theirs = opencl_side(opencl, "OpenCL");
    must(peer_cuda_count(cuda, c, &insts, &e), &e);
    must(peer_cuda_set(cuda, g_checks, &e), &e);
    const cost checked = measure(&ours, c, RUNS_CHECKED);
    must(peer_cuda_set(cuda, g_all, &e), &e);
    const cost all = measure(&ours, c, RUNS_ALL);
    const uint32_t findings = peer_cuda_findings(cuda);
    printf("%-32s %c %7.2f | %8.2f %8.2f %7.1f | %8.2f %7.1f |", c->name, c->irregular ? '*' : ' ', insts / 1e6, checked.wall_s * 1e3, checked.cpu_s * 1e3,
           insts / checked.cpu_s / 1e6, all.cpu_s * 1e3, insts / all.cpu_s / 1e6);
    bool right = checked.right && all.right && !findings;
    if (opencl) {
        const cost other = measure(&theirs, c, RUNS_OPENCL);
        right = right && other.right;
        printf(" %8.2f %8.2f | %7.1fx %7.1fx", other.wall_s * 1e3, other.cpu_s * 1e3, checked.cpu_s / other.cpu_s, all.cpu_s / other.cpu_s);
    }
    printf("%s%s\n", right ? "" : "  WRONG", findings ? " (findings)" : "");
    fflush(stdout);
    return right;
}

static char *read_text(const char *path) {
    FILE *f = fopen(path, "rb");
    enum { MAX_TEXT = 1 << 16 };
    char *text = hone_calloc(1, MAX_TEXT);
    if (!f || !text || !fread(text, 1, MAX_TEXT - 1, f))
        fprintf(stderr, "peers: cannot read '%s'\n", path), exit(1);
    fclose(f);
    return text;
}

int main(int argc, char **argv) {
    peer_case cases[MAX_CASES];
    peer_cuda *cuda = NULL;
    peer_opencl *opencl = NULL;
    hone_err e = {0}, none = {0};
    bool right = true;
    if (argc < 2)
        return fprintf(stderr, "usage: bench_peers KERNELS [KERNEL]\n"), 2;
    char *source = read_text(argv[1]);
    must(peer_cuda_open(source, &cuda, &e), &e);
    if (peer_opencl_open(source, &opencl, &none) != HONE_OK)
        printf("SKIPPED the OpenCL side: %s\n", none.msg);
    else
        printf("against %s\n", peer_opencl_name(opencl));
    printf("%-32s   %7s | %8s %8s %7s | %8s %7s | %8s %8s | %8s %8s\n", "* irregular", "M warp", "checks", "", "M warp", "all", "M warp", "OpenCL", "", "CPU ratio", "");
    printf("%-32s   %7s | %8s %8s %7s | %8s %7s | %8s %8s | %8s %8s\n", "", "insts", "wall ms", "CPU ms", "/CPU s", "CPU ms", "/CPU s", "wall ms", "CPU ms", "checks", "all");
    const size_t n = peer_cases(cases, MAX_CASES);
    for (size_t i = 0; i < n; i++)
        if (argc < 3 || !strcmp(argv[2], cases[i].kernel))
            right = compare(cuda, opencl, &cases[i]) && right;
    peer_cases_free(cases, n);
    peer_opencl_close(opencl);
    peer_cuda_close(cuda);
    hone_free(source);
    return right ? 0 : 1;
}
