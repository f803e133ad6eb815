// serve/mcp: the loop and the protocol. One thread: reads lines, answers, starts commands, passes on their ends. See mcp.h.
#include "serve/mcp_internal.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define META_VERSION "io.modelcontextprotocol/protocolVersion"
#define META_CAPABILITIES "io.modelcontextprotocol/clientCapabilities"
#define META_SERVER "io.modelcontextprotocol/serverInfo"
enum { UNSUPPORTED_VERSION = -32022, LIST_TTL_MS = 3600000, POLL_MS = 100 };
static const char modern_version[] = "2026-07-28";
static const char *const old_versions[] = {"2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"};
static const char instructions[] =
    "hone makes CUDA kernels faster and proves it. A task file (.cu with #pragma hone lines) is the whole problem; a candidate is a task file with the same "
    "contract. Describe the task, profile it, write a candidate, check it, benchmark it; or start a run and propose candidates to it. Times on a virtual device are "
    "modelled. A person approves results with 'hone review'; no tool does.";

// ---- sending

void mcp_send(mcp *m, json_t *stolen) {
    if (m->batch && stolen) {
        mcp_batch_add(m->batch, stolen);
        return;
    }
    char *text = stolen ? json_dumps(stolen, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(stolen);
    size_t n = text ? strlen(text) : 0;
    if (text)
        text[n++] = '\n';   // over the terminator
    for (size_t at = 0; at < n && !m->gone;) {
        ssize_t done = write(m->c->out_fd, text + at, n - at);
        if (done < 0 && errno != EINTR)
            m->gone = true;
        at += done > 0 ? (size_t)done : 0;
    }
    free(text);
}

static json_t *server_info(void) { return json_pack("{s:s, s:s, s:s}", "name", "hone", "title", "hone", "version", HONE_VERSION); }

// What every result of the newer era carries.
static json_t *stamped(bool modern, json_t *result) {
    if (modern && result) {
        json_object_set_new(result, "resultType", json_string("complete"));
        json_object_set_new(result, "_meta", json_pack("{s:o}", META_SERVER, server_info()));
    }
    return result;
}

static json_t *cacheable(bool modern, json_t *result) {
    if (modern && result) {
        json_object_set_new(result, "ttlMs", json_integer(LIST_TTL_MS));
        json_object_set_new(result, "cacheScope", json_string("public"));
    }
    return stamped(modern, result);
}

static void send_tool_result(mcp *m, const json_t *id, bool modern, json_t *stolen, bool failed) {
    char *text = json_dumps(stolen, JSON_COMPACT | JSON_REAL_PRECISION(9));
    if (!text || strlen(text) > MCP_MAX_RESULT) {
        json_decref(stolen);
        free(text);
        stolen = json_pack("{s:s, s:{s:s, s:s}}", "schema", "hone.error/1", "error", "code", "limit", "message", "the result is longer than a tool may return");
        text = json_dumps(stolen, JSON_COMPACT);
        failed = true;
    }
    json_t *result = json_pack("{s:[{s:s, s:s}], s:o, s:b}", "content", "type", "text", "text", text ? text : "", "structuredContent", stolen, "isError", (int)failed);
    free(text);
    mcp_send(m, hone_rpc_result(id, stamped(modern, result)));
}

static void send_tool_error(mcp *m, const json_t *id, bool modern, const hone_err *e) {
    json_t *j = json_pack("{s:s, s:{s:s, s:s, s:s, s:i}}", "schema", "hone.error/1", "error", "code", hone_code_name(e->code), "message", e->msg, "hint", e->hint, "sub",
                          e->sub);
    if (!j)   // the message quotes bytes that are no UTF-8
        j = json_pack("{s:s, s:{s:s, s:s}}", "schema", "hone.error/1", "error", "code", hone_code_name(e->code), "message", "the arguments are not usable");
    send_tool_result(m, id, modern, j, true);
}

// ---- calls

static void end_call(mcp *m, mcp_call *c) {
    mcp_batch *b = c->batch;
    if (c->has_child)
        mcp_child_free(&c->child);
    for (size_t i = 0; i < HONE_COUNT(c->files); i++)
        if (c->files[i][0])
            unlink(c->files[i]);
    json_decref(c->id);
    json_decref(c->token);
    *c = (mcp_call){0};
    if (b && !m->batch)   // otherwise its messages are still being taken
        mcp_batch_release(m, b);
    else if (b)
        b->open--;
}

static void answer_command(mcp *m, mcp_call *c) {
    json_t *j = json_loadb(c->child.out.s, c->child.out.len, 0, NULL);
    bool failed = !json_is_object(j);
    if (failed) {
        json_decref(j);
        j = json_pack("{s:s, s:{s:s, s:s}}", "schema", "hone.error/1", "error", "code", "internal", "message", "the command ended without a result");
    }
    const char *schema = json_string_value(json_object_get(j, "schema"));
    failed |= schema && !strcmp(schema, "hone.error/1");
    if (failed && c->child.err.len) {
        json_t *talk = json_stringn(c->child.err.s, c->child.err.len);
        if (talk)
            json_object_set_new(j, "talk", talk);
    }
    if (!failed && c->tool->shape)
        j = c->tool->shape(c, j);
    send_tool_result(m, c->id, c->modern, j, failed);
}

static void tell_progress(mcp *m, mcp_call *c, double now) {
    if (!c->token || c->cancelled || now - c->told_at < 1)
        return;
    c->told_at = now;
    json_t *p = json_pack("{s:O}", "progressToken", c->token);
    const json_t *run = c->waits ? c->waits->progress : NULL;
    // must grow with every notification, also when the count of evaluations stands still
    json_object_set_new(p, "progress", json_real(now - c->from));
    char text[160];
    if (run)
        snprintf(text, sizeof text, "%lld of %lld evaluations, %.2f times the baseline's speed", (long long)json_integer_value(json_object_get(run, "evaluations")),
                 (long long)json_integer_value(json_object_get(run, "limit")), json_number_value(json_object_get(run, "speedup")));
    else
        snprintf(text, sizeof text, "%s, %.0f s", c->tool->title, now - c->from);
    json_object_set_new(p, "message", json_string(text));
    mcp_send(m, hone_rpc_notification("notifications/progress", p));
}

static void serve_calls(mcp *m, double now) {
    for (size_t i = 0; i < MCP_MAX_CALLS; i++) {
        mcp_call *c = &m->calls[i];
        if (!c->used)
            continue;
        if (c->has_child)
            mcp_child_poll(&c->child, now);
        bool over = c->has_child ? !c->child.running : mcp_wait_over(c, now) || c->cancelled;
        if (!over) {
            tell_progress(m, c, now);
            continue;
        }
        m->batch = c->batch;
        if (!c->cancelled && c->has_child)
            answer_command(m, c);
        else if (!c->cancelled)
            send_tool_result(m, c->id, c->modern, mcp_wait_json(c), false);
        m->batch = NULL;
        end_call(m, c);
    }
}

static mcp_call *free_call(mcp *m) {
    for (size_t i = 0; i < MCP_MAX_CALLS; i++)
        if (!m->calls[i].used)
            return &m->calls[i];
    return NULL;
}

static bool id_in_use(const mcp *m, const json_t *id) {
    for (size_t i = 0; i < MCP_MAX_CALLS; i++)
        if (m->calls[i].used && json_equal(m->calls[i].id, id))
            return true;
    return false;
}

static hone_code begin_call(mcp *m, mcp_call *c, const json_t *args, json_t **now, hone_err *e) {
    HONE_TRY(mcp_check_args(c->tool, args, e));
    return c->tool->start(m, c, args, now, e);
}

static void call_tool(mcp *m, const hone_rpc *r, bool modern) {
    const json_t *name = json_object_get(r->params, "name"), *token = json_object_get(json_object_get(r->params, "_meta"), "progressToken");
    json_t *args = json_object_get(r->params, "arguments"), *now = NULL, *none = args ? NULL : json_object();
    const mcp_tool *tool = mcp_find_tool(json_string_value(name));
    mcp_call *c = free_call(m);
    hone_err e = {0};
    if (!tool || (args && !json_is_object(args)) || id_in_use(m, r->id)) {
        mcp_send(m, hone_rpc_error(r->id, HONE_RPC_PARAMS, !tool ? "there is no such tool" : args && !json_is_object(args) ? "\"arguments\" must be an object"
                                                                                                                          : "the id is in use", NULL));
        json_decref(none);
        return;
    }
    if (!c) {
        hone_fail(&e, HONE_E_BUSY, 0, "%d calls are under way; wait for one", MCP_MAX_CALLS);
        send_tool_error(m, r->id, modern, &e);
        json_decref(none);
        return;
    }
    *c = (mcp_call){.used = true, .modern = modern, .tool = tool, .id = json_incref((json_t *)(uintptr_t)r->id), .from = hone_now_s(&m->clock), .batch = m->batch};
    if (c->batch)
        c->batch->open++;
    c->token = json_is_string(token) || json_is_integer(token) ? json_incref((json_t *)(uintptr_t)token) : NULL;
    hone_code code = begin_call(m, c, args ? args : none, &now, &e);
    json_decref(none);
    if (code != HONE_OK)
        send_tool_error(m, c->id, modern, &e);
    else if (now)
        send_tool_result(m, c->id, modern, now, false);
    if (code != HONE_OK || now)
        end_call(m, c);
}

static void cancel(mcp *m, const hone_rpc *r) {
    const json_t *id = json_object_get(r->params, "requestId");
    for (size_t i = 0; id && i < MCP_MAX_CALLS; i++) {
        mcp_call *c = &m->calls[i];
        if (!c->used || !json_equal(c->id, id))
            continue;
        c->cancelled = true;   // it gets no answer
        if (c->has_child)
            mcp_child_ask_end(&c->child, hone_now_s(&m->clock));
    }
}

// ---- methods

static json_t *capabilities(void) { return json_pack("{s:{}}", "tools"); }

static void hello(mcp *m, const hone_rpc *r) {
    const char *asked = json_string_value(json_object_get(r->params, "protocolVersion")), *version = old_versions[0];
    if (!asked) {
        mcp_send(m, hone_rpc_error(r->id, HONE_RPC_PARAMS, "\"protocolVersion\" is missing", NULL));
        return;
    }
    for (size_t i = 0; i < HONE_COUNT(old_versions); i++)
        if (!strcmp(asked, old_versions[i]))
            version = old_versions[i];
    m->version = version;
    mcp_send(m, hone_rpc_result(r->id, json_pack("{s:s, s:o, s:o, s:s}", "protocolVersion", version, "capabilities", capabilities(), "serverInfo", server_info(),
                                                 "instructions", instructions)));
}

static void discover(mcp *m, const hone_rpc *r) {
    json_t *result = json_pack("{s:[s], s:o, s:s}", "supportedVersions", modern_version, "capabilities", capabilities(), "instructions", instructions);
    mcp_send(m, hone_rpc_result(r->id, cacheable(true, result)));
}

static void list_tools(mcp *m, const hone_rpc *r, bool modern) {
    if (json_object_get(r->params, "cursor"))
        mcp_send(m, hone_rpc_error(r->id, HONE_RPC_PARAMS, "there is one page", NULL));
    else
        mcp_send(m, hone_rpc_result(r->id, cacheable(modern, json_pack("{s:o}", "tools", mcp_tool_list()))));
}

static void unsupported(mcp *m, const hone_rpc *r, const char *asked) {
    json_t *versions = json_array();
    json_array_append_new(versions, json_string(modern_version));
    for (size_t i = 0; i < HONE_COUNT(old_versions); i++)
        json_array_append_new(versions, json_string(old_versions[i]));
    mcp_send(m, hone_rpc_error(r->id, UNSUPPORTED_VERSION, "Unsupported protocol version", json_pack("{s:o, s:s}", "supported", versions, "requested", asked)));
}

static void answer_modern(mcp *m, const hone_rpc *r, const json_t *meta) {
    const char *version = json_string_value(json_object_get(meta, META_VERSION));
    if (!version)
        mcp_send(m, hone_rpc_error(r->id, HONE_RPC_PARAMS, "_meta[\"" META_VERSION "\"] must be a string", NULL));
    else if (strcmp(version, modern_version) != 0)
        unsupported(m, r, version);
    else if (!json_is_object(json_object_get(meta, META_CAPABILITIES)))
        mcp_send(m, hone_rpc_error(r->id, HONE_RPC_PARAMS, "_meta[\"" META_CAPABILITIES "\"] is missing", NULL));
    else if (!strcmp(r->method, "server/discover"))
        discover(m, r);
    else if (!strcmp(r->method, "tools/list"))
        list_tools(m, r, true);
    else if (!strcmp(r->method, "tools/call"))
        call_tool(m, r, true);
    else
        mcp_send(m, hone_rpc_error(r->id, HONE_RPC_NO_METHOD, "there is no such method", NULL));
}

static void answer_old(mcp *m, const hone_rpc *r) {
    bool known = !strcmp(r->method, "tools/list") || !strcmp(r->method, "tools/call");
    if (!strcmp(r->method, "initialize"))
        hello(m, r);
    else if (!strcmp(r->method, "ping"))
        mcp_send(m, hone_rpc_result(r->id, json_object()));
    else if (!known)
        mcp_send(m, hone_rpc_error(r->id, HONE_RPC_NO_METHOD, "there is no such method", NULL));
    else if (!m->version)
        mcp_send(m, hone_rpc_error(r->id, HONE_RPC_PARAMS, "a request carries _meta[\"" META_VERSION "\"], or comes after initialize", NULL));
    else if (!strcmp(r->method, "tools/list"))
        list_tools(m, r, false);
    else
        call_tool(m, r, false);
}

static void take_one(mcp *m, hone_rpc *r) {
    const json_t *meta = json_object_get(r->params, "_meta");
    if (r->kind == HONE_RPC_BAD)
        mcp_send(m, hone_rpc_error(r->id, r->code, r->why, NULL));
    else if (r->kind == HONE_RPC_NOTIFICATION && !strcmp(r->method, "notifications/cancelled"))
        cancel(m, r);
    else if (r->kind == HONE_RPC_REQUEST && json_object_get(meta, META_VERSION))
        answer_modern(m, r, meta);
    else if (r->kind == HONE_RPC_REQUEST)
        answer_old(m, r);
    hone_rpc_free(r);   // other notifications, and responses to what was never asked, are ignored
}

void mcp_take_message(mcp *m, json_t *stolen) {
    hone_rpc r;
    hone_rpc_take(stolen, &r);
    take_one(m, &r);
}

static void take_line(mcp *m, hone_span line) {
    hone_rpc r;
    if (line.n == 0)
        return;
    hone_rpc_parse(line.s, line.n, &r);
    if (json_is_array(r.root)) {
        mcp_take_batch(m, r.root);
        hone_rpc_free(&r);
        return;
    }
    take_one(m, &r);
}

// ---- the loop

enum { MAX_FDS = 1 + 2 * (MCP_MAX_CALLS + MCP_MAX_RUNS) };
typedef struct watch { struct pollfd v[MAX_FDS]; mcp_child *of[MAX_FDS]; nfds_t n; bool active; } watch;

static void watch_child(watch *w, mcp_child *c) {
    if (!c->running)
        return;
    w->active = true;
    for (int i = 0; i < 2; i++) {
        int fd = i ? c->proc.err_fd : c->proc.out_fd;
        w->of[w->n] = c;
        if (fd >= 0)
            w->v[w->n++] = (struct pollfd){fd, POLLIN, 0};
    }
}

static void build_watch(mcp *m, watch *w) {
    *w = (watch){.n = 1};
    w->v[0] = (struct pollfd){m->c->in_fd, POLLIN, 0};
    for (size_t i = 0; i < MCP_MAX_CALLS; i++) {
        if (m->calls[i].used && m->calls[i].has_child)
            watch_child(w, &m->calls[i].child);
        w->active |= m->calls[i].used;
    }
    for (size_t i = 0; i < MCP_MAX_RUNS; i++)
        if (m->runs[i].used && !m->runs[i].result)
            watch_child(w, &m->runs[i].child);
}

// false at the end of input.
static hone_code read_input(mcp *m, bool *more, hone_err *e) {
    char chunk[65536];
    ssize_t n = read(m->c->in_fd, chunk, sizeof chunk);
    *more = n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
    if (n <= 0)
        return HONE_OK;
    HONE_TRY(hone_lines_feed(&m->lines, chunk, (size_t)n, e));
    hone_span line;
    for (hone_line_kind k; (k = hone_lines_next(&m->lines, &line)) != HONE_LINE_NONE;) {
        if (k == HONE_LINE_TOO_LONG)
            mcp_send(m, hone_rpc_error(NULL, HONE_RPC_INVALID, "a message is longer than the server takes", NULL));
        else
            take_line(m, line);
    }
    return HONE_OK;
}

static bool stopped(const mcp *m) { return m->gone || (m->c->interrupt && *m->c->interrupt); }

static hone_code loop(mcp *m, hone_err *e) {
    bool more = true;
    while (more && !stopped(m)) {
        watch w;
        build_watch(m, &w);
        int r = poll(w.v, w.n, w.active ? POLL_MS : 1000);
        if (r < 0 && errno != EINTR)
            return hone_fail(e, HONE_E_IO, errno, "cannot wait for messages: %s", strerror(errno));
        for (nfds_t i = 1; r > 0 && i < w.n; i++)
            if (w.v[i].revents)
                mcp_child_read(w.of[i], w.v[i].fd == w.of[i]->proc.out_fd, w.v[i].fd == w.of[i]->proc.err_fd);
        if (r > 0 && w.v[0].revents)
            HONE_TRY(read_input(m, &more, e));
        double now = hone_now_s(&m->clock);
        mcp_runs_read(m, now);
        serve_calls(m, now);
    }
    return HONE_OK;
}

// ---- life

// Everything under way is asked to end, and has a few seconds for it: a run closes its archive.
static void wind_up(mcp *m) {
    double now = hone_now_s(&m->clock), until = now + MCP_KILL_AFTER_S;
    for (bool any = true; any && now < until; now = hone_now_s(&m->clock)) {
        any = false;
        for (size_t i = 0; i < MCP_MAX_CALLS + MCP_MAX_RUNS; i++) {
            mcp_child *c = i < MCP_MAX_CALLS ? &m->calls[i].child : &m->runs[i - MCP_MAX_CALLS].child;
            if (!c->running)
                continue;
            mcp_child_ask_end(c, now);
            mcp_child_read(c, POLLIN, POLLIN);
            mcp_child_poll(c, now);
            any |= c->running;
        }
        if (any)
            usleep(20000);
    }
    for (size_t i = 0; i < MCP_MAX_CALLS; i++)
        if (m->calls[i].used)
            end_call(m, &m->calls[i]);
    for (size_t i = 0; i < MCP_MAX_RUNS; i++) {
        mcp_child_free(&m->runs[i].child);
        json_decref(m->runs[i].progress);
        json_decref(m->runs[i].result);
    }
    for (size_t i = 0; i < MCP_MAX_CALLS; i++)
        mcp_batch_free(&m->batches[i]);
    mcp_scratch_remove(m);
}

static hone_code open_server(mcp *m, hone_err *e) {
    char *real = realpath(m->c->root, NULL);
    int why = errno, n = snprintf(m->root, sizeof m->root, "%s", real ? real : "");
    free(real);
    if (!m->root[0] || n >= (int)sizeof m->root)
        return hone_fail(e, HONE_E_USAGE, why, "cannot use the folder '%s': %s", m->c->root, strerror(why));
    if (m->c->program)
        snprintf(m->program, sizeof m->program, "%s", m->c->program);
    else if ((n = (int)readlink("/proc/self/exe", m->program, sizeof m->program - 1)) <= 0)
        return hone_fail(e, HONE_E_IO, errno, "cannot find the program's own file");
    if (getrandom(&m->salt, sizeof m->salt, 0) != (ssize_t)sizeof m->salt)
        m->salt = (uint32_t)getpid();
    return HONE_OK;
}

hone_code hone_mcp_serve(const hone_mcp_config *c, hone_err *e) {
    mcp *m = hone_calloc(1, sizeof *m);
    if (!m)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory");
    m->c = c;
    m->clock = hone_clock_monotonic();
    hone_lines_init(&m->lines, MCP_MAX_LINE);
    hone_code code = open_server(m, e);
    if (code == HONE_OK)
        code = loop(m, e);
    wind_up(m);
    hone_lines_free(&m->lines);
    hone_free(m);
    return code;
}
