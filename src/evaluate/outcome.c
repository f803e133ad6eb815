// Outcomes: JSON → hone_outcome and back to text. Everything a caller reads often is a member; the rest stays in `json`.
#include "base/visible.h"
#include "evaluate/internal.h"
#include <stdlib.h>
#include <string.h>

const char *const hone_verdict_names[3] = {"pass", "fail", "error"};
static const struct { unsigned stage; const char *name; } stage_names[] = {
    {HONE_STAGE_STATIC, "static"}, {HONE_STAGE_COMPILE, "compile"}, {HONE_STAGE_SANITIZE, "sanitize"},
    {HONE_STAGE_DIFFERENTIAL, "differential"}, {HONE_STAGE_MUTATE, "mutate"}, {HONE_STAGE_TIME, "time"}, {HONE_STAGE_PROFILE, "profile"},
};

const char *hone_stage_name(unsigned stage) {
    for (size_t i = 0; i < HONE_COUNT(stage_names); i++)
        if (stage_names[i].stage == stage)
            return stage_names[i].name;
    return "unknown";
}

static json_t *visible_value(json_t *v) {   // new reference; NULL when v needs no change
    const char *s = json_string_value(v);
    char *shown = s ? hone_visible(s, json_string_length(v)) : NULL;
    json_t *own = shown && strcmp(shown, s) != 0 ? json_string(shown) : NULL;
    hone_free(shown);
    return own;
}

void hone_json_visible(json_t *v) {   // jansson bounds the depth of what it parsed
    const char *key;
    json_t *x, *own;
    void *next;
    size_t i;
    json_object_foreach_safe(v, next, key, x) {
        if ((own = visible_value(x)) != NULL)
            json_object_set_new(v, key, own);
        else
            hone_json_visible(x);
    }
    json_array_foreach(v, i, x) {
        if ((own = visible_value(x)) != NULL)
            json_array_set_new(v, i, own);
        else
            hone_json_visible(x);
    }
}

static unsigned stage_by_name(const char *name) {
    for (size_t i = 0; name && i < HONE_COUNT(stage_names); i++)
        if (strcmp(stage_names[i].name, name) == 0)
            return stage_names[i].stage;
    return 0;
}

static double number(const json_t *o, const char *key, bool *has) {
    const json_t *v = json_object_get(o, key);
    *has = json_is_number(v);
    return json_number_value(v);
}

static const char *text_of(const json_t *o, const char *key, const char *otherwise) {
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : otherwise;
}

static hone_code read_findings(hone_outcome *o, hone_err *e) {
    const json_t *list = json_object_get(o->json, "findings");
    size_t n = json_array_size(list);
    o->findings = hone_arena_array(o->arena, n ? n : 1, sizeof *o->findings);
    if (!o->findings)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for findings");
    for (size_t i = 0; i < n; i++) {
        json_t *f = json_array_get(list, i);
        if (!json_is_object(f))
            return hone_fail(e, HONE_E_CORRUPT, 0, "finding %zu of an outcome is no object", i);
        json_int_t line = json_integer_value(json_object_get(f, "line"));
        o->findings[o->n_findings++] = (hone_finding){.kind = text_of(f, "kind", "unknown"),
                                                      .stage = text_of(f, "stage", ""),
                                                      .message = text_of(f, "message", ""),
                                                      .file = text_of(f, "file", NULL),
                                                      .line = line > 0 && line < UINT32_MAX ? (uint32_t)line : 0,
                                                      .evidence = json_object_get(f, "evidence")};
    }
    return HONE_OK;
}

static void read_stages(hone_outcome *o) {
    size_t i;
    json_t *s;
    json_array_foreach(json_object_get(o->json, "stages"), i, s) {
        if (strcmp(text_of(s, "status", ""), "pass") == 0)
            o->stages_passed |= stage_by_name(text_of(s, "name", NULL));
    }
}

static void read_numbers(hone_outcome *o) {
    const json_t *t = json_object_get(o->json, "time"), *c = json_object_get(o->json, "compile"), *en = json_object_get(o->json, "energy");
    bool has, ignored;
    o->time_us = number(t, "time_us", &o->has_time);
    if (o->has_time) {
        o->time_lo_us = number(t, "lo_us", &has);
        o->time_hi_us = number(t, "hi_us", &has);
        o->time_is_modelled = strcmp(text_of(t, "kind", ""), "modelled") == 0;
        o->error_band = number(t, "error_band", &ignored);
    }
    o->energy_mj = number(en, "energy_mj", &o->has_energy);
    o->energy_lo_mj = number(en, "lo_mj", &ignored);
    o->energy_hi_mj = number(en, "hi_mj", &ignored);
    double registers = number(c, "registers", &o->has_resources);
    o->registers = (uint32_t)registers;
    o->spill_bytes = (uint32_t)number(c, "spill_bytes", &ignored);
    o->static_shared_bytes = (uint32_t)number(c, "static_shared_bytes", &ignored);
    const char *hash = text_of(c, "program_hash", "");
    if (strlen(hash) == HONE_HASH_HEX - 1)
        memcpy(o->ptx_hash, hash, HONE_HASH_HEX);
    o->seconds = number(o->json, "seconds", &ignored);
}

static hone_code read_all(hone_outcome *o, hone_err *e) {
    const char *schema = text_of(o->json, "schema", "none"), *verdict = text_of(o->json, "verdict", "");
    if (strcmp(schema, HONE_OUTCOME_SCHEMA) != 0)
        return hone_fail(e, HONE_E_CORRUPT, 0, "an outcome of schema '%s', expected '%s'", schema, HONE_OUTCOME_SCHEMA);
    const json_t *id = json_object_get(o->json, "id");
    size_t v = 0;
    while (v < HONE_COUNT(hone_verdict_names) && strcmp(hone_verdict_names[v], verdict) != 0)
        v++;
    if (!json_is_integer(id) || v == HONE_COUNT(hone_verdict_names))
        return hone_fail(e, HONE_E_CORRUPT, 0, "an outcome without id or verdict");
    o->id = (uint64_t)json_integer_value(id);
    o->verdict = (hone_verdict)v;
    read_stages(o);
    read_numbers(o);
    return read_findings(o, e);
}

hone_code hone_outcome_from_json(json_t *stolen, hone_outcome **out, hone_err *e) {
    hone_arena *a = hone_arena_new(HONE_MAX_OUTCOME + 2 * (size_t)HONE_MAX_ARTIFACT);
    hone_outcome *o = a ? hone_arena_alloc(a, sizeof *o) : NULL;
    if (!o) {
        hone_arena_free(a);
        json_decref(stolen);
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for an outcome");
    }
    o->arena = a;
    o->json = stolen;
    hone_json_visible(stolen);   // messages quote the candidate
    hone_code c = read_all(o, e);
    if (c != HONE_OK) {
        hone_outcome_free(o);
        return c;
    }
    *out = o;
    return HONE_OK;
}

hone_code hone_outcome_parse(const char *json, size_t n, hone_outcome **out, hone_err *e) {
    json_error_t je;
    json_t *o = json_loadb(json, n, JSON_REJECT_DUPLICATES, &je);
    if (!o)
        return hone_fail(e, HONE_E_CORRUPT, 0, "an outcome is no JSON: %s", je.text);
    return hone_outcome_from_json(o, out, e);
}

void hone_outcome_free(hone_outcome *o) {
    if (!o)
        return;
    json_decref(o->json);
    hone_arena_free(o->arena);   // o itself lies in it
}

char *hone_outcome_dump(const hone_outcome *o) {
    char *text = json_dumps(o->json, JSON_COMPACT | JSON_REAL_PRECISION(9) | JSON_SORT_KEYS);
    char *own = text ? hone_strdup(text) : NULL;
    free(text);
    return own;
}

json_t *hone_outcome_stub(uint64_t id, hone_verdict v, hone_findings *f, const hone_err *why, double seconds) {
    json_t *o = json_pack("{s:s,s:I,s:s,s:[],s:O,s:f}", "schema", HONE_OUTCOME_SCHEMA, "id", (json_int_t)id, "verdict",
                          hone_verdict_names[v], "stages", "findings", f->array, "seconds", seconds);
    if (o && why && why->code != HONE_OK)
        json_object_set_new(o, "error", hone_err_json(why));
    return o;
}

hone_code hone_outcome_refuse(uint64_t id, const char *kind, const char *message, hone_outcome **out, hone_err *e) {
    hone_findings f;
    hone_finding_kind k;
    if (!hone_finding_by_name(kind, &k))
        HONE_BUG("'%s' is no kind of finding", kind);
    HONE_TRY(hone_findings_init(&f, e));
    hone_findings_add(&f, k, NULL, 0, NULL, "%s", message);
    json_t *o = hone_outcome_stub(id, HONE_FAIL, &f, NULL, 0);
    hone_findings_free(&f);
    return o ? hone_outcome_from_json(o, out, e) : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for an outcome");
}
