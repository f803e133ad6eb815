// hone bench: times candidates against the task's baseline, in one session.
#include "cli/bench.h"
#include "search/search.h"
#include <string.h>

typedef cli_bench_row row;

// Against the baseline that was timed in turns with it, on the same device; modelled: against the one model.
static double speedup(const row *base, const row *r) {
    double beside = json_number_value(json_object_get(json_object_get(r->o->json, "time"), "baseline_us"));
    if (!r->o->has_time || !base->o->has_time)
        return 0;
    if (r != base && hone_timing_of(r->o).paired)
        return hone_timing_of(r->o).ratio;
    return (beside > 0 && r != base ? beside : base->o->time_us) / r->o->time_us;
}

static const char *verdict(const row *base, const row *r) {
    if (r->o->verdict != HONE_PASS || !r->o->has_time)
        return r->o->verdict == HONE_FAIL ? "refused" : "error";
    if (r == base)
        return "baseline";
    if (!base->o->has_time)
        return "no baseline";
    hone_timing b = hone_timing_of(base->o), c = hone_timing_of(r->o);
    c.cost = b.cost / speedup(base, r);
    return hone_compare_name(hone_compare_timings(&b, &c));
}

static void hint_contract(const hone_outcome *o, const char *task, const char *candidate) {
    for (size_t i = 0; i < o->n_findings; i++)
        if (!strcmp(o->findings[i].kind, "static.contract")) {
            printf("  hint: all are timed under the contract of '%s'; 'hone bench %s' times this one under its own\n", task, candidate);
            return;
        }
}

static void print_notes(const hone_outcome *o, const cli_style *st) {
    for (size_t i = 0; i < o->n_findings; i++)
        printf("  %snote: %s: %s%s\n", st->yellow, o->findings[i].kind, o->findings[i].message, st->off);
}

static void print_table(const cli_options *opt, const row *rows, size_t n, const json_t *device) {
    cli_style st = cli_style_for(opt, stdout);
    const char *name = json_string_value(json_object_get(device, "name"));
    bool modelled = rows[0].o->time_is_modelled;
    printf("%s%s, %s%s\n", st.dim, name ? name : "device", modelled ? "virtual: modelled time" : "physical: measured time", st.off);
    printf("%s%-32s %12s  %-23s %8s  %s%s\n", st.bold, "file", "time", modelled ? "model's error band" : "99 % interval", "speedup", "verdict", st.off);
    for (size_t i = 0; i < n; i++) {
        const hone_outcome *o = rows[i].o;
        char t[32], lo[32], hi[32], range[80];
        if (!o->has_time) {
            printf("%-32s %12s  %-23s %8s  %s%s%s\n", hone_path_base(rows[i].path), "-", "-", "-", st.red, verdict(&rows[0], &rows[i]), st.off);
            cli_print_findings(o, &st, stdout);
            cli_print_why(o);
            hint_contract(o, rows[0].path, rows[i].path);
            continue;
        }
        snprintf(range, sizeof range, "%s … %s", cli_time_text(o->time_lo_us, lo), cli_time_text(o->time_hi_us, hi));
        // the µ and … of the columns take more bytes than columns
        printf("%-32s %*s  %-*s %7.2f×  %s\n", hone_path_base(rows[i].path), strstr(cli_time_text(o->time_us, t), "µ") ? 13 : 12, t,
               25 + (strstr(range, "µ") ? 1 : 0) + (strstr(hi, "µ") && strstr(lo, "µ") ? 1 : 0), range,
               speedup(&rows[0], &rows[i]), verdict(&rows[0], &rows[i]));
        cli_bench_details(&rows[i], i == 0, &st);
        print_notes(o, &st);
    }
    cli_bench_ceilings(&rows[0], &st);
}

static json_t *row_json(const row *base, const row *r) {
    const hone_outcome *o = r->o;
    json_t *j = json_pack("{s:s, s:s, s:o}", "path", r->path, "verdict", verdict(base, r), "findings", cli_findings_json(o));
    if (o->has_time) {
        json_object_set_new(j, "time_us", json_real(o->time_us));
        json_object_set_new(j, "lo_us", json_real(o->time_lo_us));
        json_object_set_new(j, "hi_us", json_real(o->time_hi_us));
        json_object_set_new(j, "kind", json_string(o->time_is_modelled ? "modelled" : "measured"));
        json_object_set_new(j, "speedup", json_real(speedup(base, r)));
    }
    if (json_object_get(o->json, "error"))
        json_object_set(j, "error", json_object_get(o->json, "error"));
    json_t *time = json_object_get(o->json, "time");
    if (time)
        json_object_set(j, "detail", time);
    cli_bench_json(r, j);
    return j;
}

static int print_rows(const cli_options *opt, const row *rows, size_t n, const hone_pool *pool) {
    bool all = true, judged = true;
    for (size_t i = 0; i < n; i++) {
        all &= rows[i].o->verdict == HONE_PASS;
        judged &= rows[i].o->verdict != HONE_ERROR;
    }
    if (opt->json) {
        json_t *list = json_array();
        for (size_t i = 0; i < n; i++)
            json_array_append_new(list, row_json(&rows[0], &rows[i]));
        cli_print_json(json_pack("{s:s, s:O, s:o}", "schema", "hone.bench/1", "device", hone_pool_device(pool), "rows", list));
    } else {
        print_table(opt, rows, n, hone_pool_device(pool));
    }
    return all ? EXIT_FINE : judged ? EXIT_WRONG : EXIT_NO_DEVICE;
}

static double limit_of(const cli_options *o, const hone_task *task, double window_s) {
    return (o->limit_s > 0 ? o->limit_s : 300) + hone_job_energy_seconds(window_s, o->energy_blocks, task->n_sizes);
}

// The whole measurement once more, without the checks that the first one passed.
static hone_code repeat(const cli_options *opt, hone_pool *pool, hone_job *j, row *out, hone_err *e) {
    j->stages = HONE_STAGE_STATIC | HONE_STAGE_COMPILE | HONE_STAGE_TIME;
    j->want_ceilings = false;
    for (unsigned i = 1; i < opt->repeat && out->o->verdict == HONE_PASS; i++) {
        hone_outcome *again = NULL;
        HONE_TRY(cli_evaluate(pool, j, &again, e));
        if (again->verdict == HONE_PASS && again->has_time)
            out->repeats[out->n_repeats++] = (cli_bench_repeat){again->time_us, again->has_energy ? again->energy_mj : 0};
        hone_outcome_free(again);
    }
    return HONE_OK;
}

static hone_code time_one(const cli_options *opt, hone_pool *pool, const hone_task *task, const char *path, uint64_t id, row *out, hone_err *e) {
    hone_task *candidate = NULL;
    if (id)
        HONE_TRY(cli_load_task(path, &candidate, e));
    double window_s = opt->energy_window_s > 0 ? opt->energy_window_s : opt->energy || opt->energy_blocks ? 5 : 0;
    hone_job j = {.id = id, .task_path = task->path, .task_text = task->text, .candidate_text = candidate ? candidate->text : NULL,
                  .tuning = opt->params, .n_tuning = id ? opt->n_params : 0, .seed = opt->has_seed ? opt->seed : 1,
                  .stages = HONE_STAGE_ALL | HONE_STAGE_PROFILE, .time_limit_s = limit_of(opt, task, window_s), .want_ceilings = id == 0 && !opt->no_roofline,
                  .timing_warm = !opt->cache || strcmp(opt->cache, "cold") != 0, .energy_window_s = window_s, .energy_blocks = opt->energy_blocks};
    *out = (row){.path = path, .task = task};
    hone_code c = opt->repeat > CLI_BENCH_REPEATS ? hone_fail(e, HONE_E_LIMIT, 0, "at most %d repeats", CLI_BENCH_REPEATS) : HONE_OK;
    if (c == HONE_OK)
        c = cli_evaluate(pool, &j, &out->o, e);
    if (c == HONE_OK)
        c = repeat(opt, pool, &j, out, e);
    hone_task_free(candidate);
    return c;
}

int cmd_bench(const cli_options *o) {
    hone_err e = {0};
    if (o->n_args < 1) {
        hone_fail(&e, HONE_E_USAGE, 0, "'hone bench' needs a task file");
        return cli_error(o, &e);
    }
    static row rows[CLI_MAX_ARGS];
    size_t n = 0;
    hone_task *task = NULL;
    hone_pool *pool = NULL;
    hone_code c = cli_load_task(o->args[0], &task, &e);
    if (c == HONE_OK)
        c = cli_open_pool(o, 1, &pool, &e);
    for (; c == HONE_OK && n < o->n_args; n += c == HONE_OK)
        c = time_one(o, pool, task, o->args[n], n, &rows[n], &e);
    for (size_t i = 0; i < n; i++)
        cli_bench_derive(&rows[i], json_object_get(rows[0].o->json, "ceilings"));
    int code = c == HONE_OK ? print_rows(o, rows, n, pool) : cli_error(o, &e);
    for (size_t i = 0; i < n; i++)
        hone_outcome_free(rows[i].o);
    if (pool)
        hone_pool_close(pool);
    hone_task_free(task);
    return code;
}
