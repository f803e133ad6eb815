// models: see models.h. Half of it is translation: a question of the proposer is a request of the client, a reply an answer.
#include "models/models.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct hone_authors {
    hone_llm *llm;
    hone_models as_seen;
    hone_prompts prompts;
    hone_writer *writer;
    char *device, *identity;
};

// ---- where things are

char *hone_user_file(const char *name) {
    const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    hone_str path;
    hone_str_init(&path, 4096);
    if (xdg && *xdg)
        hone_str_addf(&path, "%s/hone/%s", xdg, name);
    else if (home && *home)
        hone_str_addf(&path, "%s/.config/hone/%s", home, name);
    bool there = path.len && !path.failed && access(path.s, R_OK) == 0;
    char *out = there ? hone_str_take(&path) : NULL;
    hone_str_free(&path);
    return out;
}

static hone_code need_folder(const char *path, hone_err *e) {
    struct stat st;
    if (!path || (stat(path, &st) == 0 && S_ISDIR(st.st_mode)))
        return HONE_OK;
    return hone_fail(e, HONE_E_USAGE, 0, "'%s' is no folder of prompt templates", path);
}

// ---- from the proposer to the wire

static const char *name_of(void *self, size_t model) { return hone_llm_name(((hone_authors *)self)->llm, model); }

enum { MAX_TURNS = 8 };
typedef struct wire { hone_llm_message turns[MAX_TURNS]; hone_llm_request request; } wire;

static void to_wire(const hone_question *q, wire *w) {
    size_t n = q->n_turns < MAX_TURNS ? q->n_turns : MAX_TURNS;
    for (size_t i = 0; i < n; i++)
        w->turns[i] = (hone_llm_message){q->turns[i].role, q->turns[i].text};
    w->request = (hone_llm_request){q->system, w->turns, n, 0, q->tag};
}

static void from_wire(const hone_llm_reply *r, hone_answer *a) {
    *a = (hone_answer){.end = r->end == HONE_LLM_OK ? HONE_ANSWER_TEXT : r->end == HONE_LLM_CLOSED ? HONE_ANSWER_CLOSED : HONE_ANSWER_NONE,
                       .text = r->text,
                       .len = r->len,
                       .cut = r->stop == HONE_LLM_STOP_LENGTH,
                       .tokens = r->usage.input + r->usage.output,
                       .replayed = r->replayed,
                       .reopens = r->reopens};
    a->cost = r->has_cost ? r->cost : (double)a->tokens;
    memcpy(a->key, r->key, sizeof a->key);
    snprintf(a->why, sizeof a->why, "%s", r->why);
}

static hone_code ask(void *self, size_t model, const hone_question *q, hone_answer *a, hone_err *e) {
    hone_authors *m = self;
    wire w;
    hone_llm_reply r;
    to_wire(q, &w);
    hone_code c = hone_llm_ask(m->llm, model, &w.request, &r, e);
    if (c == HONE_OK)
        from_wire(&r, a);
    else
        hone_llm_reply_free(&r);
    return c;
}

static hone_code post(void *self, size_t model, const hone_question *q, uint64_t generation, uint64_t *ticket, hone_err *e) {
    wire w;
    to_wire(q, &w);
    return hone_llm_post(((hone_authors *)self)->llm, model, &w.request, generation, ticket, e);
}

static hone_code take(void *self, uint64_t ticket, uint64_t generation, hone_pace pace, hone_answer *a, bool *ready, hone_err *e) {
    static const hone_llm_phase phases[] = {[HONE_PACE_LIVE] = HONE_LLM_LIVE, [HONE_PACE_REPEATING] = HONE_LLM_REPEATING, [HONE_PACE_IDLE] = HONE_LLM_IDLE};
    hone_llm_reply r;
    hone_code c = hone_llm_take(((hone_authors *)self)->llm, ticket, generation, phases[pace], &r, ready, e);
    if (c == HONE_OK && *ready)
        from_wire(&r, a);
    else
        hone_llm_reply_free(&r);
    return c;
}

static hone_code reopen(void *self, const char *key, uint64_t generation, hone_err *e) {
    return hone_llm_reopen(((hone_authors *)self)->llm, key, generation, e);
}

// ---- opening

static double number(const json_t *o, const char *key) { return json_number_value(json_object_get(o, key)); }

// What a writer of kernels wants to know of the device.
static char *device_words(const json_t *d) {
    static const struct { const char *key, *words; } facts[] = {
        {"sms", "multiprocessors"}, {"threads_per_sm", "threads per multiprocessor"}, {"registers_per_sm", "32-bit registers per multiprocessor"},
        {"shared_per_block", "bytes of shared memory per block at most"}, {"shared_per_sm", "bytes of shared memory per multiprocessor"},
        {"l2_bytes", "bytes of L2 cache"}, {"bandwidth_gbs", "GB/s of device memory"}, {"clock_mhz", "MHz"},
    };
    const char *name = json_string_value(json_object_get(d, "name"));
    hone_str s;
    hone_str_init(&s, 8192);
    hone_str_addf(&s, "- %s, compute capability %.1f\n", name ? name : "unknown", number(d, "compute_capability") / 10);
    for (size_t i = 0; i < HONE_COUNT(facts); i++)
        if (number(d, facts[i].key) > 0)
            hone_str_addf(&s, "- %.0f %s\n", number(d, facts[i].key), facts[i].words);
    return hone_str_take(&s);
}

static char *identity_of(const hone_authors *m) {
    hone_str s;
    hone_str_init(&s, 1 << 16);
    for (size_t i = 0; i < hone_llm_count(m->llm); i++)
        hone_str_addf(&s, "%s ", hone_llm_name(m->llm, i));
    hone_str_addf(&s, "prompts %.16s", m->prompts.hash);
    return hone_str_take(&s);
}

static hone_code open_llm(const hone_authors_config *k, hone_authors *m, hone_err *e) {
    char *config = k->config_path ? hone_strdup(k->config_path) : hone_user_file("models.json"), *store = k->folder ? hone_path_join(k->folder, "exchanges") : NULL;
    hone_llm_config c = {.models = k->models, .n_models = k->n_models, .config_path = config, .store = store, .budget = k->budget, .seed = k->seed,
                         .interrupt = k->interrupt, .progress = k->progress, .progress_self = k->progress_self};
    hone_code code = hone_llm_open(&c, &m->llm, e);
    hone_free(config);
    hone_free(store);
    return code;
}

static hone_code open_prompts(const hone_authors_config *k, hone_authors *m, hone_err *e) {
    char *dir = k->prompts ? hone_strdup(k->prompts) : hone_user_file("prompts");
    hone_code c = need_folder(dir, e);
    if (c == HONE_OK)
        c = hone_prompts_load(dir, &m->prompts, e);
    hone_free(dir);
    return c;
}

static hone_code open_all(const hone_authors_config *k, const hone_task *task, const json_t *device, hone_authors *m, hone_err *e) {
    HONE_TRY(open_llm(k, m, e));
    HONE_TRY(open_prompts(k, m, e));
    m->as_seen = (hone_models){m, hone_llm_count(m->llm), name_of, ask, post, take, hone_llm_replays(m->llm) ? NULL : reopen};
    m->device = device_words(device);
    m->identity = identity_of(m);
    if (!m->device || !m->identity)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory");
    hone_writer_config c = {task, &m->as_seen, &m->prompts, m->device, number(device, "bandwidth_gbs")};
    return hone_writer_new(&c, &m->writer, e);
}

hone_code hone_authors_open(const hone_authors_config *k, const hone_task *task, const json_t *device, hone_authors **out, hone_err *e) {
    hone_authors *m = hone_calloc(1, sizeof *m);
    *out = NULL;
    if (!m)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory");
    hone_code c = open_all(k, task, device, m, e);
    if (c == HONE_OK)
        *out = m;
    else
        hone_authors_close(m);
    return c;
}

hone_writer *hone_authors_writer(const hone_authors *m) { return m->writer; }
const char *hone_authors_identity(const hone_authors *m) { return m->identity; }
void hone_authors_finish(hone_authors *m, bool cancel) { hone_llm_finish(m->llm, cancel); }

void hone_authors_close(hone_authors *m) {
    if (!m)
        return;
    hone_llm_close(m->llm);   // first: its thread may still tell what it does
    hone_writer_free(m->writer);
    hone_prompts_free(&m->prompts);
    hone_free(m->device);
    hone_free(m->identity);
    hone_free(m);
}

// ---- telling

static json_t *note_json(const hone_writer_note *n) {
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I}", "model", n->model, "move", n->move, "template", n->style, "exchange", n->key, "outcome", n->outcome,
                          "tokens", (json_int_t)n->tokens);
    if (*n->exemplars)
        json_object_set_new(o, "exemplars", json_string(n->exemplars));
    json_t *detail = *n->detail ? json_string(n->detail) : NULL;   // NULL too when it was cut inside a character
    if (detail)
        json_object_set_new(o, "detail", detail);
    if (n->has_candidate)
        json_object_set_new(o, "candidate", json_integer((json_int_t)n->candidate));
    if (n->gain > 0)
        json_object_set_new(o, "gain", json_real(n->gain));
    return o;
}

json_t *hone_authors_json(const hone_authors *m) {
    json_t *o = hone_llm_describe(m->llm), *list = json_array();
    const hone_writer_note *notes;
    size_t n = hone_writer_notes(m->writer, &notes);
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, note_json(&notes[i]));
    json_object_set_new(o, "prompts", json_string(m->prompts.hash));
    json_object_set_new(o, "exchanges", list);
    return o;
}
