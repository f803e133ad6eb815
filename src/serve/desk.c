// serve/desk: reward requests as candidates in a bounded queue. See reward.h. A candidate is evaluated once per text: answers are kept for a while, since trainers
// sample the same text often. A speedup above SUSPICIOUS is evaluated again with other inputs before it counts, and the lower one counts.
#include "export/score.h"
#include "serve/reward.h"
#include <stdio.h>
#include <string.h>

enum { KEPT = 1024 };
#define SUSPICIOUS 3.0
#define FIRST_GUESS_S 2.0

typedef enum item_state { ITEM_WAITS, ITEM_RUNS, ITEM_DONE } item_state;
typedef struct item {
    item_state state;
    size_t task;
    char *text;                      // NULL: there was no candidate in the reply
    char key[HONE_HASH_HEX];         // of task and text
    char sha[HONE_HASH_HEX];
    uint64_t job;
    bool again;                      // the second evaluation of a suspicious speedup
    json_t *first;                   // the first one's answer
    json_t *answer;
} item;
struct hone_desk_request {
    hone_desk_request *next;
    item *v;
    size_t n, n_done;
    double seconds;
};
typedef struct kept { char key[HONE_HASH_HEX]; json_t *answer; } kept;
struct hone_desk {
    hone_reward_config c;
    hone_desk_request *requests;     // oldest first
    double baseline_us[HONE_REWARD_MAX_TASKS];
    bool has_baseline[HONE_REWARD_MAX_TASKS], failed[HONE_REWARD_MAX_TASKS];
    uint64_t baseline_job;           // 0: none runs
    size_t baseline_task;
    uint64_t next_job;
    unsigned waiting, running;
    uint64_t evaluated;
    double seconds;                  // spent by workers on them
    kept kept[KEPT];
    size_t n_kept;
};

static hone_code nomem(hone_err *e) { return hone_fail(e, HONE_E_NOMEM, 0, "out of memory"); }

// ---- life

hone_code hone_desk_open(const hone_reward_config *c, hone_desk **out, hone_err *e) {
    *out = NULL;
    if (c->n_tasks == 0 || c->n_tasks > HONE_REWARD_MAX_TASKS)
        return hone_fail(e, HONE_E_USAGE, 0, "between 1 and %d tasks are needed", HONE_REWARD_MAX_TASKS);
    for (size_t i = 0; i < c->n_tasks; i++)
        for (size_t k = 0; k < i; k++)
            if (!strcmp(c->tasks[i]->name, c->tasks[k]->name))
                return hone_fail(e, HONE_E_USAGE, 0, "two tasks have the name '%s'", c->tasks[i]->name);
    hone_desk *d = hone_calloc(1, sizeof *d);
    if (!d)
        return nomem(e);
    d->c = *c;
    d->c.queue = c->queue ? c->queue : HONE_REWARD_QUEUE;
    *out = d;
    return HONE_OK;
}

static void free_request(hone_desk_request *r) {
    for (size_t i = 0; i < r->n; i++) {
        hone_free(r->v[i].text);
        json_decref(r->v[i].first);
        json_decref(r->v[i].answer);
    }
    hone_free(r->v);
    hone_free(r);
}

void hone_desk_close(hone_desk *d) {
    if (!d)
        return;
    for (hone_desk_request *r = d->requests, *next; r; r = next) {
        next = r->next;
        free_request(r);
    }
    for (size_t i = 0; i < KEPT; i++)
        json_decref(d->kept[i].answer);
    hone_free(d);
}

// ---- answers

static void keep_answer(hone_desk *d, const item *x) {
    kept *k = &d->kept[d->n_kept++ % KEPT];
    json_decref(k->answer);
    memcpy(k->key, x->key, sizeof k->key);
    k->answer = json_incref(x->answer);
}

static json_t *kept_answer(const hone_desk *d, const char *key) {
    for (size_t i = 0; i < KEPT; i++)
        if (d->kept[i].answer && !strcmp(d->kept[i].key, key))
            return json_incref(d->kept[i].answer);
    return NULL;
}

static json_t *findings_of(const json_t *outcome) {
    json_t *list = json_array(), *f;
    size_t i;
    json_array_foreach(json_object_get(outcome, "findings"), i, f) {
        static const char *const keys[] = {"kind", "stage", "severity", "message", "line"};
        json_t *o = json_object();
        for (size_t k = 0; k < HONE_COUNT(keys); k++)
            if (json_object_get(f, keys[k]))
                json_object_set(o, keys[k], json_object_get(f, keys[k]));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *make_answer(const hone_desk *d, const item *x, const json_t *outcome, json_t *findings) {
    double reward = 0;
    json_t *components = hone_score_components(outcome, d->baseline_us[x->task], &reward);
    json_t *o = json_pack("{s:s, s:f, s:o, s:o, s:s, s:s}", "task", d->c.tasks[x->task]->name, "reward", reward, "components", components, "findings", findings,
                          "task_hash", d->c.tasks[x->task]->hash, "text_sha256", x->sha);
    const char *ptx = json_string_value(json_object_get(json_object_get(outcome, "compile"), "program_hash"));
    if (o && ptx)
        json_object_set_new(o, "ptx_hash", json_string(ptx));
    if (o && outcome)
        json_object_set(o, "seconds", json_object_get(outcome, "seconds"));
    return o;
}

static json_t *refusal(const char *kind, const char *message) {
    return json_pack("[{s:s, s:s, s:s, s:s}]", "kind", kind, "stage", "reply", "severity", "refuse", "message", message);
}

static void finish(hone_desk *d, hone_desk_request *r, item *x, json_t *answer, bool worth_keeping) {
    x->answer = answer ? answer : json_object();
    x->state = ITEM_DONE;
    r->n_done++;
    if (worth_keeping)
        keep_answer(d, x);
}

// ---- taking a request

static hone_code bad(hone_err *e, size_t i, const char *what) { return hone_fail(e, HONE_E_PARSE, 0, "items[%zu]: %s", i, what); }

static hone_code read_item(const hone_desk *d, const json_t *j, size_t i, item *x, hone_err *e) {
    const json_t *reply = json_object_get(j, "completion"), *text = json_object_get(j, "text");
    const char *task = json_string_value(json_object_get(j, "task")), *key, *why = NULL;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)j, key, v)
        if (strcmp(key, "task") && strcmp(key, "completion") && strcmp(key, "text") && strcmp(key, "id"))
            return bad(e, i, "has a member besides task, completion, text and id");
    if (!task || (!json_is_string(reply) && !json_is_string(text)) || (reply && text))
        return bad(e, i, "needs \"task\" and one of \"completion\" and \"text\", all of them texts");
    for (x->task = 0; x->task < d->c.n_tasks && strcmp(d->c.tasks[x->task]->name, task) != 0;)
        x->task++;
    if (x->task == d->c.n_tasks)
        return bad(e, i, "names a task that this server does not have");
    const char *s = json_string_value(reply ? reply : text), *from = s;
    size_t n = strlen(s), len = n;
    if (n > HONE_REWARD_MAX_TEXT)
        return bad(e, i, "is too long");
    if (reply)
        from = hone_reward_extract(s, n, &len, &why);
    hone_sha256_hex(from ? from : s, from ? len : n, x->sha);
    char both[2 * HONE_HASH_HEX];
    int k = snprintf(both, sizeof both, "%.64s%.64s", d->c.tasks[x->task]->hash, x->sha);
    hone_sha256_hex(both, (size_t)k, x->key);
    if (from)
        return (x->text = hone_strndup(from, len)) ? HONE_OK : nomem(e);
    x->answer = make_answer(d, x, NULL, refusal("reply.no-candidate", why));
    x->state = ITEM_DONE;
    return HONE_OK;
}

static hone_code read_items(const hone_desk *d, const json_t *body, hone_desk_request *r, hone_err *e) {
    const json_t *items = json_object_get(body, "items");
    const char *schema = json_string_value(json_object_get(body, "schema"));
    if (schema && strcmp(schema, HONE_REWARD_SCHEMA) != 0)
        return hone_fail(e, HONE_E_PARSE, 0, "the schema must be " HONE_REWARD_SCHEMA);
    if (!json_is_array(items) || !json_array_size(items) || json_array_size(items) > HONE_REWARD_MAX_ITEMS)
        return hone_fail(e, HONE_E_PARSE, 0, "\"items\" must be an array of 1 to %d objects", HONE_REWARD_MAX_ITEMS);
    r->v = hone_calloc(json_array_size(items), sizeof *r->v);
    if (!r->v)
        return nomem(e);
    for (; r->n < json_array_size(items); r->n++)
        HONE_TRY(read_item(d, json_array_get(items, r->n), r->n, &r->v[r->n], e));
    return HONE_OK;
}

static unsigned estimate_s(const hone_desk *d) {
    double each = d->evaluated ? d->seconds / (double)d->evaluated : FIRST_GUESS_S, workers = d->c.workers ? d->c.workers : 1;
    double s = each * (d->waiting + d->running) / workers;
    return s < 1 ? 1 : s > 3600 ? 3600 : (unsigned)s + 1;
}

static void append(hone_desk *d, hone_desk_request *r) {
    hone_desk_request **at = &d->requests;
    while (*at)
        at = &(*at)->next;
    *at = r;
    for (size_t i = 0; i < r->n; i++) {
        item *x = &r->v[i];
        json_t *known = x->state == ITEM_WAITS ? kept_answer(d, x->key) : NULL;
        if (known)
            finish(d, r, x, known, false);
        else if (x->state == ITEM_WAITS)
            d->waiting++;
        else
            r->n_done++;
    }
}

void hone_desk_take(hone_desk *d, const char *body, size_t n, hone_desk_request **out, unsigned *status, unsigned *retry_after_s, hone_err *e) {
    json_t *j = json_loadb(body, n, JSON_REJECT_DUPLICATES, NULL);
    hone_desk_request *r = hone_calloc(1, sizeof *r);
    hone_code c = !r ? nomem(e) : json_is_object(j) ? read_items(d, j, r, e) : hone_fail(e, HONE_E_PARSE, 0, "the body is no JSON object");
    json_decref(j);
    *out = NULL;
    *status = c == HONE_OK ? 200 : c == HONE_E_NOMEM ? 503 : 400;
    // an empty desk takes any request: one that is larger than the queue must not be sent away for ever
    if (c == HONE_OK && d->waiting && d->waiting + r->n > d->c.queue) {
        *status = 429;
        *retry_after_s = estimate_s(d);
        hone_fail(e, HONE_E_BUSY, 0, "%u candidates wait, and %zu more are more than the queue of %u takes", d->waiting, r->n, d->c.queue);
    }
    if (*status == 200) {
        append(d, r);
        *out = r;
    } else if (r) {
        r->n = r->v ? r->n + (c != HONE_OK && r->n < HONE_REWARD_MAX_ITEMS) : 0;   // the item that failed may own a text
        free_request(r);
    }
}

// ---- working

static uint64_t other_seed(uint64_t seed) { return hone_hash64(&seed, sizeof seed, 0x5c0e) >> 1; }

static hone_code submit(hone_desk *d, size_t task, const char *text, bool again, uint64_t *job, hone_err *e) {
    const hone_task *t = d->c.tasks[task];
    hone_job j = {.id = ++d->next_job, .task_path = t->path, .task_text = t->text, .candidate_text = text, .stages = HONE_STAGE_ALL,
                  .seed = again ? other_seed(d->c.seed) : d->c.seed, .time_limit_s = d->c.job_time_limit_s};
    HONE_TRY(d->c.evaluator.submit(d->c.evaluator.self, &j, e));
    *job = j.id;
    return HONE_OK;
}

// A task's baseline comes before its first candidate. true: it is being evaluated, or was handed out now.
static bool needs_baseline(hone_desk *d, size_t task, hone_code *c, hone_err *e) {
    if (d->has_baseline[task] || d->failed[task])
        return false;
    if (!d->baseline_job) {
        *c = submit(d, task, NULL, false, &d->baseline_job, e);
        d->baseline_task = task;
    }
    return true;
}

static hone_code hand_out(hone_desk *d, hone_err *e) {
    for (hone_desk_request *r = d->requests; r; r = r->next)
        for (size_t i = 0; i < r->n; i++) {
            item *x = &r->v[i];
            hone_code c = HONE_OK;
            if (x->state != ITEM_WAITS)
                continue;
            if (!d->c.evaluator.free_slots(d->c.evaluator.self))
                return HONE_OK;
            if (needs_baseline(d, x->task, &c, e)) {
                HONE_TRY(c);
                continue;
            }
            d->waiting--;
            if (d->failed[x->task]) {
                finish(d, r, x, make_answer(d, x, NULL, refusal("task.refused", "the task's own baseline was refused")), false);
                continue;
            }
            HONE_TRY(submit(d, x->task, x->text, x->again, &x->job, e));
            x->state = ITEM_RUNS;
            d->running++;
        }
    return HONE_OK;
}

static void take_baseline(hone_desk *d, const hone_outcome *o) {
    d->baseline_job = 0;
    d->has_baseline[d->baseline_task] = o->verdict == HONE_PASS && o->has_time;
    d->failed[d->baseline_task] = !d->has_baseline[d->baseline_task];
    d->baseline_us[d->baseline_task] = o->has_time ? o->time_us : 0;
}

static double reward_of(const json_t *answer) { return json_number_value(json_object_get(answer, "reward")); }

static void take_item(hone_desk *d, hone_desk_request *r, item *x, const hone_outcome *o) {
    json_t *answer = make_answer(d, x, o->json, findings_of(o->json));
    double speedup = json_number_value(json_object_get(json_object_get(answer, "components"), "speedup"));
    d->running--;
    d->evaluated++;
    d->seconds += o->seconds;
    if (!x->again && speedup > SUSPICIOUS) {
        x->again = true;
        x->first = answer;
        x->state = ITEM_WAITS;
        d->waiting++;
        return;
    }
    if (x->again && reward_of(answer) > reward_of(x->first)) {
        json_decref(answer);
        answer = json_incref(x->first);
    }
    if (x->again)
        json_object_set_new(json_object_get(answer, "components"), "evaluated_twice", json_true());
    finish(d, r, x, answer, o->verdict != HONE_ERROR);
}

static void deliver(hone_desk *d, const hone_outcome *o) {
    if (d->baseline_job && o->id == d->baseline_job) {
        take_baseline(d, o);
        return;
    }
    for (hone_desk_request *r = d->requests; r; r = r->next)
        for (size_t i = 0; i < r->n; i++)
            if (r->v[i].state == ITEM_RUNS && r->v[i].job == o->id) {
                take_item(d, r, &r->v[i], o);
                return;
            }
}

bool hone_desk_busy(const hone_desk *d) { return d->waiting || d->running || d->baseline_job; }

hone_code hone_desk_work(hone_desk *d, int timeout_ms, hone_err *e) {
    hone_err wait = {0};
    hone_outcome *o = NULL;
    HONE_TRY(hand_out(d, e));
    if (!d->running && !d->baseline_job)
        return HONE_OK;
    hone_code c = d->c.evaluator.wait(d->c.evaluator.self, timeout_ms, NULL, &o, &wait);
    if (c == HONE_OK) {
        deliver(d, o);
        hone_outcome_free(o);
        return hand_out(d, e);
    }
    return c == HONE_E_TIMEOUT ? HONE_OK : hone_fail(e, c, wait.sub, "%s", wait.msg);
}

// ---- a request's end

bool hone_desk_done(const hone_desk_request *r) { return r->n_done == r->n; }

bool hone_desk_started_all(const hone_desk_request *r) {
    for (size_t i = 0; i < r->n; i++)
        if (r->v[i].state == ITEM_WAITS)
            return false;
    return true;
}

json_t *hone_desk_answer(const hone_desk_request *r) {
    json_t *rewards = json_array(), *items = json_array();
    for (size_t i = 0; i < r->n; i++) {
        json_array_append_new(rewards, json_real(reward_of(r->v[i].answer)));
        json_array_append(items, r->v[i].answer);
    }
    return json_pack("{s:s, s:o, s:o}", "schema", HONE_REWARD_SCHEMA, "rewards", rewards, "items", items);
}

void hone_desk_drop(hone_desk *d, hone_desk_request *r) {
    hone_desk_request **at = &d->requests;
    while (*at && *at != r)
        at = &(*at)->next;
    if (*at)
        *at = r->next;
    for (size_t i = 0; i < r->n; i++) {
        d->waiting -= r->v[i].state == ITEM_WAITS;
        if (r->v[i].state != ITEM_RUNS)
            continue;
        d->running--;
        if (d->c.cancel)
            d->c.cancel(d->c.evaluator.self, r->v[i].job);
    }
    free_request(r);
}

json_t *hone_desk_status(const hone_desk *d) {
    return json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:I}", "schema", "hone.health/1", "ok", 1, "waiting", (json_int_t)d->waiting, "running", (json_int_t)d->running,
                     "queue", (json_int_t)d->c.queue, "evaluated", (json_int_t)d->evaluated, "workers", (json_int_t)d->c.workers);
}

json_t *hone_desk_tasks(const hone_desk *d) {
    json_t *list = json_array();
    for (size_t i = 0; i < d->c.n_tasks; i++) {
        hone_str s;
        hone_str_init(&s, 16 << 20);
        hone_prompt_input in = {.task_text = d->c.tasks[i]->text};
        hone_prompt_write(&in, &s);
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "name", d->c.tasks[i]->name, "hash", d->c.tasks[i]->hash, "prompt", s.s));
        hone_str_free(&s);
    }
    return json_pack("{s:s, s:o}", "schema", "hone.tasks/1", "tasks", list);
}
