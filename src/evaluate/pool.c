// The parent's side: worker processes, one job each at a time, time limits, and what becomes of a worker that hangs, dies or talks
// nonsense. Loads no driver. A worker's end is an outcome with a finding, never an error of the pool.
#include "base/visible.h"
#include "evaluate/pool_internal.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STDERR_TAIL = HONE_POOL_STDERR_TAIL, START_LIMIT_S = 60, MAX_FAILED_STARTS = 3, RETRY_US = 300000 };
typedef pool_slot slot;

static void drain_stderr(slot *s) {   // keeps the last STDERR_TAIL bytes
    char chunk[4096];
    ssize_t n;
    while (s->proc.err_fd >= 0 && (n = read(s->proc.err_fd, chunk, sizeof chunk)) > 0) {
        size_t k = (size_t)n;
        const char *from = chunk;
        if (k > STDERR_TAIL)
            from += k - STDERR_TAIL, k = STDERR_TAIL;
        if (s->tail_len + k > STDERR_TAIL) {
            size_t drop = s->tail_len + k - STDERR_TAIL;
            memmove(s->tail, s->tail + drop, s->tail_len - drop);
            s->tail_len -= drop;
        }
        memcpy(s->tail + s->tail_len, from, k);
        s->tail_len += k;
    }
    s->tail[s->tail_len] = 0;
}

// Ends the process; *status as from waitpid (0 when it had to be killed by us).
void hone_crew_stop(slot *s, int *status) {
    int st = 0;
    if (s->state != SLOT_DEAD && s->proc.pid > 0 && hone_proc_wait(&s->proc, 200, &st, NULL) != HONE_OK)
        st = 0;
    drain_stderr(s);
    hone_proc_kill(&s->proc);
    s->state = SLOT_DEAD;
    if (status)
        *status = st;
}

static bool usable(const slot *s) {
    return s->state == SLOT_IDLE || s->state == SLOT_STARTING || (s->state == SLOT_DEAD && s->failed_starts < MAX_FAILED_STARTS);
}

unsigned hone_crew_free(const hone_pool *p, hone_worker_kind kind) {
    unsigned n = 0;
    for (unsigned i = 0; i < p->n; i++)
        n += p->slots[i].kind == kind && usable(&p->slots[i]);
    return n;
}

bool hone_crew_busy(const hone_pool *p) {
    for (unsigned i = 0; i < p->n; i++)
        if (p->slots[i].state == SLOT_BUSY)
            return true;
    return false;
}

// ---- submitting

static hone_code ready(hone_pool *p, slot *s, hone_err *e) {
    if (s->state == SLOT_DEAD)
        HONE_TRY(hone_crew_start(p, s, e));
    return s->state == SLOT_STARTING ? hone_crew_finish_start(p, s, START_LIMIT_S * 1000, e) : HONE_OK;
}

// A device may need a moment after the process that used it was killed.
static hone_code ready_device(hone_pool *p, slot *s, hone_err *e) {
    for (;;) {
        hone_err why = {0};
        hone_code c = ready(p, s, &why);
        if (c == HONE_OK || s->kind != HONE_WORKER_GPU || s->failed_starts >= MAX_FAILED_STARTS) {
            if (c != HONE_OK && e && e->code == HONE_OK)
                *e = why;
            return c;
        }
        usleep(RETRY_US);
    }
}

static hone_code send_job(hone_pool *p, slot *s, const hone_job *j, const char *text, hone_err *e) {
    if (j->fresh_process && s->used) {
        hone_proc_kill(&s->proc);
        s->state = SLOT_DEAD;
    }
    HONE_TRY(ready_device(p, s, e));
    hone_err why = {0};
    if (hone_msg_write(s->proc.in_fd, text, strlen(text), START_LIMIT_S * 1000, &why) !=
        HONE_OK) { // it died while idle: once more with a new one
        hone_crew_stop(s, NULL);
        HONE_TRY(ready_device(p, s, e));
        HONE_TRY(hone_msg_write(s->proc.in_fd, text, strlen(text), START_LIMIT_S * 1000, e));
    }
    s->state = SLOT_BUSY;
    s->used = true;
    s->compiling = false;
    s->job = j->id;
    s->from = hone_now_s(&p->clock);
    s->limit_s = j->time_limit_s > 0 ? j->time_limit_s : p->time_limit_s;
    s->tail_len = 0;
    return HONE_OK;
}

static slot *pick(hone_pool *p, hone_worker_kind kind) {   // one that runs, then one that starts, then a dead one
    for (pool_slot_state want = SLOT_IDLE;; want = want == SLOT_IDLE ? SLOT_STARTING : SLOT_DEAD) {
        for (unsigned i = 0; i < p->n; i++)
            if (p->slots[i].kind == kind && p->slots[i].state == want && usable(&p->slots[i]))
                return &p->slots[i];
        if (want == SLOT_DEAD)
            return NULL;
    }
}

static hone_code nobody(const hone_pool *p, hone_worker_kind kind, hone_err *e) {
    for (unsigned i = 0; i < p->n; i++)
        if (p->slots[i].kind == kind && p->slots[i].state == SLOT_BUSY)
            return hone_fail(e, HONE_E_BUSY, 0, "all %u workers are busy", p->n);
    return hone_fail(e, HONE_E_NO_DEVICE, 0, "no worker starts any more");
}

static hone_code send_to(hone_pool *p, slot *s, const hone_job *j, hone_err *e) {
    hone_job sent = *j;
    if (!sent.memory_limit_bytes)
        sent.memory_limit_bytes = p->memory_limit_bytes;
    if (!(sent.time_limit_s > 0))
        sent.time_limit_s = p->time_limit_s;
    char *text = hone_job_dump(&sent);
    if (!text)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a job, or its text is not UTF-8");
    hone_code c = strlen(text) > HONE_MAX_JOB ? hone_fail(e, HONE_E_LIMIT, 0, "a job of %zu bytes is too long", strlen(text))
                                              : send_job(p, s, j, text, e);
    hone_free(text);
    return c;
}

static bool others_left(const hone_pool *p, const slot *than) {
    for (unsigned i = 0; i < p->n; i++)
        if (&p->slots[i] != than && p->slots[i].kind == than->kind && (usable(&p->slots[i]) || p->slots[i].state == SLOT_BUSY))
            return true;
    return false;
}

static void tell_loss(hone_err *e, const char *device) {
    char why[sizeof e->msg];
    memcpy(why, e->msg, sizeof why);
    snprintf(e->msg, sizeof e->msg, "the device '%.100s' is lost: %.850s", device, why);
    snprintf(e->hint, sizeof e->hint, "nvidia-smi and the kernel's log (Xid lines) say more; results so far are kept, and the same command goes on from them");
}

// A device that is gone leaves its work to the others; the last one's end is an error.
hone_code hone_crew_submit(hone_pool *p, hone_worker_kind kind, const hone_job *j, hone_err *e) {
    for (;;) {
        slot *s = pick(p, kind);
        if (!s)
            return nobody(p, kind, e);
        hone_err why = {0};
        hone_code c = send_to(p, s, j, &why);
        if (c == HONE_OK)
            return c;
        if (kind == HONE_WORKER_GPU && s->failed_starts >= MAX_FAILED_STARTS && others_left(p, s))
            continue;
        if (e && e->code == HONE_OK)
            *e = why;
        if (kind == HONE_WORKER_GPU && e && e->code == HONE_E_NO_DEVICE)
            tell_loss(e, s->device);
        return c;
    }
}

// The device worked on it until now.
static void note_cut(hone_pool *p, slot *s) {
    if (s->kind != HONE_WORKER_GPU || !s->jobs)
        return;
    s->total_s += hone_now_s(&p->clock) - s->from;
    s->busy_s += hone_now_s(&p->clock) - s->from;
    s->last_s = hone_now_s(&p->clock);
}

void hone_crew_cancel(hone_pool *p, uint64_t id) {
    for (unsigned i = 0; i < p->n; i++) {
        slot *s = &p->slots[i];
        if (s->state != SLOT_BUSY || s->job != id)
            continue;
        note_cut(p, s);
        hone_proc_kill(&s->proc);
        s->state = SLOT_DEAD;
        hone_crew_start(p, s, NULL);   // a failure shows at the next submit
    }
}

// ---- waiting

static hone_code stub(slot *s, double seconds, hone_verdict v, hone_finding_kind kind, json_t *evidence, const char *message,
                      hone_outcome **out, hone_err *e) {
    hone_findings f;
    hone_code c = hone_findings_init(&f, e);
    if (c != HONE_OK) {
        json_decref(evidence);
        return c;
    }
    hone_findings_add(&f, kind, NULL, 0, evidence, "%s", message);
    json_t *o = hone_outcome_stub(s->job, v, &f, NULL, seconds);
    hone_findings_free(&f);
    return o ? hone_outcome_from_json(o, out, e) : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for an outcome");
}

static hone_code timed_out(hone_pool *p, slot *s, hone_outcome **out, hone_err *e) {
    char message[160];
    double seconds = hone_now_s(&p->clock) - s->from;
    hone_proc_kill(&s->proc);
    s->state = SLOT_DEAD;
    snprintf(message, sizeof message, "the %s did not finish within %g seconds; the worker was ended", s->compiling ? "compiler" : "evaluation",
             s->limit_s);
    hone_code c = stub(s, seconds, HONE_FAIL, s->compiling ? HONE_F_COMPILE_LIMIT : HONE_F_RUN_TIMEOUT, json_pack("{s:f}", "limit_s", s->limit_s), message, out, e);
    hone_crew_start(p, s, NULL);
    return c;
}

// A worker that ended by itself: of which kind that is. SIGXCPU is the limit of CPU time.
static hone_finding_kind end_kind(const slot *s, int status) {
    bool limit = WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU;
    if (s->compiling)
        return limit ? HONE_F_COMPILE_LIMIT : HONE_F_COMPILE_CRASH;
    return limit ? HONE_F_RUN_TIMEOUT : HONE_F_RUN_CRASH;
}

static hone_code crashed(hone_pool *p, slot *s, const hone_err *why, hone_outcome **out, hone_err *e) {
    char message[400];
    int status = 0;
    double seconds = hone_now_s(&p->clock) - s->from;
    hone_crew_stop(s, &status);
    json_t *evidence = json_object();
    const char *who = s->compiling ? "compiler" : "evaluation";
    hone_finding_kind kind = end_kind(s, status);
    if (kind == HONE_F_COMPILE_LIMIT) {
        snprintf(message, sizeof message, "the compiler used up its CPU time");
    } else if (WIFSIGNALED(status)) {
        snprintf(message, sizeof message, "the %s ended its worker process with signal %d (%s)", who, WTERMSIG(status), strsignal(WTERMSIG(status)));
        json_object_set_new(evidence, "signal", json_integer(WTERMSIG(status)));
    } else if (WIFEXITED(status) && why->code == HONE_E_IO) {
        snprintf(message, sizeof message, "the %s ended its worker process with status %d before it answered", who, WEXITSTATUS(status));
        json_object_set_new(evidence, "status", json_integer(WEXITSTATUS(status)));
    } else {
        snprintf(message, sizeof message, "the worker's answer was not understood: %.300s", why->msg);
    }
    char *tail = hone_visible(s->tail, s->tail_len);   // whatever bytes came
    if (tail && *tail)
        json_object_set_new(evidence, "stderr", json_string(tail));
    hone_free(tail);
    hone_code c = stub(s, seconds, HONE_FAIL, kind, evidence, message, out, e);
    hone_crew_start(p, s, NULL);
    return c;
}

static int left_ms(hone_pool *p, const slot *s) {
    double left = s->from + s->limit_s - hone_now_s(&p->clock);
    return left <= 0 ? 1 : (int)(left * 1e3) + 1;
}

static hone_code read_artifacts(hone_pool *p, slot *s, hone_outcome *o, hone_err *e) {
    char *data[2] = {NULL, NULL};
    size_t n[2] = {0, 0};
    if (!json_object_get(o->json, "artifacts"))
        return HONE_OK;
    hone_code c = HONE_OK;
    for (int i = 0; i < 2 && c == HONE_OK; i++)
        c = hone_msg_read(s->proc.out_fd, HONE_MAX_ARTIFACT, left_ms(p, s), &data[i], &n[i], e);
    if (c == HONE_OK) {
        o->ptx = hone_arena_strndup(o->arena, data[0], n[0]);
        o->cubin = hone_arena_alloc(o->arena, n[1] ? n[1] : 1);
        if (o->ptx && o->cubin) {
            memcpy(o->cubin, data[1], n[1]);
            o->ptx_len = n[0];
            o->cubin_len = n[1];
        } else {
            c = hone_fail(e, HONE_E_NOMEM, 0, "out of memory for PTX and cubin");
        }
    }
    hone_free(data[0]);
    hone_free(data[1]);
    return c;
}

// *out stays NULL when it was a note only.
static hone_code read_outcome(hone_pool *p, slot *s, hone_outcome **out, hone_err *e) {
    char *text;
    size_t n;
    *out = NULL;
    HONE_TRY(hone_msg_read(s->proc.out_fd, HONE_MAX_OUTCOME, left_ms(p, s), &text, &n, e));
    bool note = hone_note_parse(text, n, &s->compiling);
    hone_code c = note ? HONE_OK : hone_outcome_parse(text, n, out, e);
    hone_free(text);
    if (note || c != HONE_OK)
        return c;
    if ((*out)->id != s->job)
        c = hone_fail(e, HONE_E_CORRUPT, 0, "the answer is for job %llu, not %llu", (unsigned long long)(*out)->id,
                      (unsigned long long)s->job);
    if (c == HONE_OK)
        c = read_artifacts(p, s, *out, e);
    if (c != HONE_OK) {
        hone_outcome_free(*out);
        *out = NULL;
    }
    return c;
}

// What a device's worker says of its job: {"gpu": {"first_s", "last_s", "active_s"}}.
static void note_usage(slot *s, const hone_outcome *o) {
    const json_t *g = json_object_get(o->json, "gpu");
    double first = json_number_value(json_object_get(g, "first_s")), last = json_number_value(json_object_get(g, "last_s"));
    if (s->kind != HONE_WORKER_GPU || !(last > first))
        return;
    s->total_s += last - first;
    if (s->jobs++ == 0) {
        s->warm_s = s->last_s = last;
        return;
    }
    s->last_s = last;
    s->busy_s += last - first;
    s->active_s += json_number_value(json_object_get(g, "active_s"));
}

void hone_pool_usage(const hone_pool *p, hone_gpu_usage *u) {
    *u = (hone_gpu_usage){.devices = hone_pool_devices(p)};
    unsigned counters = 0;
    for (unsigned i = 0; i < p->n; i++) {
        const slot *s = &p->slots[i];
        u->jobs += s->jobs;
        u->total_s += s->total_s;
        u->busy_s += s->busy_s;
        u->active_s += s->active_s;
        u->wall_s += s->last_s - s->warm_s;
        u->energy_j += s->energy_j;
        counters += s->has_counter;
    }
    u->has_energy = u->devices > 0 && counters == u->devices;
}

static hone_code take_answer(hone_pool *p, slot *s, hone_outcome **out, hone_err *e) {
    hone_err why = {0};
    hone_code c = read_outcome(p, s, out, &why);
    if (c == HONE_E_NOMEM)
        return hone_fail(e, c, 0, "%s", why.msg);
    if (c == HONE_E_TIMEOUT)
        return timed_out(p, s, out, e);
    if (c != HONE_OK)
        return crashed(p, s, &why, out, e);
    if (!*out)
        return HONE_E_TIMEOUT;
    s->state = SLOT_IDLE;
    note_usage(s, *out);
    hone_crew_note_counter(s, (*out)->json);
    if (json_is_true(json_object_get((*out)->json, "worker_exits"))) {
        hone_crew_stop(s, NULL);
        hone_crew_start(p, s, NULL);   // a failure shows at the next submit
    }
    return HONE_OK;
}

typedef struct watch { struct pollfd fds[2 * HONE_POOL_MAX_WORKERS]; slot *slots[2 * HONE_POOL_MAX_WORKERS]; nfds_t n; } watch;

static bool build_watch(hone_pool *p, watch *w) {
    bool busy = false;
    w->n = 0;
    for (unsigned i = 0; i < p->n; i++) {
        slot *s = &p->slots[i];
        if (s->state == SLOT_BUSY) {
            busy = true;
            w->slots[w->n] = s;
            w->fds[w->n++] = (struct pollfd){s->proc.out_fd, POLLIN, 0};
        }
        if (s->state != SLOT_DEAD) {
            w->slots[w->n] = s;
            w->fds[w->n++] = (struct pollfd){s->proc.err_fd, POLLIN, 0};
        }
    }
    return busy;
}

// Looks once; HONE_E_TIMEOUT when nothing finished within slice_ms.
static hone_code look(hone_pool *p, int slice_ms, hone_outcome **out, hone_worker_kind *kind, hone_err *e) {
    watch w;
    build_watch(p, &w);
    int r = poll(w.fds, w.n, slice_ms);
    if (r < 0 && errno != EINTR)
        return hone_fail(e, HONE_E_IO, errno, "cannot poll the workers: %s", strerror(errno));
    for (nfds_t i = 0; r > 0 && i < w.n; i++) {
        slot *s = w.slots[i];
        if (!w.fds[i].revents)
            continue;
        if (w.fds[i].fd == s->proc.out_fd) {
            *kind = s->kind;
            hone_code c = take_answer(p, s, out, e);
            if (c != HONE_E_TIMEOUT)
                return c;
            continue;
        }
        drain_stderr(s);
        if ((w.fds[i].revents & (POLLHUP | POLLERR)) && s->proc.err_fd >= 0) {   // its end shows on stdout too
            close(s->proc.err_fd);
            s->proc.err_fd = -1;
        }
    }
    for (unsigned i = 0; i < p->n; i++)
        if (p->slots[i].state == SLOT_BUSY && hone_now_s(&p->clock) - p->slots[i].from > p->slots[i].limit_s) {
            *kind = p->slots[i].kind;
            return timed_out(p, &p->slots[i], out, e);
        }
    return HONE_E_TIMEOUT;
}

hone_code hone_crew_wait(hone_pool *p, int timeout_ms, const volatile int *interrupt, hone_outcome **out, hone_worker_kind *kind, hone_err *e) {
    enum { SLICE_MS = 50 };
    double deadline = hone_now_s(&p->clock) + timeout_ms * 1e-3;
    *out = NULL;
    for (;;) {
        if (interrupt && *interrupt)
            return hone_fail(e, HONE_E_INTERRUPTED, 0, "interrupted");
        double left = timeout_ms < 0 ? 1 : deadline - hone_now_s(&p->clock);
        int slice = left * 1e3 < SLICE_MS ? (left <= 0 ? 0 : (int)(left * 1e3) + 1) : SLICE_MS;
        hone_code c = look(p, slice, out, kind, e);
        if (c != HONE_E_TIMEOUT)
            return c;
        if (timeout_ms >= 0 && hone_now_s(&p->clock) >= deadline)
            return hone_fail(e, HONE_E_TIMEOUT, 0, "no evaluation finished within %d ms", timeout_ms);
        watch w;
        if (!build_watch(p, &w))
            return hone_fail(e, HONE_E_INTERNAL, 0, "nothing is being evaluated");
    }
}
