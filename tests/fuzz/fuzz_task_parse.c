// Fuzz target: any bytes as a task file. What parses must print, plan or be refused, bake into a text that keeps its contract, and choose check sizes.
#include "task/task.h"
#include <stdlib.h>

static void use(const hone_task *t, hone_arena *a) {
    hone_plan *p = NULL;
    hone_sizes *v;
    char *out = NULL;
    size_t n;
    hone_err e = {0};
    bool ok;
    if (t->n_sizes && hone_plan_make(t, &t->sizes[0], NULL, &p, NULL) == HONE_OK) {
        char block[64 * 8];
        for (size_t i = 0; i < p->n_buffers; i++)
            for (int k = 0; k < HONE_INPUT_COUNT; k++)
                hone_fill_range(p, i, (hone_input)k, 1, 0, p->buffers[i].n_elems < 64 ? p->buffers[i].n_elems : 64, block, NULL);
        hone_task_feasible(t, &t->sizes[0], NULL, &ok, NULL);
        hone_task_check_sizes(t, 1u << 20, a, &v, &n, NULL);
        hone_plan_free(p);
    }
    if (hone_task_bake(t, NULL, &out, &n, NULL) == HONE_OK) {
        hone_task *again = NULL;
        if (hone_task_parse("baked.cu", out, n, &again, NULL, &e) != HONE_OK || hone_task_same_contract(t, again, &e) != HONE_OK)
            abort();
        hone_task_free(again);
        hone_free(out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    hone_task *t = NULL;
    hone_err e = {0};
    hone_str s;
    hone_diags d = {.arena = hone_arena_new(64u << 20)};
    hone_str_init(&s, 64u << 20);
    if (d.arena && hone_task_parse("fuzz.cu", (const char *)data, size, &t, &d, &e) == HONE_OK)
        use(t, d.arena);
    hone_diags_print(&d, "fuzz.cu", (const char *)data, size, &s);
    hone_str_free(&s);
    hone_task_free(t);
    hone_arena_free(d.arena);
    return 0;
}
