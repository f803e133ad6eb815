// report/summary: the few lines a person reads when a run has ended. Honest before short: a modelled time says so beside the number, an
// interval stands beside the speedup, and a run without improvement says why.
#include "report/internal.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { VALUE_WIDTH = 8 };

typedef struct painter {
    const json_t *r;
    hone_str *out;
    const char *bold, *dim, *green, *yellow, *red, *off;
} painter;

static void label(const painter *p, const char *name) { hone_str_addf(p->out, "  %s%-10s%s", p->dim, name, p->off); }

// Text in a column; characters, not bytes, count for its width.
static void column(const painter *p, const char *text, int width) {
    int n = 0;
    for (const char *c = text; *c; c++)
        n += ((unsigned char)*c & 0xc0) != 0x80;
    hone_str_addf(p->out, "%s%s%s%*s", p->bold, text, p->off, n < width ? width - n : 0, "");
}

static bool is_virtual(const painter *p) { return !strcmp(hone_doc_text(p->r, "kind"), "virtual"); }

static const char *verdict_colour(const painter *p, const char *verdict) {
    return !strcmp(verdict, "FAST") ? p->green : !strcmp(verdict, "SLOW") ? p->red : p->yellow;
}

static void put_head(const painter *p) {
    const json_t *device = json_object_get(p->r, "device");
    hone_str_addf(p->out, "%s%s%s on %s", p->bold, hone_doc_text(json_object_get(p->r, "task"), "name"), p->off,
                  hone_doc_text(device, "name"));
    if (is_virtual(p))
        hone_str_addf(p->out, "%s: times are modelled, not measured%s", p->dim, p->off);
    hone_str_addc(p->out, '\n');
}

// "412 µs   ±25 %   bound by device memory bandwidth"
static void put_arm(const painter *p, const char *name) {
    const json_t *arm = json_object_get(p->r, name);
    char time[HONE_TEXT], lo[HONE_TEXT], hi[HONE_TEXT];
    label(p, name);
    column(p, hone_text_time(hone_doc_number(arm, "time_us"), time), VALUE_WIDTH);
    if (json_is_true(json_object_get(arm, "modelled")))
        hone_str_addf(p->out, "  ±%.0f %%", 100 * hone_doc_number(arm, "error_band"));
    else
        hone_str_addf(p->out, "  [%s, %s]", hone_text_time(hone_doc_number(arm, "lo_us"), lo),
                      hone_text_time(hone_doc_number(arm, "hi_us"), hi));
    const char *bottleneck = hone_doc_text(arm, "bottleneck");
    if (*bottleneck)
        hone_str_addf(p->out, "  bound by %s", hone_bottleneck_words(bottleneck));
    hone_str_addc(p->out, '\n');
}

static void put_speedup(const painter *p) {
    char s[HONE_TEXT], lo[HONE_TEXT], hi[HONE_TEXT];
    const char *verdict = hone_doc_text(p->r, "verdict"), *objective = hone_doc_text(json_object_get(p->r, "task"), "objective");
    label(p, "speedup");
    column(p, hone_text_factor(hone_doc_number(p->r, "speedup"), s), VALUE_WIDTH);
    if (hone_doc_has_number(p->r, "speedup_lo"))
        hone_str_addf(p->out, "  %s – %s", hone_text_factor(hone_doc_number(p->r, "speedup_lo"), lo),
                      hone_text_factor(hone_doc_number(p->r, "speedup_hi"), hi));
    hone_str_addf(p->out, "  %s%s%s", verdict_colour(p, verdict), verdict, p->off);
    if (*objective && strcmp(objective, "time") != 0)
        hone_str_addf(p->out, " (%s)", objective);
    if (!strcmp(verdict, "AMBIGUOUS"))
        hone_str_add(p->out, is_virtual(p) ? ": within the model's error" : ": within the noise");
    hone_str_addc(p->out, '\n');
}

static void put_moves(const painter *p) {
    json_t *x;
    size_t i, shown = 0;
    char gain[HONE_TEXT];
    json_array_foreach(hone_doc_list(p->r, "lineage"), i, x) {
        if (i == 0)
            continue;
        if (shown++)
            hone_str_addf(p->out, "  %-10s", "");
        else
            label(p, "how");
        const char *note = hone_doc_text(x, "note");
        hone_str_addf(p->out, "%s", *note ? note : hone_doc_text(x, "move"));
        if (hone_doc_has_number(x, "gain"))
            hone_str_addf(p->out, " %s(%s)%s", p->dim, hone_text_factor(hone_doc_number(x, "gain"), gain), p->off);
        hone_str_addc(p->out, '\n');
    }
}

static void put_tuning(const painter *p) {
    const json_t *tuning = hone_doc_at(p->r, "best.tuning");
    const char *name;
    json_t *v;
    if (json_object_size(tuning) == 0)
        return;
    label(p, "tuning");
    size_t shown = 0;
    json_object_foreach((json_t *)(uintptr_t)tuning, name, v)
        hone_str_addf(p->out, "%s%s=%lld", shown++ ? "  " : "", name, (long long)json_integer_value(v));
    hone_str_addc(p->out, '\n');
}

static void put_checks(const painter *p) {
    label(p, "checked");
    if (json_is_true(json_object_get(p->r, "confirmed")))
        hone_str_add(p->out, "all stages passed again with fresh inputs\n");
    else
        hone_str_addf(p->out, "%sonce; not confirmed with fresh inputs yet%s\n", p->yellow, p->off);
}

// Of what was evaluated: how many were slower than the baseline, and how many refused.
static void put_why(const painter *p) {
    const json_t *baseline = json_object_get(p->r, "baseline"), *worst = json_array_get(json_object_get(p->r, "findings"), 0);
    size_t i, slower = 0;
    double refused = hone_doc_number(p->r, "refused");
    json_t *c;
    label(p, "best");
    hone_str_addf(p->out, "%snone: no candidate beat the baseline%s\n", p->yellow, p->off);
    json_array_foreach(hone_doc_list(p->r, "candidates"), i, c) slower += i > 0 && !strcmp(hone_doc_text(c, "verdict"), "pass");
    label(p, "why");
    hone_str_addf(p->out, "%zu candidate%s correct but no faster, %.0f %s refused", slower, slower == 1 ? " was" : "s were", refused,
                  refused == 1 ? "was" : "were");
    if (worst)
        hone_str_addf(p->out, " (mostly %s)", hone_doc_text(worst, "kind"));
    hone_str_addc(p->out, '\n');
    double failed = hone_doc_number(json_object_get(p->r, "confirmations"), "failed");
    if (failed > 0)
        hone_str_addf(p->out, "  %-10s%.0f seemed faster and did not pass confirmation\n", "", failed);
    if (*hone_doc_text(baseline, "bottleneck"))
        hone_str_addf(p->out, "  %-10sthe baseline is bound by %s\n", "", hone_bottleneck_words(hone_doc_text(baseline, "bottleneck")));
}

// What was timed is not what the compiler's statistics describe.
static void put_jit(const painter *p) {
    size_t i;
    json_t *f;
    json_array_foreach(hone_doc_list(p->r, "outcomes.baseline.findings"), i, f) {
        if (strcmp(hone_doc_text(f, "kind"), "time.jit-compiled") != 0)
            continue;
        label(p, "note");
        hone_str_addf(p->out, "%s%s%s\n", p->yellow, hone_doc_text(f, "message"), p->off);
        return;
    }
}

static void put_search(const painter *p) {
    const json_t *d = json_object_get(p->r, "duplicates");
    double n = hone_doc_number(p->r, "evaluations"), same = hone_doc_number(d, "source") + hone_doc_number(d, "ptx");
    char t[HONE_TEXT];
    label(p, "search");
    bool resumed = json_is_true(json_object_get(p->r, "resumed"));
    hone_str_addf(p->out, "%.0f evaluation%s in %s%s, %.0f refused; %.0f duplicate%s not evaluated; %s\n", n, n == 1 ? "" : "s",
                  hone_text_duration(hone_doc_number(p->r, "seconds"), t), resumed ? " (and what the archive already had)" : "",
                  hone_doc_number(p->r, "refused"), same, same == 1 ? "" : "s", hone_stop_words(hone_doc_text(p->r, "stopped")));
}

// Nothing was tried, since the baseline took all the time there was: how much would have been enough. A candidate is measured in turns with the baseline, as long as
// the baseline beside itself.
static void put_spent_on_baseline(const painter *p) {
    const json_t *all = json_object_get(p->r, "candidates"), *baseline = json_array_get(all, 0), *budget = json_object_get(p->r, "budgets");
    const double took = hone_doc_number(baseline, "seconds");
    char time[HONE_TEXT], each[HONE_TEXT];
    if (strcmp(hone_doc_text(p->r, "stopped"), "time") != 0 || json_array_size(all) != 1 || hone_doc_number(baseline, "id") != 0)
        return;
    label(p, "note");
    hone_str_addf(p->out, "%sthe time budget of %s was spent on the baseline, which took %s; a candidate takes about as long: '--time %.0fs' or more tries one%s\n", p->yellow,
                  hone_text_duration(hone_doc_number(budget, "time_s"), time), hone_text_duration(took, each), ceil(2 * took), p->off);
}

// "GPU busy 93 % of 36 s (kernels or copies under way 71 %), 38 s in all, 12 s to the best"
static void put_gpu(const painter *p) {
    const json_t *g = json_object_get(p->r, "gpu"), *c = json_object_get(p->r, "screen");
    char wall[HONE_TEXT], all[HONE_TEXT], best[HONE_TEXT];
    if (!g)
        return;
    double devices = hone_doc_number(g, "devices");
    label(p, "GPU");
    if (hone_doc_has_number(g, "busy"))
        hone_str_addf(p->out, "busy %.0f %% of %s (work under way %.0f %%); ", 100 * hone_doc_number(g, "busy"),
                      hone_text_duration(hone_doc_number(g, "wall_s") / (devices > 0 ? devices : 1), wall), 100 * hone_doc_number(g, "active"));
    hone_str_addf(p->out, "%s of device time", hone_text_duration(hone_doc_number(g, "seconds"), all));
    if (devices > 1)
        hone_str_addf(p->out, " on %.0f devices", devices);
    if (hone_doc_number(g, "seconds_to_best") > 0)
        hone_str_addf(p->out, ", %s to the best", hone_text_duration(hone_doc_number(g, "seconds_to_best"), best));
    hone_str_addc(p->out, '\n');
    if (c)
        hone_str_addf(p->out, "  %-10s%.0f measured (%.0f at random), %.0f left to the model; rank correlation %.2f\n", "screen", hone_doc_number(c, "measured"),
                      hone_doc_number(c, "at_random"), hone_doc_number(c, "left_out"), hone_doc_number(c, "rank_correlation"));
}

// "openai:x: 5 requests, 12034 tokens in, 845 out, cost 0.0123; 3 of 5 answers became candidates"
static void put_model(const painter *p) {
    const json_t *m = json_object_get(p->r, "model"), *x;
    size_t i, used = 0, n = json_array_size(json_object_get(m, "exchanges"));
    if (!m)
        return;
    label(p, "model");
    json_array_foreach((json_t *)(uintptr_t)hone_doc_list(m, "models"), i, x) hone_str_addf(p->out, "%s%s", i ? ", " : "", hone_doc_text(x, "name"));
    json_array_foreach((json_t *)(uintptr_t)hone_doc_list(m, "exchanges"), i, x) used += json_object_get(x, "candidate") != NULL;
    double requests = hone_doc_number(m, "requests");
    hone_str_addf(p->out, ": %.0f request%s, %.0f tokens in, %.0f out", requests, requests == 1 ? "" : "s", hone_doc_number(m, "input_tokens"),
                  hone_doc_number(m, "output_tokens"));
    if (hone_doc_has_number(m, "cost"))
        hone_str_addf(p->out, ", cost %.4g", hone_doc_number(m, "cost"));
    if (json_is_true(json_object_get(m, "estimated")))
        hone_str_add(p->out, " (partly estimated)");
    hone_str_addf(p->out, "; %zu of %zu answers became candidates\n", used, n);
    json_array_foreach((json_t *)(uintptr_t)hone_doc_list(m, "models"), i, x) {
        if (*hone_doc_text(x, "closed"))
            hone_str_addf(p->out, "  %-10s%s%s: %s%s\n", "", p->yellow, hone_doc_text(x, "name"), hone_doc_text(x, "closed"), p->off);
    }
}

// "12.3 mJ per run, best 9.84 mJ: 1.25× less [1.22×, 1.28×]; 5 on the front of time and energy"
static void put_saving(const painter *p) {
    const json_t *a = json_object_get(p->r, "baseline"), *b = json_object_get(p->r, "best");
    char x[HONE_TEXT], y[HONE_TEXT], f[HONE_TEXT], lo[HONE_TEXT], hi[HONE_TEXT];
    double mj = hone_doc_number(a, "energy_mj"), best = hone_doc_number(b, "energy_mj");
    hone_str_addf(p->out, "%s per run", hone_text_energy(1e-3 * mj, x));
    if (best > 0)
        hone_str_addf(p->out, ", best %s: %s less [%s, %s]", hone_text_energy(1e-3 * best, y), hone_text_factor(mj / best, f),
                      hone_text_factor(mj / hone_doc_number(b, "energy_hi_mj"), lo), hone_text_factor(mj / hone_doc_number(b, "energy_lo_mj"), hi));
    hone_str_addf(p->out, "; %zu on the front of time and energy\n", json_array_size(hone_doc_at(p->r, "energy.front")));
}

// And what the search itself took.
static void put_energy(const painter *p) {
    const json_t *e = json_object_get(p->r, "energy");
    bool known = hone_doc_has_number(json_object_get(p->r, "baseline"), "energy_mj"), asked = json_is_true(json_object_get(e, "asked"));
    hone_str cost;
    hone_str_init(&cost, 1 << 12);
    hone_text_payback(p->r, &cost);
    if (known || asked || cost.len)
        label(p, "energy");
    if (known)
        put_saving(p);
    else if (asked)
        hone_str_addf(p->out, "%snot known: %s%s\n", p->yellow, hone_doc_text(e, "reason"), p->off);
    if (cost.len)
        hone_str_addf(p->out, "%*s%s\n", known || asked ? 12 : 0, "", cost.s);
    hone_str_free(&cost);
}

static void put_best(const painter *p) {
    put_arm(p, "best");
    put_speedup(p);
    put_moves(p);
    put_tuning(p);
    put_checks(p);
}

void hone_report_summary(const json_t *result, bool colour, hone_str *out) {
    painter p = {.r = result, .out = out, .bold = "", .dim = "", .green = "", .yellow = "", .red = "", .off = ""};
    if (colour)
        p = (painter){result, out, "\033[1m", "\033[2m", "\033[32m", "\033[33m", "\033[31m", "\033[0m"};
    const json_t *baseline = json_object_get(result, "baseline");
    bool timed = hone_doc_has_number(baseline, "time_us");
    put_head(&p);
    if (timed)
        put_arm(&p, "baseline");
    if (json_is_object(json_object_get(result, "best")))
        put_best(&p);
    else if (timed)
        put_why(&p);
    put_jit(&p);
    put_search(&p);
    put_spent_on_baseline(&p);
    put_gpu(&p);
    put_energy(&p);
    put_model(&p);
}
