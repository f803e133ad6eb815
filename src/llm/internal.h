// llm, inside. Who does what: spec.c reads "provider:name@url"; settings.c the configuration file and keys; form_*.c build requests and read replies
// of one form each (forms.c has the tables); frames.c cuts a byte stream into events; http.c moves bytes (libcurl); retry.c decides what is
// tried again and when; redact.c keeps secrets out of texts; exchange.c keeps exchanges; client.c puts it together.
#ifndef HONE_LLM_INTERNAL_H
#define HONE_LLM_INTERNAL_H
#include "llm/llm.h"
#include <pthread.h>
#include <stdatomic.h>

// ---- frames.c: server-sent events or one JSON per line, fed in any pieces. source: WHATWG HTML 9.2.6 (event stream interpretation)
typedef enum hone_frames_kind { HONE_FRAMES_SSE, HONE_FRAMES_NDJSON } hone_frames_kind;
typedef struct hone_frames {
    hone_frames_kind kind;
    hone_str line, data;   // of the line being read, of the event being read
    bool has_data, after_cr;
    hone_code (*event)(void *self, const char *data, size_t n, hone_err *e);
    void *self;
} hone_frames;
// max_event: mandatory maximum of one event (and one line). errors of feed: HONE_E_LIMIT, those of `event`.
void hone_frames_init(hone_frames *f, hone_frames_kind kind, size_t max_event, hone_code (*event)(void *, const char *, size_t, hone_err *), void *self);
hone_code hone_frames_feed(hone_frames *f, const char *bytes, size_t n, hone_err *e);
hone_code hone_frames_end(hone_frames *f, hone_err *e);   // at the end of the stream: an NDJSON line may lack its newline
void hone_frames_free(hone_frames *f);

// ---- forms
typedef struct hone_sink {   // a reply while it grows
    hone_str text;
    bool complete;            // the endpoint said that it is
    hone_llm_stop stop;
    char stop_word[48];
    hone_llm_usage usage;
    bool has_error;
    char error_type[64], error_code[64], error[512];
} hone_sink;
typedef struct hone_form {
    const char *name;
    json_t *(*build)(const char *model, const hone_llm_request *q, unsigned max_tokens, const json_t *extra, const char *tokens_key);   // new reference
    void (*event)(const json_t *event, hone_sink *s);   // one event of a stream
    void (*whole)(const json_t *body, hone_sink *s);    // a reply that was not streamed
} hone_form;
extern const hone_form hone_form_openai, hone_form_anthropic, hone_form_ollama;
void hone_sink_init(hone_sink *s, size_t max_text);
void hone_sink_free(hone_sink *s);
void hone_sink_text(hone_sink *s, const json_t *string);
void hone_sink_stop(hone_sink *s, const char *form, const json_t *word);
void hone_sink_error(hone_sink *s, const json_t *error);   // {"error":{message,type,code}}, {"error":"text"}
uint64_t hone_json_count(const json_t *o, const char *key);

// ---- spec.c
typedef struct hone_llm_provider {
    const char *name, *url, *path, *key_env, *key_header, *header;
    hone_frames_kind frames;
    const hone_form *form;
} hone_llm_provider;
typedef struct hone_llm_spec {
    const hone_llm_provider *provider;
    char name[200];      // "provider:model"
    const char *model;   // in name
    char url[600];       // of the request
    bool own_url, loopback, tls;
} hone_llm_spec;
hone_code hone_llm_spec_parse(const char *text, hone_llm_spec *out, hone_err *e);

// ---- settings.c
typedef struct hone_llm_price { double input, cached_input, output; } hone_llm_price;   // per million tokens
typedef struct hone_llm_settings { json_t *root; } hone_llm_settings;
hone_code hone_llm_settings_read(const char *path, hone_llm_settings *out, hone_err *e);
bool hone_llm_settings_price(const hone_llm_settings *s, const char *name, hone_llm_price *out);
const json_t *hone_llm_settings_model(const hone_llm_settings *s, const char *name);   // its object or NULL
void hone_llm_settings_limits(const hone_llm_settings *s, hone_llm_limits *l);
// The key of a model: from its key file (mode 0600), else the environment; *key NULL when there is none. owns: the caller.
hone_code hone_llm_key(const hone_llm_settings *s, const hone_llm_spec *m, char **key, hone_err *e);

// ---- redact.c
// Copies text with every secret and everything that looks like one replaced by [secret]; at most size-1 bytes.
void hone_redact(const char *const *secrets, size_t n, const char *text, char *out, size_t size);

// ---- http.c
typedef enum hone_http_end { HONE_HTTP_DONE, HONE_HTTP_CONNECT /* refused, no such host */, HONE_HTTP_TLS, HONE_HTTP_TIMEOUT, HONE_HTTP_CUT, HONE_HTTP_SINK /* receiver said no */,
    HONE_HTTP_INTERRUPTED, HONE_HTTP_OTHER } hone_http_end;
typedef struct hone_http_call {
    const char *url, *body;
    size_t len;
    const char *const *headers;   // NULL-terminated
    double connect_s, idle_s, deadline_s;   // deadline on `clock`
    const hone_clock *clock;
    const volatile int *interrupt;
    bool (*data)(void *self, long status, const char *content_type, const char *bytes, size_t n);   // false: stop
    void (*tick)(void *self);
    void *self;
} hone_http_call;
typedef struct hone_http_result {
    hone_http_end end;
    long status;
    char content_type[96], message[256];
    bool has_retry_after, no_retry;   // x-should-retry: false
    double retry_after_s;
    bool has_reset;                   // a rate limit's window is used up; it opens again in reset_s
    double reset_s;
} hone_http_result;
hone_code hone_http_post(const hone_http_call *c, hone_http_result *r, hone_err *e);   // errors: HONE_E_NOMEM, HONE_E_INTERNAL
// "1s", "6m0s", "250ms", "1.5": seconds; false when it is none.
bool hone_http_duration(const char *text, double *s);

// ---- retry.c
typedef enum hone_retry { HONE_RETRY_BUSY /* try again */, HONE_RETRY_REQUEST /* this request never */, HONE_RETRY_KEY, HONE_RETRY_CREDIT, HONE_RETRY_MODEL } hone_retry;
hone_retry hone_retry_of(const hone_http_result *r, const hone_sink *s);
// Before attempt `n` (1: the first retry): exponential with equal jitter, never below what the endpoint asked for.
double hone_retry_wait_s(const hone_llm_limits *l, unsigned n, const hone_http_result *r, hone_rng *rng);
void hone_llm_limits_default(hone_llm_limits *l);

// ---- exchange.c
typedef struct hone_recording { char *dir; bool only; json_t *manifest; } hone_recording;   // only: nothing else may be asked
hone_code hone_recording_open(const char *dir, bool only, hone_recording *out, hone_err *e);
void hone_recording_close(hone_recording *r);
hone_code hone_recording_models(const hone_recording *r, const json_t **models, hone_err *e);   // of the manifest
// nth: how often the same was asked before in this run.
hone_code hone_exchange_key(const char *model, const hone_llm_request *q, unsigned nth, char key[HONE_HASH_HEX], hone_err *e);
// *found false when there is none. One that closed its model has end HONE_LLM_CLOSED. errors: HONE_E_CORRUPT, HONE_E_IO.
hone_code hone_exchange_load(const hone_recording *r, const char *key, hone_llm_reply *out, bool *found, hone_err *e);
// The nth reply for a tag of a set written by hand (manifest "script").
hone_code hone_exchange_script(const hone_recording *r, const char *tag, unsigned nth, hone_llm_reply *out, bool *found, hone_err *e);
hone_code hone_exchange_save(const hone_recording *r, const char *model, const hone_llm_request *q, const hone_llm_reply *a, hone_err *e);
// Adds a step ("joined", "reopened") to a kept exchange.
hone_code hone_exchange_mark(const hone_recording *r, const char *key, const char *what, uint64_t at, hone_err *e);
bool hone_recording_has_steps(const hone_recording *r);   // it was made by hone_llm_post
hone_code hone_recording_begin(const hone_recording *r, const char *const *names, size_t n, hone_err *e);   // writes the manifest

// ---- attempt.c: one request over the wire, and what to make of it
typedef struct hone_attempt_result {
    hone_llm_end end;
    bool again;          // worth another try
    char why[512];       // redacted
    hone_sink sink;      // text, stop, usage; the caller frees it
    hone_http_result http;
    bool old_tokens_key; // the endpoint does not know max_completion_tokens: ask again with max_tokens
} hone_attempt_result;
typedef struct hone_attempt_call {
    const hone_llm_spec *spec;
    const char *key;     // NULL: none
    const char *body;
    const hone_llm_limits *limits;
    const hone_clock *clock;
    double deadline_s;
    const volatile int *interrupt;
    void (*tick)(void *self, size_t text_bytes);
    void *self;
} hone_attempt_call;
hone_code hone_attempt(const hone_attempt_call *c, hone_attempt_result *r, hone_err *e);   // errors: HONE_E_INTERRUPTED, HONE_E_NOMEM

// ---- client.c and queue.c share the client
enum { HONE_LLM_MAX_MODELS = 16 };
typedef struct hone_endpoint {
    hone_llm_spec spec;   // of a replayed model only the name counts
    char *key;
    bool has_price, closed, old_tokens_key;
    hone_llm_price price;
    char why[512];
} hone_endpoint;
typedef struct hone_counted { char what[HONE_HASH_HEX]; unsigned n; } hone_counted;
struct hone_llm {
    hone_llm_config c;
    hone_llm_limits limits;
    hone_llm_settings settings;
    hone_clock clock;
    hone_rng rng;
    hone_endpoint v[HONE_LLM_MAX_MODELS];
    size_t n;
    bool has_recording;
    hone_recording recording;
    HONE_VEC(hone_counted) asked;   // how often the same request was made; per tag for sets written by hand
    double not_before_s;            // a rate limit's window opens then
    // while asking
    const char *asking;
    double asked_s;
    unsigned attempt;
    volatile int halt;              // what a transfer looks at: the caller's interrupt, or quit
    atomic_int quit;
    // queue.c
    pthread_mutex_t lock;           // of the totals, of closed endpoints and of the queue; never held during a request
    hone_llm_totals totals;
    struct hone_queue *queue;       // NULL: nothing was posted
};
hone_code hone_client_key(hone_llm *l, size_t model, const hone_llm_request *q, hone_llm_reply *r, hone_err *e);   // into r->key
hone_code hone_client_find(hone_llm *l, const hone_llm_request *q, hone_llm_reply *r, bool *found, hone_err *e);   // what is recorded under r->key
bool hone_client_over(hone_llm *l, size_t model, hone_llm_request *q, hone_llm_reply *r);   // over budget: closes the model
hone_code hone_client_close(hone_endpoint *x, hone_llm_reply *r, const char *why);
hone_code hone_client_send(hone_llm *l, size_t model, hone_llm_request *q, hone_llm_reply *r, hone_err *e);        // over the wire
void hone_client_count(hone_llm *l, const hone_llm_reply *r);
void hone_queue_free(hone_llm *l);
#endif
