// serve/http: the desk over HTTP, in one thread: libmicrohttpd is run between looks at the workers. A request whose answer is not ready is suspended; while
// it is, its socket is watched, so that work for a client that went away is given up. Nothing is decided here but who may ask and how much.
#include "serve/reward.h"
#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 64, MAX_PER_ADDRESS = 64, IDLE_TIMEOUT_S = 30, WORK_MS = 20, IDLE_MS = 200, GRACE_S = 600 };

typedef struct exchange exchange;
struct exchange {
    exchange *next;
    struct MHD_Connection *connection;
    hone_str body;
    hone_desk_request *request;      // NULL: not taken yet
    bool suspended, gone, refuse;    // refuse: the server is ending
    struct server *server;
};
typedef struct server {
    const hone_http_config *c;
    hone_desk *desk;
    struct MHD_Daemon *daemon;
    exchange *open;
    bool ending;
} server;

// ---- answers

static enum MHD_Result send_json(struct MHD_Connection *k, unsigned status, json_t *stolen, unsigned retry_after_s) {
    char *text = stolen ? json_dumps(stolen, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(stolen);
    struct MHD_Response *r = text ? MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_COPY) : NULL;
    free(text);
    if (!r)
        return MHD_NO;
    char number[16];
    snprintf(number, sizeof number, "%u", retry_after_s);
    MHD_add_response_header(r, "Content-Type", "application/json");
    if (retry_after_s)
        MHD_add_response_header(r, "Retry-After", number);
    if (status == MHD_HTTP_UNAUTHORIZED)
        MHD_add_response_header(r, "WWW-Authenticate", "Bearer");
    enum MHD_Result done = MHD_queue_response(k, status, r);
    MHD_destroy_response(r);
    return done;
}

static enum MHD_Result send_error(struct MHD_Connection *k, unsigned status, const char *code, const char *message, unsigned retry_after_s) {
    json_t *j = json_pack("{s:s, s:{s:s, s:s}}", "schema", "hone.error/1", "error", "code", code, "message", message);
    return send_json(k, status, j, retry_after_s);
}

// ---- who may ask

// In time that does not depend on where the first difference is.
static bool same_token(const char *given, const char *token) {
    size_t n = strlen(token), m = strlen(given);
    unsigned char differs = n != m;
    for (size_t i = 0; i < n; i++)
        differs |= (unsigned char)(token[i] ^ (m ? given[i % m] : 0));
    return !differs;
}

static bool allowed(const server *s, struct MHD_Connection *k) {
    static const char scheme[] = "Bearer ";
    const char *h = MHD_lookup_connection_value(k, MHD_HEADER_KIND, "Authorization");
    return h && !strncmp(h, scheme, sizeof scheme - 1) && same_token(h + sizeof scheme - 1, s->c->token);
}

static bool announced_too_much(struct MHD_Connection *k) {
    const char *h = MHD_lookup_connection_value(k, MHD_HEADER_KIND, "Content-Length");
    return h && strtoull(h, NULL, 10) > HONE_REWARD_MAX_BODY;
}

// ---- one request

static enum MHD_Result take_request(server *s, exchange *x) {
    hone_err e = {0};
    unsigned status = 0, retry = 0;
    hone_desk_take(s->desk, x->body.s, x->body.len, &x->request, &status, &retry, &e);
    hone_str_free(&x->body);
    if (status != 200)
        return send_error(x->connection, status, hone_code_name(e.code), e.msg, retry);
    if (hone_desk_done(x->request))
        return send_json(x->connection, 200, hone_desk_answer(x->request), 0);
    x->suspended = true;
    MHD_suspend_connection(x->connection);
    return MHD_YES;
}

static enum MHD_Result on_reward(server *s, exchange *x, const char *data, size_t *n) {
    if (*n) {
        hone_str_addn(&x->body, data, *n);
        *n = 0;
        return MHD_YES;   // one that is too long is drained, then refused
    }
    if (x->body.failed)
        return send_error(x->connection, MHD_HTTP_CONTENT_TOO_LARGE, "limit", "the body is too long", 0);
    if (x->refuse)
        return send_error(x->connection, MHD_HTTP_SERVICE_UNAVAILABLE, "busy", "the server is ending", 1);
    return x->request ? send_json(x->connection, 200, hone_desk_answer(x->request), 0) : take_request(s, x);
}

static exchange *new_exchange(server *s, struct MHD_Connection *k) {
    exchange *x = hone_calloc(1, sizeof *x);
    if (!x)
        return NULL;
    *x = (exchange){.next = s->open, .connection = k, .server = s};
    hone_str_init(&x->body, HONE_REWARD_MAX_BODY);
    s->open = x;
    return x;
}

static enum MHD_Result on_request(void *self, struct MHD_Connection *k, const char *url, const char *method, const char *version, const char *data, size_t *n, void **ctx) {
    server *s = self;
    (void)version;
    bool first = !*ctx, reward = !strcmp(url, "/v1/reward");
    if (!first && reward)
        return on_reward(s, *ctx, data, n);
    if (!first) {
        *n = 0;
        return MHD_YES;
    }
    if (!strcmp(url, "/v1/health") && !strcmp(method, "GET"))
        return send_json(k, 200, hone_desk_status(s->desk), 0);
    if (!allowed(s, k))
        return send_error(k, MHD_HTTP_UNAUTHORIZED, "usage", "the token is missing or wrong", 0);
    if (!strcmp(url, "/v1/tasks") && !strcmp(method, "GET"))
        return send_json(k, 200, hone_desk_tasks(s->desk), 0);
    if (!reward)
        return send_error(k, MHD_HTTP_NOT_FOUND, "usage", "there is /v1/reward, /v1/tasks and /v1/health", 0);
    if (strcmp(method, "POST"))
        return send_error(k, MHD_HTTP_METHOD_NOT_ALLOWED, "usage", "/v1/reward takes POST", 0);
    if (announced_too_much(k))
        return send_error(k, MHD_HTTP_CONTENT_TOO_LARGE, "limit", "the body is too long", 0);
    return (*ctx = new_exchange(s, k)) ? MHD_YES : MHD_NO;
}

static void on_end(void *self, struct MHD_Connection *k, void **ctx, enum MHD_RequestTerminationCode why) {
    server *s = self;
    exchange *x = *ctx, **at = &s->open;
    (void)k, (void)why;
    if (!x)
        return;
    while (*at && *at != x)
        at = &(*at)->next;
    if (*at)
        *at = x->next;
    if (x->request)
        hone_desk_drop(s->desk, x->request);
    hone_str_free(&x->body);
    hone_free(x);
    *ctx = NULL;
}

// ---- the loop

static bool hung_up(const exchange *x) {
    const union MHD_ConnectionInfo *i = MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct pollfd p = {.fd = i ? i->connect_fd : -1, .events = POLLRDHUP};
    return p.fd >= 0 && poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

static void resume(exchange *x) {
    x->suspended = false;
    MHD_resume_connection(x->connection);
}

// Work for a client that is gone, or that has not begun when the server ends, is given up.
static void look_after(server *s) {
    for (exchange *x = s->open; x; x = x->next) {
        if (!x->suspended)
            continue;
        x->gone = hung_up(x);
        x->refuse = s->ending && !hone_desk_started_all(x->request);
        if (x->gone || x->refuse) {
            hone_desk_drop(s->desk, x->request);
            x->request = NULL;
            x->refuse = true;
            resume(x);
        } else if (hone_desk_done(x->request)) {
            resume(x);
        }
    }
}

static void nap(server *s) {
    const union MHD_DaemonInfo *i = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    struct pollfd p = {.fd = i ? i->epoll_fd : -1, .events = POLLIN};
    poll(&p, 1, IDLE_MS);
}

static hone_code loop(server *s, hone_err *e) {
    hone_clock clock = hone_clock_monotonic();
    double ends = 0;
    for (;;) {
        double now = hone_now_s(&clock);
        if (!s->ending && s->c->interrupt && *s->c->interrupt) {
            s->ending = true;
            ends = now + GRACE_S;
            MHD_socket listening = MHD_quiesce_daemon(s->daemon);
            if (listening != MHD_INVALID_SOCKET)
                close(listening);
        }
        MHD_run(s->daemon);
        look_after(s);
        MHD_run(s->daemon);
        if (s->ending && (!s->open || now > ends))
            return HONE_OK;
        HONE_TRY(hone_desk_work(s->desk, WORK_MS, e));
        if (!hone_desk_busy(s->desk))
            nap(s);
    }
}

// ---- life

static unsigned bound_port(struct MHD_Daemon *d, unsigned asked) {
    const union MHD_DaemonInfo *i = MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT);
    return i && i->port ? i->port : asked;
}

static hone_code start(server *s, hone_err *e) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)s->c->port)};
    if (inet_pton(AF_INET, s->c->listen, &a.sin_addr) != 1)
        return hone_fail(e, HONE_E_USAGE, 0, "'%s' is no IPv4 address", s->c->listen);
    s->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, (uint16_t)s->c->port, NULL, NULL, on_request, s, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&a,
                                 MHD_OPTION_CONNECTION_LIMIT, (unsigned)MAX_CONNECTIONS, MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)MAX_PER_ADDRESS,
                                 MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S, MHD_OPTION_NOTIFY_COMPLETED, on_end, s, MHD_OPTION_END);
    if (s->daemon)
        return HONE_OK;
    int why = errno;
    hone_fail(e, HONE_E_IO, why, "cannot listen on %s:%u: %s", s->c->listen, s->c->port, strerror(why));
    return hone_hint(e, "--port 0 takes a free port");
}

hone_code hone_http_serve(const hone_http_config *c, hone_desk *desk, hone_err *e) {
    server s = {.c = c, .desk = desk};
    HONE_TRY(start(&s, e));
    if (c->ready)
        c->ready(c->self, bound_port(s.daemon, c->port));
    hone_code code = loop(&s, e);
    for (exchange *x = s.open; x; x = x->next)
        if (x->suspended)
            resume(x);
    MHD_stop_daemon(s.daemon);
    return code;
}
