// Replaying a certificate: baseline and candidate are evaluated again, all stages, with the seeds it names, and what comes out is compared
// with what it says. With the same virtual device and versions every number must agree; anywhere else the verdict must.
#include "cli/replay.h"
#include "report/report.h"
#include <math.h>
#include <string.h>

enum { MAX_CERTIFICATE_BYTES = 64 << 20, MAX_TUNES = 64, MAX_FLAGS = 32 };

typedef struct replay {
    const cli_options *o;
    json_t *certificate;
    const char *spec;   // device to use
    hone_pool *pool;
    hone_outcome *baseline, *candidate;
    bool exact;       // numbers must agree, not only the verdict
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
static double number(const json_t *o, const char *a, const char *b) { return json_number_value(at(o, a, b)); }

// ---- reading

static hone_code read_certificate(replay *r, hone_err *e) {
    char *data = NULL;
    size_t len;
    json_error_t why;
    HONE_TRY(hone_read_file(r->o->certificate, MAX_CERTIFICATE_BYTES, &data, &len, e));
    r->certificate = json_loadb(data, len, JSON_REJECT_DUPLICATES, &why);
    hone_free(data);
    if (!r->certificate) {
        hone_fail(e, HONE_E_PARSE, 0, "'%s' is no certificate: line %d: %s", r->o->certificate, why.line, why.text);
        return hone_hint(e, "a certificate is the file certificate.json of a result folder");
    }
    HONE_TRY(hone_report_certificate_verify(r->certificate, e));
    if (*text(r->certificate, "task", "text") && *text(r->certificate, "candidate", "text"))
        return HONE_OK;
    return hone_fail(e, HONE_E_PARSE, 0, "'%s' lacks the text of the task or of the candidate", r->o->certificate);
}

static hone_code open_pool(replay *r, hone_err *e) {
    r->spec = r->o->device ? r->o->device : text(r->certificate, "device", "spec");
    hone_pool_config c = {.device = *r->spec ? r->spec : "auto", .workers = 1, .time_limit_s = r->o->limit_s};
    HONE_TRY(hone_pool_open(&c, &r->pool, e));
    const json_t *now = hone_pool_device(r->pool), *then = json_object_get(r->certificate, "device");
    r->exact = !strcmp(text(now, "kind", NULL), "virtual") && !strcmp(text(now, "name", NULL), text(then, "name", NULL)) &&
               !strcmp(text(now, "nvrtc", NULL), text(r->certificate, "versions", "nvrtc")) &&
               !strcmp(HONE_VERSION, text(r->certificate, "versions", "hone")) && !r->o->has_seed;
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

// Recorded with nine digits.
static void check_number(replay *r, const char *name, double expected, double found) {
    check(r, name, json_real(expected), json_real(found), fabs(found - expected) <= 2e-8 * fabs(expected));
}

static const char *pass_word(const hone_outcome *o) {
    return o->verdict == HONE_PASS ? "pass" : o->verdict == HONE_FAIL ? "fail" : "error";
}

static const char *verdict_now(const replay *r, char out[16]) {
    hone_timing b = hone_timing_of(r->baseline), c = hone_timing_of(r->candidate);
    snprintf(out, 16, "%s", r->baseline->has_time && r->candidate->has_time ? hone_compare_name(hone_compare_timings(&b, &c)) : "none");
    for (char *p = out; *p; p++)
        *p = (char)(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p);
    return out;
}

static void compare(replay *r) {
    char hash[HONE_HASH_HEX], verdict[16];
    const char *task = text(r->certificate, "task", "text");
    hone_sha256_hex(task, strlen(task), hash);
    check_text(r, "task hash", text(r->certificate, "task", "hash"), hash);
    check_text(r, "baseline passes every stage", "pass", pass_word(r->baseline));
    check_text(r, "candidate passes every stage", "pass", pass_word(r->candidate));
    check_text(r, "verdict", text(r->certificate, "expected", "verdict"), verdict_now(r, verdict));
    if (!r->exact)
        return;
    check_text(r, "program hash", text(r->certificate, "candidate", "ptx_hash"), r->candidate->ptx_hash);
    check_number(r, "baseline time, µs", number(r->certificate, "baseline", "time_us"), r->baseline->time_us);
    check_number(r, "candidate time, µs", number(r->certificate, "candidate", "time_us"), r->candidate->time_us);
}

// ---- telling

static void print_value(const json_t *v) {
    if (json_is_string(v))
        printf("%s", json_string_value(v));
    else
        printf("%.9g", json_number_value(v));
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
        printf("  %sverdicts compared; times are not expected to be equal %s%s\n", st.dim,
               strcmp(text(hone_pool_device(r->pool), "kind", NULL), "virtual") ? "on a physical device"
                                                                                : "with another device, version or seed",
               st.off);
}

static void print_json(const replay *r) {
    json_t *j = json_pack("{s:s, s:s, s:b, s:b, s:O, s:O, s:o}", "schema", "hone.replay/1", "certificate", r->o->certificate, "confirmed",
                          (int)(r->differences == 0), "exact", (int)r->exact, "device", hone_pool_device(r->pool), "checks", r->checks,
                          "findings", cli_findings_json(r->candidate));
    cli_print_json(j);
}

int cli_replay_certificate(const cli_options *o) {
    hone_err e = {0};
    replay r = {.o = o, .checks = json_array()};
    hone_code c = read_certificate(&r, &e);
    if (c == HONE_OK)
        c = open_pool(&r, &e);
    if (c == HONE_OK)
        c = run_arm(&r, "baseline", &r.baseline, &e);
    if (c == HONE_OK)
        c = run_arm(&r, "candidate", &r.candidate, &e);
    int code;
    if (c == HONE_OK) {
        compare(&r);
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
    json_decref(r.certificate);
    return code;
}
