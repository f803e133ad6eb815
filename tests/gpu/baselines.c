// The baselines of examples at their first checked sizes, on both devices, compared by the root mean square of each output.
#include "diff.h"
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double element(const uint8_t *p, size_t i, hone_dtype type) {
    float f;
    double d;
    if (type == HONE_DOUBLE)
        return memcpy(&d, p + 8 * i, 8), d;
    if (type == HONE_FLOAT)
        return memcpy(&f, p + 4 * i, 4), (double)f;
    uint16_t h;
    memcpy(&h, p + 2 * i, 2);
    uint32_t w = (uint32_t)h << 16;
    memcpy(&f, &w, 4);
    return (double)f;
}

// The largest difference over the root mean square of the virtual GPU's values; infinity where types are not compared as numbers.
static double distance(const hone_plan_buffer *b, const uint8_t *x, const uint8_t *y) {
    double square = 0, worst = 0;
    if (memcmp(x, y, b->bytes) == 0)
        return 0;
    if (b->arg->type != HONE_FLOAT && b->arg->type != HONE_DOUBLE && b->arg->type != HONE_BFLOAT16)
        return INFINITY;
    for (size_t i = 0; i < b->n_elems; i++) {
        double u = element(x, i, b->arg->type), v = element(y, i, b->arg->type);
        square += u * u;
        worst = fmax(worst, fabs(u - v));
    }
    return worst / sqrt(square / (double)b->n_elems);
}

static hone_code run_baseline(hone_device_runner *r, const hone_task *t, const hone_plan *p, hone_run_buffer **out, hone_err *e) {
    void *program;
    hone_runner face = hone_device_runner_face(r);
    HONE_TRY(hone_run_fill(p, 1, out, e));
    HONE_TRY(face.load(r, t, NULL, &program, e));
    hone_run run = {.plan = p, .buffers = *out, .n_buffers = p->n_buffers};
    hone_code c = hone_device_use(r->device, e);
    if (c == HONE_OK)
        c = face.run(r, program, &run, e);
    face.unload(r, program);
    return c;
}

static double allowed(hone_dtype type) { return type == HONE_BFLOAT16 ? 4e-2 : type == HONE_DOUBLE ? 1e-12 : 1e-4; }

static void compare_plan(const char *name, const hone_plan *p, const hone_run_buffer *a, const hone_run_buffer *b) {
    for (size_t i = 0; i < p->n_buffers; i++) {
        hone_role role = p->buffers[i].arg->role;
        if (role != HONE_OUT && role != HONE_INOUT)
            continue;
        double d = distance(&p->buffers[i], a[i].image, b[i].image), most = allowed(p->buffers[i].arg->type);
        json_t *detail = json_pack("{s:s,s:I,s:f}", "buffer", p->buffers[i].arg->name, "bytes", (json_int_t)p->buffers[i].bytes, "bound", most);
        if (detail && isfinite(d))
            json_object_set_new(detail, "worst", json_real(d));
        note(name, "EXAMPLE", d == 0 ? SAME : d <= most ? WITHIN : DIFFER, detail, "'%s', %zu bytes: %.3g of the RMS, bound %.3g", p->buffers[i].arg->name, p->buffers[i].bytes, d,
             most);
    }
}

static hone_code example_size(const char *name, const hone_task *task, const hone_sizes *z, hone_device_runner *v, hone_device_runner *p, hone_err *e) {
    hone_plan *plan = NULL;
    hone_run_buffer *a = NULL, *b = NULL;
    HONE_TRY(hone_plan_make(task, z, NULL, &plan, e));
    hone_code c = run_baseline(v, task, plan, &a, e);
    if (c == HONE_OK)
        c = run_baseline(p, task, plan, &b, e);
    if (c == HONE_OK)
        compare_plan(name, plan, a, b);
    if (a)
        hone_run_free(a, plan->n_buffers);
    if (b)
        hone_run_free(b, plan->n_buffers);
    hone_plan_free(plan);
    return c;
}

// The first checked sizes that the task itself names; else derived ones.
static hone_code run_example(const char *path, hone_device_runner *v, hone_device_runner *p, hone_err *e) {
    char *text;
    size_t len, n = 0, done = 0;
    hone_task *task = NULL;
    hone_sizes *sizes = NULL;
    hone_diags diags = {.arena = hone_arena_new(1 << 20)};
    HONE_TRY(hone_read_file(path, 1 << 20, &text, &len, e));
    hone_code c = hone_task_parse(path, text, len, &task, &diags, e);
    hone_free(text);
    if (c == HONE_OK)
        c = hone_task_check_sizes(task, 4 << 20, task->arena, &sizes, &n, e);
    for (size_t i = 0; c == HONE_OK && i < n && done < 2; i++)
        if (sizes[i].line) {
            c = example_size(task->name, task, &sizes[i], v, p, e);
            done++;
        }
    if (c == HONE_OK && !done && n)
        c = example_size(task->name, task, &sizes[n - 1], v, p, e);
    hone_task_free(task);
    hone_arena_free(diags.arena);
    return c;
}

bool baseline_run(const char *path, hone_compiler *compiler, side *virt, side *phys) {
    const char *slash = strrchr(path, '/');
    hone_device_runner rv, rp;
    hone_err e = {0};
    hone_device_runner_init(&rv, virt->device, compiler);
    hone_device_runner_init(&rp, phys->device, compiler);
    const hone_code c = run_example(path, &rv, &rp, &e);
    if (c != HONE_OK)
        note(slash ? slash + 1 : path, "EXAMPLE", FAILED, json_string(e.msg), "%s", e.msg);
    const bool usable = !rp.lost && !(c == HONE_E_DEVICE && hone_result_is_sticky(e.sub));
    hone_device_runner_free(&rv);
    hone_device_runner_free(&rp);
    return usable;
}

// ---- the list of them

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }
static int is_task(const struct dirent *d) {
    size_t n = strlen(d->d_name);
    return n > 3 && strcmp(d->d_name + n - 3, ".cu") == 0;
}

void baselines_list(const char *dir, baselines *out) {
    struct dirent **names = NULL;
    const int n = scandir(dir, &names, is_task, by_name);
    *out = (baselines){.paths = calloc(n > 0 ? (size_t)n : 1, sizeof(char *))};
    for (int i = 0; i < n; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", dir, names[i]->d_name);
        if (out->paths && (out->paths[out->n] = strdup(path)))
            out->n++;
        free(names[i]);
    }
    free(names);
}

void baselines_free(baselines *b) {
    for (size_t i = 0; i < b->n; i++)
        free(b->paths[i]);
    free(b->paths);
}
