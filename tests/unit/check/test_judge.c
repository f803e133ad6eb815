// The differential tests end to end, against cheating and honest "kernels" written in C.
#include "fake.h"

#define CONTRACT                                                                     \
    "#pragma hone size M=48 N=40 K=64\n"                                             \
    "#pragma hone check M=5 N=33 K=17\n"                                             \
    "#pragma hone check M=32 N=64 K=48\n"                                            \
    "#pragma hone in A float[M][K] ~ normal(0,1)\n"                                  \
    "#pragma hone in B float[K][N] ~ normal(0,1)\n"                                  \
    "#pragma hone out C float[M][N]\n"
#define TASK(kernel)                                                                 \
    CONTRACT                                                                         \
    "#pragma hone launch " kernel "<<<dim3(cdiv(N,16),cdiv(M,16)), dim3(16,16)>>>(A, B, C, M, N, K)\n" \
    "extern \"C\" __global__ void " kernel "(const float *A, const float *B, float *C, int M, int N, int K) {\n" \
    "    float acc = 0.0f; for (int k = 0; k < K; k++) acc += A[k] * B[k]; C[0] = acc; }\n"

typedef struct mm { size_t M, N, K; hone_dtype t; uint8_t *A, *B, *C; } mm;
static mm open_mm(const fake_view *v) {
    mm x = {.M = size_of(v, "M"), .N = size_of(v, "N"), .K = size_of(v, "K")};
    x.A = data_of(v, "A", &x.t);
    x.B = data_of(v, "B", &x.t);
    x.C = data_of(v, "C", &x.t);
    return x;
}
static double at(const mm *x, const uint8_t *p, size_t i) { return hone_dtype_get(x->t, p, i); }
// One product, by the order and arithmetic asked for. The double shadow runs through the same function.
typedef enum how { SEQUENTIAL, REVERSED, SPLIT, TF32, BF16, SKIP } how;
static float cut(float f, uint32_t mask) {
    if (mask == 0xffffffffu)
        return f;
    uint32_t u;
    memcpy(&u, &f, 4);
    u = (u + (~mask >> 1) + 1) & mask;
    memcpy(&f, &u, 4);
    return f;
}
static double dot(const mm *x, const double *A, const double *B, size_t i, size_t j, how h) {
    double wide = 0;
    float acc = 0, half[2] = {0};
    for (size_t q = 0; q < x->K; q++) {
        size_t k = h == REVERSED ? x->K - 1 - q : q;
        double a = A[i * x->K + k], b = B[k * x->N + j];
        if (x->t == HONE_DOUBLE) {
            wide += a * b;
            continue;
        }
        if (h == SKIP && k == x->K - 1)
            continue;
        uint32_t mask = h == TF32 ? 0xffffe000u : h == BF16 ? 0xffff0000u : 0xffffffffu;
        float p = cut((float)a, mask), r = cut((float)b, mask);
        if (h == SPLIT)
            half[k % 2] = fmaf(p, r, half[k % 2]);
        else if (h == REVERSED)
            acc = fmaf(p, r, acc);
        else
            acc += p * r;
    }
    return x->t == HONE_DOUBLE ? wide : h == SPLIT ? half[0] + half[1] : acc;
}
static hone_code product(fake_view *v, how h) {
    mm x = open_mm(v);
    double *a = malloc((x.M * x.K + 1) * sizeof *a), *b = malloc((x.K * x.N + 1) * sizeof *b);
    hone_values_get(x.t, x.A, 0, x.M * x.K, a);
    hone_values_get(x.t, x.B, 0, x.K * x.N, b);
    for (size_t i = 0; i < x.M; i++)
        for (size_t j = 0; j < x.N; j++)
            hone_dtype_set(x.t, x.C, i * x.N + j, dot(&x, a, b, i, j, h));
    free(a);
    free(b);
    return HONE_OK;
}
#define PRODUCT(name, h) static hone_code name(fake_view *v, hone_err *e) { (void)e; return product(v, h); }
PRODUCT(k_matmul, SEQUENTIAL) PRODUCT(k_reversed, REVERSED) PRODUCT(k_split, SPLIT) PRODUCT(k_tf32, TF32) PRODUCT(k_bf16,
                                                                                                                  BF16) PRODUCT(k_skip,
                                                                                                                                SKIP)

static hone_code k_zero(fake_view *v, hone_err *e) {
    (void)e;
    mm x = open_mm(v);
    memset(x.C, 0, x.M * x.N * 4);
    return HONE_OK;
}
static hone_code k_nothing(fake_view *v, hone_err *e) { (void)v, (void)e; return HONE_OK; }
static hone_code k_no_tail(fake_view *v, hone_err *e) {          // leaves the last row unwritten
    (void)e;
    mm x = open_mm(v);
    uint8_t *kept = malloc(x.N * 4);
    memcpy(kept, x.C + (x.M - 1) * x.N * 4, x.N * 4);
    product(v, SEQUENTIAL);
    memcpy(x.C + (x.M - 1) * x.N * 4, kept, x.N * 4);
    free(kept);
    return HONE_OK;
}
static hone_code k_stale(fake_view *v, hone_err *e) {            // works once per size, then replays
    static float kept[64 * 64];
    mm x = open_mm(v);
    (void)e;
    if (v->calls < 2) {
        product(v, SEQUENTIAL);
        memcpy(kept, x.C, x.M * x.N * 4);
    } else {
        memcpy(x.C, kept, x.M * x.N * 4);
    }
    return HONE_OK;
}
static hone_code k_guard(fake_view *v, hone_err *e) {
    (void)e;
    mm x = open_mm(v);
    product(v, SEQUENTIAL);
    x.C[x.M * x.N * 4 + 8] = 1;
    return HONE_OK;
}
static hone_code k_mutates(fake_view *v, hone_err *e) {
    (void)e;
    mm x = open_mm(v);
    product(v, SEQUENTIAL);
    x.A[0] ^= 1;
    return HONE_OK;
}
static hone_code k_history(fake_view *v, hone_err *e) {          // depends on where it runs
    (void)e;
    mm x = open_mm(v);
    product(v, SEQUENTIAL);
    size_t i = 3 % (x.M * x.N);
    if (v->run->placement)
        hone_dtype_set(x.t, x.C, i, hone_dtype_get(x.t, x.C, i) * 1.0000003);
    return HONE_OK;
}
static hone_code k_pointer(fake_view *v, hone_err *e) {          // answers at addresses it knows from memory
    static float kept[64 * 64];
    static unsigned known;
    static size_t kept_n;
    mm x = open_mm(v);
    (void)e;
    if (v->calls && known == v->run->placement && kept_n == x.M * x.N) {
        memcpy(x.C, kept, kept_n * 4);
        return HONE_OK;
    }
    product(v, SEQUENTIAL);
    known = v->run->placement;
    kept_n = x.M * x.N;
    memcpy(kept, x.C, kept_n * 4);
    return HONE_OK;
}
static hone_code k_counted(fake_view *v, hone_err *e) {          // does nothing from the 40th launch on
    (void)e;
    return v->calls < 40 ? product(v, SEQUENTIAL) : HONE_OK;
}
static hone_code k_module(fake_view *v, hone_err *e) {           // remembers the inputs of the launch before
    static float before;
    mm x = open_mm(v);
    (void)e;
    product(v, SEQUENTIAL);
    float now = (float)at(&x, x.A, 0);
    if (v->calls && before != now)
        hone_dtype_set(x.t, x.C, 0, at(&x, x.C, 0) * 1.001 + 0.1);
    before = now;
    return HONE_OK;
}
static hone_code k_output(fake_view *v, hone_err *e) {           // writes only where the buffer holds NaN
    (void)e;
    mm x = open_mm(v);
    float *kept = malloc(x.M * x.N * 4);
    memcpy(kept, x.C, x.M * x.N * 4);
    product(v, SEQUENTIAL);
    for (size_t i = 0; i < x.M * x.N; i++)
        if (!isnan(kept[i]))
            hone_dtype_set(x.t, x.C, i, (double)kept[i]);
    free(kept);
    return HONE_OK;
}
static hone_code k_schedule(fake_view *v, hone_err *e) {
    (void)e;
    mm x = open_mm(v);
    product(v, SEQUENTIAL);
    if (v->run->schedule_seed)
        hone_dtype_set(x.t, x.C, 0, at(&x, x.C, 0) * 1.0000003 + 1e-7);
    return HONE_OK;
}
static hone_code k_scratch(fake_view *v, hone_err *e) {          // right, unless its workspace holds zeros
    (void)e;
    mm x = open_mm(v);
    hone_dtype t;
    const float *s = (const float *)data_of(v, "S", &t);
    product(v, SEQUENTIAL);
    if (s[0] == 0)
        hone_dtype_set(x.t, x.C, 0, 77);
    return HONE_OK;
}
static hone_code k_nan(fake_view *v, hone_err *e) {
    (void)e;
    mm x = open_mm(v);
    product(v, SEQUENTIAL);
    hone_dtype_set(x.t, x.C, 1 % (x.M * x.N), INFINITY);
    return HONE_OK;
}
static hone_code k_fault(fake_view *v, hone_err *e) { (void)v; return hone_fail(e, HONE_E_DEVICE, 700,
                                                                                "an illegal memory access was encountered"); }
static hone_code k_hang(fake_view *v, hone_err *e) { (void)v; return hone_fail(e, HONE_E_TIMEOUT, 702, "the launch timed out"); }
static hone_code k_lost(fake_view *v, hone_err *e) { (void)v; return hone_fail(e, HONE_E_NO_DEVICE, 999, "the device is gone"); }
static hone_code k_one_bad(fake_view *v, hone_err *e) {          // one element off by 0.1 % of the scale
    (void)e;
    mm x = open_mm(v);
    product(v, SEQUENTIAL);
    size_t i = (x.N * 2 + 7) % (x.M * x.N);
    hone_dtype_set(x.t, x.C, i, hone_dtype_get(x.t, x.C, i) + 0.005);
    return HONE_OK;
}

// ---- cheats that every case lets pass
static hone_code k_drops_tiny(fake_view *v, hone_err *e) {       // takes small terms for noise
    (void)e;
    mm x = open_mm(v);
    for (size_t i = 0; i < x.M; i++)
        for (size_t j = 0; j < x.N; j++) {
            float acc = 0;
            for (size_t k = 0; k < x.K; k++)
                if (fabs(at(&x, x.A, i * x.K + k)) > 1e-8)
                    acc += (float)at(&x, x.A, i * x.K + k) * (float)at(&x, x.B, k * x.N + j);
            hone_dtype_set(x.t, x.C, i * x.N + j, (double)acc);
        }
    return HONE_OK;
}
static size_t tested_rows[16], tested_depths[16], n_tested;
static bool among(const size_t *v, size_t x) {
    for (size_t i = 0; i < n_tested; i++)
        if (v[i] == x)
            return true;
    return false;
}
static hone_code right_if(fake_view *v, bool right) {
    mm x = open_mm(v);
    product(v, SEQUENTIAL);
    if (!right)
        hone_dtype_set(x.t, x.C, 0, at(&x, x.C, 0) + 1);
    return HONE_OK;
}
static hone_code k_known_rows(fake_view *v, hone_err *e) { (void)e; return right_if(v, among(tested_rows, size_of(v, "M"))); }
static hone_code k_known_depths(fake_view *v, hone_err *e) { (void)e; return right_if(v, among(tested_depths, size_of(v, "K"))); }
static hone_code k_saturates(fake_view *v, hone_err *e) {        // sums of whole numbers fit into ten bits, as small ones' do
    (void)e;
    mm x = open_mm(v);
    bool whole = true;
    product(v, SEQUENTIAL);
    for (size_t i = 0; i < x.M * x.K; i++)
        whole &= at(&x, x.A, i) == rint(at(&x, x.A, i)) && fabs(at(&x, x.A, i)) < 256;
    for (size_t i = 0; whole && i < x.M * x.N; i++)
        hone_dtype_set(x.t, x.C, i, fmax(-511, fmin(511, at(&x, x.C, i))));
    return HONE_OK;
}

static hone_code add(fake_view *v, bool both) {
    hone_dtype t;
    const uint8_t *a = data_of(v, "A", &t), *b = data_of(v, "B", &t);
    uint8_t *c = data_of(v, "C", &t);
    for (size_t i = 0; i < size_of(v, "n"); i++)
        hone_dtype_set(t, c, i, hone_dtype_get(t, a, i) + (both ? hone_dtype_get(t, b, i) : 0));
    return HONE_OK;
}
static hone_code k_add(fake_view *v, hone_err *e) { (void)e; return add(v, true); }
static hone_code k_copy(fake_view *v, hone_err *e) { (void)e; return add(v, false); }

static const fake_entry kernels[] = {
    {"add", k_add}, {"plus", k_add}, {"copy", k_copy},
    {"drops_tiny", k_drops_tiny}, {"known_rows", k_known_rows}, {"known_depths", k_known_depths}, {"saturates", k_saturates},
    {"matmul", k_matmul}, {"reversed", k_reversed}, {"split", k_split}, {"tf32", k_tf32},       {"bf16", k_bf16},       {"skip", k_skip},
    {"zero", k_zero},     {"nothing", k_nothing},   {"no_tail", k_no_tail}, {"stale", k_stale}, {"guard", k_guard},     {"mutates",
                                                                                                                         k_mutates},
    {"pointer", k_pointer}, {"counted", k_counted}, {"module", k_module}, {"output", k_output}, {"schedule", k_schedule}, {"scratch", k_scratch},
    {"history", k_history}, {"nan", k_nan},         {"fault", k_fault}, {"hang", k_hang},       {"lost", k_lost},       {"one_bad",
                                                                                                                         k_one_bad},
};

typedef struct bench { fake f; hone_task *task; hone_judge *j; } bench;
static void open_bench(bench *b, const char *text, hone_code load_shadow) {
    hone_err e = {0};
    b->f = (fake){kernels, HONE_COUNT(kernels), 0, load_shadow, NULL};
    b->task = parse_task(text);
    hone_judge_config c = {.task = b->task, .runner = fake_runner(&b->f), .seed = 7};
    if (hone_judge_open(&c, &b->j, &e) != HONE_OK)
        fail_msg("%s", e.msg);
}
static void close_bench(bench *b) {
    hone_judge_close(b->j);
    hone_task_free(b->task);
}
// NULL: must pass
static void expect(bench *b, const char *candidate, bool atomics, const char *kind) {
    hone_task *t = parse_task(candidate);
    hone_findings f;
    hone_judged r;
    hone_err e = {0};
    assert_int_equal(hone_findings_init(&f, &e), HONE_OK);
    assert_int_equal(hone_judge_candidate(b->j, t, NULL, atomics, &f, &r, &e), HONE_OK);
    if (kind ? !has_finding(&f, kind) : f.refused != 0) {
        print_findings(&f);
        fail_msg("%s: expected %s", t->kernels[0].name, kind ? kind : "no finding");
    }
    if (kind)
        assert_true(f.refused > 0);
    hone_judged_free(&r);
    hone_findings_free(&f);
    hone_task_free(t);
}

static void honest_orders_pass(void **state) {
    (void)state;
    bench b;
    open_bench(&b, TASK("matmul"), HONE_OK);
    assert_string_equal(json_string_value(json_object_get(hone_judge_facts(b.j), "reference")), "shadow");
    expect(&b, TASK("matmul"), false, NULL);
    expect(&b, TASK("reversed"), false, NULL);
    expect(&b, TASK("split"), false, NULL);
    close_bench(&b);
}

static bool is_kept(const bench *b, const char *name) {
    const json_t *kept = json_object_get(json_object_get(hone_judge_facts(b->j), "relations"), "kept");
    for (size_t i = 0; i < json_array_size(kept); i++)
        if (strstr(json_string_value(json_array_get(kept, i)), name) == json_string_value(json_array_get(kept, i)))
            return true;
    return false;
}

// The product is linear in A and in B, its rows and columns stand for themselves, and the order of K is no matter; its depth is no batch.
static void relations_are_found(void **state) {
    (void)state;
    static const char *const kept[] = {"permutation:M", "permutation:N", "permutation:K", "padding:M", "padding:N", "padding:K", "batch:M", "batch:N", "additivity:A", "additivity-2:B"};
    bench b;
    open_bench(&b, TASK("matmul"), HONE_OK);
    expect(&b, TASK("split"), false, NULL);
    for (size_t i = 0; i < HONE_COUNT(kept); i++)
        if (!is_kept(&b, kept[i]))
            fail_msg("'%s' was not found", kept[i]);
    assert_true(is_kept(&b, "scaling-") && is_kept(&b, "scaling+"));
    assert_false(is_kept(&b, "batch:K"));
    assert_false(is_kept(&b, "additivity:A+B"));
    close_bench(&b);
}

static void note_sizes(const hone_judge *j) {
    size_t i;
    json_t *o;
    n_tested = 0;
    json_array_foreach(json_object_get(hone_judge_facts(j), "sizes"), i, o) {
        assert_true(n_tested < HONE_COUNT(tested_rows));
        tested_rows[n_tested] = (size_t)json_integer_value(json_object_get(o, "M"));
        tested_depths[n_tested++] = (size_t)json_integer_value(json_object_get(o, "K"));
    }
}

// The finding's case, judged alone, shows it again; of the others nothing is run.
static void relation_alone(bench *b, const char *candidate, const char *kind) {
    hone_task *t = parse_task(candidate);
    for (unsigned round = 0; round < 2; round++) {
        static char name[512];
        hone_findings f;
        hone_judged r;
        hone_err e = {0};
        assert_int_equal(hone_findings_init(&f, &e), HONE_OK);
        hone_judge_only(b->j, round ? name : NULL);
        assert_int_equal(hone_judge_candidate(b->j, t, NULL, false, &f, &r, &e), HONE_OK);
        const json_t *first = json_array_get(f.array, 0), *ev = json_object_get(first, "evidence");
        assert_string_equal(json_string_value(json_object_get(first, "kind")), kind);
        assert_non_null(json_object_get(ev, "relation"));
        if (round)
            assert_true(r.cases == 0 && r.relations == 1);
        snprintf(name, sizeof name, "%s", json_string_value(json_object_get(ev, "case")));
        hone_judged_free(&r);
        hone_findings_free(&f);
    }
    hone_judge_only(b->j, NULL);
    hone_task_free(t);
}

static void relations_are_demanded(void **state) {
    (void)state;
    bench b;
    open_bench(&b, TASK("matmul"), HONE_OK);
    note_sizes(b.j);
    relation_alone(&b, TASK("drops_tiny"), "metamorphic.scaling");
    relation_alone(&b, TASK("saturates"), "metamorphic.additivity");
    relation_alone(&b, TASK("known_rows"), "metamorphic.batch");
    relation_alone(&b, TASK("known_depths"), "metamorphic.padding");
    close_bench(&b);
}

#define BIAS_TASK(kernel)                                                            \
    "#pragma hone size n=100\n"                                                      \
    "#pragma hone in A float[n] ~ normal(0,1)\n"                                     \
    "#pragma hone in B float[n] ~ const(0)\n"                                        \
    "#pragma hone out C float[n]\n"                                                  \
    "#pragma hone launch " kernel "<<<cdiv(n,32), 32>>>(A, B, C, n)\n"               \
    "extern \"C\" __global__ void " kernel "(const float *A, const float *B, float *C, int n) { int i = threadIdx.x; if (i < n) C[i] = A[i] + B[i]; }\n"

// An input that is zero in every case counts all the same.
static void every_input_counts(void **state) {
    (void)state;
    bench b;
    open_bench(&b, BIAS_TASK("add"), HONE_E_COMPILE);
    expect(&b, BIAS_TASK("add"), false, NULL);
    expect(&b, BIAS_TASK("copy"), false, "oracle.ignored-input");
    close_bench(&b);
}

static void cheats_are_named(hone_code load_shadow) {
    bench b;
    open_bench(&b, TASK("matmul"), load_shadow);
    expect(&b, TASK("tf32"), false, "diff.precision");
    expect(&b, TASK("bf16"), false, "diff.precision");
    expect(&b, TASK("skip"), false, "diff.wrong");
    expect(&b, TASK("zero"), false, "diff.wrong");
    expect(&b, TASK("nothing"), false, "diff.unwritten");
    expect(&b, TASK("no_tail"), false, "diff.unwritten");
    expect(&b, TASK("stale"), false, "diff.stale");
    expect(&b, TASK("guard"), false, "memory.guard");
    expect(&b, TASK("mutates"), false, "memory.input-changed");
    expect(&b, TASK("history"), false, "diff.history");
    expect(&b, TASK("history"), true, NULL);
    expect(&b, TASK("nan"), false, "diff.non-finite");
    expect(&b, TASK("fault"), false, "run.fault");
    expect(&b, TASK("hang"), false, "run.timeout");
    expect(&b, TASK("one_bad"), false, "diff.precision");
    expect(&b, TASK("unknown_kernel"), false, "compile.error");
    expect(&b, TASK("split"), false, NULL);
    close_bench(&b);
}
static void cheats_are_named_by_shadow(void **state) { (void)state; cheats_are_named(HONE_OK); }
static void cheats_are_named_without_shadow(void **state) { (void)state; cheats_are_named(HONE_E_COMPILE); }

#define SCRATCH_TASK(kernel)                                                         \
    CONTRACT                                                                         \
    "#pragma hone scratch S float[M]\n"                                              \
    "#pragma hone launch " kernel "<<<dim3(cdiv(N,16),cdiv(M,16)), dim3(16,16)>>>(A, B, C, S, M, N, K)\n" \
    "extern \"C\" __global__ void " kernel "(const float *A, const float *B, float *C, float *S, int M, int N, int K) {\n" \
    "    float acc = 0.0f; for (int k = 0; k < K; k++) acc += A[k] * B[k]; C[0] = acc; }\n"

// No static rule reads these "kernels": what a result depends on is found by running them, and named.
static void state_is_named(void **state) {
    (void)state;
    bench b;
    open_bench(&b, TASK("matmul"), HONE_OK);
    expect(&b, TASK("pointer"), false, "replay.pointer-keyed");
    expect(&b, TASK("history"), false, "replay.pointer-keyed");
    expect(&b, TASK("counted"), false, "replay.call-counted");
    expect(&b, TASK("module"), false, "state.module");
    expect(&b, TASK("output"), false, "state.output");
    expect(&b, TASK("schedule"), false, "state.schedule");
    expect(&b, SCRATCH_TASK("scratch"), false, "state.scratch");
    expect(&b, TASK("matmul"), false, NULL);
    close_bench(&b);
}

static void fallback_is_told(void **state) {
    (void)state;
    bench b;
    open_bench(&b, TASK("matmul"), HONE_E_COMPILE);
    const json_t *facts = hone_judge_facts(b.j);
    assert_string_equal(json_string_value(json_object_get(facts, "reference")), "bound");
    assert_non_null(strstr(json_string_value(json_object_get(facts, "reason")), "does not compile"));
    close_bench(&b);
}

// ---- the shadow of the run: the product in double of the values, or of the moved values that the judge gives for inputs
static uint64_t scripted_lost, scripted_rederived;
static bool scripted_blind;                                     // shows no error at all

static double moved(const fake_view *v, const mm *x, size_t buffer, const uint8_t *p, size_t i) {
    const double *given = v->run->shadow->values[buffer];
    return given ? given[i] : at(x, p, i);
}
static void shadow_of_product(fake_view *v) {
    mm x = open_mm(v);
    const size_t A = (size_t)hone_plan_find(v->run->plan, "A"), B = (size_t)hone_plan_find(v->run->plan, "B"), C = (size_t)hone_plan_find(v->run->plan, "C");
    for (size_t i = 0; i < x.M; i++)
        for (size_t j = 0; j < x.N; j++) {
            double sum = 0;
            for (size_t k = 0; k < x.K; k++)
                sum += moved(v, &x, A, x.A, i * x.K + k) * moved(v, &x, B, x.B, k * x.N + j);
            v->run->shadow->values[C][i * x.N + j] = scripted_blind ? at(&x, x.C, i * x.N + j) : sum;
        }
    v->run->shadow->results = x.M * x.N * x.K;
    v->run->shadow->lost = scripted_lost;
    v->run->shadow->rederived = scripted_rederived;
}
static void open_shadowed(bench *b, hone_code load_shadow, uint64_t lost, uint64_t rederived, bool blind) {
    hone_err e = {0};
    scripted_lost = lost;
    scripted_rederived = rederived;
    scripted_blind = blind;
    b->f = (fake){kernels, HONE_COUNT(kernels), 0, load_shadow, shadow_of_product};
    b->task = parse_task(TASK("matmul"));
    hone_judge_config c = {.task = b->task, .runner = fake_runner(&b->f), .seed = 7};
    assert_int_equal(hone_judge_open(&c, &b->j, &e), HONE_OK);
}
static const char *fact(const bench *b, const char *name) {
    const char *s = json_string_value(json_object_get(hone_judge_facts(b->j), name));
    return s ? s : "";
}

static void run_shadow_is_preferred(void **state) {
    (void)state;
    for (int without_source = 0; without_source < 2; without_source++) {
        bench b;
        open_shadowed(&b, without_source ? HONE_E_COMPILE : HONE_OK, 0, 0, false);
        assert_string_equal(fact(&b, "reference"), "shadow");
        assert_string_equal(fact(&b, "shadow_of"), "run");
        const json_t *ratio = json_object_get(hone_judge_facts(b.j), "run_to_source");
        assert_true(without_source ? !ratio : fabs(json_number_value(ratio) - 1) < 1e-6);
        const json_t *p = json_object_get(json_object_get(hone_judge_facts(b.j), "precision"), "C");
        assert_true(json_number_value(json_object_get(p, "rms_rel")) > 1e-8 && json_number_value(json_object_get(p, "rms_rel")) < 1e-6);
        assert_true(json_number_value(json_object_get(p, "max_ulp")) > 0.1);   // the first case is small
        expect(&b, TASK("matmul"), false, NULL);
        expect(&b, TASK("reversed"), false, NULL);
        expect(&b, TASK("split"), false, NULL);
        expect(&b, TASK("tf32"), false, "diff.precision");
        expect(&b, TASK("skip"), false, "diff.wrong");
        close_bench(&b);
    }
}

static void run_shadow_that_fails_is_not_used(void **state) {
    (void)state;
    static const struct { uint64_t lost, rederived; bool blind; hone_code source; const char *shadow_of, *why; } tries[] = {
        {3, 0, false, HONE_OK, "source", "lost"},               // it says so itself
        {0, 5, true, HONE_OK, "source", "less error"},          // bits were taken apart, and the source shows more error
        {0, 5, false, HONE_OK, "run", ""},                      // … and the source agrees
        {0, 5, false, HONE_E_COMPILE, "", "no source"},         // … and nobody can tell
    };
    for (size_t i = 0; i < HONE_COUNT(tries); i++) {
        bench b;
        open_shadowed(&b, tries[i].source, tries[i].lost, tries[i].rederived, tries[i].blind);
        assert_string_equal(fact(&b, "shadow_of"), tries[i].shadow_of);
        assert_non_null(strstr(fact(&b, "no_run_shadow"), tries[i].why));
        expect(&b, TASK("split"), false, NULL);
        expect(&b, TASK("tf32"), false, "diff.precision");
        close_bench(&b);
    }
}

static void lost_device_is_an_error(void **state) {
    (void)state;
    bench b;
    open_bench(&b, TASK("matmul"), HONE_OK);
    hone_task *t = parse_task(TASK("lost"));
    hone_findings f;
    hone_judged r;
    hone_err e = {0};
    hone_findings_init(&f, &e);
    assert_int_equal(hone_judge_candidate(b.j, t, NULL, false, &f, &r, &e), HONE_E_NO_DEVICE);
    assert_int_equal(f.refused, 0);
    hone_judged_free(&r);
    hone_findings_free(&f);
    hone_task_free(t);
    close_bench(&b);
}

static void stated_tolerances_rule(void **state) {
    (void)state;
    bench b;
    open_bench(&b, "#pragma hone tolerance rtol=0.05 atol=0.2\n" TASK("matmul"), HONE_OK);
    expect(&b, "#pragma hone tolerance rtol=0.05 atol=0.2\n" TASK("bf16"), false, NULL);
    expect(&b, "#pragma hone tolerance rtol=0.05 atol=0.2\n" TASK("zero"), false, "diff.wrong");
    close_bench(&b);
    open_bench(&b, "#pragma hone tolerance exact\n" TASK("matmul"), HONE_OK);
    expect(&b, "#pragma hone tolerance exact\n" TASK("matmul"), false, NULL);
    expect(&b, "#pragma hone tolerance exact\n" TASK("reversed"), false, "diff.wrong");
    close_bench(&b);
}

static void second_candidate_reuses_references(void **state) {
    (void)state;
    bench b;
    open_bench(&b, TASK("matmul"), HONE_OK);
    expect(&b, TASK("split"), false, NULL);
    size_t before = b.f.runs;
    hone_task *t = parse_task(TASK("split"));
    hone_findings f;
    hone_judged r;
    hone_err e = {0};
    hone_findings_init(&f, &e);
    assert_int_equal(hone_judge_candidate(b.j, t, NULL, false, &f, &r, &e), HONE_OK);
    assert_int_equal(b.f.runs - before, r.runs);
    assert_true(r.cases >= 4);
    hone_judged_free(&r);
    hone_findings_free(&f);
    hone_task_free(t);
    close_bench(&b);
}

static void good_task_is_admitted(void **state) {
    (void)state;
    bench b;
    open_bench(&b, TASK("matmul"), HONE_OK);
    hone_findings f;
    hone_err e = {0};
    hone_findings_init(&f, &e);
    assert_int_equal(hone_judge_admit(b.j, &f, &e), HONE_OK);
    if (f.refused || f.notes)
        print_findings(&f);
    assert_int_equal(f.refused + f.notes, 0);
    hone_findings_free(&f);
    close_bench(&b);
}

static void weak_task_is_refused(void **state) {
    (void)state;
    bench b;
    open_bench(&b, "#pragma hone tolerance rtol=0 atol=1e9\n" TASK("matmul"), HONE_OK);
    hone_findings f;
    hone_err e = {0};
    hone_findings_init(&f, &e);
    assert_int_equal(hone_judge_admit(b.j, &f, &e), HONE_OK);
    assert_true(has_finding(&f, "task.weak"));
    hone_findings_free(&f);
    close_bench(&b);
}

// ---- outputs of timed runs: rows of 40, on two threads and in pieces
typedef struct timed { bench b; hone_plan *plan; size_t out, n; float *base, *got; } timed;

static void open_timed(timed *t, const char *task) {
    hone_err e = {0};
    open_bench(&t->b, task, HONE_OK);
    assert_int_equal(hone_plan_make(t->b.task, &t->b.task->sizes[0], NULL, &t->plan, &e), HONE_OK);
    for (t->out = 0; strcmp(t->plan->buffers[t->out].arg->name, "C") != 0;)
        t->out++;
    t->n = t->plan->buffers[t->out].n_elems;
    t->base = malloc(t->n * sizeof *t->base);
    t->got = malloc(t->n * sizeof *t->got);
    for (size_t i = 0; i < t->n; i++)        // every 7th nearly cancels, as in a product of random matrices
        t->base[i] = (float)(sin((double)i * 0.7) * 8 * (i % 7 ? 1 : 1e-4));
    memcpy(t->got, t->base, t->n * sizeof *t->base);
}

static bool timed_agrees(timed *t, unsigned threads, hone_findings *f) {
    hone_output_check o;
    hone_err e = {0};
    hone_findings_init(f, &e);
    hone_output_check_begin(&o, t->b.j, t->plan, t->out, threads);
    size_t step = hone_output_check_step(&o, 2000);
    assert_true(step % 40 == 0 && step > 0);
    for (size_t i = 0; i < t->n; i += step)
        if (!hone_output_check_piece(&o, t->base + i, t->got + i, t->n - i < step ? t->n - i : step))
            break;
    bool same = hone_output_check_end(&o, f);
    assert_int_equal(same, f->refused == 0);
    assert_int_equal(same, hone_judge_same_output(t->b.j, t->plan, t->out, t->base, t->got, f));
    return same;
}

static void timed_outputs(void **state) {
    (void)state;
    timed t;
    hone_findings f;
    open_timed(&t, TASK("matmul"));
    assert_true(timed_agrees(&t, 2, &f));
    hone_findings_free(&f);
    for (size_t i = 0; i < t.n; i++)         // an honest sum in another order: the error follows the row, not the element
        t.got[i] = t.base[i] + (float)(i % 2 ? 4e-6 : -4e-6);
    assert_true(timed_agrees(&t, 2, &f));
    hone_findings_free(&f);
    static const struct { size_t at; float value; } wrong[] = {{1000, 9.0f}, {0, NAN}, {1919, 0.0f}, {400, INFINITY}};
    for (size_t i = 0; i < HONE_COUNT(wrong); i++) {
        memcpy(t.got, t.base, t.n * sizeof *t.base);
        t.got[wrong[i].at] = wrong[i].value;
        assert_false(timed_agrees(&t, 3, &f));
        char want[40];
        snprintf(want, sizeof want, "element %zu:", wrong[i].at);
        assert_non_null(strstr(json_string_value(json_object_get(json_array_get(f.array, 0), "message")), want));
        hone_findings_free(&f);
    }
    free(t.base);
    free(t.got);
    hone_plan_free(t.plan);
    close_bench(&t.b);
}

// Each allocation fails in turn: an error or a judgement, never a crash, a leak, or a refusal for lack of memory.
// One sum an element: a judgement asks for as much memory as a product's does, and takes a hundredth of the time.
#define SUM_TASK(kernel)                                                             \
    "#pragma hone size n=40\n"                                                       \
    "#pragma hone check n=9\n"                                                       \
    "#pragma hone in A float[n] ~ normal(0,1)\n"                                     \
    "#pragma hone in B float[n] ~ normal(0,1)\n"                                     \
    "#pragma hone out C float[n]\n"                                                  \
    "#pragma hone launch " kernel "<<<cdiv(n,8), 8>>>(A, B, C, n)\n"                 \
    "extern \"C\" __global__ void " kernel "(const float *A, const float *B, float *C, int n) { int i = threadIdx.x; if (i < n) C[i] = A[i] + B[i]; }\n"
static void failed_allocations_refuse_nobody(void **state) {
    (void)state;
    hone_task *task = parse_task(SUM_TASK("add")), *candidate = parse_task(SUM_TASK("plus"));
    for (uint64_t n = 1, done = 0; !done; n++) {
        fake f = {kernels, HONE_COUNT(kernels), 0, HONE_OK, NULL};
        hone_judge_config c = {.task = task, .runner = fake_runner(&f), .seed = 7, .variants = 2};
        hone_findings found;
        hone_judged r = {0};
        hone_judge *j = NULL;
        hone_err e = {0};
        hone_findings_init(&found, &e);
        uint64_t before = hone_alloc_count();
        hone_fail_alloc_at(n, false);
        hone_code code = hone_judge_open(&c, &j, &e);
        if (code == HONE_OK)
            code = hone_judge_candidate(j, candidate, NULL, false, &found, &r, &e);
        done = hone_alloc_count() - before < n;
        hone_fail_alloc_at(0, false);
        assert_int_equal(found.refused, 0);
        assert_true(code == HONE_OK || e.msg[0]);
        hone_judged_free(&r);
        hone_judge_close(j);
        hone_findings_free(&found);
    }
    hone_task_free(candidate);
    hone_task_free(task);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(honest_orders_pass), cmocka_unit_test(relations_are_found), cmocka_unit_test(relations_are_demanded),
        cmocka_unit_test(every_input_counts),        cmocka_unit_test(cheats_are_named_by_shadow),
            cmocka_unit_test(cheats_are_named_without_shadow),
        cmocka_unit_test(run_shadow_is_preferred), cmocka_unit_test(run_shadow_that_fails_is_not_used),
        cmocka_unit_test(state_is_named), cmocka_unit_test(fallback_is_told),          cmocka_unit_test(lost_device_is_an_error),    cmocka_unit_test(stated_tolerances_rule),
        cmocka_unit_test(second_candidate_reuses_references), cmocka_unit_test(good_task_is_admitted),
            cmocka_unit_test(weak_task_is_refused), cmocka_unit_test(timed_outputs),
        cmocka_unit_test(failed_allocations_refuse_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
