// llm/spec: "provider:model[@base_url]" to an endpoint. A model's name may hold colons (qwen:7b); the address starts after the last "@http".
#include "llm/internal.h"
#include <stdio.h>
#include <string.h>

static const hone_llm_provider providers[] = {
#define PROVIDER(name, url, path, key_env, key_header, header, frames, form) {name, url, path, key_env, key_header, header, frames, &hone_form_##form},
#include "llm/providers.def"
#undef PROVIDER
};

static const hone_llm_provider *find(const char *name, size_t n) {
    for (size_t i = 0; i < HONE_COUNT(providers); i++)
        if (hone_span_eq((hone_span){name, n}, providers[i].name))
            return &providers[i];
    return NULL;
}

static hone_code bad(const char *text, const char *what, hone_err *e) {
    hone_fail(e, HONE_E_USAGE, 0, "model '%s' %s", text, what);
    return hone_hint(e, "--model PROVIDER:NAME[@BASE_URL]; providers: openai, anthropic, ollama, llamacpp, vllm, or replay:DIR");
}

static const char *address(const char *model) {
    const char *at = NULL;
    for (const char *p = strstr(model, "@http"); p; p = strstr(p + 1, "@http"))
        if (!strncmp(p, "@http://", 8) || !strncmp(p, "@https://", 9))
            at = p;
    return at;
}

static bool is_loopback(const char *url) {
    static const char *const hosts[] = {"127.0.0.1", "localhost", "[::1]"};
    const char *host = strstr(url, "://");
    for (size_t i = 0; host && i < HONE_COUNT(hosts); i++) {
        size_t n = strlen(hosts[i]);
        if (!strncmp(host + 3, hosts[i], n) && strchr(":/", host[3 + n]))
            return true;
    }
    return false;
}

// A base address may end in "/", and may already hold the "/v1" that the path starts with.
static bool make_url(hone_llm_spec *s, const char *base) {
    size_t n = strlen(base);
    while (n && base[n - 1] == '/')
        n--;
    const char *path = s->provider->path;
    if (n > 3 && !strncmp(base + n - 3, "/v1", 3) && !strncmp(path, "/v1/", 4))
        path += 3;
    int len = snprintf(s->url, sizeof s->url, "%.*s%s", (int)n, base, path);
    return len > 0 && (size_t)len < sizeof s->url;
}

hone_code hone_llm_spec_parse(const char *text, hone_llm_spec *s, hone_err *e) {
    *s = (hone_llm_spec){0};
    const char *colon = strchr(text, ':');
    if (!colon || colon == text || !colon[1])
        return bad(text, "is no PROVIDER:NAME", e);
    s->provider = find(text, (size_t)(colon - text));
    if (!s->provider)
        return bad(text, "names no known provider", e);
    const char *at = address(colon + 1);
    size_t n = at ? (size_t)(at - text) : strlen(text);
    if (n == (size_t)(colon + 1 - text))
        return bad(text, "names no model", e);
    if (n >= sizeof s->name)
        return bad(text, "is too long", e);
    memcpy(s->name, text, n);
    s->model = s->name + (colon + 1 - text);
    for (size_t i = 0; i < strlen(text); i++)
        if ((unsigned char)text[i] <= ' ' || text[i] == '"')
            return bad(text, "holds a space or a quote", e);
    const char *base = at ? at + 1 : s->provider->url;
    if (strchr(strstr(base, "://") + 3, '@'))
        return bad("…", "has a user name or password in its address; keys come from the environment or a key file", e);
    s->own_url = at != NULL;
    if (!make_url(s, base))
        return bad(text, "has too long an address", e);
    s->loopback = is_loopback(s->url);
    s->tls = !strncmp(s->url, "https://", 8);
    return HONE_OK;
}
