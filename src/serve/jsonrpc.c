// serve/jsonrpc: lines out of bytes, messages out of lines. See jsonrpc.h.
#include "serve/jsonrpc.h"
#include <string.h>

// ---- framing

void hone_lines_init(hone_lines *l, size_t max_bytes) {
    *l = (hone_lines){.max = max_bytes};
    hone_str_init(&l->buffer, 2 * max_bytes + (1 << 16));
}

void hone_lines_free(hone_lines *l) { hone_str_free(&l->buffer); }

static void drop_taken(hone_lines *l) {
    hone_str *b = &l->buffer;
    memmove(b->s, b->s + l->at, b->len - l->at);
    b->len -= l->at;
    b->s[b->len] = 0;
    l->at = 0;
}

hone_code hone_lines_feed(hone_lines *l, const void *data, size_t n, hone_err *e) {
    if (l->at)
        drop_taken(l);
    hone_str_addn(&l->buffer, data, n);
    return hone_str_check(&l->buffer, "a message", e);
}

// More than the maximum without an end: what is there is dropped, and so is the rest of the line when it comes.
static hone_line_kind too_long(hone_lines *l) {
    bool first = !l->skipping;
    l->skipping = true;
    l->at = l->buffer.len;
    return first ? HONE_LINE_TOO_LONG : HONE_LINE_NONE;
}

hone_line_kind hone_lines_next(hone_lines *l, hone_span *out) {
    for (;;) {
        const char *from = l->buffer.s + l->at, *end = memchr(from, '\n', l->buffer.len - l->at);
        size_t n = end ? (size_t)(end - from) : l->buffer.len - l->at;
        if (!end)
            return n > l->max || (l->skipping && n) ? too_long(l) : HONE_LINE_NONE;
        l->at += n + 1;
        if (l->skipping) {   // the end of a line that was reported already
            l->skipping = false;
            continue;
        }
        if (n > l->max)
            return HONE_LINE_TOO_LONG;
        if (n && from[n - 1] == '\r')
            n--;
        *out = (hone_span){from, n};
        return HONE_LINE;
    }
}

// ---- messages

static void bad(hone_rpc *m, int code, const char *why) {
    m->kind = HONE_RPC_BAD;
    m->code = code;
    m->why = why;
}

static void classify(hone_rpc *m) {
    const json_t *version = json_object_get(m->root, "jsonrpc"), *id = json_object_get(m->root, "id"), *method = json_object_get(m->root, "method");
    json_t *params = json_object_get(m->root, "params");
    if (json_is_string(id) || json_is_integer(id))
        m->id = id;
    if (!json_is_string(version) || strcmp(json_string_value(version), "2.0") != 0)
        bad(m, HONE_RPC_INVALID, "\"jsonrpc\" must be \"2.0\"");
    else if (id && !m->id)
        bad(m, HONE_RPC_INVALID, "\"id\" must be a string or an integer");
    else if (!method && m->id && (json_object_get(m->root, "result") || json_object_get(m->root, "error")))
        m->kind = HONE_RPC_RESPONSE;
    else if (!json_is_string(method))
        bad(m, HONE_RPC_INVALID, "\"method\" must be a string");
    else if (params && !json_is_object(params))
        bad(m, HONE_RPC_PARAMS, "\"params\" must be an object");
    else
        m->kind = m->id ? HONE_RPC_REQUEST : HONE_RPC_NOTIFICATION;
    m->method = json_string_value(method);
    m->params = json_is_object(params) ? params : NULL;
}

void hone_rpc_take(json_t *stolen, hone_rpc *out) {
    *out = (hone_rpc){.root = stolen};
    if (!out->root)
        bad(out, HONE_RPC_PARSE, "the line is no JSON");
    else if (!json_is_object(out->root))
        bad(out, HONE_RPC_INVALID, "a message is an object");
    else
        classify(out);
}

void hone_rpc_parse(const char *text, size_t n, hone_rpc *out) { hone_rpc_take(json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL), out); }

void hone_rpc_free(hone_rpc *m) {
    json_decref(m->root);
    *m = (hone_rpc){0};
}

static json_t *answer(const json_t *id, const char *key, json_t *stolen) {
    json_t *o = json_object();
    json_object_set_new(o, "jsonrpc", json_string("2.0"));
    if (id)
        json_object_set(o, "id", (json_t *)(uintptr_t)id);
    else
        json_object_set_new(o, "id", json_null());
    json_object_set_new(o, key, stolen);
    return o;
}

json_t *hone_rpc_result(const json_t *id, json_t *stolen) { return answer(id, "result", stolen); }

json_t *hone_rpc_error(const json_t *id, int code, const char *message, json_t *stolen_data) {
    json_t *error = json_pack("{s:i, s:s}", "code", code, "message", message);
    if (stolen_data)
        json_object_set_new(error, "data", stolen_data);
    return answer(id, "error", error);
}

json_t *hone_rpc_notification(const char *method, json_t *stolen_params) {
    return json_pack("{s:s, s:s, s:o}", "jsonrpc", "2.0", "method", method, "params", stolen_params);
}
