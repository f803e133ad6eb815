// llm/queue: asking without waiting. A thread sends what was posted, one request after another: budgets are exact, because what the one before it cost is known.
// An answer is kept as soon as it is there, and the step at which the caller took it is added when it does; a run that is repeated takes it at that step.
#include "llm/internal.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>

typedef enum state { QUEUED, SENDING, ANSWERED, TAKEN } state;
typedef struct posted {
    size_t model;
    hone_llm_request q;   // owns its texts
    hone_llm_message *messages;
    uint64_t at;
    state state;
    bool recorded;        // found, or known not to be there: nothing to be sent
    bool missing;         // of a recording: no answer in it
    hone_llm_reply r;
    hone_code code;       // of asking
    hone_err err;
} posted;
struct hone_queue {
    HONE_VEC(posted *) v;   // index = ticket
    size_t next;            // the thread has sent what is before it
    bool started, quit;
    pthread_t thread;
    pthread_cond_t more;
};
typedef struct hone_queue queue;

static hone_code nomem(hone_err *e) { return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the model client"); }

// ---- what is posted

static void free_request(posted *p) {
    for (size_t i = 0; i < p->q.n_messages && p->messages; i++) {
        hone_free((char *)(uintptr_t)p->messages[i].role);
        hone_free((char *)(uintptr_t)p->messages[i].text);
    }
    hone_free(p->messages);
    hone_free((char *)(uintptr_t)p->q.system);
    hone_free((char *)(uintptr_t)p->q.tag);
    p->messages = NULL;
    p->q = (hone_llm_request){0};
}

static void free_posted(posted *p) {
    if (!p)
        return;
    free_request(p);
    hone_llm_reply_free(&p->r);
    hone_free(p);
}

static bool copy_text(const char *from, const char **to) {
    *to = from ? hone_strdup(from) : NULL;
    return !from || *to;
}

static posted *copy_request(const hone_llm *l, size_t model, const hone_llm_request *q, uint64_t at) {
    posted *p = hone_calloc(1, sizeof *p);
    if (!p)
        return NULL;
    *p = (posted){.model = model, .at = at, .q = {.max_tokens = q->max_tokens ? q->max_tokens : l->limits.max_tokens}};
    p->messages = hone_calloc(q->n_messages + 1, sizeof *p->messages);
    bool ok = p->messages && copy_text(q->system, &p->q.system) && copy_text(q->tag, &p->q.tag) && (p->r.text = hone_strdup(""));
    for (size_t i = 0; ok && i < q->n_messages; i++) {
        ok = copy_text(q->messages[i].role, &p->messages[i].role);
        p->q.n_messages = i + 1;
        ok = ok && copy_text(q->messages[i].text, &p->messages[i].text);
    }
    p->q.messages = p->messages;
    if (ok)
        return p;
    free_posted(p);
    return NULL;
}

// ---- the thread

static hone_code send_one(hone_llm *l, posted *p, hone_err *e) {
    pthread_mutex_lock(&l->lock);
    bool closed = l->v[p->model].closed;
    if (closed)
        hone_client_close(&l->v[p->model], &p->r, l->v[p->model].why);
    pthread_mutex_unlock(&l->lock);
    hone_code c = closed ? HONE_OK : hone_client_send(l, p->model, &p->q, &p->r, e);
    hone_client_count(l, &p->r);
    p->r.asked = p->at;
    return c == HONE_OK && l->has_recording ? hone_exchange_save(&l->recording, l->v[p->model].spec.name, &p->q, &p->r, e) : c;
}

static posted *next_posted(hone_llm *l) {
    queue *q = l->queue;
    posted *p = NULL;
    pthread_mutex_lock(&l->lock);
    while (!p && !q->quit) {
        while (q->next < q->v.n && q->v.v[q->next]->recorded)
            q->next++;
        if (q->next < q->v.n)
            p = q->v.v[q->next++];
        else
            pthread_cond_wait(&q->more, &l->lock);
    }
    if (p)
        p->state = SENDING;
    pthread_mutex_unlock(&l->lock);
    return p;
}

static void *run(void *self) {
    hone_llm *l = self;
    for (posted *p; (p = next_posted(l));) {
        hone_err e = {0};
        hone_code c = send_one(l, p, &e);
        pthread_mutex_lock(&l->lock);
        p->code = c;
        p->err = e;
        p->state = ANSWERED;
        pthread_mutex_unlock(&l->lock);
    }
    return NULL;
}

// ---- posting

static hone_code need_queue(hone_llm *l, hone_err *e) {
    if (l->queue)
        return HONE_OK;
    if (!(l->queue = hone_calloc(1, sizeof *l->queue)))
        return nomem(e);
    if (pthread_cond_init(&l->queue->more, NULL) == 0)
        return HONE_OK;
    hone_free(l->queue);
    l->queue = NULL;
    return nomem(e);
}

// Signals belong to the thread that called: it looks at its interrupt.
static hone_code need_thread(hone_llm *l, hone_err *e) {
    if (l->queue->started)
        return HONE_OK;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool ok = pthread_create(&l->queue->thread, NULL, run, l) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    l->queue->started = ok;
    return ok ? HONE_OK : hone_fail(e, HONE_E_IO, 0, "cannot start a thread for the model's answers");
}

static hone_code look_up(hone_llm *l, posted *p, hone_err *e) {
    bool found;
    HONE_TRY(hone_client_key(l, p->model, &p->q, &p->r, e));
    HONE_TRY(hone_client_find(l, &p->q, &p->r, &found, e));
    p->recorded = found || l->recording.only;
    p->missing = !found && l->recording.only;
    if (!p->recorded)
        return HONE_OK;
    if (p->missing && !hone_recording_has_steps(&l->recording))
        hone_client_close(&l->v[p->model], &p->r, "the recording holds no answer to this request");
    else if (found && !hone_client_over(l, p->model, &p->q, &p->r))
        hone_client_count(l, &p->r);
    p->state = ANSWERED;
    return HONE_OK;
}

hone_code hone_llm_post(hone_llm *l, size_t model, const hone_llm_request *request, uint64_t at, uint64_t *ticket, hone_err *e) {
    HONE_TRY(need_queue(l, e));
    posted *p = copy_request(l, model, request, at);
    if (!p)
        return nomem(e);
    hone_code c = look_up(l, p, e);
    if (c == HONE_OK && !p->recorded)
        c = need_thread(l, e);
    pthread_mutex_lock(&l->lock);
    if (c == HONE_OK && !hone_vec_push(&l->queue->v, p))
        c = nomem(e);
    *ticket = l->queue->v.n - 1;
    pthread_cond_signal(&l->queue->more);
    pthread_mutex_unlock(&l->lock);
    if (c != HONE_OK)
        free_posted(p);
    return c;
}

// ---- taking

static bool due(const hone_llm *l, const posted *p, uint64_t at, hone_llm_phase phase) {
    const hone_llm_reply *r = &p->r;
    if (p->state != ANSWERED)
        return false;
    if (p->missing)   // it had not come when the recording ended
        return phase == HONE_LLM_IDLE || r->end == HONE_LLM_CLOSED;
    if (p->recorded && r->replayed && r->joined)
        return at >= r->joined;
    if (p->recorded && (!r->replayed || !r->asked))
        return true;   // recorded without steps, or above its budget
    if (at <= p->at)
        return false;   // never at the step at which it was asked: within a step the order would depend on time
    return phase == HONE_LLM_IDLE || (phase == HONE_LLM_LIVE && !l->recording.only);
}

// The step is kept with what was answered, before anything that follows from it is.
static hone_code join(hone_llm *l, posted *p, uint64_t at, hone_err *e) {
    bool keeps = l->has_recording && !l->recording.only && p->r.asked && !p->r.joined && p->code == HONE_OK;
    p->r.joined = p->r.joined ? p->r.joined : at;
    return keeps ? hone_exchange_mark(&l->recording, p->r.key, "joined", at, e) : HONE_OK;
}

hone_code hone_llm_take(hone_llm *l, uint64_t ticket, uint64_t at, hone_llm_phase phase, hone_llm_reply *r, bool *ready, hone_err *e) {
    *r = (hone_llm_reply){0};
    pthread_mutex_lock(&l->lock);
    posted *p = l->queue->v.v[ticket];
    *ready = due(l, p, at, phase);
    if (*ready)
        p->state = TAKEN;
    pthread_mutex_unlock(&l->lock);
    if (!*ready)
        return HONE_OK;
    if (p->missing)
        hone_client_close(&l->v[p->model], &p->r, "the recording holds no answer to this request");
    hone_code c = p->code;
    if (c != HONE_OK)
        hone_fail(e, c, p->err.sub, "%s", p->err.msg);
    else
        c = join(l, p, at, e);
    *r = p->r;
    p->r = (hone_llm_reply){0};
    free_request(p);
    if (!r->text && !(r->text = hone_strdup("")) && c == HONE_OK)
        c = nomem(e);
    return c;
}

hone_code hone_llm_reopen(hone_llm *l, const char *key, uint64_t at, hone_err *e) {
    return l->has_recording && !l->recording.only ? hone_exchange_mark(&l->recording, key, "reopened", at, e) : HONE_OK;
}

// ---- the end

void hone_llm_finish(hone_llm *l, bool cancel) {
    queue *q = l->queue;
    if (!q || !q->started)
        return;
    pthread_mutex_lock(&l->lock);
    q->quit = true;
    l->quit = cancel;
    pthread_cond_signal(&q->more);
    pthread_mutex_unlock(&l->lock);
    pthread_join(q->thread, NULL);
    q->started = false;
}

void hone_queue_free(hone_llm *l) {
    queue *q = l->queue;
    if (!q)
        return;
    for (size_t i = 0; i < q->v.n; i++)
        free_posted(q->v.v[i]);
    hone_vec_free(&q->v);
    pthread_cond_destroy(&q->more);
    hone_free(q);
    l->queue = NULL;
}
