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
} hone_answer;
typedef struct hone_models {
    void *self;
    size_t n;
    const char *(*name)(void *self, size_t model);
    // errors: HONE_E_INTERRUPTED, HONE_E_NOMEM, HONE_E_IO; anything else is an answer that says so.
    hone_code (*ask)(void *self, size_t model, const hone_question *q, hone_answer *a, hone_err *e);
} hone_models;
#endif
