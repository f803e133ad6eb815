// ptx_parse: module directives, and the parser's life. Functions are func.c's, variables vars.c's.
#include "ptx/internal.h"
#include <stdio.h>

static hone_code parse_version(ptx_parser *p) {
    char buf[16] = "";
    if (p->tok.kind != PTX_T_FLOAT && p->tok.kind != PTX_T_INT)
        return ptx_error(p, &p->tok, HONE_E_PARSE, "expected a version at");
    memcpy(buf, p->tok.s, p->tok.n < sizeof buf ? p->tok.n : sizeof buf - 1);
    if (sscanf(buf, "%u.%u", &p->m->version_major, &p->m->version_minor) != 2)
        return ptx_error(p, &p->tok, HONE_E_PARSE, "expected a version at");
    return ptx_advance(p);
}

static hone_code parse_target(ptx_parser *p) {
    for (;;) {
        char buf[32] = "";
        unsigned sm;
        char suffix = 0;
        if (p->tok.kind != PTX_T_IDENT)
            return ptx_error(p, &p->tok, HONE_E_PARSE, "expected a target at");
        memcpy(buf, p->tok.s, p->tok.n < sizeof buf ? p->tok.n : sizeof buf - 1);
        if (sscanf(buf, "sm_%u%c", &sm, &suffix) >= 1) {
            p->m->sm = sm;
            p->m->arch_specific = suffix == 'a' || suffix == 'f';
        } else if (strcmp(buf, "debug") && strcmp(buf, "texmode_unified") && strcmp(buf, "texmode_independent")) {
            return ptx_error(p, &p->tok, HONE_E_UNSUPPORTED, "unknown target");
        }
        HONE_TRY(ptx_advance(p));
        if (!ptx_is_punct(&p->tok, ','))
            return HONE_OK;
        HONE_TRY(ptx_advance(p));
    }
}

static hone_code parse_file(ptx_parser *p) {
    if (p->tok.kind != PTX_T_INT || p->tok.value >= PTX_MAX_FILES || p->next.kind != PTX_T_STR)
        return ptx_error(p, &p->tok, HONE_E_PARSE, "malformed .file at");
    size_t n = (size_t)p->tok.value;
    HONE_TRY(ptx_advance(p));
    while (p->files.n <= n)
        if (!hone_vec_push(&p->files, NULL))
            return ptx_nomem(p);
    if (!(p->files.v[n] = hone_arena_strndup(p->arena, p->tok.s, p->tok.n)))
        return ptx_nomem(p);
    HONE_TRY(ptx_advance(p));
    for (int i = 0; i < 2 && ptx_is_punct(&p->tok, ','); i++) {   // time stamp, size
        HONE_TRY(ptx_advance(p));
        HONE_TRY(ptx_advance(p));
    }
    return HONE_OK;
}

static hone_code parse_section(ptx_parser *p) {   // debug information
    while (p->tok.kind == PTX_T_DOT || p->tok.kind == PTX_T_IDENT || p->tok.kind == PTX_T_STR || ptx_is_punct(&p->tok, ','))
        HONE_TRY(ptx_advance(p));
    if (!ptx_is_punct(&p->tok, '{'))
        return ptx_error(p, &p->tok, HONE_E_PARSE, "expected '{' before");
    return ptx_skip_braces(p);
}

static hone_code parse_address_size(ptx_parser *p) {
    if (p->tok.kind != PTX_T_INT || p->tok.value != 64)
        return ptx_error(p, &p->tok, HONE_E_UNSUPPORTED, "only 64-bit addresses are supported, not");
    p->m->address_bits = 64;
    return ptx_advance(p);
}

static hone_code parse_pragma(ptx_parser *p) {
    while (p->tok.kind == PTX_T_STR || ptx_is_punct(&p->tok, ','))
        HONE_TRY(ptx_advance(p));
    return ptx_expect(p, ';');
}

static hone_code parse_linked(ptx_parser *p) {   // [.visible|.weak|.extern|.common] then a function or variable
    static const struct { const char *name; ptx_space space; } spaces[] = {{"global", PTX_GLOBAL}, {"const", PTX_CONST},
        {"shared", PTX_SHARED}};
    bool is_extern = false;
    while (ptx_is_dot(&p->tok, "visible") || ptx_is_dot(&p->tok, "weak") || ptx_is_dot(&p->tok, "extern") ||
        ptx_is_dot(&p->tok, "common")) {
        is_extern |= ptx_is_dot(&p->tok, "extern");
        HONE_TRY(ptx_advance(p));
    }
    ptx_tok t = p->tok;
    HONE_TRY(ptx_advance(p));
    if (ptx_tok_is(&t, "entry") || ptx_tok_is(&t, "func"))
        return ptx_parse_func(p, ptx_tok_is(&t, "entry"));
    for (size_t i = 0; i < HONE_COUNT(spaces); i++)
        if (ptx_tok_is(&t, spaces[i].name))
            return ptx_parse_vars(p, spaces[i].space, is_extern);
    return ptx_error(p, &t, HONE_E_UNSUPPORTED, "unknown directive");
}

static hone_code parse_top(ptx_parser *p) {
    static const struct { const char *name; hone_code (*parse)(ptx_parser *); } directives[] = {
        {"version", parse_version}, {"target", parse_target}, {"address_size", parse_address_size}, {"file", parse_file},
        {"section", parse_section}, {"pragma", parse_pragma}, {"loc", ptx_parse_loc},
    };
    if (ptx_is_punct(&p->tok, ';'))
        return ptx_advance(p);
    if (p->tok.kind != PTX_T_DOT)
        return ptx_error(p, &p->tok, HONE_E_PARSE, "expected a directive at");
    for (size_t i = 0; i < HONE_COUNT(directives); i++)
        if (ptx_tok_is(&p->tok, directives[i].name)) {
            HONE_TRY(ptx_advance(p));
            return directives[i].parse(p);
        }
    return parse_linked(p);
}

// Every function that is called or whose address is taken exists; a missing one is named where the module is loaded.
static hone_code keep_module(ptx_parser *p) {
    ptx_module *m = p->m;
    m->n_vars = p->mvars.n;
    m->n_funcs = p->funcs.n;
    m->n_files = p->files.n;
    m->vars = hone_arena_array(p->arena, m->n_vars + 1, sizeof(ptx_var *));
    m->funcs = hone_arena_array(p->arena, m->n_funcs + 1, sizeof(ptx_func *));
    m->files = hone_arena_array(p->arena, m->n_files + 1, sizeof(char *));
    if (!m->vars || !m->funcs || !m->files)
        return ptx_nomem(p);
    for (size_t i = 0; i < m->n_vars; i++)
        m->vars[i] = p->mvars.v[i];
    for (size_t i = 0; i < m->n_funcs; i++)
        m->funcs[i] = p->funcs.v[i];
    for (size_t i = 0; i < m->n_files; i++)
        m->files[i] = p->files.v[i];
    return HONE_OK;
}

static hone_code parse_module(ptx_parser *p) {
    HONE_TRY(ptx_tables_init(p));
    HONE_TRY(ptx_lex_start(p));
    if (!ptx_is_dot(&p->tok, "version"))
        return ptx_error(p, &p->tok, HONE_E_PARSE, "expected .version at");
    while (p->tok.kind != PTX_T_EOF)
        HONE_TRY(parse_top(p));
    if (!p->m->sm)
        return ptx_error(p, &p->tok, HONE_E_PARSE, "expected .target before");
    if (p->m->address_bits != 64)
        return ptx_error(p, &p->tok, HONE_E_UNSUPPORTED, "expected .address_size 64 before");
    return keep_module(p);
}

void ptx_parser_release(ptx_parser *p) {
    hone_vec_free(&p->regs);
    hone_vec_free(&p->insts);
    hone_vec_free(&p->vars);
    hone_vec_free(&p->fixups);
    hone_vec_free(&p->locs);
    hone_vec_free(&p->mvars);
    hone_vec_free(&p->funcs);
    hone_vec_free(&p->files);
    hone_free(p);
}

void ptx_issue_add(ptx_issues *s, const hone_err *issue) {
    enum { TAIL = 32 };                                // room for "(and N more)"
    s->n++;
    if (s->each)
        s->each(s->self, issue);
    const size_t have = strlen(s->all.msg), more = strlen(issue->msg);
    if (s->n == 1)
        s->all = *issue;
    else if (have + more + 1 + TAIL < sizeof s->all.msg)
        snprintf(s->all.msg + have, sizeof s->all.msg - have, "\n%s", issue->msg);
}

hone_code ptx_issues_fail(const ptx_issues *s, hone_err *e) {
    size_t told = 1;
    if (!s->n)
        return HONE_OK;
    for (const char *c = s->all.msg; *c; c++)
        told += *c == '\n';
    const hone_code code = s->all.code;
    return told < s->n ? hone_fail(e, code, s->all.sub, "%.960s\n(and %zu more)", s->all.msg, s->n - told) : hone_fail(e, code, s->all.sub, "%s", s->all.msg);
}

hone_code ptx_parse(const char *text, size_t len, ptx_module **out, hone_err *e) {
    ptx_issues issues = {0};
    hone_code c = ptx_parse_all(text, len, &issues, out, e);
    if (c != HONE_OK || !issues.n)
        return c;
    ptx_free(*out);
    *out = NULL;
    return ptx_issues_fail(&issues, e);
}

hone_code ptx_parse_all(const char *text, size_t len, ptx_issues *issues, ptx_module **out, hone_err *e) {
    *out = NULL;
    if (len > PTX_MAX_TEXT)
        return hone_fail(e, HONE_E_LIMIT, 0, "ptx:1:1: text is too large '%zu MiB'", len >> 20);
    while (len && text[len - 1] == 0)   // NVRTC counts the terminator
        len--;
    ptx_parser *p = hone_calloc(1, sizeof *p);
    hone_arena *arena = hone_arena_new(PTX_MAX_ARENA);
    if (!p || !arena || !(p->m = hone_arena_alloc(arena, sizeof *p->m))) {
        hone_free(p);
        hone_arena_free(arena);
        return hone_fail(e, HONE_E_NOMEM, 0, "cannot parse PTX: out of memory");
    }
    p->arena = p->m->arena = arena;
    p->e = e;
    p->issues = issues;
    p->at = text;
    p->end = text + len;
    ptx_module *m = p->m;
    hone_code c = parse_module(p);
    ptx_parser_release(p);
    if (c == HONE_OK)
        *out = m;
    else
        hone_arena_free(arena);
    return c;
}
