// A candidate that has passed all cases is asked for the relations that the baseline keeps: one more run for each, its outputs led back to a case's and
// judged by that case's references. A relation needs no run of the baseline, so it reaches sizes, scales and orders that the cases do not have.
#include "check/relations.h"
#include "check/trial.h"
#include <stdio.h>
#include <string.h>

static hone_finding_kind finding_of(relation_kind k) {
    static const hone_finding_kind kinds[] = {HONE_F_METAMORPHIC_SCALING, HONE_F_METAMORPHIC_ADDITIVITY, HONE_F_METAMORPHIC_PERMUTATION,
                                              HONE_F_METAMORPHIC_PADDING, HONE_F_METAMORPHIC_BATCH};
    return kinds[k];
}

static void case_name(const hone_judge *j, const judge_case *k, const relation *r, char out[512]) {
    char name[256];
    hone_case_name(j, k, name);
    snprintf(out, 512, "%s/%s", name, r->name);
}

static json_t *evidence(const trial *t, const judge_case *k, const relation *r) {
    char name[512];
    case_name(t->j, k, r, name);
    json_t *ev = hone_trial_evidence(t, k);
    if (!ev)
        return NULL;
    json_object_set_new(ev, "case", json_string(name));
    json_object_set_new(ev, "relation", json_string(r->name));
    for (size_t i = 0; r->sizes && i < r->sizes->n; i++)     // of the run, not of the case
        json_object_set_new(json_object_get(ev, "sizes"), r->sizes->v[i].name, json_integer(r->sizes->v[i].value));
    return ev;
}

static void report(trial *t, const judge_case *k, const relation *r, size_t b, const hone_diff *d) {
    const judge_size *s = &t->j->sizes[k->size];
    const hone_plan_buffer *p = &s->base->buffers[b];
    char index[128], text[256];
    hone_index_text(p, d->at, index);
    relation_text(r, s, text);
    json_t *ev = evidence(t, k, r);
    if (ev) {
        json_object_set_new(ev, "buffer", json_string(p->arg->name));
        json_object_set_new(ev, "element", json_integer((json_int_t)d->at));
        json_object_set_new(ev, "baseline", hone_trial_number(d->expected));
        json_object_set_new(ev, "candidate", hone_trial_number(d->got));
        json_object_set_new(ev, "places", json_integer((json_int_t)d->count));
        if (d->metric) {
            json_object_set_new(ev, "metric", json_string(d->metric));
            json_object_set_new(ev, "error", hone_trial_number(d->metric_candidate));
            json_object_set_new(ev, "allowed", hone_trial_number(d->metric_allowed));
        }
    }
    hone_findings_add(t->f, finding_of(r->kind), t->candidate->path, 0, ev, "output '%s' is wrong at %s, led back %.9g, the baseline has %.9g: %s",
                      p->arg->name, index, d->got, d->expected, text);
}

static int image_of(const hone_images *im, const char *name) {
    for (size_t i = 0; i < im->n; i++)
        if (strcmp(im->v[i].name, name) == 0)
            return (int)i;
    return -1;
}

static hone_code compare(trial *t, const judge_case *k, const relation *r, const hone_images *im, hone_err *e) {
    const judge_size *s = &t->j->sizes[k->size];
    for (size_t b = 0; b < s->base->n_buffers; b++) {
        const int at = hone_is_output(&s->base->buffers[b]) ? image_of(im, s->base->buffers[b].arg->name) : -1;
        relation_verdict v;
        if (at < 0)
            continue;
        HONE_TRY(relation_judge(t->j, r, k, b, hone_image_data(&im->v[at]), &v, e));
        if (v.diff.kind != HONE_F_COUNT)
            report(t, k, r, b, &v.diff);
    }
    return HONE_OK;
}

static hone_code run(trial *t, const judge_case *k, const relation *r, const hone_plan *plan, hone_err *e) {
    const judge_size *s = &t->j->sizes[k->size];
    const hone_plan *base = relation_plan(r, s);
    uint8_t **inputs = NULL;
    hone_images im = {0};
    bool applies;
    HONE_TRY(relation_inputs(r, s, k, &inputs, &applies, e));
    hone_code c = hone_trial_run_on(t, evidence(t, k, r), base, inputs, plan, MANNER_FIRST, &im, e);
    hone_inputs_free(inputs, base);
    t->r->relations++;
    if (c != HONE_OK || t->stop)
        return c;
    c = compare(t, k, r, &im, e);
    hone_images_free(&im);
    return c;
}

static hone_code try_one(trial *t, judge_case *k, const relation *r, hone_err *e) {
    const hone_sizes *sizes = r->sizes ? r->sizes : t->j->sizes[k->size].sizes;
    hone_err why = {0};
    hone_plan *plan = NULL;
    hone_code c = hone_plan_make(t->candidate, sizes, t->tuning, &plan, &why);
    if (c == HONE_E_NOMEM)
        return hone_fail(e, c, 0, "%s", why.msg);
    if (c != HONE_OK) {
        hone_findings_add(t->f, HONE_F_COMPILE_PLAN, t->candidate->path, 0, evidence(t, k, r), "%.900s", why.msg);
        return HONE_OK;
    }
    c = hone_case_prepare(t->j, k, e);
    if (c == HONE_OK)
        c = run(t, k, r, plan, e);
    hone_plan_free(plan);
    return c;
}

static bool is_wanted(const hone_judge *j, const judge_case *k, const relation *r) {
    char name[512];
    case_name(j, k, r, name);
    return !j->only || strcmp(j->only, name) == 0;
}

hone_code hone_trial_relations(trial *t, hone_err *e) {
    hone_judge *j = t->j;
    if (j->only && !strchr(j->only, '/'))
        return HONE_OK;
    HONE_TRY(hone_relations_find(j, e));
    hone_code c = HONE_OK;
    for (size_t i = 0; c == HONE_OK && !t->stop && t->f->refused == t->refused_before && i < j->relations->n; i++) {
        const relation *r = &j->relations->v[i];
        const relation_cases cases = hone_relation_cases(j, r->at);
        judge_case *k = r->kind == RELATION_ADDITIVITY ? cases.whole : cases.v[i % cases.n];
        if (is_wanted(j, k, r))
            c = try_one(t, k, r, e);
    }
    return c;
}
