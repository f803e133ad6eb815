// bench/search_replay: how many unique evaluations a strategy needs to come within 5 % (1 %) of the optimum, replayed on exhaustive
// measurements of real tuning spaces. Arguments: DIR of the caches (*.csv.gz, see its README) [repeats] [limit] [name filter]. Strategies
// of one run: random, genetic algorithm (population 20, tournament, uniform crossover, mutation), hone's tuner. A failed configuration
// costs an evaluation.
#include "learn/tuner.h"
#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct cache {
    char name[64];
    hone_space *space;
    double *time_ms;   // by position in space->list; < 0 failed
    double best;
} cache;
typedef struct replay {   // one repeat: what was asked for, in order
    const cache *c;
    hone_observation *obs;
    size_t n, limit;
    bool *seen;   // by position
    double best;
    size_t to5, to1;   // evaluations needed; 0 = not yet
} replay;
typedef void (*strategy)(replay *r, uint64_t seed);

static size_t position(const cache *c, uint64_t config) {
    size_t lo = 0, hi = c->space->n_list;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (c->space->list[mid] < config)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

// Evaluates unless seen; false when the budget is spent or the optimum is known to 1 %.
static bool evaluate(replay *r, uint64_t config, double *time) {
    size_t at = position(r->c, config);
    double t = r->c->time_ms[at];
    *time = t > 0 ? t : INFINITY;
    if (r->seen[at])
        return true;
    if (r->n >= r->limit || r->to1)
        return false;
    r->seen[at] = true;
    r->obs[r->n++] = (hone_observation){config, t > 0, t};
    r->best = fmin(r->best, *time);
    if (!r->to5 && r->best <= 1.05 * r->c->best)
        r->to5 = r->n;
    if (!r->to1 && r->best <= 1.01 * r->c->best)
        r->to1 = r->n;
    return true;
}

static void run_random(replay *r, uint64_t seed) {
    hone_rng rng;
    hone_rng_init(&rng, seed, 1);
    uint64_t config;
    double t;
    while (r->n < r->c->space->n_list && hone_space_sample(r->c->space, &rng, &config) && evaluate(r, config, &t))
        ;
}

static void run_tuner(replay *r, uint64_t seed) {
    hone_rng rng;
    hone_rng_init(&rng, seed, 2);
    uint64_t ask[4];
    size_t got;
    double t;
    bool more = true;
    while (more) {
        if (hone_tuner_ask(r->c->space, r->obs, r->n, NULL, &rng, 4, ask, &got, NULL) != HONE_OK || got == 0)
            return;
        for (size_t i = 0; i < got && more; i++)
            more = evaluate(r, ask[i], &t);
    }
}

// ---- genetic algorithm

enum { POP = 20 };
typedef struct individual {
    uint64_t config;
    double time;
} individual;

static uint64_t tournament(const individual *p, hone_rng *rng) {
    const individual *a = &p[hone_rng_below(rng, POP)], *b = &p[hone_rng_below(rng, POP)];
    return (a->time <= b->time ? a : b)->config;
}

static uint64_t child_of(const cache *c, const individual *p, hone_rng *rng) {
    for (int attempt = 0; attempt < 100; attempt++) {
        uint32_t x[HONE_SPACE_MAX_PARAMS], y[HONE_SPACE_MAX_PARAMS];
        hone_space_digits(c->space, tournament(p, rng), x);
        hone_space_digits(c->space, tournament(p, rng), y);
        for (size_t i = 0; i < c->space->n; i++) {
            if (hone_rng_u32(rng) & 1)
                x[i] = y[i];
            if (hone_rng_unit(rng) < 0.1)
                x[i] = (uint32_t)hone_rng_below(rng, c->space->params[i].n_values);
        }
        uint64_t config = hone_space_config(c->space, x);
        if (hone_space_contains(c->space, config))
            return config;
    }
    return tournament(p, rng);
}

static void run_genetic(replay *r, uint64_t seed) {
    hone_rng rng;
    hone_rng_init(&rng, seed, 3);
    individual pop[POP], next[POP];
    for (size_t i = 0; i < POP; i++) {
        hone_space_sample(r->c->space, &rng, &pop[i].config);
        if (!evaluate(r, pop[i].config, &pop[i].time))
            return;
    }
    for (size_t idle = 0; idle < 200;) {
        size_t before = r->n;
        next[0] = pop[0];
        for (size_t i = 0; i < POP; i++)
            if (pop[i].time < next[0].time)
                next[0] = pop[i];
        for (size_t i = 1; i < POP; i++) {
            next[i].config = child_of(r->c, pop, &rng);
            if (!evaluate(r, next[i].config, &next[i].time))
                return;
        }
        memcpy(pop, next, sizeof pop);
        idle = r->n == before ? idle + 1 : 0;
    }
}

// ---- caches

static bool read_params(cache *c, const json_t *head, const uint64_t *list, size_t n) {
    hone_space_param params[HONE_SPACE_MAX_PARAMS];
    static int64_t values[HONE_SPACE_MAX_PARAMS][256];
    size_t k = 0;
    const char *name;
    json_t *array;
    json_object_foreach(json_object_get(head, "params"), name, array) {
        params[k] = (hone_space_param){name, values[k], json_array_size(array)};
        for (size_t i = 0; i < json_array_size(array); i++)
            values[k][i] = json_integer_value(json_array_get(array, i));
        k++;
    }
    return hone_space_of_list(params, k, list, n, &c->space, NULL) == HONE_OK;
}

static bool load(cache *c, const char *dir, const char *file) {
    char *path = hone_path_join(dir, file);
    char *argv[] = {(char *)"gzip", (char *)"-dc", path, NULL};
    hone_str out, err;
    hone_str_init(&out, 64 << 20);
    hone_str_init(&err, 1 << 16);
    int status = 0;
    bool ok = hone_proc_run(argv, NULL, 60000, 64 << 20, &out, &err, &status, NULL) == HONE_OK && status == 0;
    uint64_t *list = hone_calloc(1 << 20, sizeof *list), config = 0;
    c->time_ms = hone_calloc(1 << 20, sizeof(double));
    c->best = INFINITY;
    size_t n = 0;
    char *p = ok ? strchr(out.s, '\n') : NULL;
    json_t *head = p ? json_loadb(out.s, (size_t)(p - out.s), 0, NULL) : NULL;
    while (p && p[1] && n < 1 << 20) {
        char *q;
        config += strtoull(p + 1, &q, 10);
        list[n] = config;
        c->time_ms[n] = strtod(q + 1, &q);
        if (c->time_ms[n] > 0)
            c->best = fmin(c->best, c->time_ms[n]);
        n++;
        p = strchr(q, '\n');
    }
    ok = ok && head && read_params(c, head, list, n);
    snprintf(c->name, sizeof c->name, "%.*s", (int)strcspn(file, "."), file);
    json_decref(head);
    hone_free(list);
    hone_free(path);
    hone_str_free(&out);
    hone_str_free(&err);
    return ok;
}

// ---- results

typedef struct figures {
    double to5, to1, success;
} figures;

static double median_or_inf(double *x, size_t n) { return hone_median(x, n); }

static figures measure(const cache *c, strategy run, size_t repeats, size_t limit) {
    double *to5 = hone_calloc(repeats, sizeof *to5), *to1 = hone_calloc(repeats, sizeof *to1);
    size_t succeeded = 0;
    for (size_t i = 0; i < repeats; i++) {
        replay r = {.c = c, .limit = limit, .best = INFINITY};
        r.obs = hone_calloc(limit + 8, sizeof *r.obs);
        r.seen = hone_calloc(c->space->n_list, 1);
        run(&r, 1000 + i);
        to5[i] = r.to5 ? (double)r.to5 : (double)limit * 10;
        to1[i] = r.to1 ? (double)r.to1 : (double)limit * 10;
        succeeded += r.to5 != 0;
        hone_free(r.obs);
        hone_free(r.seen);
    }
    figures f = {median_or_inf(to5, repeats), median_or_inf(to1, repeats), (double)succeeded / (double)repeats};
    hone_free(to5);
    hone_free(to1);
    return f;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: search_replay DIR [repeats=20] [limit=1000] [filter]\n");
        return 2;
    }
    size_t repeats = argc > 2 ? strtoul(argv[2], NULL, 10) : 20, limit = argc > 3 ? strtoul(argv[3], NULL, 10) : 1000;
    static const struct {
        const char *name;
        strategy run;
    } strategies[] = {{"random", run_random}, {"genetic", run_genetic}, {"hone", run_tuner}};
    struct dirent **files;
    int n = scandir(argv[1], &files, NULL, alphasort);
    double logs[3] = {0};
    int spaces = 0;
    printf("| space | random 5 %% | genetic 5 %% | hone 5 %% | hone 1 %% | success random / genetic / hone |\n|---|---|---|---|---|---|\n");
    for (int i = 0; i < n; i++) {
        cache c = {0};
        if (!strstr(files[i]->d_name, ".csv.gz") || (argc > 4 && !strstr(files[i]->d_name, argv[4])) ||
            !load(&c, argv[1], files[i]->d_name))
            continue;
        figures f[3];
        for (size_t k = 0; k < 3; k++) {
            f[k] = measure(&c, strategies[k].run, repeats, limit);
            logs[k] += log(f[k].to5);
        }
        printf("| %s | %.0f | %.0f | %.0f | %.0f | %.0f %% / %.0f %% / %.0f %% |\n", c.name, f[0].to5, f[1].to5, f[2].to5, f[2].to1,
               100 * f[0].success, 100 * f[1].success, 100 * f[2].success);
        fflush(stdout);
        spaces++;
        hone_space_free(c.space);
        hone_free(c.time_ms);
    }
    if (spaces)
        printf("| geometric mean | %.0f | %.0f | %.0f | | |\n", exp(logs[0] / spaces), exp(logs[1] / spaces), exp(logs[2] / spaces));
    return spaces ? 0 : 1;
}
