// report/certificate: what somebody else needs to run the proof again, and what it must give ("hone.certificate/1", members in report.h). A
// hash over the canonical form shows edits; it is no signature: whoever edits and hashes again is found out by replaying.
#include "report/internal.h"
#include <stdlib.h>
#include <string.h>

enum { CANONICAL_FLAGS = JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(9) };

// Copies members by name; an absent one stays absent.
static void copy(json_t *to, const json_t *from, const char *const *keys, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (json_object_get(from, keys[i]))
            json_object_set_new(to, keys[i], json_deep_copy(json_object_get(from, keys[i])));
}

static void put(json_t *o, const char *key, json_t *stolen) {
    if (stolen)
        json_object_set_new(o, key, stolen);
}

static json_t *copy_of(const json_t *o, const char *path) {
    const json_t *v = hone_doc_at(o, path);
    return v ? json_deep_copy(v) : NULL;
}

static json_t *arm(const json_t *result, const char *name) {
    static const char *const keys[] = {"id",    "hash",     "tuning",     "time_us",  "lo_us",
                                       "hi_us", "modelled", "error_band", "ptx_hash", "verdict"};
    const json_t *outcome = json_object_get(json_object_get(result, "outcomes"), name);
    json_t *o = json_object();
    copy(o, json_object_get(result, name), keys, HONE_COUNT(keys));
    put(o, "seed", copy_of(outcome, "seed"));
    return o;
}

static json_t *stages(const json_t *outcome) {
    json_t *list = json_array(), *s;
    size_t i;
    json_array_foreach(hone_doc_list(outcome, "stages"), i, s) {
        static const char *const keys[] = {"name", "status"};
        json_t *o = json_object();
        copy(o, s, keys, HONE_COUNT(keys));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *task_part(const json_t *result) {
    static const char *const keys[] = {"path", "name", "hash"};
    json_t *o = json_object();
    copy(o, json_object_get(result, "task"), keys, HONE_COUNT(keys));
    put(o, "text", copy_of(result, "texts.task"));
    return o;
}

static json_t *expected(const json_t *result) {
    static const char *const keys[] = {"verdict", "speedup", "confirmed"};
    json_t *o = json_object();
    copy(o, result, keys, HONE_COUNT(keys));
    return o;
}

static json_t *without_hash(const json_t *result) {
    static const char *const keys[] = {"kind", "device", "versions", "evaluations"};
    const json_t *best = json_object_get(result, "best"), *outcome = hone_doc_at(result, "outcomes.best");
    json_t *o = json_object(), *candidate = arm(result, "best");
    put(o, "schema", json_string(HONE_CERTIFICATE_SCHEMA));
    copy(o, result, keys, HONE_COUNT(keys));
    put(o, "task", task_part(result));
    put(o, "flags", json_array());
    put(o, "baseline", arm(result, "baseline"));
    put(candidate, "text", copy_of(result, "texts.best"));
    put(o, "candidate", candidate);
    put(o, "expected", expected(result));
    put(o, "stages", stages(outcome));
    put(o, "findings", outcome && json_object_get(outcome, "findings") ? copy_of(outcome, "findings") : json_array());
    json_t *seeds = json_object();
    put(seeds, "search", copy_of(result, "seed"));
    put(seeds, "baseline", copy_of(result, "outcomes.baseline.seed"));
    put(seeds, "candidate", copy_of(outcome, "seed"));
    put(o, "seeds", seeds);
    json_t *timing = json_object();
    put(timing, "modelled", copy_of(best, "modelled"));
    put(timing, "error_band", copy_of(best, "error_band"));
    put(timing, "sizes", copy_of(outcome, "time.sizes"));
    put(o, "timing", timing);
    put(o, "tried", json_integer((json_int_t)json_array_size(json_object_get(result, "candidates"))));
    return o;
}

// errors: HONE_E_NOMEM.
static hone_code canonical_hash(const json_t *certificate, char hex[HONE_HASH_HEX], hone_err *e) {
    json_t *bare = json_copy((json_t *)(uintptr_t)certificate);   // shallow; the copy alone is changed
    if (bare && json_object_get(bare, "sha256"))
        json_object_del(bare, "sha256");
    char *text = bare ? json_dumps(bare, CANONICAL_FLAGS) : NULL;
    if (text)
        hone_sha256_hex(text, strlen(text), hex);
    json_decref(bare);
    bool ok = text != NULL;
    free(text);
    return ok ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for the certificate");
}

json_t *hone_report_certificate(const json_t *result, hone_err *e) {
    if (hone_doc_check(result, e) != HONE_OK)
        return NULL;
    if (!json_is_object(json_object_get(result, "best"))) {
        hone_fail(e, HONE_E_USAGE, 0, "there is no best candidate to certify");
        return NULL;
    }
    json_t *o = without_hash(result);
    char hex[HONE_HASH_HEX];
    if (canonical_hash(o, hex, e) != HONE_OK || json_object_set_new(o, "sha256", json_string(hex)) != 0) {
        hone_fail(e, HONE_E_NOMEM, 0, "out of memory for the certificate");
        json_decref(o);
        return NULL;
    }
    return o;
}

hone_code hone_report_certificate_verify(const json_t *certificate, hone_err *e) {
    const char *schema = hone_doc_text(certificate, "schema");
    if (strcmp(schema, HONE_CERTIFICATE_SCHEMA) != 0)
        return hone_fail(e, HONE_E_PARSE, 0, "not a certificate: the schema is '%.40s', '%s' is needed", schema, HONE_CERTIFICATE_SCHEMA);
    char hex[HONE_HASH_HEX];
    HONE_TRY(canonical_hash(certificate, hex, e));
    if (!strcmp(hex, hone_doc_text(certificate, "sha256")))
        return HONE_OK;
    hone_fail(e, HONE_E_CORRUPT, 0, "the certificate was edited: its contents hash to %.16s…, it says %.16s…", hex,
              hone_doc_text(certificate, "sha256"));
    return hone_hint(e, "take certificate.json from the result folder again");
}
