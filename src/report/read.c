// report/read: the result document as values, and numbers as people write them. Lenient: a document of an older program may lack a member.
#include "report/internal.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

double hone_doc_number(const json_t *o, const char *key) {
    double v = json_number_value(json_object_get(o, key));
    return isfinite(v) ? v : 0;
}

bool hone_doc_has_number(const json_t *o, const char *key) { return json_is_number(json_object_get(o, key)); }

const char *hone_doc_text(const json_t *o, const char *key) {
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

const json_t *hone_doc_at(const json_t *o, const char *path) {
    char key[64];
    while (o && *path) {
        size_t n = strcspn(path, ".");
        if (n >= sizeof key)
            return NULL;
        memcpy(key, path, n);
        key[n] = 0;
        o = json_object_get(o, key);
        path += n + (path[n] == '.');
    }
    return o;
}

json_t *hone_doc_list(const json_t *o, const char *path) {
    const json_t *v = hone_doc_at(o, path);
    return json_is_array(v) ? (json_t *)(uintptr_t)v : NULL;   // json_array_foreach wants it without const; it does not write
}

hone_code hone_doc_check(const json_t *result, hone_err *e) {
    const char *schema = hone_doc_text(result, "schema");
    if (!strcmp(schema, HONE_RESULT_SCHEMA))
        return HONE_OK;
    return hone_fail(e, HONE_E_PARSE, 0, "not a result of hone: the schema is '%.40s', '%s' is needed", schema, HONE_RESULT_SCHEMA);
}

// ---- the profile

static void three(const json_t *list, int out[3]) {
    for (size_t i = 0; i < 3; i++)
        out[i] = (int)json_integer_value(json_array_get(list, i));
}

static void take_longest(const json_t *launch, hone_profile *p) {
    const json_t *m = json_object_get(launch, "model");
    p->kernel = hone_doc_text(launch, "kernel");
    p->bottleneck = hone_doc_text(m, "bottleneck");
    p->limiter = hone_doc_text(m, "limiter");
    p->occupancy = hone_doc_number(m, "occupancy");
    p->share = hone_doc_number(json_object_get(m, "shares"), p->bottleneck);
    p->registers = hone_doc_number(m, "registers");
    p->shared_bytes = hone_doc_number(m, "shared_bytes");
    three(json_object_get(launch, "grid"), p->grid);
    three(json_object_get(launch, "block"), p->block);
}

static void add_counters(const json_t *c, hone_profile *p) {
    const struct { double *to; const char *key; } sums[] = {
        {&p->flops_fp32, "flops_fp32"},     {&p->flops_fp64, "flops_fp64"},           {&p->flops_fp16, "flops_fp16"},
        {&p->flops_tensor, "flops_tensor"}, {&p->thread_insts, "thread_insts"},       {&p->warp_insts, "warp_insts"},
        {&p->sectors, "global_sectors"},    {&p->sectors_ideal, "global_sectors_ideal"}, {&p->compulsory_bytes, "compulsory_bytes"},
        {&p->wavefronts, "shared_wavefronts"}, {&p->wavefronts_ideal, "shared_wavefronts_ideal"},
    };
    for (size_t i = 0; i < HONE_COUNT(sums); i++)
        *sums[i].to += hone_doc_number(c, sums[i].key);
    p->dram_bytes += 32 * (hone_doc_number(c, "dram_sectors_read") + hone_doc_number(c, "dram_sectors_written"));
}

// Microseconds for one size: modelled, or the median of the arm that was judged (b; a for a baseline timed alone).
static double size_time(const json_t *size) {
    if (hone_doc_has_number(size, "time_us"))
        return hone_doc_number(size, "time_us");
    const json_t *b = json_object_get(size, "b_us");
    return hone_doc_number(b ? b : json_object_get(size, "a_us"), "median");
}

void hone_profile_read(const json_t *outcome, hone_profile *p) {
    *p = (hone_profile){.kernel = "", .bottleneck = "", .limiter = ""};
    const json_t *timed = json_array_get(hone_doc_at(outcome, "time.sizes"), 0),
                 *model = json_array_get(hone_doc_at(outcome, "model.sizes"), 0);
    const json_t *launches = json_object_get(model ? model : timed, "launches");
    double longest = -1;
    size_t i;
    json_t *l;
    p->measured = model != NULL;
    p->time_us = timed ? size_time(timed) : hone_doc_number(json_object_get(outcome, "time"), "time_us");
    p->spill_bytes = hone_doc_number(json_object_get(outcome, "compile"), "spill_bytes");
    json_array_foreach((json_t *)(uintptr_t)launches, i, l) {
        p->has = true;
        p->launches++;
        add_counters(json_object_get(l, "counters"), p);
        if (hone_doc_number(l, "time_us") <= longest)
            continue;
        longest = hone_doc_number(l, "time_us");
        take_longest(l, p);
    }
}

// ---- numbers for people

// Three significant digits without an exponent: 0.0123, 1.23, 12.3, 123, 1234.
static void three_digits(double v, char buf[HONE_TEXT]) {
    double a = fabs(v);
    int decimals = a >= 99.95 || a == 0 ? 0 : a >= 9.995 ? 1 : a >= 0.9995 ? 2 : a >= 0.09995 ? 3 : 4;
    snprintf(buf, HONE_TEXT, "%.*f", decimals, v);
}

const char *hone_text_time(double us, char buf[HONE_TEXT]) {
    static const struct {
        double below, scale;
        const char *unit;
    } units[] = {{0.9995, 1e3, "ns"}, {999.5, 1, "µs"}, {999.5e3, 1e-3, "ms"}, {INFINITY, 1e-6, "s"}};
    size_t i = 0;
    while (us >= units[i].below && i + 1 < HONE_COUNT(units))
        i++;
    char n[HONE_TEXT];
    three_digits(us * units[i].scale, n);
    snprintf(buf, HONE_TEXT, "%.30s %s", n, units[i].unit);
    return buf;
}

const char *hone_text_scaled(double v, const char *unit, char buf[HONE_TEXT]) {
    static const char *const prefix[] = {"", "k", "M", "G", "T", "P"};
    size_t i = 0;
    for (; fabs(v) >= 999.5 && i + 1 < HONE_COUNT(prefix); i++)
        v /= 1000;
    char n[HONE_TEXT];
    if (i == 0 && v == floor(v))
        snprintf(n, sizeof n, "%.0f", v);
    else
        three_digits(v, n);
    snprintf(buf, HONE_TEXT, "%.30s%s%s%.10s", n, *prefix[i] || *unit ? " " : "", prefix[i], unit);
    return buf;
}

// "5.00 ms" → "5 ms"
static const char *without_zeros(char buf[HONE_TEXT]) {
    char *point = strchr(buf, '.');
    if (!point)
        return buf;
    char *end = point + 1 + strspn(point + 1, "0123456789"), *last = end;
    while (last > point && (last[-1] == '0' || last[-1] == '.'))
        last--;   // down to the point itself, which goes too
    memmove(last, end, strlen(end) + 1);
    return buf;
}

const char *hone_text_round_time(double us, char buf[HONE_TEXT]) {
    hone_text_time(us, buf);
    return without_zeros(buf);
}

const char *hone_text_round(double v, const char *unit, char buf[HONE_TEXT]) {
    hone_text_scaled(v, unit, buf);
    return without_zeros(buf);
}

const char *hone_text_energy(double joules, char buf[HONE_TEXT]) {
    static const struct { double below, by; const char *unit; } scale[] = {{999.5e-6, 1e6, "µJ"}, {999.5e-3, 1e3, "mJ"}};
    for (size_t i = 0; i < HONE_COUNT(scale); i++)
        if (joules > 0 && joules < scale[i].below)
            return hone_text_scaled(joules * scale[i].by, scale[i].unit, buf);
    return hone_text_scaled(joules, "J", buf);
}

const char *hone_text_count(double v, char buf[HONE_TEXT]) {
    if (v != floor(v) || fabs(v) >= 1e5)
        return hone_text_scaled(v, "", buf);
    snprintf(buf, HONE_TEXT, "%.0f", v);
    return buf;
}

const char *hone_text_factor(double v, char buf[HONE_TEXT]) {
    char n[HONE_TEXT];
    three_digits(v, n);
    snprintf(buf, HONE_TEXT, "%.30s×", n);
    return buf;
}

const char *hone_text_duration(double s, char buf[HONE_TEXT]) {
    if (s < 99.5) {
        snprintf(buf, HONE_TEXT, s < 9.95 ? "%.1f s" : "%.0f s", s);
        return buf;
    }
    long t = lround(s);
    if (t < 3600)
        snprintf(buf, HONE_TEXT, "%ld min %02ld s", t / 60, t % 60);
    else
        snprintf(buf, HONE_TEXT, "%ld h %02ld min", t / 3600, t % 3600 / 60);
    return buf;
}

// ---- words

typedef struct word { const char *name, *words; } word;

static const char *look_up(const word *v, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (!strcmp(v[i].name, name))
            return v[i].words;
    return name;
}

const char *hone_bottleneck_words(const char *bottleneck) {
    static const word table[] = {
        {"dram", "device memory bandwidth"},
        {"l2", "L2 requests"},
        {"l1", "the L1 path (uncoalesced accesses)"},
        {"shared", "shared memory wavefronts"},
        {"issue", "instruction issue"},
        {"int", "integer arithmetic"},
        {"fp32", "FP32 arithmetic"},
        {"fp64", "FP64 arithmetic"},
        {"fp16", "FP16 arithmetic"},
        {"sfu", "special functions"},
        {"lsu", "load and store instructions"},
        {"tensor", "tensor cores"},
        {"latency", "latency (too little work in flight)"},
        {"atomics", "atomics on few addresses"},
        {"block launch", "the block launch rate"},
        {"launch", "kernel launch overhead"},
    };
    return look_up(table, HONE_COUNT(table), bottleneck);
}

const char *hone_stop_words(const char *stop) {
    static const word table[] = {
        {"evaluations", "the evaluation budget was used up"},
        {"time", "the time budget was used up"},
        {"patience", "no improvement for as long as asked"},
        {"exhausted", "nothing new was left to propose"},
        {"interrupted", "interrupted; the same command goes on from here"},
        {"baseline", "the baseline was refused"},
    };
    return look_up(table, HONE_COUNT(table), stop);
}
