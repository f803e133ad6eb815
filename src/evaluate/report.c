// One job's outcome while it grows: stages, findings, verdict. Writes nothing; worker.c sends it.
#include "evaluate/internal.h"
#include <string.h>

hone_code hone_report_init(hone_report *r, const hone_job *j, hone_clock clock, hone_err *e) {
    *r = (hone_report){.id = j->id, .clock = clock, .want_artifacts = j->want_artifacts, .verdict = HONE_PASS};
    r->from = hone_now_s(&clock);
    r->stages = json_array();
    r->root = json_pack("{s:s,s:I,s:I}", "schema", HONE_OUTCOME_SCHEMA, "id", (json_int_t)j->id, "seed", (json_int_t)j->seed);
    if (!r->stages || !r->root || hone_findings_init(&r->findings, e) != HONE_OK) {
        json_decref(r->stages);
        json_decref(r->root);
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for an outcome");
    }
    return HONE_OK;
}

void hone_report_free(hone_report *r) {
    json_decref(r->root);
    json_decref(r->stages);
    hone_findings_free(&r->findings);
    *r = (hone_report){0};
}

void hone_report_set(hone_report *r, const char *key, json_t *stolen) {
    if (stolen)
        json_object_set_new(r->root, key, stolen);
}

void hone_report_begin(hone_report *r) { r->stage_from = hone_now_s(&r->clock); }

void hone_report_end(hone_report *r, unsigned stage, unsigned refused_before, hone_code c, const hone_err *e) {
    const char *status = "pass";
    if (r->findings.refused > refused_before) {
        status = "fail";
        r->verdict = HONE_FAIL;
    } else if (c != HONE_OK) {
        status = "error";
        r->verdict = HONE_ERROR;
        hone_report_set(r, "error", hone_err_json(e));
    }
    r->stopped = strcmp(status, "pass") != 0;
    json_array_append_new(r->stages, json_pack("{s:s,s:s,s:f}", "name", hone_stage_name(stage), "status", status, "seconds",
                                               hone_now_s(&r->clock) - r->stage_from));
}

bool hone_report_blame(hone_report *r, hone_code c, const hone_err *e) {
    static const struct { hone_code code; hone_finding_kind kind; } table[] = {
        {HONE_E_DEVICE, HONE_F_RUN_FAULT},       {HONE_E_TIMEOUT, HONE_F_RUN_TIMEOUT},  {HONE_E_UNSUPPORTED, HONE_F_RUN_UNSUPPORTED},
        {HONE_E_COMPILE, HONE_F_COMPILE_ERROR},  {HONE_E_USAGE, HONE_F_COMPILE_ERROR},  {HONE_E_LIMIT, HONE_F_COMPILE_RESOURCES},
        {HONE_E_PARSE, HONE_F_COMPILE_PLAN},     {HONE_E_WRONG, HONE_F_RUN_FAULT},
    };
    enum { NVRTC_OUT_OF_MEMORY = 1 };
    if (c == HONE_E_COMPILE && e->sub == NVRTC_OUT_OF_MEMORY) {
        hone_findings_add(&r->findings, HONE_F_COMPILE_LIMIT, NULL, 0, NULL, "%s", e->msg);
        return true;
    }
    if (c == HONE_E_DEVICE && (e->sub == CUDA_ERROR_OUT_OF_MEMORY || hone_result_is_loss(e->sub)))
        return false;   // nobody's fault
    for (size_t i = 0; i < HONE_COUNT(table); i++)
        if (table[i].code == c) {
            json_t *evidence = e->hint[0] ? json_pack("{s:s}", "hint", e->hint) : NULL;
            hone_findings_add(&r->findings, table[i].kind, NULL, 0, evidence, "%s", e->msg);
            return true;
        }
    return false;
}

json_t *hone_report_finish(hone_report *r) {
    hone_report_set(r, "verdict", json_string(hone_verdict_names[r->verdict]));
    json_object_set(r->root, "stages", r->stages);
    json_object_set(r->root, "findings", r->findings.array);
    if (r->findings.dropped)
        hone_report_set(r, "findings_dropped", json_integer(r->findings.dropped));
    hone_report_set(r, "seconds", json_real(hone_now_s(&r->clock) - r->from));
    if (r->want_artifacts && r->compiled && r->compiled->ok)
        hone_report_set(r, "artifacts", json_pack("{s:I,s:I}", "ptx_bytes", (json_int_t)r->compiled->ptx_len, "cubin_bytes",
                                                  (json_int_t)r->compiled->cubin_len));
    return json_incref(r->root);
}
