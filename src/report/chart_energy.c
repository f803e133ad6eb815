// report/chart_energy: time against energy per run, one dot per candidate, and the front: the candidates that no other beats in both, as a step line.
// The interval of the baseline's and the best's energy is a bar. Below it a table of the front.
#include "report/internal.h"
#include "report/tables.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WIDTH = 1064, HEIGHT = 380, LEFT = 84, RIGHT = 120, TOP = 34, BOTTOM = 52, MOST_ROWS = 12 };

typedef struct plot { hone_axis x, y; hone_str *out; const json_t *r, *front; } plot;

static double time_of(const json_t *c) { return hone_doc_has_number(c, "paired_us") ? hone_doc_number(c, "paired_us") : hone_doc_number(c, "time_us"); }
static bool shown(const json_t *c) { return !strcmp(hone_doc_text(c, "verdict"), "pass") && hone_doc_number(c, "energy_mj") > 0 && time_of(c) > 0; }

static const char *energy_text(double mj, char buf[HONE_TEXT]) { return hone_text_energy(1e-3 * mj, buf); }

static void widen(hone_axis *a, double lo, double hi) {
    a->lo = a->lo > 0 ? fmin(a->lo, lo) : lo;
    a->hi = fmax(a->hi, hi);
}

static void pad(hone_axis *a) {
    double p = fmax(pow(a->hi / a->lo, 0.06), 1.03);
    a->lo /= p;
    a->hi *= p;
    a->log = a->hi / a->lo > 4;
}

static bool measure(plot *p) {
    size_t i, n = 0;
    json_t *c;
    p->x = (hone_axis){.from_px = LEFT, .to_px = WIDTH - RIGHT};
    p->y = (hone_axis){.from_px = HEIGHT - BOTTOM, .to_px = TOP};
    json_array_foreach(hone_doc_list(p->r, "candidates"), i, c) {
        if (!shown(c))
            continue;
        n++;
        widen(&p->x, time_of(c), time_of(c));
        widen(&p->y, hone_doc_number(c, "energy_mj"), hone_doc_number(c, "energy_mj"));
    }
    static const char *const arms[] = {"baseline", "best"};
    for (i = 0; i < HONE_COUNT(arms); i++) {
        const json_t *a = json_object_get(p->r, arms[i]);
        if (hone_doc_has_number(a, "energy_mj"))
            widen(&p->y, hone_doc_number(a, "energy_lo_mj"), hone_doc_number(a, "energy_hi_mj"));
        if (hone_doc_has_number(a, "energy_mj") && time_of(a) > 0)
            widen(&p->x, time_of(a), time_of(a));
    }
    if (!n || !(p->x.lo > 0) || !(p->y.lo > 0))
        return false;
    pad(&p->x);
    pad(&p->y);
    return true;
}

static void put_axes(const plot *p) {
    double ticks[24];
    char t[HONE_TEXT];
    hone_axis_rows(p->out, &p->y, LEFT, WIDTH - RIGHT, energy_text);
    size_t n = hone_axis_ticks(&p->x, ticks, HONE_COUNT(ticks));
    for (size_t i = 0; i < n; i++)
        hone_str_addf(p->out, "<text x=%.1f y=%d text-anchor=middle>%s</text>", hone_axis_px(&p->x, ticks[i]), HEIGHT - BOTTOM + 18,
                      hone_text_round_time(ticks[i], t));
    hone_str_addf(p->out, "<line class=axis x1=%d x2=%d y1=%d y2=%d /><text x=%d y=%d text-anchor=middle>time per run</text>"
                          "<text x=%d y=16 text-anchor=end>energy per run</text>\n",
                  LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM, HEIGHT - BOTTOM, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, LEFT + 12);
}

static void put_candidates(const plot *p) {
    size_t i;
    json_t *c;
    char t[HONE_TEXT], e[HONE_TEXT];
    json_array_foreach(hone_doc_list(p->r, "candidates"), i, c) {
        if (!shown(c) || hone_doc_number(c, "id") == 0)
            continue;
        hone_str_addf(p->out, "<circle class=dot cx=%.1f cy=%.1f r=3><title>%.0f: ", hone_axis_px(&p->x, time_of(c)),
                      hone_axis_px(&p->y, hone_doc_number(c, "energy_mj")), hone_doc_number(c, "id"));
        hone_html_text(p->out, hone_doc_text(c, "note"));
        hone_str_addf(p->out, ", %s, %s</title></circle>", hone_text_time(time_of(c), t), energy_text(hone_doc_number(c, "energy_mj"), e));
    }
}

// What a choice can reach: right of a point of the front its energy is still had, above it its time.
static void put_front(const plot *p) {
    size_t i;
    json_t *f;
    if (json_array_size(p->front) == 0)
        return;
    hone_str_add(p->out, "<path class=sx stroke-width=1.6 d=\"");
    json_array_foreach((json_t *)(uintptr_t)p->front, i, f) {
        double x = hone_axis_px(&p->x, hone_doc_number(f, "time_us")), y = hone_axis_px(&p->y, hone_doc_number(f, "energy_mj"));
        if (i == 0)
            hone_str_addf(p->out, "M%.1f %dV%.1f", x, TOP, y);
        else
            hone_str_addf(p->out, "H%.1fV%.1f", x, y);
    }
    hone_str_addf(p->out, "H%d\" />\n", WIDTH - RIGHT);
    json_array_foreach((json_t *)(uintptr_t)p->front, i, f)
        hone_str_addf(p->out, "<circle class=pareto cx=%.1f cy=%.1f r=4 />", hone_axis_px(&p->x, hone_doc_number(f, "time_us")),
                      hone_axis_px(&p->y, hone_doc_number(f, "energy_mj")));
}

static void put_arm(const plot *p, const char *name, const char *fill, const char *stroke, const char *text) {
    const json_t *a = json_object_get(p->r, name);
    char t[HONE_TEXT], e[HONE_TEXT];
    if (!hone_doc_has_number(a, "energy_mj"))
        return;
    double x = hone_axis_px(&p->x, time_of(a)), y = hone_axis_px(&p->y, hone_doc_number(a, "energy_mj"));
    bool right = x < WIDTH - RIGHT - 150;
    hone_str_addf(p->out, "<line class=%s stroke-width=1.5 x1=%.1f x2=%.1f y1=%.1f y2=%.1f /><circle class=%s cx=%.1f cy=%.1f r=5 />", stroke, x, x,
                  hone_axis_px(&p->y, hone_doc_number(a, "energy_lo_mj")), hone_axis_px(&p->y, hone_doc_number(a, "energy_hi_mj")), fill, x, y);
    hone_str_addf(p->out, "<text class=\"%s halo\" x=%.1f y=%.1f text-anchor=%s>%s<tspan font-weight=400> %s, %s</tspan></text>\n", text,
                  right ? x + 10 : x - 10, y - 9, right ? "start" : "end", name, hone_text_time(time_of(a), t), energy_text(hone_doc_number(a, "energy_mj"), e));
}

void hone_chart_energy(const json_t *result, hone_str *out) {
    plot p = {.r = result, .out = out, .front = hone_doc_at(result, "energy.front")};
    if (!measure(&p))
        return;
    hone_str_addf(out, "<figure><svg viewBox=\"0 0 %d %d\" role=img aria-label=\"time and energy of the candidates\">", WIDTH, HEIGHT);
    put_axes(&p);
    put_candidates(&p);
    put_front(&p);
    put_arm(&p, "baseline", "fb", "sb", "tb");
    put_arm(&p, "best", "fx", "sx", "tx");
    hone_str_addf(out, "</svg><figcaption>One dot per candidate, measured beside the baseline. The line is the front: no candidate lies below and left of it. "
                       "Gross energy, idle power included; bars are 99 %% intervals.</figcaption></figure>\n");
}

// ---- the table and what the search took

static const json_t *candidate(const json_t *result, double id) {
    size_t i;
    json_t *c;
    json_array_foreach(hone_doc_list(result, "candidates"), i, c) if (hone_doc_number(c, "id") == id) return c;
    return NULL;
}

static void put_row(const json_t *result, const json_t *f, hone_str *out) {
    char t[HONE_TEXT], e[HONE_TEXT], lo[HONE_TEXT], hi[HONE_TEXT], tf[HONE_TEXT], ef[HONE_TEXT];
    const json_t *base = json_object_get(result, "baseline"), *c = candidate(result, hone_doc_number(f, "id"));
    const char *note = hone_doc_text(c, "note");
    double us = hone_doc_number(f, "time_us"), mj = hone_doc_number(f, "energy_mj");
    hone_str_addf(out, "<tr><td class=num>%.0f<td class=num>%s<td class=num>%s<td class=num>%s<td class=num>%s – %s<td class=num>%s<td>",
                  hone_doc_number(f, "id"), hone_text_time(us, t), hone_text_factor(hone_doc_number(base, "time_us") / us, tf), energy_text(mj, e),
                  energy_text(hone_doc_number(f, "lo_mj"), lo), energy_text(hone_doc_number(f, "hi_mj"), hi),
                  hone_text_factor(hone_doc_number(base, "energy_mj") / mj, ef));
    hone_html_text(out, hone_doc_number(f, "id") == 0 ? "baseline" : *note ? note : hone_doc_text(c, "move"));
    hone_str_add(out, "\n");
}

void hone_table_front(const json_t *result, hone_str *out) {
    const json_t *front = hone_doc_at(result, "energy.front");
    size_t i, n = json_array_size(front);
    json_t *f;
    if (!n)
        return;
    hone_str_add(out, "<table><tr><th class=num>candidate<th class=num>time<th class=num>faster<th class=num>energy<th class=num>99 % interval"
                      "<th class=num>less energy<th>what\n");
    json_array_foreach((json_t *)(uintptr_t)front, i, f) {
        if (i < MOST_ROWS)
            put_row(result, f, out);
    }
    hone_str_add(out, "</table>\n");
    if (n > MOST_ROWS)
        hone_str_addf(out, "<p class=\"soft small\">The first %d of %zu.\n", MOST_ROWS, n);
}

// "This search cost 31 kJ (GPU, idle time included); it pays back after 2.1 M runs (1.9 M – 2.4 M)"; "" when nothing is known of it.
void hone_text_payback(const json_t *result, hone_str *out) {
    const json_t *e = json_object_get(result, "energy"), *s = json_object_get(e, "search"), *b = json_object_get(e, "payback");
    char cost[HONE_TEXT], n[HONE_TEXT], lo[HONE_TEXT], hi[HONE_TEXT];
    if (!hone_doc_has_number(s, "joules"))
        return;
    hone_str_addf(out, "this search cost %s%s (GPU, idle time included)", json_is_true(json_object_get(s, "partial")) ? "at least " : "",
                  hone_text_energy(hone_doc_number(s, "joules"), cost));
    if (hone_doc_has_number(b, "runs"))
        hone_str_addf(out, "; it pays back after %s runs (%s – %s)", hone_text_count(ceil(hone_doc_number(b, "runs")), n),
                      hone_text_count(ceil(hone_doc_number(b, "runs_lo")), lo), hone_text_count(ceil(hone_doc_number(b, "runs_hi")), hi));
    else if (b)
        hone_str_addf(out, "; when it pays back is not known: %s", hone_doc_text(b, "reason"));
}
