// How much does a test notice? The same mutants of a task's baseline, or the same candidates, judged twice: by hone's cascade, and as most public
// harnesses do it, by allclose(rtol=1e-2, atol=1e-2) against the baseline on five inputs of U(0,1) at one size. One JSON line per mutant or candidate.
//     build/bench_evaluate_mutants DEVICE COUNT TASK.cu [CANDIDATE.cu …]      COUNT mutants, or the candidates
// The plain harness gets the largest of the task's check sizes, zeroed outputs, integer inputs from the task's own initialisers (indices have to stay
// inside), and no checks of memory; what ends in a device error counts as caught by it.
#include "check/mutate.h"
#include "evaluate/internal.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUTS = 5 };
static const double RTOL = 1e-2, ATOL = 1e-2;

typedef struct plain { hone_device *device; hone_device_runner runner; const hone_sizes *size; hone_plan *plan; hone_run_buffer *expected[INPUTS]; } plain;
typedef struct bench { hone_session *s; plain p; const char *path, *text; } bench;

// U(0,1) for every float that is read; the rest as the task says, zeros where it says nothing.
static hone_code fill(const hone_plan *p, uint64_t seed, hone_run_buffer **out, hone_err *e) {
    HONE_TRY(hone_run_fill(p, seed, out, e));
    for (size_t b = 0; b < p->n_buffers; b++) {
        const hone_plan_buffer *f = &p->buffers[b];
        hone_run_buffer *r = &(*out)[b];
        r->undefined = false;
        if (f->arg->role == HONE_OUT || f->arg->role == HONE_SCRATCH)
            memset(r->image, 0, r->image_bytes);
        else if (hone_dtype_is_float(f->arg->type))
            for (size_t i = 0; i < f->n_elems; i++) {
                uint32_t x[4];
                hone_philox(seed, b, i, x);
                hone_dtype_set(f->arg->type, r->image, i, x[0] * 0x1p-32);
            }
    }
    return HONE_OK;
}

static hone_code run(plain *p, const hone_task *t, const hone_plan *plan, uint64_t seed, hone_run_buffer **out, hone_err *e) {
    void *program = NULL;
    hone_runner face = hone_device_runner_face(&p->runner);
    HONE_TRY(face.load(&p->runner, t, NULL, &program, e));
    hone_code c = fill(plan, seed, out, e);
    if (c == HONE_OK) {
        hone_run r = {.plan = plan, .buffers = *out, .n_buffers = plan->n_buffers};
        c = face.run(&p->runner, program, &r, e);
    }
    face.unload(&p->runner, program);
    return c;
}

static bool close_enough(const hone_plan *base, const hone_run_buffer *want, const hone_plan *plan, const hone_run_buffer *got) {
    for (size_t b = 0; b < base->n_buffers; b++) {
        const hone_arg *a = base->buffers[b].arg;
        if (a->role != HONE_OUT && a->role != HONE_INOUT)
            continue;
        size_t k = 0;
        while (k < plan->n_buffers && strcmp(plan->buffers[k].arg->name, a->name) != 0)
            k++;
        for (size_t i = 0; k < plan->n_buffers && i < base->buffers[b].n_elems; i++) {
            const double x = hone_dtype_get(a->type, got[k].image, i), y = hone_dtype_get(a->type, want[b].image, i);
            if (!(x == y || fabs(x - y) <= ATOL + RTOL * fabs(y)))
                return false;
        }
    }
    return true;
}

// Whether the plain harness refuses this text.
static bool plain_catches(bench *b, const char *text, size_t len) {
    hone_diags diags = {.arena = hone_arena_new(1 << 20)};
    hone_task *t = NULL;
    hone_plan *plan = NULL;
    hone_err e = {0};
    hone_code c = hone_task_parse(b->path, text, len, &t, &diags, &e);
    if (c == HONE_OK)
        c = hone_plan_make(t, b->p.size, NULL, &plan, &e);
    bool caught = c != HONE_OK;
    for (uint64_t i = 0; i < INPUTS && !caught; i++) {
        hone_run_buffer *got = NULL;
        caught = run(&b->p, t, plan, i + 1, &got, &e) != HONE_OK || !close_enough(b->p.plan, b->p.expected[i], plan, got);
        hone_run_free(got, got ? plan->n_buffers : 0);
    }
    hone_plan_free(plan);
    hone_task_free(t);
    hone_arena_free(diags.arena);
    return caught;
}

static hone_code plain_open(bench *b, hone_err *e) {
    plain *p = &b->p;
    HONE_TRY(hone_device_clone(b->s->device, &p->device, e));
    hone_device_runner_init(&p->runner, p->device, b->s->compiler);
    p->runner.vgpu_flags = 0;
    for (size_t i = 0; i < b->s->n_check_sizes; i++) {
        hone_plan *x = NULL;
        HONE_TRY(hone_plan_make(b->s->task, &b->s->check_sizes[i], NULL, &x, e));
        const bool larger = !p->plan || x->total_bytes > p->plan->total_bytes;
        hone_plan *drop = larger ? p->plan : x;
        p->plan = larger ? x : p->plan;
        p->size = larger ? &b->s->check_sizes[i] : p->size;
        hone_plan_free(drop);
    }
    for (uint64_t i = 0; i < INPUTS; i++)
        HONE_TRY(run(p, b->s->task, p->plan, i + 1, &p->expected[i], e));
    return HONE_OK;
}

static json_t *judged(bench *b, const char *text, bool mutant, hone_report *r) {
    hone_err e = {0};
    hone_job j = {.id = 1, .task_path = b->path, .task_text = b->text, .candidate_text = text, .seed = 1, .without_static = mutant, .brief = mutant,
                  .stages = HONE_STAGE_STATIC | HONE_STAGE_COMPILE | HONE_STAGE_SANITIZE | HONE_STAGE_DIFFERENTIAL};
    if (hone_report_init(r, &j, hone_clock_monotonic(), &e) != HONE_OK)
        exit(4);
    hone_evaluate_job(b->s, &j, r);
    const char *verdict = r->verdict == HONE_PASS ? "pass" : r->verdict == HONE_FAIL ? "fail" : "error";
    json_t *first = NULL, *o;
    size_t i;
    json_array_foreach(r->findings.array, i, o) if (!first && strcmp(json_string_value(json_object_get(o, "severity")), "refuse") == 0) first = json_object_get(o, "kind");
    json_t *out = json_pack("{s:s,s:b}", "hone", verdict, "identical", json_is_true(json_object_get(json_object_get(r->root, "check"), "identical")));
    json_object_set(out, "finding", first ? first : json_null());
    json_object_set(out, "program", json_object_get(json_object_get(r->root, "compile"), "program_hash"));
    return out;
}

static void print_line(json_t *o) {
    char *s = json_dumps(o, JSON_COMPACT);
    puts(s);
    fflush(stdout);
    free(s);
    json_decref(o);
}

static void one(bench *b, const char *name, const char *text, size_t len, const hone_mutant *m) {
    hone_report r;
    json_t *o = judged(b, text, m != NULL, &r);
    json_object_set_new(o, "plain", json_boolean(plain_catches(b, text, len)));
    json_object_set_new(o, "task", json_string(b->path));
    json_object_set_new(o, m ? "mutation" : "candidate", json_string(name));
    if (m)
        json_object_set_new(o, "line", json_integer(m->line));
    print_line(o);
    hone_evaluate_release(b->s, &r);
    hone_report_free(&r);
}

static hone_code mutants(bench *b, size_t count, hone_err *e) {
    hone_arena *a = hone_arena_new((size_t)1 << 26);
    hone_mutant *v = NULL;
    size_t n = 0;
    hone_code c = a ? hone_mutants_of(b->s->task, 1, a, &v, &n, e) : HONE_E_NOMEM;
    for (size_t i = 0; c == HONE_OK && i < n && i < count; i++) {
        char *text;
        size_t len;
        c = hone_mutant_apply(b->s->task, &v[i], &text, &len, e);
        if (c != HONE_OK)
            break;
        one(b, hone_mutation_name(v[i].kind), text, len, &v[i]);
        hone_free(text);
    }
    hone_arena_free(a);
    return c;
}

static int give_up(const hone_err *e) {
    fprintf(stderr, "error: %s\n", e->msg);
    return 1;
}

int main(int argc, char **argv) {
    hone_err e = {0};
    bench b = {.path = argc > 3 ? argv[3] : ""};
    char *text;
    size_t len;
    if (argc < 4)
        return fprintf(stderr, "usage: %s DEVICE COUNT TASK.cu [CANDIDATE.cu …]\n", argv[0]), 2;
    if (hone_read_file(argv[3], (size_t)1 << 24, &text, &len, &e) != HONE_OK || hone_session_open(argv[1], 2, false, &b.s, &e) != HONE_OK)
        return give_up(&e);
    b.text = text;
    hone_report r;
    json_t *base = judged(&b, NULL, true, &r);
    json_object_set_new(base, "task", json_string(b.path));
    json_object_set_new(base, "mutation", json_string("none"));
    print_line(base);
    hone_evaluate_release(b.s, &r);
    hone_report_free(&r);
    if (!b.s->judge || plain_open(&b, &e) != HONE_OK)
        return give_up(&e);
    for (int i = 4; i < argc; i++) {
        char *candidate;
        if (hone_read_file(argv[i], (size_t)1 << 24, &candidate, &len, &e) != HONE_OK)
            return give_up(&e);
        one(&b, argv[i], candidate, len, NULL);
        hone_free(candidate);
    }
    return argc == 4 && mutants(&b, (size_t)atoi(argv[2]), &e) != HONE_OK ? give_up(&e) : 0;
}
