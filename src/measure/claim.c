// The control, sizes together, and an outcome's `time`. See claim.h.
#include "measure/claim.h"
#include <math.h>

enum { CONTROL_FIRST = 40, CONTROL_MOST = 640 };
static const double control_bound = 0.002;

// ---- control

hone_control hone_control_of(const hone_pair *p) {
    bool off = fabs(log(p->ratio.mid)) > control_bound, certain = p->ratio.lo > 1 || p->ratio.hi < 1;
    return (hone_control){p->ratio.lo, p->ratio.mid, p->ratio.hi, (unsigned)p->n, off && certain};
}

// A search ranks and stops when the ratio is known closely enough; what it finds is confirmed with a control in full.
static hone_code control_once(const hone_arm *a, const hone_pair_config *c, unsigned samples, hone_control *out, hone_err *e) {
    hone_arm same = *a;
    hone_pair_config cfg = *c;
    hone_pair p;
    cfg.samples = samples;
    cfg.race_ratio = 0;
    cfg.leave_outputs = false;
    HONE_TRY(hone_measure_pair(a, &same, &cfg, &p, e));
    *out = hone_control_of(&p);
    hone_pair_free(&p);
    return HONE_OK;
}

hone_code hone_measure_control(const hone_arm *a, const hone_pair_config *c, hone_control *out, hone_err *e) {
    HONE_TRY(control_once(a, c, CONTROL_FIRST, out, e));
    double half = log(out->hi / out->lo) / 2, wanted = CONTROL_FIRST * (half / control_bound) * (half / control_bound);
    if (!(half > control_bound) || c->enough > 0)
        return HONE_OK;
    return control_once(a, c, wanted < CONTROL_MOST ? (unsigned)wanted + 1 : CONTROL_MOST, out, e);
}

double hone_control_doubt(const hone_control *c) { return c && c->is_void && c->median > 0 ? exp(10 * fabs(log(c->median))) : 1; }

json_t *hone_control_json(const hone_control *c) {
    return json_pack("{s:f,s:f,s:f,s:i,s:b}", "lo", c->lo, "median", c->median, "hi", c->hi, "samples", (int)c->samples, "void", (int)c->is_void);
}

// ---- sizes

hone_code hone_claim_open(hone_claim *c, hone_err *e) {
    *c = (hone_claim){.sizes = json_array(), .log_worst = INFINITY};
    return c->sizes ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for times");
}

void hone_claim_close(hone_claim *c) {
    json_decref(c->sizes);
    *c = (hone_claim){0};
}

static void add(hone_claim *c, double us, double lo, double hi, json_t *entry) {
    c->log_time += log(us);
    c->log_lo += log(lo);
    c->log_hi += log(hi);
    c->n++;
    json_array_append_new(c->sizes, entry);
}

void hone_claim_modelled(hone_claim *c, double time_us, double band, json_t *entry) {
    add(c, time_us, time_us / (1 + band), time_us * (1 + band), entry);
    c->band = band > c->band ? band : c->band;
}

void hone_claim_measured(hone_claim *c, const hone_pair *p, double doubt, json_t *entry) {
    add(c, p->b.mid, p->b.lo / doubt, p->b.hi * doubt, entry);
    c->paired = true;
    c->log_baseline += log(p->a.mid);
    c->log_ratio += log(p->ratio.mid);
    c->log_ratio_lo += log(p->ratio.lo / doubt);
    c->log_ratio_hi += log(p->ratio.hi * doubt);
    c->log_worst = fmin(c->log_worst, log(p->ratio.mid));
}

json_t *hone_claim_json(const hone_claim *c, const hone_control *control) {
    double n = c->n ? (double)c->n : 1;
    json_t *o = json_pack("{s:s,s:f,s:f,s:f,s:f,s:O}", "kind", c->paired ? "measured" : "modelled", "time_us", exp(c->log_time / n), "lo_us",
                          exp(c->log_lo / n), "hi_us", exp(c->log_hi / n), "error_band", c->band, "sizes", c->sizes);
    if (!o || !c->paired)
        return o;
    json_object_set_new(o, "baseline_us", json_real(exp(c->log_baseline / n)));
    json_object_set_new(o, "ratio", json_pack("{s:f,s:f,s:f,s:f}", "lo", exp(c->log_ratio_lo / n), "median", exp(c->log_ratio / n), "hi",
                                              exp(c->log_ratio_hi / n), "worst", exp(c->log_worst)));
    if (control)
        json_object_set_new(o, "control", hone_control_json(control));
    return o;
}
