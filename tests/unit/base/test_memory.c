// Checked sizes, the failing allocator, arenas, arrays.
#include "base/base.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void sizes_are_checked(void **state) {
    (void)state;
    size_t n = 7;
    hone_err e = {0};
    assert_int_equal(hone_mul_size(1u << 20, 1u << 20, &n, &e), HONE_OK);
    assert_true(n == (size_t)1 << 40);
    assert_int_equal(hone_mul_size(SIZE_MAX / 2, 3, &n, &e), HONE_E_LIMIT);
    hone_err_clear(&e);
    assert_int_equal(hone_add_size(SIZE_MAX, 1, &n, &e), HONE_E_LIMIT);
}

static void memory_is_zeroed_and_failures_are_injected(void **state) {
    (void)state;
    char *p = hone_calloc(3, 5);
    for (int i = 0; i < 15; i++)
        assert_int_equal(p[i], 0);
    hone_free(p);
    hone_fail_alloc_at(2, false);
    void *a = hone_malloc(1), *b = hone_malloc(1), *c = hone_malloc(1);
    assert_non_null(a);
    assert_null(b);
    assert_non_null(c);
    hone_fail_alloc_at(1, true);
    assert_null(hone_malloc(1));
    assert_null(hone_strdup("x"));
    hone_fail_alloc_at(0, false);
    hone_free(a);
    hone_free(c);
}

static void arenas_align_zero_and_refuse(void **state) {
    (void)state;
    hone_arena *a = hone_arena_new(100000);
    for (size_t n = 1; n < 200; n += 7) {
        unsigned char *p = hone_arena_alloc(a, n);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xff, n);
    }
    assert_string_equal(hone_arena_printf(a, "%d %s", 3, "x"), "3 x");
    assert_non_null(hone_arena_alloc(a, 50000));
    assert_null(hone_arena_alloc(a, 60000));
    assert_null(hone_arena_array(a, SIZE_MAX / 2, 4));
    assert_null(hone_arena_alloc(a, SIZE_MAX));
    hone_arena_free(a);
    hone_arena_free(NULL);
}

static void arenas_survive_every_failing_allocation(void **state) {
    (void)state;
    for (uint64_t n = 1; n < 12; n++) {
        hone_fail_alloc_at(n, true);
        hone_arena *a = hone_arena_new(1 << 20);
        for (int i = 0; a && i < 100; i++)
            hone_arena_strdup(a, "some text that fills blocks, again and again, until another one is needed");
        hone_arena_free(a);
    }
    hone_fail_alloc_at(0, false);
}

static void vectors_grow(void **state) {
    (void)state;
    HONE_VEC(int) v = {0};
    for (int i = 0; i < 1000; i++)
        assert_true(hone_vec_push(&v, i));
    assert_int_equal(v.v[999], 999);
    hone_fail_alloc_at(1, true);
    bool failed = false;
    for (int i = 0; i < 1000 && !failed; i++)
        failed = !hone_vec_push(&v, i);
    hone_fail_alloc_at(0, false);
    assert_true(failed);
    assert_int_equal(v.v[0], 0);
    hone_vec_free(&v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_checked),
        cmocka_unit_test(memory_is_zeroed_and_failures_are_injected),
        cmocka_unit_test(arenas_align_zero_and_refuse),
        cmocka_unit_test(arenas_survive_every_failing_allocation),
        cmocka_unit_test(vectors_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
