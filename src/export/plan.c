// export/plan: launch.json, the launch plan as data, with every expression as text and as a number for the first sizes.
#include "export/internal.h"
#include <stdio.h>
#include <string.h>

typedef struct planning {
    const hone_task *t;
    const hone_plan *p;   // for the first sizes
    hone_env env;         // first sizes, then tune values
    const char *name, *ptx;
} planning;

static json_t *bindings_json(const hone_binding *v, size_t n) {
    json_t *o = json_object();
    for (size_t i = 0; i < n; i++)
        json_object_set_new(o, v[i].name, json_integer(v[i].value));
    return o;
}

// ---- symbols

// `_Z6kernelPf…`: the length and the name follow the mark.
static bool mangles(const char *symbol, size_t n, const char *kernel) {
    char part[160];
    int k = snprintf(part, sizeof part, "%zu%s", strlen(kernel), kernel);
    return n > 2 && !strncmp(symbol, "_Z", 2) && k > 0 && (size_t)k < n && memmem(symbol, n, part, (size_t)k) != NULL;
}

void export_symbol(const char *ptx, const char *kernel, char *out, size_t cap) {
    snprintf(out, cap, "%s", kernel);
    for (const char *p = ptx; p && (p = strstr(p, ".entry")) != NULL;) {
        p += 6;
        p += strspn(p, " \t\n");
        size_t n = strcspn(p, " \t\n(");
        if (n == strlen(kernel) && !strncmp(p, kernel, n))
            return;
        if (mangles(p, n, kernel)) {
            snprintf(out, cap, "%.*s", (int)n, p);
            return;
        }
    }
}

const hone_arg *export_arg(const hone_task *t, const char *name) {
    for (size_t i = 0; i < t->n_args; i++)
        if (!strcmp(t->args[i].name, name))
            return &t->args[i];
    return NULL;
}

const hone_param *export_param(const hone_task *t, const hone_launch *l, size_t i) {
    for (size_t k = 0; k < t->n_kernels; k++)
        if (!strcmp(t->kernels[k].name, l->kernel) && i < t->kernels[k].n_params)
            return &t->kernels[k].params[i];
    return NULL;
}

// ---- parts

static const char *role_name(hone_role r) {
    static const char *const names[] = {"in", "out", "inout", "scratch", "scalar"};
    return names[r];
}

static json_t *buffer_json(const hone_plan_buffer *b) {
    json_t *dims = json_array(), *shape = json_array();
    for (size_t i = 0; i < b->n_dims; i++) {
        json_array_append_new(dims, json_string(hone_expr_text(b->arg->dims[i])));
        json_array_append_new(shape, json_integer((json_int_t)b->dims[i]));
    }
    return json_pack("{s:s, s:s, s:s, s:I, s:o, s:o, s:I}", "name", b->arg->name, "role", role_name(b->arg->role), "type",
                     hone_dtype_name(b->arg->type), "element_bytes", (json_int_t)hone_dtype_bytes(b->arg->type), "dims", dims, "shape",
                     shape, "bytes", (json_int_t)b->bytes);
}

static json_t *number_json(const planning *x, const hone_expr *expr, bool floating) {
    int64_t i;
    double d;
    if (!floating && hone_expr_int(expr, &x->env, &i, NULL) == HONE_OK)
        return json_integer(i);
    return hone_expr_double(expr, &x->env, &d, NULL) == HONE_OK ? json_real(d) : json_null();
}

static json_t *scalars_json(const planning *x) {
    json_t *list = json_array();
    for (size_t i = 0; i < x->t->n_args; i++) {
        const hone_arg *a = &x->t->args[i];
        if (a->role == HONE_SCALAR)
            json_array_append_new(list,
                                  json_pack("{s:s, s:s, s:s, s:o}", "name", a->name, "type", hone_dtype_name(a->type), "value",
                                            hone_expr_text(a->value), "number", number_json(x, a->value, hone_dtype_is_float(a->type))));
    }
    return list;
}

static json_t *axes_json(hone_expr *const expr[3], const uint32_t value[3]) {
    return json_pack("{s:[sss], s:[iii]}", "expr", hone_expr_text(expr[0]), hone_expr_text(expr[1]), hone_expr_text(expr[2]), "value",
                     (int)value[0], (int)value[1], (int)value[2]);
}

static json_t *args_json(const planning *x, const hone_launch *l) {
    json_t *list = json_array();
    for (size_t i = 0; i < l->n_args; i++) {
        const hone_param *k = export_param(x->t, l, i);
        json_t *a;
        if (l->args[i].buffer) {
            a = json_pack("{s:s}", "buffer", l->args[i].buffer);
        } else {
            hone_dtype type;
            bool floating = k && hone_dtype_of_c(k->type, &type) && hone_dtype_is_float(type);
            a = json_pack("{s:s, s:o}", "value", hone_expr_text(l->args[i].value), "number", number_json(x, l->args[i].value, floating));
        }
        if (k) {
            json_object_set_new(a, "param", json_string(k->name));
            json_object_set_new(a, "type", json_string(k->type));
        }
        json_array_append_new(list, a);
    }
    return list;
}

static json_t *launch_json(const planning *x, size_t i) {
    const hone_launch *l = &x->t->launches[i];
    const hone_plan_launch *p = &x->p->launches[i];
    char symbol[512];
    export_symbol(x->ptx, l->kernel, symbol, sizeof symbol);
    json_t *o = json_pack("{s:s, s:s, s:o, s:o, s:{s:s, s:i}, s:b, s:o}", "kernel", l->kernel, "symbol", symbol, "grid",
                          axes_json(l->grid, p->grid), "block", axes_json(l->block, p->block), "shared_bytes", "expr",
                          l->smem ? hone_expr_text(l->smem) : "0", "value", (int)p->smem_bytes, "cooperative", (int)l->cooperative, "args",
                          args_json(x, l));
    if (o && l->cluster[0])
        json_object_set_new(o, "cluster", axes_json(l->cluster, p->cluster));
    return o;
}

static json_t *tuning_json(const planning *x) {
    json_t *o = json_object();
    for (size_t i = 0; i < x->t->n_tunes; i++) {
        int64_t v = x->t->tunes[i].values[0];
        for (const hone_env *e = &x->env; e; e = e->outer)
            for (size_t k = 0; k < e->n; k++)
                if (!strcmp(e->v[k].name, x->t->tunes[i].name))
                    v = e->v[k].value;
        json_object_set_new(o, x->t->tunes[i].name, json_integer(v));
    }
    return o;
}

static json_t *whole(const planning *x) {
    json_t *buffers = json_array(), *launches = json_array(), *flags = json_array();
    for (size_t i = 0; i < x->p->n_buffers; i++)
        json_array_append_new(buffers, buffer_json(&x->p->buffers[i]));
    for (size_t i = 0; i < x->p->n_launches; i++)
        json_array_append_new(launches, launch_json(x, i));
    for (size_t i = 0; i < x->t->n_flags; i++)
        json_array_append_new(flags, json_string(x->t->flags[i]));
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "schema", HONE_LAUNCH_SCHEMA, "name", x->name, "sizes",
                     bindings_json(x->t->sizes[0].v, x->t->sizes[0].n), "tuning", tuning_json(x), "flags", flags, "buffers", buffers,
                     "scalars", scalars_json(x), "launches", launches);
}

json_t *hone_export_plan(const hone_task *t, const hone_env *tuning, const char *name, const char *ptx, hone_err *e) {
    hone_plan *p = NULL;
    hone_binding first[64];
    size_t n = 0;
    for (size_t i = 0; i < t->n_tunes && n < HONE_COUNT(first); i++)
        first[n++] = (hone_binding){t->tunes[i].name, t->tunes[i].values[0]};
    hone_env defaults = {first, n, NULL}, given = {tuning ? tuning->v : NULL, tuning ? tuning->n : 0, &defaults};
    if (hone_plan_make(t, &t->sizes[0], &given, &p, e) != HONE_OK)
        return NULL;
    planning x = {.t = t, .p = p, .env = {t->sizes[0].v, t->sizes[0].n, &given}, .name = name ? name : t->name, .ptx = ptx};
    json_t *o = whole(&x);
    if (!o)
        hone_fail(e, HONE_E_NOMEM, 0, "out of memory for the launch plan");
    hone_plan_free(p);
    return o;
}

json_t *hone_export_plan_of_text(const char *text, const hone_binding *tuning, size_t n_tuning, const char *name, const char *ptx,
                                 hone_err *e) {
    hone_diags diags = {.arena = hone_arena_new(1 << 22)};
    hone_task *t = NULL;
    json_t *o = NULL;
    if (!diags.arena)
        hone_fail(e, HONE_E_NOMEM, 0, "out of memory for the launch plan");
    else if (hone_task_parse("best.cu", text, strlen(text), &t, &diags, e) == HONE_OK)
        o = hone_export_plan(t, &(hone_env){tuning, n_tuning, NULL}, name, ptx, e);
    hone_task_free(t);
    hone_arena_free(diags.arena);
    return o;
}
