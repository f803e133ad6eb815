// report/energy: what a run found out about energy, as the result document's member "energy": the front of time and energy, what the search itself took,
// and after how many runs of the plan the best has saved that. Nothing is claimed that an interval does not carry.
#include "report/internal.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static double time_of(const hone_search_entry *x) { return x->timing.paired_us > 0 ? x->timing.paired_us : x->timing.time_us; }

static bool counts(const hone_search_entry *x) { return x->candidate->ok && !x->duplicate && !x->screened && x->timing.has_energy; }

static bool dominated(const hone_search_result *r, const hone_search_entry *x) {
    for (size_t i = 0; i < r->n_entries; i++) {
        const hone_search_entry *y = r->entries[i];
        if (!counts(y) || y == x || time_of(y) > time_of(x) || y->timing.energy_mj > x->timing.energy_mj)
            continue;
        if (time_of(y) < time_of(x) || y->timing.energy_mj < x->timing.energy_mj || y->candidate->id < x->candidate->id)
            return true;
    }
    return false;
}

static int by_time(const void *a, const void *b) {
    double x = time_of(*(const hone_search_entry *const *)a), y = time_of(*(const hone_search_entry *const *)b);
    return (x > y) - (x < y);
}

// Those that no other beats in both; fastest first. By medians: two neighbours may be equal within their intervals.
static json_t *front_json(const hone_search_result *r) {
    const hone_search_entry **v = hone_calloc(r->n_entries + 1, sizeof *v);
    json_t *list = json_array();
    size_t n = 0;
    for (size_t i = 0; v && i < r->n_entries; i++)
        if (counts(r->entries[i]) && !dominated(r, r->entries[i]))
            v[n++] = r->entries[i];
    if (v)
        qsort(v, n, sizeof *v, by_time);
    for (size_t i = 0; i < n; i++) {
        const hone_timing *t = &v[i]->timing;
        json_array_append_new(list, json_pack("{s:I,s:f,s:f,s:f,s:f}", "id", (json_int_t)v[i]->candidate->id, "time_us", time_of(v[i]), "energy_mj",
                                              t->energy_mj, "lo_mj", t->energy_lo_mj, "hi_mj", t->energy_hi_mj));
    }
    hone_free(v);
    return list;
}

static json_t *search_json(const hone_report_input *in) {
    const hone_search_result *r = in->result;
    if (r->has_energy_j)
        return json_pack("{s:f,s:b,s:b}", "joules", r->energy_j, "idle_included", true, "partial", r->energy_partial);
    return json_pack("{s:s}", "reason", "NVML has no energy counter for every device of this run");
}

// Joules of the search over joules saved per run. Fewest and most: at the ends of the saving's interval.
static json_t *payback_json(const hone_search_result *r) {
    const hone_timing *a = r->baseline ? &r->baseline->timing : NULL, *b = r->best ? &r->best->timing : NULL;
    if (!r->has_energy_j || !b || !a->has_energy || !b->has_energy)
        return NULL;
    double saved = a->energy_mj - b->energy_mj, least = a->energy_mj - b->energy_hi_mj, most = a->energy_mj - b->energy_lo_mj;
    json_t *o = json_pack("{s:f,s:f,s:f}", "saved_mj", saved, "saved_lo_mj", least, "saved_hi_mj", most);
    if (least > 0 && r->confirmed) {
        json_object_set_new(o, "runs", json_real(1e3 * r->energy_j / saved));
        json_object_set_new(o, "runs_lo", json_real(1e3 * r->energy_j / most));
        json_object_set_new(o, "runs_hi", json_real(1e3 * r->energy_j / least));
    } else {
        json_object_set_new(o, "reason", json_string(!r->confirmed ? "the best is not confirmed yet"
                                                     : most > 0    ? "the saving's interval holds zero: it may be none"
                                                                   : "the best needs more energy than the baseline"));
    }
    return o;
}

json_t *hone_report_energy(const hone_report_input *in, const json_t *baseline_outcome) {
    const hone_search_result *r = in->result;
    bool is_virtual = !strcmp(hone_doc_text(in->device, "kind"), "virtual"), measured = r->baseline && r->baseline->timing.has_energy;
    const json_t *told = json_object_get(baseline_outcome, "energy");
    const char *why = is_virtual ? "the virtual GPU has no energy model" : !in->energy_asked ? "not asked for" : hone_doc_text(told, "reason");
    json_t *o = json_pack("{s:s,s:b}", "kind", measured ? "measured" : "absent", "asked", in->energy_asked);
    if (!measured)
        json_object_set_new(o, "reason", json_string(*why ? why : "it was not measured"));
    if (is_virtual)
        return o;
    json_object_set_new(o, "search", search_json(in));
    if (!measured)
        return o;
    json_object_set(o, "source", json_object_get(told, "source"));
    json_object_set_new(o, "front", front_json(r));
    json_t *payback = payback_json(r);
    if (payback)
        json_object_set_new(o, "payback", payback);
    return o;
}
