// llm/http: one POST over libcurl, nothing kept, nothing followed. It returns as soon as the caller's interrupt is set (looked at ten times a second), when no
// byte came for idle_s, or at the deadline. Certificates are always checked; proxies come from the environment (https_proxy, no_proxy …), as libcurl has it.
#include "llm/internal.h"
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { POLL_MS = 100 };

typedef struct transfer {
    const hone_http_call *c;
    hone_http_result *r;
    CURL *easy;
    CURLM *multi;
    struct curl_slist *headers;
    double last_byte_s;
    bool refused;
    char why[CURL_ERROR_SIZE];
} transfer;

bool hone_http_duration(const char *text, double *s) {
    double sum = 0;
    const char *p = text;
    while (*p == ' ')
        p++;
    if (!*p)
        return false;
    while (*p && *p != '\r' && *p != '\n') {
        char *end;
        double x = strtod(p, &end);
        if (end == p || !(x >= 0) || x > 1e7)
            return false;
        p = end;
        double unit = 1;
        if (!strncmp(p, "ms", 2))
            unit = 1e-3, p += 2;
        else if (*p == 'h' || *p == 'm' || *p == 's')
            unit = *p == 'h' ? 3600 : *p == 'm' ? 60 : 1, p++;
        else if (*p && *p != '\r' && *p != '\n')
            return false;
        sum += x * unit;
    }
    *s = sum;
    return true;
}

// ---- what comes back

static bool header_is(const char *line, size_t n, const char *name, char value[128]) {
    size_t len = strlen(name);
    if (n <= len || strncasecmp(line, name, len) != 0 || line[len] != ':')
        return false;
    size_t from = len + 1;
    while (from < n && line[from] == ' ')
        from++;
    size_t end = n;
    while (end > from && strchr("\r\n ", line[end - 1]))
        end--;
    snprintf(value, 128, "%.*s", (int)(end - from < 127 ? end - from : 127), line + from);
    return true;
}

// A moment in UTC, as RFC 3339 has it: seconds from now. False when it is none or past.
static bool until(const char *text, double *s) {
    struct tm t = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &t);
    if (!rest || (*rest != 'Z' && *rest != '.' && *rest != '+'))
        return false;
    *s = difftime(timegm(&t), time(NULL));   // the endpoint's clock against this machine's
    return *s > 0;
}

// "x-ratelimit-remaining-tokens: 0" with "x-ratelimit-reset-tokens: 6m0s"; "anthropic-ratelimit-tokens-remaining: 0" with a moment.
static void on_rate_limit(transfer *t, const char *line, size_t n) {
    static const struct { const char *remaining, *reset; bool moment; } limits[] = {
        {"x-ratelimit-remaining-requests", "x-ratelimit-reset-requests", false},
        {"x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens", false},
        {"anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset", true},
        {"anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset", true},
        {"anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset", true},
        {"anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset", true},
    };
    char value[128];
    double s;
    for (size_t i = 0; i < HONE_COUNT(limits); i++) {
        if (header_is(line, n, limits[i].reset, value) && (limits[i].moment ? until(value, &s) : hone_http_duration(value, &s)) && s > t->r->reset_s)
            t->r->reset_s = s;
        if (header_is(line, n, limits[i].remaining, value) && !strcmp(value, "0"))
            t->r->has_reset = true;
    }
}

static size_t on_header(char *line, size_t size, size_t count, void *self) {
    transfer *t = self;
    size_t n = size * count;
    char value[128];
    double s;
    if (header_is(line, n, "retry-after-ms", value) && hone_http_duration(value, &s)) {
        t->r->has_retry_after = true;
        t->r->retry_after_s = s / 1000;
    }
    if (header_is(line, n, "x-should-retry", value))
        t->r->no_retry = !strcasecmp(value, "false");
    on_rate_limit(t, line, n);
    t->last_byte_s = hone_now_s(t->c->clock);
    return n;
}

static size_t on_data(char *bytes, size_t size, size_t count, void *self) {
    transfer *t = self;
    const char *type = NULL;
    long status = 0;
    t->last_byte_s = hone_now_s(t->c->clock);
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->easy, CURLINFO_CONTENT_TYPE, &type);
    if (t->c->data(t->c->self, status, type ? type : "", bytes, size * count))
        return size * count;
    t->refused = true;
    return 0;
}

static hone_http_end end_of(const transfer *t, CURLcode c) {
    switch (c) {
    case CURLE_OK: return HONE_HTTP_DONE;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT: return HONE_HTTP_CONNECT;
    case CURLE_OPERATION_TIMEDOUT: return HONE_HTTP_TIMEOUT;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS: return HONE_HTTP_TLS;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_HTTP2_STREAM: return HONE_HTTP_CUT;
    default: return t->refused ? HONE_HTTP_SINK : HONE_HTTP_OTHER;
    }
}

static void finish(transfer *t, CURLcode c) {
    const char *type = NULL;
    curl_off_t after = 0;
    t->r->end = end_of(t, c);
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->r->status);
    curl_easy_getinfo(t->easy, CURLINFO_CONTENT_TYPE, &type);
    snprintf(t->r->content_type, sizeof t->r->content_type, "%s", type ? type : "");
    if (curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &after) == CURLE_OK && after > 0 && !t->r->has_retry_after) {   // seconds or a date
        t->r->has_retry_after = true;
        t->r->retry_after_s = (double)after;
    }
    if (c != CURLE_OK)
        snprintf(t->r->message, sizeof t->r->message, "%s", *t->why ? t->why : curl_easy_strerror(c));
}

// ---- sending

static bool prepare(transfer *t) {
    const hone_http_call *c = t->c;
    CURL *h = t->easy;
    const char *ca = getenv("SSL_CERT_FILE");
    for (size_t i = 0; c->headers[i]; i++) {
        struct curl_slist *more = curl_slist_append(t->headers, c->headers[i]);
        if (!more)
            return false;
        t->headers = more;
    }
    bool ok = curl_easy_setopt(h, CURLOPT_URL, c->url) == CURLE_OK;
    ok &= curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    ok &= curl_easy_setopt(h, CURLOPT_HTTPHEADER, t->headers) == CURLE_OK;
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);   // a key goes where it was meant to go
    curl_easy_setopt(h, CURLOPT_POSTFIELDS, c->body);
    curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->len);
    curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, (long)(c->connect_s * 1000));
    curl_easy_setopt(h, CURLOPT_USERAGENT, "hone/" HONE_VERSION);
    curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(h, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(h, CURLOPT_ERRORBUFFER, t->why);
    if (ca && *ca)
        curl_easy_setopt(h, CURLOPT_CAINFO, ca);
    return ok;
}

static void stop(transfer *t, hone_http_end end, const char *why) {
    t->r->end = end;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->r->status);
    snprintf(t->r->message, sizeof t->r->message, "%s", why);
}

// True when it is to end now.
static bool out_of_time(transfer *t) {
    const hone_http_call *c = t->c;
    double now = hone_now_s(c->clock);
    char why[80];
    if (c->interrupt && *c->interrupt) {
        stop(t, HONE_HTTP_INTERRUPTED, "interrupted");
    } else if (now >= c->deadline_s) {
        stop(t, HONE_HTTP_TIMEOUT, "the time for the whole request is used up");
    } else if (now - t->last_byte_s >= c->idle_s) {
        snprintf(why, sizeof why, "nothing was received for %.0f s", c->idle_s);
        stop(t, HONE_HTTP_TIMEOUT, why);
    } else {
        return false;
    }
    return true;
}

static void drive(transfer *t) {
    int running = 1;
    t->last_byte_s = hone_now_s(t->c->clock);
    while (!out_of_time(t)) {
        if (curl_multi_perform(t->multi, &running) != CURLM_OK) {
            stop(t, HONE_HTTP_OTHER, "libcurl failed");
            return;
        }
        if (!running) {
            int left;
            CURLMsg *m = curl_multi_info_read(t->multi, &left);
            finish(t, m ? m->data.result : CURLE_OK);
            return;
        }
        if (t->c->tick)
            t->c->tick(t->c->self);
        curl_multi_poll(t->multi, NULL, 0, POLL_MS, NULL);
    }
}

hone_code hone_http_post(const hone_http_call *c, hone_http_result *r, hone_err *e) {
    *r = (hone_http_result){0};
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return hone_fail(e, HONE_E_INTERNAL, 0, "libcurl cannot start");
    transfer t = {.c = c, .r = r, .easy = curl_easy_init(), .multi = curl_multi_init()};
    bool ok = t.easy && t.multi && prepare(&t) && curl_multi_add_handle(t.multi, t.easy) == CURLM_OK;
    if (ok)
        drive(&t);
    if (t.easy && t.multi)
        curl_multi_remove_handle(t.multi, t.easy);
    curl_easy_cleanup(t.easy);
    curl_multi_cleanup(t.multi);
    curl_slist_free_all(t.headers);
    curl_global_cleanup();
    return ok ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "cannot set up a request to '%s'", c->url);
}
