// The cases of the comparison: data from a fixed generator, launch shapes, and the expected result by a plain scalar loop each.
#include "peers.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t g_state = 12345;
static uint32_t draw(void) {   // a linear congruential generator's upper bits
    g_state = g_state * 1664525u + 1013904223u;
    return g_state >> 8;
}
static float draw_float(void) { return (float)draw() / (float)(1 << 24) - 0.5f; }

// A buffer of count elements of 4 bytes; the case's memory ends the program when it runs out: a benchmark has nothing better to do.
static void *take(size_t count) {
    void *p = hone_calloc(count, 4);
    if (!p)
        fprintf(stderr, "peers: out of memory\n"), exit(1);
    return p;
}
static void *add(peer_case *c, size_t count) {
    void *p = take(count);
    c->buffer[c->n_buffers++] = (peer_buffer){p, count * 4};
    return p;
}
static float *add_random(peer_case *c, size_t count) {
    float *p = add(c, count);
    for (size_t i = 0; i < count; i++)
        p[i] = draw_float();
    return p;
}
static int *add_keys(peer_case *c, size_t count) {
    int *p = add(c, count);
    for (size_t i = 0; i < count; i++)
        p[i] = (int)draw();
    return p;
}
static void *add_result(peer_case *c, size_t count) {
    add(c, count);
    return c->expected = take(count);
}
static void launch(peer_case *c, unsigned gx, unsigned gy, unsigned bx, unsigned by, int n_ints, int value) {
    memcpy(c->grid, (unsigned[]){gx, gy}, sizeof c->grid);
    memcpy(c->block, (unsigned[]){bx, by}, sizeof c->block);
    c->ints = take(PEER_INTS);
    c->ints[0][0] = value;
    c->n_ints = n_ints;
    c->n_launches = 1;
}

static void make_vector_add(peer_case *c) {
    enum { N = 1 << 20 };
    const float *a = add_random(c, N), *b = add_random(c, N);
    float *want = add_result(c, N);
    for (int i = 0; i < N; i++)
        want[i] = a[i] + b[i];
    launch(c, N / 256, 1, 256, 1, 1, N);
}

static void make_stencil(peer_case *c) {
    enum { N = 1 << 20 };
    const float *x = add_random(c, N);
    float *want = add_result(c, N);
    for (int i = 1; i < N - 1; i++)
        want[i] = 2.0f * x[i] + 0.25f * (x[i - 1] + x[i + 1]);
    launch(c, N / 256, 1, 256, 1, 1, N);
}

static void make_gemm(peer_case *c) {
    enum { N = 256 };
    const float *a = add_random(c, N * N), *b = add_random(c, N * N);
    float *want = add_result(c, N * N);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int k = 0; k < N; k++)
                sum += (double)a[i * N + k] * b[k * N + j];
            want[i * N + j] = (float)sum;
        }
    launch(c, N / 16, N / 16, 16, 16, 1, N);
}

static void make_reduce(peer_case *c) {
    enum { BLOCKS = 1024 };
    const float *x = add_random(c, BLOCKS * 1024);
    float *want = add_result(c, BLOCKS);
    for (int i = 0; i < BLOCKS; i++) {
        double sum = 0;
        for (int k = 0; k < 1024; k++)
            sum += x[i * 1024 + k];
        want[i] = (float)sum;
    }
    launch(c, BLOCKS, 1, 256, 1, 0, 0);
}

static void make_transpose(peer_case *c) {
    enum { N = 1024 };
    const float *x = add_random(c, N * N);
    float *want = add_result(c, N * N);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            want[j * N + i] = x[i * N + j];
    launch(c, N / 16, N / 16, 16, 16, 1, N);
}

static void make_spmv(peer_case *c) {   // rows of 0 to 31 entries at random columns
    enum { N = 1 << 16 };
    int *start = add(c, N + 1);
    for (int i = 0; i < N; i++)
        start[i + 1] = start[i] + (int)(draw() % 32);
    int *column = add_keys(c, (size_t)start[N]);
    for (int k = 0; k < start[N]; k++)
        column[k] %= N;
    const float *value = add_random(c, (size_t)start[N]), *x = add_random(c, N);
    float *want = add_result(c, N);
    for (int i = 0; i < N; i++) {
        double sum = 0;
        for (int k = start[i]; k < start[i + 1]; k++)
            sum += (double)value[k] * x[column[k]];
        want[i] = (float)sum;
    }
    launch(c, N / 128, 1, 128, 1, 1, N);
}

static void make_histogram(peer_case *c) {
    enum { BLOCKS = 256 };
    const int *x = add_keys(c, BLOCKS * 4096);
    int *want = add_result(c, 256);
    for (int i = 0; i < BLOCKS * 4096; i++)
        want[x[i] & 255]++;
    launch(c, BLOCKS, 1, 256, 1, 0, 0);
}

static int ascending(const void *a, const void *b) {
    const int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

static void make_bitonic_pass(peer_case *c) {
    enum { LOG = 14, N = 1 << LOG, PASSES = LOG * (LOG + 1) / 2 };
    const int *keys = add_keys(c, N);
    c->expected = take(N);
    memcpy(c->expected, keys, N * sizeof *keys);
    qsort(c->expected, N, sizeof *keys, ascending);
    launch(c, N / 256, 1, 256, 1, 2, 0);
    hone_free(c->ints);
    c->ints = take(PASSES * PEER_INTS);
    c->n_launches = 0;
    for (int size = 2; size <= N; size *= 2)
        for (int distance = size / 2; distance > 0; distance /= 2)
            memcpy(c->ints[c->n_launches++], (int[PEER_INTS]){size, distance}, sizeof *c->ints);
}

static void make_bitonic_block(peer_case *c) {   // the last merge of each block runs by i & 512 == 0: every block ascends
    enum { BLOCKS = 512 };
    const int *keys = add_keys(c, BLOCKS * 512);
    int *want = c->expected = take(BLOCKS * 512);
    memcpy(want, keys, BLOCKS * 512 * sizeof *keys);
    for (int i = 0; i < BLOCKS; i++)
        qsort(want + i * 512, 512, sizeof *keys, ascending);
    launch(c, BLOCKS, 1, 256, 1, 0, 0);
}

static void make_nbody(peer_case *c) {
    enum { N = 2048 };
    const float *body = add_random(c, 4 * N);
    float *want = add_result(c, 4 * N);
    for (int i = 0; i < N; i++) {
        double sum[3] = {0};
        for (int k = 0; k < N; k++) {
            double d[3], square = 0.01;
            for (int t = 0; t < 3; t++) {
                d[t] = (double)body[4 * k + t] - body[4 * i + t];
                square += d[t] * d[t];
            }
            for (int t = 0; t < 3; t++)
                sum[t] += d[t] * body[4 * k + 3] / (square * sqrt(square));
        }
        for (int t = 0; t < 3; t++)
            want[4 * i + t] = (float)sum[t];
    }
    launch(c, N / 128, 1, 128, 1, 1, N);
}

static void make_softmax(peer_case *c) {
    enum { ROWS = 1024, COLUMNS = 512 };
    const float *x = add_random(c, ROWS * COLUMNS);
    float *want = add_result(c, ROWS * COLUMNS);
    for (int i = 0; i < ROWS; i++) {
        double sum = 0;
        for (int k = 0; k < COLUMNS; k++)
            sum += exp(x[i * COLUMNS + k]);
        for (int k = 0; k < COLUMNS; k++)
            want[i * COLUMNS + k] = (float)(exp(x[i * COLUMNS + k]) / sum);
    }
    launch(c, ROWS, 1, 128, 1, 1, COLUMNS);
}

static void make_collatz(peer_case *c) {
    enum { N = 1 << 17, LIMIT = 1000 };
    int *want = add_result(c, N);
    for (int i = 0; i < N; i++)
        for (uint32_t v = (uint32_t)i + 1; v != 1 && want[i] < LIMIT; want[i]++)
            v = v & 1 ? 3 * v + 1 : v / 2;
    launch(c, N / 128, 1, 128, 1, 1, LIMIT);
}

static const struct { const char *name, *kernel; bool irregular; double tolerance; void (*make)(peer_case *c); } g_table[] = {
    {"vector add", "vector_add", false, 1e-6, make_vector_add},
    {"stencil, 3 points", "stencil", false, 1e-6, make_stencil},
    {"GEMM, naive", "gemm_naive", false, 1e-5, make_gemm},
    {"GEMM, tiles in shared memory", "gemm_tiled", false, 1e-5, make_gemm},
    {"reduction, tree", "reduce", false, 1e-5, make_reduce},
    {"transpose, tiles", "transpose", false, 1e-9, make_transpose},
    {"n-body, tiles", "nbody", false, 1e-4, make_nbody},
    {"softmax, a row per block", "softmax", false, 1e-5, make_softmax},
    {"SpMV, a row per thread", "spmv", true, 1e-5, make_spmv},
    {"histogram, shared atomics", "histogram", true, 0, make_histogram},
    {"bitonic sort, a launch per pass", "bitonic_pass", true, 0, make_bitonic_pass},
    {"bitonic sort, in a block", "bitonic_block", true, 0, make_bitonic_block},
    {"3x+1, divergent loops", "collatz", true, 0, make_collatz},
};

size_t peer_cases(peer_case *out, size_t cap) {
    size_t n = 0;
    for (; n < HONE_COUNT(g_table) && n < cap; n++) {
        out[n] = (peer_case){.name = g_table[n].name, .kernel = g_table[n].kernel, .irregular = g_table[n].irregular, .tolerance = g_table[n].tolerance};
        g_table[n].make(&out[n]);
    }
    return n;
}

void peer_cases_free(peer_case *c, size_t n) {
    for (size_t i = 0; i < n; i++) {
        for (int k = 0; k < c[i].n_buffers; k++)
            hone_free(c[i].buffer[k].data);
        hone_free(c[i].ints);
        hone_free(c[i].expected);
    }
}

static bool floats_hold(const peer_case *c, const float *got, const char *by) {
    const float *want = c->expected;
    const size_t n = c->buffer[c->n_buffers - 1].bytes / 4;
    double top = 0;
    for (size_t i = 0; i < n; i++)
        top = fmax(top, fabs((double)want[i]));
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - (double)want[i]) <= c->tolerance * top))
            return printf("%s: %s: element %zu is %g, expected %g\n", by, c->name, i, (double)got[i], (double)want[i]), false;
    return true;
}

bool peer_case_holds(const peer_case *c, const void *result, const char *by) {
    if (c->tolerance > 0)
        return floats_hold(c, result, by);
    const int *got = result, *want = c->expected;
    for (size_t i = 0; i < c->buffer[c->n_buffers - 1].bytes / 4; i++)
        if (got[i] != want[i])
            return printf("%s: %s: element %zu is %d, expected %d\n", by, c->name, i, got[i], want[i]), false;
    return true;
}
