// A runner without a device: programs are C functions picked by the name of the first kernel, over host memory. Shared by the tests of
// check/.
#ifndef HONE_TESTS_CHECK_FAKE_H
#define HONE_TESTS_CHECK_FAKE_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "check/internal.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct fake_view { const hone_run *run; unsigned calls; } fake_view;
typedef hone_code (*fake_kernel)(fake_view *v, hone_err *e);
typedef struct fake_entry { const char *name; fake_kernel run; } fake_entry;
typedef struct fake { const fake_entry *kernels; size_t n; size_t runs; hone_code load_shadow; void (*shadow)(fake_view *v); } fake;   // shadow: fills run->shadow; NULL: none
typedef struct fake_program { fake_kernel run; fake_view view; } fake_program;

static inline hone_code fake_load(void *self, const hone_task *t, const hone_env *tuning, void **program, hone_err *e) {
    fake *f = self;
    (void)tuning;
    bool shadow = strstr(t->text, "hone_p_same") != NULL;
    if (shadow && f->load_shadow != HONE_OK)
        return hone_fail(e, f->load_shadow, 0, "scripted failure");
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->kernels[i].name, t->kernels[0].name) == 0) {
            fake_program *p = hone_calloc(1, sizeof *p);
            if (!p)
                return hone_fail(e, HONE_E_NOMEM, 0, "out of memory");
            p->run = f->kernels[i].run;
            *program = p;
            return HONE_OK;
        }
    return hone_fail(e, HONE_E_COMPILE, 6, "identifier \"%s\" is undefined", t->kernels[0].name);
}
static inline void fake_unload(void *self, void *program) {
    (void)self;
    hone_free(program);
}
static inline hone_code fake_run(void *self, void *program, hone_run *r, hone_err *e) {
    fake *f = self;
    fake_program *p = program;
    f->runs++;
    p->view.run = r;
    hone_code c = p->run(&p->view, e);
    if (c == HONE_OK && r->shadow)
        f->shadow(&p->view);
    p->view.calls++;
    return c;
}
static inline hone_runner fake_runner(fake *f) { return (hone_runner){.self = f, .shadows = f->shadow != NULL, .guard_bytes = 256, .load = fake_load,
                                                                      .unload = fake_unload, .run = fake_run}; }

static inline size_t size_of(const fake_view *v, const char *name) {
    const hone_sizes *s = v->run->plan->sizes;
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->v[i].name, name) == 0)
            return (size_t)s->v[i].value;
    abort();
}
static inline uint8_t *data_of(const fake_view *v, const char *name, hone_dtype *t) {
    for (size_t i = 0; i < v->run->n_buffers; i++)
        if (strcmp(v->run->buffers[i].name, name) == 0) {
            *t = v->run->plan->buffers[i].arg->type;
            return hone_image_data(&v->run->buffers[i]);
        }
    abort();
}
static inline hone_task *parse_task(const char *text) {
    hone_task *t = NULL;
    hone_arena *a = hone_arena_new(1u << 20);
    hone_diags d = {.arena = a};
    hone_err e = {0};
    hone_code c = hone_task_parse("test.cu", text, strlen(text), &t, &d, &e);
    for (size_t i = 0; c != HONE_OK && i < d.n; i++)
        print_message("%u:%u: %s\n", d.v[i].line, d.v[i].col, d.v[i].msg);
    hone_arena_free(a);
    assert_int_equal(c, HONE_OK);
    return t;
}
static inline bool has_finding(const hone_findings *f, const char *kind) {
    size_t i;
    json_t *o;
    json_array_foreach(f->array, i, o)
        if (strcmp(json_string_value(json_object_get(o, "kind")), kind) == 0)
            return true;
    return false;
}
static inline void print_findings(const hone_findings *f) {
    char *s = json_dumps(f->array, JSON_INDENT(1));
    print_message("%s\n", s);
    free(s);
}
#endif
