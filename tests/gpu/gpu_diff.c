// The virtual GPU against a physical one, through the same table of driver functions: every instruction form of cases.def on random operands, bit for bit
// or within the bound that PTX states, and every example's baseline at small sizes. One line per case, a summary, and with --json a file of
// differences. It needs the driver, libhonegpu.so and, for the examples, NVRTC. Exit code: 0 agreed, 1 differences, 77 no physical device.
#include "evaluate/internal.h"
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 256, IN_WORDS = 32, OUT_WORDS = 4, SCRATCH = 32, MAX_PTX = 1 << 15 };
typedef enum result_kind { R, R4, L, H, F, D, P } result_kind;
typedef enum compare_kind { BITS, REL, ABS } compare_kind;
typedef struct test_case { const char *name, *family; unsigned cc; result_kind result; compare_kind compare; double bound; const char *text; } test_case;
#define CASE(name, family, cc, result, compare, bound, text) {name, #family, cc, result, compare, bound, text},
static const test_case cases[] = {
#include "cases.def"
};
#undef CASE

typedef struct options { const char *device, *model, *json, *examples, *family, *dump; } options;
typedef struct tally { unsigned same, within, differ, unsupported, failed; json_t *list; } tally;

// ---- PTX of a case

static const char head[] =
    ".visible .entry k(.param .u64 in, .param .u64 out, .param .u64 scratch)\n{\n"
    ".reg .b16 %h<16>; .reg .b32 %r<16>; .reg .b64 %l<16>; .reg .f32 %f<16>; .reg .f64 %d<16>; .reg .pred %p<9>;\n"
    ".reg .b32 %t, %s, %w<2>; .reg .b64 %g, %a<8>;\n.shared .align 16 .b8 sm[8192];\n.local .align 8 .b8 lm[32];\n"
    "mov.u32 %t, %tid.x;\nld.param.u64 %a0, [in];\ncvta.to.global.u64 %a0, %a0;\nmul.wide.u32 %a1, %t, 128;\nadd.u64 %a0, %a0, %a1;\n"
    "ld.param.u64 %a2, [scratch];\ncvta.to.global.u64 %a2, %a2;\nmul.wide.u32 %a3, %t, 32;\nadd.u64 %g, %a2, %a3;\n"
    "mov.u32 %s, sm;\nshl.b32 %w0, %t, 5;\nadd.u32 %s, %s, %w0;\n";

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

static void store(hone_str *o, result_kind kind) {
    static const char *const text[] = {
        [R] = "st.global.b32 [%a5], %r8;\n", [R4] = "st.global.v4.b32 [%a5], {%r8, %r9, %r10, %r11};\n", [L] = "st.global.b64 [%a5], %l8;\n",
        [H] = "st.global.b16 [%a5], %h8;\n", [F] = "st.global.f32 [%a5], %f8;\n", [D] = "st.global.f64 [%a5], %d8;\n",
        [P] = "selp.b32 %w1, 1, 0, %p8;\nst.global.b32 [%a5], %w1;\n",
    };
    hone_str_addf(o, "ld.param.u64 %%a5, [out];\ncvta.to.global.u64 %%a5, %%a5;\nmul.wide.u32 %%a6, %%t, %d;\nadd.u64 %%a5, %%a5, %%a6;\n%sret;\n}\n",
                  4 * OUT_WORDS, text[kind]);
}

static void write_ptx(const test_case *c, uint32_t cc, hone_str *o) {
    hone_str_addf(o, ".version 8.0\n.target sm_%u\n.address_size 64\n%s", cc, head);
    preload(o);
    hone_str_addf(o, "\n%s\n\n", c->text);
    store(o, c->result);
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

typedef struct buffers { CUdeviceptr in, out, scratch; } buffers;
#define CU(call, what)                                                 \
    do {                                                               \
        CUresult cu_ = (call);                                         \
        if (cu_ != CUDA_SUCCESS)                                       \
            return hone_driver_fail(d->driver, cu_, e, what);          \
    } while (0)

static hone_code run_module(hone_device *d, CUmodule m, buffers *b, const uint32_t *in, const uint32_t *scratch, uint32_t *out, hone_err *e) {
    CUfunction f;
    CU(d->driver->ModuleGetFunction(&f, m, "k"), "find the kernel");
    CU(d->driver->MemAlloc(&b->in, THREADS * IN_WORDS * 4), "allocate");
    CU(d->driver->MemAlloc(&b->out, THREADS * OUT_WORDS * 4), "allocate");
    CU(d->driver->MemAlloc(&b->scratch, THREADS * SCRATCH), "allocate");
    CU(d->driver->MemcpyHtoD(b->in, in, THREADS * IN_WORDS * 4), "copy inputs");
    CU(d->driver->MemcpyHtoD(b->scratch, scratch, THREADS * SCRATCH), "copy inputs");
    CU(d->driver->MemsetD8(b->out, 0, THREADS * OUT_WORDS * 4), "clear outputs");
    void *params[] = {&b->in, &b->out, &b->scratch};
    CU(d->driver->LaunchKernel(f, 1, 1, 1, THREADS, 1, 1, 0, NULL, params, NULL), "launch");
    CU(d->driver->CtxSynchronize(), "run the kernel");
    CU(d->driver->MemcpyDtoH(out, b->out, THREADS * OUT_WORDS * 4), "copy outputs");
    return HONE_OK;
}

static hone_code run_case(hone_device *d, const char *ptx, const uint32_t *in, const uint32_t *scratch, uint32_t *out, hone_err *e) {
    CUmodule m = NULL;
    buffers b = {0};
    HONE_TRY(hone_device_use(d, e));
    char log[2048] = "";
    int keys[] = {CU_JIT_ERROR_LOG, CU_JIT_ERROR_LOG_BYTES};
    void *values[] = {log, (void *)(uintptr_t)sizeof log};
    CUresult r = d->driver->ModuleLoadDataEx(&m, ptx, 2, keys, values);
    if (r != CUDA_SUCCESS)
        return hone_fail(e, HONE_E_UNSUPPORTED, r, "%s: %.300s", hone_result_name(d->driver, r), log);
    hone_code c = run_module(d, m, &b, in, scratch, out, e);
    CUdeviceptr all[] = {b.in, b.out, b.scratch};
    for (size_t i = 0; i < HONE_COUNT(all); i++)
        if (all[i])
            d->driver->MemFree(all[i]);
    d->driver->ModuleUnload(m);
    return c;
}

// ---- comparing

static double value_of(const uint32_t *w, result_kind k) {
    float f;
    double d;
    memcpy(&f, w, sizeof f);
    memcpy(&d, w, sizeof d);
    return k == D ? d : (double)f;
}

static bool both_nan(const uint32_t *a, const uint32_t *b, result_kind k) {
    if (k == H)
        return (a[0] & 0x7c00) == 0x7c00 && (a[0] & 0x3ff) && (b[0] & 0x7c00) == 0x7c00 && (b[0] & 0x3ff);
    return (k == F || k == D) && isnan(value_of(a, k)) && isnan(value_of(b, k));
}

// How many threads differ; *worst: the largest difference in the case's measure; *at: its thread.
static unsigned compare(const test_case *c, const uint32_t *a, const uint32_t *b, double *worst, unsigned *at) {
    unsigned n = 0;
    *worst = 0;
    for (unsigned t = 0; t < THREADS; t++, a += OUT_WORDS, b += OUT_WORDS) {
        if (memcmp(a, b, 4 * OUT_WORDS) == 0 || both_nan(a, b, c->result))
            continue;
        double d = INFINITY;
        if (c->result == F || c->result == D) {
            double x = value_of(a, c->result), y = value_of(b, c->result);
            d = fabs(x - y) / (c->compare == REL && x != 0 ? fabs(x) : 1);
        }
        if (!n++ || d > *worst)
            *worst = d, *at = t;
    }
    return n;
}

static void note(tally *t, const char *name, const char *family, const char *status, json_t *detail) {
    json_t *o = json_pack("{s:s,s:s,s:s}", "case", name, "family", family, "status", status);
    if (o && detail)
        json_object_set_new(o, "detail", detail);
    json_array_append_new(t->list, o);
}

static void judge(const test_case *c, const uint32_t *virt, const uint32_t *phys, tally *t) {
    double worst;
    unsigned at = 0, n = compare(c, virt, phys, &worst, &at);
    bool within = n && c->compare != BITS && worst <= c->bound;
    const char *status = !n ? "same" : within ? "within" : "DIFFER";
    t->same += !n;
    t->within += within;
    t->differ += n && !within;
    printf("%-12s %-22s %s", status, c->name, c->family);
    json_t *detail = NULL;
    if (n) {
        const uint32_t *v = virt + at * OUT_WORDS, *p = phys + at * OUT_WORDS;
        printf("  %u of %d threads; thread %u: virtual %08x %08x, physical %08x %08x; %.3g, bound %.3g", n, THREADS, at, v[0], v[1], p[0], p[1], worst, c->bound);
        detail = json_pack("{s:i,s:i,s:[II],s:[II],s:f}", "threads", (int)n, "thread", (int)at, "virtual", (json_int_t)v[0], (json_int_t)v[1], "physical", (json_int_t)p[0],
                           (json_int_t)p[1], "bound", c->bound);
        if (detail && isfinite(worst))
            json_object_set_new(detail, "worst", json_real(worst));
    }
    printf("\n");
    note(t, c->name, c->family, status, detail);
}

static bool run_one(const test_case *c, hone_device *v, hone_device *p, tally *t) {
    static uint32_t in[THREADS * IN_WORDS], scratch[THREADS * SCRATCH / 4], a[THREADS * OUT_WORDS], b[THREADS * OUT_WORDS];
    hone_str ptx;
    hone_err ve = {0}, pe = {0};
    hone_str_init(&ptx, MAX_PTX);
    write_ptx(c, p->info.cc < 90 ? p->info.cc : 90, &ptx);
    fill(in, scratch);
    hone_code vc = run_case(v, ptx.s, in, scratch, a, &ve), pc = run_case(p, ptx.s, in, scratch, b, &pe);
    hone_str_free(&ptx);
    if (vc == HONE_OK && pc == HONE_OK) {
        judge(c, a, b, t);
        return true;
    }
    bool refused = pc == HONE_E_UNSUPPORTED && vc == HONE_E_UNSUPPORTED;
    t->unsupported += refused;
    t->failed += !refused;
    printf("%-12s %-22s %s  virtual: %s; physical: %s\n", refused ? "unsupported" : "FAILED", c->name, c->family, vc == HONE_OK ? "fine" : ve.msg, pc == HONE_OK ? "fine" : pe.msg);
    note(t, c->name, c->family, refused ? "unsupported" : "failed", json_pack("{s:s,s:s}", "virtual", ve.msg, "physical", pe.msg));
    return !(pc == HONE_E_DEVICE && hone_result_is_sticky(pe.sub));
}

// ---- examples

static double element(const uint8_t *p, size_t i, hone_dtype type) {
    float f;
    double d;
    if (type == HONE_DOUBLE)
        return memcpy(&d, p + 8 * i, 8), d;
    if (type == HONE_FLOAT)
        return memcpy(&f, p + 4 * i, 4), (double)f;
    uint16_t h;
    memcpy(&h, p + 2 * i, 2);
    uint32_t w = (uint32_t)h << 16;
    memcpy(&f, &w, 4);
    return (double)f;
}

// The largest difference over the root mean square of the virtual GPU's values; infinity where types are not compared as numbers.
static double distance(const hone_plan_buffer *b, const uint8_t *x, const uint8_t *y) {
    double square = 0, worst = 0;
    if (memcmp(x, y, b->bytes) == 0)
        return 0;
    if (b->arg->type != HONE_FLOAT && b->arg->type != HONE_DOUBLE && b->arg->type != HONE_BFLOAT16)
        return INFINITY;
    for (size_t i = 0; i < b->n_elems; i++) {
        double u = element(x, i, b->arg->type), v = element(y, i, b->arg->type);
        square += u * u;
        worst = fmax(worst, fabs(u - v));
    }
    return worst / sqrt(square / (double)b->n_elems);
}

static hone_code run_baseline(hone_device_runner *r, const hone_task *t, const hone_plan *p, hone_run_buffer **out, hone_err *e) {
    void *program;
    hone_runner face = hone_device_runner_face(r);
    HONE_TRY(hone_run_fill(p, 1, out, e));
    HONE_TRY(face.load(r, t, NULL, &program, e));
    hone_run run = {.plan = p, .buffers = *out, .n_buffers = p->n_buffers};
    hone_code c = hone_device_use(r->device, e);
    if (c == HONE_OK)
        c = face.run(r, program, &run, e);
    face.unload(r, program);
    return c;
}

static double allowed(hone_dtype type) { return type == HONE_BFLOAT16 ? 4e-2 : type == HONE_DOUBLE ? 1e-12 : 1e-4; }

static void compare_plan(const char *name, const hone_plan *p, const hone_run_buffer *a, const hone_run_buffer *b, tally *t) {
    for (size_t i = 0; i < p->n_buffers; i++) {
        hone_role role = p->buffers[i].arg->role;
        if (role != HONE_OUT && role != HONE_INOUT)
            continue;
        double d = distance(&p->buffers[i], a[i].image, b[i].image), most = allowed(p->buffers[i].arg->type);
        const char *status = d == 0 ? "same" : d <= most ? "within" : "DIFFER";
        t->same += d == 0;
        t->within += d > 0 && d <= most;
        t->differ += !(d <= most);
        printf("%-12s %-22s EXAMPLE  '%s', %zu bytes: %.3g of the RMS, bound %.3g\n", status, name, p->buffers[i].arg->name, p->buffers[i].bytes, d, most);
        json_t *detail = json_pack("{s:s,s:I,s:f}", "buffer", p->buffers[i].arg->name, "bytes", (json_int_t)p->buffers[i].bytes, "bound", most);
        if (detail && isfinite(d))
            json_object_set_new(detail, "worst", json_real(d));
        note(t, name, "EXAMPLE", status, detail);
    }
}

static hone_code example_size(const char *name, const hone_task *task, const hone_sizes *z, hone_device_runner *v, hone_device_runner *p, tally *t, hone_err *e) {
    hone_plan *plan = NULL;
    hone_run_buffer *a = NULL, *b = NULL;
    HONE_TRY(hone_plan_make(task, z, NULL, &plan, e));
    hone_code c = run_baseline(v, task, plan, &a, e);
    if (c == HONE_OK)
        c = run_baseline(p, task, plan, &b, e);
    if (c == HONE_OK)
        compare_plan(name, plan, a, b, t);
    if (a)
        hone_run_free(a, plan->n_buffers);
    if (b)
        hone_run_free(b, plan->n_buffers);
    hone_plan_free(plan);
    return c;
}

// The first checked sizes that the task itself names; else derived ones.
static hone_code run_example(const char *path, hone_device_runner *v, hone_device_runner *p, tally *t, hone_err *e) {
    char *text;
    size_t len, n = 0, done = 0;
    hone_task *task = NULL;
    hone_sizes *sizes = NULL;
    hone_diags diags = {.arena = hone_arena_new(1 << 20)};
    HONE_TRY(hone_read_file(path, 1 << 20, &text, &len, e));
    hone_code c = hone_task_parse(path, text, len, &task, &diags, e);
    hone_free(text);
    if (c == HONE_OK)
        c = hone_task_check_sizes(task, 4 << 20, task->arena, &sizes, &n, e);
    for (size_t i = 0; c == HONE_OK && i < n && done < 2; i++)
        if (sizes[i].line) {
            c = example_size(task->name, task, &sizes[i], v, p, t, e);
            done++;
        }
    if (c == HONE_OK && !done && n)
        c = example_size(task->name, task, &sizes[n - 1], v, p, t, e);
    hone_task_free(task);
    hone_arena_free(diags.arena);
    return c;
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }
static int is_task(const struct dirent *d) {
    size_t n = strlen(d->d_name);
    return n > 3 && strcmp(d->d_name + n - 3, ".cu") == 0;
}

static void run_examples(const options *o, hone_device *v, hone_device *p, tally *t) {
    hone_compiler *compiler = NULL;
    hone_err e = {0};
    struct dirent **names = NULL;
    if (hone_compiler_open(&(hone_compiler_config){0}, &compiler, &e) != HONE_OK) {
        printf("skipped      examples: %s\n", e.msg);
        return;
    }
    hone_device_runner rv, rp;
    hone_device_runner_init(&rv, v, compiler);
    hone_device_runner_init(&rp, p, compiler);
    int n = scandir(o->examples, &names, is_task, by_name);
    for (int i = 0; i < n; i++) {
        char path[1024];
        hone_err why = {0};
        snprintf(path, sizeof path, "%s/%s", o->examples, names[i]->d_name);
        if (run_example(path, &rv, &rp, t, &why) != HONE_OK) {
            t->failed++;
            printf("FAILED       %-22s EXAMPLE  %s\n", names[i]->d_name, why.msg);
            note(t, names[i]->d_name, "EXAMPLE", "failed", json_string(why.msg));
        }
        free(names[i]);
    }
    free(names);
    hone_device_runner_free(&rv);
    hone_device_runner_free(&rp);
    hone_compiler_close(compiler);
}

// ---- all

// The cases as PTX files, for ptxas: gpu_diff --dump DIR
static int dump(const options *o) {
    for (size_t i = 0; i < HONE_COUNT(cases); i++) {
        char path[1024];
        hone_str ptx;
        hone_str_init(&ptx, MAX_PTX);
        write_ptx(&cases[i], 90, &ptx);
        snprintf(path, sizeof path, "%s/%03zu.ptx", o->dump, i);
        FILE *f = fopen(path, "w");
        if (f)
            fprintf(f, "// %s\n%s", cases[i].name, ptx.s);
        hone_str_free(&ptx);
        if (!f || fclose(f) != 0)
            return fprintf(stderr, "gpu_diff: cannot write '%s'\n", path), 2;
    }
    return 0;
}

static int finish(const options *o, const hone_device *v, const hone_device *p, tally *t) {
    unsigned all = t->same + t->within + t->differ + t->unsupported + t->failed;
    printf("%u cases on '%s' against '%s': %u the same bits, %u within their bound, %u differ, %u unsupported by both, %u failed\n", all, v->info.name, p->info.name, t->same,
           t->within, t->differ, t->unsupported, t->failed);
    if (o->json) {
        json_t *j = json_pack("{s:s,s:s,s:s,s:i,s:i,s:i,s:i,s:i,s:O}", "schema", "hone.gpu-diff/1", "virtual", v->info.name, "physical", p->info.name, "same", (int)t->same, "within",
                              (int)t->within, "differ", (int)t->differ, "unsupported", (int)t->unsupported, "failed", (int)t->failed, "cases", t->list);
        if (!j || json_dump_file(j, o->json, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) != 0)
            fprintf(stderr, "gpu_diff: cannot write '%s'\n", o->json);
        json_decref(j);
    }
    json_decref(t->list);
    return t->differ || t->failed;
}

static int run_all(const options *o) {
    hone_device *v = NULL, *p = NULL;
    hone_err e = {0};
    char model[300];
    snprintf(model, sizeof model, "virtual:%s", o->model);
    if (hone_device_open(o->device, &p, &e) != HONE_OK) {
        printf("skipped: %s\n", e.msg);
        return 77;
    }
    if (hone_device_open(model, &v, &e) != HONE_OK) {
        fprintf(stderr, "gpu_diff: %s\n", e.msg);
        return 2;
    }
    tally t = {.list = json_array()};
    bool usable = true;
    for (size_t i = 0; i < HONE_COUNT(cases) && usable; i++)
        if (cases[i].cc <= p->info.cc && (!o->family || strcmp(o->family, cases[i].family) == 0))
            usable = run_one(&cases[i], v, p, &t);
    if (!usable)
        printf("stopped: an error that spoils the context\n");
    if (usable && o->examples)
        run_examples(o, v, p, &t);
    int code = finish(o, v, p, &t);
    hone_device_close(v);
    hone_device_close(p);
    return code;
}

int main(int argc, char **argv) {
    options o = {.device = "cuda:0", .model = "h200"};
    const struct { const char *name; const char **value; } table[] = {
        {"--device", &o.device}, {"--model", &o.model}, {"--json", &o.json}, {"--examples", &o.examples}, {"--family", &o.family}, {"--dump", &o.dump}};
    for (int i = 1; i < argc; i += 2) {
        size_t k = 0;
        while (k < HONE_COUNT(table) && strcmp(argv[i], table[k].name) != 0)
            k++;
        if (k == HONE_COUNT(table) || i + 1 == argc) {
            fprintf(stderr, "usage: gpu_diff [--device cuda:N] [--model h200] [--family NAME] [--examples DIR] [--json FILE] [--dump DIR]\n");
            return 2;
        }
        *table[k].value = argv[i + 1];
    }
    return o.dump ? dump(&o) : run_all(&o);
}
