// report/axis: from values to pixels, and which values deserve a tick.
#include "report/internal.h"
#include <math.h>

double hone_axis_px(const hone_axis *a, double v) {
    double t = a->log ? log(v / a->lo) / log(a->hi / a->lo) : (v - a->lo) / (a->hi - a->lo);
    return a->from_px + (a->to_px - a->from_px) * t;
}

static size_t log_ticks(const hone_axis *a, double *out, size_t cap) {
    static const double within[] = {1, 2, 5};
    double decades = log10(a->hi / a->lo);
    size_t per = decades <= 2.2 ? HONE_COUNT(within) : 1, n = 0;
    int every = decades > 7 ? 2 : 1, first = (int)floor(log10(a->lo));
    for (int d = first; pow(10, d) <= a->hi; d++) {
        if ((d - first) % every)
            continue;
        for (size_t i = 0; i < per; i++) {
            double v = within[i] * pow(10, d);
            if (v >= a->lo * 0.9999 && v <= a->hi * 1.0001 && n < cap)
                out[n++] = v;
        }
    }
    return n;
}

static size_t linear_ticks(const hone_axis *a, double *out, size_t cap) {
    double raw = (a->hi - a->lo) / 5, power = pow(10, floor(log10(raw))), step = power;
    static const double nice[] = {1, 2, 5, 10};
    for (size_t i = 0; i < HONE_COUNT(nice) && step < raw; i++)
        step = nice[i] * power;
    size_t n = 0;
    for (double k = ceil(a->lo / step - 1e-9); k * step <= a->hi + step * 1e-9 && n < cap; k++)
        out[n++] = k * step + 0.0;   // no -0
    return n;
}

size_t hone_axis_ticks(const hone_axis *a, double *out, size_t cap) {
    if (!(a->hi > a->lo) || (a->log && !(a->lo > 0)))
        return 0;
    size_t n = a->log ? log_ticks(a, out, cap) : 0;
    return n >= 3 ? n : linear_ticks(a, out, cap);   // a log axis over less than a decade reads better with even steps
}

void hone_axis_rows(hone_str *out, const hone_axis *y, int x1, int x2, const char *(*text)(double value, char buf[HONE_TEXT])) {
    double ticks[24];
    char t[HONE_TEXT];
    size_t n = hone_axis_ticks(y, ticks, HONE_COUNT(ticks));
    for (size_t i = 0; i < n; i++) {
        double at = hone_axis_px(y, ticks[i]);
        hone_str_addf(out, "<line class=grid x1=%d x2=%d y1=%.1f y2=%.1f /><text x=%d y=%.1f text-anchor=end>%s</text>", x1, x2, at, at, x1 - 7, at + 4,
                      text(ticks[i], t));
    }
}
