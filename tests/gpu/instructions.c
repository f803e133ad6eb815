// The cases of cases.def: PTX around each, inputs, one run on each device, comparison.
#include "diff.h"
#include <math.h>
#include <string.h>

enum { THREADS = 256, IN_WORDS = 32, OUT_WORDS = 4, SCRATCH = 32, SM_90A = 901 };
typedef enum element { WORDS, F16S, F32S, F64S } element;
typedef enum result_kind { R, R4, L, H, F, F4, D, P, X, IMAGE_U8X4, IMAGE_U32, IMAGE_S16X2, IMAGE_F16X4, IMAGE_F32X2, IMAGE_U32X2, N_RESULTS } result_kind;
typedef enum compare_kind { BITS, REL, ABS } compare_kind;
typedef enum expectation { RUNS, LACKS /* the physical driver may refuse it */, FAULTS /* both, with the same result */ } expectation;
typedef struct test_case {
    const char *name, *family;
    unsigned arch;
    result_kind result;
    compare_kind compare;
    double bound;
    unsigned blocks, launches;
    expectation expects;
    const char *text;
} test_case;
#define CASE(name, family, arch, result, compare, bound, ...) {name, #family, arch, result, compare, bound, 1, 1, RUNS, __VA_ARGS__},
#define ABSENT(name, family, arch, result, compare, bound, ...) {name, #family, arch, result, compare, bound, 1, 1, LACKS, __VA_ARGS__},
#define FAULT(name, family, arch, result, compare, bound, ...) {name, #family, arch, result, compare, bound, 1, 1, FAULTS, __VA_ARGS__},
#define PAIR(name, family, arch, result, compare, bound, ...) {name, #family, arch, result, compare, bound, 2, 1, RUNS, __VA_ARGS__},
#define TWICE(name, family, arch, result, compare, bound, ...) {name, #family, arch, result, compare, bound, 1, 2, RUNS, __VA_ARGS__},
static const test_case cases[] = {
#include "cases.def"
};
#undef CASE
#undef ABSENT
#undef FAULT
#undef PAIR
#undef TWICE

static const struct { const char *store; element type; int surface; } results[N_RESULTS] = {
    [R] = {"st.global.b32 [%a5], %r8;\n", WORDS, 0},
    [R4] = {"st.global.v4.b32 [%a5], {%r8, %r9, %r10, %r11};\n", WORDS, 0},
    [L] = {"st.global.b64 [%a5], %l8;\n", WORDS, 0},
    [H] = {"st.global.b16 [%a5], %h8;\n", F16S, 0},
    [F] = {"st.global.f32 [%a5], %f8;\n", F32S, 0},
    [F4] = {"st.global.v4.f32 [%a5], {%f8, %f9, %f10, %f11};\n", F32S, 0},
    [D] = {"st.global.f64 [%a5], %d8;\n", F64S, 0},
    [P] = {"selp.b32 %w1, 1, 0, %p8;\nst.global.b32 [%a5], %w1;\n", WORDS, 0},
    [X] = {"st.global.v4.b32 [%a5], {%r8, %r9, %r10, %r11};\n", F16S, 0},
    [IMAGE_U8X4] = {"", WORDS, OBJECT_U8X4},
    [IMAGE_U32] = {"", WORDS, OBJECT_U32},
    [IMAGE_S16X2] = {"", WORDS, OBJECT_S16X2},
    [IMAGE_F16X4] = {"", F16S, OBJECT_F16X4},
    [IMAGE_F32X2] = {"", F32S, OBJECT_F32X2},
    [IMAGE_U32X2] = {"", WORDS, OBJECT_U32X2},
};

size_t case_count(void) { return HONE_COUNT(cases); }
const char *case_name(size_t i) { return cases[i].name; }
const char *case_family(size_t i) { return cases[i].family; }
bool case_runs_on(size_t i, uint32_t cc) { return cases[i].arch == SM_90A ? cc == 90 : cases[i].arch <= cc; }   // sm_90a runs on nothing newer

// ---- PTX of a case

static const char head[] =
    "{\n.reg .b16 %h<16>; .reg .b32 %r<32>; .reg .b64 %l<16>; .reg .f32 %f<32>; .reg .f64 %d<16>; .reg .pred %p<9>;\n"
    ".reg .b32 %t, %s, %x, %y, %w<2>; .reg .b64 %g, %e, %a<8>;\n.shared .align 1024 .b8 sm[8192];\n.shared .align 16 .b64 bar;\n.local .align 8 .b8 lm[32];\n"
    "mov.u32 %w0, %tid.x;\nmov.u32 %t, %ctaid.x;\nmov.u32 %w1, %ntid.x;\nmad.lo.u32 %t, %t, %w1, %w0;\n"
    "ld.param.u64 %a0, [in];\ncvta.to.global.u64 %a0, %a0;\nmul.wide.u32 %a1, %t, 128;\nadd.u64 %a0, %a0, %a1;\n"
    "ld.param.u64 %a2, [scratch];\ncvta.to.global.u64 %a2, %a2;\nmul.wide.u32 %a3, %t, 32;\nadd.u64 %g, %a2, %a3;\n"
    "ld.param.u64 %e, [handles];\ncvta.to.global.u64 %e, %e;\nand.b32 %x, %t, 15;\nshr.u32 %y, %t, 4;\n"
    "mov.u32 %s, sm;\nshl.b32 %w0, %w0, 5;\nadd.u32 %s, %s, %w0;\n";

static void preload(hone_str *o) {
    for (int i = 0; i < 8; i++)
        hone_str_addf(o, "ld.global.b32 %%r%d, [%%a0+%d];\n", i, 4 * i);
    for (int i = 0; i < 4; i++)
        hone_str_addf(o, "ld.global.b64 %%l%d, [%%a0+%d];\n", i, 32 + 8 * i);
    for (int i = 0; i < 8; i++)
        hone_str_addf(o, "ld.global.b16 %%h%d, [%%a0+%d];\n", i, 64 + 2 * i);
    for (int i = 0; i < 4; i++)
        hone_str_addf(o, "ld.global.f32 %%f%d, [%%a0+%d];\n", i, 80 + 4 * i);
    for (int i = 0; i < 4; i++)
        hone_str_addf(o, "ld.global.f64 %%d%d, [%%a0+%d];\n", i, 96 + 8 * i);
    for (int i = 0; i < 4; i++)   // shared memory as global scratch
        hone_str_addf(o, "ld.global.b64 %%a4, [%%g+%d];\nst.shared.b64 [%%s+%d], %%a4;\n", 8 * i, 8 * i);
    for (int i = 8; i < 16; i++)
        hone_str_addf(o, "mov.b32 %%r%d, 0;\nmov.b32 %%f%d, 0f00000000;\n", i, i);
}

void case_ptx(size_t i, uint32_t cc, hone_str *o) {
    const test_case *c = &cases[i];
    const bool newer = c->arch >= 90;
    if (cc > 90 && !newer)
        cc = 90;
    hone_str_addf(o, ".version %s\n.target sm_%u%s\n.address_size 64\n.visible .entry k(.param .u64 in, .param .u64 out, .param .u64 scratch, .param .u64 handles%s)\n%s%s%s",
                  newer ? "8.4" : "8.0", newer ? 90 : cc, c->arch == SM_90A ? "a" : "",
                  newer ? ", .param .align 64 .b8 tile[128], .param .align 64 .b8 swizzled[128], .param .align 64 .b8 im2col[128], .param .align 64 .b8 target[128], .param .align 64 .b8 filled[128]" : "",
                  c->blocks > 1 ? ".explicitcluster .reqnctapercluster 2, 1, 1\n" : "", head, newer ? ".reg .b128 %q<4>;\n" : "");
    preload(o);
    hone_str_addf(o, "\n%s\n\nld.param.u64 %%a5, [out];\ncvta.to.global.u64 %%a5, %%a5;\nmul.wide.u32 %%a6, %%t, %d;\nadd.u64 %%a5, %%a5, %%a6;\n%sret;\n}\n", c->text, 4 * OUT_WORDS,
                  results[c->result].store);
}

// ---- inputs: the same for every case and device

static double near_one(hone_rng *r) { return exp2(8 * hone_rng_unit(r) - 4); }

static uint32_t word(hone_rng *r) {
    static const uint32_t edges[] = {0, 1, 0xffffffff, 0x80000000, 0x7fffffff, 0x7f800000, 0xff800000, 0x7fc00000, 0x00800000, 0x00000001, 0x3f800000, 31, 32};
    uint64_t u = hone_rng_below(r, 4);
    return u == 0 ? edges[hone_rng_below(r, HONE_COUNT(edges))] : (uint32_t)hone_rng_below(r, (uint64_t)1 << 32);
}

static void fill(uint32_t *in, uint32_t *scratch) {
    hone_rng r;
    hone_rng_init(&r, 1, 0x6b0d1f);
    for (unsigned t = 0; t < THREADS; t++) {
        uint32_t *w = in + t * IN_WORDS;
        for (int i = 0; i < 20; i++)
            w[i] = word(&r);
        for (int i = 0; i < 4; i++) {
            float f = (float)near_one(&r);
            double d = near_one(&r);
            memcpy(w + 20 + i, &f, sizeof f);
            memcpy(w + 24 + 2 * i, &d, sizeof d);
        }
        for (int i = 0; i < SCRATCH / 4; i++)
            scratch[t * SCRATCH / 4 + i] = word(&r);
    }
}

// ---- one case on one device

typedef struct buffers { CUdeviceptr in, out, scratch, handles; } buffers;
#define CU(call, what)                                                 \
    do {                                                               \
        CUresult cu_ = (call);                                         \
        if (cu_ != CUDA_SUCCESS)                                       \
            return hone_driver_fail(d->driver, cu_, e, what);          \
    } while (0)

// The second of two launches may start before the first has ended (programmatic stream serialization), where the driver knows how.
static CUresult launch(const hone_device *d, CUfunction f, const test_case *c, unsigned nth, void **params) {
    enum { PROGRAMMATIC_STREAM_SERIALIZATION = 6 };
    if (!nth || !d->driver->LaunchKernelEx)
        return d->driver->LaunchKernel(f, c->blocks, 1, 1, THREADS / c->blocks, 1, 1, 0, NULL, params, NULL);
    CUlaunchAttribute early = {.id = PROGRAMMATIC_STREAM_SERIALIZATION, .value.cooperative = 1};
    const CUlaunchConfig how = {.gridDimX = c->blocks, .gridDimY = 1, .gridDimZ = 1, .blockDimX = THREADS / c->blocks, .blockDimY = 1, .blockDimZ = 1, .attrs = &early,
                                .numAttrs = 1};
    return d->driver->LaunchKernelEx(&how, f, params, NULL);
}

static hone_code run_module(const side *s, CUmodule m, const test_case *c, buffers *b, const uint32_t *in, const uint32_t *scratch, uint32_t *out, hone_err *e) {
    const hone_device *d = s->device;
    static _Alignas(64) unsigned char maps[N_MAPS][MAP_BYTES];
    CUfunction f;
    CU(d->driver->ModuleGetFunction(&f, m, "k"), "find the kernel");
    CU(d->driver->MemAlloc(&b->in, THREADS * IN_WORDS * 4), "allocate");
    CU(d->driver->MemAlloc(&b->out, THREADS * OUT_WORDS * 4), "allocate");
    CU(d->driver->MemAlloc(&b->scratch, THREADS * SCRATCH), "allocate");
    CU(d->driver->MemAlloc(&b->handles, sizeof s->objects.handles), "allocate");
    CU(d->driver->MemcpyHtoD(b->in, in, THREADS * IN_WORDS * 4), "copy inputs");
    CU(d->driver->MemcpyHtoD(b->scratch, scratch, THREADS * SCRATCH), "copy inputs");
    CU(d->driver->MemcpyHtoD(b->handles, s->objects.handles, sizeof s->objects.handles), "copy inputs");
    CU(d->driver->MemsetD8(b->out, 0, THREADS * OUT_WORDS * 4), "clear outputs");
    if (results[c->result].surface)
        CU(objects_refill(&s->objects), "fill surfaces");
    if (c->arch >= 90)
        CU(objects_maps(d->driver->library, b->in, b->scratch, maps), "encode tensor maps");
    void *params[] = {&b->in, &b->out, &b->scratch, &b->handles, maps[MAP_TILE], maps[MAP_SWIZZLED], maps[MAP_IM2COL], maps[MAP_OUT], maps[MAP_FILLED]};
    for (unsigned i = 0; i < c->launches; i++)
        CU(launch(d, f, c, i, params), "launch");
    CU(d->driver->CtxSynchronize(), "run the kernel");
    if (results[c->result].surface)
        CU(objects_read(&s->objects, (unsigned)results[c->result].surface, out), "copy a surface");
    else
        CU(d->driver->MemcpyDtoH(out, b->out, THREADS * OUT_WORDS * 4), "copy outputs");
    return HONE_OK;
}

static hone_code run_on(const side *s, const char *ptx, const test_case *c, const uint32_t *in, const uint32_t *scratch, uint32_t *out, hone_err *e) {
    hone_device *d = s->device;
    CUmodule m = NULL;
    buffers b = {0};
    HONE_TRY(hone_device_use(d, e));
    char log[2048] = "";
    int keys[] = {CU_JIT_ERROR_LOG, CU_JIT_ERROR_LOG_BYTES};
    void *values[] = {log, (void *)(uintptr_t)sizeof log};
    CUresult r = d->driver->ModuleLoadDataEx(&m, ptx, 2, keys, values);
    if (r != CUDA_SUCCESS)
        return hone_fail(e, HONE_E_UNSUPPORTED, r, "%s: %.300s", hone_result_name(d->driver, r), log);
    memset(out, 0, THREADS * OUT_WORDS * 4);
    hone_code code = run_module(s, m, c, &b, in, scratch, out, e);
    CUdeviceptr all[] = {b.in, b.out, b.scratch, b.handles};
    for (size_t i = 0; i < HONE_COUNT(all); i++)
        if (all[i])
            d->driver->MemFree(all[i]);
    d->driver->ModuleUnload(m);
    return code;
}

// ---- comparing

static double half_value(uint32_t h) {
    const int e = (int)(h >> 10 & 31), m = (int)(h & 0x3ff);
    const double v = e == 31 ? (m ? (double)NAN : (double)INFINITY) : e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);
    return h & 0x8000 ? -v : v;
}

// The elements of a thread's four words, as numbers.
static unsigned values_of(const uint32_t *w, element type, double *v) {
    unsigned n = 0;
    float f;
    for (unsigned i = 0; i < OUT_WORDS; i += type == F64S ? 2 : 1)
        if (type == F16S)
            v[n++] = half_value(w[i] & 0xffff), v[n++] = half_value(w[i] >> 16);
        else if (type == F64S)
            memcpy(&v[n++], w + i, 8);
        else
            memcpy(&f, w + i, 4), v[n++] = (double)f;
    return n;
}

// How far apart two threads' results are in the case's measure: 0 the same bits or both NaN, infinity where no bound applies.
static double distance(const test_case *c, const uint32_t *a, const uint32_t *b) {
    double x[2 * OUT_WORDS], y[2 * OUT_WORDS], worst = 0;
    const element type = results[c->result].type;
    if (memcmp(a, b, 4 * OUT_WORDS) == 0)
        return 0;
    if (type == WORDS)
        return INFINITY;
    const unsigned n = values_of(a, type, x);
    values_of(b, type, y);
    for (unsigned i = 0; i < n; i++)
        if (!(isnan(x[i]) && isnan(y[i])) && !(x[i] == y[i] && signbit(x[i]) == signbit(y[i]))) {
            const double d = fabs(x[i] - y[i]) / (c->compare == REL && x[i] != 0 ? fabs(x[i]) : 1);
            worst = fmax(worst, isnan(d) || d == 0 ? (double)INFINITY : d);
        }
    return worst;
}

// Thread, its words on the virtual device, on the physical one.
static void list_thread(json_t *list, unsigned t, const uint32_t *v, const uint32_t *p) {
    json_array_append_new(list, json_sprintf("%u: %08x %08x %08x %08x, %08x %08x %08x %08x", t, v[0], v[1], v[2], v[3], p[0], p[1], p[2], p[3]));
}

static void judge(const test_case *c, const uint32_t *virt, const uint32_t *phys) {
    double worst = 0;
    unsigned at = 0, n = 0;
    json_t *list = json_array();
    for (unsigned t = 0; t < THREADS; t++) {
        const double d = distance(c, virt + t * OUT_WORDS, phys + t * OUT_WORDS);
        if (d > 0)
            list_thread(list, t, virt + t * OUT_WORDS, phys + t * OUT_WORDS);
        if (d > 0 && (!n++ || d > worst))
            worst = d, at = t;
    }
    if (!n) {
        json_decref(list);
        note(c->name, c->family, SAME, NULL, "%s", "");
        return;
    }
    const uint32_t *v = virt + at * OUT_WORDS, *p = phys + at * OUT_WORDS;
    json_t *detail = json_pack("{s:i,s:i,s:[IIII],s:[IIII],s:f,s:o}", "threads", (int)n, "thread", (int)at, "virtual", (json_int_t)v[0], (json_int_t)v[1], (json_int_t)v[2],
                               (json_int_t)v[3], "physical", (json_int_t)p[0], (json_int_t)p[1], (json_int_t)p[2], (json_int_t)p[3], "bound", c->bound, "all", list);
    if (detail && isfinite(worst))
        json_object_set_new(detail, "worst", json_real(worst));
    note(c->name, c->family, c->compare != BITS && worst <= c->bound ? WITHIN : DIFFER, detail,
         "%u of %d threads; thread %u: virtual %08x %08x %08x %08x, physical %08x %08x %08x %08x; %.3g, bound %.3g", n, THREADS, at, v[0], v[1], v[2], v[3], p[0], p[1], p[2],
         p[3], worst, c->bound);
}

// The virtual GPU's sanitizer finds nothing in a case: what it computes is defined. false: noted.
static bool is_clean(const test_case *c, const hone_device *virt) {
    honeVgpuFinding f = {0};
    uint32_t n = 0;
    if (!virt->driver->vgpu.TakeFindings || virt->driver->vgpu.TakeFindings(&f, 1, &n) != 0 || !n)
        return true;
    note(c->name, c->family, FAILED, json_pack("{s:s}", "finding", f.kind), "%s: %s (PTX line %u)", f.kind, f.message, f.ptx_line);
    return false;
}

// Both faulted, as the case wants; or the physical driver has no such form, as is known. Else false.
static bool fails_as_known(const test_case *c, hone_code vc, hone_code pc, const hone_err *ve, const hone_err *pe) {
    enum { NOT_FOUND = 500 };   // of a module that is loaded when its kernel is first asked for
    if (c->expects == FAULTS && vc == HONE_E_DEVICE && pc == HONE_E_DEVICE && ve->sub == pe->sub)
        note(c->name, c->family, SAME, NULL, "%s", "");
    else if (c->expects == LACKS && vc == HONE_OK && (pc == HONE_E_UNSUPPORTED || pe->sub == NOT_FOUND))
        note(c->name, c->family, ABSENT, json_pack("{s:s}", "physical", pe->msg), "%s", pe->msg);
    else
        return false;
    return true;
}

bool case_run(size_t i, side *virt, side *phys) {
    static uint32_t in[THREADS * IN_WORDS], scratch[THREADS * SCRATCH / 4], a[THREADS * OUT_WORDS], b[THREADS * OUT_WORDS];
    const test_case *c = &cases[i];
    hone_str ptx;
    hone_err ve = {0}, pe = {0};
    hone_str_init(&ptx, CASE_PTX_BYTES);
    case_ptx(i, phys->device->info.cc, &ptx);
    fill(in, scratch);
    const hone_code vc = run_on(virt, ptx.s, c, in, scratch, a, &ve), pc = run_on(phys, ptx.s, c, in, scratch, b, &pe);
    hone_str_free(&ptx);
    const bool goes_on = !(vc == HONE_E_DEVICE && hone_result_is_sticky(ve.sub)) && !(pc == HONE_E_DEVICE && hone_result_is_sticky(pe.sub));
    if (fails_as_known(c, vc, pc, &ve, &pe))
        return goes_on;
    if (vc == HONE_OK && pc == HONE_OK) {
        if (c->expects == FAULTS)
            note(c->name, c->family, FAILED, NULL, "%s", "neither faults");
        else if (is_clean(c, virt->device))
            judge(c, a, b);
        return true;
    }
    const status s = pc == HONE_E_UNSUPPORTED && vc == HONE_E_UNSUPPORTED ? UNSUPPORTED : pc == HONE_E_UNSUPPORTED || vc == HONE_E_UNSUPPORTED ? REFUSED : FAILED;
    note(c->name, c->family, s, json_pack("{s:s,s:s}", "virtual", ve.msg, "physical", pe.msg), "virtual: %s; physical: %s", vc == HONE_OK ? "fine" : ve.msg,
         pc == HONE_OK ? "fine" : pe.msg);
    return goes_on;
}
