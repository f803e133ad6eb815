// The reference arm of a search's timings. Once something much faster than the baseline is known, turns with the baseline would take most of the device's
// time and tell least of what the search asks: is this faster than the best? Then the best so far takes the baseline's place, and what it was measured to gain
// carries over (docs/measuring.md). A rival that cannot be made ready leaves the baseline in its place; nothing depends on it but the device's time.
#include "evaluate/stages.h"
#include <math.h>
#include <string.h>

static void drop_size(hone_rival_size *z) {
    hone_bound_free(&z->bound);
    hone_program_free(z->program);
    hone_plan_free(z->plan);
}

void hone_rival_drop(hone_session *s) {
    hone_rival *r = &s->rival;
    if (r->sizes)
        hone_device_use(s->device, NULL);
    for (size_t i = 0; r->sizes && i < s->n_sizes; i++)
        drop_size(&r->sizes[i]);
    hone_free(r->sizes);
    hone_compiled_release(s->compiler, r->compiled);
    hone_task_free(r->task);
    *r = (hone_rival){0};
}

static void key_of(const hone_job *j, char key[HONE_HASH_HEX]) {
    hone_sha *h = hone_sha_new();
    key[0] = 0;
    if (!h)
        return;
    hone_sha_add(h, j->rival.text, strlen(j->rival.text) + 1);
    for (size_t i = 0; i < j->rival.n_tuning; i++) {
        hone_sha_add(h, j->rival.tuning[i].name, strlen(j->rival.tuning[i].name) + 1);
        hone_sha_add(h, &j->rival.tuning[i].value, sizeof j->rival.tuning[i].value);
    }
    hone_sha_hex(h, key);
}

static hone_code parse(const hone_job *j, hone_task **out, hone_err *e) {
    hone_diags diags = {.arena = hone_arena_new(1 << 20)};
    hone_code c = diags.arena ? hone_task_parse(j->task_path, j->rival.text, strlen(j->rival.text), out, &diags, e) : HONE_E_NOMEM;
    hone_arena_free(diags.arena);
    return c;
}

static hone_code make(hone_session *s, const hone_job *j, hone_err *e) {
    char key[HONE_HASH_HEX];
    hone_rival *r = &s->rival;
    const hone_env env = {.v = j->rival.tuning, .n = j->rival.n_tuning};
    key_of(j, key);
    if (*key && strcmp(key, r->key) == 0)
        return HONE_OK;
    hone_rival_drop(s);
    HONE_TRY(parse(j, &r->task, e));
    HONE_TRY(hone_compile_task(s->compiler, r->task, &env, j->flags, j->n_flags, s->target.cc, &r->compiled, e));
    r->sizes = hone_calloc(s->n_sizes + 1, sizeof *r->sizes);
    if (!r->sizes)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for the reference arm");
    memcpy(r->key, key, sizeof r->key);
    return HONE_OK;
}

static hone_code bind(hone_session *s, const hone_job *j, size_t i, hone_err *e) {
    hone_rival *r = &s->rival;
    hone_rival_size *z = &r->sizes[i];
    const hone_env env = {.v = j->rival.tuning, .n = j->rival.n_tuning};
    if (z->program)
        return HONE_OK;
    HONE_TRY(hone_plan_make(r->task, &s->task->sizes[i], &env, &z->plan, e));
    HONE_TRY(hone_bound_make(s->sizes[i].workload, z->plan, &z->bound, e));
    return hone_program_load(s->device, r->compiled, z->plan, &z->program, e);
}

bool hone_rival_arm(hone_session *s, const hone_job *j, size_t i, hone_arm *arm, double *ratio) {
    hone_err why = {0};
    if (!j->rival.text || !j->candidate_text || j->rival.n_ratios != s->n_sizes || !(j->rival.ratios[i] > 0))
        return false;
    hone_code c = make(s, j, &why);
    if (c == HONE_OK)
        c = bind(s, j, i, &why);
    if (c != HONE_OK) {
        hone_rival_drop(s);
        return false;
    }
    *arm = (hone_arm){&s->rival.sizes[i].bound, s->rival.sizes[i].program};
    *ratio = j->rival.ratios[i];
    return true;
}

void hone_rival_rebase(hone_pair *p, double ratio) {
    for (double **v = (double *[]){&p->ratio.lo, &p->ratio.mid, &p->ratio.hi, NULL}; *v; v++)
        **v *= ratio;
    for (size_t i = 0; i < p->n; i++)
        p->log_ratio[i] += log(ratio);
}
