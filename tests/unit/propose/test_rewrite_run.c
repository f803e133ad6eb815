// Moves keep what a kernel computes: chains over every example are compiled by NVRTC and run on the virtual GPU at the example's odd sizes,
// and compared with the untouched example. Skips loudly without NVRTC or libhonegpu.so.
#include "rewrite_fixture.h"
#include <dlfcn.h>
#include <math.h>

typedef struct gpu {
    int (*init)(unsigned), (*device)(int *, int), (*ctx)(void **, unsigned, int), (*load)(void **, const void *), (*unload)(void *),
        (*function)(void **, void *, const char *);
    int (*alloc)(uint64_t *, size_t), (*release)(uint64_t), (*up)(uint64_t, const void *, size_t), (*down)(void *, uint64_t, size_t),
        (*sync)(void);
    int (*launch)(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **);
} gpu;
typedef struct rtc {
    int (*create)(void **, const char *, const char *, int, const char *const *, const char *const *),
        (*compile)(void *, int, const char *const *);
    int (*ptx_size)(void *, size_t *), (*ptx)(void *, char *), (*log_size)(void *, size_t *), (*log)(void *, char *), (*destroy)(void **);
    char include[1100];
} rtc;
static gpu G;
static rtc R;
static bool ready;

// The toolkit's library keeps its arenas to the end of the process.
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

static void *sym(void *lib, const char *name)
{
    void *p = dlsym(lib, name);
    if (!p)
        fail_msg("no %s", name);
    return p;
}

static bool load_rtc(void)
{
    static const char *const names[] = {"libnvrtc.so", "/usr/local/cuda/lib64/libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12"};
    void *lib = NULL;
    for (size_t k = 0; k < HONE_COUNT(names) && !lib; k++)
        lib = dlopen(names[k], RTLD_NOW);
    if (!lib)
        return false;
    R.create = sym(lib, "nvrtcCreateProgram"), R.compile = sym(lib, "nvrtcCompileProgram"), R.ptx_size = sym(lib, "nvrtcGetPTXSize"),
    R.ptx = sym(lib, "nvrtcGetPTX");
    R.log_size = sym(lib, "nvrtcGetProgramLogSize"), R.log = sym(lib, "nvrtcGetProgramLog"), R.destroy = sym(lib, "nvrtcDestroyProgram");
    Dl_info info;
    if (!dladdr((void *)R.create, &info))
        return false;
    char dir[900];
    snprintf(dir, sizeof dir, "%s", info.dli_fname);
    char *slash = strrchr(dir, '/');
    if (slash)
        *slash = 0;
    snprintf(R.include, sizeof R.include, "-I%s/../include", slash ? dir : "/usr/local/cuda/lib64");
    return true;
}

static bool load_gpu(void)
{
    void *lib = dlopen(BUILD_DIR "/libhonegpu.so", RTLD_NOW), *context;
    int device;
    if (!lib)
        return false;
    G.init = sym(lib, "cuInit"), G.device = sym(lib, "cuDeviceGet"), G.ctx = sym(lib, "cuCtxCreate_v2"),
    G.load = sym(lib, "cuModuleLoadData"), G.unload = sym(lib, "cuModuleUnload");
    G.function = sym(lib, "cuModuleGetFunction"), G.alloc = sym(lib, "cuMemAlloc_v2"), G.release = sym(lib, "cuMemFree_v2"),
    G.up = sym(lib, "cuMemcpyHtoD_v2");
    G.down = sym(lib, "cuMemcpyDtoH_v2"), G.sync = sym(lib, "cuCtxSynchronize"), G.launch = sym(lib, "cuLaunchKernel");
    return !G.init(0) && !G.device(&device, 0) && !G.ctx(&context, 0, device);
}

static int start(void **state)
{
    (void)state;
    ready = load_rtc() && load_gpu();
    if (!ready)
        fprintf(stderr, "SKIPPED: NVRTC or %s/libhonegpu.so is missing: no move was run\n", BUILD_DIR);
    return 0;
}

static char *compile(const hone_candidate *c, const hone_task *t)
{
    const char *options[40] = {"--gpu-architecture=sm_90", R.include, "-default-device", "-w"};
    char define[32][64], log[4000] = "";
    int n = 4;
    void *program;
    size_t size;
    for (size_t k = 0; k < t->n_tunes && k < 32; k++) {
        int64_t v = t->tunes[k].values[0];
        for (size_t i = 0; i < c->n_tuning; i++)
            if (!strcmp(c->tuning[i].name, t->tunes[k].name))
                v = c->tuning[i].value;
        snprintf(define[k], sizeof define[k], "-D%s=%lld", t->tunes[k].name, (long long)v);
        options[n++] = define[k];
    }
    assert_int_equal(R.create(&program, c->text, "candidate.cu", 0, NULL, NULL), 0);
    if (R.compile(program, n, options)) {
        if (!R.log_size(program, &size) && size < sizeof log)
            R.log(program, log);
        fail_msg("does not compile:\n%s\n%s", log, c->text);
    }
    assert_int_equal(R.ptx_size(program, &size), 0);
    char *ptx = malloc(size);
    assert_int_equal(R.ptx(program, ptx), 0);
    R.destroy(&program);
    return ptx;
}

typedef struct outputs {
    void *v[16];
    size_t elems[16];
    hone_dtype type[16];
    size_t n;
} outputs;

static void run(const hone_candidate *c, const hone_task *contract, const hone_sizes *sizes, outputs *out)
{
    hone_task *t;
    hone_plan *plan;
    hone_err e = {0};
    hone_arena *a = hone_arena_new(64 << 20);
    hone_diags d = {.arena = a};
    hone_env env = {c->tuning, c->n_tuning, NULL};
    void *module, *kernel;
    uint64_t at[32];
    assert_int_equal(hone_task_parse("candidate.cu", c->text, c->len, &t, &d, &e), HONE_OK);
    assert_int_equal(hone_task_same_contract(contract, t, &e), HONE_OK);
    if (hone_plan_make(t, sizes, &env, &plan, &e) != HONE_OK)
        fail_msg("%s\n%s", e.msg, c->text);
    char *ptx = compile(c, t);
    assert_int_equal(G.load(&module, ptx), 0);
    for (size_t k = 0; k < plan->n_buffers; k++) {
        const hone_plan_buffer *b = &plan->buffers[k];
        void *host = malloc(b->bytes);
        assert_int_equal(G.alloc(&at[k], b->bytes), 0);
        memset(host, 0xff, b->bytes);
        if (b->arg->role == HONE_IN || b->arg->role == HONE_INOUT)
            assert_int_equal(hone_fill(plan, k, HONE_INPUT_TASK, 5, host, &e), HONE_OK);
        assert_int_equal(G.up(at[k], host, b->bytes), 0);
        free(host);
    }
    for (size_t k = 0; k < plan->n_launches; k++) {
        const hone_plan_launch *l = &plan->launches[k];
        void *args[64];
        for (size_t i = 0; i < l->n_args; i++)
            args[i] = l->args[i].buffer >= 0 ? (void *)&at[l->args[i].buffer] : (void *)l->args[i].value;
        assert_int_equal(G.function(&kernel, module, l->kernel), 0);
        if (G.launch(kernel, l->grid[0], l->grid[1], l->grid[2], l->block[0], l->block[1], l->block[2], l->smem_bytes, NULL, args, NULL) ||
            G.sync())
            fail_msg("launch of %s fails\n%s", l->kernel, c->text);
    }
    *out = (outputs){0};
    for (size_t k = 0; k < plan->n_buffers; k++) {
        const hone_plan_buffer *b = &plan->buffers[k];
        if (b->arg->role == HONE_OUT || b->arg->role == HONE_INOUT) {
            out->v[out->n] = malloc(b->bytes);
            out->elems[out->n] = b->n_elems;
            out->type[out->n] = b->arg->type;
            assert_int_equal(G.down(out->v[out->n++], at[k], b->bytes), 0);
        }
        G.release(at[k]);
    }
    G.unload(module);
    free(ptx);
    hone_plan_free(plan);
    hone_task_free(t);
    hone_arena_free(a);
}

static void compare(const char *chain, const outputs *a, const outputs *b)
{
    for (size_t k = 0; k < a->n; k++) {
        double error = 0, scale = 0;
        for (size_t i = 0; i < a->elems[k]; i++) {
            double x = hone_dtype_get(a->type[k], a->v[k], i), y = hone_dtype_get(b->type[k], b->v[k], i);
            if (isnan(x) != isnan(y))
                fail_msg("%s: output %zu element %zu is %g, was %g", chain, k, i, y, x);
            if (!isnan(x) && !isinf(x))
                error += (x - y) * (x - y), scale += x * x;
        }
        double relative = sqrt(error / (scale + 1e-30)), allowed = a->type[k] == HONE_BFLOAT16       ? 4e-3
                                                                   : hone_dtype_is_float(a->type[k]) ? 1e-5
                                                                                                     : 0;
        if (!(relative <= allowed))
            fail_msg("%s: output %zu differs by %g relative RMS", chain, k, relative);
    }
}

static void release(outputs *o)
{
    for (size_t k = 0; k < o->n; k++)
        free(o->v[k]);
}

static void check_chains(const char *dir, const char *example, const char *const *chains)
{
    if (!ready)
        skip();
    fixture f;
    outputs want, got;
    setup(&f, dir, example);
    const hone_sizes *sizes = f.task->n_checks ? &f.task->checks[f.task->n_checks - 1] : &f.task->sizes[0];
    run(&f.parent, f.task, sizes, &want);
    for (; *chains; chains++) {
        hone_candidate c = apply_chain(&f, *chains);
        run(&c, f.task, sizes, &got);
        compare(*chains, &want, &got);
        release(&got);
    }
    release(&want);
    teardown(&f);
}

#define CASE_IN(folder, name, ...)                                                                                                                    \
    static void test_##name(void **state)                                                                                                  \
    {                                                                                                                                      \
        (void)state;                                                                                                                       \
        static const char *const chains[] = {__VA_ARGS__, NULL}, dir[] = folder;                                                                           \
        check_chains(dir, #name ".cu", chains);                                                                                                 \
    }
#define CASE(name, ...) CASE_IN(SOURCE_DIR "/examples", name, __VA_ARGS__)
CASE(gelu, "vector_load@8+elements restrict", "coarsen@4+elements unroll@by+4", "restrict block_shape@512x launch_bounds register_cap")
CASE(transpose, "transpose_tile restrict", "axis_exchange", "block_shape@64x4x1 ldg")
CASE(reduce, "reduction@many+elements reduction restrict", "reduction@sum_partials+reduces", "unroll@by+8")
CASE(softmax, "row_to_block reciprocal restrict", "reciprocal row_to_warp unroll", "coarsen@2+elements")
CASE(layernorm, "rsqrt row_to_warp restrict", "row_to_block ldg", "block_shape@64x")
CASE(matmul, "restrict register_tile@64x64", "register_tile@128x128+tiles", "axis_exchange block_shape@64x4x1")
CASE(gemm_bf16, "register_tile@32x64 restrict", "axis_exchange", "tensor_tile@128x64", "tensor_tile@64x64 restrict")
CASE(segscan, "row_scan restrict", "ldg coarsen@2+elements")
CASE(histogram, "privatise_atomics@16+elements restrict", "privatise_atomics@+1+elements")
CASE(laplace3d, "block_shape@32x4x2 restrict", "axis_exchange")
CASE(attention, "register_tile@attn_values register_tile@attn_scores row_to_warp reciprocal", "unflatten row_to_block", "vector_load rsqrt")
CASE(nbody, "rsqrt shared_tile restrict", "pack_loads coarsen@4+elements", "shared_tile unroll rsqrt")
CASE_IN(TESTS_DIR "/data/rewrite", half_product, "tensor_tile@128x128", "tensor_tile@64x64 restrict", "register_tile@32x64")

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gelu),      cmocka_unit_test(test_transpose), cmocka_unit_test(test_reduce),
        cmocka_unit_test(test_softmax),   cmocka_unit_test(test_layernorm), cmocka_unit_test(test_matmul),
        cmocka_unit_test(test_gemm_bf16), cmocka_unit_test(test_segscan),   cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_laplace3d), cmocka_unit_test(test_attention), cmocka_unit_test(test_nbody),
        cmocka_unit_test(test_half_product),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
