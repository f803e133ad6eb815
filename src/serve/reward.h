// reward: batch reward requests of RL trainers, answered with the evaluation cascade. The desk (desk.c) takes requests, hands candidates to an evaluator and
// makes answers; http.c carries them. A request names tasks that the server was started with: contract, tolerance, limits and seeds are the server's.
#ifndef HONE_SERVE_REWARD_H
#define HONE_SERVE_REWARD_H
#include "search/search.h"

#define HONE_REWARD_SCHEMA "hone.reward/1"
enum {
    HONE_REWARD_MAX_BODY = 16 << 20,
    HONE_REWARD_MAX_ITEMS = 256,     // of one request
    HONE_REWARD_MAX_TEXT = 1 << 20,  // of one completion
    HONE_REWARD_MAX_TASKS = 64,
    HONE_REWARD_QUEUE = 256          // default: candidates that wait
};

typedef struct hone_reward_config {
    const hone_task *const *tasks; size_t n_tasks;   // borrowed; names must differ
    hone_evaluator evaluator;
    void (*cancel)(void *self, uint64_t job);        // of the evaluator: its outcome is not wanted any more. May be NULL
    unsigned queue;                                  // 0: the default
    uint64_t seed;
    double job_time_limit_s;
    unsigned workers;                                // for estimates
} hone_reward_config;

// ---- the desk: no thread, no socket, no clock of its own
typedef struct hone_desk hone_desk;
typedef struct hone_desk_request hone_desk_request;
hone_code hone_desk_open(const hone_reward_config *c, hone_desk **out, hone_err *e);
void hone_desk_close(hone_desk *d);
// Takes a request's body. *status: 200 when it was taken (then *out is set), otherwise an HTTP status; *retry_after_s with 429. Errors of the caller are in e.
void hone_desk_take(hone_desk *d, const char *body, size_t n, hone_desk_request **out, unsigned *status, unsigned *retry_after_s, hone_err *e);
// Hands out what fits and waits at most timeout_ms for an outcome. errors: those of the evaluator that no candidate is to blame for.
hone_code hone_desk_work(hone_desk *d, int timeout_ms, hone_err *e);
bool hone_desk_busy(const hone_desk *d);                       // something waits or runs
bool hone_desk_done(const hone_desk_request *r);
bool hone_desk_started_all(const hone_desk_request *r);        // nothing of it waits
json_t *hone_desk_answer(const hone_desk_request *r);          // hone.reward/1; new reference
void hone_desk_drop(hone_desk *d, hone_desk_request *r);       // frees it; what waits is forgotten, what runs is cancelled
json_t *hone_desk_status(const hone_desk *d);                  // hone.health/1
json_t *hone_desk_tasks(const hone_desk *d);                   // hone.tasks/1: names, hashes, standard prompts

// The one candidate in a model's reply: the whole text when it has no fences, else the only fenced block with `#pragma hone` lines. NULL and a reason otherwise.
const char *hone_reward_extract(const char *reply, size_t n, size_t *len, const char **why);

// ---- http.c
typedef struct hone_http_config {
    const char *listen;              // IPv4 address
    unsigned port;                   // 0: any
    const char *token;               // requests carry "Authorization: Bearer TOKEN"
    const volatile int *interrupt;   // non-zero: take nothing more, finish what was started, end
    void (*ready)(void *self, unsigned port);
    void *self;
} hone_http_config;
hone_code hone_http_serve(const hone_http_config *c, hone_desk *desk, hone_err *e);
#endif
