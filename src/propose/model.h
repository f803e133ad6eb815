// propose/model: a language model as the proposer sees it. Who answers, over what wire and at what price is behind these functions, so that this room needs
// no network and tests need no model.
#ifndef HONE_PROPOSE_MODEL_H
#define HONE_PROPOSE_MODEL_H
#include "base/base.h"

typedef struct hone_question {
    const char *system;
    const struct hone_turn { const char *role, *text; } *turns;   // "user", "assistant", … alternating
    size_t n_turns;
    const char *tag;   // the task's name
} hone_question;
typedef enum hone_answer_end {
    HONE_ANSWER_TEXT,
    HONE_ANSWER_NONE,    // this question failed; another may work
    HONE_ANSWER_CLOSED   // this model answers no more in this run
} hone_answer_end;
typedef struct hone_answer {
    hone_answer_end end;
    char *text;   // owns: the caller (hone_free); never NULL
    size_t len;
    bool cut;                     // at its maximum length
    uint64_t tokens;
    double cost;                  // in money when prices are known, else in tokens: what a gain is weighed against
    char key[HONE_HASH_HEX];      // of the exchange, for provenance
    char why[512];
    bool replayed;                // from a recording
    uint64_t reopens;             // a replayed HONE_ANSWER_CLOSED: the generation from which the model was asked again; 0: it was not
} hone_answer;
// How an answer may come: only where it came before, as soon as it is there, or waited for because nothing else is left to try.
typedef enum hone_pace { HONE_PACE_LIVE, HONE_PACE_REPEATING, HONE_PACE_IDLE } hone_pace;
typedef struct hone_models {
    void *self;
    size_t n;
    const char *(*name)(void *self, size_t model);
    // errors: HONE_E_INTERRUPTED, HONE_E_NOMEM, HONE_E_IO; anything else is an answer that says so.
    hone_code (*ask)(void *self, size_t model, const hone_question *q, hone_answer *a, hone_err *e);
    // Without waiting: a question is posted at one generation and its answer taken at the same or a later one, where a repeated run takes it too. Members below
    // are NULL when models can only be waited for. *ready false: not yet; otherwise the ticket is gone.
    hone_code (*post)(void *self, size_t model, const hone_question *q, uint64_t generation, uint64_t *ticket, hone_err *e);
    hone_code (*take)(void *self, uint64_t ticket, uint64_t generation, hone_pace pace, hone_answer *a, bool *ready, hone_err *e);
    // A model closed by the recorded answer `key` is asked again from this generation on. NULL: never.
    hone_code (*reopen)(void *self, const char *key, uint64_t generation, hone_err *e);
} hone_models;
#endif
