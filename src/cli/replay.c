// Replaying a certificate: baseline and candidate are evaluated again, all stages, with the seeds it names, and what comes out is compared
// with what it says. With the same virtual device and versions every number must agree; anywhere else the verdict and the stages must.
#include "cli/replay.h"
#include "cli/provenance.h"
#include "report/report.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CERTIFICATE_BYTES = 64 << 20, MAX_TUNES = 64, MAX_FLAGS = 32, MAX_PATH_TEXT = 300 };

typedef struct replay {
    const cli_options *o;
    json_t *certificate;
    const char *spec;   // device to use
    hone_pool *pool;
    hone_outcome *baseline, *candidate;
    hone_objective objective;
    size_t n_sizes;   // of the task
    bool judged;      // by the objective: there is a verdict to compare
    bool exact;       // numbers must agree, not only verdict and stages
    json_t *provenance;
    json_t *checks;   // [{name, expected, found, agrees}]
    unsigned differences;
} replay;

static const json_t *at(const json_t *o, const char *a, const char *b) {
    const json_t *v = json_object_get(o, a);
    return b ? json_object_get(v, b) : v;
}
static const char *text(const json_t *o, const char *a, const char *b) {
    const char *s = json_string_value(at(o, a, b));
    return s ? s : "";
}

// ---- reading

static hone_code read_certificate(replay *r, hone_err *e) {
    char *data = NULL;
    size_t len;
    HONE_TRY(hone_read_file(r->o->certificate, MAX_CERTIFICATE_BYTES, &data, &len, e));
    hone_err why = {0};
    hone_code c = hone_report_certificate_read(data, len, &r->certificate, &why);
    hone_free(data);
    if (c != HONE_OK) {
        hone_fail(e, c, why.sub, "'%s': %s", r->o->certificate, why.msg);
        return hone_hint(e, "%s", why.hint);
    }
    if (*text(r->certificate, "task", "text") && *text(r->certificate, "candidate", "text"))
        return HONE_OK;
    return hone_fail(e, HONE_E_PARSE, 0, "'%s' lacks the text of the task or of the candidate", r->o->certificate);
}

// Certificates of older versions, and libraries without a build ID, say nothing.
static bool same_build(const replay *r, const json_t *now, const char *which) {
    const char *then = text(r->certificate, "versions", which);
    return !*then || !strcmp(text(now, which, NULL), then);
}

// What the verdict is about. A task that does not parse is refused where it is evaluated.
static void read_objective(replay *r) {
    hone_task *t = NULL;
    const char *task = text(r->certificate, "task", "text");
    hone_diags diags = {.arena = hone_arena_new(1 << 20)};
    if (diags.arena && hone_task_parse(text(r->certificate, "task", "path"), task, strlen(task), &t, &diags, NULL) == HONE_OK) {
        r->objective = t->objective;
        r->n_sizes = t->n_sizes;
    }
    hone_task_free(t);
    hone_arena_free(diags.arena);
}

// Energy is measured as a search confirms its best: twice the window and the blocks of a search.
static void ask_energy(const replay *r, hone_job *j) {
    if (r->objective == HONE_OBJ_TIME || strcmp(text(hone_pool_device(r->pool), "kind", NULL), "virtual") == 0)
        return;
    j->energy_window_s = 2 * (r->o->energy_window_s > 0 ? r->o->energy_window_s : CLI_ENERGY_WINDOW_S);
    j->energy_blocks = 2 * (r->o->energy_blocks ? r->o->energy_blocks : CLI_ENERGY_BLOCKS);
    j->time_limit_s = (j->time_limit_s > 0 ? j->time_limit_s : 60) + hone_job_energy_seconds(j->energy_window_s, j->energy_blocks, r->n_sizes);
}

static hone_code open_pool(replay *r, hone_err *e) {
    r->spec = r->o->device ? r->o->device : text(r->certificate, "device", "spec");
    hone_pool_config c = {.device = *r->spec ? r->spec : "auto", .workers = 1, .time_limit_s = r->o->limit_s};
    HONE_TRY(hone_pool_open(&c, &r->pool, e));
    const json_t *now = hone_pool_device(r->pool), *then = json_object_get(r->certificate, "device");
    r->exact = !strcmp(text(now, "kind", NULL), "virtual") && !strcmp(text(now, "name", NULL), text(then, "name", NULL)) &&
               !strcmp(text(now, "nvrtc", NULL), text(r->certificate, "versions", "nvrtc")) &&
               !strcmp(HONE_VERSION, text(r->certificate, "versions", "hone")) && same_build(r, now, "nvrtc_build") &&
               same_build(r, now, "driver_build") && !r->o->has_seed;
    return HONE_OK;
}

// ---- running

static hone_code run_arm(replay *r, const char *arm, hone_outcome **out, hone_err *e) {
    const json_t *c = json_object_get(r->certificate, arm);
    json_t *tuning = json_object_get(c, "tuning"), *flags = json_object_get(r->certificate, "flags"), *value;
    hone_binding tune[MAX_TUNES];
    const char *flag[MAX_FLAGS], *name, *body = json_string_value(json_object_get(c, "text"));
    size_t n_tune = 0, n_flags = 0, i;
    json_object_foreach(tuning, name, value) {
        if (n_tune < MAX_TUNES)
            tune[n_tune++] = (hone_binding){name, json_integer_value(value)};
    }
    json_array_foreach(flags, i, value) {
        if (n_flags < MAX_FLAGS && json_is_string(value))
            flag[n_flags++] = json_string_value(value);
    }
    uint64_t seed = r->o->has_seed ? r->o->seed : (uint64_t)json_integer_value(at(r->certificate, "seeds", arm));
    hone_job j = {.id = body ? 1 : 0,
                  .task_path = text(r->certificate, "task", "path"),
                  .task_text = text(r->certificate, "task", "text"),
                  .candidate_text = body,
                  .tuning = tune,
                  .n_tuning = n_tune,
                  .flags = flag,
                  .n_flags = n_flags,
                  .stages = HONE_STAGE_ALL,
                  .seed = seed,
                  .time_limit_s = r->o->limit_s};
    ask_energy(r, &j);
    return cli_evaluate(r->pool, &j, out, e);
}

// ---- comparing

static void check(replay *r, const char *name, json_t *expected, json_t *found, bool agrees) {
    r->differences += !agrees;
    json_array_append_new(r->checks,
                          json_pack("{s:s, s:o, s:o, s:b}", "name", name, "expected", expected, "found", found, "agrees", (int)agrees));
}

static void check_text(replay *r, const char *name, const char *expected, const char *found) {
    check(r, name, json_string(expected), json_string(found), !strcmp(expected, found));
}

static bool same_value(const json_t *a, const json_t *b) {
    if (json_is_number(a) && json_is_number(b))   // recorded with nine digits
        return fabs(json_number_value(a) - json_number_value(b)) <= 2e-8 * fabs(json_number_value(a));
    return json_equal(a, b);
}

static void compare_value(replay *r, const char *path, const json_t *a, const json_t *b);

static void compare_object(replay *r, const char *path, const json_t *a, const json_t *b) {
    const char *key;
    json_t *value;
    char inner[MAX_PATH_TEXT];
    json_object_foreach((json_t *)(uintptr_t)a, key, value) {
        snprintf(inner, sizeof inner, "%s.%s", path, key);
        compare_value(r, inner, value, json_object_get(b, key));
    }
    json_object_foreach((json_t *)(uintptr_t)b, key, value) {
        snprintf(inner, sizeof inner, "%s.%s", path, key);
        if (!json_object_get(a, key))
            compare_value(r, inner, NULL, value);
    }
}

// One check for each leaf that differs; one for the whole when none does.
static void compare_value(replay *r, const char *path, const json_t *a, const json_t *b) {
    char inner[MAX_PATH_TEXT];
    if (json_is_object(a) && json_is_object(b)) {
        compare_object(r, path, a, b);
    } else if (json_is_array(a) && json_is_array(b) && json_array_size(a) == json_array_size(b)) {
        for (size_t i = 0; i < json_array_size(a); i++) {
            snprintf(inner, sizeof inner, "%s[%zu]", path, i);
            compare_value(r, inner, json_array_get(a, i), json_array_get(b, i));
        }
    } else if (!a || !b || !same_value(a, b)) {
        check(r, path, a ? json_deep_copy(a) : json_null(), b ? json_deep_copy(b) : json_null(), false);
    }
}

static void compare_part(replay *r, const char *path, const json_t *a, json_t *stolen) {
    unsigned before = r->differences;
    compare_value(r, path, a, stolen);
    if (r->differences == before)
        check(r, path, json_true(), json_true(), true);
    json_decref(stolen);
}

static const char *pass_word(const hone_outcome *o) {
    return o->verdict == HONE_PASS ? "pass" : o->verdict == HONE_FAIL ? "fail" : "error";
}

static const char *verdict_now(replay *r, char out[16]) {
    hone_compare c;
    r->judged = hone_compare_outcomes(r->objective, r->baseline, r->candidate, &c) || r->objective == HONE_OBJ_TIME;
    snprintf(out, 16, "%s", hone_compare_name(c));
    for (char *p = out; *p; p++)
        *p = (char)(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p);
    return out;
}

static void check_hash(replay *r, const char *name, const char *expected, const char *of) {
    char hash[HONE_HASH_HEX];
    hone_sha256_hex(of, strlen(of), hash);
    check_text(r, name, expected, hash);
}

// A list of objects with only these members: what both sides are compared in.
static json_t *members(const json_t *list, const char *const *keys, size_t n) {
    json_t *out = json_array(), *o;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)list, i, o) {
        json_t *part = json_object();
        for (size_t k = 0; k < n; k++)
            if (json_object_get(o, keys[k]))
                json_object_set(part, keys[k], json_object_get(o, keys[k]));
        json_array_append_new(out, part);
    }
    return out;
}

static void compare_arm(replay *r, const char *arm, const hone_outcome *o) {
    static const char *const keys[] = {"time_us", "lo_us", "hi_us", "error_band"};
    const json_t *then = json_object_get(r->certificate, arm), *time = json_object_get(o->json, "time");
    char path[64];
    for (size_t i = 0; i < HONE_COUNT(keys); i++) {
        snprintf(path, sizeof path, "%s.%s", arm, keys[i]);
        compare_part(r, path, json_object_get(then, keys[i]), json_incref(json_object_get(time, keys[i])));
    }
    snprintf(path, sizeof path, "%s.ptx_hash", arm);
    check_text(r, path, text(then, "ptx_hash", NULL), o->ptx_hash);
    snprintf(path, sizeof path, "statistics.%s", arm);
    compare_part(r, path, at(r->certificate, "statistics", arm), json_deep_copy(time));
}

static void compare(replay *r) {
    static const char *const stage[] = {"name", "status"};
    char verdict[16];
    const char *task = text(r->certificate, "task", "text");
    check_hash(r, "task.hash", text(r->certificate, "task", "hash"), task);
    check_hash(r, "hashes.task", text(r->certificate, "hashes", "task"), task);
    check_hash(r, "hashes.candidate", text(r->certificate, "hashes", "candidate"), text(r->certificate, "candidate", "text"));
    check_text(r, "baseline passes every stage", "pass", pass_word(r->baseline));
    check_text(r, "candidate passes every stage", "pass", pass_word(r->candidate));
    compare_part(r, "stages", json_object_get(r->certificate, "stages"), members(json_object_get(r->candidate->json, "stages"), stage, HONE_COUNT(stage)));
    verdict_now(r, verdict);
    if (r->judged)
        check_text(r, "expected.verdict", text(r->certificate, "expected", "verdict"), verdict);
    if (!r->exact)
        return;
    compare_part(r, "findings", json_object_get(r->certificate, "findings"), json_deep_copy(json_object_get(r->candidate->json, "findings")));
    compare_arm(r, "baseline", r->baseline);
    compare_arm(r, "candidate", r->candidate);
}

// ---- telling

static void print_value(const json_t *v) {
    char *dump = json_is_string(v) ? NULL : json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(9));
    const char *s = dump ? dump : json_string_value(v);
    printf("%.200s", json_is_null(v) || !s ? "nothing" : s);
    free(dump);
}

static void print_differences(const replay *r, const cli_style *st) {
    size_t i;
    json_t *c;
    json_array_foreach(r->checks, i, c) {
        if (json_is_true(json_object_get(c, "agrees")))
            continue;
        printf("  %s%s%s: the certificate says ", st->red, json_string_value(json_object_get(c, "name")), st->off);
        print_value(json_object_get(c, "expected"));
        printf(", now it is ");
        print_value(json_object_get(c, "found"));
        putchar('\n');
    }
}

static void print_provenance(const replay *r, const cli_style *st) {
    const char *key = text(r->provenance, "key", NULL), *signer = text(r->provenance, "signer", NULL), *archive = text(r->provenance, "archive", NULL);
    size_t files = json_array_size(json_object_get(r->provenance, "files"));
    if (!strcmp(signer, "yours"))
        printf("  %ssigned by your key %s", st->dim, key);
    else if (!strcmp(signer, "trusted"))
        printf("  %ssigned by %s, key %s", st->dim, text(r->provenance, "name", NULL), key);
    else
        printf("  %ssigned by %s, not in your trusted keys", st->dim, key);
    printf("; archive %s", !strcmp(archive, "absent") ? "not beside it" : archive);
    printf("; %zu file%s beside it match%s%s\n", files, files == 1 ? "" : "s", files == 1 ? "es" : "", st->off);
}

// What was another when the certificate was made, so that numbers cannot be compared.
static void print_environment(const replay *r, const cli_style *st) {
    const json_t *now = hone_pool_device(r->pool), *then = json_object_get(r->certificate, "device");
    const char *pairs[][3] = {{"device", text(then, "name", NULL), text(now, "name", NULL)},
                              {"compiler", text(r->certificate, "versions", "nvrtc"), text(now, "nvrtc", NULL)},
                              {"hone", text(r->certificate, "versions", "hone"), HONE_VERSION},
                              {"build of the compiler", text(r->certificate, "versions", "nvrtc_build"), text(now, "nvrtc_build", NULL)},
                              {"build of the driver", text(r->certificate, "versions", "driver_build"), text(now, "driver_build", NULL)}};
    for (size_t i = 0; i < HONE_COUNT(pairs); i++)
        if ((i < 3 || *pairs[i][1]) && strcmp(pairs[i][1], pairs[i][2]) != 0)
            printf("  %sanother %s: %s then, %s now%s\n", st->dim, pairs[i][0], pairs[i][1], pairs[i][2], st->off);
}

static void print_text(const replay *r) {
    cli_style st = cli_style_for(r->o, stdout);
    char b[32], c[32];
    const hone_outcome *base = r->baseline, *cand = r->candidate;
    const char *kind = base->time_is_modelled ? "modelled" : "measured";
    printf("%s%s%s %s on %s", r->differences ? st.red : st.green, r->differences ? "DIFFERS" : "CONFIRMED", st.off,
           text(r->certificate, "task", "name"), text(hone_pool_device(r->pool), "name", NULL));
    if (base->has_time && cand->has_time)
        printf(": %s → %s, %.2f× (%s)", cli_time_text(base->time_us, b), cli_time_text(cand->time_us, c), base->time_us / cand->time_us,
               kind);
    putchar('\n');
    print_differences(r, &st);
    cli_print_findings(cand, &st, stdout);
    if (r->exact)
        printf("  %severy number compared: same device model, compiler and seeds%s\n", st.dim, st.off);
    else
        printf("  %sverdict and stages compared; times are not expected to be equal %s%s\n", st.dim,
               strcmp(text(hone_pool_device(r->pool), "kind", NULL), "virtual") ? "on a physical device"
                                                                                : "with another device, version or seed",
               st.off);
    if (!r->judged)
        printf("  %sthe objective is %s, and no energy was measured here: the verdict was not compared%s\n", st.dim,
               r->objective == HONE_OBJ_EDP ? "energy times time" : "energy", st.off);
    print_environment(r, &st);
    print_provenance(r, &st);
}

static void print_json(const replay *r) {
    json_t *j = json_pack("{s:s, s:s, s:b, s:b, s:b, s:O, s:O, s:O, s:o}", "schema", "hone.replay/1", "certificate", r->o->certificate, "confirmed",
                          (int)(r->differences == 0), "exact", (int)r->exact, "judged", (int)r->judged, "device", hone_pool_device(r->pool), "checks", r->checks, "provenance", r->provenance,
                          "findings", cli_findings_json(r->candidate));
    cli_print_json(j);
}

static void count_differences(replay *r) {
    size_t i;
    json_t *k;
    r->differences = 0;
    json_array_foreach(r->checks, i, k) r->differences += json_is_false(json_object_get(k, "agrees"));
}

int cli_replay_certificate(const cli_options *o) {
    hone_err e = {0};
    replay r = {.o = o, .checks = json_array()};
    hone_code c = read_certificate(&r, &e);
    if (c == HONE_OK)
        read_objective(&r);
    if (c == HONE_OK)
        c = open_pool(&r, &e);
    if (c == HONE_OK)
        c = run_arm(&r, "baseline", &r.baseline, &e);
    if (c == HONE_OK)
        c = run_arm(&r, "candidate", &r.candidate, &e);
    int code;
    if (c == HONE_OK) {
        compare(&r);
        c = cli_provenance(r.certificate, o->certificate, r.checks, &r.provenance, &e);
    }
    if (c == HONE_OK) {
        count_differences(&r);
        if (o->json)
            print_json(&r);
        else
            print_text(&r);
        code = r.differences ? EXIT_WRONG : EXIT_FINE;
    } else {
        code = cli_error(o, &e);
    }
    hone_outcome_free(r.baseline);
    hone_outcome_free(r.candidate);
    if (r.pool)
        hone_pool_close(r.pool);
    json_decref(r.checks);
    json_decref(r.provenance);
    json_decref(r.certificate);
    return code;
}
