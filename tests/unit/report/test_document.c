// The result document from a search result built by hand, and what is made of it: summary, certificate, the files in the folder.
#include "report/internal.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static const char *const task_text =
    "#pragma hone size N=1024\n#pragma hone inout y float[N]\n"
    "#pragma hone launch twice<<<cdiv(N,256), 256>>>(N, y)\n"
    "extern \"C\" __global__ void twice(int N, float *y)\n{\n    int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
    "    if (i < N)\n        y[i] *= 2.0f;\n}\n";
static const char *const best_text =
    "#pragma hone size N=1024\n#pragma hone inout y float[N]\n#pragma hone tune B={64,128}\n"
    "#pragma hone launch twice<<<cdiv(N,B), B>>>(N, y)\n"
    "extern \"C\" __global__ void twice(int N, float *__restrict__ y)\n{\n    int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
    "    if (i < N)\n        y[i] *= 2.0f;\n}\n";
static const char *const outcome_text =
    "{\"schema\":\"hone.outcome/1\",\"id\":2,\"verdict\":\"pass\",\"seed\":-77,\"findings\":[],\"stages\":[{\"name\":\"static\",\"status\":\"pass\","
    "\"seconds\":0.25}],\"compile\":{\"registers\":9,\"spill_bytes\":0},\"time\":{\"kind\":\"modelled\",\"time_us\":10,\"sizes\":[{\"sizes\":{\"N\":1024},"
    "\"time_us\":10,\"launches\":[{\"kernel\":\"twice\",\"grid\":[16,1,1],\"block\":[64,1,1],\"time_us\":10,\"counters\":{\"flops_fp32\":1024,"
    "\"dram_sectors_read\":128,\"thread_insts\":9000},\"model\":{\"bottleneck\":\"dram\",\"occupancy\":0.5,\"shares\":{\"dram\":0.9}}}]}]}}";

typedef struct world {
    hone_task *task;
    json_t *device;
    hone_binding tuning[1];
    hone_candidate c[5];
    hone_search_entry x[5];
    const hone_search_entry *entries[5], *lineage[3];
    hone_convergence convergence[2];
    hone_move_stats moves[2];
    hone_finding_count findings[1];
    hone_search_result r;
    hone_report_input in;
} world;

static hone_timing modelled(double us) { return (hone_timing){.time_us = us, .lo_us = us / 1.25, .hi_us = us * 1.25, .modelled = true, .error_band = 0.25, .cost = us}; }

static void add(world *w, unsigned id, unsigned parent, const char *proposer, const char *move, double us) {
    w->c[id] = (hone_candidate){.id = id,
                                .text = id ? best_text : task_text,
                                .parents = {parent},
                                .n_parents = id > 0,
                                .proposer = proposer,
                                .move = move,
                                .note = move,
                                .evaluated = true,
                                .ok = us > 0,
                                .time_us = us,
                                .cost = us,
                                .hash = "cafe"};
    w->x[id] = (hone_search_entry){.candidate = &w->c[id], .timing = modelled(us), .ptx_hash = "beef"};
    w->entries[id] = &w->x[id];
}

static int setup(void **state) {
    world *w = *state = hone_calloc(1, sizeof *w);
    hone_diags diags = {.arena = hone_arena_new(1 << 20)};
    assert_int_equal(hone_task_parse("twice.cu", task_text, strlen(task_text), &w->task, &diags, NULL), HONE_OK);
    hone_arena_free(diags.arena);
    w->device = json_pack("{s:s,s:s,s:s,s:s,s:s}", "spec", "virtual:h200", "name", "Test GPU", "kind", "virtual", "driver", "13.0", "nvrtc",
                          "13.0");
    add(w, 0, 0, "baseline", "", 40);
    add(w, 1, 0, "rewrite", "restrict", 20);
    add(w, 2, 1, "tune", "parameters", 10);
    add(w, 3, 1, "rewrite", "unroll", 20);
    add(w, 4, 0, "rewrite", "vector", 0);
    w->tuning[0] = (hone_binding){"B", 128};
    w->c[2].tuning = w->tuning;
    w->c[2].n_tuning = 1;
    w->x[3].duplicate = true;
    w->x[3].duplicate_of = 1;
    w->x[4].finding_kind = "differential.mismatch";
    w->x[4].finding_message = "output 'y' differs";
    for (int i = 0; i < 3; i++)
        w->lineage[i] = &w->x[2 - i];
    w->convergence[0] = (hone_convergence){1, 1, 20, 1, 0};
    w->convergence[1] = (hone_convergence){2, 2, 10, 2, 0};
    w->moves[0] =
        (hone_move_stats){.proposer = "rewrite", .move = "restrict", .tried = 1, .evaluated = 1, .passed = 1, .improved = 1, .best = 1};
    w->moves[1] = (hone_move_stats){.proposer = "rewrite", .move = "never"};
    w->findings[0] = (hone_finding_count){"differential.mismatch", 1};
    w->r = (hone_search_result){.stop = HONE_STOP_EVALS,
                                .baseline = &w->x[0],
                                .best = &w->x[2],
                                .verdict = HONE_CMP_FAST,
                                .speedup = 4,
                                .confirmed = true,
                                .lineage = w->lineage,
                                .n_lineage = 3,
                                .entries = w->entries,
                                .n_entries = 5,
                                .convergence = w->convergence,
                                .n_convergence = 2,
                                .moves = w->moves,
                                .n_moves = 2,
                                .findings = w->findings,
                                .n_findings = 1,
                                .evaluations = 3,
                                .duplicates_ptx = 1,
                                .refused = 1,
                                .seconds = 12,
                                .best_outcome_json = (char *)(uintptr_t)outcome_text,
                                .baseline_outcome_json = (char *)(uintptr_t)outcome_text};
    w->in = (hone_report_input){
        .task = w->task, .result = &w->r, .device = w->device, .command = "hone optimize twice.cu", .seed = 5, .evals = 3};
    return 0;
}

static int teardown(void **state) {
    world *w = *state;
    hone_task_free(w->task);
    json_decref(w->device);
    hone_free(w);
    return 0;
}

static void without_best(world *w) {
    w->r.best = NULL;
    w->r.verdict = HONE_CMP_NONE;
    w->r.speedup = 1;
    w->r.n_lineage = 0;
    w->r.best_outcome_json = NULL;
}

static void has_energy(world *w, unsigned id, double us, double mj, double lo, double hi) {
    hone_timing *t = &w->x[id].timing;
    t->modelled = false;
    t->paired_us = us;
    t->has_energy = true;
    t->energy_mj = mj;
    t->energy_lo_mj = lo;
    t->energy_hi_mj = hi;
}

static void on_a_gpu(world *w) {
    json_object_set_new(w->device, "kind", json_string("physical"));
    w->in.energy_asked = true;
    w->r.has_energy_j = true;
    w->r.energy_j = 2000;
    has_energy(w, 0, 40, 10, 9.9, 10.1);
    has_energy(w, 1, 20, 5, 4.5, 5.5);   // the least energy
    has_energy(w, 2, 10, 8, 7.5, 8.5);   // the least time
    has_energy(w, 3, 5, 1, 1, 1);        // a duplicate counts once
}

static void energy_front_and_payback(void **state) {
    world *w = *state;
    on_a_gpu(w);
    json_t *j = hone_report_json(&w->in);
    const json_t *front = hone_doc_at(j, "energy.front"), *back = hone_doc_at(j, "energy.payback");
    assert_int_equal(json_array_size(front), 2);
    assert_int_equal(hone_doc_number(json_array_get(front, 0), "id"), 2);
    assert_int_equal(hone_doc_number(json_array_get(front, 1), "id"), 1);
    assert_true(fabs(hone_doc_number(back, "runs") * 2e-3 - 2000) < 1e-6);   // 10 − 8 mJ are saved per run
    assert_true(fabs(hone_doc_number(back, "runs_lo") * 2.5e-3 - 2000) < 1e-6);
    assert_true(fabs(hone_doc_number(back, "runs_hi") * 1.5e-3 - 2000) < 1e-6);
    hone_str s;
    hone_str_init(&s, 1 << 16);
    hone_report_summary(j, false, &s);
    assert_non_null(strstr(s.s, "10 mJ per run, best 8 mJ: 1.25× less [1.18×, 1.33×]; 2 on the front of time and energy\n"));
    assert_non_null(strstr(s.s, "this search cost 2.00 kJ (GPU, idle time included); it pays back after 1.00 M runs (800 k – 1.33 M)\n"));
    hone_str_free(&s);
    json_decref(j);
}

static void assert_no_claim(world *w, const char *why) {
    json_t *j = hone_report_json(&w->in);
    const json_t *back = hone_doc_at(j, "energy.payback");
    assert_false(hone_doc_has_number(back, "runs"));
    assert_string_equal(hone_doc_text(back, "reason"), why);
    hone_str s;
    hone_str_init(&s, 1 << 16);
    hone_report_summary(j, false, &s);
    assert_null(strstr(s.s, "pays back after"));
    assert_non_null(strstr(s.s, why));
    hone_str_free(&s);
    json_decref(j);
}

static void no_payback_is_claimed_that_the_interval_does_not_carry(void **state) {
    world *w = *state;
    on_a_gpu(w);
    has_energy(w, 2, 10, 9.5, 8.5, 10.5);
    assert_no_claim(w, "the saving's interval holds zero: it may be none");
    has_energy(w, 2, 10, 12, 11, 13);
    assert_no_claim(w, "the best needs more energy than the baseline");
    has_energy(w, 2, 10, 8, 7.5, 8.5);
    w->r.confirmed = false;
    assert_no_claim(w, "the best is not confirmed yet");
}

static void no_energy_on_the_virtual_gpu(void **state) {
    world *w = *state;
    w->in.energy_asked = true;
    json_t *j = hone_report_json(&w->in);
    assert_string_equal(json_string_value(hone_doc_at(j, "energy.kind")), "absent");
    assert_string_equal(json_string_value(hone_doc_at(j, "energy.reason")), "the virtual GPU has no energy model");
    hone_str s;
    hone_str_init(&s, 1 << 16);
    hone_report_summary(j, false, &s);
    assert_non_null(strstr(s.s, "not known: the virtual GPU has no energy model"));
    assert_null(strstr(s.s, "this search cost"));
    hone_str_free(&s);
    json_decref(j);
}

static void document(void **state) {
    world *w = *state;
    json_t *j = hone_report_json(&w->in);
    assert_non_null(j);
    assert_string_equal(hone_doc_text(j, "schema"), "hone.result/1");
    assert_string_equal(hone_doc_text(j, "verdict"), "FAST");
    assert_string_equal(hone_doc_text(j, "kind"), "virtual");
    assert_string_equal(json_string_value(hone_doc_at(j, "task.name")), "twice");
    assert_string_equal(json_string_value(hone_doc_at(j, "texts.best")), best_text);
    assert_int_equal(json_integer_value(hone_doc_at(j, "best.tuning.B")), 128);
    assert_int_equal(json_integer_value(hone_doc_at(j, "best.diff.added")), 3);
    assert_int_equal(json_integer_value(hone_doc_at(j, "best.registers")), 9);
    assert_string_equal(json_string_value(hone_doc_at(j, "best.bottleneck")), "dram");
    assert_float_equal(hone_doc_number(j, "speedup_lo"), 3.2, 1e-9);
    assert_float_equal(hone_doc_number(j, "speedup_hi"), 5, 1e-9);
    assert_int_equal(json_array_size(hone_doc_at(j, "moves")), 1);   // moves never tried are left out
    const json_t *c = hone_doc_at(j, "candidates");
    assert_int_equal(json_array_size(c), 5);
    static const int evaluations[] = {0, 1, 2, 2, 3};   // a duplicate costs none
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(hone_doc_number(json_array_get(c, i), "evaluation"), evaluations[i]);
    assert_string_equal(hone_doc_text(json_array_get(c, 3), "verdict"), "duplicate");
    assert_false(hone_doc_has_number(json_array_get(c, 4), "time_us"));
    const json_t *lineage = hone_doc_at(j, "lineage");
    assert_int_equal(hone_doc_number(json_array_get(lineage, 0), "id"), 0);
    assert_float_equal(hone_doc_number(json_array_get(lineage, 2), "gain"), 2, 1e-9);
    assert_int_equal(json_integer_value(hone_doc_at(json_array_get(hone_doc_at(j, "findings"), 0), "example.id")), 4);
    json_decref(j);
}

static void bytes_that_are_no_utf8(void **state) {
    world *w = *state;
    w->c[1].note = "caf\xe9";
    json_t *j = hone_report_json(&w->in);
    assert_non_null(j);
    assert_string_equal(hone_doc_text(json_array_get(hone_doc_at(j, "candidates"), 1), "note"), "caf\xef\xbf\xbd");
    json_decref(j);
}

static char *summary_of(const world *w) {
    json_t *j = hone_report_json(&w->in);
    hone_str out;
    hone_str_init(&out, 1 << 16);
    hone_report_summary(j, false, &out);
    json_decref(j);
    return hone_str_take(&out);
}

static void summary(void **state) {
    world *w = *state;
    char *s = summary_of(w);
    assert_string_equal(s, "twice on Test GPU: times are modelled, not measured\n"
                           "  baseline  40.0 µs   ±25 %  bound by device memory bandwidth\n"
                           "  best      10.0 µs   ±25 %  bound by device memory bandwidth\n"
                           "  speedup   4.00×     3.20× – 5.00×  FAST\n"
                           "  how       restrict (2.00×)\n"
                           "            parameters (2.00×)\n"
                           "  tuning    B=128\n"
                           "  checked   all stages passed again with fresh inputs\n"
                           "  search    3 evaluations in 12 s, 1 refused; 1 duplicate not evaluated; the evaluation budget was used up\n");
    hone_free(s);
}

static void summary_without_improvement(void **state) {
    world *w = *state;
    without_best(w);
    char *s = summary_of(w);
    assert_non_null(strstr(s, "none: no candidate beat the baseline\n"));
    assert_non_null(strstr(s, "2 candidates were correct but no faster, 1 was refused (mostly differential.mismatch)\n"));
    assert_non_null(strstr(s, "the baseline is bound by device memory bandwidth\n"));
    assert_null(strstr(s, "speedup"));
    hone_free(s);
}

static json_t *certified(world *w, const hone_key *key) {
    hone_err e = {0};
    hone_store_chain chain = {.rows = 5, .head = "abc", .digest = "def"};
    w->in.chain = &chain;
    w->in.run = 3;
    json_t *j = hone_report_json(&w->in), *files = json_pack("{s:s}", "best.cu", "feed"), *c = hone_report_certificate(j, files, key, &e);
    if (!c)
        fail_msg("%s", e.msg);
    assert_int_equal(hone_report_certificate_verify(j, &e), HONE_E_PARSE);
    json_decref(files);
    json_decref(j);
    w->in.chain = NULL;
    return c;
}

static void certificate(void **state) {
    world *w = *state;
    hone_err e = {0};
    hone_key *key = NULL;
    assert_int_equal(hone_key_open(NULL, &key, &e), HONE_OK);
    json_t *c = certified(w, key);
    assert_int_equal(hone_report_certificate_verify(c, &e), HONE_OK);
    assert_int_equal(json_integer_value(hone_doc_at(c, "candidate.seed")), -77);
    assert_string_equal(json_string_value(hone_doc_at(c, "task.text")), task_text);
    assert_int_equal(hone_doc_number(hone_doc_at(c, "statistics"), "tried"), 5);
    assert_string_equal(json_string_value(hone_doc_at(c, "archive.head")), "abc");
    assert_string_equal(json_string_value(hone_doc_at(c, "hashes.files")) ? "" : "object", "object");
    assert_string_equal(hone_doc_text(c, "key"), hone_key_public(key));
    char hex[HONE_HASH_HEX];
    hone_sha256_hex(task_text, strlen(task_text), hex);
    assert_string_equal(json_string_value(hone_doc_at(c, "hashes.task")), hex);
    assert_int_equal(strlen(hone_doc_text(hone_doc_at(c, "hashes"), "program")), 64);
    hone_key_free(key);
    json_decref(c);
}

// Every value of a JSON text, changed one after the other: the k-th leaf. Returns false when there are no more.
static bool change_leaf(json_t *v, unsigned *k) {
    const char *key;
    json_t *x;
    void *next;
    size_t i;
    if (json_is_array(v)) {
        json_array_foreach(v, i, x) if (json_is_object(x) || json_is_array(x) ? change_leaf(x, k) : (*k)-- == 0 && json_array_set_new(v, i, json_string("?")) == 0)
            return true;
        return false;
    }
    json_object_foreach_safe(v, next, key, x) if (json_is_object(x) || json_is_array(x) ? change_leaf(x, k) : (*k)-- == 0 && json_object_set_new(v, key, json_string("?")) == 0)
        return true;
    return false;
}

static void no_edit_of_a_certificate_passes(void **state) {
    world *w = *state;
    hone_key *key = NULL, *other = NULL;
    assert_int_equal(hone_key_open(NULL, &key, NULL), HONE_OK);
    assert_int_equal(hone_key_open(NULL, &other, NULL), HONE_OK);
    json_t *c = certified(w, key), *again = certified(w, other), *read = NULL;
    unsigned leaves = 0;
    for (bool more = true; more; leaves++) {
        json_t *x = json_deep_copy(c);
        unsigned k = leaves;
        more = change_leaf(x, &k);
        assert_true((hone_report_certificate_verify(x, NULL) == HONE_OK) == !more);
        json_decref(x);
    }
    assert_true(leaves > 60);
    // the hash made again does not help without the key; nor does another key's signature
    json_object_set(c, "signature", json_object_get(again, "signature"));
    assert_int_equal(hone_report_certificate_verify(c, NULL), HONE_E_CORRUPT);
    json_decref(c);
    c = certified(w, key);
    char *text = json_dumps(c, HONE_RESULT_JSON_FLAGS), flipped;
    size_t n = strlen(text);
    text[n] = '\n';
    assert_int_equal(hone_report_certificate_read(text, n + 1, &read, NULL), HONE_OK);
    json_decref(read);
    assert_int_equal(hone_report_certificate_read(text, n, &read, NULL), HONE_E_CORRUPT);   // without its last line end
    for (size_t i = 0; i <= n; i++) {   // every byte, white space included
        flipped = text[i];
        text[i] = (char)(flipped ^ (1 << i % 7));
        hone_code r = hone_report_certificate_read(text, n + 1, &read, NULL);
        if (r == HONE_OK || read)
            fail_msg("byte %zu: '%c' as '%c' was not noticed", i, flipped, text[i]);
        text[i] = flipped;
    }
    free(text);
    hone_key_free(key);
    hone_key_free(other);
    json_decref(c);
    json_decref(again);
}

static bool exists(const char *dir, const char *name) {
    char *path = hone_path_join(dir, name);
    bool is = hone_is_file(path);
    hone_free(path);
    return is;
}

static void files(void **state) {
    world *w = *state;
    static const char *const names[] = {"result.json", "report.html", "best.cu", "certificate.json", "best.ptx", "best.cubin"};
    char dir[] = "/tmp/hone-report-XXXXXX", command[64];
    assert_non_null(mkdtemp(dir));
    setenv("HONE_CONFIG_DIR", dir, 1);   // the key
    hone_outcome artifacts = {.ptx = (char *)(uintptr_t)"// ptx", .ptx_len = 6, .cubin = (void *)(uintptr_t)"ELF", .cubin_len = 3};
    json_t *j = hone_report_json(&w->in);
    assert_int_equal(hone_report_write(dir, j, &artifacts, NULL), HONE_OK);
    json_decref(j);
    for (size_t i = 0; i < HONE_COUNT(names); i++)
        assert_true(exists(dir, names[i]));
    char *path = hone_path_join(dir, "best.cu"), *text;
    size_t n;
    assert_int_equal(hone_read_file(path, 1 << 20, &text, &n, NULL), HONE_OK);
    assert_non_null(strstr(text, "tune B={128}"));   // the tuning is fixed in the file
    hone_free(text);
    hone_free(path);
    path = hone_path_join(dir, "certificate.json");   // names what was written beside it, and can be read again
    json_t *c = NULL;
    char hex[HONE_HASH_HEX];
    assert_int_equal(hone_read_file(path, 1 << 20, &text, &n, NULL), HONE_OK);
    assert_int_equal(hone_report_certificate_read(text, n, &c, NULL), HONE_OK);
    hone_sha256_hex("// ptx", 6, hex);
    assert_string_equal(hone_doc_text(json_object_get(json_object_get(c, "hashes"), "files"), "best.ptx"), hex);
    json_decref(c);
    hone_free(text);
    hone_free(path);
    without_best(w);   // a later run that finds nothing leaves no stale best
    j = hone_report_json(&w->in);
    assert_int_equal(hone_report_write(dir, j, NULL, NULL), HONE_OK);
    json_decref(j);
    for (size_t i = 0; i < HONE_COUNT(names); i++)
        assert_int_equal(exists(dir, names[i]), i < 2);
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

static void numbers(void **state) {
    (void)state;
    char t[HONE_TEXT];
    assert_string_equal(hone_text_time(0.0123, t), "12.3 ns");
    assert_string_equal(hone_text_time(999.7, t), "1.00 ms");
    assert_string_equal(hone_text_time(2.5e6, t), "2.50 s");
    assert_string_equal(hone_text_round_time(5000, t), "5 ms");
    assert_string_equal(hone_text_round_time(10000, t), "10 ms");
    assert_string_equal(hone_text_factor(0.0141, t), "0.0141×");
    assert_string_equal(hone_text_factor(512.7, t), "513×");
    assert_string_equal(hone_text_scaled(1.234e9, "B", t), "1.23 GB");
    assert_string_equal(hone_text_count(16384, t), "16384");
    assert_string_equal(hone_text_duration(3661, t), "1 h 01 min");
    assert_string_equal(hone_text_duration(155.15, t), "2 min 35 s");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(document, setup, teardown),
                                       cmocka_unit_test_setup_teardown(bytes_that_are_no_utf8, setup, teardown),
                                       cmocka_unit_test_setup_teardown(summary, setup, teardown),
                                       cmocka_unit_test_setup_teardown(summary_without_improvement, setup, teardown),
                                       cmocka_unit_test_setup_teardown(energy_front_and_payback, setup, teardown),
                                       cmocka_unit_test_setup_teardown(no_payback_is_claimed_that_the_interval_does_not_carry, setup, teardown),
                                       cmocka_unit_test_setup_teardown(no_energy_on_the_virtual_gpu, setup, teardown),
                                       cmocka_unit_test_setup_teardown(certificate, setup, teardown),
                                       cmocka_unit_test_setup_teardown(no_edit_of_a_certificate_passes, setup, teardown),
                                       cmocka_unit_test_setup_teardown(files, setup, teardown),
                                       cmocka_unit_test(numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
