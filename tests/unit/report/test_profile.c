// The document of a profile from an outcome written by hand: sums, facts, causes, what would raise occupancy, lines of two launches, comparison; and
// its renderings: colours only when asked for, names and sources escaped, absent values absent.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "report/profile.h"
#include <math.h>
#include <string.h>

#define MODEL(us, bound, limiter) \
    "\"model\":{\"time_us\":" us ",\"launch_us\":2.5,\"clock_mhz\":1000,\"occupancy\":0.5,\"waves\":2.5,\"tail_fraction\":0.25,\"blocks_per_sm\":2,\"registers\":64," \
    "\"shared_bytes\":1000,\"limiter\":\"" limiter "\",\"bottleneck\":\"" bound "\",\"shares\":{\"issue\":0.2,\"pipe\":0.1,\"l1\":0.3,\"dram\":0.9,\"latency\":0.4}}"
static const char outcome_text[] =
    "{\"time\":{\"kind\":\"modelled\",\"sizes\":[{\"time_us\":40,\"launches\":["
    "{\"kernel\":\"_Z4copyPf\",\"grid\":[8,1,1],\"block\":[256,1,1],\"time_us\":10,\"counters\":{\"warp_insts\":100,\"thread_insts\":1600,\"branches\":10,"
    "\"divergent_branches\":5,\"global_sectors\":400,\"global_sectors_ideal\":100,\"global_requests\":100,\"dram_sectors_read\":300,\"compulsory_bytes\":3200,"
    "\"flops_fp32\":64000,\"atomic_serial_max\":7}," MODEL("10", "dram", "registers") "},"
    "{\"kernel\":\"_Z4copyPf\",\"grid\":[16,1,1],\"block\":[256,1,1],\"time_us\":30,\"counters\":{\"warp_insts\":300,\"thread_insts\":9600,\"branches\":10,"
    "\"global_sectors\":400,\"global_sectors_ideal\":400,\"global_requests\":100,\"dram_sectors_read\":100,\"compulsory_bytes\":9600,\"flops_fp32\":64000,"
    "\"atomic_serial_max\":3}," MODEL("30", "dram", "registers") "}]}]},"
    "\"lines\":[{\"kernel\":\"_Z4copyPf\",\"launch\":0,\"file\":\"t.cu\",\"line\":2,\"share\":1.0,\"time_share\":1.0,\"warp_insts\":100.0,\"thread_insts\":1600.0,"
    "\"global_sectors\":400.0,\"global_sectors_ideal\":100.0,\"bound\":\"dram\"},"
    "{\"kernel\":\"_Z4copyPf\",\"launch\":1,\"file\":\"t.cu\",\"line\":2,\"share\":0.5,\"time_share\":0.6,\"warp_insts\":150.0,\"thread_insts\":4800.0,"
    "\"global_sectors\":400.0,\"global_sectors_ideal\":400.0,\"bound\":\"l2\",\"divergent_branches\":4.0,\"barrier_wait_insts\":100.0},"
    "{\"kernel\":\"_Z4copyPf\",\"launch\":1,\"file\":\"other.h\",\"line\":2,\"share\":0.5,\"time_share\":0.4,\"warp_insts\":150.0,\"thread_insts\":4800.0},"
    "{\"kernel\":\"_Z4copyPf\",\"launch\":0,\"file\":\"t.cu\",\"line\":2,\"share\":1.0,\"time_share\":1.0,\"warp_insts\":999.0}]}";   // of another size
static const char device_text[] = "{\"name\":\"<Test> GPU\",\"compute_capability\":90,\"sms\":10,\"clock_mhz\":1000.0,\"bandwidth_gbs\":1000.0,"
                                  "\"registers_per_sm\":65536,\"shared_per_sm\":233472,\"threads_per_sm\":2048,\"blocks_per_sm\":32}";
static char source[] = "// <script>\nx[i] = y[i];\n";

static json_t *make(const hone_ncu *x) {
    hone_task task = {.path = "dir/t.cu", .text = source};
    json_t *j = json_loads(outcome_text, 0, NULL), *device = json_loads(device_text, 0, NULL);
    assert_non_null(j);
    hone_outcome o = {.json = j, .error_band = 0.25};
    hone_profile_input in = {&task, "somewhere/t.cu", &o, device, x, "ncu.csv", NULL, NULL};
    json_t *doc = hone_profile_document(&in);
    assert_non_null(doc);
    json_decref(j);
    json_decref(device);
    return doc;
}

static double at(const json_t *o, const char *path) {
    char head[64];
    const char *dot = strrchr(path, '.');
    snprintf(head, sizeof head, "%.*s", dot ? (int)(dot - path) : 0, path);
    const json_t *in = dot ? hone_doc_at(o, head) : o;
    if (!hone_doc_has_number(in, dot ? dot + 1 : path))
        fail_msg("no %s", path);
    return hone_doc_number(in, dot ? dot + 1 : path);
}
static void near(double got, double want) { assert_true(fabs(got - want) <= 1e-9 * fabs(want)); }

static void sums_and_facts(void **state) {
    (void)state;
    json_t *doc = make(NULL), *k = json_array_get(json_object_get(doc, "kernels"), 0);
    assert_int_equal(json_array_size(json_object_get(doc, "kernels")), 1);
    assert_string_equal(hone_doc_text(k, "kernel"), "copy");
    near(at(k, "launches"), 2);
    near(at(k, "time_us"), 40);
    near(at(k, "counters.warp_insts"), 400);
    near(at(k, "counters.atomic_serial_max"), 7);
    near(at(k, "facts.lanes_active"), 11200.0 / 12800);
    near(at(k, "facts.divergence"), 0.25);
    near(at(k, "facts.sector_efficiency"), 500.0 / 800);
    near(at(k, "facts.dram_per_compulsory"), 1);
    assert_false(hone_doc_has_number(json_object_get(k, "facts"), "bank_conflict"));   // no shared memory: absent, not 0
    assert_string_equal(hone_doc_text(k, "explanation"), "DRAM-bound 90 %, 2.5 waves, tail 25 %");
    assert_int_equal(json_integer_value(json_array_get(json_object_get(k, "grid"), 0)), 16);   // of the longest launch
    // 3 blocks of 8 warps: 65536 / (3·8·32) = 85 registers, in steps of 8
    assert_string_equal(hone_doc_text(json_object_get(k, "occupancy"), "raise"), "80 registers or fewer would let 3 blocks in");
    near(at(k, "roofline.intensity"), 128000.0 / 12800);
    near(at(k, "roofline.peak"), 10 * 1e9 * 128 * 2);
    near(at(k, "roofline.fraction"), 128000.0 / 40e-6 / 2.56e12);
    assert_string_equal(hone_doc_text(json_object_get(k, "roofline"), "side"), "compute");
    json_t *s = json_object_get(k, "symptoms");
    assert_int_equal(json_array_size(s), 2);
    assert_string_equal(hone_doc_text(json_array_get(s, 0), "id"), "divergence");
    assert_string_equal(hone_doc_text(json_array_get(s, 1), "id"), "tail");
    json_decref(doc);
}

static void lines_are_weighed_by_their_launches(void **state) {
    (void)state;
    json_t *doc = make(NULL), *lines = json_object_get(doc, "source"), *l = json_array_get(lines, 0);
    assert_int_equal(json_array_size(lines), 2);
    near(at(l, "time_share"), 0.25 * 1.0 + 0.75 * 0.6);
    near(at(l, "warp_insts"), 250);
    near(at(l, "share"), 250.0 / 400);
    near(at(l, "wait_share"), 100.0 / 400);
    assert_true(at(doc, "time_in_no_line") < 1e-9);   // 0.7 and 0.3
    near(at(l, "sectors_per_ideal"), 800.0 / 500);
    assert_string_equal(hone_doc_text(l, "bound"), "l2");   // 0.45 of the time against 0.25
    json_decref(doc);
}

static void hardware_beside_virtual(void **state) {
    (void)state;
    static const char csv[] = "ID,Kernel Name,Block Size,Grid Size,gpu__time_duration.sum,launch__registers_per_thread,dram__bytes_write.sum\n"
                              ",,,,us,register/thread,byte\n0,void copy(float *),\"(256, 1, 1)\",\"(16, 1, 1)\",16,60,n/a\n";
    hone_ncu x;
    assert_int_equal(hone_ncu_parse("ncu.csv", csv, strlen(csv), &x, NULL), HONE_OK);
    json_t *doc = make(&x), *h = hone_doc_list(json_array_get(json_object_get(doc, "kernels"), 0), "hardware.metrics");
    assert_int_equal(json_array_size(h), 2);   // n/a is absent
    near(at(json_array_get(h, 0), "measured"), 16);
    near(at(json_array_get(h, 0), "virtual"), 20);   // per launch
    near(at(json_array_get(h, 1), "measured"), 60);
    json_decref(doc);
    hone_ncu_free(&x);
}

static hone_str text_of(const json_t *doc, const char *colour, unsigned top) {
    hone_profile_view v = {{colour, colour, colour, colour, colour, colour, colour}, top, false};
    hone_str s;
    hone_str_init(&s, 1 << 20);
    hone_profile_text(doc, &v, &s);
    assert_false(s.failed);
    return s;
}

static void text_and_page(void **state) {
    (void)state;
    json_t *doc = make(NULL), *base = make(NULL);
    hone_profile_compare(doc, base);
    assert_int_equal(json_array_size(json_object_get(doc, "compare")), 6);
    hone_str s = text_of(doc, "", 1);
    assert_null(strchr(s.s, '\033'));
    assert_non_null(strstr(s.s, "DRAM-bound 90 %, 2.5 waves, tail 25 %"));
    assert_non_null(strstr(s.s, "x[i] = y[i];  ◆ diverges  ◆ waits"));
    assert_null(strstr(s.s, "other.h"));   // only the first line was asked for
    hone_str_free(&s);
    s = text_of(doc, "\033[1m", 2);
    assert_non_null(strchr(s.s, '\033'));
    assert_non_null(strstr(s.s, "other.h"));
    hone_str_free(&s);
    hone_str_init(&s, 1 << 20);
    assert_int_equal(hone_profile_html(doc, &s, NULL), HONE_OK);
    assert_null(strstr(s.s, "<script"));
    assert_non_null(strstr(s.s, "&lt;script&gt;"));
    assert_non_null(strstr(s.s, "&lt;Test&gt; GPU"));
    assert_non_null(strstr(s.s, "<svg"));
    hone_str_free(&s);
    json_decref(doc);
    json_decref(base);
}

static void names(void **state) {
    (void)state;
    static const char *const cases[][2] = {{"rowsum", "rowsum"}, {"_Z6rowsumPKfPfii", "rowsum"}, {"_Z99x", "_Z99x"}, {"_ZN2ns1kEv", "_ZN2ns1kEv"}, {"", ""}, {"_Z", "_Z"}};
    char buf[160];
    for (size_t i = 0; i < HONE_COUNT(cases); i++)
        assert_string_equal(hone_plain_kernel(cases[i][0], buf), cases[i][1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_and_facts), cmocka_unit_test(lines_are_weighed_by_their_launches), cmocka_unit_test(hardware_beside_virtual),
        cmocka_unit_test(text_and_page), cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
