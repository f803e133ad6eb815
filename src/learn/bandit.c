// learn/bandit: see bandit.h. Counts are Beta(successes, failures) with fractional rewards; context 0 pools everything.
#include "learn/bandit.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct counts {
    double won, lost;
} counts;
typedef struct context {
    char *name;
    counts *arms;
} context;
struct hone_bandit {
    hone_bandit_options o;
    size_t n;
    char **names;
    counts *prior;                // from earlier runs, never discounted
    HONE_VEC(context) contexts;   // [0] pools all, name ""
};

static context *find_context(const hone_bandit *b, const char *name) {
    for (size_t i = 0; i < b->contexts.n; i++)
        if (strcmp(b->contexts.v[i].name, name) == 0)
            return &b->contexts.v[i];
    return NULL;
}

static context *add_context(hone_bandit *b, const char *name) {
    context c = {hone_strdup(name), hone_calloc(b->n ? b->n : 1, sizeof(counts))};
    if (!c.name || !c.arms || !hone_vec_push(&b->contexts, c)) {
        hone_free(c.name);
        hone_free(c.arms);
        return NULL;
    }
    return &b->contexts.v[b->contexts.n - 1];
}

static double or_default(double x, double d) { return x > 0 ? x : d; }

hone_bandit *hone_bandit_new(const char *const *names, size_t n, const hone_bandit_options *o) {
    hone_bandit *b = hone_calloc(1, sizeof *b);
    if (!b)
        return NULL;
    hone_bandit_options zero = {0}, in = o ? *o : zero;
    b->o = (hone_bandit_options){or_default(in.discount, 0.97), or_default(in.min_share, 0.01), or_default(in.borrow, 6),
                                 or_default(in.prior_cap, 20)};
    b->names = hone_calloc(n ? n : 1, sizeof *b->names);
    b->prior = hone_calloc(n ? n : 1, sizeof *b->prior);
    bool ok = b->names && b->prior;
    for (size_t i = 0; ok && i < n; i++, b->n++)
        ok = (b->names[i] = hone_strdup(names[i])) != NULL;
    if (!ok || !add_context(b, "")) {
        hone_bandit_free(b);
        return NULL;
    }
    return b;
}

void hone_bandit_free(hone_bandit *b) {
    if (!b)
        return;
    for (size_t i = 0; i < b->n; i++)
        hone_free(b->names[i]);
    for (size_t i = 0; i < b->contexts.n; i++) {
        hone_free(b->contexts.v[i].name);
        hone_free(b->contexts.v[i].arms);
    }
    hone_vec_free(&b->contexts);
    hone_free(b->names);
    hone_free(b->prior);
    hone_free(b);
}

// Beta parameters: one optimistic success and failure, the earlier runs' prior, what all contexts saw (at most `borrow` counts), this
// context's.
static counts posterior(const hone_bandit *b, const context *c, size_t arm) {
    const counts *all = &b->contexts.v[0].arms[arm];
    double seen = all->won + all->lost;
    double scale = seen > b->o.borrow ? b->o.borrow / seen : 1;
    counts p = {1 + b->prior[arm].won + scale * all->won, 1 + b->prior[arm].lost + scale * all->lost};
    if (c && c != &b->contexts.v[0]) {
        p.won += c->arms[arm].won;
        p.lost += c->arms[arm].lost;
    }
    return p;
}

static double draw_beta(hone_rng *rng, counts p) {
    double x = hone_rng_gamma(rng, p.won), y = hone_rng_gamma(rng, p.lost);
    return x + y > 0 ? x / (x + y) : 0.5;
}

static int pick_equal(const bool *eligible, size_t n, size_t n_eligible, hone_rng *rng) {
    uint64_t k = hone_rng_below(rng, n_eligible);
    for (size_t i = 0; i < n; i++)
        if (eligible[i] && k-- == 0)
            return (int)i;
    return -1;
}

int hone_bandit_pick(hone_bandit *b, const char *name, const bool *eligible, hone_rng *rng) {
    size_t n_eligible = 0;
    for (size_t i = 0; i < b->n; i++)
        n_eligible += eligible[i];
    if (n_eligible == 0)
        return -1;
    double reserved = fmin(0.5, b->o.min_share * (double)n_eligible);
    if (hone_rng_unit(rng) < reserved)
        return pick_equal(eligible, b->n, n_eligible, rng);
    const context *c = find_context(b, name);
    int best = -1;
    double best_draw = -1;
    for (size_t i = 0; i < b->n; i++) {
        double draw = eligible[i] ? draw_beta(rng, posterior(b, c, i)) : -1;
        if (draw > best_draw)
            best_draw = draw, best = (int)i;
    }
    return best;
}

static void learn(const hone_bandit *b, context *c, size_t arm, double reward, double weight) {
    double keep = pow(b->o.discount, weight);
    for (size_t i = 0; i < b->n; i++) {
        c->arms[i].won *= keep;
        c->arms[i].lost *= keep;
    }
    c->arms[arm].won += reward * weight;
    c->arms[arm].lost += (1 - reward) * weight;
}

hone_code hone_bandit_update(hone_bandit *b, const char *name, size_t arm, double reward, double weight, hone_err *e) {
    if (arm >= b->n)
        HONE_BUG("arm %zu of %zu", arm, b->n);
    reward = fmin(1, fmax(0, reward));
    context *c = find_context(b, name);
    if (!c && !(c = add_context(b, name)))
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the bandit");
    if (c != &b->contexts.v[0])
        learn(b, c, arm, reward, weight);
    learn(b, &b->contexts.v[0], arm, reward, weight);
    return HONE_OK;
}

double hone_bandit_mean(const hone_bandit *b, const char *name, size_t arm) {
    counts p = posterior(b, find_context(b, name), arm);
    return p.won / (p.won + p.lost);
}

// ---- state as text: hexadecimal floats are exact

static void dump_arms(hone_str *out, const hone_bandit *b, const char *kind, const char *name, const counts *arms) {
    for (size_t i = 0; i < b->n; i++)
        if (arms[i].won + arms[i].lost > 0)
            hone_str_addf(out, "%s %s %s %a %a\n", kind, *name ? name : "*", b->names[i], arms[i].won, arms[i].lost);
}

void hone_bandit_dump(const hone_bandit *b, hone_str *out) {
    hone_str_add(out, "bandit 1\n");
    dump_arms(out, b, "prior", "*", b->prior);
    for (size_t i = 0; i < b->contexts.n; i++)
        dump_arms(out, b, "context", b->contexts.v[i].name, b->contexts.v[i].arms);
}

static int find_arm(const hone_bandit *b, const char *name) {
    for (size_t i = 0; i < b->n; i++)
        if (strcmp(b->names[i], name) == 0)
            return (int)i;
    return -1;
}

// As a prior: the pooled counts and the earlier prior, scaled down to the cap.
static void add_prior(hone_bandit *b, int arm, counts c) {
    counts *p = &b->prior[arm];
    p->won += c.won;
    p->lost += c.lost;
    double total = p->won + p->lost;
    if (total > b->o.prior_cap) {
        p->won *= b->o.prior_cap / total;
        p->lost *= b->o.prior_cap / total;
    }
}

static hone_code load_line(hone_bandit *b, const char *line, bool exact, hone_err *e) {
    char kind[16], name[128], arm_name[128], won[64], lost[64];
    if (sscanf(line, "%15s %127s %127s %63s %63s", kind, name, arm_name, won, lost) != 5)
        return hone_fail(e, HONE_E_PARSE, 0, "learnt state has a bad line '%.80s'", line);
    counts c = {strtod(won, NULL), strtod(lost, NULL)};
    if (!(c.won >= 0 && c.lost >= 0 && c.won + c.lost < 1e9))
        return hone_fail(e, HONE_E_PARSE, 0, "learnt state has bad counts '%.80s'", line);
    int arm = find_arm(b, arm_name);
    bool is_prior = strcmp(kind, "prior") == 0, pooled = strcmp(name, "*") == 0;
    if (arm < 0)
        return HONE_OK;
    if (!exact) {
        if (pooled)
            add_prior(b, arm, c);
        return HONE_OK;
    }
    if (is_prior) {
        b->prior[arm] = c;
        return HONE_OK;
    }
    const char *key = pooled ? "" : name;
    context *ctx = find_context(b, key);
    if (!ctx && !(ctx = add_context(b, key)))
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the bandit");
    ctx->arms[arm] = c;
    return HONE_OK;
}

hone_code hone_bandit_load(hone_bandit *b, const char *text, bool exact, hone_err *e) {
    if (strncmp(text, "bandit 1\n", 9) != 0)
        return hone_fail(e, HONE_E_PARSE, 0, "learnt state is not of this version");
    for (const char *p = text + 9; *p;) {
        size_t n = strcspn(p, "\n");
        char line[512];
        snprintf(line, sizeof line, "%.*s", (int)(n < sizeof line ? n : sizeof line - 1), p);
        HONE_TRY(load_line(b, line, exact, e));
        p += n + (p[n] == '\n');
    }
    return HONE_OK;
}

// ---- rewards

hone_code hone_reward_of(hone_reward_scale *s, double gain, double *reward, hone_err *e) {
    *reward = 0;
    if (!(gain > 0))
        return HONE_OK;
    size_t below = 0;
    for (size_t i = 0; i < s->gains.n; i++)
        below += s->gains.v[i] <= gain;
    *reward = (1 + (double)below) / (1 + (double)s->gains.n);
    return hone_vec_push(&s->gains, gain) ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the bandit");
}

void hone_reward_scale_free(hone_reward_scale *s) { hone_vec_free(&s->gains); }
