// Language models for commands; see models.h.
#include "cli/models.h"
#include <unistd.h>

// ---- shown while it goes on

static void show(void *self, const hone_llm_progress *p) {
    cli_models *m = self;
    pthread_mutex_lock(&m->lock);
    if (p->retry_in_s > 0)
        snprintf(m->shown, sizeof m->shown, "%.60s: trying again in %.0f s", p->model, p->retry_in_s);
    else
        snprintf(m->shown, sizeof m->shown, "%.60s writes: %zu bytes, %.0f s", p->model, p->bytes, p->waited_s);
    if (m->finishing)
        fprintf(stderr, "\r\033[K%s (the last answer; Ctrl-C ends it)", m->shown);
    pthread_mutex_unlock(&m->lock);
}

void cli_models_shown(void *self, char *text, size_t size) {
    cli_models *m = self;
    pthread_mutex_lock(&m->lock);
    snprintf(text, size, "%s", m->authors && hone_writer_waits(hone_authors_writer(m->authors)) ? m->shown : "");
    pthread_mutex_unlock(&m->lock);
}

// ---- opening

hone_code cli_models_open(const cli_options *o, const hone_task *task, const json_t *device, const char *dir, cli_models *m, hone_err *e) {
    *m = (cli_models){.lock = PTHREAD_MUTEX_INITIALIZER, .live = isatty(STDERR_FILENO) && !o->quiet};
    if (o->n_models == 0) {
        if (o->max_cost > 0 || o->max_tokens || o->max_requests || o->prompts || o->model_config)
            return hone_fail(e, HONE_E_USAGE, 0, "options about models need --model");
        return HONE_OK;
    }
    hone_authors_config c = {.models = o->models, .n_models = o->n_models, .config_path = o->model_config, .prompts = o->prompts, .folder = dir,
                             .budget = {o->max_cost, o->max_tokens, o->max_requests}, .seed = o->has_seed ? o->seed : 1, .interrupt = &cli_interrupted,
                             .progress = show, .progress_self = m};
    return hone_authors_open(&c, task, device, &m->authors, e);
}

void cli_models_finish(cli_models *m, bool cancel) {
    if (!m->authors)
        return;
    pthread_mutex_lock(&m->lock);
    m->finishing = m->live && !cancel;
    pthread_mutex_unlock(&m->lock);
    hone_authors_finish(m->authors, cancel);
    if (m->finishing)
        fprintf(stderr, "\r\033[K");
    m->finishing = false;
}

void cli_models_close(cli_models *m) { hone_authors_close(m->authors); }
json_t *cli_models_json(const cli_models *m) { return m->authors ? hone_authors_json(m->authors) : NULL; }

// ---- doctor

static hone_code ask_one(const cli_options *o, const char *model, hone_llm **l, hone_llm_reply *r, hone_err *e) {
    char *config = o->model_config ? hone_strdup(o->model_config) : hone_user_file("models.json");
    hone_llm_config c = {.models = &model, .n_models = 1, .config_path = config, .budget = {o->max_cost, o->max_tokens, o->max_requests}, .seed = 1,
                         .interrupt = &cli_interrupted, .limits = {.retries = 1 /* a test does not insist */}};
    hone_llm_message hello = {"user", "Reply with the single word: ready"};
    hone_llm_request q = {NULL, &hello, 1, 512, "doctor"};
    hone_code code = hone_llm_open(&c, l, e);
    hone_free(config);
    return code == HONE_OK ? hone_llm_ask(*l, 0, &q, r, e) : code;
}

static json_t *test_one(const cli_options *o, const char *model) {
    hone_llm *l = NULL;
    hone_err e = {0};
    hone_llm_reply r = {0};
    hone_clock clock = hone_clock_monotonic();
    double from = hone_now_s(&clock);
    hone_code c = ask_one(o, model, &l, &r, &e);
    bool ok = c == HONE_OK && r.end == HONE_LLM_OK && r.len > 0;
    const char *message = c != HONE_OK ? e.msg : r.end != HONE_LLM_OK ? r.why : ok ? "it answers" : "it answers nothing";
    json_t *j = json_pack("{s:s, s:b, s:s, s:s, s:f}", "model", l ? hone_llm_name(l, 0) : model, "ok", (int)ok, "message", message, "hint", e.hint, "seconds",
                          hone_now_s(&clock) - from);
    if (ok) {
        json_object_set_new(j, "input_tokens", json_integer((json_int_t)r.usage.input));
        json_object_set_new(j, "output_tokens", json_integer((json_int_t)r.usage.output));
    }
    hone_llm_reply_free(&r);
    hone_llm_close(l);
    return j;
}

json_t *cli_models_test(const cli_options *o) {
    json_t *list = json_array();
    for (size_t i = 0; i < o->n_models; i++)
        json_array_append_new(list, test_one(o, o->models[i]));
    return list;
}
