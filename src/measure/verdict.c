// What measurements mean: FAST, SLOW, SAME or AMBIGUOUS; the roofline floor; and the JSON form of a paired measurement.
#include "measure/measure.h"
#include <math.h>

const char *hone_speed_name(hone_speed s) {
    static const char *const names[] = {"FAST", "SLOW", "SAME", "AMBIGUOUS"};
    return names[s];
}

hone_speed hone_speed_of(const hone_interval *r) {
    if (r->lo > 1.005)
        return HONE_FAST;
    if (r->hi < 0.995)
        return HONE_SLOW;
    return r->lo >= 0.995 && r->hi <= 1.005 ? HONE_SAME : HONE_AMBIGUOUS;
}

hone_speed hone_speed_modelled(double base_us, double us, double error_band) {
    if (!(base_us > 0) || !(us > 0))
        return HONE_AMBIGUOUS;
    double ratio = base_us / us;
    if (fabs(ratio - 1) <= 0.005)
        return HONE_SAME;
    if (ratio > 1 + error_band)
        return HONE_FAST;
    return ratio < 1 / (1 + error_band) ? HONE_SLOW : HONE_AMBIGUOUS;
}

double hone_floor_us(const hone_plan *p, const hone_device_info *d) {
    if (!p->has_bytes || !d->has_bandwidth || !(d->bandwidth_gbs > 0))
        return 0;
    return p->bytes_moved / (d->bandwidth_gbs * 1e9) * 1e6;
}

static json_t *interval_json(const hone_interval *i) { return json_pack("{s:f,s:f,s:f}", "lo", i->lo, "median", i->mid, "hi", i->hi); }

static json_t *samples_json(const double *v, size_t n) {
    json_t *a = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(a, json_real(v[i]));
    return a;
}

json_t *hone_pair_json(const hone_pair *p, bool with_samples) {
    bool paired = p->b.mid > 0;
    json_t *o = json_pack("{s:i,s:i,s:i,s:o}", "samples", (int)p->n, "discarded", (int)p->discarded, "batch", (int)p->batch, "a_us",
                          interval_json(&p->a));
    if (!o)
        return NULL;
    json_object_set_new(o, "l2", json_string(p->warm ? "warm" : "cold"));
    json_object_set_new(o, "form", json_string(p->graph ? "graph" : p->batch > 1 ? "batch" : "launch"));
    if (paired) {
        json_object_set_new(o, "b_us", interval_json(&p->b));
        json_object_set_new(o, "ratio", interval_json(&p->ratio));
        json_object_set_new(o, "speed", json_string(hone_speed_name(hone_speed_of(&p->ratio))));
    }
    if (p->raced_out)
        json_object_set_new(o, "raced_out", json_true());
    if (p->extended)
        json_object_set_new(o, "extended", json_true());
    if (p->capped)
        json_object_set_new(o, "power_capped", json_integer(p->capped));
    if (p->has_clock_mhz)
        json_object_set_new(o, "clock_mhz", json_pack("[ff]", p->clock_mhz_lo, p->clock_mhz_hi));
    if (p->has_temperature_c)
        json_object_set_new(o, "temperature_c", json_integer(p->temperature_c));
    if (p->event_to_wall > 0)
        json_object_set_new(o, "event_to_wall", json_real(p->event_to_wall));
    if (with_samples) {
        json_object_set_new(o, "a_samples_us", samples_json(p->a_us, p->n));
        if (paired)
            json_object_set_new(o, "b_samples_us", samples_json(p->b_us, p->n));
    }
    return o;
}
