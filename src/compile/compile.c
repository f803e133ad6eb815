// The compiler: options, the key, the in-memory LRU over entries, and the NVRTC call itself. One compilation for sm_XX gives PTX and cubin
// both, and ptxas's statistics arrive in the same log, so a candidate costs one NVRTC call and nothing else.
#include "compile/internal.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_OPTIONS = 128, MAX_PTX = 64 << 20, MAX_LOG = 1 << 20 };

struct hone_compiler {
    hone_toolkit toolkit;
    hone_nvrtc *nvrtc;
    hone_disk_cache disk;
    hone_clock clock;
    hone_entry *newest, *oldest;
    size_t bytes, max_bytes;
    void (*watch)(void *self, bool begins);
    void *watcher;
    char fixed[8][800];              // options every compilation has
    size_t n_fixed;
};

static const struct { const char *text; bool takes_value; } flags[] = {
#define FLAG(text, takes_value, meaning) {text, takes_value},
#include "compile/flags.def"
#undef FLAG
};

static bool ptxas_value_ok(const char *v) {
    static const char *const values[] = {"-O0", "-O1", "-O2", "-O3", "-dlcm=ca", "-dlcm=cg", "-dlcm=cs"};
    for (size_t i = 0; i < HONE_COUNT(values); i++)
        if (strcmp(v, values[i]) == 0)
            return true;
    return false;
}

static bool plain_value_ok(const char *v) {
    size_t n = strlen(v);
    if (n == 0 || n > 32)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)v[i]) && !strchr("+-_", v[i]))
            return false;
    return true;
}

bool hone_flag_allowed(const char *flag) {
    size_t dashes = strspn(flag, "-");
    if (dashes < 1 || dashes > 2)
        return false;
    const char *name = flag + dashes, *eq = strchr(name, '=');
    size_t n = eq ? (size_t)(eq - name) : strlen(name);
    for (size_t i = 0; i < HONE_COUNT(flags); i++) {
        if (strlen(flags[i].text) != n || strncmp(flags[i].text, name, n) != 0 || flags[i].takes_value != (eq != NULL))
            continue;
        bool ptxas = strcmp(flags[i].text, "ptxas-options") == 0 || strcmp(flags[i].text, "Xptxas") == 0;
        return !eq || (ptxas ? ptxas_value_ok(eq + 1) : plain_value_ok(eq + 1));
    }
    return false;
}

static void default_cache_dir(char *out, size_t n) {
    const char *own = getenv("HONE_CACHE_DIR"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (own)
        snprintf(out, n, "%s", own);
    else if (xdg && *xdg)
        snprintf(out, n, "%s/hone", xdg);
    else if (home && *home)
        snprintf(out, n, "%s/.cache/hone", home);
    else
        *out = 0;
}

static void fix_options(hone_compiler *c) {
    static const char *const always[] = {"-lineinfo", "--ptxas-options=-v", "--diag-suppress=161" /* unknown pragma: ours */};
    for (size_t i = 0; i < HONE_COUNT(always); i++)
        snprintf(c->fixed[c->n_fixed++], sizeof c->fixed[0], "%s", always[i]);
    for (size_t i = 0; i < c->toolkit.n_includes; i++)
        snprintf(c->fixed[c->n_fixed++], sizeof c->fixed[0], "-I%s", c->toolkit.includes[i]);
}

hone_code hone_compiler_open(const hone_compiler_config *cfg, hone_compiler **out, hone_err *e) {
    hone_compiler *c = hone_calloc(1, sizeof *c);
    if (!c)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a compiler");
    hone_code r = hone_toolkit_find(&c->toolkit, e);
    if (r == HONE_OK)
        r = hone_nvrtc_load(&c->toolkit, &c->nvrtc, e);
    if (r != HONE_OK) {
        hone_free(c);
        return r;
    }
    char dir[768];
    if (cfg->cache_dir)
        snprintf(dir, sizeof dir, "%s", cfg->cache_dir);
    else
        default_cache_dir(dir, sizeof dir);
    hone_disk_open(&c->disk, dir, cfg->max_disk_bytes ? cfg->max_disk_bytes : (size_t)512 << 20);
    c->max_bytes = cfg->max_memory_bytes ? cfg->max_memory_bytes : (size_t)32 << 20;
    c->clock = cfg->clock.now_s ? cfg->clock : hone_clock_monotonic();
    fix_options(c);
    *out = c;
    return HONE_OK;
}

static void unlink_entry(hone_compiler *c, hone_entry *x) {
    *(x->newer ? &x->newer->older : &c->newest) = x->older;
    *(x->older ? &x->older->newer : &c->oldest) = x->newer;
    x->newer = x->older = NULL;
    c->bytes -= x->bytes;
}

static void link_newest(hone_compiler *c, hone_entry *x) {
    x->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = x;
    c->newest = x;
    c->bytes += x->bytes;
}

static void drop_old(hone_compiler *c) {
    for (hone_entry *x = c->oldest; x && c->bytes > c->max_bytes;) {
        hone_entry *next = x->newer;
        if (x->refs == 0) {
            unlink_entry(c, x);
            hone_entry_free(x);
        }
        x = next;
    }
}

void hone_compiler_close(hone_compiler *c) {
    if (!c)
        return;
    while (c->oldest) {
        hone_entry *x = c->oldest;
        unlink_entry(c, x);
        hone_entry_free(x);
    }
    hone_nvrtc_free(c->nvrtc);
    hone_free(c);
}

void hone_compiler_watch(hone_compiler *c, void (*fn)(void *self, bool begins), void *self) {
    c->watch = fn;
    c->watcher = self;
}

const hone_toolkit *hone_compiler_toolkit(const hone_compiler *c) { return &c->toolkit; }

const char *hone_compiler_cache_dir(const hone_compiler *c) { return c->disk.dir; }

void hone_compiler_version(const hone_compiler *c, int *major, int *minor) {
    *major = c->nvrtc->major;
    *minor = c->nvrtc->minor;
}

void hone_compiler_build(const hone_compiler *c, char out[HONE_BUILD_ID]) { HONE_BUILD_ID_OF(c->nvrtc->Version, out); }

// ---- options and key

typedef struct options { const char *v[MAX_OPTIONS]; size_t n; hone_arena *arena; } options;

static hone_code add_option(options *o, const char *text, hone_err *e) {
    if (o->n == MAX_OPTIONS)
        return hone_fail(e, HONE_E_LIMIT, 0, "more than %d compiler options", MAX_OPTIONS);
    if (!text)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for compiler options");
    o->v[o->n++] = text;
    return HONE_OK;
}

static hone_code build_options(const hone_compiler *c, const hone_source *s, options *o, hone_err *e) {
    HONE_TRY(add_option(o, hone_arena_printf(o->arena, "--gpu-architecture=sm_%u", s->cc), e));
    bool has_std = false;
    for (size_t i = 0; i < s->n_flags; i++) {
        if (!hone_flag_allowed(s->flags[i])) {
            hone_fail(e, HONE_E_USAGE, 0, "compiler flag '%s' is not allowed", s->flags[i]);
            return hone_hint(e, "docs/task-format.md lists the flags that a task may use; values are written with '='");
        }
        has_std = has_std || strstr(s->flags[i], "-std=");
        HONE_TRY(add_option(o, s->flags[i], e));
    }
    if (!has_std)
        HONE_TRY(add_option(o, "--std=c++17", e));
    for (size_t i = 0; i < s->n_tuning; i++)
        HONE_TRY(add_option(o, hone_arena_printf(o->arena, "-D%s=%lld", s->tuning[i].name, (long long)s->tuning[i].value), e));
    for (size_t i = 0; i < c->n_fixed; i++)
        HONE_TRY(add_option(o, c->fixed[i], e));
    return HONE_OK;
}

static hone_code make_key(const hone_compiler *c, const hone_source *s, const char *file, const options *o, char key[HONE_HASH_HEX],
                          hone_err *e) {
    hone_sha *h = hone_sha_new();
    if (!h)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a hash");
    char head[160];
    int n = snprintf(head, sizeof head, "hone-compile/1 nvrtc %d.%d %s", c->nvrtc->major, c->nvrtc->minor, file);
    hone_sha_add(h, head, (size_t)n + 1);
    for (size_t i = 0; i < o->n; i++)
        hone_sha_add(h, o->v[i], strlen(o->v[i]) + 1);
    hone_sha_add(h, s->text, s->len);
    hone_sha_hex(h, key);
    return HONE_OK;
}

// ---- NVRTC

static char *fetch(hone_nvrtc_program p, hone_nvrtc_result (*size)(hone_nvrtc_program, size_t *),
                   hone_nvrtc_result (*get)(hone_nvrtc_program, char *), size_t max, size_t *out_len) {
    size_t n = 0;
    *out_len = 0;
    if (size(p, &n) != 0 || n > max)
        return NULL;
    char *b = hone_malloc(n + 1);
    if (!b)
        return NULL;
    if (n && get(p, b) != 0) {
        hone_free(b);
        return NULL;
    }
    b[n] = 0;
    *out_len = n;
    return b;
}

static hone_code collect(hone_compiler *c, hone_nvrtc_program p, const char *key, const char *file, int result, double seconds,
                         hone_entry **out, hone_err *e) {
    const hone_nvrtc *nv = c->nvrtc;
    size_t ptx_len, cubin_len, log_len;
    bool ok = result == 0;
    char *ptx = ok ? fetch(p, nv->GetPTXSize, nv->GetPTX, MAX_PTX, &ptx_len) : hone_strdup("");
    char *cubin = ok ? fetch(p, nv->GetCUBINSize, nv->GetCUBIN, MAX_PTX, &cubin_len) : hone_strdup("");
    char *log = fetch(p, nv->GetProgramLogSize, nv->GetProgramLog, MAX_LOG, &log_len);
    if (!ok)
        ptx_len = cubin_len = 0;
    if (!ptx || !cubin || (ok && cubin_len == 0)) {
        hone_free(ptx);
        hone_free(cubin);
        hone_free(log);
        return hone_fail(e, HONE_E_LIMIT, 0, "NVRTC gave no PTX or no cubin for '%s', or more than %d MiB", file, MAX_PTX >> 20);
    }
    if (ok && ptx_len && ptx[ptx_len - 1] == 0)
        ptx_len--;   // NVRTC counts the terminator
    return hone_entry_make(key, file, ok, seconds, ptx, ptx_len, cubin, cubin_len, log ? log : hone_strdup(""), out, e);
}

static hone_code run_nvrtc(hone_compiler *c, const hone_source *s, const char *file, const options *o, const char *key, hone_entry **out,
                           hone_err *e) {
    const hone_nvrtc *nv = c->nvrtc;
    char *text = hone_strndup(s->text, s->len);   // NVRTC wants a terminated string
    if (!text)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a source of %zu bytes", s->len);
    double from = hone_now_s(&c->clock);
    hone_nvrtc_program p = NULL;
    int r = nv->CreateProgram(&p, text, file, 0, NULL, NULL);
    hone_free(text);
    if (r != 0)
        return hone_fail(e, HONE_E_INTERNAL, r, "NVRTC does not take '%s': %s", file, nv->GetErrorString(r));
    enum { NVRTC_INVALID_OPTION = 5, NVRTC_COMPILATION = 6 };
    if (c->watch)
        c->watch(c->watcher, true);
    r = nv->CompileProgram(p, (int)o->n, o->v);
    hone_code code;
    if (r == 0 || r == NVRTC_COMPILATION || r == NVRTC_INVALID_OPTION)
        code = collect(c, p, key, file, r, hone_now_s(&c->clock) - from, out, e);
    else
        code = hone_fail(e, HONE_E_COMPILE, r, "NVRTC failed on '%s': %s", file, nv->GetErrorString(r));
    nv->DestroyProgram(&p);
    if (c->watch)
        c->watch(c->watcher, false);
    return code;
}

static bool says_why(const hone_entry *x) {
    for (size_t i = 0; i < x->c.n_diags; i++)
        if (x->c.diags[i].is_error)
            return true;
    return x->c.ok;
}

// With -v, ptxas's statistics take the place of its errors in NVRTC's log (seen with 13.0): a refusal without a reason is asked again
// without.
static hone_code run_explained(hone_compiler *c, const hone_source *s, const char *file, const options *o, const char *key,
                               hone_entry **out, hone_err *e) {
    HONE_TRY(run_nvrtc(c, s, file, o, key, out, e));
    if (says_why(*out))
        return HONE_OK;
    hone_entry *silent = *out;
    options quiet = {.arena = o->arena};
    for (size_t i = 0; i < o->n; i++)
        if (strcmp(o->v[i], "--ptxas-options=-v") != 0)
            quiet.v[quiet.n++] = o->v[i];
    hone_code code = run_nvrtc(c, s, file, &quiet, key, out, e);
    hone_entry_free(silent);
    return code;
}

// ---- the front

static hone_code give(hone_entry *x, bool cached, const hone_compiled **out, hone_err *e) {
    x->refs++;
    x->c.from_cache = cached;
    *out = &x->c;
    if (x->c.ok)
        return HONE_OK;
    for (size_t i = 0; i < x->c.n_diags; i++)
        if (x->c.diags[i].is_error) {
            const hone_compile_diag *d = &x->c.diags[i];
            return d->line ? hone_fail(e, HONE_E_COMPILE, 0, "%s:%u:%u: %s", x->file, d->line, d->col ? d->col : 1, d->msg)
                           : hone_fail(e, HONE_E_COMPILE, 0, "%s: %s", x->file, d->msg);
        }
    return hone_fail(e, HONE_E_COMPILE, 0, "%s does not compile: %.300s", x->file, x->c.log);
}

static hone_entry *find(hone_compiler *c, const char *key) {
    for (hone_entry *x = c->newest; x; x = x->older)
        if (strcmp(x->c.key, key) == 0)
            return x;
    return NULL;
}

static hone_code compile_with(hone_compiler *c, const hone_source *s, options *o, const hone_compiled **out, hone_err *e) {
    char key[HONE_HASH_HEX], file[128];
    snprintf(file, sizeof file, "%.127s", s->name && *s->name ? hone_path_base(s->name) : "kernel.cu");
    HONE_TRY(build_options(c, s, o, e));
    HONE_TRY(make_key(c, s, file, o, key, e));
    hone_entry *x = find(c, key);
    bool cached = x != NULL;
    if (x) {
        unlink_entry(c, x);
    } else if (hone_disk_load(&c->disk, key, file, &x)) {
        cached = true;
    } else {
        HONE_TRY(run_explained(c, s, file, o, key, &x, e));
        hone_disk_store(&c->disk, x);
    }
    link_newest(c, x);
    hone_code code = give(x, cached, out, e);
    drop_old(c);
    return code;
}

hone_code hone_compile(hone_compiler *c, const hone_source *s, const hone_compiled **out, hone_err *e) {
    *out = NULL;
    options o = {.arena = hone_arena_new(1 << 20)};
    if (!o.arena)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for compiler options");
    hone_code code = compile_with(c, s, &o, out, e);
    hone_arena_free(o.arena);
    return code;
}

void hone_compiled_release(hone_compiler *c, const hone_compiled *k) {
    if (!k)
        return;
    hone_entry *x = (hone_entry *)(uintptr_t)k;
    if (x->refs == 0)
        HONE_BUG("a compiled program was released twice");
    x->refs--;
    drop_old(c);
}

const hone_kernel_info *hone_compiled_kernel(const hone_compiled *k, const char *name) {
    char mangled[160];
    int n = snprintf(mangled, sizeof mangled, "_Z%zu%s", strlen(name), name);
    const hone_kernel_info *found = NULL;
    for (size_t i = 0; i < k->n_kernels; i++) {
        if (strcmp(k->kernels[i].name, name) == 0)
            return &k->kernels[i];
        if (n > 0 && (size_t)n < sizeof mangled && strncmp(k->kernels[i].name, mangled, (size_t)n) == 0 && !found)
            found = &k->kernels[i];
    }
    return found;
}
