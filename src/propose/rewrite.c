// propose/rewrite: the proposer. It parses the parent, lets one move emit all its variants, drops what is no valid candidate, and hands
// back up to n of them in an order drawn from the context's generator. It knows nothing about what any move does.
#include "propose/rewrite.h"
#include <string.h>

enum { RW_ARENA_BYTES = 64 << 20, RW_MAX_VARIANTS = 48 };

static const struct rw_entry {
    const char *name;
    rw_move_fn fn;
    const char *does;
} rw_table[] = {
#define RW_MOVE(name, fn, does) {#name, fn, does},
#include "propose/rewrite_moves.def"
#undef RW_MOVE
};
static const char *const move_names[] = {
#define RW_MOVE(name, fn, does) #name,
#include "propose/rewrite_moves.def"
#undef RW_MOVE
    NULL};

static const struct rw_entry *find_move(const char *name)
{
    for (size_t k = 0; k < HONE_COUNT(rw_table); k++)
        if (!strcmp(rw_table[k].name, name))
            return &rw_table[k];
    return NULL;
}

static bool distinct_buffers(const hone_launch *l)
{
    for (size_t i = 0; i < l->n_args; i++)
        for (size_t j = i + 1; j < l->n_args; j++)
            if (l->args[i].buffer && l->args[j].buffer && !strcmp(l->args[i].buffer, l->args[j].buffer))
                return false;
    return true;
}

static const hone_launch *only_launch(const hone_task *t, const char *kernel)
{
    const hone_launch *found = NULL;
    for (size_t k = 0; k < t->n_launches; k++) {
        if (strcmp(t->launches[k].kernel, kernel) != 0)
            continue;
        if (found)
            return NULL;
        found = &t->launches[k];
    }
    return found;
}

static hone_code find_units(rw *r, hone_err *e)
{
    r->unit = hone_arena_array(r->arena, r->task->n_kernels + 1, sizeof *r->unit);
    if (!r->unit)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in a rewrite");
    for (size_t k = 0; k < r->task->n_kernels; k++) {
        const hone_kernel *kernel = &r->task->kernels[k];
        const hone_launch *l = only_launch(r->task, kernel->name);
        rw_unit *u = &r->unit[r->n_units];
        if (!l || l->n_args != kernel->n_params || kernel->is_template || !kernel->tok_lbrace)
            continue;
        hone_code c = hone_ast_parse(r->arena, &r->task->tokens, kernel, &u->ast, NULL);
        if (c == HONE_E_NOMEM)
            return hone_fail(e, c, 0, "out of memory in a rewrite");
        if (c != HONE_OK || u->ast.has_opaque)
            continue;
        u->kernel = kernel;
        u->launch = l;
        u->distinct_buffers = distinct_buffers(l);
        r->n_units++;
    }
    return HONE_OK;
}

static void close_rw(rw *r, hone_task *task)
{
    hone_vec_free(&r->edits);
    hone_vec_free(&r->out);
    hone_vec_free(&r->names);
    hone_task_free(task);
}

// A candidate's text as a task; NULL (and HONE_OK) when it does not parse.
static hone_code parse_text(const hone_context *ctx, const char *text, size_t len, hone_task **out, hone_err *e)
{
    hone_diags diags = {.arena = ctx->arena};
    *out = NULL;
    hone_code c = hone_task_parse(ctx->task->path, text, len, out, &diags, NULL);
    if (c == HONE_E_NOMEM)
        return hone_fail(e, c, 0, "out of memory in a rewrite");
    if (c != HONE_OK)
        *out = NULL;
    return HONE_OK;
}

static bool valid(const hone_context *ctx, const hone_proposal *p)
{
    hone_task *t = NULL;
    if (parse_text(ctx, p->text, p->len, &t, NULL) != HONE_OK || !t)
        return false;
    bool ok = hone_task_same_contract(ctx->task, t, NULL) == HONE_OK;
    hone_task_free(t);
    return ok;
}

// Runs a move to at most `limit` variants into r->out.
static hone_code run_move(const hone_context *ctx, const hone_candidate *parent, const char *move, size_t limit, rw *r, hone_task **task,
                          hone_err *e)
{
    const struct rw_entry *m = find_move(move);
    *r = (rw){.arena = ctx->arena, .contract = ctx->task, .parent = parent, .rng = ctx->rng, .limit = limit, .move = m ? m->name : move};
    *task = NULL;
    if (!m)
        return hone_fail(e, HONE_E_USAGE, 0, "unknown rewrite move '%s'", move);
    HONE_TRY(parse_text(ctx, parent->text, parent->len, task, e));
    if (!*task)
        return HONE_OK;
    r->task = *task;
    hone_code c = find_units(r, e);
    if (c == HONE_OK)
        m->fn(r);
    if (c == HONE_OK && r->oom)
        c = hone_fail(e, HONE_E_NOMEM, 0, "out of memory in rewrite move '%s'", move);
    return c;
}

static hone_code rewrite_propose(const hone_context *ctx, const hone_candidate *parent, const char *move, size_t n, hone_proposal *out,
                                 size_t *got, hone_err *e)
{
    rw r;
    hone_task *task;
    *got = 0;
    hone_code c = run_move(ctx, parent, move, RW_MAX_VARIANTS, &r, &task, e);
    for (size_t k = 0; c == HONE_OK && k < r.out.n && *got < n; k++) {
        size_t pick = k + (size_t)hone_rng_below(ctx->rng, r.out.n - k);   // Fisher–Yates, as far as needed
        hone_proposal p = r.out.v[pick];
        r.out.v[pick] = r.out.v[k];
        if (valid(ctx, &p))
            out[(*got)++] = p;
    }
    close_rw(&r, task);
    return c;
}

static bool rewrite_applies(const hone_context *ctx, const hone_candidate *parent, const char *move)
{
    rw r;
    hone_task *task;
    hone_code c = run_move(ctx, parent, move, 1, &r, &task, NULL);
    bool some = c == HONE_OK && r.out.n > 0;
    close_rw(&r, task);
    return some;
}

const hone_proposer hone_proposer_rewrite = {
    .name = "rewrite", .moves = move_names, .propose = rewrite_propose, .applies = rewrite_applies};
