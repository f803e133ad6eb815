// The parent's side: worker processes, one job each at a time, time limits, and what becomes of a worker that hangs, dies or talks
// nonsense. Loads no driver. A worker's end is an outcome with a finding, never an error of the pool.
#include "evaluate/internal.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_WORKERS = 64, STDERR_TAIL = 2000, START_LIMIT_S = 60, PHYSICAL_LIMIT_S = 60, VIRTUAL_LIMIT_S = 300, MAX_FAILED_STARTS = 3 };
typedef enum slot_state { SLOT_DEAD, SLOT_STARTING, SLOT_IDLE, SLOT_BUSY } slot_state;
typedef struct slot {
    hone_proc proc;
    slot_state state;
    uint64_t job;
    double from, limit_s;
    unsigned failed_starts;
    char tail[STDERR_TAIL + 1];
    size_t tail_len;
} slot;
struct hone_pool {
    char device[256], program[1024], threads[16];
    double time_limit_s;
    size_t memory_limit_bytes;
    slot *slots;
    unsigned n;
    json_t *device_json;
    bool limit_given;
    hone_clock clock;
};

// ---- workers

static hone_code start(hone_pool *p, slot *s, hone_err *e) {
    char *argv[] = {p->program, "worker", p->device, p->threads, NULL};
    hone_proc_spec spec = {.argv = argv, .capture_stderr = true, .new_group = true};
    s->tail_len = 0;
    s->state = SLOT_DEAD;
    HONE_TRY(hone_proc_start(&spec, &s->proc, e));
    fcntl(s->proc.err_fd, F_SETFL, fcntl(s->proc.err_fd, F_GETFL) | O_NONBLOCK);
    s->state = SLOT_STARTING;
    s->from = hone_now_s(&p->clock);
    return HONE_OK;
}

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
static void stop(slot *s, int *status) {
    int st = 0;
    if (s->state != SLOT_DEAD && s->proc.pid > 0 && hone_proc_wait(&s->proc, 200, &st, NULL) != HONE_OK)
        st = 0;
    drain_stderr(s);
    hone_proc_kill(&s->proc);
    s->state = SLOT_DEAD;
    if (status)
        *status = st;
}

// The first message: what the device is, or why there is none.
static hone_code read_hello(hone_pool *p, slot *s, int timeout_ms, hone_err *e) {
    char *text;
    size_t n;
    HONE_TRY(hone_msg_read(s->proc.out_fd, 1 << 20, timeout_ms, &text, &n, e));
    json_error_t je;
    json_t *o = json_loadb(text, n, 0, &je);
    hone_free(text);
    const char *schema = json_string_value(json_object_get(o, "schema"));
    hone_code c = HONE_OK;
    if (!schema || strcmp(schema, HONE_HELLO_SCHEMA) != 0)
        c = hone_fail(e, HONE_E_CORRUPT, 0, "'%s worker' does not speak '%s'", p->program, HONE_HELLO_SCHEMA);
    const json_t *error = json_object_get(o, "error");
    if (c == HONE_OK && error) {
        const char *msg = json_string_value(json_object_get(error, "message")), *hint = json_string_value(json_object_get(error, "hint"));
        int number = (int)json_integer_value(json_object_get(error, "number"));
        c = number > HONE_OK && number <= HONE_E_INTERNAL ? (hone_code)number : HONE_E_INTERNAL;
        hone_fail(e, c, (int)json_integer_value(json_object_get(error, "sub")), "%s", msg ? msg : "the worker could not start");
        if (hint && *hint)
            hone_hint(e, "%s", hint);
    }
    if (c == HONE_OK && !p->device_json)
        p->device_json = json_incref(json_object_get(o, "device"));
    json_decref(o);
    return c;
}

static hone_code finish_start(hone_pool *p, slot *s, int timeout_ms, hone_err *e) {
    hone_code c = read_hello(p, s, timeout_ms, e);
    if (c == HONE_OK) {
        s->state = SLOT_IDLE;
        s->failed_starts = 0;
        return HONE_OK;
    }
    bool silent = c == HONE_E_IO;
    stop(s, NULL);
    s->failed_starts++;
    if (silent && e && s->tail_len)
        hone_hint(e, "the worker said: %.300s", s->tail);
    return c;
}

static unsigned default_workers(const hone_pool_config *c) {
    if (c->workers)
        return c->workers < MAX_WORKERS ? c->workers : MAX_WORKERS;
    if (strncmp(c->device, "virtual", 7) != 0 && strcmp(c->device, "auto") != 0)
        return 1;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : cores > 4 ? 4 : (unsigned)cores;
}

static hone_code fill_config(hone_pool *p, const hone_pool_config *c, hone_err *e) {
    p->clock = hone_clock_monotonic();
    p->limit_given = c->time_limit_s > 0;
    p->time_limit_s = c->time_limit_s > 0 ? c->time_limit_s : PHYSICAL_LIMIT_S;
    p->memory_limit_bytes = c->memory_limit_bytes;
    snprintf(p->device, sizeof p->device, "%s", c->device);
    if (c->program) {
        snprintf(p->program, sizeof p->program, "%s", c->program);
    } else {
        ssize_t n = readlink("/proc/self/exe", p->program, sizeof p->program - 1);
        if (n <= 0)
            return hone_fail(e, HONE_E_IO, errno, "cannot find the program's own file");
        p->program[n] = 0;
    }
    p->n = default_workers(c);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned threads = c->worker_threads ? c->worker_threads : (unsigned)(cores > (long)p->n ? cores / (long)p->n : 1);
    snprintf(p->threads, sizeof p->threads, "%u", threads);
    p->slots = hone_calloc(p->n, sizeof *p->slots);
    for (unsigned i = 0; p->slots && i < p->n; i++)
        p->slots[i].proc = (hone_proc){.pid = -1, .in_fd = -1, .out_fd = -1, .err_fd = -1};
    return p->slots ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for %u workers", p->n);
}

static hone_code start_all(hone_pool *p, hone_err *e) {
    for (unsigned i = 0; i < p->n; i++)
        HONE_TRY(start(p, &p->slots[i], e));
    HONE_TRY(finish_start(p, &p->slots[0], START_LIMIT_S * 1000, e));
    const char *kind = json_string_value(json_object_get(p->device_json, "kind"));
    if (kind && strcmp(kind, "virtual") == 0 && !p->limit_given)   // instruction budgets end what never ends; a busy machine must not change a result
        p->time_limit_s = VIRTUAL_LIMIT_S;
    if (kind && strcmp(kind, "physical") == 0 && strncmp(p->device, "auto", 4) == 0)
        for (; p->n > 1; p->n--)   // one process per physical device: a second one would disturb its timing
            stop(&p->slots[p->n - 1], NULL);
    return HONE_OK;
}

hone_code hone_pool_open(const hone_pool_config *c, hone_pool **out, hone_err *e) {
    hone_pool *p = hone_calloc(1, sizeof *p);
    *out = NULL;
    if (!p)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a pool");
    signal(SIGPIPE, SIG_IGN);   // a dead worker shows as EPIPE
    hone_code r = fill_config(p, c, e);
    if (r == HONE_OK)
        r = start_all(p, e);
    if (r != HONE_OK) {
        hone_pool_close(p);
        return r;
    }
    *out = p;
    return HONE_OK;
}

void hone_pool_close(hone_pool *p) {
    if (!p)
        return;
    for (unsigned i = 0; p->slots && i < p->n; i++)
        hone_proc_kill(&p->slots[i].proc);
    hone_free(p->slots);
    json_decref(p->device_json);
    hone_free(p);
}

unsigned hone_pool_workers(const hone_pool *p) { return p->n; }
const json_t *hone_pool_device(const hone_pool *p) { return p->device_json; }

static bool usable(const slot *s) {
    return s->state == SLOT_IDLE || s->state == SLOT_STARTING || (s->state == SLOT_DEAD && s->failed_starts < MAX_FAILED_STARTS);
}

unsigned hone_pool_free_slots(const hone_pool *p) {
    unsigned n = 0;
    for (unsigned i = 0; i < p->n; i++)
        n += usable(&p->slots[i]);
    return n;
}

// ---- submitting

static hone_code ready(hone_pool *p, slot *s, hone_err *e) {
    if (s->state == SLOT_DEAD)
        HONE_TRY(start(p, s, e));
    return s->state == SLOT_STARTING ? finish_start(p, s, START_LIMIT_S * 1000, e) : HONE_OK;
}

static hone_code send_job(hone_pool *p, slot *s, const hone_job *j, const char *text, hone_err *e) {
    HONE_TRY(ready(p, s, e));
    hone_err why = {0};
    if (hone_msg_write(s->proc.in_fd, text, strlen(text), START_LIMIT_S * 1000, &why) !=
        HONE_OK) { // it died while idle: once more with a new one
        stop(s, NULL);
        HONE_TRY(ready(p, s, e));
        HONE_TRY(hone_msg_write(s->proc.in_fd, text, strlen(text), START_LIMIT_S * 1000, e));
    }
    s->state = SLOT_BUSY;
    s->job = j->id;
    s->from = hone_now_s(&p->clock);
    s->limit_s = j->time_limit_s > 0 ? j->time_limit_s : p->time_limit_s;
    s->tail_len = 0;
    return HONE_OK;
}

static slot *pick(hone_pool *p) {   // one that runs, then one that starts, then a dead one
    for (slot_state want = SLOT_IDLE;; want = want == SLOT_IDLE ? SLOT_STARTING : SLOT_DEAD) {
        for (unsigned i = 0; i < p->n; i++)
            if (p->slots[i].state == want && usable(&p->slots[i]))
                return &p->slots[i];
        if (want == SLOT_DEAD)
            return NULL;
    }
}

hone_code hone_pool_submit(hone_pool *p, const hone_job *j, hone_err *e) {
    slot *s = pick(p);
    if (!s) {
        for (unsigned i = 0; i < p->n; i++)
            if (p->slots[i].state == SLOT_BUSY)
                return hone_fail(e, HONE_E_BUSY, 0, "all %u workers are busy", p->n);
        return hone_fail(e, HONE_E_NO_DEVICE, 0, "no worker starts any more");
    }
    hone_job sent = *j;
    if (!sent.memory_limit_bytes)
        sent.memory_limit_bytes = p->memory_limit_bytes;
    char *text = hone_job_dump(&sent);
    if (!text)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a job, or its text is not UTF-8");
    hone_code c = strlen(text) > HONE_MAX_JOB ? hone_fail(e, HONE_E_LIMIT, 0, "a job of %zu bytes is too long", strlen(text))
                                              : send_job(p, s, j, text, e);
    hone_free(text);
    return c;
}

void hone_pool_cancel(hone_pool *p, uint64_t id) {
    for (unsigned i = 0; i < p->n; i++) {
        slot *s = &p->slots[i];
        if (s->state != SLOT_BUSY || s->job != id)
            continue;
        hone_proc_kill(&s->proc);
        s->state = SLOT_DEAD;
        start(p, s, NULL);   // a failure shows at the next submit
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
    snprintf(message, sizeof message, "the evaluation did not finish within %g seconds; the worker was ended", s->limit_s);
    hone_code c = stub(s, seconds, HONE_FAIL, HONE_F_RUN_TIMEOUT, json_pack("{s:f}", "limit_s", s->limit_s), message, out, e);
    start(p, s, NULL);
    return c;
}

static hone_code crashed(hone_pool *p, slot *s, const hone_err *why, hone_outcome **out, hone_err *e) {
    char message[400];
    int status = 0;
    double seconds = hone_now_s(&p->clock) - s->from;
    stop(s, &status);
    json_t *evidence = json_object();
    if (WIFSIGNALED(status)) {
        snprintf(message, sizeof message, "the evaluation ended its worker process with signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
        json_object_set_new(evidence, "signal", json_integer(WTERMSIG(status)));
    } else if (WIFEXITED(status) && why->code == HONE_E_IO) {
        snprintf(message, sizeof message, "the worker process ended with status %d before it answered", WEXITSTATUS(status));
        json_object_set_new(evidence, "status", json_integer(WEXITSTATUS(status)));
    } else {
        snprintf(message, sizeof message, "the worker's answer was not understood: %.300s", why->msg);
    }
    if (s->tail_len)
        json_object_set_new(evidence, "stderr", json_stringn_nocheck(s->tail, s->tail_len));
    hone_code c = stub(s, seconds, HONE_FAIL, HONE_F_RUN_CRASH, evidence, message, out, e);
    start(p, s, NULL);
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

static hone_code read_outcome(hone_pool *p, slot *s, hone_outcome **out, hone_err *e) {
    char *text;
    size_t n;
    HONE_TRY(hone_msg_read(s->proc.out_fd, HONE_MAX_OUTCOME, left_ms(p, s), &text, &n, e));
    hone_code c = hone_outcome_parse(text, n, out, e);
    hone_free(text);
    HONE_TRY(c);
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

static hone_code take_answer(hone_pool *p, slot *s, hone_outcome **out, hone_err *e) {
    hone_err why = {0};
    hone_code c = read_outcome(p, s, out, &why);
    if (c == HONE_E_NOMEM)
        return hone_fail(e, c, 0, "%s", why.msg);
    if (c == HONE_E_TIMEOUT)
        return timed_out(p, s, out, e);
    if (c != HONE_OK)
        return crashed(p, s, &why, out, e);
    s->state = SLOT_IDLE;
    if (json_is_true(json_object_get((*out)->json, "worker_exits"))) {
        stop(s, NULL);
        start(p, s, NULL);   // a failure shows at the next submit
    }
    return HONE_OK;
}

typedef struct watch { struct pollfd fds[2 * MAX_WORKERS]; slot *slots[2 * MAX_WORKERS]; nfds_t n; } watch;

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
static hone_code look(hone_pool *p, int slice_ms, hone_outcome **out, hone_err *e) {
    watch w;
    build_watch(p, &w);
    int r = poll(w.fds, w.n, slice_ms);
    if (r < 0 && errno != EINTR)
        return hone_fail(e, HONE_E_IO, errno, "cannot poll the workers: %s", strerror(errno));
    for (nfds_t i = 0; r > 0 && i < w.n; i++) {
        slot *s = w.slots[i];
        if (!w.fds[i].revents)
            continue;
        if (w.fds[i].fd == s->proc.out_fd)
            return take_answer(p, s, out, e);
        drain_stderr(s);
        if ((w.fds[i].revents & (POLLHUP | POLLERR)) && s->proc.err_fd >= 0) {   // its end shows on stdout too
            close(s->proc.err_fd);
            s->proc.err_fd = -1;
        }
    }
    for (unsigned i = 0; i < p->n; i++)
        if (p->slots[i].state == SLOT_BUSY && hone_now_s(&p->clock) - p->slots[i].from > p->slots[i].limit_s)
            return timed_out(p, &p->slots[i], out, e);
    return HONE_E_TIMEOUT;
}

hone_code hone_pool_wait(hone_pool *p, int timeout_ms, const volatile int *interrupt, hone_outcome **out, hone_err *e) {
    enum { SLICE_MS = 50 };
    double deadline = hone_now_s(&p->clock) + timeout_ms * 1e-3;
    *out = NULL;
    for (;;) {
        if (interrupt && *interrupt)
            return hone_fail(e, HONE_E_INTERRUPTED, 0, "interrupted");
        double left = timeout_ms < 0 ? 1 : deadline - hone_now_s(&p->clock);
        int slice = left * 1e3 < SLICE_MS ? (left <= 0 ? 0 : (int)(left * 1e3) + 1) : SLICE_MS;
        hone_code c = look(p, slice, out, e);
        if (c != HONE_E_TIMEOUT)
            return c;
        if (timeout_ms >= 0 && hone_now_s(&p->clock) >= deadline)
            return hone_fail(e, HONE_E_TIMEOUT, 0, "no evaluation finished within %d ms", timeout_ms);
        watch w;
        if (!build_watch(p, &w))
            return hone_fail(e, HONE_E_INTERNAL, 0, "nothing is being evaluated");
    }
}
