// report: what a run found, for people and programs. One JSON document (result.json, schema "hone.result/1") holds everything; the terminal
// summary, report.html, the certificate and the exported files are renderings of it, so that `hone report` can make them again without
// running anything.
//
// The document: schema, versions{hone,driver,nvrtc}, command, seed, kind ("virtual" | "physical"), device{…},
// task{path,name,hash,objective,sizes[], launches}, texts{task,best},
// baseline{id,time_us,lo_us,hi_us,modelled,error_band,cost,ptx_hash,resources…, bottleneck}, best{as baseline, and hash,
// tuning{},proposer,move,note,moves[],diff{added,removed}} or null, verdict ("FAST" | "SAME" | "AMBIGUOUS" | "SLOW" | "NONE"), speedup,
// speedup_lo, speedup_hi, confirmed, confirmations{tried,failed}, evaluations, refused, duplicates{source,ptx}, generations, seconds,
// stopped, budgets{}, convergence[{evaluation,id,time_us,elapsed_s}],
// candidates[{id,evaluation,parents[],proposer,move,note,verdict,time_us,…}] in order applied, moves[],
// energy{kind,reason,search{},front[],payback{}} (energy.c),
// findings[{kind,count,example{id,message}}], lineage[] (baseline first), outcomes{baseline,best} (as the workers sent them), plan
// (launch.json).
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
    bool energy_asked;                    // energy was asked for; on the virtual GPU there is none
    const hone_gpu_usage *usage;          // how long devices were kept at work; NULL: unknown
    const hone_store_chain *chain; uint64_t run;   // the run in the archive, once the search ended; NULL: there is none
    const json_t *model;                  // what language models did: requests, tokens, cost, exchanges (docs/json.md); NULL: none was used
} hone_report_input;

// Everything about the run: task, device, baseline, best (with text, diff, resources, counters), verdict, speedup, evaluations, seconds,
// convergence, candidates (one line each), moves, findings by kind, lineage, budgets, provenance (versions, hashes, seeds). New reference;
// NULL when out of memory.
json_t *hone_report_json(const hone_report_input *in);
// Self-contained HTML (no network, no scripts from elsewhere; charts are inline SVG). errors: HONE_E_PARSE for a document that is no
// hone.result/1.
hone_code hone_report_html(const json_t *result, hone_str *out, hone_err *e);
// The certificate: what to re-run and what it must give (schema "hone.certificate/2", members in docs/json.md). `seed` of an arm: hone_job.seed that gives
// these times again. files: {name: SHA-256} of what was written beside it. NULL when there is no best.
json_t *hone_report_certificate(const json_t *result, const json_t *files, const hone_key *key, hone_err *e);
// Whether a certificate is one and is unchanged: its sha256 is that of its canonical form (keys sorted, compact, 9 significant digits)
// without the members "sha256" and "signature", and the signature is that of its key. errors: HONE_E_PARSE (no hone.certificate/2), HONE_E_CORRUPT
// (edited), HONE_E_NOMEM.
hone_code hone_report_certificate_verify(const json_t *certificate, hone_err *e);
// A certificate's file: verified, and every byte as hone writes it. New reference. errors: as above.
hone_code hone_report_certificate_read(const char *data, size_t n, json_t **out, hone_err *e);
// A few lines for the terminal. colour: escape sequences wanted.
void hone_report_summary(const json_t *result, bool colour, hone_str *out);
// The key that signs: the user's (hone_config_dir), else one for this process alone, where none can be kept.
// Writes result.json, report.html and, when there is a best, best.cu, launch.json, certificate.json, best.ptx, best.cubin into dir.
// artifacts: an outcome with PTX and cubin of the best, or NULL. Each file is written atomically; a stale best of an earlier run is removed
// when there is none now.
hone_code hone_report_write(const char *dir, const json_t *result, const hone_outcome *artifacts, hone_err *e);
// Unified diff of two texts, lines numbered, with `context` lines around. For the terminal (colour) or plain.
hone_code hone_report_diff(const char *a, const char *b, const char *name_a, const char *name_b, unsigned context, bool colour,
                           hone_str *out, hone_err *e);
#endif
