// Linking PTX modules: cuLink*. The modules' texts become one: a symbol declared .extern in one is the .visible or .weak one of another; symbols that a
// module keeps to itself are renamed when another has one of the same name; of several .weak definitions the first stays. cuLinkComplete returns PTX text,
// which is what the load functions of this library take. Line information (.file, .loc) is kept of the first module only, since the numbers of files would
// clash. Not linked: machine code, NVVM and LTO inputs, libraries.
#include "vgpu/driver/fatbin.h"
#include "vgpu/driver/work.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define LINK_MAX ((size_t)256 << 20)
enum { INPUT_CUBIN = 0, INPUT_PTX = 1, INPUT_FATBIN = 2, INPUT_NVVM = 5, INPUT_LAST = 5 };
typedef struct definition { char *name; unsigned module; bool shared; } definition;   // shared: .visible, .weak or .common
struct CUlinkState_st {
    hone_str out;
    HONE_VEC(definition) defined;
    unsigned n_modules;
    bool complete;
    char *error_log, *info_log;          // the caller's, valid until the state is destroyed
    unsigned error_bytes;
};

// ---- one top-level statement of a module

typedef struct statement { const char *at, *end; char name[256]; bool defines, shared, weak, external, header, line_info; } statement;

static const char *skip_quiet(const char *p) {   // a comment or string at p, else p
    if (p[0] == '/' && p[1] == '/') {
        while (*p && *p != '\n')
            p++;
    } else if (p[0] == '/' && p[1] == '*') {
        const char *end = strstr(p + 2, "*/");
        p = end ? end + 2 : p + strlen(p);
    } else if (*p == '"') {
        for (p++; *p && *p != '"'; p++)
            p += p[0] == '\\' && p[1];
        p += *p == '"';
    }
    return p;
}

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_' || c == '$' || c == '%'; }
static bool starts(const char *p, const char *word) { size_t n = strlen(word); return strncmp(p, word, n) == 0 && !is_word(p[n]); }

// The end of the statement that starts at p: behind its ';' or its body's '}', or the end of the line for directives that have neither.
static const char *statement_end(const char *p) {
    static const char *const line_only[] = {".version", ".target", ".address_size", ".file", ".loc"};
    for (size_t i = 0; i < HONE_COUNT(line_only); i++)
        if (starts(p, line_only[i]))
            return p + strcspn(p, "\n");
    int depth = 0;
    bool value = false, function = false;
    while (*p) {
        const char *q = skip_quiet(p);
        if (q != p) {
            p = q;
            continue;
        }
        function = function || starts(p, ".entry") || starts(p, ".func");
        value = value || *p == '=';
        depth += (*p == '{') - (*p == '}');
        if (depth <= 0 && (*p == ';' || (*p == '}' && function && !value)))
            return p + 1;
        p++;
    }
    return p;
}

// The name that is declared: behind .entry, behind .func with its optional results, or the word before '[', '=', ',' or ';' of a variable.
static void read_name(statement *s) {
    const char *p = s->at, *word = NULL;
    bool function = false;
    size_t n = 0;
    while (p < s->end) {
        const char *q = skip_quiet(p);
        if (q != p) {
            p = q;
        } else if (starts(p, ".func") || starts(p, ".entry")) {
            function = true;
            p += 5;
        } else if (function && *p == '(' && !word) {
            p += strcspn(p, ")");
            p += *p == ')';
        } else if (*p == '.' ) {
            for (p++; p < s->end && is_word(*p); p++) {
            }
        } else if (is_word(*p) && !isdigit((unsigned char)*p)) {
            for (word = p, n = 0; p < s->end && is_word(*p); p++)
                n++;
            if (function)
                break;
        } else if (*p == '[' || *p == '=' || *p == ';' || *p == ',') {
            break;
        } else {
            p++;
        }
    }
    s->defines = word && n < sizeof s->name && (function || strncmp(s->at, ".pragma", 7) != 0);
    if (s->defines)
        memcpy(s->name, word, n), s->name[n] = 0;
    if (function && s->end[-1] == ';' && !s->external)
        s->external = true;   // a prototype
}

static bool has_word(const statement *s, const char *word) {
    for (const char *p = s->at; p < s->end && *p != '{' && *p != '=' && *p != '('; p++) {
        const char *q = skip_quiet(p);
        if (q != p)
            p = q - 1;
        else if (starts(p, word))
            return true;
    }
    return false;
}

static bool next_statement(const char **p, statement *s) {
    for (;;) {
        while (isspace((unsigned char)**p))
            ++*p;
        const char *q = skip_quiet(*p);
        if (q == *p)
            break;
        *p = q;
    }
    if (!**p)
        return false;
    *s = (statement){.at = *p, .end = statement_end(*p)};
    s->header = starts(*p, ".version") || starts(*p, ".target") || starts(*p, ".address_size");
    s->line_info = starts(*p, ".file") || starts(*p, ".loc") || starts(*p, ".section");
    if (!s->header && !s->line_info && **p == '.') {
        s->external = has_word(s, ".extern");
        s->weak = has_word(s, ".weak") || has_word(s, ".common");
        s->shared = s->weak || has_word(s, ".visible");
        read_name(s);
    }
    *p = s->end;
    return true;
}

// ---- joining

static definition *find(struct CUlinkState_st *l, const char *name, bool shared) {
    for (size_t i = 0; i < l->defined.n; i++)
        if (l->defined.v[i].shared == shared && strcmp(l->defined.v[i].name, name) == 0)
            return &l->defined.v[i];
    return NULL;
}

typedef HONE_VEC(char *) names;
static bool push_name(names *to, const char *name) {
    char *copy = hone_strdup(name);
    bool fine = copy && hone_vec_push(to, copy);
    if (!fine)
        hone_free(copy);
    return fine;
}

// Writes a statement, with the module's renamed symbols; .loc lines are left out of modules after the first.
static bool write_statement(struct CUlinkState_st *l, const statement *s, const names *renamed) {
    for (const char *p = s->at; p < s->end;) {
        const char *q = skip_quiet(p);
        if (q == p && l->n_modules && starts(p, ".loc")) {
            p += strcspn(p, "\n");
            continue;
        }
        if (q == p && is_word(*p)) {
            while (q < s->end && is_word(*q))
                q++;
            bool rename = false;
            for (size_t i = 0; i < renamed->n && !rename; i++)
                rename = strlen(renamed->v[i]) == (size_t)(q - p) && strncmp(renamed->v[i], p, (size_t)(q - p)) == 0;
            hone_str_addn(&l->out, p, (size_t)(q - p));
            if (rename)
                hone_str_addf(&l->out, "$link%u", l->n_modules);
        } else {
            q += q == p;
            hone_str_addn(&l->out, p, (size_t)(q - p));
        }
        p = q;
    }
    hone_str_addc(&l->out, '\n');
    return !l->out.failed;
}

static CUresult define(struct CUlinkState_st *l, const statement *s, bool *keep, names *renamed) {
    definition *there = find(l, s->name, s->shared);
    *keep = true;
    if (s->shared && there) {
        *keep = false;
        return s->weak || there->module == l->n_modules ? CUDA_SUCCESS : CUDA_ERROR_INVALID_PTX;   // defined twice
    }
    if (!s->shared && (there || find(l, s->name, true)) && !push_name(renamed, s->name))
        return CUDA_ERROR_OUT_OF_MEMORY;
    definition d = {hone_strdup(s->name), l->n_modules, s->shared};
    return d.name && hone_vec_push(&l->defined, d) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult add_text(struct CUlinkState_st *l, const char *text) {
    names renamed = {0};
    statement s;
    CUresult r = CUDA_SUCCESS;
    for (int pass = 0; pass < 2 && r == CUDA_SUCCESS; pass++)   // first what is defined, then the text, which may use it before
        for (const char *p = text; r == CUDA_SUCCESS && next_statement(&p, &s);) {
            bool keep = !(l->n_modules && (s.header || s.line_info));
            if (s.defines && !s.external && !pass)
                r = define(l, &s, &keep, &renamed);
            else if (s.defines && !s.external && s.shared)
                keep = find(l, s.name, true)->module == l->n_modules;
            if (pass && keep && r == CUDA_SUCCESS && !write_statement(l, &s, &renamed))
                r = CUDA_ERROR_OUT_OF_MEMORY;
        }
    for (size_t i = 0; i < renamed.n; i++)
        hone_free(renamed.v[i]);
    hone_vec_free(&renamed);
    l->n_modules++;
    return r;
}

// ---- the calls

VG_API CUresult cuLinkCreate_v2(unsigned n, int *options, void **values, CUlinkState *out) {
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!vg_front_current())
        return CUDA_ERROR_INVALID_CONTEXT;
    if (!out || (n && (!options || !values)))
        return CUDA_ERROR_INVALID_VALUE;
    struct CUlinkState_st *l = hone_calloc(1, sizeof *l);
    if (!l || !vg_handle_add(l, VG_LINK)) {
        hone_free(l);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    hone_str_init(&l->out, LINK_MAX);
    for (unsigned i = 0; i < n; i++) {
        if (options[i] == CU_JIT_ERROR_LOG)
            l->error_log = values[i];
        else if (options[i] == CU_JIT_ERROR_LOG_BYTES)
            l->error_bytes = (unsigned)(uintptr_t)values[i];
    }
    if (l->error_log && l->error_bytes)
        l->error_log[0] = 0;
    *out = l;
    return CUDA_SUCCESS;
}
VG_API CUresult cuLinkCreate(unsigned n, int *options, void **values, CUlinkState *out) { return cuLinkCreate_v2(n, options, values, out); }

static CUresult log_error(struct CUlinkState_st *l, CUresult r, const char *name, const char *message) {
    if (l->error_log && l->error_bytes)
        snprintf(l->error_log, l->error_bytes, "%s: %s", name ? name : "input", message);
    return r;
}

// A copy with an end: the caller's bytes need none.
static CUresult text_of_input(int type, const void *data, size_t bytes, char **text, hone_err *e) {
    size_t len;
    if (type == INPUT_FATBIN) {
        hone_code code = vg_image_kind_of(data) == VG_IMAGE_FATBIN ? vg_fatbin_ptx(data, vg_compute_capability(), text, &len, e)
                                                                   : hone_fail(e, HONE_E_PARSE, 0, "not a fat binary");
        return code == HONE_OK ? CUDA_SUCCESS : code == HONE_E_UNSUPPORTED ? CUDA_ERROR_NO_BINARY_FOR_GPU : CUDA_ERROR_INVALID_IMAGE;
    }
    *text = hone_strndup(data, strnlen(data, bytes));
    return *text ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

VG_API CUresult cuLinkAddData_v2(CUlinkState l, int type, void *data, size_t bytes, const char *name, unsigned n, int *options, void **values) {
    (void)values;
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!vg_handle_is(l, VG_LINK) || l->complete)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!data || bytes < 4 || bytes > LINK_MAX || type < 0 || type > INPUT_LAST || (n && !options))
        return CUDA_ERROR_INVALID_VALUE;
    if (type != INPUT_PTX && type != INPUT_FATBIN)
        return log_error(l, CUDA_ERROR_NOT_SUPPORTED, name, "only PTX and fat binaries with PTX can be linked");
    char *text = NULL;
    hone_err e = {0};
    CUresult r = text_of_input(type, data, bytes, &text, &e);
    ptx_module *m = NULL;
    if (r == CUDA_SUCCESS && ptx_parse(text, strlen(text), &m, &e) != HONE_OK)
        r = CUDA_ERROR_INVALID_PTX;
    ptx_free(m);
    r = r == CUDA_SUCCESS ? add_text(l, text) : log_error(l, r, name, e.msg);
    if (r == CUDA_ERROR_INVALID_PTX && !e.msg[0])
        log_error(l, r, name, "a symbol is defined in two modules");
    hone_free(text);
    return r;
}
VG_API CUresult cuLinkAddData(CUlinkState l, int type, void *data, size_t bytes, const char *name, unsigned n, int *options, void **values) {
    return cuLinkAddData_v2(l, type, data, bytes, name, n, options, values);
}
VG_API CUresult cuLinkAddFile_v2(CUlinkState l, int type, const char *path, unsigned n, int *options, void **values) {
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!path)
        return CUDA_ERROR_INVALID_VALUE;
    char *data;
    size_t bytes;
    hone_err e = {0};
    if (hone_read_file(path, LINK_MAX, &data, &bytes, &e) != HONE_OK)
        return e.code == HONE_E_IO ? CUDA_ERROR_FILE_NOT_FOUND : vg_front_result(&e);
    CUresult r = cuLinkAddData_v2(l, type, data, bytes, path, n, options, values);
    hone_free(data);
    return r;
}
VG_API CUresult cuLinkAddFile(CUlinkState l, int type, const char *path, unsigned n, int *options, void **values) {
    return cuLinkAddFile_v2(l, type, path, n, options, values);
}

VG_API CUresult cuLinkComplete(CUlinkState l, void **out, size_t *bytes) {
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!vg_handle_is(l, VG_LINK))
        return CUDA_ERROR_INVALID_HANDLE;
    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    ptx_module *m = NULL;
    hone_err e = {0};
    if (!l->n_modules || ptx_parse(l->out.s, l->out.len, &m, &e) != HONE_OK)
        return log_error(l, CUDA_ERROR_INVALID_PTX, "linked module", l->n_modules ? e.msg : "nothing was added");
    ptx_free(m);
    l->complete = true;
    *out = l->out.s;
    if (bytes)
        *bytes = l->out.len + 1;
    return CUDA_SUCCESS;
}

VG_API CUresult cuLinkDestroy(CUlinkState l) {
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!vg_handle_is(l, VG_LINK))
        return CUDA_ERROR_INVALID_HANDLE;
    vg_handle_drop(l);
    for (size_t i = 0; i < l->defined.n; i++)
        hone_free(l->defined.v[i].name);
    hone_vec_free(&l->defined);
    hone_str_free(&l->out);
    hone_free(l);
    return CUDA_SUCCESS;
}
