// search/screen: the virtual GPU as a filter. Every candidate is checked and modelled there; of each generation the promising ones are measured: the
// best by the model, as many as the model deserves, and some at random so that its errors show. How much it deserves is the rank correlation
// between modelled and measured times of the candidates that have both. See docs/search.md.
#include "search/internal.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEARNT_AFTER = 6, WINDOW = 48 };              // pairs before the correlation counts; newest pairs looked at
static const double first_share = 0.5, least_share = 0.25, good = 0.9, random_share = 0.08, doubt = 1.64, first_spread = 0.25, least_spread = 0.03;

// ---- what is known of the model

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, size_t n) {
    qsort(v, n, sizeof *v, by_value);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

// Ranks from 0, equal values share the middle of theirs.
static void ranks(const double *v, size_t n, double *out) {
    for (size_t i = 0; i < n; i++) {
        double less = 0, same = 0;
        for (size_t k = 0; k < n; k++) {
            less += v[k] < v[i];
            same += v[k] == v[i];
        }
        out[i] = less + (same - 1) / 2;
    }
}

static double correlation(const double *x, const double *y, size_t n) {
    double mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
    for (size_t i = 0; i < n; i++) {
        mx += x[i] / (double)n;
        my += y[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        xx += (x[i] - mx) * (x[i] - mx);
        yy += (y[i] - my) * (y[i] - my);
        xy += (x[i] - mx) * (y[i] - my);
    }
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : 0;
}

static void learn(screen_stats *s) {
    double a[WINDOW], b[WINDOW], ratio[WINDOW];
    size_t all = s->model_log.n, n = all < WINDOW ? all : WINDOW;
    const double *x = s->model_log.v + (all - n), *y = s->measured_log.v + (all - n);
    ranks(x, n, a);
    ranks(y, n, b);
    s->rank_correlation = n > 1 ? correlation(a, b, n) : 0;
    for (size_t i = 0; i < n; i++)
        ratio[i] = y[i] - x[i];
    s->offset = median(ratio, n);
    for (size_t i = 0; i < n; i++)
        ratio[i] = fabs(y[i] - x[i] - s->offset);
    s->spread = n < LEARNT_AFTER ? first_spread : fmax(1.4826 * median(ratio, n), least_spread);
}

double hone_screen_share(const search *s) {
    if (s->screen.model_log.n < LEARNT_AFTER)
        return first_share;
    double missing = (good - s->screen.rank_correlation) / good;
    return least_share + (1 - least_share) * fmin(fmax(missing, 0), 1);
}

// ---- deciding

static int by_model(const void *a, const void *b) {
    const slot *x = *(slot *const *)a, *y = *(slot *const *)b;
    if (x->screen->time_us != y->screen->time_us)
        return x->screen->time_us < y->screen->time_us ? -1 : 1;
    return x->e->cand.id < y->e->cand.id ? -1 : 1;
}

static bool drawn(const search *s, const slot *w) {
    hone_rng r;
    hone_rng_init(&r, s->c->seed, 0x5c4ee20000000000u + w->e->cand.id);
    return hone_rng_unit(&r) < random_share;
}

static const char *reason(const search *s, const slot *w, size_t place, size_t keep) {
    double predicted = w->screen->time_us * exp(s->screen.offset);
    double spread = s->screen.spread > 0 ? s->screen.spread : first_spread;
    if (w->e->arm < 0 || !s->best)
        return "baseline";
    if (place < keep && predicted * exp(-doubt * spread) < s->best->cand.time_us)
        return "promising";
    return drawn(s, w) ? "random" : NULL;
}

static hone_code note(hone_outcome *o, const char *decision, const search *s) {
    json_t *j = json_pack("{s:s,s:f,s:f,s:i}", "decision", decision, "time_us", o->time_us, "share", hone_screen_share(s), "pairs", (int)s->screen.model_log.n);
    return j && json_object_set_new(o->json, "screen", j) == 0 ? HONE_OK : HONE_E_NOMEM;
}

hone_code hone_screen_decide(search *s, slot *v, size_t n, hone_err *e) {
    slot *order[HONE_SEARCH_MAX_BATCH];
    size_t m = 0;
    for (size_t i = 0; i < n && m < HONE_COUNT(order); i++)
        if (v[i].state == SLOT_SCREENED)
            order[m++] = &v[i];
    qsort(order, m, sizeof order[0], by_model);
    size_t keep = (size_t)ceil(hone_screen_share(s) * (double)m);
    for (size_t i = 0; i < m; i++) {
        slot *w = order[i];
        w->why = reason(s, w, i, keep);
        if (note(w->screen, w->why ? w->why : "left out", s) != HONE_OK)
            return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the search");
        w->state = w->why ? SLOT_CHOSEN : SLOT_DONE;
        if (!w->why) {
            w->outcome = w->screen;
            w->screen = NULL;
        }
    }
    return HONE_OK;
}

// ---- outcomes

hone_code hone_screen_join(slot *w, hone_outcome **measured, hone_err *e) {
    hone_outcome *both = NULL;
    json_t *time = json_object_get(w->screen->json, "time");
    json_object_set_new(w->screen->json, "model", json_pack("{s:s,s:O?,s:O?}", "kind", "modelled", "time_us", json_object_get(time, "time_us"), "sizes",
                                                            json_object_get(time, "sizes")));
    HONE_TRY(hone_outcome_merge(w->screen, *measured, &both, e));
    hone_outcome_free(*measured);
    *measured = both;
    hone_outcome_free(w->screen);
    w->screen = NULL;
    return HONE_OK;
}

static hone_code add_pair(screen_stats *s, double modelled, double measured, hone_err *e) {
    if (!(modelled > 0) || !(measured > 0))
        return HONE_OK;
    if (!hone_vec_push(&s->model_log, log(modelled)) || !hone_vec_push(&s->measured_log, log(measured)))
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the search");
    learn(s);
    return HONE_OK;
}

hone_code hone_screen_apply(search *s, const hone_outcome *o, hone_timing *t, bool *screened, hone_err *e) {
    const json_t *j = json_object_get(o->json, "screen");
    const char *decision = json_string_value(json_object_get(j, "decision"));
    if (!decision)
        return HONE_OK;
    if (!o->time_is_modelled) {
        s->screen.measured++;
        s->screen.at_random += strcmp(decision, "random") == 0;
        return add_pair(&s->screen, json_number_value(json_object_get(j, "time_us")), o->time_us, e);
    }
    double scale = exp(s->screen.offset), base = s->entries.n ? s->entries.v[0]->cand.cost / s->entries.v[0]->cand.time_us : 1;
    s->screen.left_out++;
    *screened = true;
    t->time_us *= scale;
    t->lo_us *= scale;
    t->hi_us *= scale;
    t->cost = t->time_us * (base > 0 ? base : 1);
    return HONE_OK;
}

void hone_screen_free(screen_stats *s) {
    hone_vec_free(&s->model_log);
    hone_vec_free(&s->measured_log);
}
