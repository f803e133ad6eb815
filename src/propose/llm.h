// propose/llm: the proposer "llm": candidates written by a language model. It shows the model scored versions side by side, asks for an analysis, a design
// and one complete task file, lets it repair what was refused and join what is good, and learns which model, template and choice of versions pays.
// Replies are untrusted text: one fenced block is taken, its contract is compared, and then it is a candidate like any other.
#ifndef HONE_PROPOSE_LLM_H
#define HONE_PROPOSE_LLM_H
#include "propose/model.h"
#include "propose/propose.h"

// ---- prompts: templates with {{places}}, built in or from a folder of the same file names
enum { HONE_PROMPTS_MAX = 16 };
typedef struct hone_prompts {
    struct hone_prompt { const char *name; const char *text; char *own; } v[HONE_PROMPTS_MAX];
    size_t n;
    char hash[HONE_HASH_HEX];   // of all names and texts: their version, for provenance
} hone_prompts;
// dir: NAME.txt there replaces the built-in NAME; NULL: none. errors: HONE_E_PARSE (a place that does not exist), HONE_E_LIMIT, HONE_E_NOMEM.
hone_code hone_prompts_load(const char *dir, hone_prompts *out, hone_err *e);
void hone_prompts_free(hone_prompts *p);

// ---- the writer: what the proposer knows over one run
typedef struct hone_writer hone_writer;
typedef struct hone_writer_config {
    const hone_task *task;        // borrowed, like all here
    const hone_models *models;
    const hone_prompts *prompts;
    const char *device;           // facts in words, a few lines
    double bandwidth_gbs;         // 0: unknown
} hone_writer_config;
hone_code hone_writer_new(const hone_writer_config *c, hone_writer **out, hone_err *e);
void hone_writer_free(hone_writer *w);
bool hone_writer_open(const hone_writer *w);      // some model still answers
bool hone_writer_waits(const hone_writer *w);     // some question is not answered yet

typedef struct hone_writer_note {   // one question and what became of it
    const char *model, *move, *style, *exemplars;
    char key[HONE_HASH_HEX];
    // "improved", "passed", a finding's kind, or why there is no candidate: "reply.none", "reply.cut", "reply.no-block", "reply.many-blocks", "reply.too-large",
    // "task.syntax", "static.contract", "not-new" (known already, or cannot be launched), "reply.repeats" (hardly differs from a known one), "not-evaluated", "closed"
    char outcome[64];
    char detail[240];
    bool has_candidate;
    uint64_t candidate;
    double gain;                    // parent ÷ candidate when it passed
    uint64_t tokens;
    double cost;
} hone_writer_note;
size_t hone_writer_notes(const hone_writer *w, const hone_writer_note **out);
// Gives notes the outcomes that are known; `generation` above all asked ones settles the rest.
hone_code hone_writer_settle(hone_writer *w, const hone_candidate *const *history, size_t n, uint64_t generation, hone_err *e);
const hone_prompts *hone_writer_prompts(const hone_writer *w);

// The one fenced block of a reply, in *file (points into text). Otherwise *why is its name ("reply.no-block" …) and *words a sentence.
bool hone_reply_file(const char *text, size_t len, hone_span *file, const char **why, const char **words);

extern const hone_proposer hone_proposer_llm;
extern const hone_proposer *const hone_proposers_with_model[];   // llm, then hone_proposers
#endif
