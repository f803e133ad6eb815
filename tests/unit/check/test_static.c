// Static rules: what must be refused by name, and what honest code does that must not be.
#include "fake.h"

#define HEAD                                                     \
    "#pragma hone size n=64\n#pragma hone in x float[n]\n"       \
    "#pragma hone out y float[n]\n#pragma hone launch k<<<1, 64>>>(x, y, n)\n"
#define KERNEL(pre, body) \
    HEAD pre "\nextern \"C\" __global__ void k(const float *x, float *y, int n) { " body " y[threadIdx.x] = x[threadIdx.x]; }\n"

typedef struct row { const char *text, *kind; } row;
static void judge(const row *r) {
    hone_task *base = parse_task(KERNEL("", "")), *t = parse_task(r->text);
    hone_findings f;
    hone_err e = {0};
    hone_findings_init(&f, &e);
    assert_int_equal(hone_check_source(base, t, &f, &e), HONE_OK);
    if (r->kind ? !has_finding(&f, r->kind) : f.refused != 0) {
        print_findings(&f);
        fail_msg("expected %s for:\n%s", r->kind ? r->kind : "nothing", r->text);
    }
    hone_findings_free(&f);
    hone_task_free(t);
    hone_task_free(base);
}

static void refused_source(void **state) {
    (void)state;
    static const row rows[] = {
        {KERNEL("", "long long t = clock64();"), "static.clock"},
        {KERNEL("", "int t = clock();"), "static.clock"},
        {KERNEL("#define T clock64()", "long long t = T;"), "static.clock"},
        {KERNEL("#define P(a, b) a##b", ""), "static.token-pasting"},
        {KERNEL("#include <stdio.h>", ""), "static.include"},
        {KERNEL("#include \"/etc/passwd\"", ""), "static.include"},
        {KERNEL("#include <cuda/std/../../../x.h>", ""), "static.include"},
        {KERNEL("#include MACRO", ""), "static.include"},
        {KERNEL("#/**/include \"/etc/passwd\"", ""), "static.pragma"},
        {KERNEL("#inc\\\nlude \"/etc/passwd\"", ""), "static.pragma"},
        {KERNEL("%:include \"/etc/passwd\"", ""), "static.token-pasting"},
        {KERNEL("#if __has_inc\\\nlude(\"/etc/passwd\")\n#endif", ""), "static.pragma"},
        {KERNEL("#line 4", ""), "static.pragma"},
        {KERNEL("", "_Pragma(\"unroll\")"), "static.pragma"},
        {KERNEL("", "printf(\"x\");"), "static.print"},
        {KERNEL("", "if (__LINE__ > 3) n = 0;"), "static.build-macro"},
        {KERNEL("", "int c = __COUNTER__;"), "static.build-macro"},
        {KERNEL("__device__ float cache[64];", ""), "static.persistent-state"},
        {KERNEL("__device__ int calls = 0;", ""), "static.persistent-state"},
        {KERNEL("static __device__ __align__(16) float4 cache[64];", ""), "static.persistent-state"},
        {KERNEL("__device__ const float *kept;", ""), "static.persistent-state"},
        {KERNEL("", "static int calls; calls++;"), "static.persistent-state"},
        {KERNEL("__managed__ int m;", ""), "static.managed"},
        {KERNEL("__host__ int helper() { return 1; }", ""), "static.host-code"},
        {KERNEL("int main() { return 0; }", ""), "static.host-code"},
        {KERNEL("", "k<<<1, 1>>>(x, y, n);"), "static.device-launch"},
        {KERNEL("", "cudaDeviceSynchronize();"), "static.device-launch"},
        {KERNEL("", "asm volatile(\"mov.u64 %0, %%globaltimer;\" : \"=l\"(t));"), "static.asm"},
        {KERNEL("", "asm(\"mov.u32 %0, %%clock;\" : \"=r\"(n));"), "static.asm"},
        {KERNEL("", "asm(\"createpolicy.fractional.L2::evict_last.b64 %0, 1.0;\" : \"=l\"(t));"), "static.asm"},
        {KERNEL("", "asm(\"ld.global.L1::evict_last.f32 %0, [%1];\" : \"=f\"(v) : \"l\"(x));"), "static.asm"},
        {KERNEL("", "asm(\"trap;\");"), "static.asm"},
        {KERNEL("", "asm(\"add.u32 %0, %1, %2; nanosleep.u32 5;\" : \"=r\"(n));"), "static.asm"},
        {KERNEL("#define TEXT \"trap;\"", "asm(TEXT);"), "static.asm"},
        {KERNEL("", "asm(\".incbin \\\"/etc/passwd\\\"\");"), "static.incbin"},
        {KERNEL("", "int h = (int)((unsigned long long)x >> 8);"), "static.address-dependent"},
        {KERNEL("", "if (reinterpret_cast<uintptr_t>(x) == 4096) n = 0;"), "static.address-dependent"},
        {"#pragma hone size n=64\n#pragma hone in x float[n]\n#pragma hone inout y float[n]\n#pragma hone launch k<<<1, 64>>>(x, y, n)\n"
         "extern \"C\" __global__ void k(const float *x, float *y, int n) { y[0] = x[0]; }\n", "static.contract"},
    };
    for (size_t i = 0; i < HONE_COUNT(rows); i++)
        judge(&rows[i]);
}

static void honest_source(void **state) {
    (void)state;
    static const row rows[] = {
        {KERNEL("", ""), NULL},
        {KERNEL("#include <cuda_bf16.h>\n#include <mma.h>\n#include <cooperative_groups/reduce.h>\n#include <cuda/std/cstdint>", ""), NULL},
        {KERNEL("#define ADD(a, b) \\\n    ((a) + \\\n     (b))\n# define TWO 2\n#\n#\tundef TWO", "n = n % 7;"), NULL},
        {KERNEL("#define TILE 32\n#define MAX(a, b) ((a) > (b) ? (a) : (b))", "__shared__ float s[TILE];"), NULL},
        {KERNEL("__device__ __forceinline__ float f(float v) { return v * 2; }", "static const int table[2] = {1, 2};"), NULL},
        {KERNEL("__device__ const float table[2] = {1.0f, 2.0f};\n__constant__ float c[4] = {0};", ""), NULL},
        {KERNEL("static __device__ __forceinline__ int clock_wise(int a) { return a; }", ""), NULL},
        {KERNEL("", "if (((size_t)x & 15) == 0) n = 1;"), NULL},
        {KERNEL("", "if (reinterpret_cast<uintptr_t>(x) % 16 == 0) n = 1;"), NULL},
        {KERNEL("", "size_t row = (size_t)n * 4; const float *p = x + (size_t)n * row;"), NULL},
        {KERNEL("", "const int4 *v = reinterpret_cast<const int4 *>(x);"), NULL},
        {KERNEL("", "asm volatile(\"cp.async.cg.shared.global.L2::128B [%0], [%1], 16;\\n\" :: \"r\"(n), \"l\"(x));"), NULL},
        {KERNEL("", "asm(\"{ .reg .pred p; setp.ne.b32 p, %0, 0; @p bra L; add.s32 %0, %0, 1; L: mov.b32 %0, %0; }\" : \"+r\"(n));"), NULL},
        {KERNEL("", "asm(\"mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1}, {%2}, {%3}, {%0,%1};\" : \"+r\"(n));"), NULL},
        {KERNEL("", "asm(\"mov.u32 %0, %%laneid; // lane\\n\" : \"=r\"(n));"), NULL},
        {KERNEL("", "#pragma unroll 4\n for (int i = 0; i < 4; i++) n += i;"), NULL},
    };
    for (size_t i = 0; i < HONE_COUNT(rows); i++)
        judge(&rows[i]);
}

static const char ptx_head[] = ".version 9.0\n.target sm_90\n.address_size 64\n";
static void judge_ptx(const char *body, const char *base, const char *kind) {
    char text[4096], base_text[4096];
    snprintf(text, sizeof text, "%s%s", ptx_head, body);
    snprintf(base_text, sizeof base_text, "%s%s", ptx_head, base ? base : "");
    hone_findings f;
    hone_err e = {0};
    hone_findings_init(&f, &e);
    assert_int_equal(hone_check_ptx(text, strlen(text), base ? base_text : NULL, base ? strlen(base_text) : 0, &f, &e), HONE_OK);
    if (kind ? !has_finding(&f, kind) : f.refused != 0) {
        print_findings(&f);
        fail_msg("expected %s for:\n%s", kind ? kind : "nothing", body);
    }
    hone_findings_free(&f);
}

static void ptx_rules(void **state) {
    (void)state;
    judge_ptx(".visible .entry k()\n{\n mov.u64 %rd1, %clock64;\n ret;\n}\n", NULL, "static.clock");
    judge_ptx(".visible .entry k()\n{\n ld.global.L1::evict_last.f32 %f1, [%rd1];\n}\n", NULL, "static.cache-policy");
    judge_ptx(".extern .func (.param .b32 r) vprintf (.param .b64 a, .param .b64 b);\n", NULL, "static.print");
    judge_ptx(".extern .func cudaLaunchDeviceV2 (.param .b64 a);\n", NULL, "static.device-launch");
    judge_ptx(".extern .func helper (.param .b64 a);\n", NULL, "static.extern");
    judge_ptx(".global .align 4 .b8 cache[256];\n.visible .entry k()\n{\n st.global.u32 [cache], %r1;\n}\n", NULL, "static.persistent-state");
    judge_ptx(".visible .global .align 4 .u32 calls;\n.visible .entry k()\n{\n mov.u64 %rd1, calls;\n}\n", NULL, "static.persistent-state");
    judge_ptx(".global .align 1 .b8 _ZN4cuda3std5value;\n.visible .entry k()\n{\n ret;\n}\n", NULL, NULL);      // nothing names it
    judge_ptx(".visible .global .align 4 .u32 calls;\n", ".visible .global .align 4 .u32 calls;\n", NULL);
    judge_ptx(".global .align 4 .b8 table[8] = {1, 2, 3, 4, 5, 6, 7, 8};\n"
              ".visible .entry k(.param .u64 a)\n{\n .reg .f32 %f<3>;\n ret;\n}\n", NULL, NULL);
    judge_ptx("// clock64 and %clock in a comment\n"
              ".visible .entry k(\n .param .u64 k_param_0\n)\n.maxntid 256, 1, 1\n{\n .shared .align 4 .b8 s[64];\n"
              " .loc 1 4 3\n ld.global.nc.L2::128B.f32 %f1, [%rd1];\n}\n", NULL, NULL);
    judge_ptx(".extern .shared .align 16 .b8 dyn[];\n.visible .entry k()\n{\n ret;\n}\n", NULL, NULL);
}

static void float_atomics(void **state) {
    (void)state;
    static const struct { const char *text; bool yes; } rows[] = {
        {"atom.global.add.f32 %f1, [%rd1], %f2;", true},     {"red.global.add.f32 [%rd1], %f2;", true},
            {"atom.cas.b32 %r1, [%rd1], %r2, %r3;", true},
        {"red.relaxed.gpu.global.add.noftz.bf16x2 [%rd1], %r1;", true}, {"atom.global.add.u32 %r1, [%rd1], 1;", false},
        {"add.f32 %f1, %f2, %f3;", false}, {"red.global.add.u32 [%rd1], %r1;\n add.f32 %f1, %f2, %f3;", false},
    };
    for (size_t i = 0; i < HONE_COUNT(rows); i++)
        assert_int_equal(hone_ptx_float_atomics(rows[i].text, strlen(rows[i].text)), rows[i].yes);
}

static void findings_table(void **state) {
    (void)state;
    for (int i = 0; i < HONE_F_COUNT; i++) {
        hone_finding_kind k;
        assert_true(hone_finding_by_name(hone_finding_name((hone_finding_kind)i), &k));
        assert_int_equal(k, i);                           // names are unique
        assert_true(strlen(hone_finding_text(k)) > 10);
    }
    hone_findings f;
    hone_err e = {0};
    hone_findings_init(&f, &e);
    for (int i = 0; i < HONE_FINDINGS_MAX + 5; i++)
        hone_findings_add(&f, HONE_F_STATIC_CLOCK, "a.cu", 3, json_object(), "number %d \xff", i);
    assert_int_equal(f.refused, HONE_FINDINGS_MAX + 5);
    assert_int_equal(f.dropped, 5);
    assert_int_equal(json_array_size(f.array), HONE_FINDINGS_MAX);
    hone_findings_add_named(&f, "barrier.divergent", "sanitize", NULL, 0, NULL, "some threads never arrive");
    assert_int_equal(f.refused, HONE_FINDINGS_MAX + 6);
    hone_findings_free(&f);
}

// docs/findings.md has one table row per kind, in the order of findings.def. HONE_UPDATE_DOCS=1 rewrites the section instead of comparing.
static void findings_document_is_current(void **state) {
    (void)state;
    static const char path[] = SOURCE_DIR "/docs/findings.md", begin[] = "<!-- findings.def -->\n", end[] = "<!-- end -->\n";
    char *text = NULL;
    size_t len;
    hone_err e = {0};
    assert_int_equal(hone_read_file(path, 1u << 20, &text, &len, &e), HONE_OK);
    char *from = strstr(text, begin), *to = strstr(text, end);
    assert_non_null(from);
    assert_non_null(to);
    from += strlen(begin);
    hone_str want;
    hone_str_init(&want, 1u << 20);
    hone_str_add(&want, "| kind | stage | | meaning |\n|---|---|---|---|\n");
    for (int i = 0; i < HONE_F_COUNT; i++) {
        hone_finding_kind k = (hone_finding_kind)i;
        hone_str_addf(&want, "| `%s` | %s | %s | %s |\n", hone_finding_name(k), hone_finding_stage(k),
                      hone_finding_severity(k) == HONE_REFUSE ? "refuses" : "note", hone_finding_text(k));
    }
    bool same = (size_t)(to - from) == want.len && memcmp(from, want.s, want.len) == 0;
    if (!same && getenv("HONE_UPDATE_DOCS")) {
        hone_str whole;
        hone_str_init(&whole, 1u << 20);
        hone_str_addn(&whole, text, (size_t)(from - text));
        hone_str_addn(&whole, want.s, want.len);
        hone_str_add(&whole, to);
        assert_int_equal(hone_write_file(path, whole.s, whole.len, &e), HONE_OK);
        hone_str_free(&whole);
        same = true;
    }
    hone_str_free(&want);
    hone_free(text);
    if (!same)
        fail_msg("docs/findings.md differs from findings.def; run this test with HONE_UPDATE_DOCS=1");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(refused_source), cmocka_unit_test(honest_source), cmocka_unit_test(ptx_rules),
                                       cmocka_unit_test(float_atomics), cmocka_unit_test(findings_table),
                                       cmocka_unit_test(findings_document_is_current)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
