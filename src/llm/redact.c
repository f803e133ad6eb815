// llm/redact: texts that leave this room (errors, logs, files) carry no secrets: not the keys in use, in whole or quoted back in part by an endpoint, and
// nothing that looks like a key.
#include "llm/internal.h"
#include <ctype.h>
#include <string.h>

enum { SHORTEST = 8 };   // a part of a key this long gives too much away

static bool in_key(char c) { return isalnum((unsigned char)c) || strchr("-_.+/=*", c); }

static size_t token(const char *p) {
    size_t n = 0;
    while (p[n] && in_key(p[n]))
        n++;
    return n;
}

// How many bytes at p are a secret or the beginning or end of one.
static size_t known_secret(const char *const *secrets, size_t n, const char *p) {
    for (size_t i = 0; i < n; i++) {
        if (!secrets[i] || strlen(secrets[i]) < 1)
            continue;
        size_t same = 0, len = strlen(secrets[i]);
        while (same < len && p[same] == secrets[i][same])
            same++;
        if (same == len || same >= SHORTEST)
            return same;
        if (len > SHORTEST && !strncmp(p, secrets[i] + len - SHORTEST, SHORTEST))
            return SHORTEST;
    }
    return 0;
}

static size_t looks_secret(const char *p, const char *start) {
    static const char *const before[] = {"Bearer ", "x-api-key: ", "api_key=", "key="};
    static const char *const heads[] = {"sk-", "sk_", "gsk_", "hf_", "xai-", "AIza"};
    if (p > start && in_key(p[-1]))
        return 0;
    for (size_t i = 0; i < HONE_COUNT(heads); i++)
        if (!strncmp(p, heads[i], strlen(heads[i])) && token(p) >= 12)
            return token(p);
    for (size_t i = 0; i < HONE_COUNT(before); i++) {
        size_t n = strlen(before[i]);
        if ((size_t)(p - start) >= n && !strncmp(p - n, before[i], n) && token(p) >= SHORTEST)
            return token(p);
    }
    return 0;
}

void hone_redact(const char *const *secrets, size_t n, const char *text, char *out, size_t size) {
    static const char mark[] = "[secret]";
    size_t len = 0;
    for (const char *p = text; *p && len + 1 < size;) {
        size_t skip = known_secret(secrets, n, p);
        skip = skip ? skip : looks_secret(p, text);
        if (!skip) {
            out[len++] = *p++;
            continue;
        }
        for (size_t i = 0; mark[i] && len + 1 < size; i++)
            out[len++] = mark[i];
        p += skip;
    }
    out[len] = '\0';
}
