// ptx functions: signatures, performance directives, bodies (scopes, labels, .loc, variables) and call prototypes. Instructions are
// inst.c's, declarations vars.c's.
#include "ptx/internal.h"

hone_code ptx_skip_braces(ptx_parser *p) {
    unsigned depth = 0;
    do {
        if (p->tok.kind == PTX_T_EOF)
            return ptx_error(p, &p->tok, HONE_E_PARSE, "expected '}' before");
        if (ptx_is_punct(&p->tok, '{'))
            depth++;
        else if (ptx_is_punct(&p->tok, '}'))
            depth--;
        HONE_TRY(ptx_advance(p));
    } while (depth);
    return HONE_OK;
}

static hone_code parse_u32(ptx_parser *p, uint32_t *out) {
    if (p->tok.kind != PTX_T_INT || p->tok.value > UINT32_MAX)
        return ptx_error(p, &p->tok, HONE_E_PARSE, "expected a number at");
    *out = (uint32_t)p->tok.value;
    return ptx_advance(p);
}

// --- .loc -----------------------------------------------------------------------------------------------------------------------
// nvcc describes inlined code as a chain: ".loc FILE LINE COL, function_name SYMBOL, inlined_at FILE LINE COL", callers first.
// A person wants the line in the file under study: the innermost position in the file of the function's first .loc.
static const ptx_loc *find_loc(const ptx_parser *p, uint32_t file, uint32_t line, uint32_t col) {
    for (size_t i = p->locs.n; i-- > 0;)
        if (p->locs.v[i].file == file && p->locs.v[i].line == line && p->locs.v[i].col == col)
            return &p->locs.v[i];
    return NULL;
}

static void apply_loc(ptx_parser *p, ptx_loc l, bool inlined, uint32_t at_file, uint32_t at_line, uint32_t at_col) {
    if (!p->func_file)
        p->func_file = l.file;
    l.user_file = l.file;
    l.user_line = l.line;
    if (inlined && l.file != p->func_file) {
        const ptx_loc *outer = find_loc(p, at_file, at_line, at_col);
        l.user_file = outer ? outer->user_file : at_file;
        l.user_line = outer ? outer->user_line : at_line;
    }
    if (p->locs.n >= 64)   // chains are short and emitted together
        memmove(p->locs.v, p->locs.v + 32, 32 * sizeof *p->locs.v), p->locs.n = 32;
    hone_vec_push(&p->locs, l);   // forgetting one on a failed allocation only makes a line less precise
    if (l.user_line) {            // line 0 marks code without a source: keep the line before it
        p->src_file = l.user_file;
        p->src_line = l.user_line;
    }
}

hone_code ptx_parse_loc(ptx_parser *p) {
    ptx_loc l = {0};
    uint32_t at[3] = {0};
    bool inlined = false;
    HONE_TRY(parse_u32(p, &l.file));
    HONE_TRY(parse_u32(p, &l.line));
    HONE_TRY(parse_u32(p, &l.col));
    while (ptx_is_punct(&p->tok, ',')) {
        HONE_TRY(ptx_advance(p));
        if (ptx_tok_is(&p->tok, "function_name")) {
            HONE_TRY(ptx_advance(p));
            HONE_TRY(ptx_advance(p));   // a label in a debug section
            int64_t ignored;
            if (ptx_is_punct(&p->tok, '+'))
                HONE_TRY(ptx_const_expr(p, &ignored));
        } else if (ptx_tok_is(&p->tok, "inlined_at")) {
            HONE_TRY(ptx_advance(p));
            for (int i = 0; i < 3; i++)
                HONE_TRY(parse_u32(p, &at[i]));
            inlined = true;
        } else {
            return ptx_error(p, &p->tok, HONE_E_PARSE, "unknown part of .loc:");
        }
    }
    apply_loc(p, l, inlined, at[0], at[1], at[2]);
    return HONE_OK;
}

// --- signatures -----------------------------------------------------------------------------------------------------------------
static hone_code parse_param_list(ptx_parser *p, ptx_var ***out, size_t *n) {
    HONE_VEC(ptx_var *) list = {0};
    hone_code c = ptx_expect(p, '(');
    while (c == HONE_OK && !ptx_is_punct(&p->tok, ')')) {
        ptx_var *v = NULL;
        if (list.n >= PTX_MAX_PARAMS)
            c = ptx_error(p, &p->tok, HONE_E_LIMIT, "too many parameters at");
        else if ((c = ptx_parse_param(p, &v)) == HONE_OK && !hone_vec_push(&list, v))
            c = ptx_nomem(p);
        if (c != HONE_OK || !ptx_is_punct(&p->tok, ','))
            break;
        c = ptx_advance(p);
    }
    if (c == HONE_OK)
        c = ptx_expect(p, ')');
    if (c == HONE_OK && (*out = hone_arena_array(p->arena, list.n + 1, sizeof **out)) == NULL)
        c = ptx_nomem(p);
    if (c == HONE_OK && list.n)
        memcpy(*out, list.v, list.n * sizeof **out);
    *n = list.n;
    hone_vec_free(&list);
    return c;
}

static hone_code place_params(ptx_parser *p, ptx_func *f) {
    size_t at = 0;
    f->param_offsets = hone_arena_array(p->arena, f->n_params + 1, sizeof *f->param_offsets);
    if (!f->param_offsets)
        return ptx_nomem(p);
    for (size_t i = 0; i < f->n_params; i++) {
        size_t a = f->params[i]->align;
        at = (at + a - 1) / a * a;
        f->param_offsets[i] = at;
        if (f->params[i]->bytes > PTX_MAX_VAR_BYTES || (at += f->params[i]->bytes) > PTX_MAX_VAR_BYTES)
            return ptx_error(p, &p->tok, HONE_E_LIMIT, "parameters are too large before");
    }
    f->param_bytes = at;
    return HONE_OK;
}

hone_code ptx_signature(ptx_parser *p, ptx_func *f) {
    if (ptx_is_punct(&p->tok, '('))
        HONE_TRY(parse_param_list(p, &f->rets, &f->n_rets));
    if (p->tok.kind != PTX_T_IDENT)
        return ptx_error(p, &p->tok, HONE_E_PARSE, "expected a function name at");
    if (!(f->name = hone_arena_strndup(p->arena, p->tok.s, p->tok.n)))
        return ptx_nomem(p);
    f->line = p->tok.line;
    HONE_TRY(ptx_advance(p));
    if (ptx_is_punct(&p->tok, '('))
        HONE_TRY(parse_param_list(p, &f->params, &f->n_params));
    return place_params(p, f);
}

// --- directives between signature and body --------------------------------------------------------------------------------------
static hone_code parse_dims3(ptx_parser *p, uint32_t out[3]) {
    out[0] = out[1] = out[2] = 1;
    for (int i = 0; i < 3; i++) {
        HONE_TRY(parse_u32(p, &out[i]));
        if (!ptx_is_punct(&p->tok, ','))
            return HONE_OK;
        HONE_TRY(ptx_advance(p));
    }
    return ptx_error(p, &p->tok, HONE_E_PARSE, "more than three dimensions at");
}

static hone_code parse_pragma(ptx_parser *p) {   // advice to ptxas: "nounroll", "used_bytes_mask …"
    while (p->tok.kind == PTX_T_STR || ptx_is_punct(&p->tok, ','))
        HONE_TRY(ptx_advance(p));
    return ptx_expect(p, ';');
}

static hone_code parse_directive(ptx_parser *p, ptx_func *f) {
    ptx_tok t = p->tok;
    uint32_t ignored;
    HONE_TRY(ptx_advance(p));
    if (ptx_tok_is(&t, "maxntid"))
        return parse_dims3(p, f->maxntid);
    if (ptx_tok_is(&t, "reqntid"))
        return parse_dims3(p, f->reqntid);
    if (ptx_tok_is(&t, "reqnctapercluster"))
        return parse_dims3(p, f->cluster_dim);
    if (ptx_tok_is(&t, "minnctapersm"))
        return parse_u32(p, &f->minnctapersm);
    if (ptx_tok_is(&t, "maxnreg"))
        return parse_u32(p, &f->maxnreg);
    if (ptx_tok_is(&t, "maxnctapersm") || ptx_tok_is(&t, "maxclusterrank") || ptx_tok_is(&t, "abi_preserve") ||
        ptx_tok_is(&t, "abi_preserve_control"))
        return parse_u32(p, &ignored);
    if (ptx_tok_is(&t, "explicitcluster")) {
        f->explicit_cluster = true;
        return HONE_OK;
    }
    if (ptx_tok_is(&t, "noreturn")) {
        f->is_noreturn = true;
        return HONE_OK;
    }
    if (ptx_tok_is(&t, "pragma"))
        return parse_pragma(p);
    return ptx_error(p, &t, HONE_E_UNSUPPORTED, "unknown directive");
}

// --- bodies ---------------------------------------------------------------------------------------------------------------------
static hone_code parse_prototype(ptx_parser *p, const ptx_tok *label) {
    ptx_sym *y;
    ptx_func *proto = hone_arena_alloc(p->arena, sizeof *proto);
    if (!proto)
        return ptx_nomem(p);
    proto->is_extern = true;
    HONE_TRY(ptx_signature(p, proto));
    while (ptx_is_dot(&p->tok, "noreturn"))
        HONE_TRY(parse_directive(p, proto));
    HONE_TRY(ptx_expect(p, ';'));
    HONE_TRY(ptx_sym_add(p, label, PTX_SYM_PROTO, &y));
    y->ptr = proto;
    return HONE_OK;
}

// NAME: .branchtargets L1, L2, …; the table of a brx.idx
static hone_code parse_targets(ptx_parser *p, const ptx_tok *name) {
    ptx_tok list[UINT8_MAX];
    ptx_targets *t = hone_arena_alloc(p->arena, sizeof *t);
    ptx_sym *y;
    if (!t)
        return ptx_nomem(p);
    do {
        HONE_TRY(ptx_advance(p));   // .branchtargets or a comma
        if (p->tok.kind != PTX_T_IDENT)
            return ptx_error(p, &p->tok, HONE_E_PARSE, "expected a label at");
        if (t->n == HONE_COUNT(list))
            return ptx_error(p, &p->tok, HONE_E_UNSUPPORTED, "more than 255 branch targets at");
        list[t->n++] = p->tok;
        HONE_TRY(ptx_advance(p));
    } while (ptx_is_punct(&p->tok, ','));
    if (!(t->v = hone_arena_array(p->arena, t->n, sizeof *t->v)))
        return ptx_nomem(p);
    memcpy(t->v, list, t->n * sizeof *t->v);
    HONE_TRY(ptx_expect(p, ';'));
    HONE_TRY(ptx_sym_add(p, name, PTX_SYM_TARGETS, &y));
    y->ptr = t;
    return HONE_OK;
}

static hone_code parse_label(ptx_parser *p) {
    ptx_tok name = p->tok;
    ptx_sym *y;
    HONE_TRY(ptx_advance(p));
    HONE_TRY(ptx_advance(p));
    if (ptx_is_dot(&p->tok, "callprototype")) {
        HONE_TRY(ptx_advance(p));
        return parse_prototype(p, &name);
    }
    if (ptx_is_dot(&p->tok, "branchtargets"))
        return parse_targets(p, &name);
    if (ptx_is_dot(&p->tok, "calltargets"))
        return ptx_error(p, &p->tok, HONE_E_UNSUPPORTED, "unsupported directive");
    HONE_TRY(ptx_sym_add(p, &name, PTX_SYM_LABEL, &y));
    y->index = (uint32_t)p->insts.n;
    return HONE_OK;
}

static hone_code parse_body_directive(ptx_parser *p) {
    static const struct { const char *name; ptx_space space; } spaces[] = {
        {"shared", PTX_SHARED}, {"local", PTX_LOCAL}, {"param", PTX_PARAM}, {"global", PTX_GLOBAL}, {"const", PTX_CONST}};
    ptx_tok t = p->tok;
    HONE_TRY(ptx_advance(p));
    if (ptx_tok_is(&t, "reg"))
        return ptx_parse_regs(p);
    if (ptx_tok_is(&t, "loc"))
        return ptx_parse_loc(p);
    if (ptx_tok_is(&t, "pragma"))
        return parse_pragma(p);
    for (size_t i = 0; i < HONE_COUNT(spaces); i++)
        if (ptx_tok_is(&t, spaces[i].name))
            return ptx_parse_vars(p, spaces[i].space, false);
    return ptx_error(p, &t, HONE_E_UNSUPPORTED, "unknown directive");
}

// An instruction that hone does not have is recorded and skipped, so that one load tells of all of them.
static hone_code parse_inst(ptx_parser *p) {
    const size_t fixups = p->fixups.n;
    hone_err here = {0}, *outer = p->e;
    p->e = &here;
    const hone_code c = ptx_parse_inst(p);
    p->e = outer;
    if (c == HONE_OK)
        return c;
    if (c != HONE_E_UNSUPPORTED) {
        if (outer && outer->code == HONE_OK)
            *outer = here;
        return c;
    }
    ptx_issue_add(p->issues, &here);
    p->fixups.n = fixups;                              // label uses of what is left out
    while (!ptx_is_punct(&p->tok, ';') && p->tok.kind != PTX_T_EOF)
        HONE_TRY(ptx_advance(p));
    return ptx_expect(p, ';');
}

static hone_code parse_statement(ptx_parser *p) {
    if (ptx_is_punct(&p->tok, '{')) {
        HONE_TRY(ptx_scope_open(p));
        return ptx_advance(p);
    }
    if (ptx_is_punct(&p->tok, ';'))
        return ptx_advance(p);
    if (p->tok.kind == PTX_T_DOT)
        return parse_body_directive(p);
    if (p->tok.kind == PTX_T_IDENT && ptx_is_punct(&p->next, ':'))
        return parse_label(p);
    return parse_inst(p);
}

// Running off the end returns (as ptxas has it); an explicit ret keeps "every path ends in a control instruction" true for users.
static hone_code close_body(ptx_parser *p) {
    const ptx_inst *last = p->insts.n ? &p->insts.v[p->insts.n - 1] : NULL;
    bool ends = last && !last->has_guard && (last->op == PTX_OP_RET || last->op == PTX_OP_EXIT || last->op == PTX_OP_TRAP ||
        last->op == PTX_OP_BRA);
    for (ptx_sym *y = p->scopes[p->depth]; y && ends; y = y->scope_next)
        ends = !(y->kind == PTX_SYM_LABEL && y->index == p->insts.n);
    if (ends && !p->end_label)
        return HONE_OK;
    ptx_inst ret = {.op = PTX_OP_RET, .line = p->tok.line, .src_line = p->src_line, .src_file = (uint16_t)p->src_file};
    return hone_vec_push(&p->insts, ret) ? HONE_OK : ptx_nomem(p);
}

static hone_code keep_body(ptx_parser *p, ptx_func *f) {
    f->n_insts = p->insts.n;
    f->n_regs = p->regs.n;
    f->n_vars = p->vars.n;
    f->insts = hone_arena_array(p->arena, f->n_insts + 1, sizeof *f->insts);
    f->regs = hone_arena_array(p->arena, f->n_regs + 1, sizeof *f->regs);
    f->vars = hone_arena_array(p->arena, f->n_vars + 1, sizeof(ptx_var *));
    if (!f->insts || !f->regs || !f->vars)
        return ptx_nomem(p);
    memcpy(f->insts, p->insts.v, f->n_insts * sizeof *f->insts);
    if (f->n_regs)
        memcpy(f->regs, p->regs.v, f->n_regs * sizeof *f->regs);
    if (f->n_vars)
        memcpy(f->vars, p->vars.v, f->n_vars * sizeof(ptx_var *));
    return HONE_OK;
}

static hone_code add_params(ptx_parser *p, ptx_var **list, size_t n) {
    for (size_t i = 0; i < n; i++) {
        ptx_sym *y;
        ptx_tok name = {.kind = PTX_T_IDENT, .s = list[i]->name, .n = (uint32_t)strlen(list[i]->name), .line = list[i]->line, .col = 1};
        HONE_TRY(ptx_sym_add(p, &name, PTX_SYM_VAR, &y));
        y->ptr = list[i];
    }
    return HONE_OK;
}

static hone_code parse_body(ptx_parser *p, ptx_func *f) {
    p->f = f;
    p->insts.n = p->regs.n = p->vars.n = p->locs.n = p->fixups.n = 0;
    p->func_file = p->src_file = p->src_line = 0;
    p->end_label = false;
    HONE_TRY(ptx_scope_open(p));
    HONE_TRY(ptx_advance(p));
    HONE_TRY(add_params(p, f->params, f->n_params));
    HONE_TRY(add_params(p, f->rets, f->n_rets));
    for (;;) {
        if (p->tok.kind == PTX_T_EOF)
            return ptx_error(p, &p->tok, HONE_E_PARSE, "expected '}' before");
        if (!ptx_is_punct(&p->tok, '}')) {
            HONE_TRY(parse_statement(p));
            continue;
        }
        bool done = p->depth == 1;
        if (done)
            HONE_TRY(close_body(p));
        HONE_TRY(ptx_scope_close(p));
        HONE_TRY(ptx_advance(p));
        if (done)
            break;
    }
    p->f = NULL;
    return keep_body(p, f);
}

// Declares f, or completes an earlier declaration of the same name in place, so that references stay valid.
static hone_code declare(ptx_parser *p, ptx_func *f, ptx_func **out) {
    ptx_tok name = {.kind = PTX_T_IDENT, .s = f->name, .n = (uint32_t)strlen(f->name), .line = f->line, .col = 1};
    ptx_sym *y = ptx_sym_find(p, f->name, name.n);
    bool has_body = ptx_is_punct(&p->tok, '{');
    if (y && y->kind == PTX_SYM_FUNC) {
        ptx_func *old = y->ptr;
        if (has_body && !old->is_extern)
            return ptx_error(p, &name, HONE_E_PARSE, "function defined twice:");
        if (has_body)
            *old = *f;
        *out = old;
        return HONE_OK;
    }
    HONE_TRY(ptx_sym_add(p, &name, PTX_SYM_FUNC, &y));
    y->ptr = *out = f;
    return hone_vec_push(&p->funcs, f) ? HONE_OK : ptx_nomem(p);
}

hone_code ptx_parse_func(ptx_parser *p, bool is_entry) {
    ptx_func *f = hone_arena_alloc(p->arena, sizeof *f);
    if (!f)
        return ptx_nomem(p);
    f->is_entry = is_entry;
    while (ptx_is_dot(&p->tok, "attribute") || ptx_is_dot(&p->tok, "noreturn")) {
        if (ptx_is_dot(&p->tok, "attribute"))
            return ptx_error(p, &p->tok, HONE_E_UNSUPPORTED, "unsupported directive");
        HONE_TRY(parse_directive(p, f));
    }
    HONE_TRY(ptx_signature(p, f));
    while (p->tok.kind == PTX_T_DOT)
        HONE_TRY(parse_directive(p, f));
    f->is_extern = !ptx_is_punct(&p->tok, '{');
    HONE_TRY(declare(p, f, &f));
    return f->is_extern ? ptx_expect(p, ';') : parse_body(p, f);
}
