// hone profile: counters, roofline position, occupancy with its limiter and the likely bottleneck in words, per kernel; and the source lines that
// matter. On a physical device the counters are the virtual GPU's, and say so.
#include "cli/cli.h"
#include <math.h>
#include <string.h>

enum { MAX_LINES_SHOWN = 12 };

// ---- reading the outcome

static double number(const json_t *o, const char *key) { return json_number_value(json_object_get(o, key)); }

static const char *text(const json_t *o, const char *key) {
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static const json_t *first_size(const hone_outcome *o) {
    const json_t *model = json_object_get(o->json, "model");
    return json_array_get(json_object_get(model ? model : json_object_get(o->json, "time"), "sizes"), 0);
}

// ---- words

typedef struct advice { const char *bottleneck, *words; } advice;
static const advice advices[] = {
    {"dram", "device memory bandwidth: move fewer bytes (fuse passes, keep intermediates in registers or shared memory, narrower types)"},
    {"l2", "L2 requests: make warps write and read whole sectors (coalesce), or reuse data in shared memory"},
    {"l1", "the L1 path: one cycle per 128-byte line a warp touches; make neighbouring threads touch neighbouring addresses"},
    {"shared", "shared-memory wavefronts: avoid bank conflicts, read wider, keep more in registers"},
    {"issue", "instruction issue: fewer instructions per result (unroll, hoist, cheaper operations than division and square root)"},
    {"int", "integer arithmetic: hoist index computations, strength-reduce division and modulo"},
    {"fp32", "FP32 arithmetic: near the machine's peak for this precision"},
    {"fp64", "FP64 arithmetic: is double precision needed?"},
    {"sfu", "special functions: fewer exp, sin, rsqrt, or cheaper forms"},
    {"tensor", "tensor cores: near the machine's peak"},
    {"latency", "latency: too little independent work in flight; more warps, or several elements per thread"},
    {"atomics", "atomics on few addresses: aggregate in registers or shared memory first"},
    {"block launch", "block launch rate: more work per block (coarsen, grid-stride loop)"},
    {"launch", "kernel launch overhead: fuse launches or enlarge the problem"},
};

static const char *advise(const char *bottleneck) {
    for (size_t i = 0; i < HONE_COUNT(advices); i++)
        if (!strcmp(advices[i].bottleneck, bottleneck))
            return advices[i].words;
    return bottleneck;
}

static const char *scaled(double v, const char *unit, char buf[32]) {
    static const char *const prefix[] = {"", "k", "M", "G", "T", "P"};
    size_t i = 0;
    for (; v >= 1000 && i + 1 < HONE_COUNT(prefix); i++)
        v /= 1000;
    snprintf(buf, 32, "%.3g %s%s", v, prefix[i], unit);
    return buf;
}

static double percent(double part, double whole) { return whole > 0 ? 100 * part / whole : 0; }

// ---- one kernel

static void print_traffic(const json_t *c, double us) {
    char a[32], b[32];
    double dram = 32 * (number(c, "dram_sectors_read") + number(c, "dram_sectors_written"));
    printf("  DRAM      %s moved, %s", scaled(dram, "B", a), scaled(dram / us * 1e6, "B/s", b));
    printf(" (distinct bytes touched: %s)\n", scaled(number(c, "compulsory_bytes"), "B", a));
    double sectors = number(c, "global_sectors"), ideal = number(c, "global_sectors_ideal");
    if (sectors > 0)
        printf("  global    %s sectors, %.0f %% of them needed; L1 hits %.0f %%\n", scaled(sectors, "", a), percent(ideal, sectors),
               percent(number(c, "l1_hit_sectors"), sectors));
    double wavefronts = number(c, "shared_wavefronts"), least = number(c, "shared_wavefronts_ideal");
    if (wavefronts > 0)
        printf("  shared    %s wavefronts, %.2f× the conflict-free number\n", scaled(wavefronts, "", a), least > 0 ? wavefronts / least : 1);
    if (number(c, "atomic_lane_ops") > 0)
        printf("  atomics   %s operations, %s on the busiest address\n", scaled(number(c, "atomic_lane_ops"), "", a),
               scaled(number(c, "atomic_serial_max"), "", b));
}

static void print_work(const json_t *c, double us) {
    char a[32], b[32], d[32];
    double insts = number(c, "warp_insts"), flops = number(c, "flops_fp32") + number(c, "flops_fp64") + number(c, "flops_fp16") + number(c, "flops_tensor");
    printf("  work      %s warp instructions, %.0f %% of lanes active", scaled(insts, "", a), percent(number(c, "thread_insts"), 32 * insts));
    if (number(c, "divergent_branches") > 0)
        printf(", %.1f %% of branches diverge", percent(number(c, "divergent_branches"), number(c, "branches")));
    putchar('\n');
    double dram = 32 * (number(c, "dram_sectors_read") + number(c, "dram_sectors_written"));
    if (flops > 0)
        printf("  roofline  %s, %s, %.3g FLOP per DRAM byte\n", scaled(flops, "FLOP", b), scaled(flops / us * 1e6, "FLOP/s", d), dram > 0 ? flops / dram : 0);
}

static void print_shares(const json_t *shares) {
    static const char *const names[] = {"issue", "pipe", "l1", "shared", "l2", "dram", "latency", "atomic"};
    printf("  busy      ");
    for (size_t i = 0; i < HONE_COUNT(names); i++)
        if (number(shares, names[i]) >= 0.005)
            printf("%s %.0f %%  ", names[i], 100 * number(shares, names[i]));
    putchar('\n');
}

static void print_launch(const json_t *l, const cli_style *st) {
    const json_t *c = json_object_get(l, "counters"), *m = json_object_get(l, "model"), *g = json_object_get(l, "grid"), *b = json_object_get(l, "block");
    char t[32];
    double us = number(l, "time_us");
    printf("%s%s%s  %s  grid %lld×%lld×%lld  block %lld×%lld×%lld\n", st->bold, text(l, "kernel"), st->off, cli_time_text(us, t),
           json_integer_value(json_array_get(g, 0)), json_integer_value(json_array_get(g, 1)), json_integer_value(json_array_get(g, 2)),
           json_integer_value(json_array_get(b, 0)), json_integer_value(json_array_get(b, 1)), json_integer_value(json_array_get(b, 2)));
    printf("  bound by  %s%s%s\n", st->yellow, advise(text(m, "bottleneck")), st->off);
    print_shares(json_object_get(m, "shares"));
    printf("  occupancy %.0f %%, limited by %s: %lld registers, %lld B shared memory, %.2f waves\n", 100 * number(m, "occupancy"), text(m, "limiter"),
           json_integer_value(json_object_get(m, "registers")), json_integer_value(json_object_get(m, "shared_bytes")), number(m, "waves"));
    print_work(c, us);
    print_traffic(c, us);
}

// ---- lines

static hone_span source_line(const char *source, unsigned line) {
    for (; line > 1 && *source; line--) {
        source = strchrnul(source, '\n');
        source += *source == '\n';
    }
    while (*source == ' ' || *source == '\t')
        source++;
    return (hone_span){source, strcspn(source, "\n")};
}

// The heaviest lines in source order: what they cost, and what their memory accesses ask for against what they need.
static void print_lines(const json_t *lines, const char *source, const cli_style *st) {
    double shares[MAX_LINES_SHOWN] = {0};
    size_t i;
    json_t *l;
    json_array_foreach((json_t *)(uintptr_t)lines, i, l) {   // the smallest share that still makes the list
        double s = number(l, "share");
        for (size_t k = 0; k < MAX_LINES_SHOWN; k++) {
            if (s <= shares[k])
                continue;
            memmove(&shares[k + 1], &shares[k], (MAX_LINES_SHOWN - 1 - k) * sizeof *shares);
            shares[k] = s;
            break;
        }
    }
    double least = fmax(shares[MAX_LINES_SHOWN - 1], 0.005);
    printf("\n%s  share  sectors/ideal  line%s\n", st->dim, st->off);
    json_array_foreach((json_t *)(uintptr_t)lines, i, l) {
        double s = number(l, "share"), sectors = number(l, "global_sectors"), ideal = number(l, "global_sectors_ideal");
        unsigned line = (unsigned)json_integer_value(json_object_get(l, "line"));
        if (s < least || !line)
            continue;
        hone_span code = source_line(source, line);
        char ratio[32] = "";
        if (sectors > 0 && ideal > 0)
            snprintf(ratio, sizeof ratio, "%.1f×", sectors / ideal);
        const char *color = s > 0.25 ? st->red : s > 0.1 ? st->yellow : "";
        printf("%s%6.1f %%%s  %13s  %4u  %.*s\n", color, 100 * s, st->off, ratio, line, (int)(code.n > 100 ? 100 : code.n), code.s);
    }
}

// ---- the command

static void print_text(const cli_options *o, const hone_outcome *out, const hone_task *shown, const json_t *device) {
    cli_style st = cli_style_for(o, stdout);
    const json_t *size = first_size(out), *launch;
    size_t i;
    printf("%s%s on %s: modelled on the virtual GPU, error band ±%.0f %%%s\n", st.dim, shown->path, text(device, "name"), 100 * out->error_band, st.off);
    json_array_foreach(json_object_get(size, "launches"), i, launch) print_launch(launch, &st);
    print_lines(json_object_get(out->json, "lines"), shown->text, &st);
}

static json_t *profile_json(const hone_outcome *out, const hone_task *shown, const json_t *device) {
    json_t *j = json_pack("{s:s, s:s, s:O}", "schema", "hone.profile/1", "path", shown->path, "device", device);
    static const char *const keys[] = {"time", "model", "lines", "compile"};
    for (size_t i = 0; i < HONE_COUNT(keys); i++)
        if (json_object_get(out->json, keys[i]))
            json_object_set(j, keys[i], json_object_get(out->json, keys[i]));
    return j;
}

static int profile(const cli_options *o, const hone_task *task, const hone_task *candidate, hone_pool *pool) {
    hone_err e = {0};
    hone_job j = {.id = 1, .task_path = task->path, .task_text = task->text, .candidate_text = candidate ? candidate->text : NULL, .tuning = o->params,
                  .n_tuning = o->n_params, .seed = o->has_seed ? o->seed : 1, .time_limit_s = o->limit_s,
                  .stages = HONE_STAGE_STATIC | HONE_STAGE_COMPILE | HONE_STAGE_PROFILE};
    hone_outcome *out = NULL;
    if (cli_evaluate(pool, &j, &out, &e) != HONE_OK)
        return cli_error(o, &e);
    int code = EXIT_FINE;
    const hone_task *shown = candidate ? candidate : task;
    if (out->verdict != HONE_PASS || !first_size(out)) {
        cli_style st = cli_style_for(o, stderr);
        fprintf(stderr, "error: cannot profile '%s'\n", shown->path);
        cli_print_findings(out, &st, stderr);
        const char *why = text(json_object_get(out->json, "error"), "message");
        if (*why)
            fprintf(stderr, "  %s\n", why);
        code = EXIT_WRONG;
    } else if (o->json) {
        cli_print_json(profile_json(out, shown, hone_pool_device(pool)));
    } else {
        print_text(o, out, shown, hone_pool_device(pool));
    }
    hone_outcome_free(out);
    return code;
}

int cmd_profile(const cli_options *o) {
    hone_err e = {0};
    if (o->n_args < 1 || o->n_args > 2) {
        hone_fail(&e, HONE_E_USAGE, 0, "'hone profile' needs a task file and at most one candidate");
        hone_hint(&e, "hone profile TASK.cu");
        return cli_error(o, &e);
    }
    hone_task *task = NULL, *candidate = NULL;
    hone_pool *pool = NULL;
    hone_code c = cli_load_task(o->args[0], &task, &e);
    if (c == HONE_OK && o->n_args == 2)
        c = cli_load_task(o->args[1], &candidate, &e);
    if (c == HONE_OK)
        c = cli_open_pool(o, 1, &pool, &e);
    int code = c == HONE_OK ? profile(o, task, candidate, pool) : cli_error(o, &e);
    if (pool)
        hone_pool_close(pool);
    hone_task_free(candidate);
    hone_task_free(task);
    return code;
}
