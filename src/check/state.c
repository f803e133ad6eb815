// Does a result depend on anything but the inputs? A candidate runs after other launches, on other contents at the same addresses, at other
// addresses, over other contents of its workspace and outputs, on a freshly loaded module, and many times over; where that changes a result, the
// finding says which of these it was. The static rules refuse most ways to keep state; this stage does not rely on them.
#include "check/trial.h"
#include <string.h>

enum { ZEROS = 0x00, CALLS = 48, ELSEWHERE = 2, NEW_PLACE = 3 };

static void report(trial *t, hone_finding_kind kind, const judge_case *k, const hone_images *a, const hone_images *b, int buffer, size_t element,
                   const char *what) {
    const hone_plan_buffer *pb = &t->j->sizes[k->size].base->buffers[buffer];
    char index[128];
    json_t *ev = hone_trial_evidence(t, k);
    hone_index_text(pb, element, index);
    double x = 0, y = 0;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->v[i].name, pb->arg->name) == 0) {
            x = hone_dtype_get(pb->arg->type, hone_image_data(&a->v[i]), element);
            y = hone_dtype_get(pb->arg->type, hone_image_data(&b->v[i]), element);
        }
    if (ev) {
        json_object_set_new(ev, "buffer", json_string(pb->arg->name));
        json_object_set_new(ev, "element", json_integer((json_int_t)element));
        json_object_set_new(ev, "first", hone_trial_number(x));
        json_object_set_new(ev, "second", hone_trial_number(y));
        json_object_set_new(ev, "launches", json_integer(t->launches));
    }
    hone_findings_add(t->f, kind, t->candidate->path, 0, ev, "the same inputs gave '%s'%s = %.9g, then %.9g %s", pb->arg->name, index, x, y, what);
}

// Runs the case again in this manner; a result that is not the first one's is reported as `kind`. With atomics on floats the result has to be
// right instead of the same.
static hone_code again(trial *t, const judge_case *k, const hone_plan *plan, manner m, const hone_images *first, hone_finding_kind kind,
                       const char *what, hone_err *e) {
    hone_images im = {0};
    HONE_TRY(hone_trial_run(t, k, plan, m, &im, e));
    if (t->stop)
        return HONE_OK;
    size_t element = 0;
    bool wrong = false;
    const int buffer = hone_trial_difference(t, k, first, &im, &element);
    if (buffer >= 0)
        report(t, kind, k, first, &im, buffer, element, what);
    hone_code c = HONE_OK;
    if (buffer < 0 && (t->float_atomics || t->j->varying)) {
        c = hone_trial_values(t, k, &im, true, &wrong, e);
        if (wrong)
            hone_findings_add(t->f, kind, t->candidate->path, 0, hone_trial_evidence(t, k), "the same inputs gave a wrong result %s", what);
    }
    hone_images_free(&im);
    return c;
}

hone_code hone_trial_isolate(trial *t, const judge_case *k, const hone_plan *plan, const hone_images *first, hone_err *e) {
    const struct { manner m; hone_finding_kind kind; const char *what; } changes[] = {
        {{HONE_POISON_A, HONE_POISON_A, 1, 0, false}, HONE_F_REPLAY_POINTER_KEYED, "with the buffers at other addresses"},
        {{HONE_POISON_A, HONE_POISON_B, 0, 0, false}, HONE_F_STATE_SCRATCH, "with other contents of the workspace before the launch"},
        {{HONE_POISON_B, HONE_POISON_A, 0, 0, false}, HONE_F_STATE_OUTPUT, "with other contents of the outputs before the launch"},
        {{HONE_POISON_A, HONE_POISON_A, 0, k->seed | 1, false}, HONE_F_STATE_SCHEDULE, "with another order of blocks and warps"},
    };
    const unsigned before = t->f->refused;
    for (size_t i = 0; i < HONE_COUNT(changes) && !t->stop && t->f->refused == before; i++)
        HONE_TRY(again(t, k, plan, changes[i].m, first, changes[i].kind, changes[i].what, e));
    return HONE_OK;
}

// Is the candidate right on this case, run like this? Failing to run counts as wrong.
static hone_code is_right(trial *t, const judge_case *k, const hone_plan *plan, manner m, bool *right, hone_err *e) {
    hone_images im = {0};
    bool wrong = false;
    HONE_TRY(hone_trial_run(t, k, plan, m, &im, e));
    *right = false;
    if (t->stop)
        return HONE_OK;
    hone_code c = hone_trial_values(t, k, &im, true, &wrong, e);
    *right = !wrong;
    hone_images_free(&im);
    return c;
}

// On a freshly loaded module: right, after other inputs at the usual addresses, at this placement?
static hone_code after_other(trial *t, const judge_case *other, const judge_case *k, const hone_plan *plan, unsigned placement, bool *right,
                             hone_err *e) {
    manner m = MANNER_FIRST;
    HONE_TRY(hone_trial_reload(t, e));
    HONE_TRY(is_right(t, other, plan, m, right, e));
    m.placement = placement;
    return t->stop ? HONE_OK : is_right(t, k, plan, m, right, e);
}

static judge_case *ready_neighbour(judge_case *cases, size_t n, const judge_case *k) {
    for (size_t i = 0; i < n; i++)
        if (cases[i].size == k->size && &cases[i] != k && cases[i].ready)
            return &cases[i];
    return NULL;
}

hone_code hone_trial_blame_history(trial *t, judge_case *cases, const judge_case *k, const hone_plan *plan, hone_err *e) {
    const unsigned launches = t->launches;
    judge_case *other = ready_neighbour(cases, t->j->n_cases, k);
    bool right = false;
    HONE_TRY(hone_trial_reload(t, e));
    HONE_TRY(is_right(t, k, plan, MANNER_FIRST, &right, e));
    if (!right || t->stop)
        return HONE_OK;                      // wrong by itself
    hone_finding_kind kind = HONE_F_STATE_MODULE;
    const char *what = "depends on the launches before: it is right on a freshly loaded module";
    for (unsigned n = 1; n < launches && right && !t->stop; n++)   // the same case over and over: only the count changes
        HONE_TRY(is_right(t, k, plan, MANNER_FIRST, &right, e));
    if (!right) {
        kind = HONE_F_REPLAY_CALL_COUNTED;
        what = "depends on how many launches came before: it is right in the first ones";
    } else if (other && !t->stop) {
        bool here = true, there = false;
        HONE_TRY(after_other(t, other, k, plan, 0, &here, e));
        if (!t->stop)
            HONE_TRY(after_other(t, other, k, plan, NEW_PLACE, &there, e));
        if (there && !here && !t->stop) {
            kind = HONE_F_REPLAY_POINTER_KEYED;
            what = "depends on the addresses of the buffers: it is right at addresses that no launch has seen";
        }
    }
    json_t *ev = hone_trial_evidence(t, k);
    if (ev)
        json_object_set_new(ev, "launches", json_integer(launches));
    hone_findings_add(t->f, kind, t->candidate->path, 0, ev, "the result %s", what);
    return HONE_OK;
}

// Another case's inputs, result not looked at.
static hone_code pass_over(trial *t, const judge_case *k, const hone_plan *plan, manner m, hone_err *e) {
    hone_images im = {0};
    HONE_TRY(hone_trial_run(t, k, plan, m, &im, e));
    if (!t->stop)
        hone_images_free(&im);
    return HONE_OK;
}

// A history: perhaps a fresh module, then other inputs in some manner, then the case in a manner of its own.
typedef struct past { bool reload, other; manner before, now; hone_finding_kind kind; const char *what; } past;

static const past pasts[] = {
    {false, true, {HONE_POISON_A, HONE_POISON_A, 0, 0, false}, {HONE_POISON_A, HONE_POISON_A, 0, 0, false}, HONE_F_STATE_MODULE,
     "after launches on other inputs"},
    {false, true, {HONE_POISON_A, HONE_POISON_A, 0, 0, false}, {HONE_POISON_A, HONE_POISON_A, 0, 0, true}, HONE_F_STATE_SCRATCH,
     "with the workspace as a launch on other inputs left it"},
    {false, false, {0}, {HONE_POISON_A, ZEROS, 0, 0, false}, HONE_F_STATE_SCRATCH, "with zeros in the workspace before the launch"},
    {false, false, {0}, {HONE_POISON_A, HONE_POISON_A, 0, 0, true}, HONE_F_STATE_SCRATCH, "with the workspace as the launch before left it"},
    {false, false, {0}, {ZEROS, HONE_POISON_A, 0, 0, false}, HONE_F_STATE_OUTPUT, "with zeros in the outputs before the launch"},
    {false, true, {HONE_POISON_A, HONE_POISON_A, ELSEWHERE, 0, false}, {HONE_POISON_A, HONE_POISON_A, ELSEWHERE, 0, false},
     HONE_F_REPLAY_POINTER_KEYED, "at addresses that held other inputs before"},
    {true, true, {HONE_POISON_A, HONE_POISON_A, 0, 0, false}, {HONE_POISON_A, HONE_POISON_A, 0, 0, false}, HONE_F_STATE_MODULE,
     "on a freshly loaded module, after a launch on other inputs"},
};

static hone_code try_past(trial *t, judge_case *k, const judge_case *other, const hone_plan *plan, const hone_images *first, const past *p,
                          hone_err *e) {
    if (p->reload)
        HONE_TRY(hone_trial_reload(t, e));
    if (p->other && other)
        HONE_TRY(pass_over(t, other, plan, p->before, e));
    return t->stop ? HONE_OK : again(t, k, plan, p->now, first, p->kind, p->what, e);
}

// The n-th call of one module, same inputs at the same addresses.
static hone_code many_calls(trial *t, judge_case *k, const hone_plan *plan, const hone_images *first, hone_err *e) {
    const unsigned before = t->f->refused;
    for (unsigned n = 0; n < CALLS && !t->stop && t->f->refused == before; n++)
        HONE_TRY(again(t, k, plan, MANNER_FIRST, first, HONE_F_REPLAY_CALL_COUNTED, "in a later launch of the same module", e));
    return HONE_OK;
}

hone_code hone_trial_histories(trial *t, judge_case *cases, size_t n, const hone_plan *plan, hone_err *e) {
    judge_case *k = &cases[0];
    judge_case *other = n > 1 ? &cases[1] : NULL;
    const unsigned before = t->f->refused;
    hone_images first = {0};
    HONE_TRY(hone_case_prepare(t->j, k, e));
    if (other)
        HONE_TRY(hone_case_prepare(t->j, other, e));
    HONE_TRY(hone_trial_reload(t, e));
    HONE_TRY(hone_trial_run(t, k, plan, MANNER_FIRST, &first, e));
    hone_code c = HONE_OK;
    for (size_t i = 0; c == HONE_OK && i < HONE_COUNT(pasts) && !t->stop && t->f->refused == before; i++)
        c = try_past(t, k, other, plan, &first, &pasts[i], e);
    if (c == HONE_OK && !t->stop && t->f->refused == before)
        c = many_calls(t, k, plan, &first, e);
    hone_images_free(&first);
    return c;
}
