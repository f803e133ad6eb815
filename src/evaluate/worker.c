// The worker process: opens its device, says hello, lowers its own rights, then answers jobs one by one until its input ends. Whatever the
// virtual GPU's kernels print goes to stderr, so that stdout carries messages only.
#include "evaluate/internal.h"
#include "gpu/meter.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static hone_code send_json(int fd, const json_t *o, hone_err *e) {
    char *text = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(9));
    if (!text)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a message");
    hone_code c = hone_msg_write(fd, text, strlen(text), -1, e);
    free(text);
    return c;
}

// The device's energy counter, for the parent: what a run takes as a whole, idle time and work that fails included.
static void note_counter(const hone_session *s, json_t *o) {
    hone_nvml_reading r;
    hone_nvml_read(s->nvml, &r);
    if (r.has_energy_mj)
        json_object_set_new(o, "counter_mj", json_integer((json_int_t)r.energy_mj));
}

static hone_code hello(int fd, const hone_session *s, const hone_err *failure, hone_err *e) {
    json_t *o = json_pack("{s:s}", "schema", HONE_HELLO_SCHEMA);
    if (o && s)
        json_object_set(o, "device", s->device_json);
    if (o && s)
        note_counter(s, o);
    if (o && failure)
        json_object_set_new(o, "error", hone_err_json(failure));
    hone_code c = o ? send_json(fd, o, e) : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a message");
    json_decref(o);
    return c;
}

static void note_device_time(const hone_session *s, hone_report *r) {
    hone_meter_reading m;
    hone_meter_read(&m);
    if (s->device->info.is_virtual || !(m.last_s > 0))
        return;
    hone_report_set(r, "gpu", json_pack("{s:i,s:f,s:f,s:f,s:I}", "index", (int)s->target.index, "first_s", m.first_s, "last_s", m.last_s,
                                        "active_s", m.active_s, "launches", (json_int_t)m.launches));
}

static hone_code answer(hone_session *s, int fd, const hone_job *j, hone_err *e) {
    hone_report r;
    HONE_TRY(hone_report_init(&r, j, hone_clock_monotonic(), e));
    hone_meter_begin();
    hone_evaluate_job(s, j, &r);
    note_device_time(s, &r);
    json_t *o = hone_report_finish(&r);
    note_counter(s, o);
    if (s->must_exit)
        json_object_set_new(o, "worker_exits", json_true());
    bool artifacts = json_object_get(o, "artifacts") != NULL;
    hone_code c = send_json(fd, o, e);
    if (c == HONE_OK && artifacts)
        c = hone_msg_write(fd, r.compiled->ptx, r.compiled->ptx_len, -1, e);
    if (c == HONE_OK && artifacts)
        c = hone_msg_write(fd, r.compiled->cubin, r.compiled->cubin_len, -1, e);
    json_decref(o);
    hone_evaluate_release(s, &r);
    hone_report_free(&r);
    return c;
}

// A job may keep every core busy for as long as it may last.
static void limit_cpu(const hone_job *j) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (j->time_limit_s > 0)
        hone_sandbox_limit_cpu(j->time_limit_s * (double)(cores > 0 ? cores : 1));
}

typedef struct compile_watch { int out; const hone_job *job; } compile_watch;

// Around each run of the compiler: the parent knows, and CPU time is short. A compilation that never ends (macros that double, templates)
// ends itself.
static void watch_compiler(void *self, bool begins) {
    enum { MOST_S = 60 };
    const compile_watch *w = self;
    double half = w->job->time_limit_s / 2;
    char *text = hone_note_dump(begins);
    if (text)
        hone_msg_write(w->out, text, strlen(text), -1, NULL);
    free(text);
    if (begins && half > 0)
        hone_sandbox_limit_cpu(half < MOST_S ? half : MOST_S);
    else
        limit_cpu(w->job);
}

static hone_code serve(hone_session *s, int in, int out, hone_err *e) {
    while (!s->must_exit) {
        char *text;
        size_t n;
        hone_code c = hone_msg_read(in, HONE_MAX_JOB, -1, &text, &n, e);
        if (c != HONE_OK)
            return c;
        hone_job_message m;
        c = hone_job_parse(text, n, &m, e);
        hone_free(text);
        HONE_TRY(c);
        limit_cpu(&m.job);
        compile_watch w = {out, &m.job};
        hone_compiler_watch(s->compiler, watch_compiler, &w);
        c = answer(s, out, &m.job, e);
        hone_compiler_watch(s->compiler, NULL, NULL);
        hone_job_message_free(&m);
        HONE_TRY(c);
    }
    return HONE_OK;
}

static hone_code contain(const hone_session *s, hone_err *e) {
    const hone_toolkit *t = hone_compiler_toolkit(s->compiler);
    const char *read[1 + HONE_TOOLKIT_INCLUDES] = {t->root};
    for (size_t i = 0; i < t->n_includes; i++)
        read[1 + i] = t->includes[i];
    hone_sandbox_paths p = {.read = read, .n_read = 1 + t->n_includes, .cache = hone_compiler_cache_dir(s->compiler)};
    return hone_sandbox_enter(&p, e);
}

int hone_worker_main(const char *device, unsigned threads, bool host) {
    hone_err e = {0};
    int out = dup(1);
    if (out < 0 || dup2(2, 1) < 0)
        return 70;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN);   // the parent decides
    setenv("CUDA_CACHE_DISABLE", "1", 0);   // the driver's own cache of compiled PTX lies where a worker cannot write; hone loads cubins
    hone_session *s = NULL;
    if (host)
        setpriority(PRIO_PROCESS, 0, 5);   // the worker that feeds a device comes first
    hone_code c = hone_session_open(device, threads, host, &s, &e);
    if (c == HONE_OK)
        c = contain(s, &e);
    hone_code sent = hello(out, c == HONE_OK ? s : NULL, c == HONE_OK ? NULL : &e, NULL);
    if (c == HONE_OK && sent == HONE_OK)
        serve(s, 0, out, &e);
    hone_session_close(s);
    close(out);
    return c == HONE_OK && sent == HONE_OK ? 0 : 4;
}
