// llm/retry: what is worth another try, and when. 408, 429, 5xx and 529 are, unless the error's own words say that money or a key is missing.
#include "llm/internal.h"
#include <math.h>
#include <string.h>
#include <strings.h>

void hone_llm_limits_default(hone_llm_limits *l) {
    if (!l->text_bytes)
        l->text_bytes = 1 << 20;
    if (!l->body_bytes)
        l->body_bytes = 16 << 20;
    if (!l->event_bytes)
        l->event_bytes = 1 << 20;
    l->connect_s = l->connect_s > 0 ? l->connect_s : 15;
    l->idle_s = l->idle_s > 0 ? l->idle_s : 120;
    l->total_s = l->total_s > 0 ? l->total_s : 900;
    l->backoff_s = l->backoff_s > 0 ? l->backoff_s : 1;
    l->backoff_max_s = l->backoff_max_s > 0 ? l->backoff_max_s : 60;
    l->retries = l->retries ? l->retries : 5;
    l->max_tokens = l->max_tokens ? l->max_tokens : 16384;
}

enum { WORD_NONE, WORD_CREDIT, WORD_KEY, WORD_MODEL, WORD_BUSY, WORD_REQUEST };

static int meaning(const char *word) {
    static const struct { const char *word; int meaning; } table[] = {
#define ERROR_WORD(word, what) {word, WORD_##what},
#include "llm/errors.def"
#undef ERROR_WORD
    };
    for (size_t i = 0; i < HONE_COUNT(table); i++)
        if (!strcasecmp(table[i].word, word))
            return table[i].meaning;
    return WORD_NONE;
}

// Some endpoints say it only in the message.
static bool speaks_of_credit(const char *message) {
    static const char *const words[] = {"credit balance", "insufficient credit", "insufficient balance", "exceeded your current quota", "billing"};
    for (size_t i = 0; i < HONE_COUNT(words); i++)
        if (strcasestr(message, words[i]))
            return true;
    return false;
}

static hone_retry of_status(const hone_http_result *r) {
    switch (r->status) {
    case 401:
    case 403: return HONE_RETRY_KEY;
    case 402: return HONE_RETRY_CREDIT;
    case 404: return HONE_RETRY_MODEL;
    case 408:
    case 409:
    case 425:
    case 429: return HONE_RETRY_BUSY;
    default: return r->status >= 500 ? HONE_RETRY_BUSY : HONE_RETRY_REQUEST;
    }
}

hone_retry hone_retry_of(const hone_http_result *r, const hone_sink *s) {
    int code = meaning(s->error_code), type = meaning(s->error_type);
    int word = code != WORD_NONE ? code : type;
    if (word == WORD_CREDIT || type == WORD_CREDIT || (s->has_error && r->status >= 400 && r->status < 500 && speaks_of_credit(s->error)))
        return HONE_RETRY_CREDIT;
    if (r->status != 200)   // the status is firmer than the words
        return r->no_retry && of_status(r) == HONE_RETRY_BUSY ? HONE_RETRY_REQUEST : of_status(r);
    if (word == WORD_KEY)   // an error inside a stream that began with 200
        return HONE_RETRY_KEY;
    return word == WORD_REQUEST ? HONE_RETRY_REQUEST : word == WORD_MODEL ? HONE_RETRY_MODEL : HONE_RETRY_BUSY;
}

// Half fixed, half drawn, so that many clients do not come back at once. What the endpoint asks for is a minimum, kept exactly.
double hone_retry_wait_s(const hone_llm_limits *l, unsigned n, const hone_http_result *r, hone_rng *rng) {
    double top = fmin(l->backoff_max_s, l->backoff_s * pow(2, n > 20 ? 20 : n - 1));
    double wait = top / 2 + top / 2 * hone_rng_unit(rng);
    if (r->has_retry_after)
        wait = fmax(wait, r->retry_after_s);
    return r->has_reset ? fmax(wait, r->reset_s) : wait;
}
