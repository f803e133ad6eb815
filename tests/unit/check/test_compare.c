// Comparison of single buffers: the corner cases that whole programs reach rarely.
#include "fake.h"

static hone_arg arg_of(hone_dtype t, hone_role role) { return (hone_arg){.name = "y", .role = role, .type = t}; }
static const hone_tolerance automatic = {.kind = HONE_TOL_AUTO};

typedef struct pair { hone_arg arg; hone_plan_buffer buffer; hone_reference ref; } pair;
static void reference_of(pair *p, hone_dtype t, const void *base, const void *base2, const double *shadow, const double *moved, size_t n) {
    p->arg = arg_of(t, HONE_OUT);
    p->buffer = (hone_plan_buffer){.arg = &p->arg, .dims = {n}, .n_dims = 1, .n_elems = n, .bytes = n * hone_dtype_bytes(t)};
    const double *moves[1] = {moved};
    hone_ref_spec s = {.buffer = &p->buffer, .n = n, .base = base, .base2 = base2 ? base2 : base, .shadow = shadow, .moved = moves,
                       .n_moved = moved ? 1 : 0};
    hone_err e = {0};
    assert_int_equal(hone_reference_make(&s, &p->ref, &e), HONE_OK);
}
static hone_finding_kind verdict(const pair *p, const hone_tolerance *tol, const void *got, bool must_match) {
    hone_err e = {0};
    hone_finding_kind k = hone_compare(&p->ref, tol, got, must_match, &e).kind;
    assert_int_equal(e.code, HONE_OK);
    return k;
}

static void nan_is_no_wildcard(void **state) {
    (void)state;
    float base[32], got[32];
    double shadow[32];
    for (int i = 0; i < 32; i++) {
        base[i] = (float)i;
        shadow[i] = i;
    }
    base[3] = NAN, shadow[3] = NAN;
    base[4] = INFINITY, shadow[4] = INFINITY;
    pair p;
    reference_of(&p, HONE_FLOAT, base, NULL, shadow, NULL, 32);
    memcpy(got, base, sizeof got);
    assert_int_equal(verdict(&p, &automatic, got, false), HONE_F_COUNT);
    got[7] = NAN;
    assert_int_equal(verdict(&p, &automatic, got, false), HONE_F_DIFF_NONFINITE);
    memcpy(got, base, sizeof got);
    got[3] = 3;
    assert_int_equal(verdict(&p, &automatic, got, false), HONE_F_DIFF_NONFINITE);
    got[3] = NAN, got[4] = -INFINITY;
    assert_int_equal(verdict(&p, &automatic, got, false), HONE_F_DIFF_NONFINITE);
    hone_reference_free(&p.ref);
}

static void large_neighbours_do_not_pay_for_small_ones(void **state) {
    (void)state;
    enum { N = 256 };
    float base[N], got[N];
    double shadow[N];
    for (int i = 0; i < N; i++) {
        shadow[i] = i < 8 ? 1e7 * (1 + i * 0.01) : 1 + i * 0.0137;
        base[i] = (float)shadow[i];
    }
    pair p;
    reference_of(&p, HONE_FLOAT, base, NULL, shadow, NULL, N);
    for (int i = 0; i < N; i++)
        got[i] = i < 8 ? base[i] : base[i] * 1.001f;          // invisible beside 1e7 in one RMS over the row
    hone_err e = {0};
    hone_diff d = hone_compare(&p.ref, &automatic, (const uint8_t *)got, false, &e);
    assert_int_not_equal(d.kind, HONE_F_COUNT);
    assert_true(d.at >= 8);
    hone_reference_free(&p.ref);
}

static void one_ulp_flips_pass_in_bfloat16(void **state) {
    (void)state;
    enum { N = 512 };
    uint16_t base[N], got[N];
    double shadow[N];
    for (size_t i = 0; i < N; i++) {
        shadow[i] = sin((double)i) * 3;
        hone_dtype_set(HONE_BFLOAT16, base, i, shadow[i]);
        got[i] = (uint16_t)(base[i] + (i % 16 == 0));         // one rounding flip in sixteen
    }
    pair p;
    reference_of(&p, HONE_BFLOAT16, base, NULL, shadow, NULL, N);
    assert_int_equal(verdict(&p, &automatic, got, false), HONE_F_COUNT);
    for (size_t i = 0; i < N; i++)
        got[i] = (uint16_t)(base[i] + 2);
    assert_int_equal(verdict(&p, &automatic, got, false), HONE_F_DIFF_PRECISION);
    hone_reference_free(&p.ref);
}

static void cancelled_sums_may_differ_as_much_as_inputs_matter(void **state) {
    (void)state;
    float base[1] = {1e-4f}, got[1] = {1.3e-4f};
    double shadow[1] = {1.1e-4}, moved[1] = {1.4e-4};
    pair p;
    reference_of(&p, HONE_FLOAT, base, NULL, shadow, moved, 1);
    assert_int_equal(verdict(&p, &automatic, got, false), HONE_F_COUNT);
    hone_reference_free(&p.ref);
    moved[0] = 1.1e-4;
    base[0] = (float)1.1e-4;
    reference_of(&p, HONE_FLOAT, base, NULL, shadow, moved, 1);
    assert_int_not_equal(verdict(&p, &automatic, got, false), HONE_F_COUNT);
    hone_reference_free(&p.ref);
}

static void nothing_is_demanded_of_zeros_and_subnormals(void **state) {
    (void)state;
    enum { N = 256 };
    float base[N], got[N];
    double shadow[N];
    for (int i = 0; i < N; i++) {
        shadow[i] = i % 4 == 0 ? 0 : i % 4 == 1 ? 1e-41 * (i + 1) : 1e-3 * i;
        base[i] = (float)shadow[i];
        got[i] = i % 4 == 0 ? 3.9e-28f : i % 4 == 1 ? 0 : base[i];
    }
    pair p;
    reference_of(&p, HONE_FLOAT, base, NULL, shadow, NULL, N);
    assert_int_not_equal(verdict(&p, &automatic, got, false), HONE_F_COUNT);   // 1e-28 is large among subnormals
    for (int i = 0; i < N; i += 4)
        got[i] = 3.9e-39f;
    assert_int_equal(verdict(&p, &automatic, got, false), HONE_F_COUNT);
    hone_reference_free(&p.ref);
    for (int i = 0; i < N; i++)
        base[i] = (float)(shadow[i] = i % 2 ? 1e-3 * i : 0);
    reference_of(&p, HONE_FLOAT, base, NULL, shadow, NULL, N);
    for (int i = 0; i < N; i++)
        got[i] = i % 2 ? base[i] : 3.9e-28f;
    assert_int_equal(verdict(&p, &automatic, got, false), HONE_F_COUNT);
    for (int i = 0; i < N; i += 2)
        got[i] = 1e-4f;
    assert_int_not_equal(verdict(&p, &automatic, got, false), HONE_F_COUNT);
    hone_reference_free(&p.ref);
}

static void integers_are_exact_but_follow_rounding(void **state) {
    (void)state;
    int32_t base[4] = {1, 2, 3, 4}, got[4] = {1, 2, 3, 5};
    double shadow[4] = {1, 2, 3, 4}, moved[4] = {1, 2, 3, 5};
    pair p;
    reference_of(&p, HONE_INT32, base, NULL, shadow, NULL, 4);
    assert_int_equal(verdict(&p, &automatic, got, false), HONE_F_DIFF_INTEGER);
    hone_reference_free(&p.ref);
    reference_of(&p, HONE_INT32, base, NULL, shadow, moved, 4);
    assert_int_equal(verdict(&p, &automatic, got, false), HONE_F_COUNT);
    got[0] = 7;
    assert_int_equal(verdict(&p, &automatic, got, false), HONE_F_DIFF_INTEGER);
    hone_reference_free(&p.ref);
}

static void varying_order_is_compared_as_a_set(void **state) {
    (void)state;
    int32_t base[4] = {1, 2, 3, 4}, other[4] = {4, 3, 2, 1}, shuffled[4] = {2, 1, 4, 3}, wrong[4] = {2, 1, 4, 4};
    pair p;
    reference_of(&p, HONE_INT32, base, other, NULL, NULL, 4);
    assert_true(p.ref.varying);
    assert_int_equal(verdict(&p, &automatic, shuffled, false), HONE_F_COUNT);
    assert_int_equal(verdict(&p, &automatic, wrong, false), HONE_F_DIFF_INTEGER);
    hone_reference_free(&p.ref);
}

static void what_the_baseline_leaves_unwritten_is_free(void **state) {
    (void)state;
    int32_t a[4] = {1, -1, 3, 4}, b[4] = {1, 0x5a5a5a5a, 3, 4}, got[4] = {1, 77, 3, 4};
    pair p;
    reference_of(&p, HONE_INT32, a, b, NULL, NULL, 4);
    assert_non_null(p.ref.unwritten);
    assert_int_equal(verdict(&p, &automatic, got, false), HONE_F_COUNT);
    got[2] = -1;
    assert_int_equal(verdict(&p, &automatic, got, false), HONE_F_DIFF_UNWRITTEN);
    hone_reference_free(&p.ref);
}

static void small_integers_must_match_exactly(void **state) {
    (void)state;
    float base[32], got[32];
    double shadow[32];
    for (int i = 0; i < 32; i++) {
        base[i] = (float)(i * 3 - 20);
        shadow[i] = base[i];
    }
    pair p;
    reference_of(&p, HONE_FLOAT, base, NULL, shadow, NULL, 32);
    memcpy(got, base, sizeof got);
    got[5] = nextafterf(got[5], 100);
    assert_int_equal(verdict(&p, &automatic, got, false), HONE_F_COUNT);
    assert_int_not_equal(verdict(&p, &automatic, got, true), HONE_F_COUNT);
    hone_reference_free(&p.ref);
}

static void every_failed_allocation_is_reported(void **state) {
    (void)state;
    float base[64] = {0};
    hone_arg arg = arg_of(HONE_FLOAT, HONE_OUT);
    hone_plan_buffer b = {.arg = &arg, .dims = {64}, .n_dims = 1, .n_elems = 64, .bytes = sizeof base};
    hone_ref_spec s = {.buffer = &b, .n = 64, .base = (const uint8_t *)base, .base2 = (const uint8_t *)base};
    for (uint64_t n = 1;; n++) {
        hone_reference r;
        hone_err e = {0};
        hone_fail_alloc_at(n, false);
        hone_code c = hone_reference_make(&s, &r, &e);
        hone_fail_alloc_at(0, false);
        if (c == HONE_OK) {
            hone_reference_free(&r);
            assert_true(n > 4);
            return;
        }
        assert_int_equal(c, HONE_E_NOMEM);
        assert_true(e.msg[0] != '\0');
    }
}

// One element may be off by a whole step of bfloat16, twice u of its value; many may not.
static void few_elements_may_all_flip(void **state) {
    (void)state;
    enum { N = 256 };
    uint16_t base[N], got[N];
    double shadow[N];
    for (int i = 0; i < N; i++) {
        shadow[i] = 1.0;
        base[i] = 0x3f80;            // 1.0
        got[i] = 0x3f81;             // one step above
    }
    pair p;
    reference_of(&p, HONE_BFLOAT16, base, NULL, shadow, NULL, 1);
    assert_int_equal(verdict(&p, &automatic, got, false), HONE_F_COUNT);
    got[0] = 0x3f82;
    assert_int_equal(verdict(&p, &automatic, got, false), HONE_F_DIFF_PRECISION);
    hone_reference_free(&p.ref);
    got[0] = 0x3f81;
    reference_of(&p, HONE_BFLOAT16, base, NULL, shadow, NULL, N);
    assert_int_equal(verdict(&p, &automatic, got, false), HONE_F_DIFF_PRECISION);
    hone_reference_free(&p.ref);
}

// 1 + tanh(-20) is exactly zero in binary64 too; x/(1 + e^40) is the better answer.
static void zeros_of_a_cancellation_have_a_floor(void **state) {
    (void)state;
    float base[32] = {0}, got[32];
    double shadow[32] = {0};
    pair p;
    reference_of(&p, HONE_FLOAT, base, NULL, shadow, NULL, 32);
    for (int i = 0; i < 32; i++)
        got[i] = -6e-18f;
    assert_int_equal(verdict(&p, &automatic, got, false), HONE_F_DIFF_WRONG);     // inputs unknown
    p.ref.zero_floor = 0x1p-52 * 9;
    assert_int_equal(verdict(&p, &automatic, got, false), HONE_F_COUNT);
    got[3] = 1e-13f;
    assert_int_equal(verdict(&p, &automatic, got, false), HONE_F_DIFF_WRONG);
    hone_reference_free(&p.ref);
}

// Rows of two, sorted by the first element and then by the second; unwritten rows last.
static void rows_in_any_order(void **state) {
    (void)state;
    hone_arg arg = arg_of(HONE_FLOAT, HONE_OUT);
    hone_plan_buffer b = {.arg = &arg, .dims = {4, 2}, .n_dims = 2, .n_elems = 8, .bytes = 32};
    float v[8] = {2, 1, 0, 0, NAN, 3, -1, 7};
    memset(&v[2], HONE_POISON_B, 8);
    hone_rows_sort(&b, v, HONE_POISON_B);
    assert_true(v[0] == -1 && v[1] == 7 && v[2] == 2 && v[3] == 1 && isnan(v[4]) && v[5] == 3);
    assert_true(hone_is_poison((const uint8_t *)&v[6], 8, HONE_POISON_B));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nan_is_no_wildcard),
        cmocka_unit_test(large_neighbours_do_not_pay_for_small_ones),
        cmocka_unit_test(rows_in_any_order),
        cmocka_unit_test(few_elements_may_all_flip),
        cmocka_unit_test(zeros_of_a_cancellation_have_a_floor),
        cmocka_unit_test(one_ulp_flips_pass_in_bfloat16),
        cmocka_unit_test(cancelled_sums_may_differ_as_much_as_inputs_matter),
        cmocka_unit_test(nothing_is_demanded_of_zeros_and_subnormals),
        cmocka_unit_test(integers_are_exact_but_follow_rounding),
        cmocka_unit_test(varying_order_is_compared_as_a_set),
        cmocka_unit_test(what_the_baseline_leaves_unwritten_is_free),
        cmocka_unit_test(small_integers_must_match_exactly),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
