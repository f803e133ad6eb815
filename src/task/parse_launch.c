// Grammar of launches, in CUDA's own notation: `launch k<<<dim3(cdiv(N,16), M), 256, smem>>>(A, B, N) cluster=dim3(2) cooperative`.
// Arguments stay expressions here; check.c decides which of them are buffers and compares them with the kernel's signature.
#include "task/internal.h"
#include <string.h>

static hone_expr *one(parser *p, const hone_tok *at) {
    hone_expr *x = task_alloc(p, 1, sizeof *x);
    if (x)
        *x = (hone_expr){.op = OP_INT, .i = 1, .line = at->line, .col = at->col, .at = at->at, .len = 1, .weight = 1, .text = "1"};
    return x;
}

// dim3(x[, y[, z]]) or one expression; axes that are not given become the constant 1.
static bool parse_dim3(parser *p, hone_expr *v[3]) {
    hone_tok at = *tok_now(p);
    size_t n = 0;
    bool wrapped = tok_at(p, "dim3") && hone_tok_is(&p->line, p->i + 1, "(");
    if (wrapped)
        p->i += 2;
    do {
        if (n == 3) {
            task_error(p, tok_now(p), NULL, "dim3 has three axes");
            return false;
        }
        if (!(v[n++] = parse_expr(p)))
            return false;
    } while (wrapped && tok_take(p, ","));
    if (wrapped && !tok_expect(p, ")", "after the axes of dim3"))
        return false;
    while (n < 3)
        if (!(v[n++] = one(p, &at)))
            return false;
    return true;
}

static bool parse_config(parser *p, hone_launch *l) {
    if (!tok_expect(p, "<<<", "after the kernel's name") || !parse_dim3(p, l->grid) || !tok_expect(p, ",", "between grid and block") ||
        !parse_dim3(p, l->block))
        return false;
    if (tok_take(p, ",") && !(l->smem = parse_expr(p)))
        return false;
    if (tok_at(p, ",")) {
        task_error(p, tok_now(p), NULL, "a launch names no stream: hone owns the streams");
        return false;
    }
    return tok_expect(p, ">>>", "after grid, block and shared memory");
}

static bool parse_launch_args(parser *p, hone_launch *l) {
    l->args = task_alloc(p, MAX_LAUNCH_ARGS, sizeof *l->args);
    if (!l->args || !tok_expect(p, "(", "and the arguments"))
        return false;
    if (tok_take(p, ")"))
        return true;
    do {
        hone_tok at = *tok_now(p);
        if (l->n_args == MAX_LAUNCH_ARGS) {
            task_error(p, &at, NULL, "more than %d arguments", MAX_LAUNCH_ARGS);
            return false;
        }
        hone_expr *x = parse_expr(p);
        if (!x)
            return false;
        l->args[l->n_args++].value = x;
    } while (tok_take(p, ","));
    return tok_expect(p, ")", "after the arguments");
}

static bool parse_trailing(parser *p, hone_launch *l) {
    for (;;) {
        if (tok_take(p, "cooperative")) {
            l->cooperative = true;
        } else if (tok_take(p, "cluster")) {
            if (!tok_expect(p, "=", "after 'cluster'") || !parse_dim3(p, l->cluster))
                return false;
        } else if (tok_is_end(p)) {
            return true;
        } else {
            const hone_tok *t = tok_now(p);
            task_error(p, t, "after the arguments may stand 'cooperative' and 'cluster=dim3(x,y,z)'", "unexpected '%.*s' after the launch",
                       (int)(t->len > 40 ? 40 : t->len), p->line.text + t->at);
            return false;
        }
    }
}

bool parse_launch(parser *p) {
    const hone_tok *d = &p->t->tokens.v[p->directive];
    hone_launch l = {.line = d->line, .text_at = d->at, .text_len = d->len};
    hone_tok at;
    if (!tok_ident(p, "a kernel's name", &l.kernel, &at))
        return false;
    if (tok_at(p, "<")) {
        task_error(p, tok_now(p), "write a plain kernel that calls or repeats the template with fixed arguments, or use 'tune' parameters",
                   "kernel '%s' is launched with template arguments", l.kernel);
        return false;
    }
    if (!parse_config(p, &l) || !parse_launch_args(p, &l) || !parse_trailing(p, &l))
        return false;
    if (p->launches.n == MAX_LAUNCHES) {
        task_error(p, &at, NULL, "more than %d launches", MAX_LAUNCHES);
        return false;
    }
    bool ok = hone_vec_push(&p->launches, l) && hone_vec_push(&p->launch_at, at);
    p->nomem |= !ok;
    return ok;
}
