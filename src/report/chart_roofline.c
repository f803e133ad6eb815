// report/chart_roofline: achieved rate over intensity, both log, under the device's ceilings (Williams, Waterman, Patterson, Roofline,
// 2009). For kernels without floating-point work: thread instructions instead of FLOP. Counters are the virtual GPU's, bytes are DRAM
// sectors.
#include "report/internal.h"
#include <math.h>
#include <string.h>

enum { WIDTH = 524, HEIGHT = 340, LEFT = 58, RIGHT = 18, TOP = 30, BOTTOM = 52, MAX_ROOFS = 3 };

typedef struct dot { const char *name, *fill, *text; double intensity, rate, x, y; } dot;
typedef struct roof { const char *name; double rate; } roof;
typedef struct plot {
    hone_axis x, y;
    hone_str *out;
    const char *unit, *per_byte;
    double bandwidth;              // bytes/s
    roof roofs[MAX_ROOFS]; size_t n_roofs;
    dot dots[2]; size_t n_dots;
} plot;

// Results per clock and SM by compute capability: FP32 and FP64 lanes, dense FP16 tensor FMAs. source: CUDA C++ Programming Guide,
// arithmetic instruction throughput, and the architectures' white papers.
typedef struct lanes { int cc; double fp32, fp64, tensor; } lanes;
static const lanes *lanes_of(int cc) {
    static const lanes table[] = {{70, 64, 32, 512},   {75, 64, 2, 512},   {80, 64, 32, 1024},  {86, 128, 2, 512},
                                  {89, 128, 2, 512},   {90, 128, 64, 2048}, {100, 128, 64, 4096}, {120, 128, 2, 512}};
    const lanes *best = &table[0];
    for (size_t i = 0; i < HONE_COUNT(table); i++)
        if (table[i].cc <= cc)
            best = &table[i];
    return best;
}

double hone_roof_peak(const json_t *device, const char *what) {
    const lanes *l = lanes_of((int)hone_doc_number(device, "compute_capability"));
    double clocks = hone_doc_number(device, "sms") * hone_doc_number(device, "clock_mhz") * 1e6;
    const struct { const char *what; double per_clock; } table[] = {
        {"FP32", l->fp32 * 2}, {"FP64", l->fp64 * 2}, {"FP16", l->fp32 * 4}, {"tensor", l->tensor * 2}, {"instruction issue", 4 * 32},
    };
    for (size_t i = 0; i < HONE_COUNT(table); i++)
        if (!strcmp(table[i].what, what))
            return clocks * table[i].per_clock;
    return 0;
}

static double work_of(const hone_profile *p, bool flops) {
    return flops ? p->flops_fp32 + p->flops_fp64 + p->flops_fp16 + p->flops_tensor : p->thread_insts;
}

static void add_dot(plot *p, const char *name, bool best, const hone_profile *f, bool flops) {
    double work = work_of(f, flops), bytes = f->dram_bytes;
    if (!f->has || !(work > 0) || !(bytes > 0) || !(f->time_us > 0))
        return;
    p->dots[p->n_dots++] = (dot){.name = name, .fill = best ? "fx" : "fb", .text = best ? "tx" : "tb", .intensity = work / bytes,
                                 .rate = work / f->time_us * 1e6};
}

static void add_roofs(plot *p, const json_t *device, const hone_profile *f, size_t n, bool flops) {
    bool tensor = false, fp64 = false;
    for (size_t i = 0; i < n; i++) {
        tensor |= f[i].flops_tensor > 0;
        fp64 |= f[i].flops_fp64 > 0;
    }
    if (!flops) {
        p->roofs[p->n_roofs++] = (roof){"instruction issue", hone_roof_peak(device, "instruction issue")};
        return;
    }
    p->roofs[p->n_roofs++] = (roof){"FP32", hone_roof_peak(device, "FP32")};
    if (tensor)
        p->roofs[p->n_roofs++] = (roof){"tensor, FP16", hone_roof_peak(device, "tensor")};
    if (fp64)
        p->roofs[p->n_roofs++] = (roof){"FP64", hone_roof_peak(device, "FP64")};
}

static bool gather(plot *p, const json_t *result) {
    hone_profile f[2];
    const json_t *device = json_object_get(result, "device");
    hone_profile_read(hone_doc_at(result, "outcomes.baseline"), &f[0]);
    hone_profile_read(hone_doc_at(result, "outcomes.best"), &f[1]);
    bool flops = work_of(&f[0], true) > 0 && (!f[1].has || work_of(&f[1], true) > 0);
    p->unit = flops ? "FLOP/s" : "inst/s";
    p->per_byte = flops ? "FLOP per byte of DRAM traffic" : "thread instructions per byte of DRAM traffic";
    p->bandwidth = hone_doc_number(device, "bandwidth_gbs") * 1e9;
    const char *a = hone_doc_text(json_object_get(result, "labels"), "baseline"), *b = hone_doc_text(json_object_get(result, "labels"), "best");
    add_dot(p, *a ? a : "baseline", false, &f[0], flops);
    add_dot(p, *b ? b : "best", true, &f[1], flops);
    add_roofs(p, device, f, f[1].has ? 2 : 1, flops);
    return p->n_dots > 0 && p->bandwidth > 0 && p->roofs[0].rate > 0;
}

static void scale(plot *p) {
    double top = 0, ridge = 0, x_lo = INFINITY, x_hi = 0, y_lo = INFINITY;
    for (size_t i = 0; i < p->n_roofs; i++)
        top = fmax(top, p->roofs[i].rate);
    ridge = top / p->bandwidth;
    for (size_t i = 0; i < p->n_dots; i++) {
        x_lo = fmin(x_lo, p->dots[i].intensity);
        x_hi = fmax(x_hi, p->dots[i].intensity);
        y_lo = fmin(y_lo, p->dots[i].rate);
        top = fmax(top, p->dots[i].rate);
    }
    x_lo = fmin(x_lo, ridge) / 4;
    p->x = (hone_axis){.lo = x_lo, .hi = fmax(x_hi, ridge) * 6, .from_px = LEFT, .to_px = WIDTH - RIGHT, .log = true};
    p->y = (hone_axis){.lo = fmin(y_lo / 5, p->bandwidth * x_lo), .hi = top * 3, .from_px = HEIGHT - BOTTOM, .to_px = TOP, .log = true};
    for (size_t i = 0; i < p->n_dots; i++) {
        p->dots[i].x = hone_axis_px(&p->x, p->dots[i].intensity);
        p->dots[i].y = hone_axis_px(&p->y, p->dots[i].rate);
    }
}

static const char *rate_text(double rate, char buf[HONE_TEXT]) { return hone_text_round(rate, "", buf); }

static void put_axes(const plot *p) {
    double ticks[24];
    hone_axis_rows(p->out, &p->y, LEFT, WIDTH - RIGHT, rate_text);
    size_t n = hone_axis_ticks(&p->x, ticks, HONE_COUNT(ticks));
    for (size_t i = 0; i < n; i++)
        hone_str_addf(p->out, "<text x=%.1f y=%d text-anchor=middle>%g</text>", hone_axis_px(&p->x, ticks[i]), HEIGHT - BOTTOM + 18,
                      ticks[i]);
    hone_str_addf(
        p->out, "<line class=axis x1=%d x2=%d y1=%d y2=%d /><text x=%d y=%d text-anchor=middle>%s</text><text x=%d y=16>%s</text>\n", LEFT,
        WIDTH - RIGHT, HEIGHT - BOTTOM, HEIGHT - BOTTOM, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, p->per_byte, LEFT - 40, p->unit);
}

static void put_roofs(const plot *p) {
    char t[HONE_TEXT];
    double highest = 0;
    for (size_t i = 0; i < p->n_roofs; i++) {
        const roof *r = &p->roofs[i];
        double y = hone_axis_px(&p->y, r->rate), ridge = fmax(r->rate / p->bandwidth, p->x.lo);
        highest = fmax(highest, r->rate);
        hone_str_addf(p->out, "<path class=roof d=\"M%.1f %.1fH%d\" /><text class=halo x=%d y=%.1f text-anchor=end>%s %s</text>",
                      hone_axis_px(&p->x, ridge), y, WIDTH - RIGHT, WIDTH - RIGHT, y - 6, r->name, hone_text_scaled(r->rate, p->unit, t));
    }
    // The slope, clipped below; its label runs along it.
    double x0 = fmax(p->x.lo, p->y.lo / p->bandwidth), x1 = highest / p->bandwidth;
    double px0 = hone_axis_px(&p->x, x0), py0 = hone_axis_px(&p->y, x0 * p->bandwidth), px1 = hone_axis_px(&p->x, x1),
           py1 = hone_axis_px(&p->y, highest);
    double mx = px0 + 0.45 * (px1 - px0), my = py0 + 0.45 * (py1 - py0), angle = atan2(py1 - py0, px1 - px0) * 180 / M_PI;
    hone_str_addf(p->out, "<path class=roof d=\"M%.1f %.1fL%.1f %.1f\" />", px0, py0, px1, py1);
    hone_str_addf(p->out, "<text class=halo transform=\"translate(%.1f %.1f) rotate(%.2f)\" text-anchor=middle dy=-6>DRAM %s</text>\n", mx,
                  my, angle, hone_text_round(p->bandwidth, "B/s", t));
}

// Labels below their dots unless the other dot is close below; then above. Toward the middle, so that they stay inside.
static void put_dots(const plot *p) {
    char t[HONE_TEXT];
    if (p->n_dots == 2)
        hone_str_addf(p->out, "<path class=sx stroke-opacity=.5 stroke-dasharray=\"2 3\" d=\"M%.1f %.1fL%.1f %.1f\" />", p->dots[0].x,
                      p->dots[0].y, p->dots[1].x, p->dots[1].y);
    for (size_t i = 0; i < p->n_dots; i++) {
        const dot *d = &p->dots[i], *o = &p->dots[p->n_dots - 1 - i];
        bool crowded = o != d && o->y > d->y && o->y - d->y < 44 && fabs(o->x - d->x) < 190;
        bool right = d->x > (LEFT + WIDTH - RIGHT) / 2.0;
        hone_str_addf(p->out,
                      "<circle class=%s cx=%.1f cy=%.1f r=5.5 /><text class=\"%s halo\" x=%.1f y=%.1f text-anchor=%s>%s %s</text>\n",
                      d->fill, d->x, d->y, d->text, d->x + (right ? 4 : -4), d->y + (crowded ? -12 : 21), right ? "end" : "start", d->name,
                      hone_text_scaled(d->rate, p->unit, t));
    }
}

void hone_chart_roofline(const json_t *result, hone_str *out) {
    plot p = {.out = out};
    if (!gather(&p, result))
        return;
    scale(&p);
    hone_str_addf(out, "<figure><svg viewBox=\"0 0 %d %d\" role=img aria-label=\"roofline\">", WIDTH, HEIGHT);
    put_axes(&p);
    put_roofs(&p);
    put_dots(&p);
    hone_str_add(
        out,
        "</svg><figcaption>Roofline: work and DRAM traffic as counted on the virtual GPU, for the first size.</figcaption></figure>\n");
}
