// The table of finding kinds and the list that stages fill. A list is JSON from the start, because that is the form in which it leaves the
// worker. Losing a finding's text to lack of memory is acceptable, losing the refusal is not: the counters are updated first.
#include "check/check.h"
#include <stdio.h>
#include <string.h>

typedef struct finding_row { const char *kind, *stage, *text; hone_severity severity; } finding_row;
#define FINDING(name, kind, stage, severity, text) {kind, stage, text, severity},
static const finding_row rows[] = {
#include "check/findings.def"
};
#undef FINDING

const char *hone_finding_name(hone_finding_kind k) { return k < HONE_F_COUNT ? rows[k].kind : "unknown"; }
const char *hone_finding_stage(hone_finding_kind k) { return k < HONE_F_COUNT ? rows[k].stage : "unknown"; }
const char *hone_finding_text(hone_finding_kind k) { return k < HONE_F_COUNT ? rows[k].text : "unknown"; }
hone_severity hone_finding_severity(hone_finding_kind k) { return k < HONE_F_COUNT ? rows[k].severity : HONE_REFUSE; }

bool hone_finding_by_name(const char *name, hone_finding_kind *out) {
    for (size_t i = 0; i < HONE_COUNT(rows); i++)
        if (strcmp(rows[i].kind, name) == 0) {
            *out = (hone_finding_kind)i;
            return true;
        }
    return false;
}

hone_code hone_findings_init(hone_findings *f, hone_err *e) {
    *f = (hone_findings){.array = json_array()};
    return f->array ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for the list of findings");
}

void hone_findings_free(hone_findings *f) {
    json_decref(f->array);
    *f = (hone_findings){0};
}

static void add_row(hone_findings *f, const char *kind, const char *stage, hone_severity severity, const char *file, uint32_t line,
                    json_t *evidence, const char *message) {
    bool refuse = severity == HONE_REFUSE;
    *(refuse ? &f->refused : &f->notes) += 1;
    if (!f->array || json_array_size(f->array) >= HONE_FINDINGS_MAX) {
        f->dropped++;
        json_decref(evidence);
        return;
    }
    json_t *o = json_pack("{s:s, s:s, s:s, s:s}", "kind", kind, "stage", stage, "severity", refuse ? "refuse" : "note", "message", message);
    if (!o)   // a message that is not UTF-8 (it may quote the candidate), or no memory
        o = json_pack("{s:s, s:s, s:s, s:s}", "kind", kind, "stage", stage, "severity", refuse ? "refuse" : "note", "message",
                      "the message could not be kept");
    if (o && file)
        json_object_set_new(o, "file", json_string(file));
    if (o && line)
        json_object_set_new(o, "line", json_integer(line));
    if (o && evidence)
        json_object_set(o, "evidence", evidence);
    json_decref(evidence);
    if (!o || json_array_append_new(f->array, o) != 0)
        f->dropped++;
}

void hone_findings_add(hone_findings *f, hone_finding_kind k, const char *file, uint32_t line, json_t *evidence, const char *fmt, ...) {
    char message[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    add_row(f, hone_finding_name(k), hone_finding_stage(k), hone_finding_severity(k), file, line, evidence, message);
}

void hone_findings_add_named(hone_findings *f, const char *kind, const char *stage, const char *file, uint32_t line, json_t *evidence,
                             const char *message) {
    hone_finding_kind k;
    hone_severity severity = hone_finding_by_name(kind, &k) ? hone_finding_severity(k) : HONE_REFUSE;
    add_row(f, kind, stage, severity, file, line, evidence, message);
}
