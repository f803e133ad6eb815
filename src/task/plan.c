// Plans: a task with sizes and tune values filled in, as plain numbers that a device can run. All limits of the launch interface
// that hold on every device are checked here; what a particular device allows is the driver's word. See hone_plan in task.h.
#include "task/internal.h"
#include <math.h>
#include <string.h>

// units: bytes of dynamic shared memory that a block may ask for on the largest device known (compute capability 9.0 and 10.0: 227 KiB)
enum { MAX_SMEM_BYTES = 232448, MAX_BLOCK_THREADS = 1024, MAX_CLUSTER_BLOCKS = 16 };
static const int64_t max_grid[3] = {0x7fffffff, 65535, 65535}, max_block[3] = {1024, 1024, 64};
static const char axis[3] = {'x', 'y', 'z'};

// units: bytes; a guard against typing errors, far above any device's memory

const hone_arg *task_find_arg(const hone_task *t, const char *name) {
    for (size_t i = 0; i < t->n_args; i++)
        if (strcmp(t->args[i].name, name) == 0)
            return &t->args[i];
    return NULL;
}

const hone_kernel *task_find_kernel(const hone_task *t, const char *name) {
    const hone_kernel *found = NULL;
    for (size_t i = 0; i < t->n_kernels; i++)
        if (strcmp(t->kernels[i].name, name) == 0 && (!found || !found->tok_lbrace))
            found = &t->kernels[i];
    return found;
}

bool task_has_size(const hone_task *t, const char *name) {
    for (size_t i = 0; t->n_sizes && i < t->sizes[0].n; i++)
        if (strcmp(t->sizes[0].v[i].name, name) == 0)
            return true;
    return false;
}

static bool env_get(const hone_env *env, const char *name, int64_t *out) {
    for (; env; env = env->outer)
        for (size_t i = 0; i < env->n; i++)
            if (strcmp(env->v[i].name, name) == 0) {
                *out = env->v[i].value;
                return true;
            }
    return false;
}

hone_env *task_full_env(const hone_task *t, const hone_sizes *s, const hone_env *tuning, hone_arena *a) {
    hone_env *env = hone_arena_array(a, 2, sizeof *env);
    hone_binding *v = hone_arena_array(a, t->n_tunes ? t->n_tunes : 1, sizeof *v);
    if (!env || !v)
        return NULL;
    for (size_t i = 0; i < t->n_tunes; i++) {
        v[i] = (hone_binding){t->tunes[i].name, t->tunes[i].values[0]};
        env_get(tuning, t->tunes[i].name, &v[i].value);
    }
    env[0] = (hone_env){s->v, s->n, &env[1]};
    env[1] = (hone_env){v, t->n_tunes, NULL};
    return env;
}

// ---- evaluation with the task's path in front of the message
typedef struct planner { const hone_task *t; const hone_env *env; hone_plan *p; hone_err *e; } planner;

static hone_code eval_int(const planner *x, const hone_expr *expr, int64_t *out) {
    expr_fault f;
    return expr_eval_int(expr, x->env, out, &f) ? HONE_OK : task_fault(x->t, &f, expr, x->e);
}

static hone_code eval_double(const planner *x, const hone_expr *expr, double *out) {
    expr_fault f;
    return expr_eval_double(expr, x->env, out, &f) ? HONE_OK : task_fault(x->t, &f, expr, x->e);
}

static hone_code nomem(const planner *x) { return hone_fail(x->e, HONE_E_NOMEM, 0, "out of memory planning '%s'", x->t->path); }

// ---- buffers
static hone_code plan_buffer(const planner *x, const hone_arg *a, hone_plan_buffer *b) {
    *b = (hone_plan_buffer){.arg = a, .n_dims = a->n_dims, .n_elems = 1};
    for (size_t k = 0; k < a->n_dims; k++) {
        int64_t v;
        HONE_TRY(eval_int(x, a->dims[k], &v));
        if (v < 1)
            return hone_fail(x->e, HONE_E_PARSE, 0, "%s:%u: extent '%s' of buffer '%s' is %lld", x->t->path, a->line,
                             hone_expr_text(a->dims[k]), a->name,
                             (long long)v);
        b->dims[k] = (size_t)v;
        if (__builtin_mul_overflow(b->n_elems, b->dims[k], &b->n_elems) || b->n_elems > MAX_BUFFER_ELEMS)
            return hone_fail(x->e, HONE_E_LIMIT, 0, "%s:%u: buffer '%s' has more than 2^40 elements", x->t->path, a->line, a->name);
    }
    b->bytes = b->n_elems * hone_dtype_bytes(a->type);
    x->p->total_bytes += b->bytes;   // at most 64 buffers of 2^43 bytes
    if (x->p->total_bytes > MAX_BUFFER_ELEMS)
        return hone_fail(x->e, HONE_E_LIMIT, 0, "%s:%u: the buffers need more than 1 TiB", x->t->path, a->line);
    return HONE_OK;
}

static hone_code plan_buffers(const planner *x) {
    const hone_task *t = x->t;
    x->p->buffers = hone_arena_array(x->p->arena, t->n_args ? t->n_args : 1, sizeof *x->p->buffers);
    if (!x->p->buffers)
        return nomem(x);
    for (size_t i = 0; i < t->n_args; i++)
        if (t->args[i].role != HONE_SCALAR)
            HONE_TRY(plan_buffer(x, &t->args[i], &x->p->buffers[x->p->n_buffers++]));
    return HONE_OK;
}

// ---- launches
// The three axes of a grid, block or cluster, each 1 .. max[k].
static hone_code plan_axes(const planner *x, const hone_launch *l, hone_expr *const in[3], const int64_t max[3], const char *what,
                           uint32_t out[3]) {
    for (size_t k = 0; k < 3; k++) {
        int64_t v;
        HONE_TRY(eval_int(x, in[k], &v));
        if (v < 1 || v > max[k]) {
            hone_fail(x->e, v < 1 ? HONE_E_PARSE : HONE_E_LIMIT, 0, "%s:%u: %s.%c of '%s' is %lld ('%s'); 1 to %lld are allowed",
                      x->t->path, l->line, what,
                      axis[k], l->kernel, (long long)v, hone_expr_text(in[k]), (long long)max[k]);
            return v < 1 ? HONE_E_PARSE : HONE_E_LIMIT;
        }
        out[k] = (uint32_t)v;
    }
    return HONE_OK;
}

static hone_code plan_cluster(const planner *x, const hone_launch *l, hone_plan_launch *out) {
    static const int64_t max[3] = {MAX_CLUSTER_BLOCKS, MAX_CLUSTER_BLOCKS, MAX_CLUSTER_BLOCKS};
    if (!l->cluster[0]) {
        out->cluster[0] = out->cluster[1] = out->cluster[2] = 1;
        return HONE_OK;
    }
    HONE_TRY(plan_axes(x, l, l->cluster, max, "cluster", out->cluster));
    uint32_t blocks = out->cluster[0] * out->cluster[1] * out->cluster[2];
    if (blocks > MAX_CLUSTER_BLOCKS)
        return hone_fail(x->e, HONE_E_LIMIT, 0, "%s:%u: cluster of '%s' has %u blocks; at most %d are allowed", x->t->path, l->line,
                         l->kernel, blocks,
                         MAX_CLUSTER_BLOCKS);
    for (size_t k = 0; k < 3; k++)
        if (out->grid[k] % out->cluster[k])
            return hone_fail(x->e, HONE_E_PARSE, 0, "%s:%u: grid.%c of '%s' is %u, no multiple of the cluster's %u", x->t->path, l->line,
                             axis[k], l->kernel,
                             out->grid[k], out->cluster[k]);
    return HONE_OK;
}

static hone_code plan_shape(const planner *x, const hone_launch *l, const hone_kernel *k, hone_plan_launch *out) {
    HONE_TRY(plan_axes(x, l, l->grid, max_grid, "grid", out->grid));
    HONE_TRY(plan_axes(x, l, l->block, max_block, "block", out->block));
    uint32_t threads = out->block[0] * out->block[1] * out->block[2];
    if (threads > MAX_BLOCK_THREADS)
        return hone_fail(x->e, HONE_E_LIMIT, 0, "%s:%u: block of '%s' has %u threads; at most %d are allowed", x->t->path, l->line,
                         l->kernel, threads,
                         MAX_BLOCK_THREADS);
    if (k->launch_bounds[0] && threads > k->launch_bounds[0])
        return hone_fail(x->e, HONE_E_LIMIT, 0, "%s:%u: block of '%s' has %u threads; its __launch_bounds__ allows %u", x->t->path,
                         l->line, l->kernel,
                         threads, k->launch_bounds[0]);
    int64_t smem = 0;
    if (l->smem)
        HONE_TRY(eval_int(x, l->smem, &smem));
    if (smem < 0 || smem > MAX_SMEM_BYTES)
        return hone_fail(x->e, HONE_E_LIMIT, 0, "%s:%u: dynamic shared memory of '%s' is %lld bytes; at most %d are allowed", x->t->path,
                         l->line, l->kernel,
                         (long long)smem, MAX_SMEM_BYTES);
    out->smem_bytes = (uint32_t)smem;
    out->cooperative = l->cooperative;
    return plan_cluster(x, l, out);
}

static hone_code plan_int_value(const planner *x, const hone_launch *l, const hone_param *k, hone_dtype type, const hone_expr *expr,
                                hone_plan_arg *out) {
    int64_t v, lo, hi;
    HONE_TRY(eval_int(x, expr, &v));
    dtype_range(type, &lo, &hi);
    if (v < lo || v > hi)
        return hone_fail(x->e, HONE_E_LIMIT, 0, "%s:%u: '%s' is %lld, which parameter '%s' of '%s' (%s) cannot hold", x->t->path, l->line,
                         hone_expr_text(expr), (long long)v, k->name, l->kernel, k->type);
    memcpy(out->value, &v, out->bytes);   // little-endian: the low bytes come first
    return HONE_OK;
}

static hone_code plan_arg(const planner *x, const hone_launch *l, const hone_param *k, const struct hone_launch_arg *a,
                          hone_plan_arg *out) {
    *out = (hone_plan_arg){.buffer = -1};
    if (a->buffer) {
        for (size_t i = 0; i < x->p->n_buffers; i++)
            if (strcmp(x->p->buffers[i].arg->name, a->buffer) == 0)
                out->buffer = (int)i;
        out->bytes = 8;
        return HONE_OK;
    }
    hone_dtype type;
    unsigned lanes;
    if (!dtype_from_c(k->type, &type, &lanes))
        return hone_fail(x->e, HONE_E_PARSE, 0, "%s:%u: parameter '%s' of '%s' has unknown type '%s'", x->t->path, l->line, k->name,
                         l->kernel, k->type);
    out->bytes = hone_dtype_bytes(type);
    if (!hone_dtype_is_float(type))
        return plan_int_value(x, l, k, type, a->value, out);
    double v;
    HONE_TRY(eval_double(x, a->value, &v));
    hone_dtype_set(type, out->value, 0, v);
    return HONE_OK;
}

static hone_code plan_launch(const planner *x, const hone_launch *l, hone_plan_launch *out) {
    const hone_kernel *k = task_find_kernel(x->t, l->kernel);
    if (!k)
        return hone_fail(x->e, HONE_E_PARSE, 0, "%s:%u: unknown kernel '%s'", x->t->path, l->line, l->kernel);
    out->kernel = l->kernel;
    out->n_args = l->n_args;
    out->args = hone_arena_array(x->p->arena, l->n_args ? l->n_args : 1, sizeof *out->args);
    if (!out->args)
        return nomem(x);
    HONE_TRY(plan_shape(x, l, k, out));
    for (size_t i = 0; i < l->n_args; i++)
        HONE_TRY(plan_arg(x, l, &k->params[i], &l->args[i], &out->args[i]));
    return HONE_OK;
}

static hone_code plan_launches(const planner *x) {
    x->p->launches = hone_arena_array(x->p->arena, x->t->n_launches ? x->t->n_launches : 1, sizeof *x->p->launches);
    if (!x->p->launches)
        return nomem(x);
    for (size_t i = 0; i < x->t->n_launches; i++)
        HONE_TRY(plan_launch(x, &x->t->launches[i], &x->p->launches[x->p->n_launches++]));
    return HONE_OK;
}

static hone_code plan_costs(const planner *x) {
    if (x->t->flops) {
        HONE_TRY(eval_double(x, x->t->flops, &x->p->flops));
        x->p->has_flops = x->p->flops > 0;
    }
    if (x->t->bytes) {
        HONE_TRY(eval_double(x, x->t->bytes, &x->p->bytes_moved));
        x->p->has_bytes = x->p->bytes_moved > 0;
    }
    return HONE_OK;
}

// Every name in `tuning` must be a parameter, so that a typing error is not silently the default.
static hone_code check_tuning(const hone_task *t, const hone_env *tuning, hone_err *e) {
    for (; tuning; tuning = tuning->outer)
        for (size_t i = 0; i < tuning->n; i++) {
            bool known = false;
            for (size_t k = 0; k < t->n_tunes; k++)
                known |= strcmp(t->tunes[k].name, tuning->v[i].name) == 0;
            if (!known)
                return hone_fail(e, HONE_E_USAGE, 0, "%s: no tune parameter '%s'", t->path, tuning->v[i].name);
        }
    return HONE_OK;
}

hone_code hone_plan_make(const hone_task *t, const hone_sizes *s, const hone_env *tuning, hone_plan **out, hone_err *e) {
    *out = NULL;
    HONE_TRY(check_tuning(t, tuning, e));
    hone_arena *a = hone_arena_new(16u << 20);
    hone_plan *p = a ? hone_arena_alloc(a, sizeof *p) : NULL;
    planner x = {.t = t, .p = p, .e = e, .env = p ? task_full_env(t, s, tuning, a) : NULL};
    hone_code c = HONE_OK;
    if (!x.env)
        c = nomem(&x);
    if (c == HONE_OK) {
        *p = (hone_plan){.arena = a, .task = t, .sizes = s};
        c = plan_buffers(&x);
    }
    if (c == HONE_OK)
        c = plan_launches(&x);
    if (c == HONE_OK)
        c = plan_costs(&x);
    if (c != HONE_OK) {
        hone_arena_free(a);
        return c;
    }
    *out = p;
    return HONE_OK;
}

void hone_plan_free(hone_plan *p) {
    if (p)
        hone_arena_free(p->arena);
}

hone_code hone_task_feasible(const hone_task *t, const hone_sizes *s, const hone_env *tuning, bool *ok, hone_err *e) {
    *ok = true;
    HONE_TRY(check_tuning(t, tuning, e));
    hone_arena *a = hone_arena_new(1u << 20);
    hone_env *env = a ? task_full_env(t, s, tuning, a) : NULL;
    hone_code c = env ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory planning '%s'", t->path);
    for (size_t i = 0; i < t->n_wheres && c == HONE_OK && *ok; i++) {
        expr_fault f;
        int64_t v;
        if (expr_eval_int(t->wheres[i], env, &v, &f))
            *ok = v != 0;
        else
            c = task_fault(t, &f, t->wheres[i], e);
    }
    hone_arena_free(a);
    return c;
}
