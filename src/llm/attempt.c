// llm/attempt: one request over the wire: headers, body out, events in, and a verdict on what came. Everything received has a maximum, and what is above it
// ends the transfer at once.
#include "llm/internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_ERROR_BODY = 64 << 10 };
typedef enum reading { READING_UNDECIDED, READING_EVENTS, READING_WHOLE, READING_ERROR, READING_WRONG_TYPE } reading;
typedef struct attempt {
    const hone_attempt_call *c;
    hone_attempt_result *r;
    hone_frames frames;
    hone_str body;   // of a reply that is no stream, or of an error
    reading reading;
    size_t received;
    hone_err err;    // why the receiver stopped
} attempt;

// ---- receiving

static hone_code on_event(void *self, const char *data, size_t n, hone_err *e) {
    attempt *a = self;
    if (n == 6 && !memcmp(data, "[DONE]", 6))
        return HONE_OK;
    json_error_t why;
    json_t *o = json_loadb(data, n, 0, &why);
    if (!json_is_object(o)) {
        json_decref(o);
        return hone_fail(e, HONE_E_PARSE, 0, "the reply holds what is no JSON object");
    }
    a->c->spec->provider->form->event(o, &a->r->sink);
    json_decref(o);
    return hone_str_check(&a->r->sink.text, "the text of the reply", e);
}

static reading decide(const attempt *a, long status, const char *type) {
    if (status != 200)
        return READING_ERROR;
    if (strcasestr(type, "event-stream"))
        return a->c->spec->provider->frames == HONE_FRAMES_SSE ? READING_EVENTS : READING_WRONG_TYPE;
    if (a->c->spec->provider->frames == HONE_FRAMES_NDJSON && strcasestr(type, "json"))
        return READING_EVENTS;
    return strcasestr(type, "application/json") ? READING_WHOLE : READING_WRONG_TYPE;
}

static hone_code take(attempt *a, const char *bytes, size_t n, hone_err *e) {
    a->received += n;
    if (a->received > a->c->limits->body_bytes)
        return hone_fail(e, HONE_E_LIMIT, 0, "the reply is larger than its limit of %zu bytes", a->c->limits->body_bytes);
    switch (a->reading) {
    case READING_EVENTS: return hone_frames_feed(&a->frames, bytes, n, e);
    case READING_WHOLE: hone_str_addn(&a->body, bytes, n); return hone_str_check(&a->body, "the reply", e);
    case READING_ERROR: hone_str_addn(&a->body, bytes, a->body.len + n <= MAX_ERROR_BODY ? n : MAX_ERROR_BODY - a->body.len); return HONE_OK;
    default: return hone_fail(e, HONE_E_UNSUPPORTED, 0, "the reply is of a type that was not asked for");
    }
}

static bool on_data(void *self, long status, const char *type, const char *bytes, size_t n) {
    attempt *a = self;
    if (a->reading == READING_UNDECIDED)
        a->reading = decide(a, status, type);
    return take(a, bytes, n, &a->err) == HONE_OK;
}

static void on_tick(void *self) {
    attempt *a = self;
    if (a->c->tick)
        a->c->tick(a->c->self, a->r->sink.text.len);
}

// ---- judging

static void say(attempt *a, hone_llm_end end, bool again, const char *what, const char *detail) {
    char raw[900];
    snprintf(raw, sizeof raw, "%s%s%s", what, *detail ? ": " : "", detail);
    hone_redact(&a->c->key, a->c->key != NULL, raw, a->r->why, sizeof a->r->why);
    a->r->end = end;
    a->r->again = again;
}

static void judge_error(attempt *a) {
    static const struct { hone_llm_end end; bool again; const char *words; } table[] = {
        [HONE_RETRY_BUSY] = {HONE_LLM_FAILED, true, "the endpoint is busy or failed"},
        [HONE_RETRY_REQUEST] = {HONE_LLM_FAILED, false, "the endpoint refused the request"},
        [HONE_RETRY_KEY] = {HONE_LLM_CLOSED, false, "the endpoint refused the key"},
        [HONE_RETRY_CREDIT] = {HONE_LLM_CLOSED, false, "the account's credit or quota is used up"},
        [HONE_RETRY_MODEL] = {HONE_LLM_CLOSED, false, "the endpoint does not know the model or the address"},
    };
    char what[128];
    const hone_sink *s = &a->r->sink;
    hone_retry k = hone_retry_of(&a->r->http, s);
    if (a->r->http.status == 200)
        snprintf(what, sizeof what, "%s", table[k].words);
    else
        snprintf(what, sizeof what, "%s (HTTP %ld)", table[k].words, a->r->http.status);
    say(a, table[k].end, table[k].again, what, s->error);
    a->r->old_tokens_key = a->r->http.status == 400 && strstr(s->error, "max_completion_tokens") != NULL;
}

static void read_error_body(attempt *a) {
    json_t *o = json_loadb(a->body.s, a->body.len, 0, NULL), *error = json_object_get(o, "error");
    if (error)
        hone_sink_error(&a->r->sink, error);
    else if (o)
        hone_sink_error(&a->r->sink, o);
    json_decref(o);
}

static void judge_reply(attempt *a) {
    const hone_sink *s = &a->r->sink;
    if (s->has_error)
        judge_error(a);
    else if (!s->complete)
        say(a, HONE_LLM_FAILED, true, "the reply was cut", "the connection ended before the reply did");
    else if (s->stop == HONE_LLM_STOP_REFUSAL)
        say(a, HONE_LLM_FAILED, false, "the model refused to answer", s->stop_word);
    else
        say(a, HONE_LLM_OK, false, "", "");
}

static void judge_body(attempt *a) {
    hone_err e = {0};
    if (a->reading == READING_EVENTS) {
        hone_code c = hone_frames_end(&a->frames, &e);
        if (c != HONE_OK)
            say(a, HONE_LLM_FAILED, true, "the reply is malformed", e.msg);
        else
            judge_reply(a);
        return;
    }
    json_t *o = json_loadb(a->body.s, a->body.len, 0, NULL);
    if (json_is_object(o)) {
        a->c->spec->provider->form->whole(o, &a->r->sink);
        judge_reply(a);
    } else {
        say(a, HONE_LLM_FAILED, true, "the reply is malformed", a->body.len ? "no JSON object" : "empty");
    }
    json_decref(o);
}

static void judge_refused(attempt *a) {
    bool again = a->err.code == HONE_E_PARSE;
    if (a->reading == READING_WRONG_TYPE)
        say(a, HONE_LLM_FAILED, false, "the reply has the content type", a->r->http.content_type);
    else
        say(a, HONE_LLM_FAILED, again, again ? "the reply is malformed" : "the reply was refused", a->err.msg);
}

static hone_code judge(attempt *a, hone_err *e) {
    const hone_http_result *h = &a->r->http;
    switch (h->end) {
    case HONE_HTTP_INTERRUPTED: return hone_fail(e, HONE_E_INTERRUPTED, 0, "interrupted");
    case HONE_HTTP_TLS: say(a, HONE_LLM_CLOSED, false, "the endpoint's certificate cannot be trusted", h->message); break;
    case HONE_HTTP_CONNECT: say(a, HONE_LLM_CLOSED, true, "cannot reach the endpoint", h->message); break;
    case HONE_HTTP_TIMEOUT: say(a, HONE_LLM_FAILED, true, "the endpoint took too long", h->message); break;
    case HONE_HTTP_SINK: judge_refused(a); break;
    case HONE_HTTP_DONE:
        if (h->status != 200) {
            read_error_body(a);
            judge_error(a);
        } else {
            judge_body(a);
        }
        break;
    default:
        if (a->r->sink.complete && !a->r->sink.has_error)
            judge_reply(a);   // everything was there when the connection broke
        else
            say(a, HONE_LLM_FAILED, true, "the reply was cut", h->message);
    }
    return HONE_OK;
}

// ---- the request

static hone_code send_it(attempt *a, hone_err *e) {
    const hone_attempt_call *c = a->c;
    const hone_llm_provider *p = c->spec->provider;
    hone_str auth;
    hone_str_init(&auth, 1 << 14);
    if (c->key)
        hone_str_addf(&auth, "%s%s", p->key_header, c->key);
    const char *headers[6] = {"Content-Type: application/json", "Accept: application/json, text/event-stream, application/x-ndjson", "Expect:"};
    size_t n = 3;
    if (c->key)
        headers[n++] = auth.s;
    if (p->header)
        headers[n++] = p->header;
    hone_http_call call = {.url = c->spec->url, .body = c->body, .len = strlen(c->body), .headers = headers, .connect_s = c->limits->connect_s,
                           .idle_s = c->limits->idle_s, .deadline_s = c->deadline_s, .clock = c->clock, .interrupt = c->interrupt, .data = on_data,
                           .tick = on_tick, .self = a};
    hone_code code = hone_str_check(&auth, "the key", e);
    code = code == HONE_OK ? hone_http_post(&call, &a->r->http, e) : code;
    memset(auth.s, 0, auth.len);
    hone_str_free(&auth);
    return code == HONE_OK ? judge(a, e) : code;
}

hone_code hone_attempt(const hone_attempt_call *c, hone_attempt_result *r, hone_err *e) {
    *r = (hone_attempt_result){0};
    attempt a = {.c = c, .r = r};
    hone_sink_init(&r->sink, c->limits->text_bytes);
    hone_frames_init(&a.frames, c->spec->provider->frames, c->limits->event_bytes, on_event, &a);
    hone_str_init(&a.body, c->limits->body_bytes < (size_t)4 << 20 ? c->limits->body_bytes : (size_t)4 << 20);
    hone_code code = send_it(&a, e);
    hone_frames_free(&a.frames);
    hone_str_free(&a.body);
    return code;
}
