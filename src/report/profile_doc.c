// The document of a profile: sums per kernel, facts derived from counters, what bounds the kernel and what would help, its place under the roofline,
// what limits occupancy, hardware counters beside the virtual ones, and counters per source line. Everything is computed here once.
#include "report/profile.h"
#include <math.h>
#include <string.h>

// ---- tables

typedef struct bottleneck { const char *id, *share, *brief, *words, *helps; } bottleneck;
static const bottleneck bottlenecks[] = {
#define BOTTLENECK(id, share, brief, words, helps) {id, share, brief, words, helps},
#include "report/bottlenecks.def"
};
typedef enum direction { ABOVE, BELOW } direction;
typedef enum form { FACTOR, PERCENT } form;
typedef struct symptom { const char *id, *fact; direction direction; double limit; form form; const char *what, *helps; } symptom;
static const symptom symptoms[] = {
#define SYMPTOM(id, fact, direction, limit, form, what, helps) {id, fact, direction, limit, form, what, helps},
#include "report/bottlenecks.def"
};

static const bottleneck *find_bottleneck(const char *id) {
    for (size_t i = 0; i < HONE_COUNT(bottlenecks); i++)
        if (!strcmp(bottlenecks[i].id, id))
            return &bottlenecks[i];
    return NULL;
}

const char *hone_profile_line_bound(const char *bound) {
    const bottleneck *b = find_bottleneck(bound);
    return b ? b->brief : bound;
}

const char *hone_plain_kernel(const char *name, char buf[160]) {   // Itanium ABI: _Z, length, name
    size_t n = 0, at = 2;
    if (!strncmp(name, "_Z", 2))
        for (; name[at] >= '0' && name[at] <= '9'; at++)
            n = n * 10 + (size_t)(name[at] - '0');
    bool mangled = n > 0 && n < 160 && strlen(name + at) >= n;
    snprintf(buf, 160, "%.*s", mangled ? (int)n : 159, mangled ? name + at : name);
    return buf;
}

// ---- facts

static void put(json_t *o, const char *key, double v) { json_object_set_new(o, key, json_real(v)); }
static void put_ratio(json_t *o, const char *key, double part, double whole) {
    if (whole > 0)
        put(o, key, part / whole);
}

static double flops_of(const json_t *c) {
    return hone_doc_number(c, "flops_fp32") + hone_doc_number(c, "flops_fp64") + hone_doc_number(c, "flops_fp16") + hone_doc_number(c, "flops_tensor");
}

static json_t *facts_of(const json_t *c, const json_t *model, double time_us, const json_t *device) {
    json_t *f = json_object();
#define N(key) hone_doc_number(c, key)
    double insts = N("warp_insts"), dram = 32 * (N("dram_sectors_read") + N("dram_sectors_written")), sectors = N("global_sectors");
    double peak = hone_doc_number(device, "bandwidth_gbs"), l2 = N("l2_hit_sectors") + N("dram_sectors_read") + N("dram_sectors_written");
    put_ratio(f, "lanes_active", N("thread_insts"), 32 * insts);
    put_ratio(f, "divergence", N("divergent_branches"), N("branches"));
    put_ratio(f, "sector_efficiency", N("global_sectors_ideal"), sectors);
    put_ratio(f, "sectors_per_request", sectors, N("global_requests"));
    put_ratio(f, "sectors_per_request_ideal", N("global_sectors_ideal"), N("global_requests"));
    put_ratio(f, "l1_hit_rate", N("l1_hit_sectors"), sectors);
    put_ratio(f, "l2_hit_rate", N("l2_hit_sectors"), l2);
    put_ratio(f, "bank_conflict", N("shared_wavefronts"), N("shared_wavefronts_ideal"));
    put_ratio(f, "atomic_contention", N("atomic_warp_serial"), N("atomic_requests"));
    put_ratio(f, "barrier_wait", N("barrier_wait_insts"), N("barriers") > 0 ? insts : 0);
    put_ratio(f, "dram_per_compulsory", dram, N("compulsory_bytes"));
    put_ratio(f, "local_share", N("local_sectors"), N("local_sectors") > 0 ? N("local_sectors") + sectors : 0);
    put(f, "dram_bytes", dram);
    put_ratio(f, "dram_gbs", dram / 1e3, time_us);
    put_ratio(f, "dram_fraction", dram / 1e3, time_us * peak);
    put(f, "flops", flops_of(c));
    put_ratio(f, "flops_per_s", flops_of(c) * 1e6, time_us);
    put(f, "waves", hone_doc_number(model, "waves"));
    if (hone_doc_number(model, "waves") >= 1)   // else few blocks are the matter, not their rest
        put(f, "tail", hone_doc_number(model, "tail_fraction"));
#undef N
    return f;
}

// ---- why

static double share_of(const json_t *model, const bottleneck *b) {
    double time = hone_doc_number(model, "time_us");
    if (!*b->share)
        return time > 0 ? hone_doc_number(model, "launch_us") / time : 0;
    return hone_doc_number(json_object_get(model, "shares"), b->share);
}

static void explain(json_t *k, const json_t *model) {
    const char *id = hone_doc_text(model, "bottleneck");
    const bottleneck *b = find_bottleneck(id);
    bottleneck unknown = {id, "", id, id, ""};
    b = b ? b : &unknown;
    char text[160];
    double share = share_of(model, b), waves = hone_doc_number(model, "waves");
    snprintf(text, sizeof text, waves < 0.1 ? "%s-bound %.0f %%, %.1g waves, tail %.0f %%" : "%s-bound %.0f %%, %.1f waves, tail %.0f %%", b->brief, 100 * share,
             waves, 100 * hone_doc_number(model, "tail_fraction"));
    json_object_set_new(k, "explanation", json_string(text));
    json_object_set_new(k, "bound", json_pack("{s:s, s:f, s:s, s:s, s:s}", "id", id, "share", share, "short", b->brief, "words", b->words, "helps", b->helps));
}

static json_t *symptoms_of(const json_t *facts) {
    json_t *list = json_array();
    for (size_t i = 0; i < HONE_COUNT(symptoms); i++) {
        const symptom *s = &symptoms[i];
        double v = hone_doc_number(facts, s->fact);
        if (!hone_doc_has_number(facts, s->fact) || (s->direction == ABOVE ? v <= s->limit : v >= s->limit))
            continue;
        char text[160], factor[HONE_TEXT], hundredths[16];
        snprintf(hundredths, sizeof hundredths, "%.0f", 100 * v);
        if (s->form == PERCENT)
            snprintf(text, sizeof text, "%s %% %s", v < 0.005 ? "under 1" : hundredths, s->what);
        else
            snprintf(text, sizeof text, "%s %s", hone_text_factor(v, factor), s->what);
        json_array_append_new(list, json_pack("{s:s, s:f, s:s, s:s}", "id", s->id, "value", v, "words", text, "helps", s->helps));
    }
    return list;
}

// ---- occupancy

static uint32_t threads_of(const json_t *launch) {
    double n = 1;
    for (size_t i = 0; i < 3; i++)
        n *= json_number_value(json_array_get(json_object_get(launch, "block"), i));
    return (uint32_t)n;
}

// What would let one more block in. Registers are handed out to warps in units of 8 per thread (CUDA programming guide, occupancy).
static void advise_occupancy(const json_t *model, const json_t *launch, const json_t *device, char *out, size_t cap) {
    const char *limiter = hone_doc_text(model, "limiter");
    double more = hone_doc_number(model, "blocks_per_sm") + 1, warps = ceil(threads_of(launch) / 32.0);
    double registers = floor(hone_doc_number(device, "registers_per_sm") / (more * warps * 32) / 8) * 8;
    double shared = floor((hone_doc_number(device, "shared_per_sm") / more - 1024) / 128) * 128;
    snprintf(out, cap, "%s", "");
    if (!strcmp(limiter, "registers"))
        snprintf(out, cap, "%.0f registers or fewer would let %.0f blocks in", registers, more);
    else if (!strcmp(limiter, "shared") && shared > 0)
        snprintf(out, cap, "%.0f B of shared memory or less would let %.0f blocks in", shared, more);
    else if (!strcmp(limiter, "blocks"))
        snprintf(out, cap, "larger blocks would raise it: an SM holds no more than %.0f", hone_doc_number(device, "blocks_per_sm"));
    else if (!strcmp(limiter, "grid"))
        snprintf(out, cap, "more or smaller blocks would raise it: the grid has too few for every SM");
    else if (!strcmp(limiter, "warps") && hone_doc_number(model, "occupancy") < 0.95)
        snprintf(out, cap, "a block size that divides %.0f threads would raise it", hone_doc_number(device, "threads_per_sm"));
}

static json_t *occupancy_of(const json_t *model, const json_t *launch, const json_t *device) {
    char advice[160];
    advise_occupancy(model, launch, device, advice, sizeof advice);
    return json_pack("{s:f, s:s, s:f, s:f, s:f, s:s}", "achieved", hone_doc_number(model, "occupancy"), "limiter", hone_doc_text(model, "limiter"),
                     "blocks_per_sm", hone_doc_number(model, "blocks_per_sm"), "registers", hone_doc_number(model, "registers"), "shared_bytes",
                     hone_doc_number(model, "shared_bytes"), "raise", advice);
}

// ---- roofline

static json_t *roofline_of(const json_t *c, double time_us, const json_t *device) {
    static const struct { const char *counter, *roof; } types[] = {
        {"flops_tensor", "tensor"}, {"flops_fp64", "FP64"}, {"flops_fp32", "FP32"}, {"flops_fp16", "FP16"}};
    double dram = 32 * (hone_doc_number(c, "dram_sectors_read") + hone_doc_number(c, "dram_sectors_written")), bandwidth = hone_doc_number(device, "bandwidth_gbs") * 1e9;
    double work = flops_of(c), most = 0;
    const char *roof = "instruction issue", *unit = work > 0 ? "FLOP" : "inst";
    for (size_t i = 0; i < HONE_COUNT(types); i++)
        if (hone_doc_number(c, types[i].counter) > most) {
            most = hone_doc_number(c, types[i].counter);
            roof = types[i].roof;
        }
    work = work > 0 ? work : hone_doc_number(c, "thread_insts");
    double peak = hone_roof_peak(device, roof);
    if (!(work > 0) || !(dram > 0) || !(bandwidth > 0) || !(peak > 0) || !(time_us > 0))
        return NULL;
    double intensity = work / dram, rate = work / time_us * 1e6, ceiling = fmin(peak, intensity * bandwidth);
    return json_pack("{s:s, s:f, s:f, s:s, s:f, s:f, s:f, s:f, s:s}", "unit", unit, "intensity", intensity, "rate", rate, "roof", roof, "peak", peak,
                     "bandwidth", bandwidth, "ridge", peak / bandwidth, "fraction", rate / ceiling, "side",
                     intensity < peak / bandwidth ? "memory" : "compute");
}

// ---- hardware

// The virtual value for a hardware metric; false where the virtual GPU has no counterpart.
static bool counterpart(hone_ncu_metric m, const json_t *k, double *out) {
    const json_t *c = json_object_get(k, "counters"), *f = json_object_get(k, "facts"), *o = json_object_get(k, "occupancy"),
                 *s = json_object_get(json_object_get(k, "model"), "shares");
    double launches = fmax(1, hone_doc_number(k, "launches"));
    const struct { hone_ncu_metric m; const json_t *from; const char *key; double scale; } table[] = {
        {HONE_NCU_time_us, k, "time_us", 1 / launches},
        {HONE_NCU_registers, o, "registers", 1},
        {HONE_NCU_occupancy, o, "achieved", 1},
        {HONE_NCU_waves, f, "waves", 1},
        {HONE_NCU_warp_insts, c, "warp_insts", 1 / launches},
        {HONE_NCU_lanes_per_inst, f, "lanes_active", 32},
        {HONE_NCU_issue_fraction, s, "issue", 1},
        {HONE_NCU_dram_bytes_read, c, "dram_sectors_read", 32 / launches},
        {HONE_NCU_dram_bytes_written, c, "dram_sectors_written", 32 / launches},
        {HONE_NCU_dram_gbs, f, "dram_gbs", 1},
        {HONE_NCU_dram_fraction, f, "dram_fraction", 1},
        {HONE_NCU_l1_fraction, s, "l1", 1},
        {HONE_NCU_l2_fraction, s, "l2", 1},
        {HONE_NCU_l1_hit_rate, f, "l1_hit_rate", 1},
        {HONE_NCU_l2_hit_rate, f, "l2_hit_rate", 1},
        {HONE_NCU_shared_wavefronts, c, "shared_wavefronts", 1 / launches},
        {HONE_NCU_clock_mhz, json_object_get(k, "model"), "clock_mhz", 1},
    };
    for (size_t i = 0; i < HONE_COUNT(table); i++)
        if (table[i].m == m && hone_doc_has_number(table[i].from, table[i].key))
            return *out = table[i].scale * hone_doc_number(table[i].from, table[i].key), true;
    return false;
}

static void shape(const json_t *launch, const char *key, uint32_t out[3]) {
    for (size_t i = 0; i < 3; i++)
        out[i] = (uint32_t)json_integer_value(json_array_get(json_object_get(launch, key), i));
}

static void add_hardware(json_t *k, const hone_ncu *x) {
    uint32_t grid[3], block[3];
    shape(k, "grid", grid);
    shape(k, "block", block);
    const hone_ncu_kernel *h = hone_ncu_find(x, hone_doc_text(k, "kernel"), grid, block);
    if (!h)
        return;
    json_t *metrics = json_array();
    for (int m = 0; m < HONE_NCU_COUNT; m++) {
        if (!hone_ncu_has(h, (hone_ncu_metric)m))
            continue;
        json_t *row = json_pack("{s:s, s:s, s:f, s:i}", "id", hone_ncu_id((hone_ncu_metric)m), "words", hone_ncu_words((hone_ncu_metric)m), "measured",
                                hone_ncu_mean(h, (hone_ncu_metric)m), "invocations", (int)h->n[m]);
        double v;
        if (counterpart((hone_ncu_metric)m, k, &v))
            put(row, "virtual", v);
        json_array_append_new(metrics, row);
    }
    bool same = !memcmp(grid, h->grid, sizeof grid) && !memcmp(block, h->block, sizeof block);
    json_object_set_new(k, "hardware", json_pack("{s:s, s:i, s:b, s:o}", "kind", "measured", "invocations", (int)h->invocations, "same_launch", same, "metrics", metrics));
}

const char *hone_profile_hardware_value(const json_t *row, const char *key, char buf[HONE_TEXT]) {
    static const char *const fractions[] = {"_fraction", "_rate", "occupancy", "occupancy_limit", "branch_uniform"};
    const char *id = hone_doc_text(row, "id");
    double v = hone_doc_number(row, key);
    if (!hone_doc_has_number(row, key))
        return "–";
    if (!strcmp(id, "time_us"))
        return hone_text_time(v, buf);
    if (strstr(id, "bytes"))
        return hone_text_scaled(v, "B", buf);
    for (size_t i = 0; i < HONE_COUNT(fractions); i++)
        if (strstr(id, fractions[i])) {
            snprintf(buf, HONE_TEXT, "%.1f %%", 100 * v);
            return buf;
        }
    return hone_text_count(v, buf);
}

// ---- kernels

static const json_t *first_size(const hone_outcome *o) {
    const json_t *model = json_object_get(o->json, "model");
    return json_array_get(json_object_get(model ? model : json_object_get(o->json, "time"), "sizes"), 0);
}

static void add_counters(json_t *sum, const json_t *c) {
    static const char *const largest[] = {"atomic_serial_max", "critical_path_cycles", "sampled_fraction"};   // no sums
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)c, key, v) {
        double old = hone_doc_number(sum, key), now = json_number_value(v);
        bool is_sum = true;
        for (size_t i = 0; i < HONE_COUNT(largest); i++)
            is_sum &= strcmp(key, largest[i]) != 0;
        put(sum, key, is_sum ? old + now : fmax(old, now));
    }
}

static json_t *kernel_named(json_t *list, const char *name) {
    size_t i;
    json_t *k;
    json_array_foreach(list, i, k) if (!strcmp(hone_doc_text(k, "kernel"), name)) return k;
    k = json_pack("{s:s, s:i, s:f, s:o}", "kernel", name, "launches", 0, "time_us", 0.0, "counters", json_object());
    json_array_append_new(list, k);
    return k;
}

static void add_launch(json_t *kernels, const json_t *l) {
    char name[160];
    json_t *k = kernel_named(kernels, hone_plain_kernel(hone_doc_text(l, "kernel"), name));
    double us = hone_doc_number(l, "time_us");
    add_counters(json_object_get(k, "counters"), json_object_get(l, "counters"));
    json_object_set_new(k, "launches", json_integer(json_integer_value(json_object_get(k, "launches")) + 1));
    put(k, "time_us", hone_doc_number(k, "time_us") + us);
    if (us <= hone_doc_number(json_object_get(k, "model"), "time_us"))
        return;
    static const char *const of_longest[] = {"model", "grid", "block", "dynamic_shared"};
    for (size_t i = 0; i < HONE_COUNT(of_longest); i++)
        json_object_set(k, of_longest[i], json_object_get(l, of_longest[i]));
}

static void finish_kernel(json_t *k, double total_us, const hone_profile_input *in) {
    const json_t *c = json_object_get(k, "counters"), *m = json_object_get(k, "model");
    double us = hone_doc_number(k, "time_us");
    put_ratio(k, "time_share", us, total_us);
    json_object_set_new(k, "facts", facts_of(c, m, us, in->device));
    explain(k, m);
    json_object_set_new(k, "symptoms", symptoms_of(json_object_get(k, "facts")));
    json_object_set_new(k, "occupancy", occupancy_of(m, k, in->device));
    json_t *r = roofline_of(c, us, in->device);
    if (r)
        json_object_set_new(k, "roofline", r);
    if (in->hardware)
        add_hardware(k, in->hardware);
}

// ---- lines

static json_t *line_at(json_t *list, const char *file, int line) {
    size_t i;
    json_t *l;
    json_array_foreach(list, i, l) if (json_integer_value(json_object_get(l, "line")) == line && !strcmp(hone_doc_text(l, "file"), file)) return l;
    l = json_pack("{s:s, s:i}", "file", file, "line", line);
    json_array_append_new(list, l);
    return l;
}

// Sums over launches; time shares are of the whole plan.
static void add_line(json_t *list, const json_t *l, double weight) {
    json_t *to = line_at(list, hone_doc_text(l, "file"), (int)json_integer_value(json_object_get(l, "line")));
    double time = weight * hone_doc_number(l, "time_share");
    if (time >= hone_doc_number(to, "most") && *hone_doc_text(l, "bound")) {
        put(to, "most", time);
        json_object_set(to, "bound", json_object_get(l, "bound"));
    }
    put(to, "time_share", hone_doc_number(to, "time_share") + time);
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)l, key, v) {
        if (json_is_real(v) && strcmp(key, "share") && strcmp(key, "time_share"))
            put(to, key, hone_doc_number(to, key) + json_real_value(v));
    }
}

static json_t *lines_of(const hone_profile_input *in, const json_t *launches, double total_us) {
    json_t *list = json_array(), *l;
    double insts = 0;
    int last = 0;
    size_t i;
    json_array_foreach(json_object_get(in->outcome->json, "lines"), i, l) {
        int launch = (int)json_integer_value(json_object_get(l, "launch"));
        if (launch < last)
            break;   // the next size
        last = launch;
        double us = hone_doc_number(json_array_get(launches, (size_t)launch), "time_us");
        if (json_integer_value(json_object_get(l, "line")) > 0)
            add_line(list, l, total_us > 0 ? us / total_us : 0);
        insts += hone_doc_number(l, "warp_insts");
    }
    json_array_foreach(list, i, l) {
        put_ratio(l, "share", hone_doc_number(l, "warp_insts"), insts);
        put_ratio(l, "wait_share", hone_doc_number(l, "barrier_wait_insts"), hone_doc_number(l, "barrier_wait_insts") > 0 ? insts : 0);
        put_ratio(l, "lanes_active", hone_doc_number(l, "thread_insts"), 32 * hone_doc_number(l, "warp_insts"));
        put_ratio(l, "sectors_per_ideal", hone_doc_number(l, "global_sectors"), hone_doc_number(l, "global_sectors_ideal"));
        put_ratio(l, "bank_conflict", hone_doc_number(l, "shared_wavefronts"), hone_doc_number(l, "shared_wavefronts_ideal"));
        json_object_del(l, "most");
    }
    return list;
}

const json_t *hone_profile_source_line(const json_t *document, unsigned line) {
    size_t i;
    json_t *l;
    json_array_foreach(hone_doc_list(document, "source"), i, l)
        if (json_integer_value(json_object_get(l, "line")) == line && !strcmp(hone_doc_text(l, "file"), hone_doc_text(document, "file"))) return l;
    return NULL;
}

// ---- all

json_t *hone_profile_document(const hone_profile_input *in) {
    json_t *j = json_pack("{s:s, s:s, s:s, s:O}", "schema", "hone.profile/1", "path", in->shown->path, "file", hone_path_base(in->compiled_as), "device", in->device);
    static const char *const keys[] = {"time", "model", "lines", "compile"};
    for (size_t i = 0; i < HONE_COUNT(keys); i++)
        if (json_object_get(in->outcome->json, keys[i]))
            json_object_set(j, keys[i], json_object_get(in->outcome->json, keys[i]));
    json_t *kernels = json_array(), *x, *launches = json_object_get(first_size(in->outcome), "launches");
    double total = 0;
    size_t i;
    json_array_foreach(launches, i, x) {
        add_launch(kernels, x);
        total += hone_doc_number(x, "time_us");
    }
    json_array_foreach(kernels, i, x) finish_kernel(x, total, in);
    json_object_set_new(j, "kernels", kernels);
    json_t *source = lines_of(in, launches, total);
    double in_lines = 0;
    json_array_foreach(source, i, x) in_lines += hone_doc_number(x, "time_share");
    json_object_set_new(j, "source", source);
    put(j, "time_in_no_line", json_array_size(source) ? fmax(0, 1 - in_lines) : 0);
    json_object_set_new(j, "text", json_string(in->shown->text));
    // Beside a physical device the outcome has no band; the model states its own.
    put(j, "error_band", fmax(in->outcome->error_band, hone_doc_number(json_object_get(json_array_get(kernels, 0), "model"), "error_band")));
    put(j, "modelled_us", total);
    if (in->hardware)
        json_object_set_new(j, "hardware", json_pack("{s:s, s:s, s:s, s:i, s:i, s:i}", "path", in->hardware_path, "layout", in->hardware->details ? "details" : "raw",
                                                     "device", in->hardware->device, "kernels", (int)in->hardware->n, "known_metrics", (int)in->hardware->known,
                                                     "unknown_metrics", (int)in->hardware->unknown));
    if (in->hardware_missing)
        json_object_set_new(j, "hardware_missing", json_pack("{s:s,s:s}", "reason", in->hardware_missing, "hint", in->hardware_hint ? in->hardware_hint : ""));
    return j;
}

// ---- two of them

typedef struct total { const char *id, *words; bool lower_is_better; double v; } total;
enum { N_TOTALS = 8 };

static void totals_of(const json_t *doc, total out[N_TOTALS]) {
    const total kinds[N_TOTALS] = {{"time_us", "time", true, 0},          {"warp_insts", "warp instructions", true, 0}, {"dram_bytes", "DRAM bytes", true, 0},
                                   {"global_sectors", "global sectors", true, 0}, {"shared_wavefronts", "shared wavefronts", true, 0},
                                   {"atomic_lane_ops", "atomic operations", true, 0}, {"flops", "FLOP", true, 0}, {"occupancy", "occupancy", false, 0}};
    memcpy(out, kinds, sizeof kinds);
    double longest = 0;
    size_t i;
    json_t *k;
    json_array_foreach(json_object_get(doc, "kernels"), i, k) {
        const json_t *c = json_object_get(k, "counters"), *f = json_object_get(k, "facts");
        const double add[N_TOTALS] = {hone_doc_number(k, "time_us"), hone_doc_number(c, "warp_insts"), hone_doc_number(f, "dram_bytes"),
                                      hone_doc_number(c, "global_sectors"), hone_doc_number(c, "shared_wavefronts"), hone_doc_number(c, "atomic_lane_ops"),
                                      hone_doc_number(f, "flops"), 0};
        for (int t = 0; t < N_TOTALS; t++)
            out[t].v += add[t];
        if (add[0] > longest) {
            longest = add[0];
            out[N_TOTALS - 1].v = hone_doc_number(json_object_get(k, "occupancy"), "achieved");   // of the longest kernel
        }
    }
}

void hone_profile_compare(json_t *candidate, const json_t *baseline) {
    total a[N_TOTALS], b[N_TOTALS];
    totals_of(baseline, a);
    totals_of(candidate, b);
    json_t *rows = json_array();
    for (int i = 0; i < N_TOTALS; i++) {
        if (a[i].v == 0 && b[i].v == 0)
            continue;
        json_t *row = json_pack("{s:s, s:s, s:f, s:f, s:b}", "id", a[i].id, "words", a[i].words, "baseline", a[i].v, "candidate", b[i].v, "lower_is_better",
                                a[i].lower_is_better);
        put_ratio(row, "ratio", a[i].lower_is_better ? a[i].v : b[i].v, a[i].lower_is_better ? b[i].v : a[i].v);
        json_array_append_new(rows, row);
    }
    json_object_set_new(candidate, "compare", rows);
    json_t *base = json_copy((json_t *)(uintptr_t)baseline);
    json_object_del(base, "device");
    json_object_set_new(candidate, "baseline", base);
}
