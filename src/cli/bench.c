// The details of `hone bench`, for the terminal and as JSON. See bench.h. Numbers come from the outcome's own message; nothing is measured here.
#include "cli/bench.h"
#include "base/stats.h"
#include <math.h>
#include <string.h>

enum { MAX_SAMPLES = 4096, BINS = 16 };

static double number(const json_t *o, const char *key) { return json_number_value(json_object_get(o, key)); }

static const json_t *first_size(const json_t *o) { return json_array_get(json_object_get(o, "sizes"), 0); }

// Samples of the kernel that was judged: arm b, or a when it was alone.
static size_t samples_of(const json_t *size, const char *unit, double v[MAX_SAMPLES]) {
    char key[32];
    snprintf(key, sizeof key, "b_samples_%s", unit);
    const json_t *list = json_object_get(size, key);
    size_t n = json_array_size(list) < MAX_SAMPLES ? json_array_size(list) : MAX_SAMPLES;
    for (size_t i = 0; i < n; i++)
        v[i] = json_number_value(json_array_get(list, i));
    return n;
}

// ---- rates

void cli_bench_derive(cli_bench_row *r, const json_t *ceilings) {
    hone_plan *p = NULL;
    r->ceilings = ceilings;
    if (hone_plan_make(r->task, &r->task->sizes[0], NULL, &p, NULL) == HONE_OK)
        for (size_t i = 0; i < p->n_buffers; i++)
            r->bytes += p->buffers[i].arg->role == HONE_SCRATCH ? 0 : (double)p->buffers[i].bytes;
    hone_plan_free(p);
    const json_t *model = json_object_get(r->o->json, "model"), *size = first_size(model ? model : json_object_get(r->o->json, "time"));
    size_t i;
    json_t *l;
    json_array_foreach(json_object_get(size, "launches"), i, l) {
        const json_t *c = json_object_get(l, "counters");
        r->flops_fp32 += number(c, "flops_fp32");
        r->flops += number(c, "flops_fp32") + number(c, "flops_fp64") + number(c, "flops_fp16") + number(c, "flops_tensor");
    }
}

// Microseconds for the first size, which bytes and operations are counted for.
static double first_time(const cli_bench_row *r) {
    const json_t *size = first_size(json_object_get(r->o->json, "time"));
    double b = number(json_object_get(size, "b_us"), "median");
    return b > 0 ? b : number(size, "time_us");
}

typedef struct roof { double gbs, gflops, percent; const char *bound; } roof;

static roof roof_of(const cli_bench_row *r) {
    double us = first_time(r), copy = number(r->ceilings, "copy_gbs"), fma = number(r->ceilings, "fma_tflops");
    roof x = {0};
    if (!(us > 0))
        return x;
    x.gbs = r->bytes / us * 1e-3;
    x.gflops = r->flops / us * 1e-3;
    double memory_us = copy > 0 ? r->bytes / copy * 1e-3 : 0, compute_us = fma > 0 ? r->flops_fp32 / fma * 1e-6 : 0;
    x.percent = 100 * fmax(memory_us, compute_us) / us;
    x.bound = memory_us >= compute_us ? "copy" : "FMA";
    return x;
}

// ---- text

static void spark(const double *v, size_t n, char out[3 * BINS + 1]) {
    static const char *const levels[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    size_t count[BINS] = {0}, most = 1;
    double lo = hone_quantile(v, n, 0.01), hi = hone_quantile(v, n, 0.99);
    for (size_t i = 0; i < n; i++) {
        double place = hi > lo ? (v[i] - lo) / (hi - lo) * BINS : 0;
        size_t k = place < 0 ? 0 : place >= BINS ? BINS - 1 : (size_t)place;
        most = ++count[k] > most ? count[k] : most;
    }
    size_t at = 0;
    for (size_t k = 0; k < BINS; k++)
        at += (size_t)snprintf(out + at, 3 * BINS + 1 - at, "%s", levels[count[k] ? 1 + count[k] * 7 / most : 0]);
}

static void put_mode(const json_t *time, const char *name, const cli_style *st) {
    double v[MAX_SAMPLES];
    const json_t *size = first_size(time);
    size_t n = samples_of(size, "us", v);
    if (!n)
        return;
    char a[32], b[32], c[32], bars[3 * BINS + 1];
    spark(v, n, bars);
    printf("  %s%-8s%s p5 %s  median %s  p95 %s  %s│%s│%s  %zu samples (%s)\n", st->dim, name, st->off, cli_time_text(hone_quantile(v, n, 0.05), a),
           cli_time_text(hone_median(v, n), b), cli_time_text(hone_quantile(v, n, 0.95), c), st->dim, bars, st->off, n,
           json_string_value(json_object_get(size, "form")));
}

static void put_rates(const cli_bench_row *r, const cli_style *st) {
    roof x = roof_of(r);
    if (!(x.gbs > 0))
        return;
    printf("  %s%-8s%s %.4g GB/s, %.4g GFLOP/s", st->dim, "rates", st->off, x.gbs, x.gflops);
    if (x.percent > 0)
        printf("; %.1f %% of the roofline (%s)", x.percent, x.bound);
    printf("\n");
}

static void put_energy(const json_t *e, bool is_baseline, const cli_style *st) {
    if (!e)
        return;
    const char *kind = json_string_value(json_object_get(e, "kind")), *why = json_string_value(json_object_get(e, "reason"));
    if (!kind || strcmp(kind, "measured") != 0) {
        printf("  %s%-8s NOT MEASURED: %s%s\n", st->yellow, "energy", why && *why ? why : "no reason given", st->off);
        return;
    }
    const json_t *size = first_size(e), *ratio = json_object_get(size, "ratio");
    const char *source = json_string_value(json_object_get(e, "source"));
    printf("  %s%-8s%s %.4g mJ per run [%.4g, %.4g], %.0f W", st->dim, "energy", st->off, number(e, "energy_mj"), number(e, "lo_mj"), number(e, "hi_mj"),
           number(size, "power_b_w"));
    if (!is_baseline)
        printf("; baseline ÷ this %.4f [%.4f, %.4f]", number(ratio, "median"), number(ratio, "lo"), number(ratio, "hi"));
    printf("  (%s, %lld blocks, tick %.0f ms%s)\n", source ? source : "", json_integer_value(json_object_get(size, "blocks")), number(size, "tick_s") * 1e3,
           json_is_false(json_object_get(size, "temperature_matched")) ? "; temperatures differ by more than 1 °C" : "");
}

static size_t all_times(const cli_bench_row *r, double v[CLI_BENCH_REPEATS + 1]) {
    v[0] = r->o->time_us;
    for (size_t i = 0; i < r->n_repeats; i++)
        v[i + 1] = r->repeats[i].time_us;
    return r->n_repeats + 1;
}

static void put_repeats(const cli_bench_row *r, const cli_style *st) {
    double v[CLI_BENCH_REPEATS + 1];
    char a[32], b[32];
    size_t n = all_times(r, v);
    if (n < 2)
        return;
    double lo = hone_quantile(v, n, 0), hi = hone_quantile(v, n, 1);
    printf("  %s%-8s%s %zu measurements: %s … %s, spread %.3f %%\n", st->dim, "repeats", st->off, n, cli_time_text(lo, a), cli_time_text(hi, b),
           100 * (hi - lo) / hone_median(v, n));
}

void cli_bench_details(const cli_bench_row *r, bool is_baseline, const cli_style *st) {
    const json_t *time = json_object_get(r->o->json, "time");
    put_mode(time, "L2 cold", st);
    put_mode(json_object_get(time, "warm"), "L2 warm", st);
    put_rates(r, st);
    put_energy(json_object_get(r->o->json, "energy"), is_baseline, st);
    put_repeats(r, st);
}

void cli_bench_ceilings(const cli_bench_row *b, const cli_style *st) {
    const char *kind = json_string_value(json_object_get(b->ceilings, "kind")), *why = json_string_value(json_object_get(b->ceilings, "reason"));
    if (kind)
        printf("%sroofs %s on this device: copy %.4g GB/s, FP32 multiply-add %.4g TFLOP/s%s\n", st->dim, kind, number(b->ceilings, "copy_gbs"),
               number(b->ceilings, "fma_tflops"), st->off);
    else if (why)
        printf("%sthe roofs of this device are not known: %s%s\n", st->yellow, why, st->off);
}

// ---- JSON

void cli_bench_json(const cli_bench_row *r, json_t *to) {
    double v[MAX_SAMPLES], t[CLI_BENCH_REPEATS + 1];
    size_t n = samples_of(first_size(json_object_get(r->o->json, "time")), "us", v);
    if (n)
        json_object_set_new(to, "distribution", json_pack("{s:i,s:f,s:f,s:f}", "samples", (int)n, "p5_us", hone_quantile(v, n, 0.05), "median_us",
                                                          hone_median(v, n), "p95_us", hone_quantile(v, n, 0.95)));
    roof x = roof_of(r);
    if (x.gbs > 0)
        json_object_set_new(to, "rates", json_pack("{s:f,s:f,s:f,s:f}", "bytes", r->bytes, "flops", r->flops, "gbs", x.gbs, "gflops", x.gflops));
    if (x.percent > 0)
        json_object_set_new(to, "roofline", json_pack("{s:f,s:s,s:O}", "percent", x.percent, "bound", x.bound, "ceilings", r->ceilings));
    json_t *energy = json_object_get(r->o->json, "energy");
    if (energy)
        json_object_set(to, "energy", energy);
    n = all_times(r, t);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_real(t[i]));
    if (n > 1)
        json_object_set(to, "repeats_us", list);
    json_decref(list);
}
