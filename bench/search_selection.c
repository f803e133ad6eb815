// How often does hone call one of a thousand equal candidates faster? Many searches on a simulated device, with several drifts; what best-of-N says
// on the same device; how surely a candidate that is faster by 2 % is found; what racing saves. Prints the tables of docs/measuring.md.
// Usage: bench_search_selection [SEARCHES] (default 200).
#include "../tests/sim/selection.h"

typedef struct sums {
    unsigned searches, fast, fast_alone, evaluated, worse, found;
    double naive_single, naive_median, naive_worst, speedup, best_alone, bias;
    uint64_t samples, without_race;
    unsigned raced, voided;
} sums;

static unsigned chosen;   // so many of a thousand are faster by `gain`
static double gain;
static double some_are_faster(unsigned variant) { return (variant * 617 + 300) % 1000 < chosen ? 1 + gain : 1; }
// Like a search's candidates: a tenth within 2 % of the baseline, the others slower, up to five times.
static double mixed(unsigned variant) {
    double u = (double)(hone_hash64(&variant, sizeof variant, 11) % 10000) / 10000;
    return u < 0.1 ? 0.98 + 0.4 * u : exp(-1.6 * (u - 0.1) / 0.9);
}

static bool run(const sim_config *base, unsigned searches, fake *ctl, sums *t) {
    *t = (sums){.searches = searches, .naive_worst = 0};
    for (unsigned i = 0; i < searches; i++) {
        sim_config cfg = *base;
        sim_result r;
        hone_err e = {0};
        cfg.seed = base->seed + i;
        if (sim_selection(&cfg, ctl, &r, &e) != HONE_OK) {
            fprintf(stderr, "error: %s\n", e.msg);
            return false;
        }
        t->fast += r.verdict == HONE_CMP_FAST;
        t->worse += r.verdict == HONE_CMP_FAST && r.true_speed < 1.005;
        t->found += r.verdict == HONE_CMP_FAST && r.true_speed > 1.01;
        t->fast_alone += r.fast_alone;
        t->evaluated += r.evaluated;
        t->naive_single += r.naive_single / searches;
        t->naive_median += r.naive_median / searches;
        t->naive_worst = fmax(t->naive_worst, r.naive_single);
        t->speedup += r.speedup / searches;
        t->best_alone += r.best_alone / searches;
        t->bias += (r.verdict == HONE_CMP_FAST ? r.speedup / r.true_speed - 1 : 0);
        t->samples += r.samples;
        t->without_race += r.samples_without_race;
        t->raced += r.raced;
        t->voided += r.control_void;
    }
    return true;
}

static const struct { const char *name; double noise, drift, period_s; } devices[] = {
    {"1 % noise, no drift", 0.01, 0, 0},          {"1 % noise, 1.5 % drift within a minute", 0.01, 0.015, 60},
    {"1 % noise, 1.5 % drift within 0.4 s", 0.01, 0.015, 0.83}, {"0.2 % noise, 1.5 % drift within a minute", 0.002, 0.015, 60},
    {"3 % noise, 1.5 % drift within 0.4 s", 0.03, 0.015, 0.83},
};

static double percent(double ratio) { return 100 * (ratio - 1); }

int main(int argc, char **argv) {
    unsigned searches = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 200;
    fake ctl;
    sums t;
    if (!searches || !fake_open(&ctl)) {
        fprintf(stderr, "error: %s\n", searches ? "cannot load " FAKE_PATH : "the number of searches must be at least 1");
        return 2;
    }
    printf("%u searches over 1,000 equal candidates each\n\n| device | best of 1,000, one time each | best of 1,000 medians of %d | hone: best before confirmation | hone: "
           "reported after it | candidates FAST by their own pairs | searches that end FAST |\n|---|---:|---:|---:|---:|---:|---:|\n",
           searches, SIM_SAMPLES);
    for (size_t i = 0; i < HONE_COUNT(devices); i++) {
        sim_config cfg = {.candidates = 1000, .noise = devices[i].noise, .drift = devices[i].drift, .period_s = devices[i].period_s, .seed = 1};
        if (!run(&cfg, searches, &ctl, &t))
            return 1;
        printf("| %s | %+.2f %% | %+.2f %% | %+.2f %% | %+.2f %% | %u of %u | %u of %u |\n", devices[i].name, percent(t.naive_single), percent(t.naive_median),
               percent(t.best_alone), percent(t.speedup), t.fast_alone, t.evaluated, t.fast, searches);
        fflush(stdout);
    }
    static const struct { unsigned chosen; double gain; } truths[] = {{1, 0.02}, {1, 0.05}, {50, 0.02}};
    unsigned few = searches / 4 + 1;
    printf("\nSome of 1,000 candidates are faster; searches of %u that end FAST with one of these, and with another\n\n"
           "| device | one, by 2 %% | one, by 5 %% | 50, by 2 %% |\n|---|---:|---:|---:|\n", few);
    for (size_t i = 0; i < HONE_COUNT(devices); i++) {
        printf("| %s |", devices[i].name);
        for (size_t k = 0; k < HONE_COUNT(truths); k++) {
            sim_config cfg = {.candidates = 1000, .noise = devices[i].noise, .drift = devices[i].drift, .period_s = devices[i].period_s,
                              .speed = some_are_faster, .seed = 1000};
            chosen = truths[k].chosen;
            gain = truths[k].gain;
            if (!run(&cfg, few, &ctl, &t))
                return 1;
            printf(" %u, %u |", t.found, t.worse);
            fflush(stdout);
        }
        printf("\n");
    }
    printf("\nracing, candidates of mixed speed (a tenth within 2 %% of the baseline)\n\n| device | raced out | timed pairs | without racing | saved | best's true speed, with and without |\n|---|---:|---:|---:|---:|---:|\n");
    for (size_t i = 0; i < HONE_COUNT(devices); i++) {
        sim_config cfg = {.candidates = 1000, .noise = devices[i].noise, .drift = devices[i].drift, .period_s = devices[i].period_s, .speed = mixed, .seed = 2000};
        sim_result with, without;
        if (sim_selection(&cfg, &ctl, &with, NULL) != HONE_OK)
            return 1;
        cfg.no_race = true;
        if (sim_selection(&cfg, &ctl, &without, NULL) != HONE_OK)
            return 1;
        printf("| %s | %u of %u | %llu | %llu | %.0f %% | %.4f, %.4f |\n", devices[i].name, with.raced, with.evaluated, (unsigned long long)with.samples,
               (unsigned long long)with.samples_without_race, 100.0 - 100.0 * (double)with.samples / (double)with.samples_without_race, with.true_speed, without.true_speed);
    }
    return 0;
}
