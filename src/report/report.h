// report: what a run found, for people and programs. One JSON document (result.json, schema "hone.result/1") holds everything; the terminal summary,
// report.html, the certificate and the exported files are renderings of it, so that `hone report` can make them again without running anything.
#ifndef HONE_REPORT_H
#define HONE_REPORT_H
#include "search/search.h"

typedef struct hone_report_input {
    const hone_task *task;
    const hone_search_result *result;
    const json_t *device;                 // as hone_pool_device
    const char *command;                  // the command line, for provenance
    uint64_t seed;
    unsigned evals, patience, batch; double time_s;   // budgets asked for; 0 = none
} hone_report_input;

// Everything about the run: task, device, baseline, best (with text, diff, resources, counters), verdict, speedup, evaluations, seconds, convergence,
// candidates (one line each), moves, findings by kind, lineage, budgets, provenance (versions, hashes, seeds). New reference; NULL when out of memory.
json_t *hone_report_json(const hone_report_input *in);
// Self-contained HTML (no network, no scripts from elsewhere; charts are inline SVG). errors: HONE_E_PARSE for a document that is no hone.result/1.
hone_code hone_report_html(const json_t *result, hone_str *out, hone_err *e);
// The certificate: what to re-run and what it must give (schema "hone.certificate/1"): hashes of task, candidate and PTX, both texts, tuning, flags, device,
// versions, seeds, stages, findings, timing, number of candidates tried. NULL when there is no best.
json_t *hone_report_certificate(const json_t *result, hone_err *e);
// A few lines for the terminal. colour: escape sequences wanted.
void hone_report_summary(const json_t *result, bool colour, hone_str *out);
// Writes result.json, report.html and, when there is a best, best.cu, launch.json, certificate.json, best.ptx, best.cubin into dir. artifacts: an
// outcome with PTX and cubin of the best, or NULL. Each file is written atomically; a stale best of an earlier run is removed when there is none now.
hone_code hone_report_write(const char *dir, const json_t *result, const hone_outcome *artifacts, hone_err *e);
// Unified diff of two texts, lines numbered, with `context` lines around. For the terminal (colour) or plain.
hone_code hone_report_diff(const char *a, const char *b, const char *name_a, const char *name_b, unsigned context, bool colour, hone_str *out, hone_err *e);
#endif
