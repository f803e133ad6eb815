// inbox: candidates that come from outside while a search runs: from people and agents. The search asks before every generation and never waits while
// other proposers have something to try. What it took is in the archive as text, so that a run replays without the inbox.
#ifndef HONE_PROPOSE_INBOX_H
#define HONE_PROPOSE_INBOX_H
#include "propose/propose.h"

typedef struct hone_inbox_item { const char *text; size_t len; const char *name; } hone_inbox_item;   // name: for notes, "idea.cu"
typedef struct hone_inbox {
    void *self;
    // The next candidate that was not taken yet; *got false when there is none. Text and name live in the arena.
    hone_code (*take)(void *self, hone_arena *arena, hone_inbox_item *out, bool *got, hone_err *e);
    // What became of it, one line; nothing more is known of it afterwards. verdict: "pass", "duplicate" or the kind of a finding.
    void (*told)(void *self, const char *name, bool has_id, uint64_t id, const char *verdict, const char *line);
    // Before every generation that is not replayed: what the population looks like now.
    void (*brief)(void *self, const hone_context *ctx);
} hone_inbox;
#define HONE_INBOX_PROPOSER "manual"
extern const hone_proposer hone_proposer_manual;   // the name under which they are kept; proposes nothing itself

// ---- manual.c: a folder as an inbox. DIR/prompt-N.md is written at the start and whenever there is a new best; DIR/*.cu are candidates. A file that was
// evaluated, or refused as no candidate, moves to DIR/taken with NAME.json beside it (schema "hone.taken/1").
typedef struct hone_manual hone_manual;
// dir is made when needed. task is borrowed. errors: HONE_E_IO, HONE_E_NOMEM.
hone_code hone_manual_open(const char *dir, const hone_task *task, hone_manual **out, hone_err *e);
void hone_manual_close(hone_manual *m);
hone_inbox hone_manual_inbox(hone_manual *m);   // borrows m

// ---- prompt.c: what somebody who writes the next candidate gets to read. Texts are quoted as data, in fences longer than any in them.
typedef struct hone_prompt_input {
    const char *task_text;                       // contract and baseline
    const char *parent_text;                     // the candidate to start from; NULL: the baseline itself
    double parent_speedup;                       // over the baseline; 0: unknown
    const hone_facts *facts;                     // of the parent; NULL: unknown
    const char *const *findings; size_t n_findings;   // "diff.wrong: …", of earlier candidates
} hone_prompt_input;
void hone_prompt_write(const hone_prompt_input *in, hone_str *out);
// A fence of backticks that no line of the text can close.
void hone_prompt_fence(const char *text, const char *language, hone_str *out);
#endif
