// report/document: the search's result as one JSON document, "hone.result/1" (report.h lists its members). It holds texts and the workers'
// own messages, so that every other rendering needs nothing else.
#include "report/internal.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

// One failed member makes the whole document fail: `failed` is looked at once, at the end.
typedef struct builder {
    const hone_report_input *in;
    const hone_search_result *r;
    json_t *baseline_outcome, *best_outcome;   // parsed; NULL when there are none
    bool failed;
} builder;

static void put(builder *b, json_t *o, const char *key, json_t *stolen) {
    if (json_object_set_new(o, key, stolen) != 0)
        b->failed = true;
}

static void append(builder *b, json_t *list, json_t *stolen) {
    if (json_array_append_new(list, stolen) != 0)
        b->failed = true;
}

static void put_number(builder *b, json_t *o, const char *key, double v) {
    if (isfinite(v))
        put(b, o, key, json_real(v));
}

static void put_count(builder *b, json_t *o, const char *key, uint64_t v) { put(b, o, key, json_integer((json_int_t)v)); }

// Any bytes as a JSON string: what is no UTF-8 becomes U+FFFD, byte by byte above 0x7f.
static json_t *string_json(const char *s, size_t n) {
    json_t *j = json_stringn(s, n);
    if (j)
        return j;
    hone_str safe;
    hone_str_init(&safe, 3 * HONE_SOURCE_MAX);
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)s[i] < 0x80)
            hone_str_addc(&safe, s[i]);
        else
            hone_str_add(&safe, "\xef\xbf\xbd");
    }
    if (!safe.failed)
        j = json_stringn(safe.s, safe.len);
    hone_str_free(&safe);
    return j;
}

static void put_text(builder *b, json_t *o, const char *key, const char *s) {
    if (s)
        put(b, o, key, string_json(s, strlen(s)));
}

static json_t *tuning_json(builder *b, const hone_candidate *c) {
    json_t *o = json_object();
    for (size_t i = 0; i < c->n_tuning; i++)
        put(b, o, c->tuning[i].name, json_integer(c->tuning[i].value));
    return o;
}

// ---- parts

static json_t *sizes_json(builder *b, const hone_task *t) {
    json_t *all = json_array();
    for (size_t i = 0; i < t->n_sizes; i++) {
        json_t *one = json_object();
        for (size_t k = 0; k < t->sizes[i].n; k++)
            put(b, one, t->sizes[i].v[k].name, json_integer(t->sizes[i].v[k].value));
        append(b, all, one);
    }
    return all;
}

static json_t *task_json(builder *b) {
    static const char *const objectives[] = {"time", "energy", "edp"};
    const hone_task *t = b->in->task;
    json_t *o = json_object();
    put_text(b, o, "path", t->path);
    put_text(b, o, "name", t->name);
    put_text(b, o, "hash", t->hash);
    put_text(b, o, "objective", objectives[t->objective]);
    put(b, o, "sizes", sizes_json(b, t));
    put_count(b, o, "launches", t->n_launches);
    return o;
}

static json_t *versions_json(builder *b) {
    static const char *const builds[] = {"driver_build", "nvrtc_build"};
    json_t *o = json_object();
    put_text(b, o, "hone", HONE_VERSION);
    put_text(b, o, "driver", hone_doc_text(b->in->device, "driver"));
    put_text(b, o, "nvrtc", hone_doc_text(b->in->device, "nvrtc"));
    for (size_t i = 0; i < HONE_COUNT(builds); i++)
        if (*hone_doc_text(b->in->device, builds[i]))
            put_text(b, o, builds[i], hone_doc_text(b->in->device, builds[i]));
    return o;
}

// Per run, in terms of the baseline's, which was measured beside it.
static void put_energy(builder *b, json_t *o, const hone_timing *t) {
    if (t->paired_us > 0)
        put_number(b, o, "paired_us", t->paired_us);
    if (!t->has_energy)
        return;
    put_number(b, o, "energy_mj", t->energy_mj);
    put_number(b, o, "energy_lo_mj", t->energy_lo_mj);
    put_number(b, o, "energy_hi_mj", t->energy_hi_mj);
}

static void put_timing(builder *b, json_t *o, const hone_timing *t) {
    put_number(b, o, "time_us", t->time_us);
    put_number(b, o, "lo_us", t->lo_us);
    put_number(b, o, "hi_us", t->hi_us);
    put(b, o, "modelled", json_boolean(t->modelled));
    put_number(b, o, "error_band", t->error_band);
    put_number(b, o, "cost", t->cost);
    put_energy(b, o, t);
}

static void put_resources(builder *b, json_t *o, const json_t *outcome) {
    static const char *const keys[] = {"registers", "spill_bytes", "static_shared_bytes"};
    const json_t *compile = json_object_get(outcome, "compile");
    for (size_t i = 0; i < HONE_COUNT(keys); i++)
        if (hone_doc_has_number(compile, keys[i]))
            put(b, o, keys[i], json_incref(json_object_get(compile, keys[i])));
    hone_profile p;
    hone_profile_read(outcome, &p);
    if (!p.has)
        return;
    put_text(b, o, "bottleneck", p.bottleneck);
    put_number(b, o, "occupancy", p.occupancy);
    put_number(b, o, "dram_bytes", p.dram_bytes);
    put_number(b, o, "flops", p.flops_fp32 + p.flops_fp64 + p.flops_fp16 + p.flops_tensor);
}

static json_t *arm_json(builder *b, const hone_search_entry *x, const json_t *outcome) {
    json_t *o = json_object();
    put_count(b, o, "id", x->candidate->id);
    if (x->candidate->ok)
        put_timing(b, o, &x->timing);
    put_text(b, o, "verdict", x->candidate->ok ? "pass" : "fail");
    put_text(b, o, "ptx_hash", x->ptx_hash);
    put_resources(b, o, outcome);
    return o;
}

static json_t *diff_json(builder *b, const char *from, const char *to) {
    hone_line_diff d;
    if (hone_line_diff_make(from, to, &d, NULL) != HONE_OK) {
        b->failed = true;
        return json_object();
    }
    json_t *o = json_object();
    put_count(b, o, "added", d.added);
    put_count(b, o, "removed", d.removed);
    hone_line_diff_free(&d);
    return o;
}

static json_t *best_json(builder *b) {
    const hone_search_entry *x = b->r->best;
    if (!x)
        return json_null();
    const hone_candidate *c = x->candidate;
    json_t *o = arm_json(b, x, b->best_outcome), *moves = json_array();
    put_text(b, o, "hash", c->hash);
    put(b, o, "tuning", tuning_json(b, c));
    put_text(b, o, "proposer", c->proposer);
    put_text(b, o, "move", c->move);
    put_text(b, o, "note", c->note);
    for (size_t i = b->r->n_lineage; i-- > 0;)
        if (b->r->lineage[i]->candidate->move && b->r->lineage[i]->candidate->id)
            append(b, moves, json_string(b->r->lineage[i]->candidate->move));
    put(b, o, "moves", moves);
    put(b, o, "diff", diff_json(b, b->in->task->text, c->text));
    return o;
}

// ---- lists

static json_t *candidate_json(builder *b, const hone_search_entry *x, uint64_t evaluation) {
    const hone_candidate *c = x->candidate;
    json_t *o = json_object(), *parents = json_array();
    put_count(b, o, "id", c->id);
    put_count(b, o, "evaluation", evaluation);
    put_count(b, o, "generation", x->generation);
    for (unsigned i = 0; i < c->n_parents; i++)
        append(b, parents, json_integer((json_int_t)c->parents[i]));
    put(b, o, "parents", parents);
    put_text(b, o, "proposer", c->proposer);
    put_text(b, o, "move", c->move);
    put_text(b, o, "note", c->note);
    put(b, o, "tuning", tuning_json(b, c));
    put_text(b, o, "hash", c->hash);
    put_text(b, o, "ptx_hash", x->ptx_hash);
    put_text(b, o, "verdict", x->duplicate ? "duplicate" : c->ok ? "pass" : "fail");
    if (x->duplicate)
        put_count(b, o, "duplicate_of", x->duplicate_of);
    if (c->ok) {
        put_number(b, o, "time_us", c->time_us);
        put_number(b, o, "cost", c->cost);
        put_energy(b, o, &x->timing);
        if (x->too_slow)
            put(b, o, "too_slow", json_true());
        if (x->screened)
            put(b, o, "predicted", json_true());
    }
    if (x->finding_kind) {
        json_t *f = json_object();
        put_text(b, f, "kind", x->finding_kind);
        put_text(b, f, "message", x->finding_message ? x->finding_message : "");
        put(b, o, "finding", f);
    }
    put_number(b, o, "seconds", x->seconds);
    return o;
}

static json_t *candidates_json(builder *b) {
    json_t *list = json_array();
    uint64_t evaluation = 0;
    for (size_t i = 0; i < b->r->n_entries; i++) {
        const hone_search_entry *x = b->r->entries[i];
        evaluation += x->candidate->id != 0 && !x->duplicate;   // as the search counts: the baseline is evaluation 0
        append(b, list, candidate_json(b, x, evaluation));
    }
    return list;
}

static json_t *lineage_json(builder *b) {
    json_t *list = json_array();
    double parent_cost = 0;
    for (size_t i = b->r->n_lineage; i-- > 0;) {
        const hone_search_entry *x = b->r->lineage[i];
        const hone_candidate *c = x->candidate;
        json_t *o = json_object();
        put_count(b, o, "id", c->id);
        put_text(b, o, "proposer", c->proposer);
        put_text(b, o, "move", c->move);
        put_text(b, o, "note", c->note);
        if (c->ok) {
            put_number(b, o, "time_us", c->time_us);
            if (parent_cost > 0)
                put_number(b, o, "gain", parent_cost / c->cost);
            parent_cost = c->cost;
        }
        append(b, list, o);
    }
    return list;
}

static json_t *convergence_json(builder *b) {
    json_t *list = json_array();
    for (size_t i = 0; i < b->r->n_convergence; i++) {
        const hone_convergence *c = &b->r->convergence[i];
        json_t *o = json_object();
        put_count(b, o, "evaluation", c->evaluation);
        put_count(b, o, "id", c->id);
        put_number(b, o, "time_us", c->time_us);
        put_number(b, o, "elapsed_s", c->elapsed_s);
        if (c->gpu_s > 0)
            put_number(b, o, "gpu_s", c->gpu_s);
        append(b, list, o);
    }
    return list;
}

static json_t *moves_json(builder *b) {
    json_t *list = json_array();
    for (size_t i = 0; i < b->r->n_moves; i++) {
        const hone_move_stats *m = &b->r->moves[i];
        if (!m->tried)
            continue;
        json_t *o = json_object();
        put_text(b, o, "proposer", m->proposer);
        put_text(b, o, "move", m->move);
        put_count(b, o, "tried", m->tried);
        put_count(b, o, "evaluated", m->evaluated);
        put_count(b, o, "passed", m->passed);
        put_count(b, o, "improved", m->improved);
        put_count(b, o, "best", m->best);
        put_number(b, o, "gain_log_sum", m->gain_log_sum);
        append(b, list, o);
    }
    return list;
}

static json_t *findings_json(builder *b) {
    json_t *list = json_array();
    for (size_t i = 0; i < b->r->n_findings; i++) {
        const hone_finding_count *f = &b->r->findings[i];
        json_t *o = json_object();
        put_text(b, o, "kind", f->kind);
        put_count(b, o, "count", f->count);
        for (size_t k = 0; k < b->r->n_entries; k++) {
            const hone_search_entry *x = b->r->entries[k];
            if (!x->finding_kind || x->duplicate || strcmp(x->finding_kind, f->kind) != 0)
                continue;
            json_t *example = json_object();
            put_count(b, example, "id", x->candidate->id);
            put_text(b, example, "message", x->finding_message ? x->finding_message : "");
            put(b, o, "example", example);
            break;
        }
        append(b, list, o);
    }
    return list;
}

static json_t *budgets_json(builder *b) {
    json_t *o = json_object();
    if (b->in->evals)
        put_count(b, o, "evals", b->in->evals);
    if (b->in->time_s > 0)
        put_number(b, o, "time_s", b->in->time_s);
    if (b->in->patience)
        put_count(b, o, "patience", b->in->patience);
    put_count(b, o, "batch", b->in->batch ? b->in->batch : 4);   // 4: the search's default
    return o;
}

// ---- the whole

static void put_counts(builder *b, json_t *o) {
    const hone_search_result *r = b->r;
    put_count(b, o, "evaluations", r->evaluations);
    put_count(b, o, "refused", r->refused);
    put(b, o, "duplicates", json_pack("{s:i,s:i}", "source", (int)r->duplicates_source, "ptx", (int)r->duplicates_ptx));
    put_count(b, o, "generations", r->generations);
    put_number(b, o, "seconds", r->seconds);
    put_number(b, o, "seconds_evaluating", r->seconds_evaluating);
    put_number(b, o, "seconds_searching", r->seconds_searching);
    put_text(b, o, "stopped", hone_stop_name(r->stop));
    put(b, o, "resumed", json_boolean(r->resumed));
    put_count(b, o, "replayed", r->replayed);
    put_text(b, o, "warning", r->warning);
}

// Shares of the time after warm-up; see docs/measuring.md.
static json_t *gpu_json(builder *b) {
    const hone_gpu_usage *u = b->in->usage;
    json_t *o = json_object();
    put_count(b, o, "devices", u->devices);
    put_count(b, o, "jobs", u->jobs);
    put_number(b, o, "seconds", b->r->gpu_s);
    put_number(b, o, "seconds_to_best", b->r->gpu_to_best_s);
    put_number(b, o, "seconds_here", u->total_s);
    if (u->wall_s > 0) {
        put_number(b, o, "wall_s", u->wall_s);
        put_number(b, o, "busy", u->busy_s / u->wall_s);
        put_number(b, o, "active", u->active_s / u->wall_s);
    }
    return o;
}

static json_t *screen_json(builder *b) {
    const hone_search_result *r = b->r;
    json_t *o = json_object();
    put_count(b, o, "measured", r->screen_measured);
    put_count(b, o, "at_random", r->screen_at_random);
    put_count(b, o, "left_out", r->screen_left_out);
    put_number(b, o, "rank_correlation", r->screen_rank_correlation);
    put_number(b, o, "agreement", r->screen_agreement);
    put_number(b, o, "spread", r->screen_spread);
    put_number(b, o, "share", r->screen_share);
    return o;
}

// The speedup's worst and best case: as hone_compare_timings judges it.
static void put_verdict(builder *b, json_t *o) {
    const hone_search_result *r = b->r;
    char name[16];
    snprintf(name, sizeof name, "%s", hone_compare_name(r->best ? r->verdict : HONE_CMP_NONE));
    for (char *p = name; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    put_text(b, o, "verdict", name);
    put_number(b, o, "speedup", r->speedup);
    if (r->best && r->baseline) {
        double lo, hi;
        hone_compare_bounds(&r->baseline->timing, &r->best->timing, &lo, &hi);
        put_number(b, o, "speedup_lo", lo);
        put_number(b, o, "speedup_hi", hi);
    }
    put(b, o, "confirmed", json_boolean(r->confirmed));
    put(b, o, "confirmations", json_pack("{s:i,s:i}", "tried", (int)r->confirmations, "failed", (int)r->confirmations_failed));
}

static json_t *texts_json(builder *b) {
    json_t *o = json_object();
    put(b, o, "task", string_json(b->in->task->text, b->in->task->len));
    if (b->r->best)
        put_text(b, o, "best", b->r->best->candidate->text);
    return o;
}

static json_t *outcomes_json(builder *b) {
    json_t *o = json_object();
    if (b->baseline_outcome)
        put(b, o, "baseline", json_incref(b->baseline_outcome));
    if (b->best_outcome)
        put(b, o, "best", json_incref(b->best_outcome));
    return o;
}

static json_t *archive_json(const hone_report_input *in) {
    const hone_store_chain *k = in->chain;
    json_t *o = json_pack("{s:I,s:I,s:s,s:s,s:b}", "run", (json_int_t)in->run, "rows", (json_int_t)k->rows, "head", k->head, "digest", k->digest, "intact",
                          (int)!k->broken);
    if (o && k->broken)
        json_object_set_new(o, "broken_at", json_integer((json_int_t)k->broken_seq));
    return o;
}

static void fill(builder *b, json_t *o) {
    const char *kind = hone_doc_text(b->in->device, "kind");
    put_text(b, o, "schema", HONE_RESULT_SCHEMA);
    put(b, o, "versions", versions_json(b));
    put_text(b, o, "command", b->in->command ? b->in->command : "");
    put_count(b, o, "seed", b->in->seed);
    put_text(b, o, "kind", *kind ? kind : "physical");
    put(b, o, "device", json_deep_copy(b->in->device));
    put(b, o, "task", task_json(b));
    put(b, o, "baseline", b->r->baseline ? arm_json(b, b->r->baseline, b->baseline_outcome) : json_null());
    put(b, o, "best", best_json(b));
    put_verdict(b, o);
    put_counts(b, o);
    put(b, o, "budgets", budgets_json(b));
    if (b->in->usage && b->in->usage->devices)
        put(b, o, "gpu", gpu_json(b));
    put(b, o, "energy", hone_report_energy(b->in, b->baseline_outcome));
    if (b->r->screened)
        put(b, o, "screen", screen_json(b));
    if (b->in->chain)
        put(b, o, "archive", archive_json(b->in));
    if (b->in->model)
        put(b, o, "model", json_deep_copy(b->in->model));
    put(b, o, "lineage", lineage_json(b));
    put(b, o, "convergence", convergence_json(b));
    put(b, o, "moves", moves_json(b));
    put(b, o, "findings", findings_json(b));
    put(b, o, "candidates", candidates_json(b));
    put(b, o, "outcomes", outcomes_json(b));
    put(b, o, "texts", texts_json(b));
}

static json_t *parsed(const char *json) { return json ? json_loads(json, 0, NULL) : NULL; }

json_t *hone_report_json(const hone_report_input *in) {
    builder b = {.in = in, .r = in->result, .baseline_outcome = parsed(in->result->baseline_outcome_json),
                 .best_outcome = parsed(in->result->best_outcome_json)};
    json_t *o = json_object();
    if (o)
        fill(&b, o);
    json_decref(b.baseline_outcome);
    json_decref(b.best_outcome);
    if (o && b.failed) {
        json_decref(o);
        o = NULL;
    }
    return o;
}
