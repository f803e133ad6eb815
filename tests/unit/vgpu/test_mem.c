// Device memory and the findings store: addresses, red zones, quarantine, initialisation bits, host-visible memory.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "vgpu/context.h"
#include <string.h>

#define MIB ((size_t)1 << 20)

static vg_alloc *take(vg_memory *m, size_t bytes) {
    vg_alloc *a = NULL;
    hone_err e = {0};
    assert_int_equal(vg_memory_alloc(m, bytes, 256, VG_ALLOC_DEVICE, &a, &e), HONE_OK);
    return a;
}

static void lookup_knows_exact_bounds(void **state) {
    (void)state;
    vg_memory *m = vg_memory_new(64 * MIB);
    vg_alloc *a = take(m, 1000), *b = take(m, 5 * MIB + 3), *c = take(m, 1);
    vg_alloc *all[] = {a, b, c};
    for (int i = 0; i < 3; i++) {
        vg_alloc *x = all[i];
        assert_int_equal(x->base % 256, 0);
        assert_ptr_equal(vg_memory_find(m, x->base, 1), x);
        assert_ptr_equal(vg_memory_find(m, x->base + x->bytes - 1, 1), x);
        assert_ptr_equal(vg_memory_find(m, x->base, x->bytes), x);
        assert_null(vg_memory_find(m, x->base + x->bytes - 1, 2));
        assert_null(vg_memory_find(m, x->base + x->bytes, 1));
        assert_null(vg_memory_find(m, x->base - 1, 1));
        assert_null(vg_memory_find(m, x->base, SIZE_MAX));
    }
    assert_true(b->base >= a->base + a->bytes + 4096);
    assert_true(c->base >= b->base + b->bytes + 4096);
    for (uint64_t at = b->base; at < b->base + b->bytes; at += 123457)
        assert_ptr_equal(vg_memory_find(m, at, 1), b);
    assert_null(vg_memory_find(m, 0, 1));
    assert_null(vg_memory_find(m, UINT64_MAX, 1));
    assert_int_equal(vg_memory_used(m), 1000 + 5 * MIB + 3 + 1);
    vg_memory_free_all(m);
}

static void nearest_names_the_neighbour(void **state) {
    (void)state;
    vg_memory *m = vg_memory_new(64 * MIB);
    assert_null(vg_memory_nearest(m, 12345));
    vg_alloc *a = take(m, 8192), *b = take(m, 8192);
    assert_ptr_equal(vg_memory_nearest(m, a->base + 8192), a);
    assert_ptr_equal(vg_memory_nearest(m, b->base - 8), b);
    assert_ptr_equal(vg_memory_nearest(m, 16), a);
    assert_ptr_equal(vg_memory_nearest(m, UINT64_MAX - 8), b);
    vg_memory_free_all(m);
}

static void capacity_is_a_limit(void **state) {
    (void)state;
    hone_err e = {0};
    vg_alloc *a;
    vg_memory *m = vg_memory_new(MIB);
    assert_int_equal(vg_memory_alloc(m, MIB + 1, 256, 0, &a, &e), HONE_E_NOMEM);
    vg_alloc *x = take(m, MIB - 100);
    hone_err_clear(&e);
    assert_int_equal(vg_memory_alloc(m, 101, 256, 0, &a, &e), HONE_E_NOMEM);
    assert_non_null(strstr(e.msg, "101"));
    assert_int_equal(vg_memory_free(m, x->base, &e), HONE_OK);
    take(m, MIB);
    vg_memory_free_all(m);
}

static void freed_memory_is_quarantined(void **state) {
    (void)state;
    hone_err e = {0};
    vg_memory *m = vg_memory_new(64 * MIB);
    vg_alloc *a = take(m, 4096);
    uint64_t base = a->base;
    assert_int_equal(vg_memory_free(m, base + 8, &e), HONE_E_USAGE);
    assert_int_equal(vg_memory_free(m, base, NULL), HONE_OK);
    assert_null(vg_memory_find(m, base, 1));
    assert_true(vg_memory_nearest(m, base)->freed);
    hone_err_clear(&e);
    assert_int_equal(vg_memory_free(m, base, &e), HONE_E_USAGE);
    assert_non_null(strstr(e.msg, "free already"));
    for (int i = 0; i < 100; i++) {
        vg_alloc *b = take(m, 4096);
        assert_true(b->base != base);
        assert_int_equal(vg_memory_free(m, b->base, NULL), HONE_OK);
    }
    vg_memory_free_all(m);
}

// A long-lived process allocates and frees far more than the address space holds.
static void addresses_are_used_again(void **state) {
    (void)state;
    hone_err e = {0};
    vg_memory *m = vg_memory_new((size_t)16 << 30);
    for (int i = 0; i < 1000; i++) {
        vg_alloc *a;
        assert_int_equal(vg_memory_alloc(m, (size_t)3 << 30, 256, 0, &a, &e), HONE_OK);
        a->host[0] = 1;
        assert_int_equal(vg_memory_free(m, a->base, NULL), HONE_OK);
    }
    assert_int_equal(vg_memory_used(m), 0);
    vg_memory_free_all(m);
}

static void layout_seed_moves_allocations(void **state) {
    (void)state;
    uint64_t at[3];
    for (int i = 0; i < 3; i++) {
        vg_memory *m = vg_memory_new(64 * MIB);
        vg_memory_set_layout(m, i == 2 ? 1 : (uint64_t)i);
        take(m, 100);
        at[i] = take(m, 100)->base;
        vg_memory_free_all(m);
    }
    assert_true(at[0] != at[1]);
    assert_true(at[1] == at[2]);
}

static void fresh_memory_is_unwritten(void **state) {
    (void)state;
    vg_memory *m = vg_memory_new(64 * MIB);
    vg_alloc *a = take(m, 1000);
    size_t first = 99;
    assert_int_equal(vg_init_missing(a, 0, 1000, &first), 1000);
    assert_int_equal(first, 0);
    assert_false(vg_init_all(a, 0, 1));
    vg_memory_free_all(m);
}

// Marks and forgets random ranges beside a byte map.
static void init_bits_match_a_byte_map(void **state) {
    (void)state;
    enum { N = 700 };
    vg_memory *m = vg_memory_new(64 * MIB);
    vg_alloc *a = take(m, N);
    bool map[N] = {false};
    hone_rng r;
    hone_rng_init(&r, 42, 0);
    for (int round = 0; round < 3000; round++) {
        size_t at = (size_t)hone_rng_below(&r, N), n = (size_t)hone_rng_below(&r, N - at + 1);
        if (hone_rng_below(&r, 8) == 0)
            at = 0, n = N;
        bool set = hone_rng_below(&r, 2);
        if (set)
            vg_init_mark(a, at, n);
        else
            vg_init_forget(a, at, n);
        memset(map + at, set, n);
        size_t q = (size_t)hone_rng_below(&r, N), k = (size_t)hone_rng_below(&r, N - q + 1), missing = 0, first = 0, got_first = 0;
        for (size_t i = k; i-- > 0;)
            if (!map[q + i]) {
                missing++;
                first = i;
            }
        assert_int_equal(vg_init_missing(a, q, k, &got_first), missing);
        if (missing)
            assert_int_equal(got_first, first);
        assert_int_equal(vg_init_all(a, q, k), missing == 0);
    }
    vg_memory_free_all(m);
}

static void managed_memory_lies_at_its_address(void **state) {
    (void)state;
    hone_err e = {0};
    vg_alloc *a;
    vg_memory *m = vg_memory_new(64 * MIB);
    assert_int_equal(vg_memory_alloc(m, 100000, 256, VG_ALLOC_MANAGED, &a, &e), HONE_OK);
    assert_int_equal((uintptr_t)a->host, a->base);
    memset((void *)(uintptr_t)a->base, 7, 100000);
    assert_int_equal(vg_init_missing(a, 0, 100000, NULL), 0);   // the host may have written it all
    vg_init_forget(a, 8, 4);
    assert_int_equal(vg_init_missing(a, 0, 100000, NULL), 4);
    assert_null(vg_memory_find(m, a->base + 100000, 1));
    vg_memory_free_all(m);
}

static void every_failing_allocation_is_an_error(void **state) {
    (void)state;
    for (uint64_t n = 1; n < 12; n++) {
        hone_fail_alloc_at(n, true);
        vg_memory *m = vg_memory_new(64 * MIB);
        vg_alloc *a, *b;
        hone_err e = {0};
        if (m && vg_memory_alloc(m, 5 * MIB, 256, 0, &a, &e) == HONE_OK && vg_memory_alloc(m, 100, 256, 0, &b, &e) == HONE_OK)
            vg_memory_free(m, a->base, NULL);
        else if (m)
            assert_int_equal(e.code, HONE_E_NOMEM);
        hone_fail_alloc_at(0, false);
        vg_memory_free_all(m);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lookup_knows_exact_bounds), cmocka_unit_test(nearest_names_the_neighbour), cmocka_unit_test(capacity_is_a_limit),
        cmocka_unit_test(freed_memory_is_quarantined), cmocka_unit_test(addresses_are_used_again), cmocka_unit_test(layout_seed_moves_allocations),
        cmocka_unit_test(fresh_memory_is_unwritten), cmocka_unit_test(init_bits_match_a_byte_map),
        cmocka_unit_test(managed_memory_lies_at_its_address), cmocka_unit_test(every_failing_allocation_is_an_error)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
