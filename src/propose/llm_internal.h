// propose/llm, inside. llm.c is the proposer and learns; llm_ask.c puts questions and takes answers; llm_prompt.c renders templates; llm_words.c puts candidates, facts and findings into words; llm_pick.c chooses
// exemplars; llm_reply.c takes the file out of a reply; llm_novel.c finds repeated ones.
#ifndef HONE_PROPOSE_LLM_INTERNAL_H
#define HONE_PROPOSE_LLM_INTERNAL_H
#include "learn/bandit.h"
#include "propose/llm.h"

enum { HONE_PROMPT_MAX = 512 << 10, HONE_SHOWN_MAX = 48 << 10 /* bytes of one text shown */, HONE_REPLY_FILE_MAX = 256 << 10, HONE_EXEMPLARS_MAX = 4 };

// ---- llm_prompt.c
typedef struct hone_place { const char *name; const char *text; } hone_place;
// Replaces {{name}} once; what is put in is not looked at again. errors: HONE_E_PARSE for a place without text.
hone_code hone_prompt_render(const hone_prompts *p, const char *name, const hone_place *places, size_t n, hone_str *out, hone_err *e);
const char *hone_prompt_text(const hone_prompts *p, const char *name);   // NULL when there is none
// Text as data: between marks whose tag is drawn from the text itself, so that no text can hold its own closing mark. Made valid UTF-8.
void hone_prompt_data(hone_str *out, const char *title, const char *text, size_t len);

// ---- llm_words.c
typedef struct hone_scale_words { const hone_candidate *baseline; double flops, bytes, bandwidth_gbs; } hone_scale_words;   // 0: unknown
double hone_score(const hone_candidate *baseline, const hone_candidate *c);   // baseline ÷ c, to two decimals towards 1
void hone_words_candidate(const hone_scale_words *s, const hone_candidate *c, hone_str *out);   // score, limits, text
void hone_words_finding(const hone_candidate *c, hone_str *out);   // evidence as data; never what was expected
void hone_words_contract(const hone_task *t, hone_str *out);

// ---- llm_pick.c
typedef enum hone_exemplars { HONE_EXEMPLARS_CONTRAST, HONE_EXEMPLARS_BEST, HONE_EXEMPLARS_COUNT } hone_exemplars;
extern const char *const hone_exemplar_names[HONE_EXEMPLARS_COUNT];
// Up to HONE_EXEMPLARS_MAX candidates of distinct texts, worst to best.
hone_code hone_pick_exemplars(const hone_context *ctx, const hone_candidate *baseline, hone_exemplars policy, const hone_candidate **out, size_t *n, hone_err *e);

// ---- llm.c, llm_ask.c: the writer
enum {
    HONE_MAX_ASKS = 8,        // questions per generation
    HONE_MAX_PENDING = 4,     // questions that wait for their answers: newer ones would show what is known better
    HONE_MAX_USELESS = 12,    // in a row, over all models: then no more are asked
    HONE_MAX_REPAIRS = 2,     // turns for one refused candidate and its repairs
    HONE_MAX_ARMS = 256
};
enum { HONE_MOVE_WRITE, HONE_MOVE_REPAIR, HONE_MOVE_CROSS };
extern const char *const hone_llm_moves[];   // NULL-terminated

typedef struct hone_asked {
    char *text;   // of the candidate; NULL: none came of it
    size_t len, arm;
    uint64_t generation;   // in which it was answered
    double parent_cost;
    unsigned repairs;   // turns that led here
    bool settled, repaired;
    const hone_candidate *failed;   // when it was refused: for a repair
} hone_asked;
typedef struct hone_arm { size_t model, style; hone_exemplars policy; } hone_arm;
typedef struct hone_pending {   // a question under way
    uint64_t ticket;
    size_t arm;
    int move;
    unsigned repairs;
    const hone_candidate *parent, *second;
    char *prompt;      // own
    bool last;         // asked for the second time
} hone_pending;
typedef struct hone_closed { bool is, replayed; uint64_t reopens; char key[HONE_HASH_HEX]; } hone_closed;
struct hone_writer {
    hone_writer_config c;
    double flops, bytes;
    hone_arm arms[HONE_MAX_ARMS];
    size_t n_arms;
    hone_bandit *bandit;
    hone_reward_scale scale;
    hone_closed *closed;   // per model
    HONE_VEC(hone_asked) asked;
    HONE_VEC(hone_writer_note) notes;   // beside asked, one each
    HONE_VEC(hone_pending) pending;     // in the order posted
    struct hone_prints *prints;         // llm_novel.c; NULL: not needed yet
    size_t seen;                        // of the history
    uint64_t generation;
    unsigned asks, useless;             // in this generation; in a row
    double cost_sum;
    size_t n_costs;
};
typedef struct hone_asking {   // one question
    hone_writer *w;
    const hone_context *ctx;
    const hone_candidate *parent, *second;   // second: crossover
    int move;
    size_t arm;
    unsigned repairs;
    const char *prompt;
} hone_asking;
hone_code hone_asking_prompt(hone_asking *q, hone_err *e);   // fills q->prompt
// Asks. *got 1: the answer was there at once and is a candidate; 0 with *deferred: it comes later (hone_asking_collect).
hone_code hone_asking_put(hone_asking *q, hone_proposal *out, size_t *got, bool *deferred, hone_err *e);
// The next answer that is there. *got false: none; out->text NULL: one that came to nothing.
hone_code hone_asking_collect(hone_writer *w, const hone_context *ctx, hone_proposal *out, bool *got, hone_err *e);
hone_code hone_asking_abandon(hone_writer *w, hone_err *e);   // the run ends: a note for every question under way

// ---- llm_novel.c
// A candidate that passed and that the text repeats, or NULL; *share: of their shingles that are in both.
hone_code hone_novel_check(hone_writer *w, const hone_context *ctx, const char *text, size_t len, const hone_candidate **like, double *share, hone_err *e);
void hone_prints_free(struct hone_prints *p);

#endif
