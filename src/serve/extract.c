// serve/extract: the candidate in a model's reply. A reply is untrusted text: exactly one file is taken from it, or none. See reward.h.
#include "serve/reward.h"
#include <string.h>

typedef struct fence { const char *body; size_t body_n; const char *after; } fence;

static size_t run_of(const char *p, const char *end, char c) {
    size_t n = 0;
    while (p + n < end && p[n] == c)
        n++;
    return n;
}

static const char *line_end(const char *p, const char *end) {
    const char *nl = memchr(p, '\n', (size_t)(end - p));
    return nl ? nl + 1 : end;
}

// The next block between a line that starts with three or more backticks and one with at least as many and nothing else. source: CommonMark 0.31, 4.5
static bool next_fence(const char *p, const char *end, fence *out) {
    for (; p < end; p = line_end(p, end)) {
        size_t open = run_of(p, end, '`');
        if (open < 3)
            continue;
        out->body = line_end(p, end);
        for (const char *q = out->body; q < end; q = line_end(q, end)) {
            size_t close = run_of(q, end, '`');
            size_t rest = close + strspn(q + close, " \t\r");
            if (close >= open && (q + rest >= end || q[rest] == '\n')) {
                out->body_n = (size_t)(q - out->body);
                out->after = line_end(q, end);
                return true;
            }
        }
        out->body_n = (size_t)(end - out->body);   // cut off: no candidate
        out->after = end;
        return false;
    }
    return false;
}

static bool is_task(const char *s, size_t n) { return memmem(s, n, "#pragma hone", 12) != NULL; }

const char *hone_reward_extract(const char *reply, size_t n, size_t *len, const char **why) {
    const char *end = reply + n, *p = reply, *found = NULL;
    bool any = false;
    fence f;
    while (next_fence(p, end, &f)) {
        any = true;
        p = f.after;
        if (!is_task(f.body, f.body_n))
            continue;
        if (found) {
            *why = "the reply holds more than one file with #pragma hone lines";
            return NULL;
        }
        found = f.body;
        *len = f.body_n;
    }
    if (found)
        return found;
    if (!any && !memmem(reply, n, "```", 3) && is_task(reply, n)) {
        *len = n;
        return reply;
    }
    *why = any ? "no fenced block of the reply has #pragma hone lines" : "the reply holds no whole fenced file with #pragma hone lines";
    return NULL;
}
