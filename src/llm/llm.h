// llm: asks language models. One request at a time goes to an endpoint (providers.def) and comes back as text, with its tokens and its money counted
// against budgets; it is retried where that helps, cancelled within a second, and kept as a file, so that a run can be repeated without network.
// The caller waits (hone_llm_ask) or goes on and looks later (hone_llm_post, hone_llm_take).
// It knows nothing of kernels, and nothing of evaluation knows it. See docs/models.md.
#ifndef HONE_LLM_H
#define HONE_LLM_H
#include "base/base.h"
#include <jansson.h>

// ---- what is asked and answered
typedef struct hone_llm_message {
    const char *role;   // "user" or "assistant"
    const char *text;
} hone_llm_message;
typedef struct hone_llm_request {
    const char *system;   // may be NULL
    const hone_llm_message *messages;
    size_t n_messages;
    unsigned max_tokens;   // of the reply; 0: the configured default
    const char *tag;       // what the request is about (a task's name); not sent, kept with the exchange; may be NULL
} hone_llm_request;

typedef enum hone_llm_stop { HONE_LLM_STOP_NONE, HONE_LLM_STOP_END, HONE_LLM_STOP_LENGTH, HONE_LLM_STOP_REFUSAL, HONE_LLM_STOP_TOOL, HONE_LLM_STOP_OTHER } hone_llm_stop;
const char *hone_llm_stop_name(hone_llm_stop s);   // "end", "length" …

typedef struct hone_llm_usage {
    bool known;                              // the endpoint said so; otherwise estimated from bytes
    uint64_t input, cached_input, output;    // tokens; cached_input is part of input
} hone_llm_usage;

typedef enum hone_llm_end {
    HONE_LLM_OK,       // text, complete or cut at its length (stop)
    HONE_LLM_FAILED,   // this request came to nothing; another may work
    HONE_LLM_CLOSED    // this model answers no more in this run: key, credit, budget, unknown model, no recording
} hone_llm_end;
typedef struct hone_llm_reply {
    hone_llm_end end;
    char *text;   // owns: the caller (hone_llm_reply_free); "" unless OK
    size_t len;
    hone_llm_stop stop;
    char why[512];          // when not OK; no secrets
    hone_llm_usage usage;   // of all attempts
    bool has_cost;          // a price is known
    double cost;            // of all attempts, in the price table's currency
    unsigned attempts;      // requests sent; 0 when replayed
    bool replayed;          // from a file
    bool sent;              // replayed: a request was sent at the time
    char key[HONE_HASH_HEX];
    uint64_t asked, joined, reopens;   // as kept with the exchange (hone_llm_post, hone_llm_take, hone_llm_reopen); 0: not there
} hone_llm_reply;
void hone_llm_reply_free(hone_llm_reply *r);

// ---- configuration
typedef struct hone_llm_limits {   // 0: the default in brackets
    size_t text_bytes;             // of a reply's text [1 MiB]
    size_t body_bytes;             // of all that one attempt receives [16 MiB]
    size_t event_bytes;            // of one streamed event [1 MiB]
    double connect_s, idle_s, total_s;      // to connect [15]; between bytes [120]; a request with its retries [900]
    unsigned retries;                       // after the first attempt [5]
    double backoff_s, backoff_max_s;        // before the first retry [1], at most [60]
    unsigned max_tokens;                    // of a reply [16384]
} hone_llm_limits;
typedef struct hone_llm_budget {   // over the whole run, earlier sittings included; 0: none
    double cost;
    uint64_t tokens;
    unsigned requests;
} hone_llm_budget;
typedef struct hone_llm_progress {
    const char *model;
    size_t bytes;        // of text received
    double waited_s;
    unsigned attempt;    // 1: the first
    double retry_in_s;   // while waiting to try again; else 0
} hone_llm_progress;
typedef struct hone_llm_config {
    const char *const *models;   // "provider:name[@base_url]", or one "replay:DIR"
    size_t n_models;
    const char *config_path;     // prices, key files, limits (docs/models.md); NULL: none
    const char *store;           // folder of exchanges: what is found there is not asked again, what is asked is kept there; NULL: neither
    hone_llm_budget budget;
    hone_llm_limits limits;      // above those of the file
    uint64_t seed;               // of the jitter
    const hone_clock *clock;     // NULL: the monotonic clock
    void (*sleep)(void *self, double s);   // NULL: really
    void *sleep_self;
    const volatile int *interrupt;         // non-zero: stop within a second; may be NULL
    void (*progress)(void *self, const hone_llm_progress *p);   // from the thread that waits for the endpoint
    void *progress_self;
} hone_llm_config;

typedef struct hone_llm hone_llm;
// errors: HONE_E_USAGE (a model that cannot be understood, a key that others may read, --max-cost without a price), HONE_E_IO, HONE_E_PARSE.
hone_code hone_llm_open(const hone_llm_config *c, hone_llm **out, hone_err *e);
void hone_llm_close(hone_llm *l);
size_t hone_llm_count(const hone_llm *l);
const char *hone_llm_name(const hone_llm *l, size_t model);   // "provider:name", without address
bool hone_llm_replays(const hone_llm *l);                     // "replay:DIR": there is no endpoint
// Asks and waits. A request that came to nothing is a success with r->end saying so. errors: HONE_E_INTERRUPTED, HONE_E_NOMEM, HONE_E_IO (cannot keep it).
hone_code hone_llm_ask(hone_llm *l, size_t model, const hone_llm_request *q, hone_llm_reply *r, hone_err *e);

// ---- without waiting
// `at` counts the caller's steps, from 1. What is posted is sent by a thread of its own, one request after another in the order posted; the answer is the
// caller's when it takes it, and the step at which it did so is kept with the exchange, so that a run that is repeated gets it at the same step, however
// fast the answer came. That step is never the one at which it was posted, unless the answer was recorded without steps. threads: post, take, reopen and finish belong to one thread.
typedef enum hone_llm_phase {
    HONE_LLM_REPEATING,   // the caller repeats what it did in an earlier sitting: an answer comes only at the step that was kept
    HONE_LLM_LIVE,        // an answer comes at the next step, once it is there
    HONE_LLM_IDLE         // live, and the caller has nothing else to do
} hone_llm_phase;
// errors: as hone_llm_ask.
hone_code hone_llm_post(hone_llm *l, size_t model, const hone_llm_request *q, uint64_t at, uint64_t *ticket, hone_err *e);
// *ready false: not yet (r is empty then). Once it is true the ticket is gone, and the caller owns r. Recordings without steps answer at once.
// errors: as hone_llm_ask.
hone_code hone_llm_take(hone_llm *l, uint64_t ticket, uint64_t at, hone_llm_phase phase, hone_llm_reply *r, bool *ready, hone_err *e);
// The model closed by the recorded reply `key` is asked again from step `at` on; kept with the exchange.
hone_code hone_llm_reopen(hone_llm *l, const char *key, uint64_t at, hone_err *e);
// Nothing more will be taken. What was not sent yet is dropped; the request under way is cancelled, or waited for (its tokens are paid for) and kept.
void hone_llm_finish(hone_llm *l, bool cancel);

typedef struct hone_llm_totals {   // over the run: what was replayed counts as when it was asked
    unsigned requests, failed, replayed, attempts;
    uint64_t input, cached_input, output;
    bool estimated;   // some usage was not told by the endpoint
    bool has_cost;
    double cost;
} hone_llm_totals;
hone_llm_totals hone_llm_sum(const hone_llm *l);
// The models, budgets and sums as JSON; new reference.
json_t *hone_llm_describe(const hone_llm *l);
#endif
