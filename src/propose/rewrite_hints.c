// propose/rewrite_hints: moves that tell the compiler what it cannot know: aliasing, constness, unrolling, block size, registers.
#include "propose/rewrite.h"
#include <string.h>

static size_t param_name_token(const rw_unit *u, const hone_param *p)
{
    for (size_t i = p->tok_last; i > p->tok_first; i--)
        if (u->ast.t->v[i].kind == HONE_TOK_IDENT && hone_tok_is(u->ast.t, i, p->name))
            return i;
    return 0;
}

// A local non-const pointer made from the parameter would not compile once the parameter is const.
static bool has_mutable_alias(const rw_unit *u, const char *param)
{
    for (size_t k = 0; k < u->ast.n; k++) {
        const hone_node *n = u->ast.all[k];
        bool pointer = n->kind == HONE_N_VAR && n->op[0] == '*' && n->kid[0] && hone_node_mentions(&u->ast, n->kid[0], param);
        if (pointer && strncmp(n->parent->name, "const ", 6) != 0)
            return true;
    }
    return false;
}

void rw_move_restrict(rw *r)
{
    unsigned marked = 0, made_const = 0;
    for (size_t k = 0; k < r->n_units; k++) {
        const rw_unit *u = &r->unit[k];
        for (size_t i = 0; i < u->kernel->n_params; i++) {
            const hone_param *p = &u->kernel->params[i];
            size_t tok = p->is_pointer && p->name ? param_name_token(u, p) : 0;
            if (!tok || !u->distinct_buffers)
                continue;
            if (!p->is_restrict) {
                rw_insert(r, u->ast.t->v[tok].at, "__restrict__ ");
                marked++;
            }
            if (!p->is_const && !rw_param_written(u, p->name) && !has_mutable_alias(u, p->name)) {
                rw_insert(r, u->ast.t->v[p->tok_first].at, "const ");
                made_const++;
            }
        }
    }
    if (marked + made_const)
        rw_emit(r, NULL, 0, rw_text(r, "mark %u pointers __restrict__, %u const", marked, made_const));
}

static bool ldg_type(const char *t)
{
    static const char *const ok[] = {"float",  "double", "int",  "unsigned int", "unsigned", "unsigned char", "float2",
                                     "float4", "int2",   "int4", "uint2",        "uint4",    "long long"};
    for (size_t k = 0; t && k < HONE_COUNT(ok); k++)
        if (!strcmp(ok[k], t))
            return true;
    return false;
}

void rw_move_ldg(rw *r)
{
    unsigned count = 0;
    for (size_t k = 0; k < r->n_units; k++) {
        const rw_unit *u = &r->unit[k];
        for (size_t i = 0; i < u->ast.n; i++) {
            const hone_node *n = u->ast.all[i];
            hone_access a;
            if (n->kind != HONE_N_INDEX || !hone_ast_access(&u->ast, n, NULL, &a) || !a.is_param || !a.read || a.written)
                continue;
            bool taken = n->parent->kind == HONE_N_UNARY && n->parent->op[0] == '&';
            bool nested = n->parent->kind == HONE_N_INDEX || rw_has_kind(&u->ast, n->kid[1], HONE_N_INDEX);
            if (taken || nested || !u->distinct_buffers || !ldg_type(rw_elem_type(u, a.base)) || rw_param_written(u, a.base))
                continue;
            rw_insert(r, hone_node_at(&u->ast, n), "__ldg(&");
            rw_insert(r, hone_node_end(&u->ast, n), ")");
            count++;
        }
    }
    if (count)
        rw_emit(r, NULL, 0, rw_text(r, "read %u accesses through the read-only path", count));
}

static bool has_unroll_before(const rw_unit *u, const hone_node *loop)
{
    if (!loop->first)
        return false;
    const hone_tok *t = &u->ast.t->v[loop->first - 1];
    if (t->kind != HONE_TOK_DIRECTIVE)
        return false;
    hone_span s = hone_tok_span(u->ast.t, loop->first - 1);
    for (size_t k = 0; k + 6 <= s.n; k++)
        if (!memcmp(s.s + k, "unroll", 6))
            return true;
    return false;
}

void rw_move_unroll(rw *r)
{
    static const int factors[] = {4, 8, 2, 16};
    for (size_t k = 0; k < r->n_units; k++) {
        const rw_unit *u = &r->unit[k];
        for (size_t i = 0; i < u->ast.n; i++) {
            const hone_node *n = u->ast.all[i];
            if (n->kind != HONE_N_FOR || has_unroll_before(u, n) || !n->kid[1] || !n->kid[2])
                continue;
            for (size_t f = 0; f < HONE_COUNT(factors) && !rw_full(r); f++) {
                size_t at = hone_node_at(&u->ast, n);
                const char *indent = rw_indent(r, at);
                size_t line = at;
                while (line > 0 && (r->task->text[line - 1] == ' ' || r->task->text[line - 1] == '\t'))
                    line--;
                bool starts_line = line == 0 || r->task->text[line - 1] == '\n';
                rw_insert(r, at, rw_text(r, "%s#pragma unroll %d\n%s", starts_line ? "" : "\n", factors[f], indent));
                rw_emit(r, NULL, 0, rw_text(r, "unroll the loop at line %u of %s by %d", rw_line(u, n), u->kernel->name, factors[f]));
            }
        }
    }
}

static const char *launch_threads(rw *r, const rw_unit *u)
{
    int64_t b[3];
    if (rw_block_size(u, b))
        return rw_text(r, "%lld", (long long)(b[0] * b[1] * b[2]));
    rw_grid g = rw_grid_of(r, u);
    const char *s = rw_text(r, "(%s) * (%s) * (%s)", g.block[0], g.block[1], g.block[2]);
    return strchr(s, ',') ? NULL : s;   // cdiv, min … are no C++ here
}

// Sizes are not visible to the compiler, tune parameters are.
static bool only_tunes(const rw *r, const rw_unit *u)
{
    for (size_t k = 0; k < r->task->n_sizes; k++)
        for (size_t i = 0; i < r->task->sizes[k].n; i++)
            for (unsigned a = 0; a < 3; a++)
                if (hone_expr_mentions(u->launch->block[a], r->task->sizes[k].v[i].name))
                    return false;
    return true;
}

void rw_move_launch_bounds(rw *r)
{
    static const int min_blocks[] = {0, 2, 4, 8, 1};
    for (size_t k = 0; k < r->n_units; k++) {
        const rw_unit *u = &r->unit[k];
        size_t name = u->kernel->tok_lparen ? u->kernel->tok_lparen - 1 : 0;
        bool has = false;
        for (size_t i = u->kernel->tok_first; i < u->kernel->tok_lparen; i++)
            has = has || hone_tok_is(u->ast.t, i, "__launch_bounds__");
        const char *threads = only_tunes(r, u) ? launch_threads(r, u) : NULL;
        if (has || !threads || !name || !hone_tok_is(u->ast.t, name, u->kernel->name))
            continue;
        int64_t n = 0;
        bool literal = rw_literal(threads, &n);
        for (size_t f = 0; f < HONE_COUNT(min_blocks) && !rw_full(r); f++) {
            if (literal && n * min_blocks[f] > 2048)
                continue;
            const char *args = min_blocks[f] ? rw_text(r, "%s, %d", threads, min_blocks[f]) : threads;
            rw_insert(r, u->ast.t->v[name].at, rw_text(r, "__launch_bounds__(%s) ", args));
            rw_emit(r, NULL, 0, rw_text(r, "launch bounds (%s) for %s", args, u->kernel->name));
        }
    }
}

void rw_move_register_cap(rw *r)
{
    static const int caps[] = {64, 40, 32, 48, 96, 128};
    if (!r->n_units)
        return;
    for (size_t k = 0; k < r->task->n_flags; k++)
        if (strstr(r->task->flags[k], "maxrregcount"))
            return;
    for (size_t f = 0; f < HONE_COUNT(caps) && !rw_full(r); f++) {
        rw_add_lines(r, &r->unit[0], rw_text(r, "#pragma hone flags -maxrregcount=%d\n", caps[f]));
        rw_emit(r, NULL, 0, rw_text(r, "at most %d registers per thread", caps[f]));
    }
}
