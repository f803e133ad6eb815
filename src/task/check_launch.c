// A launch against the signature of its kernel: the kernel exists, the number of arguments is right, pointers get buffers of their
// element type, values get values they can hold. Types are compared by spelling; what a typedef means is left to the compiler.
#include "task/internal.h"
#include <string.h>

static const hone_kernel *find_kernel(const parser *p, const char *name, size_t *n) {
    const hone_kernel *found = NULL;
    *n = 0;
    for (size_t i = 0; i < p->t->n_kernels; i++) {
        const hone_kernel *k = &p->t->kernels[i];
        if (strcmp(k->name, name) != 0)
            continue;
        bool prototype = found && (!found->tok_lbrace || !k->tok_lbrace);
        *n += !prototype;
        if (!found || !found->tok_lbrace)
            found = k;
    }
    return found;
}

static void unknown_kernel(parser *p, const hone_launch *l, const hone_tok *at) {
    name_list known = {0};
    for (size_t i = 0; i < p->t->n_kernels; i++)
        names_add(&known, p->t->kernels[i].name);
    const char *hint = task_suggest(p, l->kernel, &known);
    if (!hint && known.n == 1)
        hint = hone_arena_printf(p->a, "the file's kernel is '%s'", known.v[0]);
    task_error(p, at, hint, "unknown kernel '%s'", l->kernel);
}

// Element types between which a pointer may be reinterpreted: wider vectors of anything, raw bytes, 16-bit patterns.
static bool compatible(hone_dtype buffer, hone_dtype elem, unsigned lanes) {
    if (buffer == elem || lanes > 1)
        return true;
    bool sixteen_bits = hone_dtype_bytes(buffer) == 2 && (elem == HONE_UINT16 || elem == HONE_INT16);
    bool byte = hone_dtype_bytes(buffer) == 1 && (elem == HONE_UINT8 || elem == HONE_INT8);
    bool sign_only = !hone_dtype_is_float(buffer) && !hone_dtype_is_float(elem) && hone_dtype_bytes(buffer) == hone_dtype_bytes(elem) &&
                     buffer != HONE_BOOL && elem != HONE_BOOL;
    return sixteen_bits || byte || sign_only;
}

static void check_pointer(parser *p, const hone_launch *l, const hone_param *k, const struct hone_launch_arg *a, const hone_tok *at) {
    if (!a->buffer) {
        task_error(p, at, "a pointer parameter takes the name of a buffer", "parameter '%s' of '%s' is '%s', this is a value", k->name,
                   l->kernel, k->type);
        return;
    }
    const hone_arg *b = parser_arg(p, a->buffer);
    hone_dtype elem;
    unsigned lanes;
    if (dtype_from_c(k->elem, &elem, &lanes) && !compatible(b->type, elem, lanes))
        task_error(p, at, NULL, "buffer '%s' holds %s, but parameter '%s' of '%s' is '%s'", b->name, hone_dtype_name(b->type), k->name,
                   l->kernel, k->type);
    if (b->role == HONE_IN && !k->is_const)
        task_warn(p, at, "declare the parameter const, or the buffer 'inout'",
                  "input '%s' is passed to parameter '%s', which is not const", b->name,
                  k->name);
}

static void check_value(parser *p, const hone_launch *l, const hone_param *k, const struct hone_launch_arg *a, const hone_tok *at) {
    hone_dtype type;
    unsigned lanes;
    if (a->buffer) {
        task_error(p, at, NULL, "parameter '%s' of '%s' is '%s', '%s' is a buffer", k->name, l->kernel, k->type, a->buffer);
        return;
    }
    if (!dtype_from_c(k->type, &type, &lanes) || lanes != 1) {
        task_error(p, at, "by-value parameters are numbers; pass anything larger through a buffer",
                   "parameter '%s' of '%s' has type '%s', which a launch cannot pass",
                   k->name, l->kernel, k->type);
        return;
    }
    if (!hone_dtype_is_float(type) && expr_is_floating(a->value))
        task_error(p, at, NULL, "parameter '%s' of '%s' is '%s', '%s' is a floating value", k->name, l->kernel, k->type,
                   hone_expr_text(a->value));
}

// A bare name that means nothing: buffers are suggested for pointers, values for the rest.
static void unknown_argument(parser *p, const hone_expr *x, const hone_param *k) {
    if (parser_poisoned(p, x->name))
        return;
    hone_tok at = task_expr_tok(x);
    name_list known = {0};
    bool pointer = k && k->is_pointer;
    for (size_t i = 0; i < p->args.n; i++)
        if (!k || pointer == (p->args.v[i]->role != HONE_SCALAR))
            names_add(&known, p->args.v[i]->name);
    for (size_t i = 0; !pointer && p->sizes.n && i < p->sizes.v[0].n; i++)
        names_add(&known, p->sizes.v[0].v[i].name);
    const char *hint = task_suggest(p, x->name, &known);
    task_error(p, &at,
               hint      ? hint
               : pointer ? "declare it with an 'in', 'out', 'inout' or 'scratch' line"
                         : "declare it with a 'size' or 'scalar' line",
               "unknown name '%s'", x->name);
}

static void check_argument(parser *p, const hone_launch *l, const hone_param *k, const struct hone_launch_arg *a) {
    hone_tok at = task_expr_tok(a->value);
    if (!k)
        return;
    if (k->is_pointer)
        check_pointer(p, l, k, a, &at);
    else
        check_value(p, l, k, a, &at);
}

// k is NULL when the kernel is not known: names are checked all the same.
static void check_arguments(parser *p, const hone_launch *l, const hone_kernel *k, const hone_tok *at) {
    bool counts = k && l->n_args == k->n_params;
    if (k && !counts) {
        hone_tok where = *at;
        if (l->n_args)
            where = task_expr_tok(l->args[l->n_args - 1].value);
        task_error(p, &where, hone_arena_printf(p->a, "the kernel is on line %u", k->line), "'%s' takes %zu argument%s, %zu given",
                   l->kernel, k->n_params,
                   k->n_params == 1 ? "" : "s", l->n_args);
    }
    for (size_t i = 0; i < l->n_args; i++) {
        const struct hone_launch_arg *a = &l->args[i];
        const hone_param *param = counts ? &k->params[i] : NULL;
        if (!a->buffer && a->value->op == OP_NAME && !parser_has_value(p, a->value->name))
            unknown_argument(p, a->value, param);
        else
            check_argument(p, l, param, a);
    }
}

void task_check_launch(parser *p, hone_launch *l, const hone_tok *at) {
    size_t n;
    const hone_kernel *k = find_kernel(p, l->kernel, &n);
    if (!k) {
        unknown_kernel(p, l, at);
        check_arguments(p, l, NULL, at);
    } else if (k->is_template) {
        task_error(p, at, "add a plain kernel that calls the template's code with fixed arguments, or turn them into 'tune' parameters",
                   "kernel '%s' is a template", l->kernel);
    } else if (n > 1) {
        task_error(p, at, NULL, "there are %zu kernels named '%s'", n, l->kernel);
    } else if (!k->tok_lbrace) {
        task_error(p, at, NULL, "kernel '%s' is declared but has no body", l->kernel);
    } else {
        check_arguments(p, l, k, at);
    }
}
