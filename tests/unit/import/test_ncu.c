// Tables of Nsight Compute: both layouts, means over invocations, units, separators, absent values; broken files say where.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "import/csv.h"
#include "import/ncu.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static hone_ncu load(const char *name) {
    char path[512], *text;
    size_t len;
    hone_err e = {0};
    hone_ncu x;
    snprintf(path, sizeof path, TESTS_DIR "/data/ncu/%s", name);
    assert_int_equal(hone_read_file(path, 1 << 20, &text, &len, &e), HONE_OK);
    if (hone_ncu_parse(name, text, len, &x, &e) != HONE_OK)
        fail_msg("%s", e.msg);
    hone_free(text);
    return x;
}

static void is(const hone_ncu_kernel *k, hone_ncu_metric m, double want) {
    assert_true(hone_ncu_has(k, m));
    if (fabs(hone_ncu_mean(k, m) - want) > 1e-9 * fabs(want))
        fail_msg("%s is %g, not %g", hone_ncu_id(m), hone_ncu_mean(k, m), want);
}

static void raw_page(void **state) {
    (void)state;
    hone_ncu x = load("raw.csv");
    assert_int_equal(x.n, 2);
    assert_false(x.details);
    assert_int_equal(x.unknown, 1);
    assert_string_equal(x.device, "NVIDIA H200");
    const uint32_t grid[3] = {4, 1, 1}, block[3] = {128, 1, 1};
    const hone_ncu_kernel *k = hone_ncu_find(&x, "rows", grid, block);
    assert_non_null(k);
    assert_int_equal(k->invocations, 2);
    is(k, HONE_NCU_time_us, 13);
    is(k, HONE_NCU_dram_bytes_read, 260000);
    is(k, HONE_NCU_dram_bytes_written, 1020);
    is(k, HONE_NCU_load_sectors, 8192);
    is(k, HONE_NCU_l1_hit_rate, 0.875);
    is(k, HONE_NCU_occupancy, 0.0625);
    is(k, HONE_NCU_ffma, 0);
    assert_false(hone_ncu_has(k, HONE_NCU_store_sectors));
    k = &x.kernels[1];
    assert_string_equal(k->name, "scale");
    assert_int_equal(k->grid[0], 1024);
    is(k, HONE_NCU_time_us, 1024.5);
    is(k, HONE_NCU_warp_insts, 1200300);
    assert_false(hone_ncu_has(k, HONE_NCU_dram_bytes_written));   // n/a
    assert_false(hone_ncu_has(k, HONE_NCU_load_sectors));         // empty
    assert_null(hone_ncu_find(&x, "nobody", grid, block));
    hone_ncu_free(&x);
}

static void details_page(void **state) {
    (void)state;
    hone_ncu x = load("details.csv");
    assert_true(x.details);
    assert_int_equal(x.n, 1);
    const hone_ncu_kernel *k = &x.kernels[0];
    assert_int_equal(k->invocations, 2);
    is(k, HONE_NCU_time_us, 14);
    is(k, HONE_NCU_clock_mhz, 1750);
    is(k, HONE_NCU_dram_gbs, 61.25);       // of the memory section, not the percentage of the same name
    is(k, HONE_NCU_static_shared_bytes, 1020);
    is(k, HONE_NCU_registers, 32);
    is(k, HONE_NCU_occupancy, 0.0625);
    hone_ncu_free(&x);
}

#define HEAD "\"ID\",\"Kernel Name\",\"gpu__time_duration.sum\"\n"
static void broken_files_say_where(void **state) {
    (void)state;
    static const struct { const char *text, *message; } cases[] = {
        {"", "t.csv:1: no header"},
        {"a,b\n1,2\n", "t.csv:3: no header"},
        {"ID,Name\n1,k\n", "t.csv:1: no column \"Kernel Name\""},
        {HEAD, "t.csv:2: a row of units is missing"},
        {HEAD "0,k(),3\n", "t.csv:2: a row of units is missing"},
        {HEAD ",,us\n", "t.csv:3: the table has no kernels"},
        {HEAD ",,furlong\n0,k(),3\n", "t.csv:2: unit 'furlong' of time_us is not known"},
        {HEAD ",,us\n0,k(),3,4\n", "t.csv:3: 4 fields where the header has 3"},
        {HEAD ",,us\n0,k(),3\n1,k(),fast\n", "t.csv:4: 'fast' of time_us is no number"},
        {HEAD ",,us\n0,k(),\"1,23\"\n", "t.csv:3: '1,23' of time_us is no number"},
        {HEAD ",,us\n0,k(),\"1\n", "t.csv:3: the quote that opens here is not closed"},
        {HEAD ",,us\n0,\"k\"x,1\n", "t.csv:3: text after a closing quote"},
        {HEAD ",,us\n0,(),1\n", "t.csv:3: no kernel name"},
        {"ID,Kernel Name,Metric Name,Metric Value\n0,k,Duration,1\n", "t.csv:1: a column \"Metric Name\" without"},
        {"ID,Kernel Name,Metric Name,Metric Unit,Metric Value\n\n0,k,Duration,mile,1\n", "t.csv:3: unit 'mile'"},
    };
    for (size_t i = 0; i < HONE_COUNT(cases); i++) {
        hone_ncu x;
        hone_err e = {0};
        assert_int_equal(hone_ncu_parse("t.csv", cases[i].text, strlen(cases[i].text), &x, &e), HONE_E_PARSE);
        if (strncmp(e.msg, cases[i].message, strlen(cases[i].message)))
            fail_msg("'%s', not '%s'", e.msg, cases[i].message);
        hone_ncu_free(&x);
    }
}

static void units_and_separators(void **state) {
    (void)state;
    static const struct { const char *unit, *value; double us; } cases[] = {
        {"ns", "1,500", 1.5}, {"nsecond", "1500.0", 1.5}, {"ms", "2", 2000}, {"second", "1e-3", 1000}, {"us", "12,345,678.5", 12345678.5}, {"us", "7", 7},
    };
    for (size_t i = 0; i < HONE_COUNT(cases); i++) {
        char text[256];
        hone_ncu x;
        hone_err e = {0};
        snprintf(text, sizeof text, HEAD ",,%s\r\n0,k(),\"%s\"\r\n", cases[i].unit, cases[i].value);
        assert_int_equal(hone_ncu_parse("t.csv", text, strlen(text), &x, &e), HONE_OK);
        is(&x.kernels[0], HONE_NCU_time_us, cases[i].us);
        hone_ncu_free(&x);
    }
}

static void csv_quotes(void **state) {
    (void)state;
    static const char text[] = "a,\"b \"\"c\"\"\",\"d\ne\",\n,last";
    hone_csv r;
    hone_err e = {0};
    bool more;
    hone_csv_init(&r, "t.csv", text, strlen(text));
    assert_int_equal(hone_csv_next(&r, &more, &e), HONE_OK);
    assert_int_equal(hone_csv_count(&r), 4);
    assert_string_equal(hone_csv_field(&r, 1), "b \"c\"");
    assert_string_equal(hone_csv_field(&r, 2), "d\ne");
    assert_string_equal(hone_csv_field(&r, 3), "");
    assert_int_equal(hone_csv_next(&r, &more, &e), HONE_OK);
    assert_int_equal(r.record_line, 3);
    assert_string_equal(hone_csv_field(&r, 1), "last");
    assert_int_equal(hone_csv_next(&r, &more, &e), HONE_OK);
    assert_false(more);
    hone_csv_free(&r);
}

static void each_raw_row_is_a_launch(void **state) {
    (void)state;
    static const char text[] = HEAD ",,us\n0,k(),3\n0,k(),5\n";   // the same ID twice: found by the fuzzer
    hone_ncu x;
    assert_int_equal(hone_ncu_parse("t.csv", text, strlen(text), &x, NULL), HONE_OK);
    assert_int_equal(x.kernels[0].invocations, 2);
    is(&x.kernels[0], HONE_NCU_time_us, 4);
    hone_ncu_free(&x);
}

// Every allocation fails in turn: an error each time, nothing lost.
static void without_memory(void **state) {
    (void)state;
    static const char text[] = HEAD ",,us\n0,k(),3\n1,m(),4\n";
    for (uint64_t n = 1;; n++) {
        hone_ncu x;
        hone_err e = {0};
        hone_fail_alloc_at(n, false);
        hone_code c = hone_ncu_parse("t.csv", text, strlen(text), &x, &e);
        hone_fail_alloc_at(0, false);
        hone_ncu_free(&x);
        if (c == HONE_OK)
            return;
        assert_int_equal(c, HONE_E_NOMEM);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(raw_page), cmocka_unit_test(details_page), cmocka_unit_test(broken_files_say_where), cmocka_unit_test(units_and_separators),
        cmocka_unit_test(csv_quotes), cmocka_unit_test(each_raw_row_is_a_launch), cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
