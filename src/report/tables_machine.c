// report/tables_machine: what the two kernels did to the machine, side by side; and their times per size.
#include "report/tables.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef const char *(*text_fn)(double v, char buf[HONE_TEXT]);

static const char *as_bytes(double v, char buf[HONE_TEXT]) { return hone_text_scaled(v, "B", buf); }
static const char *as_rate(double v, char buf[HONE_TEXT]) { return hone_text_scaled(v, "B/s", buf); }
static const char *as_flops(double v, char buf[HONE_TEXT]) { return hone_text_scaled(v, "FLOP/s", buf); }
static const char *as_percent(double v, char buf[HONE_TEXT]) {
    snprintf(buf, HONE_TEXT, "%.0f %%", 100 * v);
    return buf;
}

// One row: a value of each profile. A NaN is absent: "–".
typedef struct metric { const char *name; double (*of)(const hone_profile *p); text_fn text; bool ratio; } metric;

static double flops(const hone_profile *p) { return p->flops_fp32 + p->flops_fp64 + p->flops_fp16 + p->flops_tensor; }
static double occupancy(const hone_profile *p) { return p->occupancy; }
static double registers(const hone_profile *p) { return p->registers; }
static double spills(const hone_profile *p) { return p->spill_bytes; }
static double shared(const hone_profile *p) { return p->shared_bytes; }
static double insts(const hone_profile *p) { return p->warp_insts; }
static double dram(const hone_profile *p) { return p->dram_bytes; }
static double dram_rate(const hone_profile *p) { return p->time_us > 0 ? p->dram_bytes / p->time_us * 1e6 : NAN; }
static double flop_rate(const hone_profile *p) { return flops(p) > 0 && p->time_us > 0 ? flops(p) / p->time_us * 1e6 : NAN; }
static double sectors(const hone_profile *p) { return p->sectors; }
static double needed(const hone_profile *p) { return p->sectors > 0 ? fmin(1, p->sectors_ideal / p->sectors) : NAN; }
static double wavefronts(const hone_profile *p) { return p->wavefronts > 0 ? p->wavefronts : NAN; }
static double conflicts(const hone_profile *p) {
    return p->wavefronts > 0 && p->wavefronts_ideal > 0 ? p->wavefronts / p->wavefronts_ideal : NAN;
}
static double launches(const hone_profile *p) { return (double)p->launches; }
static double blocks(const hone_profile *p) { return (double)p->grid[0] * p->grid[1] * p->grid[2]; }
static double threads(const hone_profile *p) { return (double)p->block[0] * p->block[1] * p->block[2]; }

static const metric metrics[] = {
    {"Occupancy", occupancy, as_percent, false},
    {"Arithmetic rate", flop_rate, as_flops, true},
    {"Warp instructions", insts, hone_text_count, true},
    {"DRAM traffic", dram, as_bytes, true},
    {"DRAM rate", dram_rate, as_rate, true},
    {"Global memory sectors", sectors, hone_text_count, true},
    {"… of them needed", needed, as_percent, false},
    {"Shared memory wavefronts", wavefronts, hone_text_count, true},
    {"… against conflict-free", conflicts, hone_text_factor, false},
    {"Registers per thread", registers, hone_text_count, false},
    {"Spilled to local memory", spills, as_bytes, false},
    {"Shared memory per block", shared, as_bytes, false},
    {"Blocks", blocks, hone_text_count, false},
    {"Threads per block", threads, hone_text_count, false},
    {"Kernel launches", launches, hone_text_count, false},
};

static void put_cell(hone_str *out, double v, text_fn text) {
    char t[HONE_TEXT];
    hone_str_addf(out, "<td class=num>%s", isfinite(v) ? text(v, t) : "–");
}

static void put_metric(const metric *m, const hone_profile *a, const hone_profile *b, hone_str *out) {
    char t[HONE_TEXT];
    double x = m->of(a), y = b->has ? m->of(b) : NAN;
    if ((!isfinite(x) || x == 0) && (!isfinite(y) || y == 0))
        return;
    hone_str_addf(out, "<tr><td class=keep>%s", m->name);
    put_cell(out, x, m->text);
    if (b->has) {
        put_cell(out, y, m->text);
        hone_str_addf(out, "<td class=num>%s", m->ratio && x > 0 && isfinite(y) ? hone_text_factor(y / x, t) : "");
    }
    hone_str_addc(out, '\n');
}

static void put_bottleneck(const hone_profile *p, hone_str *out) {
    hone_str_add(out, "<td class=num style=\"white-space:normal\">");
    hone_html_text(out, hone_bottleneck_words(p->bottleneck));
}

void hone_table_machine(const json_t *result, hone_str *out) {
    hone_profile a, b;
    hone_profile_read(hone_doc_at(result, "outcomes.baseline"), &a);
    hone_profile_read(hone_doc_at(result, "outcomes.best"), &b);
    if (!a.has)
        return;
    hone_str_add(out, "<section><h2>What changed on the machine</h2>\n<table><tr><th><th class=\"num cb\">baseline");
    hone_str_add(out, b.has ? "<th class=\"num cx\">best<th class=num>ratio\n" : "\n");
    hone_str_add(out, "<tr><td class=keep>Bound by");
    put_bottleneck(&a, out);
    if (b.has) {
        put_bottleneck(&b, out);
        hone_str_add(out, "<td>");
    }
    hone_str_addc(out, '\n');
    for (size_t i = 0; i < HONE_COUNT(metrics); i++)
        put_metric(&metrics[i], &a, &b, out);
    hone_str_add(
        out,
        "</table>\n<p class=\"soft small\">Counted on the virtual GPU for the first size; occupancy and resources of the launch that takes longest.</section>\n");
}

// ---- sizes

static void put_sizes(const json_t *sizes, hone_str *out) {
    const char *name;
    json_t *v;
    size_t n = 0;
    json_object_foreach((json_t *)(uintptr_t)sizes, name, v) {
        hone_str_add(out, n++ ? "  " : "");
        hone_html_text(out, name);
        hone_str_addf(out, "&nbsp;=&nbsp;%lld", (long long)json_integer_value(v));
    }
}

static double time_of(const json_t *size, const char *measured) {
    return hone_doc_has_number(size, "time_us") ? hone_doc_number(size, "time_us")
                                                : hone_doc_number(json_object_get(size, measured), "median");
}

// Measured sizes carry both arms in the best's own outcome; modelled ones stand in an outcome each.
void hone_table_sizes(const json_t *result, hone_str *out) {
    json_t *best = hone_doc_list(result, "outcomes.best.time.sizes"), *baseline = hone_doc_list(result, "outcomes.baseline.time.sizes"), *s;
    size_t i;
    char t[HONE_TEXT];
    if (json_array_size(baseline) == 1) {
        hone_str_add(out, "<p class=\"soft small\">Size: ");
        put_sizes(json_object_get(json_array_get(baseline, 0), "sizes"), out);
        hone_str_add(out, "\n");
        return;
    }
    if (json_array_size(baseline) == 0 || json_array_size(best) != json_array_size(baseline))
        return;
    hone_str_add(
        out,
        "<table><tr><th>Sizes (their geometric mean counts)<th class=\"num cb\">baseline<th class=\"num cx\">best<th class=num>speedup\n");
    json_array_foreach(best, i, s) {
        double a = json_object_get(s, "a_us") ? time_of(s, "a_us") : time_of(json_array_get(baseline, i), "a_us"), b = time_of(s, "b_us");
        hone_str_add(out, "<tr><td>");
        put_sizes(json_object_get(s, "sizes"), out);
        hone_str_addf(out, "<td class=num>%s", hone_text_time(a, t));
        hone_str_addf(out, "<td class=num>%s", hone_text_time(b, t));
        hone_str_addf(out, "<td class=num>%s\n", b > 0 ? hone_text_factor(a / b, t) : "–");
    }
    hone_str_add(out, "</table>\n");
}
