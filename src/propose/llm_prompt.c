// propose/llm_prompt: templates. Built in from share/hone/prompts (generated/prompts.h); a folder may replace them one by one.
#include "propose/llm_internal.h"
#include "prompts.h"
#include <stdio.h>
#include <string.h>

enum { MAX_TEMPLATE = 64 << 10, TAG = 12 };
static const char *const places[] = {"device", "contract", "baseline", "exemplars", "parent", "second", "findings"};

// ---- loading

static hone_code check(const char *name, const char *text, hone_err *e) {
    for (const char *p = strstr(text, "{{"); p; p = strstr(p + 2, "{{")) {
        const char *end = strstr(p, "}}");
        bool known = false;
        for (size_t i = 0; end && i < HONE_COUNT(places); i++)
            known |= hone_span_eq((hone_span){p + 2, (size_t)(end - p - 2)}, places[i]);
        if (!known) {
            hone_fail(e, HONE_E_PARSE, 0, "prompt template '%s' has an unknown place '%.24s'", name, p);
            return hone_hint(e, "known are device, contract, baseline, exemplars, parent, second, findings");
        }
    }
    return HONE_OK;
}

static hone_code replace(const char *dir, struct hone_prompt *t, hone_err *e) {
    char file[64];
    size_t len;
    snprintf(file, sizeof file, "%s.txt", t->name);
    char *path = hone_path_join(dir, file);
    if (!path)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a prompt");
    hone_code c = hone_is_file(path) ? hone_read_file(path, MAX_TEMPLATE, &t->own, &len, e) : HONE_OK;
    hone_free(path);
    if (c == HONE_OK && t->own)
        t->text = t->own;
    return c;
}

hone_code hone_prompts_load(const char *dir, hone_prompts *out, hone_err *e) {
    *out = (hone_prompts){0};
    hone_sha *h = hone_sha_new();
    hone_code c = h ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a prompt");
    for (size_t i = 0; c == HONE_OK && i < HONE_COUNT(builtin_prompts) && i < HONE_PROMPTS_MAX; i++) {
        struct hone_prompt *t = &out->v[out->n++];
        t->name = builtin_prompts[i].name;
        t->text = builtin_prompts[i].text;
        c = dir ? replace(dir, t, e) : HONE_OK;
        if (c == HONE_OK)
            c = check(t->name, t->text, e);
        hone_sha_add(h, t->name, strlen(t->name) + 1);
        hone_sha_add(h, t->text, strlen(t->text) + 1);
    }
    if (h)
        hone_sha_hex(h, out->hash);
    if (c != HONE_OK)
        hone_prompts_free(out);
    return c;
}

void hone_prompts_free(hone_prompts *p) {
    for (size_t i = 0; i < p->n; i++)
        hone_free(p->v[i].own);
    *p = (hone_prompts){0};
}

const char *hone_prompt_text(const hone_prompts *p, const char *name) {
    for (size_t i = 0; i < p->n; i++)
        if (!strcmp(p->v[i].name, name))
            return p->v[i].text;
    return NULL;
}

// ---- rendering

static const char *find(const hone_place *v, size_t n, hone_span name) {
    for (size_t i = 0; i < n; i++)
        if (hone_span_eq(name, v[i].name))
            return v[i].text;
    return NULL;
}

hone_code hone_prompt_render(const hone_prompts *p, const char *name, const hone_place *v, size_t n, hone_str *out, hone_err *e) {
    const char *t = hone_prompt_text(p, name);
    if (!t)
        HONE_BUG("no prompt template '%s'", name);
    for (const char *open = strstr(t, "{{"); open; open = strstr(t, "{{")) {
        const char *close = strstr(open, "}}");
        const char *text = close ? find(v, n, (hone_span){open + 2, (size_t)(close - open - 2)}) : NULL;
        if (!text)
            return hone_fail(e, HONE_E_PARSE, 0, "prompt template '%s' has a place that this kind of prompt has no text for: '%.24s'", name, open);
        hone_str_addn(out, t, (size_t)(open - t));
        hone_str_add(out, text);
        t = close + 2;
    }
    hone_str_add(out, t);
    return hone_str_check(out, "a prompt", e);
}

// ---- data

// Length of the UTF-8 sequence at p, 0 when it is none. source: RFC 3629, table in section 4
static size_t utf8(const unsigned char *p, size_t left) {
    size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : 0;
    if (n == 0 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool bad = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f);
    return bad ? 0 : n;
}

static void add_clean(hone_str *out, const char *s, size_t len) {
    for (size_t i = 0; i < len;) {
        size_t n = utf8((const unsigned char *)s + i, len - i);
        if (n == 0 || s[i] == '\0')
            hone_str_addc(out, '?'), i++;
        else
            hone_str_addn(out, s + i, n), i += n;
    }
}

void hone_prompt_data(hone_str *out, const char *title, const char *text, size_t len) {
    char hash[HONE_HASH_HEX];
    size_t shown = len < HONE_SHOWN_MAX ? len : HONE_SHOWN_MAX;
    hone_sha256_hex(text, len, hash);
    hone_str_addf(out, "[data %.*s: %s]\n", TAG, hash, title);
    add_clean(out, text, shown);
    if (shown && text[shown - 1] != '\n')
        hone_str_addc(out, '\n');
    if (shown < len)
        hone_str_addf(out, "(%zu more bytes are not shown)\n", len - shown);
    hone_str_addf(out, "[end of data %.*s]\n", TAG, hash);
}
