// Why is a candidate wrong? One answer that a wrong element does not give: it does not look at one of its inputs. Each input of the failed case is
// replaced by other values from the same initialiser; where the baseline's outputs change and the candidate's do not, not a bit, it ignores that input.
#include "check/trial.h"
#include <string.h>

static bool same_outputs(const hone_plan *base, const hone_images *a, const hone_images *b) {
    for (size_t i = 0; i < a->n; i++) {
        const int at = hone_plan_find(base, a->v[i].name);
        if (at >= 0 && hone_is_output(&base->buffers[at]) && memcmp(hone_image_data(&a->v[i]), hone_image_data(&b->v[i]), a->v[i].bytes) != 0)
            return false;
    }
    return true;
}

// Whether the baseline's outputs with these inputs are other ones than those of the case.
static hone_code baseline_changes(const trial *t, const judge_case *k, uint8_t *const *inputs, bool *changes, hone_err *e) {
    const hone_plan *base = t->j->sizes[k->size].base;
    hone_images im;
    *changes = false;
    HONE_TRY(hone_images_make(base, base, inputs, HONE_POISON_A, t->j->c.runner.guard_bytes, (hone_perturbation){0}, &im, e));
    const hone_code c = hone_judge_run(t->j, t->j->base_program, base, &im, 0, 0, e);
    for (size_t i = 0; c == HONE_OK && i < base->n_buffers; i++)
        if (hone_is_output(&base->buffers[i]))
            *changes |= memcmp(k->refs[i].base, hone_image_data(&im.v[i]), base->buffers[i].bytes) != 0;
    hone_images_free(&im);
    return c;
}

static hone_code try_input(trial *t, const judge_case *k, const hone_plan *plan, const hone_images *first, size_t input, uint8_t *const *inputs, hone_err *e) {
    const hone_plan *base = t->j->sizes[k->size].base;
    judge_case other = *k;
    hone_images im = {0};
    bool changes;
    other.inputs = (uint8_t **)(uintptr_t)inputs;      // only read
    HONE_TRY(baseline_changes(t, k, inputs, &changes, e));
    if (!changes)
        return HONE_OK;
    HONE_TRY(hone_trial_run(t, &other, plan, MANNER_FIRST, &im, e));
    if (t->stop)
        return HONE_OK;
    json_t *ev = same_outputs(base, first, &im) ? hone_trial_evidence(t, k) : NULL;
    if (ev) {
        json_object_set_new(ev, "buffer", json_string(base->buffers[input].arg->name));
        hone_findings_add(t->f, HONE_F_ORACLE_IGNORED_INPUT, t->candidate->path, 0, ev, "no output changes with the input '%s'; the baseline's do",
                          base->buffers[input].arg->name);
    }
    hone_images_free(&im);
    return HONE_OK;
}

hone_code hone_trial_ignored_inputs(trial *t, const judge_case *k, const hone_plan *plan, const hone_images *first, hone_err *e) {
    const hone_plan *base = t->j->sizes[k->size].base;
    uint8_t **fresh = NULL, **mixed = hone_calloc(base->n_buffers + 1, sizeof *mixed);
    hone_code c = mixed ? hone_inputs_fill(base, k->input, k->seed + 0x9e3779b9u, &fresh, e) : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for inputs");
    for (size_t i = 0; c == HONE_OK && !t->stop && i < base->n_buffers; i++) {
        if (!k->inputs[i])
            continue;
        memcpy(mixed, k->inputs, base->n_buffers * sizeof *mixed);
        mixed[i] = fresh[i];
        c = try_input(t, k, plan, first, i, mixed, e);
    }
    hone_inputs_free(fresh, base);
    hone_free(mixed);
    return c;
}
