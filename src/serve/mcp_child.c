// serve/mcp_child: a command of the program as a process: bounded output, an end by SIGTERM (the command leaves everything valid) and, when that takes too
// long, by SIGKILL. Its workers die with it.
#include "serve/mcp_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void mcp_args_add(mcp_args *a, const char *fmt, ...) {
    va_list ap;
    hone_str s;
    char text[MCP_PATH + 256];
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    hone_str_init(&s, sizeof text);
    hone_str_add(&s, text);
    if (n < 0 || (size_t)n >= sizeof text || a->n + 1 >= MCP_MAX_ARGS || !(a->v[a->n] = hone_str_take(&s)))
        a->failed = true;
    else
        a->n++;
    hone_str_free(&s);
}

void mcp_args_free(mcp_args *a) {
    for (size_t i = 0; i < a->n; i++)
        hone_free(a->v[i]);
    *a = (mcp_args){0};
}

static void unblocked(int fd) {
    if (fd >= 0)
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

hone_code mcp_child_start(mcp_child *c, mcp_args *args, hone_err *e) {
    *c = (mcp_child){.proc = {.pid = -1, .in_fd = -1, .out_fd = -1, .err_fd = -1}};
    hone_str_init(&c->out, MCP_MAX_OUTPUT);
    hone_str_init(&c->err, MCP_MAX_TALK);
    args->v[args->n] = NULL;
    hone_proc_spec spec = {.argv = args->v, .capture_stderr = true, .new_group = true};
    hone_code code = args->failed ? hone_fail(e, HONE_E_LIMIT, 0, "too many or too long arguments") : hone_proc_start(&spec, &c->proc, e);
    mcp_args_free(args);
    if (code != HONE_OK)
        return code;
    close(c->proc.in_fd);
    c->proc.in_fd = -1;
    unblocked(c->proc.out_fd);
    unblocked(c->proc.err_fd);
    c->running = true;
    return HONE_OK;
}

// Reads what is there; the descriptor becomes -1 at its end. keep: only the last bytes matter.
static void drain(int *fd, hone_str *to, bool keep) {
    char chunk[16384];
    ssize_t n;
    while (*fd >= 0 && (n = read(*fd, chunk, sizeof chunk)) != 0) {
        if (n < 0) {
            if (errno == EAGAIN || errno == EINTR)
                return;
            break;
        }
        size_t got = (size_t)n, from = keep && got > to->max ? got - to->max : 0;
        if (keep && to->len + got - from > to->max) {
            size_t drop = to->len + got - from - to->max;
            memmove(to->s, to->s + drop, to->len - drop + 1);
            to->len -= drop;
        }
        hone_str_addn(to, chunk + from, got - from);
    }
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void mcp_child_read(mcp_child *c, short out_events, short err_events) {
    if (out_events)
        drain(&c->proc.out_fd, &c->out, false);
    if (err_events)
        drain(&c->proc.err_fd, &c->err, true);
}

void mcp_child_ask_end(mcp_child *c, double now) {
    if (!c->running || c->term_at > 0)
        return;
    c->term_at = now;
    kill(c->proc.pid, SIGTERM);
}

void mcp_child_poll(mcp_child *c, double now) {
    int status;
    if (!c->running)
        return;
    if (waitpid(c->proc.pid, &status, WNOHANG) == c->proc.pid) {
        mcp_child_read(c, POLLIN, POLLIN);
        c->proc.pid = -1;
        c->status = status;
        c->running = false;
        hone_proc_kill(&c->proc);   // closes what is open
    } else if (c->term_at > 0 && now - c->term_at > MCP_KILL_AFTER_S) {
        kill(-c->proc.pid, SIGKILL);
        kill(c->proc.pid, SIGKILL);
    }
}

void mcp_child_free(mcp_child *c) {
    if (c->running)
        hone_proc_kill(&c->proc);
    c->running = false;
    hone_str_free(&c->out);
    hone_str_free(&c->err);
}
