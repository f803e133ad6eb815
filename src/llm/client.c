// llm/client: a request from budget to bill. Looks for a recorded answer, checks what is left of the budgets, asks, tries again, counts and keeps. A model
// that cannot answer any more in this run (key, credit, budget) is closed; the caller goes on without it.
#include "llm/internal.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_MODELS = HONE_LLM_MAX_MODELS, LEAST_TOKENS = 256 };

typedef hone_endpoint endpoint;
typedef hone_counted counted;

static hone_code nomem(hone_err *e) { return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the model client"); }

void hone_llm_reply_free(hone_llm_reply *r) {
    hone_free(r->text);
    r->text = NULL;
}

// ---- opening

// A key must not cross a network in the clear.
static hone_code check_key(const endpoint *x, hone_err *e) {
    if (!x->key || x->spec.tls || x->spec.loopback)
        return HONE_OK;
    hone_fail(e, HONE_E_USAGE, 0, "the key for '%s' would be sent without encryption", x->spec.name);
    return hone_hint(e, "use an https address, or unset the key if the endpoint needs none");
}

static hone_code check_budget(const hone_llm *l, const endpoint *x, hone_err *e) {
    if (!(l->c.budget.cost > 0) || x->has_price)
        return HONE_OK;
    hone_fail(e, HONE_E_USAGE, 0, "--max-cost needs the price of '%s'", x->spec.name);
    return hone_hint(e, "put it into the model configuration (docs/models.md), or use --max-tokens");
}

static hone_code add_endpoint(hone_llm *l, const char *text, hone_err *e) {
    endpoint *x = &l->v[l->n];
    HONE_TRY(hone_llm_spec_parse(text, &x->spec, e));
    l->n++;
    HONE_TRY(hone_llm_key(&l->settings, &x->spec, &x->key, e));
    x->has_price = hone_llm_settings_price(&l->settings, x->spec.name, &x->price);
    x->old_tokens_key = x->spec.own_url || strcmp(x->spec.provider->name, "openai") != 0;
    HONE_TRY(check_key(x, e));
    return check_budget(l, x, e);
}

static hone_code open_replay(hone_llm *l, const char *dir, hone_err *e) {
    const json_t *models, *name;
    size_t i;
    HONE_TRY(hone_recording_open(dir, true, &l->recording, e));
    l->has_recording = true;
    HONE_TRY(hone_recording_models(&l->recording, &models, e));
    json_array_foreach((json_t *)(uintptr_t)models, i, name) {
        if (l->n == MAX_MODELS || !json_is_string(name))
            return hone_fail(e, HONE_E_CORRUPT, 0, "'%s/manifest.json' has a bad list of models", dir);
        snprintf(l->v[l->n++].spec.name, sizeof l->v[0].spec.name, "%s", json_string_value(name));
    }
    return HONE_OK;
}

static hone_code open_models(hone_llm *l, hone_err *e) {
    const hone_llm_config *c = &l->c;
    if (c->n_models == 0 || c->n_models > MAX_MODELS)
        return hone_fail(e, HONE_E_USAGE, 0, "between 1 and %d models can be used, not %zu", MAX_MODELS, c->n_models);
    if (!strncmp(c->models[0], "replay:", 7)) {
        if (c->n_models == 1)
            return open_replay(l, c->models[0] + 7, e);
        return hone_fail(e, HONE_E_USAGE, 0, "'%s' stands alone: the recording says which models it has", c->models[0]);
    }
    for (size_t i = 0; i < c->n_models; i++)
        HONE_TRY(add_endpoint(l, c->models[i], e));
    if (!c->store)
        return HONE_OK;
    const char *names[MAX_MODELS];
    for (size_t i = 0; i < l->n; i++)
        names[i] = l->v[i].spec.name;
    HONE_TRY(hone_recording_open(c->store, false, &l->recording, e));
    l->has_recording = true;
    return hone_recording_begin(&l->recording, names, l->n, e);
}

// What the caller sets stands above the configuration file.
static void overlay(hone_llm_limits *l, const hone_llm_limits *c) {
#define TAKE(field) l->field = c->field > 0 ? c->field : l->field
    TAKE(text_bytes);
    TAKE(body_bytes);
    TAKE(event_bytes);
    TAKE(connect_s);
    TAKE(idle_s);
    TAKE(total_s);
    TAKE(retries);
    TAKE(backoff_s);
    TAKE(backoff_max_s);
    TAKE(max_tokens);
#undef TAKE
}

hone_code hone_llm_open(const hone_llm_config *c, hone_llm **out, hone_err *e) {
    *out = NULL;
    hone_llm *l = hone_calloc(1, sizeof *l);
    if (!l)
        return nomem(e);
    l->c = *c;
    l->clock = c->clock ? *c->clock : hone_clock_monotonic();
    hone_rng_init(&l->rng, c->seed, 0x11c4a57e);
    l->totals.has_cost = true;
    if (pthread_mutex_init(&l->lock, NULL) != 0) {
        hone_free(l);
        return nomem(e);
    }
    hone_code code = hone_llm_settings_read(c->config_path, &l->settings, e);
    if (code == HONE_OK) {
        hone_llm_settings_limits(&l->settings, &l->limits);
        overlay(&l->limits, &c->limits);
        hone_llm_limits_default(&l->limits);
        code = open_models(l, e);
    }
    if (code == HONE_OK)
        *out = l;
    else
        hone_llm_close(l);
    return code;
}

void hone_llm_close(hone_llm *l) {
    if (!l)
        return;
    hone_llm_finish(l, true);
    hone_queue_free(l);
    pthread_mutex_destroy(&l->lock);
    for (size_t i = 0; i < l->n; i++) {
        if (l->v[i].key)
            explicit_bzero(l->v[i].key, strlen(l->v[i].key));
        hone_free(l->v[i].key);
    }
    if (l->has_recording || l->recording.dir)
        hone_recording_close(&l->recording);
    json_decref(l->settings.root);
    hone_vec_free(&l->asked);
    hone_free(l);
}

size_t hone_llm_count(const hone_llm *l) { return l->n; }
const char *hone_llm_name(const hone_llm *l, size_t model) { return l->v[model].spec.name; }
bool hone_llm_replays(const hone_llm *l) { return l->recording.only; }
hone_llm_totals hone_llm_sum(const hone_llm *l) {
    hone_llm *own = (hone_llm *)(uintptr_t)l;   // for its lock
    pthread_mutex_lock(&own->lock);
    hone_llm_totals t = l->totals;
    pthread_mutex_unlock(&own->lock);
    return t;
}

// ---- counting

static double price_of(const endpoint *x, const hone_llm_usage *u) {
    double fresh = (double)(u->input > u->cached_input ? u->input - u->cached_input : 0);
    return (fresh * x->price.input + (double)u->cached_input * x->price.cached_input + (double)u->output * x->price.output) / 1e6;
}

static size_t prompt_bytes(const hone_llm_request *q) {
    size_t n = q->system ? strlen(q->system) : 0;
    for (size_t i = 0; i < q->n_messages; i++)
        n += strlen(q->messages[i].text);
    return n;
}

static void add_usage(hone_llm_reply *r, const hone_llm_usage *u) {
    r->usage.input += u->input;
    r->usage.cached_input += u->cached_input;
    r->usage.output += u->output;
    r->usage.known &= u->known;
}

// What an attempt that broke off was billed is not known unless it said so: three bytes to a token, and marked as an estimate.
static void count_attempt(const endpoint *x, const hone_llm_request *q, const hone_sink *s, hone_llm_reply *r) {
    hone_llm_usage u = s->usage;
    if (!u.known && s->text.len == 0 && !s->complete)
        return;   // nothing came: nothing was billed
    if (!u.known)
        u = (hone_llm_usage){false, prompt_bytes(q) / 3, 0, s->text.len / 3};
    add_usage(r, &u);
    r->has_cost = x->has_price;
    r->cost = x->has_price ? price_of(x, &r->usage) : 0;
}

static bool was_asked(const hone_llm_reply *r) { return r->end != HONE_LLM_CLOSED || r->attempts || r->sent; }

void hone_client_count(hone_llm *l, const hone_llm_reply *r) {
    hone_llm_totals *t = &l->totals;
    if (!was_asked(r))
        return;
    pthread_mutex_lock(&l->lock);
    t->requests++;
    t->failed += r->end != HONE_LLM_OK;
    t->replayed += r->replayed;
    t->attempts += r->attempts;
    t->input += r->usage.input;
    t->cached_input += r->usage.cached_input;
    t->output += r->usage.output;
    t->estimated |= !r->usage.known;
    t->has_cost &= r->has_cost || r->usage.input + r->usage.output == 0;
    t->cost += r->cost;
    pthread_mutex_unlock(&l->lock);
}

// ---- budgets

hone_code hone_client_close(endpoint *x, hone_llm_reply *r, const char *why) {
    x->closed = true;
    if (why != x->why)
        snprintf(x->why, sizeof x->why, "%s", why);
    snprintf(r->why, sizeof r->why, "%s", why);
    r->end = HONE_LLM_CLOSED;
    return HONE_OK;
}

// What the request may cost at most must fit into what is left: two bytes to a token in, the reply's maximum out (lowered if that makes it fit).
// NULL: it fits.
static const char *over_budget(const hone_llm *l, const endpoint *x, hone_llm_request *q, const hone_llm_reply *r) {
    const hone_llm_budget *b = &l->c.budget;
    double in = (double)prompt_bytes(q) / 2, out = q->max_tokens, used = (double)(l->totals.input + l->totals.output + r->usage.input + r->usage.output);
    if (b->requests && l->totals.requests >= b->requests)
        return "the budget of requests is used up";
    if (b->tokens)
        out = fmin(out, (double)b->tokens - used - in);
    if (out < LEAST_TOKENS && out < q->max_tokens)
        return "the budget of tokens is used up";
    if (b->cost > 0) {
        double left = b->cost - l->totals.cost - r->cost - (x->has_price ? in * x->price.input / 1e6 : 0);
        if (x->has_price && x->price.output > 0)
            out = fmin(out, left / x->price.output * 1e6);
        if (left <= 0 || (out < LEAST_TOKENS && out < q->max_tokens))
            return "the budget of money is used up";
    }
    q->max_tokens = (unsigned)out;
    return NULL;
}

bool hone_client_over(hone_llm *l, size_t model, hone_llm_request *q, hone_llm_reply *r) {
    endpoint *x = &l->v[model];
    pthread_mutex_lock(&l->lock);
    const char *over = over_budget(l, x, q, r);
    if (over)
        hone_client_close(x, r, over);
    pthread_mutex_unlock(&l->lock);
    return over != NULL;
}

// ---- what was recorded

static hone_code count_up(hone_llm *l, const char *what, unsigned *n, hone_err *e) {
    for (size_t i = 0; i < l->asked.n; i++)
        if (!strcmp(l->asked.v[i].what, what)) {
            *n = l->asked.v[i].n++;
            return HONE_OK;
        }
    counted c = {.n = 1};
    *n = 0;
    snprintf(c.what, sizeof c.what, "%s", what);
    return hone_vec_push(&l->asked, c) ? HONE_OK : nomem(e);
}

// The reply's maximum as configured is part of it, not what a budget leaves of it.
hone_code hone_client_key(hone_llm *l, size_t model, const hone_llm_request *q, hone_llm_reply *r, hone_err *e) {
    const endpoint *x = &l->v[model];
    unsigned nth;
    HONE_TRY(hone_exchange_key(x->spec.name, q, 0, r->key, e));
    HONE_TRY(count_up(l, r->key, &nth, e));
    return nth ? hone_exchange_key(x->spec.name, q, nth, r->key, e) : HONE_OK;
}

hone_code hone_client_find(hone_llm *l, const hone_llm_request *q, hone_llm_reply *r, bool *found, hone_err *e) {
    *found = false;
    if (!l->has_recording)
        return HONE_OK;
    HONE_TRY(hone_exchange_load(&l->recording, r->key, r, found, e));
    if (*found || !json_object_get(l->recording.manifest, "script"))
        return HONE_OK;
    char tag[HONE_HASH_HEX];
    unsigned nth;
    snprintf(tag, sizeof tag, "tag:%.59s", q->tag ? q->tag : "");
    HONE_TRY(count_up(l, tag, &nth, e));
    return hone_exchange_script(&l->recording, q->tag, nth, r, found, e);
}

// ---- asking

static void tell(hone_llm *l, size_t bytes, double retry_in_s) {
    if (!l->c.progress)
        return;
    hone_llm_progress p = {l->asking, bytes, hone_now_s(&l->clock) - l->asked_s, l->attempt, retry_in_s};
    l->c.progress(l->c.progress_self, &p);
}

static bool interrupted(hone_llm *l) {
    l->halt = l->quit || (l->c.interrupt && *l->c.interrupt);
    return l->halt;
}

static void on_tick(void *self, size_t bytes) {
    interrupted(self);
    tell(self, bytes, 0);
}

static hone_code wait_for(hone_llm *l, double s, hone_err *e) {
    double until = hone_now_s(&l->clock) + s;
    if (l->c.sleep) {
        l->c.sleep(l->c.sleep_self, s);
        return HONE_OK;
    }
    for (double left = s; left > 0; left = until - hone_now_s(&l->clock)) {
        if (interrupted(l))
            return hone_fail(e, HONE_E_INTERRUPTED, 0, "interrupted");
        tell(l, 0, left);
        struct timespec step = {0, (long)(fmin(left, 0.1) * 1e9)};
        nanosleep(&step, NULL);
    }
    return HONE_OK;
}

static char *body_of(const hone_llm *l, const endpoint *x, const hone_llm_request *q) {
    const json_t *extra = json_object_get(hone_llm_settings_model(&l->settings, x->spec.name), "request");
    json_t *o = x->spec.provider->form->build(x->spec.model, q, q->max_tokens, extra, x->old_tokens_key ? "max_tokens" : "max_completion_tokens");
    char *text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    return text;
}

static hone_code attempt(hone_llm *l, endpoint *x, const hone_llm_request *q, double deadline, hone_attempt_result *r, hone_err *e) {
    char *body = body_of(l, x, q);
    if (!body)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a request");
    hone_attempt_call c = {&x->spec, x->key, body, &l->limits, &l->clock, deadline, &l->halt, on_tick, l};
    hone_code code = hone_attempt(&c, r, e);
    free(body);
    return code;
}

static hone_code take(hone_llm_reply *r, hone_attempt_result *a, hone_err *e) {
    r->end = a->end;
    r->stop = a->sink.stop;
    snprintf(r->why, sizeof r->why, "%s", a->why);
    if (a->end != HONE_LLM_OK)
        return HONE_OK;
    hone_free(r->text);
    r->len = a->sink.text.len;
    r->text = hone_str_take(&a->sink.text);
    return r->text ? HONE_OK : nomem(e);
}

// Whether to try again, after waiting; the wait is part of the request's time.
static hone_code pause_before(hone_llm *l, const hone_attempt_result *a, unsigned n, double deadline, bool *again, hone_llm_reply *r, hone_err *e) {
    double wait = hone_retry_wait_s(&l->limits, n, &a->http, &l->rng);
    *again = a->again && n <= l->limits.retries;
    if (*again && hone_now_s(&l->clock) + wait > deadline) {
        size_t used = strlen(r->why);
        snprintf(r->why + used, sizeof r->why - used, " (trying again in %.0f s would be too late)", wait);
        *again = false;
    }
    return *again ? wait_for(l, wait, e) : HONE_OK;
}

static hone_code one_attempt(hone_llm *l, endpoint *x, hone_llm_request *q, double deadline, hone_llm_reply *r, bool *again, hone_err *e) {
    hone_attempt_result a;
    r->attempts++;
    hone_code c = attempt(l, x, q, deadline, &a, e);
    count_attempt(x, q, &a.sink, r);
    if (c == HONE_OK)
        c = take(r, &a, e);
    if (c == HONE_OK && a.old_tokens_key && !x->old_tokens_key)
        x->old_tokens_key = *again = true;
    else if (c == HONE_OK)
        c = pause_before(l, &a, l->attempt, deadline, again, r, e);
    if (a.http.has_reset)
        l->not_before_s = hone_now_s(&l->clock) + fmin(a.http.reset_s, 60);
    hone_sink_free(&a.sink);
    return c;
}

hone_code hone_client_send(hone_llm *l, size_t model, hone_llm_request *q, hone_llm_reply *r, hone_err *e) {
    endpoint *x = &l->v[model];
    double deadline = hone_now_s(&l->clock) + l->limits.total_s;
    l->asking = x->spec.name;
    l->asked_s = hone_now_s(&l->clock);
    r->usage.known = true;
    if (interrupted(l))
        return hone_fail(e, HONE_E_INTERRUPTED, 0, "interrupted");
    if (l->not_before_s > l->asked_s)
        HONE_TRY(wait_for(l, l->not_before_s - l->asked_s, e));
    bool again = true;
    for (l->attempt = 1; again; l->attempt++) {
        if (hone_client_over(l, model, q, r))
            return HONE_OK;
        again = false;
        HONE_TRY(one_attempt(l, x, q, deadline, r, &again, e));
    }
    if (r->end == HONE_LLM_CLOSED) {
        char why[512];
        snprintf(why, sizeof why, "%s", r->why);
        pthread_mutex_lock(&l->lock);
        hone_client_close(x, r, why);
        pthread_mutex_unlock(&l->lock);
    }
    return HONE_OK;
}

static void forget(hone_llm_reply *r) {
    hone_llm_reply fresh = {.text = r->text};
    memcpy(fresh.key, r->key, sizeof fresh.key);
    *r = fresh;
}

static hone_code answer(hone_llm *l, size_t model, hone_llm_request *q, hone_llm_reply *r, hone_err *e) {
    bool found;
    HONE_TRY(hone_client_key(l, model, q, r, e));
    if (hone_client_over(l, model, q, r))
        return HONE_OK;
    HONE_TRY(hone_client_find(l, q, r, &found, e));
    if (found && r->end != HONE_LLM_CLOSED)
        return HONE_OK;
    if (found)   // an exchange that closed its model: asked anew
        forget(r);
    if (l->recording.only)
        return hone_client_close(&l->v[model], r, "the recording holds no answer to this request");
    hone_code c = hone_client_send(l, model, q, r, e);
    if (c == HONE_OK && r->end != HONE_LLM_CLOSED && l->has_recording)
        c = hone_exchange_save(&l->recording, l->v[model].spec.name, q, r, e);
    return c;
}

hone_code hone_llm_ask(hone_llm *l, size_t model, const hone_llm_request *request, hone_llm_reply *r, hone_err *e) {
    endpoint *x = &l->v[model];
    hone_llm_request q = *request;
    *r = (hone_llm_reply){.text = hone_strdup("")};
    if (!r->text)
        return nomem(e);
    q.max_tokens = q.max_tokens ? q.max_tokens : l->limits.max_tokens;
    if (x->closed)
        return hone_client_close(x, r, x->why);
    hone_code c = answer(l, model, &q, r, e);
    hone_client_count(l, r);
    if (c == HONE_OK && !r->text && !(r->text = hone_strdup("")))
        c = nomem(e);
    return c;
}

// ---- describing

static json_t *model_json(const endpoint *x) {
    json_t *o = json_pack("{s:s}", "name", x->spec.name);
    if (*x->spec.url)
        json_object_set_new(o, "url", json_string(x->spec.url));
    if (x->has_price)
        json_object_set_new(o, "price", json_pack("{s:f, s:f, s:f}", "input", x->price.input, "cached_input", x->price.cached_input, "output", x->price.output));
    if (x->closed)
        json_object_set_new(o, "closed", json_string(x->why));
    return o;
}

json_t *hone_llm_describe(const hone_llm *l) {
    const hone_llm_totals sum = hone_llm_sum(l), *t = &sum;
    const hone_llm_budget *b = &l->c.budget;
    json_t *models = json_array(), *budget = json_object();
    for (size_t i = 0; i < l->n; i++)
        json_array_append_new(models, model_json(&l->v[i]));
    if (b->cost > 0)
        json_object_set_new(budget, "cost", json_real(b->cost));
    if (b->tokens)
        json_object_set_new(budget, "tokens", json_integer((json_int_t)b->tokens));
    if (b->requests)
        json_object_set_new(budget, "requests", json_integer(b->requests));
    json_t *o = json_pack("{s:o, s:o, s:i, s:i, s:i, s:i, s:I, s:I, s:I, s:b}", "models", models, "budgets", budget, "requests", (int)t->requests, "failed",
                          (int)t->failed, "replayed", (int)t->replayed, "attempts", (int)t->attempts, "input_tokens", (json_int_t)t->input,
                          "cached_input_tokens", (json_int_t)t->cached_input, "output_tokens", (json_int_t)t->output, "estimated", (int)t->estimated);
    if (t->has_cost && t->requests)
        json_object_set_new(o, "cost", json_real(t->cost));
    return o;
}
