// search/screen: the virtual GPU as a filter. Every candidate is sanitized and modelled there; of each generation the promising ones are judged and measured, one
// after the other, the most hopeful first, so that each measurement tells whether the next is worth it; at most as many as the model deserves, and
// some at random so that its errors show. How much it deserves is how well it orders candidates whose measured times differ. What the model gets wrong it gets wrong
// alike for relatives, so a candidate is predicted from its parent's measurement; and it is given the best's quotient where that is kinder. See docs/search.md.
#include "search/internal.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEARNT_AFTER = 6, WINDOW = 48 };              // pairs before the correlation counts; newest pairs looked at
static const double first_share = 0.5, least_share = 0.25, good = 0.9, random_share = 0.04, doubt = 1.64, first_spread = 0.25, least_spread = 0.03, differ = 0.05;

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

// Of two candidates whose measured times differ, which is faster? Right less wrong answers of the model, over all such: 1 to -1. Near the end of a search many
// are equally fast, and their order says nothing.
static double agreement(const double *x, const double *y, size_t n) {
    double right = 0, all = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            if (fabs(y[i] - y[k]) > differ) {
                all++;
                right += x[i] == x[k] ? 0 : (x[i] < x[k]) == (y[i] < y[k]) ? 1 : -1;
            }
    return all > 0 ? right / all : 1;
}

// Logarithms of microseconds, of candidates that have both times; surprise: ln(measured / predicted from the parent).
typedef struct pairs { double modelled[WINDOW], measured[WINDOW], surprise[WINDOW]; size_t n; } pairs;

static void learn(screen_view *w, const pairs *p) {
    double a[WINDOW], b[WINDOW], ratio[WINDOW];
    const double *x = p->modelled, *y = p->measured;
    const size_t n = p->n;
    *w = (screen_view){.pairs = n, .spread = first_spread};
    if (!n)
        return;
    ranks(x, n, a);
    ranks(y, n, b);
    w->rank_correlation = n > 1 ? correlation(a, b, n) : 0;
    w->agreement = agreement(x, y, n);
    for (size_t i = 0; i < n; i++)
        ratio[i] = y[i] - x[i];
    w->offset = median(ratio, n);
    for (size_t i = 0; i < n; i++)
        ratio[i] = fabs(p->surprise[i]);
    if (n >= LEARNT_AFTER)
        w->spread = fmax(1.4826 * median(ratio, n), least_spread);
}

static double share(const screen_view *w) {
    if (w->pairs < LEARNT_AFTER)
        return first_share;
    return least_share + (1 - least_share) * fmin(fmax((good - w->agreement) / good, 0), 1);
}

static void add_known(pairs *p, const screen_stats *s) {
    for (size_t i = s->model_log.n; i-- && p->n < WINDOW; p->n++) {
        p->modelled[p->n] = s->model_log.v[i];
        p->measured[p->n] = s->measured_log.v[i];
        p->surprise[p->n] = s->surprise.v[i];
    }
}

// What is known from the outcomes applied so far.
void hone_screen_look(const screen_stats *s, screen_view *w) {
    pairs p = {.n = 0};
    add_known(&p, s);
    learn(w, &p);
    w->share = share(w);
}

// ---- predicting

// ln(measured / modelled). Of a candidate that was left out it is what it was predicted with.
static double bias(const entry *x) { return x && x->cand.ok && x->modelled_us > 0 && x->cand.time_us > 0 ? log(x->cand.time_us / x->modelled_us) : NAN; }

// What the model is wrong by near x: its first parent's bias, else that of all.
static double bias_near(const search *s, const entry *x, double of_all) {
    const double b = x->cand.n_parents ? bias(s->entries.v[x->cand.parents[0]]) : NAN;
    return isnan(b) ? of_all : b;
}

// ---- deciding

// A generation whose candidates are being modelled, while some of them are being measured.
typedef struct rank_round {
    const search *s;
    slot *order[HONE_SEARCH_MAX_BATCH];   // not decided yet, the most hopeful first
    size_t n_open, n_all, chosen;
    unsigned running;                     // in the whole window
    bool whole;                           // nothing of the generation is left to screen
    screen_view known;                    // with the pairs of this generation
    double best_us, best_bias;            // measured, in this generation as well; 0: none
} rank_round;

static bool is_measured(const slot *w) { return w->why && w->state == SLOT_DONE && w->outcome && w->outcome->verdict == HONE_PASS && !w->outcome->time_is_modelled; }

static double modelled_us(const slot *w) { return json_number_value(json_object_get(json_object_get(w->outcome->json, "screen"), "time_us")); }

static int by_hope(const void *a, const void *b) {
    const slot *x = *(slot *const *)a, *y = *(slot *const *)b;
    if (x->hope != y->hope)
        return x->hope < y->hope ? -1 : 1;
    return x->e->cand.id < y->e->cand.id ? -1 : 1;
}

static void see_measured(rank_round *r, pairs *p, const slot *w) {
    const double x = log(modelled_us(w)), y = log(w->outcome->time_us);
    p->modelled[p->n] = x;
    p->measured[p->n] = y;
    p->surprise[p->n++] = y - x - bias_near(r->s, w->e, y - x);
    if (!r->best_us || w->outcome->time_us < r->best_us) {
        r->best_us = w->outcome->time_us;
        r->best_bias = y - x;
    }
}

// The shorter of two predictions, ln(µs): as wrong as for its parent, or as for the best.
static double hope(const rank_round *r, const slot *w) {
    const double b = bias_near(r->s, w->e, r->known.offset);
    return log(w->screen->time_us) + (r->best_us ? fmin(b, r->best_bias) : b);
}

static void look(rank_round *r, slot *v, size_t n) {
    const double best = bias(r->s->best);
    pairs p = {.n = 0};
    r->best_us = isnan(best) ? 0 : r->s->best->cand.time_us;
    r->best_bias = isnan(best) ? 0 : best;
    for (size_t i = 0; i < n; i++) {
        slot *w = &v[i];
        r->n_all += w->screened;
        r->chosen += w->why != NULL;
        if (w->state == SLOT_SCREENED)
            r->order[r->n_open++] = w;
        if (is_measured(w) && p.n < WINDOW && modelled_us(w) > 0)
            see_measured(r, &p, w);
    }
    add_known(&p, &r->s->screen);
    learn(&r->known, &p);
    r->known.share = share(&r->known);
    for (size_t i = 0; i < r->n_open; i++)
        r->order[i]->hope = hope(r, r->order[i]);
    qsort(r->order, r->n_open, sizeof r->order[0], by_hope);
}

static bool drawn(const search *s, const slot *w) {
    hone_rng r;
    hone_rng_init(&r, s->c->seed, 0x5c4ee20000000000u + w->e->cand.id);
    return hone_rng_unit(&r) < random_share;
}

// Before its whole generation is screened, only what is expected to be better than the best; afterwards also what may be.
static bool is_promising(const rank_round *r, const slot *w) {
    const double margin = r->whole ? doubt * r->known.spread : 0;
    return (double)r->chosen < ceil(r->known.share * (double)r->n_all) && w->hope - margin < log(r->best_us);
}

static const char *reason(const rank_round *r, const slot *w) {
    if (w->e->arm < 0 || !r->best_us)
        return "baseline";
    if (is_promising(r, w))
        return "promising";
    return r->whole && drawn(r->s, w) ? "random" : NULL;
}

static hone_code write_down(const search *s, slot *w, const screen_view *known, hone_err *e) {
    const double predicted = w->screen->time_us * exp(bias_near(s, w->e, known->offset));
    json_t *j = json_pack("{s:s,s:f,s:f,s:f,s:i}", "decision", w->why ? w->why : "left out", "time_us", w->screen->time_us, "predicted_us", predicted, "share", known->share, "pairs", (int)known->pairs);
    if (!j || json_object_set_new(w->screen->json, "screen", j) != 0)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the search");
    w->state = w->why ? SLOT_CHOSEN : SLOT_DONE;
    if (!w->why) {
        w->outcome = w->screen;
        w->screen = NULL;
    }
    return HONE_OK;
}

static hone_code settle(rank_round *r, slot *w, hone_err *e) {
    w->why = reason(r, w);
    if (!w->why && !r->whole)
        return HONE_OK;
    r->chosen += w->why != NULL;
    r->running += w->why != NULL;
    return write_down(r->s, w, &r->known, e);
}

hone_code hone_screen_leave_out(search *s, slot *w, hone_err *e) {
    screen_view known;
    hone_screen_look(&s->screen, &known);
    w->why = NULL;
    return write_down(s, w, &known, e);
}

static bool is_under_way(const slot *w) { return w->state == SLOT_CHOSEN || (w->state == SLOT_RUNNING && w->why); }

static bool is_open(const slot *w) {
    return w->state == SLOT_NEW || w->state == SLOT_COMPILING || w->state == SLOT_COMPILED || w->state == SLOT_SCREENING || w->state == SLOT_SCREENED;
}

static hone_code decide(search *s, slot *v, size_t n, unsigned *running, hone_err *e) {
    rank_round r = {.s = s, .running = *running, .whole = true};
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        any |= v[i].state == SLOT_SCREENED;
        r.whole &= v[i].state == SLOT_SCREENED || !is_open(&v[i]);
    }
    if (!any)
        return HONE_OK;
    look(&r, v, n);
    for (size_t i = 0; i < r.n_open && r.running < s->c->screen; i++)
        HONE_TRY(settle(&r, r.order[i], e));
    *running = r.running;
    return HONE_OK;
}

hone_code hone_screen_decide(search *s, generation *g, size_t end, hone_err *e) {
    unsigned running = 0;
    for (size_t i = 0; i < end; i++)
        running += is_under_way(&g->v[i]);
    for (size_t k = 0, from = 0; k < g->n_ends && from < end && running < s->c->screen; from = g->ends[k++])
        HONE_TRY(decide(s, &g->v[from], (g->ends[k] < end ? g->ends[k] : end) - from, &running, e));
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

static hone_code add_pair(search *s, const entry *x, double measured, hone_err *e) {
    screen_stats *k = &s->screen;
    if (!(x->modelled_us > 0) || !(measured > 0))
        return HONE_OK;
    const double m = log(x->modelled_us), y = log(measured), surprise = y - m - bias_near(s, x, y - m);
    if (!hone_vec_push(&k->model_log, m) || !hone_vec_push(&k->measured_log, y) || !hone_vec_push(&k->surprise, surprise))
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the search");
    return HONE_OK;
}

hone_code hone_screen_apply(search *s, entry *x, const hone_outcome *o, hone_err *e) {
    const json_t *j = json_object_get(o->json, "screen");
    const char *decision = json_string_value(json_object_get(j, "decision"));
    hone_timing *t = &x->pub.timing;
    if (!decision)
        return HONE_OK;
    x->modelled_us = json_number_value(json_object_get(j, "time_us"));
    if (!o->time_is_modelled) {
        s->screen.measured++;
        s->screen.at_random += strcmp(decision, "random") == 0;
        return add_pair(s, x, o->time_us, e);
    }
    double scale = json_number_value(json_object_get(j, "predicted_us")) / x->modelled_us;
    double base = s->entries.n ? s->entries.v[0]->cand.cost / s->entries.v[0]->cand.time_us : 1;
    s->screen.left_out++;
    x->screened = true;
    t->time_us *= scale;
    t->lo_us *= scale;
    t->hi_us *= scale;
    t->cost = t->time_us * (base > 0 ? base : 1);
    return HONE_OK;
}

void hone_screen_free(screen_stats *s) {
    hone_vec_free(&s->model_log);
    hone_vec_free(&s->measured_log);
    hone_vec_free(&s->surprise);
}
