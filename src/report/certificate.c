// report/certificate: what somebody else needs to run the proof again, and what it must give ("hone.certificate/2", members in docs/json.md). A hash
// over the canonical form shows edits, an Ed25519 signature over that hash whose they are; whoever edits, hashes and signs again is found out by
// replaying.
#include "report/internal.h"
#include <stdio.h>
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

static json_t *seeds(const json_t *result) {
    json_t *o = json_object();
    put(o, "search", copy_of(result, "seed"));
    put(o, "baseline", copy_of(result, "outcomes.baseline.seed"));
    put(o, "candidate", copy_of(result, "outcomes.best.seed"));
    return o;
}

static json_t *hash_of_json(const json_t *v) {
    char *text = v ? json_dumps(v, CANONICAL_FLAGS) : NULL, hex[HONE_HASH_HEX];
    if (!text)
        return NULL;
    hone_sha256_hex(text, strlen(text), hex);
    free(text);
    return json_string(hex);
}

static json_t *hash_of_text(const json_t *v) {
    char hex[HONE_HASH_HEX];
    if (!json_is_string(v))
        return NULL;
    hone_sha256_hex(json_string_value(v), json_string_length(v), hex);
    return json_string(hex);
}

// Of the running program, which is hone or what libhone is linked into; absent where it cannot be read.
static json_t *hash_of_program(void) {
    char *data = NULL, hex[HONE_HASH_HEX];
    size_t n;
    if (hone_read_file("/proc/self/exe", (size_t)256 << 20, &data, &n, NULL) != HONE_OK)
        return NULL;
    hone_sha256_hex(data, n, hex);
    hone_free(data);
    return json_string(hex);
}

static json_t *hashes(const json_t *result, const json_t *files) {
    json_t *o = json_object();
    put(o, "task", hash_of_text(hone_doc_at(result, "texts.task")));
    put(o, "candidate", hash_of_text(hone_doc_at(result, "texts.best")));
    put(o, "device", hash_of_json(json_object_get(result, "device")));
    put(o, "versions", hash_of_json(json_object_get(result, "versions")));
    put(o, "program", hash_of_program());
    put(o, "files", files ? json_deep_copy(files) : NULL);
    return o;
}

static json_t *statistics(const json_t *result) {
    json_t *o = json_object();
    put(o, "baseline", copy_of(result, "outcomes.baseline.time"));
    put(o, "candidate", copy_of(result, "outcomes.best.time"));
    put(o, "tried", json_integer((json_int_t)json_array_size(json_object_get(result, "candidates"))));
    put(o, "evaluations", copy_of(result, "evaluations"));
    put(o, "refused", copy_of(result, "refused"));
    put(o, "confirmations", copy_of(result, "confirmations"));
    return o;
}

static json_t *unsealed(const json_t *result, const json_t *files) {
    static const char *const keys[] = {"kind", "device", "versions", "archive"};
    const json_t *outcome = hone_doc_at(result, "outcomes.best");
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
    put(o, "seeds", seeds(result));
    put(o, "statistics", statistics(result));
    put(o, "hashes", hashes(result, files));
    return o;
}

// errors: HONE_E_NOMEM.
static hone_code canonical_hash(const json_t *certificate, char hex[HONE_HASH_HEX], hone_err *e) {
    json_t *bare = json_copy((json_t *)(uintptr_t)certificate);   // shallow; the copy alone is changed
    static const char *const seal[] = {"sha256", "signature"};
    for (size_t i = 0; bare && i < HONE_COUNT(seal); i++)
        if (json_object_get(bare, seal[i]))
            json_object_del(bare, seal[i]);
    char *text = bare ? json_dumps(bare, CANONICAL_FLAGS) : NULL;
    if (text)
        hone_sha256_hex(text, strlen(text), hex);
    json_decref(bare);
    bool ok = text != NULL;
    free(text);
    return ok ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for the certificate");
}

// What is signed: the schema and the hash, so that a signature cannot be taken for one of something else.
static size_t signed_text(const char *hex, char out[128]) { return (size_t)snprintf(out, 128, "%s\n%s\n", HONE_CERTIFICATE_SCHEMA, hex); }

static hone_code seal(json_t *o, const hone_key *key, hone_err *e) {
    char hex[HONE_HASH_HEX], signature[HONE_SIGNATURE_HEX], text[128];
    json_object_set_new(o, "key", json_string(hone_key_public(key)));
    HONE_TRY(canonical_hash(o, hex, e));
    HONE_TRY(hone_key_sign(key, text, signed_text(hex, text), signature, e));
    bool ok = json_object_set_new(o, "sha256", json_string(hex)) == 0 && json_object_set_new(o, "signature", json_string(signature)) == 0;
    return ok ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for the certificate");
}

json_t *hone_report_certificate(const json_t *result, const json_t *files, const hone_key *key, hone_err *e) {
    if (hone_doc_check(result, e) != HONE_OK)
        return NULL;
    if (!json_is_object(json_object_get(result, "best"))) {
        hone_fail(e, HONE_E_USAGE, 0, "there is no best candidate to certify");
        return NULL;
    }
    json_t *o = unsealed(result, files);
    if (seal(o, key, e) == HONE_OK)
        return o;
    json_decref(o);
    return NULL;
}

static hone_code edited(hone_err *e) {
    hone_hint(e, "take certificate.json from the result folder again");
    return HONE_E_CORRUPT;
}

hone_code hone_report_certificate_verify(const json_t *certificate, hone_err *e) {
    const char *schema = hone_doc_text(certificate, "schema");
    if (strcmp(schema, HONE_CERTIFICATE_SCHEMA) != 0)
        return hone_fail(e, HONE_E_PARSE, 0, "not a certificate: the schema is '%.40s', '%s' is needed", schema, HONE_CERTIFICATE_SCHEMA);
    char hex[HONE_HASH_HEX], text[128];
    HONE_TRY(canonical_hash(certificate, hex, e));
    if (strcmp(hex, hone_doc_text(certificate, "sha256")) != 0) {
        hone_fail(e, HONE_E_CORRUPT, 0, "the certificate was edited: its contents hash to %.16s…, it says %.16s…", hex, hone_doc_text(certificate, "sha256"));
        return edited(e);
    }
    hone_err why = {0};
    hone_code c = hone_signature_check(hone_doc_text(certificate, "key"), text, signed_text(hex, text), hone_doc_text(certificate, "signature"), &why);
    if (c == HONE_OK)
        return HONE_OK;
    hone_fail(e, c, 0, "the certificate was edited: %s", why.msg);
    return edited(e);
}

hone_code hone_report_certificate_read(const char *data, size_t n, json_t **out, hone_err *e) {
    json_error_t why;
    *out = NULL;
    json_t *o = json_loadb(data, n, JSON_REJECT_DUPLICATES, &why);
    if (!o) {
        hone_fail(e, HONE_E_PARSE, 0, "no JSON: line %d: %s", why.line, why.text);
        hone_hint(e, "a certificate is the file certificate.json of a result folder");
        return HONE_E_PARSE;
    }
    hone_code c = hone_report_certificate_verify(o, e);
    char *text = c == HONE_OK ? json_dumps(o, HONE_RESULT_JSON_FLAGS) : NULL;
    if (c == HONE_OK && (!text || n != strlen(text) + 1 || memcmp(data, text, n - 1) != 0 || data[n - 1] != '\n')) {
        c = hone_fail(e, text ? HONE_E_CORRUPT : HONE_E_NOMEM, 0, text ? "the certificate was edited: it is not as hone writes it" : "out of memory for the certificate");
        if (text)
            edited(e);
    }
    free(text);
    if (c == HONE_OK)
        *out = o;
    else
        json_decref(o);
    return c;
}
