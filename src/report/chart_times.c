// report/chart_times: baseline and best as bars from zero, each with its interval (measured) or error band (modelled), and the samples when
// there are any. A linear scale from zero, because lengths are compared.
#include "report/internal.h"
#include <math.h>
#include <string.h>

enum { WIDTH = 1064, LEFT = 76, RIGHT = 190, ROW = 46, BAR = 20, TOP = 6 };

typedef struct row { const char *name, *fill, *stroke, *text; double us, lo, hi; const json_t *samples; } row;

static void put_samples(const row *r, const hone_axis *x, double y, hone_str *out) {
    size_t i;
    json_t *s;
    json_array_foreach((json_t *)(uintptr_t)r->samples, i, s) {
        double px = hone_axis_px(x, json_number_value(s));
        hone_str_addf(out, "<line class=%s stroke-opacity=.5 x1=%.1f x2=%.1f y1=%.1f y2=%.1f />", r->stroke, px, px, y + BAR + 3,
                      y + BAR + 9);
    }
}

static void put_row(const row *r, const hone_axis *x, int i, hone_str *out) {
    char t[HONE_TEXT], lo[HONE_TEXT], hi[HONE_TEXT];
    double y = TOP + i * ROW + 8, mid = y + BAR / 2.0, from = hone_axis_px(x, 0), a = hone_axis_px(x, r->lo), b = hone_axis_px(x, r->hi);
    hone_str_addf(out, "<text class=%s x=%d y=%.1f text-anchor=end>%s</text>", r->text, LEFT - 12, mid + 4, r->name);
    hone_str_addf(out, "<rect class=%s x=%.1f y=%.1f width=%.1f height=%d />", r->fill, from, y, fmax(hone_axis_px(x, r->us) - from, 1.5),
                  BAR);
    hone_str_addf(out, "<rect class=%s fill-opacity=.22 x=%.1f y=%.1f width=%.1f height=%d />", r->fill, a, y - 5, fmax(b - a, 1),
                  BAR + 10);
    hone_str_addf(out, "<path class=%s stroke-width=1.5 d=\"M%.1f %.1fV%.1fM%.1f %.1fV%.1fM%.1f %.1fH%.1f\" />", r->stroke, a, y - 5,
                  y + BAR + 5, b, y - 5, y + BAR + 5, hone_axis_px(x, r->us), mid, b);
    hone_str_addf(out, "<text x=%.1f y=%.1f><tspan class=ink font-weight=600>%s</tspan> (%s – %s)</text>\n", b + 10, mid + 4,
                  hone_text_time(r->us, t), hone_text_time(r->lo, lo), hone_text_time(r->hi, hi));
    put_samples(r, x, y, out);
}

static void put_axis(const hone_axis *x, double bottom, hone_str *out) {
    double ticks[16];
    char t[HONE_TEXT];
    size_t n = hone_axis_ticks(x, ticks, HONE_COUNT(ticks));
    for (size_t i = 0; i < n; i++) {
        double px = hone_axis_px(x, ticks[i]);
        hone_str_addf(out, "<line class=grid x1=%.1f x2=%.1f y1=%d y2=%.1f /><text x=%.1f y=%.1f text-anchor=middle>%s</text>", px, px, TOP,
                      bottom, px, bottom + 16, ticks[i] > 0 ? hone_text_round_time(ticks[i], t) : "0");
    }
}

static row row_of(const json_t *result, const char *arm, const char *samples_key) {
    const json_t *o = json_object_get(result, arm), *size = json_array_get(hone_doc_at(result, "outcomes.best.time.sizes"), 0);
    row r = {.us = hone_doc_number(o, "time_us"), .lo = hone_doc_number(o, "lo_us"), .hi = hone_doc_number(o, "hi_us"), .name = arm,
             .samples = json_object_get(size, samples_key)};
    bool best = !strcmp(arm, "best");
    r.fill = best ? "fx" : "fb";
    r.stroke = best ? "sx" : "sb";
    r.text = best ? "tx" : "tb";
    return r;
}

void hone_chart_times(const json_t *result, hone_str *out) {
    row rows[] = {row_of(result, "baseline", "a_samples_us"), row_of(result, "best", "b_samples_us")};
    int n = rows[1].us > 0 ? 2 : 1;
    if (!(rows[0].us > 0))
        return;
    double most = fmax(rows[0].hi, rows[1].hi), bottom = TOP + n * ROW;
    hone_axis x = {.lo = 0, .hi = most, .from_px = LEFT, .to_px = WIDTH - RIGHT};
    bool modelled = json_is_true(hone_doc_at(result, "baseline.modelled"));
    hone_str_addf(out, "<figure><svg viewBox=\"0 0 %d %.0f\" role=img aria-label=\"times of baseline and best\">", WIDTH, bottom + 22);
    put_axis(&x, bottom, out);
    for (int i = 0; i < n; i++)
        put_row(&rows[i], &x, i, out);
    hone_str_addf(out, "</svg><figcaption>%s</figcaption></figure>\n",
                  modelled ? "Modelled time; the shaded band is the model's stated error."
                           : "Median of paired samples with its 99 % bootstrap interval; ticks are samples.");
}
