// hone bench: times candidates against the task's baseline, in one session.
#include "cli/cli.h"
#include "search/search.h"
#include <string.h>

typedef struct row { const char *path; hone_outcome *o; } row;

static hone_timing timing_of(const hone_outcome *o) {
    return (hone_timing){o->time_us, o->time_lo_us, o->time_hi_us, o->time_is_modelled, o->error_band, o->time_us};
}

static const char *verdict(const row *base, const row *r) {
    if (r->o->verdict != HONE_PASS || !r->o->has_time)
        return r->o->verdict == HONE_FAIL ? "refused" : "error";
    if (r == base)
        return "baseline";
    hone_timing b = timing_of(base->o), c = timing_of(r->o);
    return hone_compare_name(hone_compare_timings(&b, &c));
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
            continue;
        }
        snprintf(range, sizeof range, "%s … %s", cli_time_text(o->time_lo_us, lo), cli_time_text(o->time_hi_us, hi));
        // the µ and … of the columns take more bytes than columns
        printf("%-32s %*s  %-*s %7.2f×  %s\n", hone_path_base(rows[i].path), strstr(cli_time_text(o->time_us, t), "µ") ? 13 : 12, t,
               25 + (strstr(range, "µ") ? 1 : 0) + (strstr(hi, "µ") && strstr(lo, "µ") ? 1 : 0), range,
               rows[0].o->has_time ? rows[0].o->time_us / o->time_us : 0.0, verdict(&rows[0], &rows[i]));
    }
}

static json_t *row_json(const row *base, const row *r) {
    const hone_outcome *o = r->o;
    json_t *j = json_pack("{s:s, s:s, s:o}", "path", r->path, "verdict", verdict(base, r), "findings", cli_findings_json(o));
    if (o->has_time) {
        json_object_set_new(j, "time_us", json_real(o->time_us));
        json_object_set_new(j, "lo_us", json_real(o->time_lo_us));
        json_object_set_new(j, "hi_us", json_real(o->time_hi_us));
        json_object_set_new(j, "kind", json_string(o->time_is_modelled ? "modelled" : "measured"));
        json_object_set_new(j, "speedup", json_real(base->o->has_time ? base->o->time_us / o->time_us : 0));
    }
    json_t *time = json_object_get(o->json, "time");
    if (time)
        json_object_set(j, "detail", time);
    return j;
}

static int print_rows(const cli_options *opt, const row *rows, size_t n, const hone_pool *pool) {
    bool all = true;
    for (size_t i = 0; i < n; i++)
        all &= rows[i].o->verdict == HONE_PASS;
    if (opt->json) {
        json_t *list = json_array();
        for (size_t i = 0; i < n; i++)
            json_array_append_new(list, row_json(&rows[0], &rows[i]));
        cli_print_json(json_pack("{s:s, s:O, s:o}", "schema", "hone.bench/1", "device", hone_pool_device(pool), "rows", list));
    } else {
        print_table(opt, rows, n, hone_pool_device(pool));
    }
    return all ? EXIT_FINE : EXIT_WRONG;
}

static hone_code time_one(const cli_options *opt, hone_pool *pool, const hone_task *task, const char *path, uint64_t id, row *out, hone_err *e) {
    hone_task *candidate = NULL;
    if (id)
        HONE_TRY(cli_load_task(path, &candidate, e));
    hone_job j = {.id = id, .task_path = task->path, .task_text = task->text, .candidate_text = candidate ? candidate->text : NULL,
                  .tuning = opt->params, .n_tuning = id ? opt->n_params : 0, .seed = opt->has_seed ? opt->seed : 1, .stages = HONE_STAGE_ALL,
                  .time_limit_s = opt->limit_s > 0 ? opt->limit_s : 300};
    *out = (row){.path = path};
    hone_code c = cli_evaluate(pool, &j, &out->o, e);
    hone_task_free(candidate);
    return c;
}

int cmd_bench(const cli_options *o) {
    hone_err e = {0};
    if (o->n_args < 1) {
        hone_fail(&e, HONE_E_USAGE, 0, "'hone bench' needs a task file");
        return cli_error(o, &e);
    }
    row rows[CLI_MAX_ARGS] = {{0}};
    size_t n = 0;
    hone_task *task = NULL;
    hone_pool *pool = NULL;
    hone_code c = cli_load_task(o->args[0], &task, &e);
    if (c == HONE_OK)
        c = cli_open_pool(o, 1, &pool, &e);
    for (; c == HONE_OK && n < o->n_args; n += c == HONE_OK)
        c = time_one(o, pool, task, o->args[n], n, &rows[n], &e);
    int code = c == HONE_OK ? print_rows(o, rows, n, pool) : cli_error(o, &e);
    for (size_t i = 0; i < n; i++)
        hone_outcome_free(rows[i].o);
    if (pool)
        hone_pool_close(pool);
    hone_task_free(task);
    return code;
}
