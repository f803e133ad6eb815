// serve/mcp_runs: optimisations that agents start, follow, feed and cancel. A run is `hone optimize --manual` in a process of its own; proposals are files in
// its folder, so that they pass the search's own way of taking candidates. Budgets cannot exceed what the server was started with.
#include "serve/mcp_internal.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { DEFAULT_EVALS = 40, DEFAULT_TIME_S = 600, MAX_NOTE_BYTES = 1 << 16, MAX_SHOWN = 64 };

// ---- finding

static mcp_run *find_run(mcp *m, const char *id) {
    for (size_t i = 0; id && i < MCP_MAX_RUNS; i++)
        if (m->runs[i].used && !strcmp(m->runs[i].id, id))
            return &m->runs[i];
    return NULL;
}

static hone_code need_run(mcp *m, const json_t *args, mcp_run **out, hone_err *e) {
    const char *id = mcp_text(args, "run_id");
    *out = find_run(m, id);
    if (*out)
        return HONE_OK;
    hone_fail(e, HONE_E_USAGE, 0, "there is no run '%.64s'", id ? id : "");
    return hone_hint(e, "runs are known to the server that started them; 'best' and 'lineage' also take a folder");
}

hone_code mcp_folder_of(mcp *m, const json_t *args, char out[MCP_PATH], hone_err *e) {
    const char *folder = mcp_text(args, "folder"), *id = mcp_text(args, "run_id");
    mcp_run *r;
    if (!folder == !id)
        return hone_fail(e, HONE_E_USAGE, 0, "give either 'run_id' or 'folder'");
    if (folder)
        return mcp_path(m, folder, out, e);
    HONE_TRY(need_run(m, args, &r, e));
    snprintf(out, MCP_PATH, "%s", r->folder);
    return HONE_OK;
}

// ---- starting

static void release(mcp_run *r) {
    mcp_child_free(&r->child);
    json_decref(r->progress);
    json_decref(r->result);
    *r = (mcp_run){0};
}

// A free place; when there is none, that of the oldest run that ended.
static mcp_run *place(mcp *m) {
    mcp_run *old = NULL;
    for (size_t i = 0; i < MCP_MAX_RUNS; i++) {
        mcp_run *r = &m->runs[i];
        if (!r->used)
            return r;
        if (r->result && (!old || strtoul(r->id + 4, NULL, 10) < strtoul(old->id + 4, NULL, 10)))
            old = r;
    }
    for (size_t i = 0; old && i < MCP_MAX_CALLS; i++)
        if (m->calls[i].used && m->calls[i].waits == old)
            return NULL;
    if (old)
        release(old);
    return old;
}

static hone_code check_budget(const mcp *m, const json_t *args, unsigned *evals, double *time_s, hone_err *e) {
    const json_t *n = json_object_get(args, "evals"), *t = json_object_get(args, "time_s");
    double most = m->c->max_time_s;
    *evals = n ? (unsigned)json_integer_value(n) : DEFAULT_EVALS < m->c->max_evals ? DEFAULT_EVALS : m->c->max_evals;
    *time_s = t ? json_number_value(t) : DEFAULT_TIME_S < most ? DEFAULT_TIME_S : most;
    if (*evals <= m->c->max_evals && *time_s <= most)
        return HONE_OK;
    hone_fail(e, HONE_E_USAGE, 0, "a run may have at most %u evaluations and %.0f seconds here", m->c->max_evals, most);
    return hone_hint(e, "the limits are set by whoever started 'hone mcp': --evals and --time");
}

static hone_code choose_folder(mcp *m, const json_t *args, mcp_run *r, hone_err *e) {
    const char *folder = mcp_text(args, "folder");
    char beside[MCP_PATH + 8];
    if (folder)
        return mcp_new_path(m, folder, r->folder, e);
    size_t n = strlen(r->task);
    if (n > 3 && !strcmp(r->task + n - 3, ".cu"))
        n -= 3;
    snprintf(beside, sizeof beside, "%.*s.hone", (int)n, r->task);
    return mcp_new_path(m, beside, r->folder, e);
}

static hone_code launch(mcp *m, mcp_run *r, const json_t *args, hone_err *e) {
    unsigned evals;
    double time_s;
    HONE_TRY(mcp_path(m, mcp_text(args, "task"), r->task, e));
    HONE_TRY(choose_folder(m, args, r, e));
    HONE_TRY(check_budget(m, args, &evals, &time_s, e));
    for (size_t i = 0; i < MCP_MAX_RUNS; i++)
        if (&m->runs[i] != r && m->runs[i].used && !m->runs[i].result && !strcmp(m->runs[i].folder, r->folder))
            return hone_fail(e, HONE_E_BUSY, 0, "'%s' is the folder of %s, which is going on", r->folder, m->runs[i].id);
    mcp_args a = {0};
    mcp_args_add(&a, "%s", m->program);
    mcp_args_add(&a, "optimize");
    mcp_common_args(m, args, &a);
    mcp_args_add(&a, "--progress=json");
    mcp_args_add(&a, "--manual");
    mcp_args_add(&a, "--evals=%u", evals);
    mcp_args_add(&a, "--time=%.3fs", time_s);
    mcp_args_add(&a, "--out=%s", r->folder);
    mcp_args_add(&a, "%s", r->task);
    if (a.failed) {
        mcp_args_free(&a);
        return hone_fail(e, HONE_E_USAGE, 0, "an argument is not usable; devices are cuda:N or virtual:NAME");
    }
    return mcp_child_start(&r->child, &a, e);
}

hone_code mcp_start_run(mcp *m, mcp_call *call, const json_t *args, json_t **now, hone_err *e) {
    (void)call;
    unsigned going = 0;
    for (size_t i = 0; i < MCP_MAX_RUNS; i++)
        going += m->runs[i].used && !m->runs[i].result;
    mcp_run *r = going < MCP_MAX_GOING ? place(m) : NULL;
    if (!r) {
        hone_fail(e, HONE_E_BUSY, 0, "%u runs are going on", going);
        return hone_hint(e, "wait for one with run_result, or cancel one");
    }
    *r = (mcp_run){.used = true, .child = {.proc = {.pid = -1, .in_fd = -1, .out_fd = -1, .err_fd = -1}}};
    snprintf(r->id, sizeof r->id, "run-%u-%06x", m->n_started + 1, m->salt & 0xffffff);
    hone_code c = launch(m, r, args, e);
    if (c != HONE_OK) {
        release(r);
        return c;
    }
    m->n_started++;
    *now = mcp_run_json(r);
    return HONE_OK;
}

// ---- following

static json_t *error_json(const char *code, const char *message) {
    return json_pack("{s:s, s:{s:s, s:s}}", "schema", "hone.error/1", "error", "code", code, "message", message);
}

// The last whole line of stderr that is a progress object.
static void read_progress(mcp_run *r) {
    const hone_str *s = &r->child.err;
    const char *end = s->len ? memrchr(s->s, '\n', s->len) : NULL;
    for (int tries = 0; end && tries < 4; tries++) {
        const char *before = end > s->s ? memrchr(s->s, '\n', (size_t)(end - s->s)) : NULL, *from = before ? before + 1 : s->s;
        json_t *j = json_loadb(from, (size_t)(end - from), 0, NULL);
        const char *schema = mcp_text(j, "schema");
        if (schema && !strcmp(schema, "hone.progress/1")) {
            json_decref(r->progress);
            r->progress = j;
            return;
        }
        json_decref(j);
        end = before;
    }
}

static void take_end(mcp_run *r) {
    r->result = json_loadb(r->child.out.s, r->child.out.len, 0, NULL);
    if (!json_is_object(r->result)) {
        json_decref(r->result);
        char message[200];
        snprintf(message, sizeof message, WIFSIGNALED(r->child.status) ? "the run was ended by signal %d" : "the run ended with status %d without a result",
                 WIFSIGNALED(r->child.status) ? WTERMSIG(r->child.status) : WEXITSTATUS(r->child.status));
        r->result = error_json(r->cancelled ? "interrupted" : "internal", message);
    }
    if (json_object_get(r->result, "error") && r->child.err.len)
        json_object_set_new(r->result, "talk", json_stringn(r->child.err.s, r->child.err.len));
    mcp_child_free(&r->child);
}

void mcp_runs_read(mcp *m, double now) {
    for (size_t i = 0; i < MCP_MAX_RUNS; i++) {
        mcp_run *r = &m->runs[i];
        if (!r->used || r->result)
            continue;
        mcp_child_poll(&r->child, now);
        read_progress(r);
        if (!r->child.running)
            take_end(r);
    }
}

static json_t *read_note(const char *folder, const char *name) {
    char path[2 * MCP_PATH], *text = NULL;
    size_t n;
    snprintf(path, sizeof path, "%s/manual/taken/%s", folder, name);
    json_t *j = hone_read_file(path, MAX_NOTE_BYTES, &text, &n, NULL) == HONE_OK ? json_loadb(text, n, 0, NULL) : NULL;
    hone_free(text);
    return j;
}

static json_t *proposals(const mcp_run *r) {
    json_t *list = json_array();
    for (unsigned k = r->proposals > MAX_SHOWN ? r->proposals - MAX_SHOWN + 1 : 1; k <= r->proposals; k++) {
        char name[80];
        snprintf(name, sizeof name, "agent-%s-%u.json", r->id, k);
        json_t *note = read_note(r->folder, name);
        if (!note)
            note = json_pack("{s:o, s:s}", "file", json_sprintf("agent-%s-%u.cu", r->id, k), "verdict", r->result ? "not evaluated" : "queued");
        json_array_append_new(list, note);
    }
    return list;
}

json_t *mcp_run_json(const mcp_run *r) {
    const char *state = !r->result ? (r->cancelled ? "ending" : "going on") : json_object_get(r->result, "error") ? "failed" : r->cancelled ? "cancelled" : "ended";
    json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "schema", "hone.run/1", "run_id", r->id, "state", state, "task", r->task, "folder", r->folder, "proposals",
                          proposals(r));
    if (j && r->progress)
        json_object_set(j, "progress", r->progress);
    if (j && r->result)
        json_object_set(j, "result", r->result);
    return j;
}

hone_code mcp_run_status(mcp *m, mcp_call *call, const json_t *args, json_t **now, hone_err *e) {
    (void)call;
    mcp_run *r;
    HONE_TRY(need_run(m, args, &r, e));
    *now = mcp_run_json(r);
    return HONE_OK;
}

// ---- waiting

static void wait_for(mcp *m, mcp_call *call, mcp_run *r, const json_t *args) {
    double s = json_number_value(json_object_get(args, "wait_s"));
    call->waits = r;
    call->until = hone_now_s(&m->clock) + s;
}

bool mcp_wait_over(const mcp_call *call, double now) {
    return now >= call->until || call->waits->result || (call->wait_file[0] && hone_is_file(call->wait_file));
}

json_t *mcp_wait_json(const mcp_call *call) { return mcp_run_json(call->waits); }

hone_code mcp_run_result(mcp *m, mcp_call *call, const json_t *args, json_t **now, hone_err *e) {
    mcp_run *r;
    (void)now;
    HONE_TRY(need_run(m, args, &r, e));
    wait_for(m, call, r, args);
    return HONE_OK;
}

hone_code mcp_cancel_run(mcp *m, mcp_call *call, const json_t *args, json_t **now, hone_err *e) {
    mcp_run *r;
    (void)now;
    HONE_TRY(need_run(m, args, &r, e));
    if (!r->result) {
        r->cancelled = true;
        mcp_child_ask_end(&r->child, hone_now_s(&m->clock));
    }
    call->waits = r;
    call->until = hone_now_s(&m->clock) + MCP_KILL_AFTER_S + 2;
    return HONE_OK;
}

// ---- feeding

hone_code mcp_propose(mcp *m, mcp_call *call, const json_t *args, json_t **now, hone_err *e) {
    mcp_run *r;
    char path[2 * MCP_PATH];
    (void)now;
    HONE_TRY(need_run(m, args, &r, e));
    if (r->result || r->cancelled) {
        hone_fail(e, HONE_E_USAGE, 0, "%s is over", r->id);
        return hone_hint(e, "start_run with a larger budget goes on from its archive; check_candidate and benchmark_candidate need no run");
    }
    snprintf(path, sizeof path, "%s/manual", r->folder);
    HONE_TRY(hone_mkdirs(path, e));
    snprintf(path, sizeof path, "%s/manual/agent-%s-%u.cu", r->folder, r->id, r->proposals + 1);
    const char *text = mcp_text(args, "candidate");
    HONE_TRY(hone_write_file(path, text, strlen(text), e));
    r->proposals++;
    snprintf(call->wait_file, MCP_PATH, "%.4000s/manual/taken/agent-%s-%u.json", r->folder, r->id, r->proposals);
    wait_for(m, call, r, args);
    return HONE_OK;
}
