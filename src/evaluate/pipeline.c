// Jobs on their way through the pool. On the virtual GPU one worker does a whole job. On physical devices a job goes first to a host worker
// (static rules, compilation, sanitizing, profile: none of them needs the device), waits there in order, and then to a device's worker
// (differential tests, timing); the two answers become one. So the device times one candidate while the next ones are prepared.
#include "evaluate/pool_internal.h"
#include <string.h>

enum {
    HOST_STAGES = HONE_STAGE_STATIC | HONE_STAGE_COMPILE | HONE_STAGE_SANITIZE | HONE_STAGE_PROFILE,
    GPU_STAGES = HONE_STAGE_DIFFERENTIAL | HONE_STAGE_TIME,
    READY_PER_DEVICE = 4   // jobs that wait, prepared, for a device
};

bool hone_pipeline_open(hone_pool *p) {
    p->n_tickets = p->n + READY_PER_DEVICE * hone_pool_devices(p);
    p->tickets = hone_calloc(p->n_tickets, sizeof *p->tickets);
    return p->tickets != NULL;
}

static void release(pool_ticket *t) {
    if (t->phase == TICKET_FREE)
        return;
    hone_job_message_free(&t->job);
    hone_outcome_free(t->host);
    *t = (pool_ticket){0};
}

void hone_pipeline_close(hone_pool *p) {
    for (unsigned i = 0; p->tickets && i < p->n_tickets; i++)
        release(&p->tickets[i]);
    hone_job_message_free(&p->race);
    hone_free(p->tickets);
}

unsigned hone_pool_free_slots(const hone_pool *p) {
    unsigned n = 0;
    if (!p->physical)
        return hone_crew_free(p, HONE_WORKER_WHOLE);
    for (unsigned i = 0; i < p->n_tickets; i++)
        n += p->tickets[i].phase == TICKET_FREE;
    return n;
}

// ---- which worker does what

// Compilation alone is for hosts; timing alone needs no host: the device's worker finds the program in the compile cache.
static bool needs_host(const hone_job *j) { return j->on_virtual || !(j->stages & GPU_STAGES) || (j->stages & (HONE_STAGE_SANITIZE | HONE_STAGE_PROFILE)); }
static bool needs_gpu(const hone_job *j) { return !j->on_virtual && (j->stages & GPU_STAGES); }

static hone_code send(hone_pool *p, pool_ticket *t, hone_err *e) {
    hone_job j = t->job.job;
    bool host = t->phase == TICKET_HOST_WAITS, both = needs_host(&j) && needs_gpu(&j);
    if (both)
        j.stages &= host ? (unsigned)HOST_STAGES : (unsigned)(GPU_STAGES | HONE_STAGE_STATIC | HONE_STAGE_COMPILE);
    if (both && host)
        j.want_artifacts = false;
    if (!host && j.timing_enough > 0 && j.candidate_text && p->race.json) {
        j.rival = p->race.job.rival;
        j.race_ratio = p->race.job.race_ratio;
    }
    HONE_TRY(hone_crew_submit(p, host ? HONE_WORKER_HOST : HONE_WORKER_GPU, &j, e));
    t->phase = host ? TICKET_HOST_RUNS : TICKET_GPU_RUNS;
    return HONE_OK;
}

static bool is_before(const pool_ticket *a, const pool_ticket *b) { return a->rank != b->rank ? a->rank < b->rank : a->order < b->order; }

static pool_ticket *first_in(hone_pool *p, ticket_phase phase) {
    pool_ticket *found = NULL;
    for (unsigned i = 0; i < p->n_tickets; i++)
        if (p->tickets[i].phase == phase && (!found || is_before(&p->tickets[i], found)))
            found = &p->tickets[i];
    return found;
}

// Gives free workers what waits for them, by rank.
static hone_code pump(hone_pool *p, hone_err *e) {
    if (p->failed.code != HONE_OK) {
        if (e)
            *e = p->failed;
        return p->failed.code;
    }
    static const struct { ticket_phase waits; hone_worker_kind kind; } lanes[] = {{TICKET_GPU_WAITS, HONE_WORKER_GPU}, {TICKET_HOST_WAITS, HONE_WORKER_HOST}};
    for (size_t i = 0; i < HONE_COUNT(lanes); i++)
        for (;;) {
            pool_ticket *t = first_in(p, lanes[i].waits);
            if (!t || (!hone_crew_free(p, lanes[i].kind) && hone_crew_busy(p)))
                break;
            HONE_TRY(send(p, t, e));
        }
    return HONE_OK;
}

static hone_code copy_job(const hone_job *j, hone_job_message *out, hone_err *e) {
    char *text = hone_job_dump(j);
    if (!text)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a job, or its text is not UTF-8");
    hone_code c = strlen(text) > HONE_MAX_JOB ? hone_fail(e, HONE_E_LIMIT, 0, "a job of %zu bytes is too long", strlen(text)) : hone_job_parse(text, strlen(text), out, e);
    hone_free(text);
    return c;
}

hone_code hone_pool_race(hone_pool *p, const hone_job *j, hone_err *e) {
    hone_job_message next;
    if (!p->physical)
        return HONE_OK;
    HONE_TRY(copy_job(j, &next, e));
    hone_job_message_free(&p->race);
    p->race = next;
    return HONE_OK;
}

static hone_code take_in(hone_pool *p, const hone_job *j, hone_err *e) {
    pool_ticket *t = first_in(p, TICKET_FREE);
    if (!t)
        return hone_fail(e, HONE_E_BUSY, 0, "all %u places are taken", p->n_tickets);
    HONE_TRY(copy_job(j, &t->job, e));
    t->order = ++p->next_order;
    t->rank = j->rank;
    t->phase = needs_host(&t->job.job) ? TICKET_HOST_WAITS : TICKET_GPU_WAITS;
    return HONE_OK;
}

hone_code hone_pool_submit(hone_pool *p, const hone_job *j, hone_err *e) {
    if (!p->physical)
        return hone_crew_submit(p, HONE_WORKER_WHOLE, j, e);
    HONE_TRY(take_in(p, j, e));
    return pump(p, e);
}

void hone_pool_cancel(hone_pool *p, uint64_t id) {
    for (unsigned i = 0; i < p->n_tickets; i++)
        if (p->tickets[i].phase != TICKET_FREE && p->tickets[i].job.job.id == id)
            release(&p->tickets[i]);
    hone_crew_cancel(p, id);
}

// ---- two answers into one

static bool is_early(const json_t *o, const char *key) {
    const char *name = json_string_value(json_object_get(o, key));
    return name && (!strcmp(name, "static") || !strcmp(name, "compile"));
}

static bool has(const json_t *list, const char *key, const char *value) {
    json_t *x;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)list, i, x) {
        const char *v = json_string_value(json_object_get(x, key));
        if (v && value && !strcmp(v, value))
            return true;
    }
    return false;
}

// The host's list, then what the device's worker has beyond repeating the early stages. A later stage that both did is the device's.
static json_t *join(const json_t *host, const json_t *gpu, const char *key, bool all) {
    json_t *list = json_array(), *x;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)host, i, x) if (is_early(x, key) || !has(gpu, key, json_string_value(json_object_get(x, key)))) json_array_append(list, x);
    json_array_foreach((json_t *)(uintptr_t)gpu, i, x) if (all || !is_early(x, key)) json_array_append(list, x);
    return list;
}

hone_code hone_outcome_merge(const hone_outcome *host, const hone_outcome *gpu, hone_outcome **out, hone_err *e) {
    json_t *o = json_copy(host->json);
    if (!o)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for an outcome");
    bool refused_early = gpu->verdict != HONE_PASS && !(gpu->stages_passed & HONE_STAGE_COMPILE);
    json_object_update(o, gpu->json);
    json_object_set_new(o, "stages", join(json_object_get(host->json, "stages"), json_object_get(gpu->json, "stages"), "name", refused_early));
    json_object_set_new(o, "findings", join(json_object_get(host->json, "findings"), json_object_get(gpu->json, "findings"), "stage", refused_early));
    json_object_set_new(o, "seconds", json_real(host->seconds + gpu->seconds));
    json_object_del(o, "worker_exits");
    HONE_TRY(hone_outcome_from_json(o, out, e));
    (*out)->ptx = gpu->ptx ? hone_arena_strndup((*out)->arena, gpu->ptx, gpu->ptx_len) : NULL;
    (*out)->ptx_len = (*out)->ptx ? gpu->ptx_len : 0;
    (*out)->cubin = gpu->cubin ? hone_arena_alloc((*out)->arena, gpu->cubin_len + 1) : NULL;
    if ((*out)->cubin) {
        memcpy((*out)->cubin, gpu->cubin, gpu->cubin_len);
        (*out)->cubin_len = gpu->cubin_len;
    }
    return HONE_OK;
}

// Passes an answer on: *done when it is the job's last.
static hone_code deliver(hone_pool *p, hone_worker_kind kind, hone_outcome **o, bool *done, hone_err *e) {
    ticket_phase runs = kind == HONE_WORKER_HOST ? TICKET_HOST_RUNS : TICKET_GPU_RUNS;
    pool_ticket *t = NULL;
    for (unsigned i = 0; i < p->n_tickets; i++)
        if (p->tickets[i].phase == runs && p->tickets[i].job.job.id == (*o)->id)
            t = &p->tickets[i];
    *done = true;
    if (!t)
        return hone_fail(e, HONE_E_INTERNAL, 0, "an answer for job %llu, which nobody asked for", (unsigned long long)(*o)->id);
    if (kind == HONE_WORKER_HOST && (*o)->verdict == HONE_PASS && needs_gpu(&t->job.job)) {
        t->host = *o;
        t->phase = TICKET_GPU_WAITS;
        *o = NULL;
        *done = false;
        return HONE_OK;
    }
    hone_code c = HONE_OK;
    if (t->host) {
        hone_outcome *whole = NULL;
        c = hone_outcome_merge(t->host, *o, &whole, e);
        hone_outcome_free(*o);
        *o = whole;
    }
    release(t);
    return c;
}

hone_code hone_pool_wait(hone_pool *p, int timeout_ms, const volatile int *interrupt, hone_outcome **out, hone_err *e) {
    hone_worker_kind kind;
    double deadline = hone_now_s(&p->clock) + timeout_ms * 1e-3;
    if (!p->physical)
        return hone_crew_wait(p, timeout_ms, interrupt, out, &kind, e);
    *out = NULL;
    for (bool done = false; !done;) {
        HONE_TRY(pump(p, e));
        double left = deadline - hone_now_s(&p->clock);
        HONE_TRY(hone_crew_wait(p, timeout_ms < 0 ? -1 : left > 0 ? (int)(left * 1e3) + 1 : 0, interrupt, out, &kind, e));
        hone_code c = deliver(p, kind, out, &done, e);
        if (c != HONE_OK) {
            hone_outcome_free(*out);
            *out = NULL;
            return c;
        }
    }
    pump(p, &p->failed);
    return HONE_OK;
}
