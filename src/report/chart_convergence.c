// report/chart_convergence: every evaluated candidate as a dot (time on a log scale over evaluations), the best so far as a step line, the
// baseline as a dashed one. Refused candidates have no time: they are marked in a strip below the plot.
#include "report/internal.h"
#include <math.h>
#include <string.h>

enum { WIDTH = 524, HEIGHT = 340, LEFT = 58, RIGHT = 70, TOP = 30, BOTTOM = 64, STRIP = 12 };

typedef struct plot { hone_axis x, y; hone_str *out; const json_t *r; double baseline, best, last; } plot;

static bool measure(plot *p) {
    size_t i;
    json_t *c;
    double lo = INFINITY, hi = 0;
    json_array_foreach(hone_doc_list(p->r, "candidates"), i, c) {
        double t = hone_doc_number(c, "time_us");
        p->last = fmax(p->last, hone_doc_number(c, "evaluation"));
        if (t > 0) {
            lo = fmin(lo, t);
            hi = fmax(hi, t);
        }
    }
    p->baseline = hone_doc_number(json_object_get(p->r, "baseline"), "time_us");
    p->best = hone_doc_number(json_object_get(p->r, "best"), "time_us");
    if (!(p->baseline > 0) || !(hi > 0))
        return false;
    lo = fmin(lo, p->best > 0 ? p->best : p->baseline);
    double pad = pow(hi / lo, 0.06);
    pad = fmax(pad, 1.08);
    p->x = (hone_axis){.lo = 0, .hi = fmax(p->last, 5), .from_px = LEFT, .to_px = WIDTH - RIGHT};
    p->y = (hone_axis){.lo = lo / pad, .hi = fmax(hi, p->baseline) * pad, .from_px = HEIGHT - BOTTOM, .to_px = TOP, .log = true};
    return true;
}

static void put_axes(const plot *p) {
    double ticks[24];
    hone_axis_rows(p->out, &p->y, LEFT, WIDTH - RIGHT, hone_text_round_time);
    size_t n = hone_axis_ticks(&p->x, ticks, HONE_COUNT(ticks));
    for (size_t i = 0; i < n; i++) {
        double x = hone_axis_px(&p->x, ticks[i]);
        if (ticks[i] == floor(ticks[i]))
            hone_str_addf(p->out, "<text x=%.1f y=%d text-anchor=middle>%.0f</text>", x, HEIGHT - BOTTOM + STRIP + 20, ticks[i]);
    }
    hone_str_addf(p->out, "<line class=axis x1=%d x2=%d y1=%d y2=%d /><text x=%d y=%d text-anchor=middle>evaluation</text>\n", LEFT,
                  WIDTH - RIGHT, HEIGHT - BOTTOM + STRIP + 4, HEIGHT - BOTTOM + STRIP + 4, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12);
}

static void put_title(const plot *p, const json_t *c) {
    char t[HONE_TEXT];
    hone_str_addf(p->out, "<title>%.0f: ", hone_doc_number(c, "id"));
    hone_html_text(p->out, hone_doc_text(c, "note"));
    if (hone_doc_has_number(c, "time_us"))
        hone_str_addf(p->out, ", %s", hone_text_time(hone_doc_number(c, "time_us"), t));
    else {
        hone_str_add(p->out, ", ");
        hone_html_text(p->out, hone_doc_text(json_object_get(c, "finding"), "kind"));
    }
    hone_str_add(p->out, "</title>");
}

static void put_candidate(const plot *p, const json_t *c) {
    const char *verdict = hone_doc_text(c, "verdict");
    double x = hone_axis_px(&p->x, hone_doc_number(c, "evaluation")), y = HEIGHT - BOTTOM + STRIP / 2.0;
    if (!strcmp(verdict, "fail")) {
        hone_str_addf(p->out, "<path class=bad d=\"M%.1f %.1fl5 5m0 -5l-5 5\">", x - 2.5, y - 2.5);
        put_title(p, c);
        hone_str_add(p->out, "</path>");
    } else if (!strcmp(verdict, "pass") && hone_doc_number(c, "time_us") > 0) {
        bool tune = !strcmp(hone_doc_text(c, "proposer"), "tune");
        hone_str_addf(p->out, "<circle class=%s cx=%.1f cy=%.1f r=%s>", tune ? "ring" : "dot", x,
                      hone_axis_px(&p->y, hone_doc_number(c, "time_us")), tune ? "2.9" : "3");
        put_title(p, c);
        hone_str_add(p->out, "</circle>");
    }
}

// The step line: level until the evaluation that improved.
static void put_best_so_far(const plot *p) {
    size_t i;
    json_t *c;
    double from = hone_axis_px(&p->x, 0), y = hone_axis_px(&p->y, p->baseline);
    hone_str_addf(p->out, "<path class=sx stroke-width=2 d=\"M%.1f %.1f", from, y);
    json_array_foreach(hone_doc_list(p->r, "convergence"), i, c) {
        double t = hone_doc_number(c, "time_us");
        if (t > 0)
            hone_str_addf(p->out, "H%.1fV%.1f", hone_axis_px(&p->x, hone_doc_number(c, "evaluation")), hone_axis_px(&p->y, t));
    }
    hone_str_addf(p->out, "H%.1f\" />", hone_axis_px(&p->x, p->last));
    json_array_foreach(hone_doc_list(p->r, "convergence"), i, c) {
        double t = hone_doc_number(c, "time_us");
        if (t > 0 && hone_doc_number(c, "id") > 0)
            hone_str_addf(p->out, "<circle class=fx cx=%.1f cy=%.1f r=3.6 />", hone_axis_px(&p->x, hone_doc_number(c, "evaluation")),
                          hone_axis_px(&p->y, t));
    }
}

static void put_levels(const plot *p) {
    char t[HONE_TEXT];
    double y = hone_axis_px(&p->y, p->baseline), z = p->best > 0 ? hone_axis_px(&p->y, p->best) : INFINITY, gap = fmax(0, 30 - (z - y)) / 2;
    hone_str_addf(p->out, "<line class=sb stroke-width=1.5 stroke-dasharray=\"5 4\" x1=%d x2=%d y1=%.1f y2=%.1f />", LEFT, WIDTH - RIGHT, y,
                  y);
    hone_str_addf(p->out, "<text class=tb x=%d y=%.1f>baseline<tspan x=%d dy=13 font-weight=400>%s</tspan></text>", WIDTH - RIGHT + 8,
                  y - gap - 2, WIDTH - RIGHT + 8, hone_text_time(p->baseline, t));
    if (p->best > 0)
        hone_str_addf(p->out, "<text class=tx x=%d y=%.1f>best<tspan x=%d dy=13 font-weight=400>%s</tspan></text>\n", WIDTH - RIGHT + 8,
                      z + gap - 2, WIDTH - RIGHT + 8, hone_text_time(p->best, t));
}

static void put_legend(const plot *p) {
    hone_str_addf(
        p->out,
        "<circle class=dot cx=%d cy=12 r=3 /><text x=%d y=16>rewrite</text><circle class=ring cx=%d cy=12 r=2.9 /><text x=%d y=16>tune</text>"
        "<path class=bad d=\"M%d 9.5l5 5m0 -5l-5 5\" /><text x=%d y=16>refused</text><path class=sx stroke-width=2 d=\"M%d 12h16\" />"
        "<text x=%d y=16>best so far</text>\n",
        LEFT + 4, LEFT + 12, LEFT + 76, LEFT + 84, LEFT + 128, LEFT + 139, LEFT + 204, LEFT + 225);
}

void hone_chart_convergence(const json_t *result, hone_str *out) {
    plot p = {.r = result, .out = out};
    size_t i;
    json_t *c;
    if (!measure(&p))
        return;
    hone_str_addf(out, "<figure><svg viewBox=\"0 0 %d %d\" role=img aria-label=\"time over evaluations\">", WIDTH, HEIGHT);
    put_axes(&p);
    put_levels(&p);
    json_array_foreach(hone_doc_list(result, "candidates"), i, c) put_candidate(&p, c);
    put_best_so_far(&p);
    put_legend(&p);
    const char *objective = hone_doc_text(json_object_get(result, "task"), "objective");
    bool time = !*objective || !strcmp(objective, "time");
    hone_str_addf(out, "</svg><figcaption>Time of every candidate, log scale.%s The final best is confirmed on fresh inputs.</figcaption></figure>\n",
                  time ? "" : " The best is the one by the task's objective, which is not time.");
}
