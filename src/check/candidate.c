// Stages 2 and 3 for one candidate: each case is run with poisoned outputs and compared; the first case of each size a second time with
// other poison, addresses and schedule, which must change nothing. Stops after the first size with a refusal.
#include "check/trial.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

json_t *hone_trial_number(double x) {
    if (isnan(x))
        return json_string("nan");
    if (isinf(x))
        return json_string(x > 0 ? "inf" : "-inf");
    return json_real(x);
}

json_t *hone_trial_evidence(const trial *t, const judge_case *k) {
    const hone_sizes *s = t->j->sizes[k->size].sizes;
    json_t *sizes = json_object();
    for (size_t i = 0; i < s->n; i++)
        json_object_set_new(sizes, s->v[i].name, json_integer(s->v[i].value));
    return json_pack("{s:o, s:s, s:I}", "sizes", sizes, "input", hone_input_name(k->input), "seed", (json_int_t)k->seed);
}

// [3][17] of a (…,64) buffer, for messages
void hone_index_text(const hone_plan_buffer *b, size_t at, char out[128]) {
    size_t len = 0, rest = at, stride = b->n_elems;
    out[0] = '\0';
    for (size_t d = 0; d < b->n_dims && len < 100; d++) {
        stride = b->dims[d] ? stride / b->dims[d] : 1;
        len += (size_t)snprintf(out + len, 128 - len, "[%zu]", stride ? rest / stride : 0);
        rest = stride ? rest % stride : 0;
    }
}

static void add_diff_evidence(json_t *ev, const hone_plan_buffer *b, const hone_diff *d, bool by_shadow) {
    json_object_set_new(ev, "buffer", json_string(b->arg->name));
    json_object_set_new(ev, "element", json_integer((json_int_t)d->at));
    json_object_set_new(ev, "baseline", hone_trial_number(d->expected));
    json_object_set_new(ev, "candidate", hone_trial_number(d->got));
    json_object_set_new(ev, "reference", hone_trial_number(d->reference));
    json_object_set_new(ev, "against", json_string(by_shadow ? "shadow" : "bound"));
    json_object_set_new(ev, "places", json_integer((json_int_t)d->count));
    if (b->arg->unordered)
        json_object_set_new(ev, "sorted", json_true());
    if (d->metric) {
        json_object_set_new(ev, "metric", json_string(d->metric));
        json_object_set_new(ev, "error", hone_trial_number(d->metric_candidate));
        json_object_set_new(ev, "baseline_error", hone_trial_number(d->metric_baseline));
        json_object_set_new(ev, "allowed", hone_trial_number(d->metric_allowed));
    }
}

// Keeps, per buffer, the case that came closest to its limit.
static void keep_worst(hone_judged *r, const char *buffer, const hone_diff *d) {
    if (!r->errors || !d->metric)
        return;
    double ratio = d->metric_allowed > 0 ? d->metric_candidate / d->metric_allowed : d->metric_candidate > 0 ? 1e300 : 0;
    json_t *old = json_object_get(r->errors, buffer);
    if (old && json_number_value(json_object_get(old, "share")) >= ratio)
        return;
    json_t *o = json_pack("{s:s, s:o, s:o, s:o, s:f}", "metric", d->metric, "baseline", hone_trial_number(d->metric_baseline), "candidate",
                          hone_trial_number(d->metric_candidate), "allowed", hone_trial_number(d->metric_allowed), "share", ratio);
    if (o && d->metric_baseline > 0)
        json_object_set_new(o, "multiple", hone_trial_number(d->metric_candidate / d->metric_baseline));
    json_object_set_new(r->errors, buffer, o);
}

// ---- running
static void run_failed(trial *t, json_t *stolen, hone_code c, unsigned refused_before, const hone_err *why) {
    t->stop = true;
    if (t->f->refused > refused_before) {    // the runner's own sanitizer has named it already
        json_decref(stolen);
        return;
    }
    hone_finding_kind kind = c == HONE_E_TIMEOUT ? HONE_F_RUN_TIMEOUT : c == HONE_E_UNSUPPORTED ? HONE_F_RUN_UNSUPPORTED : HONE_F_RUN_FAULT;
    if (stolen)
        json_object_set_new(stolen, "code", json_integer(why->sub));
    hone_findings_add(t->f, kind, t->candidate->path, 0, stolen, "%.900s", why->msg);
}

static void set_scratch(hone_images *im, manner m) {
    for (size_t i = 0; i < im->n; i++)
        if (im->v[i].role == HONE_SCRATCH) {
            im->v[i].keep = m.keep_scratch;
            if (m.scratch_poison != m.poison)
                memset(im->v[i].image, m.scratch_poison, im->v[i].image_bytes);
        }
}

hone_code hone_trial_run_on(trial *t, json_t *evidence, const hone_plan *base, uint8_t *const *inputs, const hone_plan *plan, manner m, hone_images *im,
                            hone_err *e) {
    hone_err why = {0};
    const unsigned refused = t->f->refused;
    hone_code c = hone_images_make(plan, base, inputs, m.poison, t->j->c.runner.guard_bytes, (hone_perturbation){0}, im, e);
    if (c != HONE_OK) {
        json_decref(evidence);
        return c;
    }
    set_scratch(im, m);
    c = hone_judge_run(t->j, t->program, plan, im, m.placement, m.schedule, &why);
    t->r->runs++;
    t->launches++;
    if (c != HONE_OK)
        hone_images_free(im);
    if (c == HONE_E_NOMEM || c == HONE_E_INTERRUPTED || c == HONE_E_INTERNAL || c == HONE_E_NO_DEVICE || c == HONE_E_IO) {
        json_decref(evidence);
        return hone_fail(e, c, why.sub, "%s", why.msg);
    }
    if (c != HONE_OK)
        run_failed(t, evidence, c, refused, &why);
    else
        json_decref(evidence);
    return HONE_OK;
}

hone_code hone_trial_run(trial *t, const judge_case *k, const hone_plan *plan, manner m, hone_images *im, hone_err *e) {
    return hone_trial_run_on(t, hone_trial_evidence(t, k), t->j->sizes[k->size].base, k->inputs, plan, m, im, e);
}

// ---- memory
static void check_guards(trial *t, const judge_case *k, const hone_images *im) {
    for (size_t i = 0; i < im->n; i++) {
        int64_t at;
        if (!hone_guard_hit(&im->v[i], im->poison, &at))
            continue;
        json_t *ev = hone_trial_evidence(t, k);
        if (ev)
            json_object_set_new(ev, "offset", json_integer(at));
        hone_findings_add(t->f, HONE_F_MEMORY_GUARD, t->candidate->path, 0, ev,
                          "wrote outside buffer '%s' of %zu bytes, at byte offset %lld", im->v[i].name, im->v[i].bytes, (long long)at);
    }
}

static void check_inputs(trial *t, const judge_case *k, const hone_images *im) {
    const hone_plan *base = t->j->sizes[k->size].base;
    for (size_t i = 0; i < im->n; i++) {
        int at = im->v[i].role == HONE_IN ? hone_plan_find(base, im->v[i].name) : -1;
        if (at >= 0 && memcmp(hone_image_data(&im->v[i]), k->inputs[at], im->v[i].bytes) != 0)
            hone_findings_add(t->f, HONE_F_MEMORY_INPUT_CHANGED, t->candidate->path, 0, hone_trial_evidence(t, k),
                              "changed the input buffer '%s'", im->v[i].name);
    }
}

// ---- values
// The answer to the previous case of this size, where the two answers differ.
static bool is_stale(const trial *t, const judge_case *k, size_t buffer, const uint8_t *got) {
    const judge_case *before = k - 1;
    if (k->first_of_size || !before->ready || before->size != k->size)
        return false;
    const hone_reference *now = &k->refs[buffer], *old = &before->refs[buffer];
    size_t size = hone_dtype_bytes(now->buffer->arg->type), same = 0, differ = 0;
    (void)t;
    for (size_t i = 0; i < now->n; i++) {
        if (memcmp(now->base + i * size, old->base + i * size, size) == 0)
            continue;
        differ++;
        same += memcmp(got + i * size, old->base + i * size, size) == 0;
    }
    return differ && same * 10 >= differ * 9;
}

static void report_diff(trial *t, const judge_case *k, size_t buffer, const hone_diff *d, const uint8_t *got) {
    const hone_plan_buffer *b = &t->j->sizes[k->size].base->buffers[buffer];
    char index[128];
    hone_index_text(b, d->at, index);
    json_t *ev = hone_trial_evidence(t, k);
    if (ev)
        add_diff_evidence(ev, b, d, k->by_shadow);
    const char *file = t->candidate->path;
    bool wrong = d->kind == HONE_F_DIFF_WRONG || d->kind == HONE_F_DIFF_PRECISION || d->kind == HONE_F_DIFF_INTEGER;
    const bool stale = wrong && is_stale(t, k, buffer, got);
    char name[256];
    hone_case_name(t->j, k, name);
    if (ev && !stale)     // by itself it would not be stale
        json_object_set_new(ev, "case", json_string(name));
    if (stale)
        hone_findings_add(t->f, HONE_F_DIFF_STALE, file, 0, ev, "output '%s' is the answer to the inputs before", b->arg->name);
    else if (d->kind == HONE_F_DIFF_UNWRITTEN)
        hone_findings_add(t->f, d->kind, file, 0, ev, "output '%s' is not written at %s (%zu places)", b->arg->name, index, d->count);
    else if (d->kind == HONE_F_DIFF_PRECISION)
        hone_findings_add(t->f, d->kind, file, 0, ev,
                          "output '%s' has error %.3g (%s, relative), %.3g allowed; the baseline's own is %.3g", b->arg->name,
                          d->metric_candidate, d->metric, d->metric_allowed, d->metric_baseline);
    else
        hone_findings_add(t->f, d->kind, file, 0, ev, "output '%s' is wrong at %s: %.9g, the baseline has %.9g (inputs: %s)", b->arg->name,
                          index, d->got, d->expected, hone_input_name(k->input));
}

static int find_image(const hone_images *im, const char *name) {
    for (size_t x = 0; x < im->n; x++)
        if (strcmp(im->v[x].name, name) == 0)
            return (int)x;
    return -1;
}

hone_code hone_trial_values(trial *t, const judge_case *k, const hone_images *im, bool quietly, bool *wrong, hone_err *e) {
    const hone_plan *base = t->j->sizes[k->size].base;
    for (size_t i = 0; i < base->n_buffers; i++) {
        if (!hone_is_output(&base->buffers[i]))
            continue;
        const char *name = base->buffers[i].arg->name;
        const int at = find_image(im, name);
        if (at < 0)
            return hone_fail(e, HONE_E_INTERNAL, 0, "a run lost buffer '%s'", name);
        hone_tolerance tol = hone_task_tolerance(t->j->c.task, name);
        const uint8_t *got = hone_image_data(&im->v[at]);
        hone_err why = {0};
        hone_diff d = hone_compare(&k->refs[i], &tol, got, k->input == HONE_INPUT_SMALL_INT, &why);
        if (why.code != HONE_OK)
            return hone_fail(e, why.code, why.sub, "%s", why.msg);
        *wrong |= d.kind != HONE_F_COUNT;
        if (quietly)
            continue;
        t->r->differs |= memcmp(got, k->refs[i].base, base->buffers[i].bytes) != 0;
        keep_worst(t->r, name, &d);
        if (d.kind != HONE_F_COUNT)
            report_diff(t, k, i, &d, got);
    }
    return HONE_OK;
}

// ---- history: another poison, other addresses, another schedule
typedef struct history { size_t unwritten, changed, at_unwritten, at_changed; } history;

static history compare_runs(const hone_reference *r, const uint8_t *a, const uint8_t *b, uint8_t poison_a, uint8_t poison_b) {
    history h = {0};
    size_t size = hone_dtype_bytes(r->buffer->arg->type);
    if (memcmp(a, b, r->n * size) == 0)
        return h;
    for (size_t i = 0; i < r->n; i++) {
        if (memcmp(a + i * size, b + i * size, size) == 0 || (r->unwritten && (r->unwritten[i / 8] >> (i % 8) & 1)))
            continue;
        bool poison = hone_is_poison(a + i * size, size, poison_a) && hone_is_poison(b + i * size, size, poison_b);
        if (poison && !h.unwritten++)
            h.at_unwritten = i;
        if (!poison && !h.changed++)
            h.at_changed = i;
    }
    return h;
}

static void report_history(trial *t, const judge_case *k, size_t buffer, const history *h, const uint8_t *a, const uint8_t *b) {
    const hone_plan_buffer *pb = &t->j->sizes[k->size].base->buffers[buffer];
    char index[128];
    json_t *ev = hone_trial_evidence(t, k);
    if (ev)
        json_object_set_new(ev, "buffer", json_string(pb->arg->name));
    if (h->unwritten) {
        hone_index_text(pb, h->at_unwritten, index);
        hone_findings_add(t->f, HONE_F_DIFF_UNWRITTEN, t->candidate->path, 0, ev, "output '%s' is not written at %s (%zu places)",
                          pb->arg->name, index, h->unwritten);
        return;
    }
    double x = hone_dtype_get(pb->arg->type, a, h->at_changed), y = hone_dtype_get(pb->arg->type, b, h->at_changed);
    hone_index_text(pb, h->at_changed, index);
    if (ev) {
        json_object_set_new(ev, "first", hone_trial_number(x));
        json_object_set_new(ev, "second", hone_trial_number(y));
    }
    hone_findings_add(t->f, HONE_F_DIFF_HISTORY, t->candidate->path, 0, ev,
                      "the same inputs gave '%s'%s = %.9g, then %.9g with other poison, addresses and schedule (%zu places)",
                          pb->arg->name, index, x, y,
                      h->changed);
}

static void check_history(trial *t, const judge_case *k, const hone_images *a, const hone_images *b, bool *vary) {
    const hone_plan *base = t->j->sizes[k->size].base;
    for (size_t x = 0; x < a->n; x++) {
        int i = hone_plan_find(base, a->v[x].name);
        if (i < 0 || !hone_is_output(&base->buffers[i]))
            continue;
        const hone_reference *r = &k->refs[i];
        history h = compare_runs(r, hone_image_data(&a->v[x]), hone_image_data(&b->v[x]), a->poison, b->poison);
        bool may_vary = r->varying || (t->float_atomics && hone_dtype_is_float(r->buffer->arg->type));
        *vary |= h.changed && may_vary;
        if (h.unwritten || (h.changed && !may_vary))
            report_history(t, k, (size_t)i, &h, hone_image_data(&a->v[x]), hone_image_data(&b->v[x]));
    }
}

int hone_trial_difference(const trial *t, const judge_case *k, const hone_images *a, const hone_images *b, size_t *element) {
    const hone_plan *base = t->j->sizes[k->size].base;
    for (size_t x = 0; x < a->n; x++) {
        const int i = hone_plan_find(base, a->v[x].name);
        if (i < 0 || !hone_is_output(&base->buffers[i]))
            continue;
        const hone_reference *r = &k->refs[i];
        if (r->varying || (t->float_atomics && hone_dtype_is_float(r->buffer->arg->type)))
            continue;
        const history h = compare_runs(r, hone_image_data(&a->v[x]), hone_image_data(&b->v[x]), a->poison, b->poison);
        if (!h.changed && !h.unwritten)
            continue;
        *element = h.changed ? h.at_changed : h.at_unwritten;
        return i;
    }
    return -1;
}

hone_code hone_trial_reload(trial *t, hone_err *e) {
    t->j->c.runner.unload(t->j->c.runner.self, t->program);
    t->program = NULL;
    t->launches = 0;
    return t->j->c.runner.load(t->j->c.runner.self, t->candidate, t->tuning, &t->program, e);
}

static hone_code second_run(trial *t, const judge_case *k, const hone_plan *plan, const hone_images *first, hone_err *e) {
    hone_images im = {0};
    const manner other = {HONE_POISON_B, HONE_POISON_B, 1, k->seed | 1, false};
    HONE_TRY(hone_trial_run(t, k, plan, other, &im, e));
    if (t->stop)
        return HONE_OK;
    bool vary = false, wrong = false;
    unsigned before = t->f->refused;
    check_guards(t, k, &im);
    check_history(t, k, first, &im, &vary);
    const bool differs = t->f->refused > before;
    hone_code c = HONE_OK;
    if (vary && t->f->refused == t->refused_before)
        c = hone_trial_values(t, k, &im, false, &wrong, e);
    if (vary && !t->told_nondeterministic && t->f->refused == t->refused_before) {
        hone_findings_add(t->f, HONE_F_DIFF_NONDETERMINISTIC, t->candidate->path, 0, hone_trial_evidence(t, k),
                          "results vary from run to run, within the tolerance");
        t->told_nondeterministic = true;
    }
    hone_images_free(&im);
    return c == HONE_OK && differs ? hone_trial_isolate(t, k, plan, first, e) : c;
}

static hone_code judge_case_once(trial *t, judge_case *k, const hone_plan *plan, hone_err *e) {
    HONE_TRY(hone_case_prepare(t->j, k, e));
    hone_images im = {0};
    HONE_TRY(hone_trial_run(t, k, plan, MANNER_FIRST, &im, e));
    t->r->cases++;
    if (t->stop)
        return HONE_OK;
    unsigned before = t->f->refused;
    bool wrong = false;
    check_guards(t, k, &im);
    check_inputs(t, k, &im);
    hone_code c = hone_trial_values(t, k, &im, false, &wrong, e);
    if (c == HONE_OK && k->first_of_size && !t->j->sizes[k->size].heavy && t->f->refused == before)
        c = second_run(t, k, plan, &im, e);
    if (c == HONE_OK && wrong && !t->stop && t->j->sizes[k->size].small && !t->float_atomics && !t->j->varying)
        c = hone_trial_ignored_inputs(t, k, plan, &im, e);
    hone_images_free(&im);
    if (c == HONE_OK && wrong && t->launches > 1 && !t->stop && !t->j->sizes[k->size].heavy)
        c = hone_trial_blame_history(t, t->j->cases, k, plan, e);
    return c;
}

// Launch histories are tried at the largest of the small sizes and at one more: the smallest may be a single thread.
enum { HISTORY_SIZES = 2 };
static bool history_size(const hone_judge *j, size_t size) {
    unsigned later = 0;
    for (size_t s = size + 1; s < j->n_sizes; s++)
        later += j->sizes[s].small;
    return j->sizes[size].small && later < HISTORY_SIZES;
}

static bool is_wanted(const hone_judge *j, const judge_case *k) {
    char name[256];
    if (!j->only)
        return true;
    hone_case_name(j, k, name);
    return strcmp(name, j->only) == 0;
}

static hone_code judge_cases(trial *t, size_t first, size_t end, const hone_plan *plan, hone_err *e) {
    const unsigned before = t->f->refused;
    hone_code c = HONE_OK;
    for (size_t i = first; c == HONE_OK && !t->stop && i < end && t->f->refused == before; i++)
        if (is_wanted(t->j, &t->j->cases[i]))
            c = judge_case_once(t, &t->j->cases[i], plan, e);
    if (c == HONE_OK && !t->j->only && !t->j->brief && !t->stop && t->f->refused == before && history_size(t->j, t->j->cases[first].size))
        c = hone_trial_histories(t, &t->j->cases[first], end - first, plan, e);
    return c;
}

static hone_code judge_size_once(trial *t, size_t size, hone_err *e) {
    hone_err why = {0};
    hone_plan *plan = NULL;
    hone_code c = hone_plan_make(t->candidate, t->j->sizes[size].sizes, t->tuning, &plan, &why);
    if (c == HONE_E_NOMEM)
        return hone_fail(e, c, 0, "%s", why.msg);
    if (c != HONE_OK) {
        hone_findings_add(t->f, HONE_F_COMPILE_PLAN, t->candidate->path, 0, NULL, "%.900s", why.msg);
        return HONE_OK;
    }
    size_t first = 0, end, n = t->j->n_cases;
    while (first < n && t->j->cases[first].size != size)
        first++;
    for (end = first; end < n && t->j->cases[end].size == size; end++) {
    }
    c = judge_cases(t, first, end, plan, e);
    for (size_t i = first; i < end; i++)
        hone_case_release(t->j, &t->j->cases[i], false);
    hone_plan_free(plan);
    return c;
}

static bool load_candidate(trial *t, hone_code *c, hone_err *e) {
    hone_err why = {0};
    *c = t->j->c.runner.load(t->j->c.runner.self, t->candidate, t->tuning, &t->program, &why);
    if (*c == HONE_OK)
        return true;
    if (*c == HONE_E_NOMEM || *c == HONE_E_INTERNAL || *c == HONE_E_NO_DEVICE || *c == HONE_E_IO) {
        hone_fail(e, *c, why.sub, "%s", why.msg);
        return false;
    }
    hone_finding_kind kind = *c == HONE_E_COMPILE ? HONE_F_COMPILE_ERROR : *c == HONE_E_UNSUPPORTED ? HONE_F_RUN_UNSUPPORTED :
        HONE_F_COMPILE_RESOURCES;
    hone_findings_add(t->f, kind, t->candidate->path, 0, NULL, "%.900s", why.msg);
    *c = HONE_OK;
    return false;
}

static hone_code no_such_case(const hone_judge *j, hone_err *e) {
    char name[256];
    hone_fail(e, HONE_E_USAGE, 0, "no test case is called '%.200s'", j->only);
    hone_case_name(j, &j->cases[j->n_cases - 1], name);
    hone_hint(e, "the evidence of a finding names its case; this task has, among others, %s", name);
    return HONE_E_USAGE;
}

hone_code hone_judge_candidate(hone_judge *j, const hone_task *candidate, const hone_env *tuning, bool float_atomics, hone_findings *f,
                               hone_judged *r, hone_err *e) {
    trial t = {.j = j, .candidate = candidate, .tuning = tuning, .float_atomics = float_atomics, .f = f, .r = r,
               .refused_before = f->refused};
    *r = (hone_judged){.errors = json_object()};
    if (!r->errors)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for the judgement");
    hone_code c;
    if (!load_candidate(&t, &c, e))
        return c;
    for (size_t s = 0; c == HONE_OK && s < j->n_sizes && f->refused == t.refused_before && !t.stop; s++)
        c = judge_size_once(&t, s, e);
    if (c == HONE_OK && f->refused == t.refused_before && !t.stop)
        c = hone_trial_influence(&t, e);
    if (c == HONE_OK && f->refused == t.refused_before && !t.stop)
        c = hone_trial_relations(&t, e);
    if (t.program)
        j->c.runner.unload(j->c.runner.self, t.program);
    if (c == HONE_OK && j->only && !r->cases && !r->relations && f->refused == t.refused_before)
        c = no_such_case(j, e);
    return c;
}

void hone_judged_free(hone_judged *r) {
    json_decref(r->errors);
    *r = (hone_judged){0};
}
