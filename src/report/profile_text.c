// A profile for the terminal: a table of kernels, per kernel what bounds it and why, the roofline, hardware beside virtual counters, two profiles
// compared, and source lines with bars of heat. Renders the document of profile_doc.c; computes nothing of its own but widths and colours.
#include "report/profile.h"
#include <math.h>
#include <string.h>

typedef struct page { const json_t *doc; const hone_profile_view *view; hone_str *out; } page;
#define ADD(...) hone_str_addf(p->out, __VA_ARGS__)

static double num(const json_t *o, const char *key) { return hone_doc_number(o, key); }
static const char *text(const json_t *o, const char *key) { return hone_doc_text(o, key); }

// Printed width of UTF-8 text without escape sequences.
static int width_of(const char *s) {
    int n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

static void cell(const page *p, const char *s, int width, bool right) {
    int pad = width - width_of(s);
    if (right)
        ADD("%*s%s", pad > 0 ? pad : 0, "", s);
    else
        ADD("%s%*s", s, pad > 0 ? pad : 0, "");
}

static const char *percent(double v, char buf[HONE_TEXT]) {
    snprintf(buf, HONE_TEXT, "%.0f %%", 100 * v);
    return buf;
}

// ---- the table of kernels

static void put_table(const page *p) {
    const hone_profile_style *st = &p->view->style;
    static const struct { const char *title; int width; } columns[] = {{"time", 9}, {"share", 7}, {"occupancy", 10}, {"registers", 10}, {"lanes", 7}, {"DRAM", 7}};
    int names = 6;
    size_t i;
    json_t *k;
    json_array_foreach(hone_doc_list(p->doc, "kernels"), i, k) names = (int)fmin(40, fmax(names, width_of(text(k, "kernel"))));
    ADD("%s", st->dim);
    cell(p, "kernel", names, false);
    for (i = 0; i < HONE_COUNT(columns); i++)
        cell(p, columns[i].title, columns[i].width, true);
    ADD("  bound by%s\n", st->off);
    json_array_foreach(hone_doc_list(p->doc, "kernels"), i, k) {
        char t[HONE_TEXT];
        const json_t *f = json_object_get(k, "facts"), *o = json_object_get(k, "occupancy");
        cell(p, text(k, "kernel"), names, false);
        cell(p, hone_text_time(num(k, "time_us"), t), 9, true);
        cell(p, percent(num(k, "time_share"), t), 7, true);
        cell(p, percent(num(o, "achieved"), t), 10, true);
        cell(p, hone_text_count(num(o, "registers"), t), 10, true);
        cell(p, percent(num(f, "lanes_active"), t), 7, true);
        cell(p, percent(num(f, "dram_fraction"), t), 7, true);
        ADD("  %s\n", text(json_object_get(k, "bound"), "short"));
    }
}

// ---- one kernel

static void label(const page *p, const char *name) {
    ADD("  %s%-10s%s", p->view->style.dim, name, p->view->style.off);
}

static void put_busy(const page *p, const json_t *k) {
    static const struct { const char *key, *name; } names[] = {{"issue", "issue"}, {"pipe", "pipe"}, {"l1", "L1"}, {"shared", "shared"}, {"l2", "L2"},
                                                               {"dram", "DRAM"}, {"latency", "latency"}, {"atomic", "atomics"}, {"blocks", "block starts"}};
    const json_t *shares = json_object_get(json_object_get(k, "model"), "shares");
    bool done[HONE_COUNT(names)] = {false};
    label(p, "busy");
    for (size_t n = 0; n < HONE_COUNT(names); n++) {
        size_t most = HONE_COUNT(names);
        for (size_t i = 0; i < HONE_COUNT(names); i++)
            if (!done[i] && (most == HONE_COUNT(names) || num(shares, names[i].key) > num(shares, names[most].key)))
                most = i;
        done[most] = true;
        if (num(shares, names[most].key) >= 0.005)
            ADD("%s%s %.0f %%", n ? "  " : "", names[most].name, 100 * num(shares, names[most].key));
    }
    ADD("\n");
}

static void put_memory(const page *p, const json_t *k) {
    const json_t *c = json_object_get(k, "counters"), *f = json_object_get(k, "facts");
    char a[HONE_TEXT], b[HONE_TEXT], d[HONE_TEXT];
    label(p, "DRAM");
    ADD("%s moved, %s, %.0f %% of peak; %s touched\n", hone_text_scaled(num(f, "dram_bytes"), "B", a), hone_text_scaled(num(f, "dram_gbs") * 1e9, "B/s", b),
        100 * num(f, "dram_fraction"), hone_text_scaled(num(c, "compulsory_bytes"), "B", d));
    if (num(c, "global_sectors") > 0) {
        label(p, "global");
        ADD("%.3g sectors per request, %.3g would do; L1 hits %.0f %%, L2 hits %.0f %%\n", num(f, "sectors_per_request"), num(f, "sectors_per_request_ideal"),
            100 * num(f, "l1_hit_rate"), 100 * num(f, "l2_hit_rate"));
    }
    if (num(c, "shared_wavefronts") > 0) {
        label(p, "shared");
        ADD("%s wavefronts, %s the conflict-free number\n", hone_text_count(num(c, "shared_wavefronts"), a), hone_text_factor(num(f, "bank_conflict"), b));
    }
    if (num(c, "atomic_lane_ops") > 0) {
        label(p, "atomics");
        ADD("%s operations, %s on the busiest address, %.3g turns per warp\n", hone_text_count(num(c, "atomic_lane_ops"), a),
            hone_text_count(num(c, "atomic_serial_max"), b), num(f, "atomic_contention"));
    }
    if (num(c, "barriers") > 0) {
        label(p, "barriers");
        ADD("%s arrivals of warps, %.2g %% of instructions waited for\n", hone_text_count(num(c, "barriers"), a), 100 * num(f, "barrier_wait"));
    }
}

static void put_work(const page *p, const json_t *k) {
    static const struct { const char *key, *name; } pipes[] = {{"pipe_int", "int"}, {"pipe_fp32", "fp32"}, {"pipe_fp64", "fp64"}, {"pipe_fp16", "fp16"},
                                                               {"pipe_sfu", "sfu"}, {"pipe_lsu", "memory"}, {"pipe_tensor", "tensor"}, {"pipe_control", "control"}};
    const json_t *c = json_object_get(k, "counters"), *f = json_object_get(k, "facts");
    char a[HONE_TEXT];
    label(p, "work");
    ADD("%s warp instructions (", hone_text_count(num(c, "warp_insts"), a));
    bool first = true;
    for (size_t i = 0; i < HONE_COUNT(pipes); i++) {
        double share = num(c, "warp_insts") > 0 ? num(c, pipes[i].key) / num(c, "warp_insts") : 0;
        if (share >= 0.005) {
            ADD("%s%s %.0f %%", first ? "" : ", ", pipes[i].name, 100 * share);
            first = false;
        }
    }
    ADD("); %.0f %% of lanes active, %.1f %% of branches diverge\n", 100 * num(f, "lanes_active"), 100 * num(f, "divergence"));
}

// ---- the roofline: 44 by 7 characters, both axes logarithmic

enum { ROOF_W = 44, ROOF_H = 7 };

static void put_roofline(const page *p, const json_t *k) {
    const json_t *r = json_object_get(k, "roofline");
    char a[HONE_TEXT], b[HONE_TEXT], unit[16];
    if (!r)
        return;
    double intensity = num(r, "intensity"), rate = num(r, "rate"), peak = num(r, "peak"), ridge = num(r, "ridge");
    snprintf(unit, sizeof unit, "%s/s", text(r, "unit"));
    label(p, "roofline");
    ADD("%s at %.3g %s per DRAM byte: %.0f %% of the %s roof", hone_text_scaled(rate, unit, a), intensity, text(r, "unit"), 100 * num(r, "fraction"),
        text(r, "side"));
    ADD(" (%s peak %s)\n", text(r, "roof"), hone_text_scaled(peak, unit, b));
    double x_lo = log10(fmin(intensity, ridge)) - 0.7, x_hi = log10(fmax(intensity, ridge)) + 0.7, y_hi = log10(peak), y_lo = fmin(log10(rate) - 0.3, y_hi - 2);
    int dot_x = (int)lround((log10(intensity) - x_lo) / (x_hi - x_lo) * (ROOF_W - 1)), dot_y = (int)lround((log10(rate) - y_lo) / (y_hi - y_lo) * (ROOF_H - 1));
    for (int y = ROOF_H - 1; y >= 0; y--) {
        ADD("            %s│", p->view->style.dim);
        for (int x = 0; x < ROOF_W; x++) {
            double at = x_lo + (x_hi - x_lo) * x / (ROOF_W - 1), roof = fmin(y_hi, at + log10(num(r, "bandwidth")));
            int roof_y = (int)lround((roof - y_lo) / (y_hi - y_lo) * (ROOF_H - 1));
            if (x == dot_x && y == dot_y)
                ADD("%s%s●%s%s", p->view->style.off, p->view->style.cyan, p->view->style.off, p->view->style.dim);
            else
                ADD("%s", roof_y != y ? " " : at >= log10(ridge) ? "─" : "╱");
        }
        ADD("%s\n", p->view->style.off);
    }
    ADD("            %s└", p->view->style.dim);
    for (int x = 0; x < ROOF_W; x++)
        ADD("─");
    ADD("%s\n", p->view->style.off);
}

static void put_hardware(const page *p, const json_t *k) {
    const json_t *h = json_object_get(k, "hardware");
    size_t i;
    json_t *row;
    if (!json_object_get(p->doc, "hardware"))
        return;
    if (!h) {
        label(p, "hardware");
        ADD("%s has no launch of this kernel\n", text(json_object_get(p->doc, "hardware"), "path"));
        return;
    }
    ADD("  %shardware                        measured     virtual   virtual ÷ measured%s\n", p->view->style.dim, p->view->style.off);
    json_array_foreach(json_object_get(h, "metrics"), i, row) {
        char a[HONE_TEXT], b[HONE_TEXT], r[HONE_TEXT];
        double measured = num(row, "measured");
        ADD("    ");
        cell(p, text(row, "words"), 26, false);
        cell(p, hone_profile_hardware_value(row, "measured", a), 12, true);
        cell(p, hone_profile_hardware_value(row, "virtual", b), 12, true);
        ADD("   %s\n", hone_doc_has_number(row, "virtual") && measured > 0 ? hone_text_factor(num(row, "virtual") / measured, r) : "");
    }
    double n = num(h, "invocations");
    ADD("    %smeasured: physical, mean of %.0f invocation%s%s%s\n", p->view->style.dim, n, n == 1 ? "" : "s",
        json_is_false(json_object_get(h, "same_launch")) ? ", of another grid or block" : "", p->view->style.off);
}

static void put_kernel(const page *p, const json_t *k) {
    const hone_profile_style *st = &p->view->style;
    const json_t *b = json_object_get(k, "bound"), *o = json_object_get(k, "occupancy"), *g = json_object_get(k, "grid"), *l = json_object_get(k, "block");
    char t[HONE_TEXT];
#define AT(list, n) json_integer_value(json_array_get(list, n))
    ADD("\n%s%s%s  %s  grid %lld×%lld×%lld  block %lld×%lld×%lld", st->bold, text(k, "kernel"), st->off, hone_text_time(num(k, "time_us"), t), AT(g, 0), AT(g, 1),
        AT(g, 2), AT(l, 0), AT(l, 1), AT(l, 2));
#undef AT
    if (json_integer_value(json_object_get(k, "launches")) > 1)
        ADD("  %lld launches", json_integer_value(json_object_get(k, "launches")));
    ADD("\n");
    label(p, "why");
    ADD("%s\n", text(k, "explanation"));
    label(p, "bound by");
    ADD("%s%s%s\n", st->yellow, text(b, "words"), st->off);
    label(p, "helps");
    ADD("%s\n", text(b, "helps"));
    size_t i;
    json_t *s;
    json_array_foreach(json_object_get(k, "symptoms"), i, s) {
        label(p, i ? "" : "also");
        ADD("%s → %s\n", text(s, "words"), text(s, "helps"));
    }
    put_busy(p, k);
    label(p, "occupancy");
    ADD("%.0f %%, limited by %s: %.0f registers, %.0f B shared memory, %.0f blocks per SM\n", 100 * num(o, "achieved"), text(o, "limiter"), num(o, "registers"),
        num(o, "shared_bytes"), num(o, "blocks_per_sm"));
    if (*text(o, "raise")) {
        label(p, "");
        ADD("%s\n", text(o, "raise"));
    }
    put_work(p, k);
    put_memory(p, k);
    put_roofline(p, k);
    put_hardware(p, k);
}

// ---- two profiles

static void put_compare(const page *p) {
    const hone_profile_style *st = &p->view->style;
    json_t *rows = hone_doc_list(p->doc, "compare"), *row, *k;
    size_t i;
    if (!rows)
        return;
    ADD("\n%scompared             baseline    candidate     ratio%s\n", st->dim, st->off);
    json_array_foreach(rows, i, row) {
        char a[HONE_TEXT], b[HONE_TEXT], r[HONE_TEXT];
        bool is_time = !strcmp(text(row, "id"), "time_us"), is_share = !strcmp(text(row, "id"), "occupancy");
        double x = num(row, "baseline"), y = num(row, "candidate");
        bool better = json_is_true(json_object_get(row, "lower_is_better")) ? y < x : y > x;
        cell(p, text(row, "words"), 18, false);
        cell(p, is_time ? hone_text_time(x, a) : is_share ? percent(x, a) : hone_text_count(x, a), 11, true);
        cell(p, is_time ? hone_text_time(y, b) : is_share ? percent(y, b) : hone_text_count(y, b), 13, true);
        ADD("%s", x == y ? "" : better ? st->green : st->red);
        cell(p, hone_doc_has_number(row, "ratio") ? hone_text_factor(num(row, "ratio"), r) : "–", 10, true);
        ADD("%s\n", x == y ? "" : st->off);
    }
    for (int side = 0; side < 2; side++)
        json_array_foreach(side ? hone_doc_list(p->doc, "kernels") : hone_doc_list(p->doc, "baseline.kernels"), i, k) {
            cell(p, side ? "candidate" : "baseline", 18, false);
            ADD("  %s: %s\n", text(k, "kernel"), text(k, "explanation"));
        }
}

// ---- lines

static void put_bar(const page *p, double share, double most) {
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    int n = most > 0 ? (int)lround(share / most * 8 * 8) : 0;
    ADD("%s", share > 0.25 ? p->view->style.red : share > 0.1 ? p->view->style.yellow : p->view->style.dim);
    for (int i = 0; i < n / 8; i++)
        ADD("█");
    ADD("%s%s%*s", n % 8 ? eighths[n % 8] : "", p->view->style.off, 8 - n / 8 - (n % 8 != 0), "");
}

static void optional(const page *p, bool there, double v, const char *unit, int width) {
    char t[HONE_TEXT] = "";
    if (there)
        snprintf(t, sizeof t, "%.*f%s", v < 9.95 && strcmp(unit, " %") ? 1 : 0, v, unit);
    cell(p, t, width, true);
}

static void put_line(const page *p, const json_t *l, hone_span code, unsigned number, double most) {
    const char *bound = l ? hone_profile_line_bound(text(l, "bound")) : "";
    double time = num(l, "time_share");
    optional(p, l, 100 * time, " %", 6);
    optional(p, l, 100 * num(l, "share"), " %", 7);
    optional(p, hone_doc_has_number(l, "sectors_per_ideal"), num(l, "sectors_per_ideal"), "×", 9);
    optional(p, hone_doc_has_number(l, "bank_conflict"), num(l, "bank_conflict"), "×", 7);
    optional(p, l, 100 * num(l, "lanes_active"), " %", 7);
    ADD("  ");
    cell(p, time >= 0.005 ? bound : "", 10, false);
    put_bar(p, time, most);
    ADD(" %4u  %.*s", number, (int)(code.n > 96 ? 96 : code.n), code.s);
    if (num(l, "divergent_branches") > 0)
        ADD("  %s◆ diverges%s", p->view->style.cyan, p->view->style.off);
    if (num(l, "wait_share") > 0.05)
        ADD("  %s◆ waits%s", p->view->style.cyan, p->view->style.off);
    ADD("\n");
}

static bool is_shown_file(const page *p, const json_t *l) { return !strcmp(text(l, "file"), text(p->doc, "file")); }

static hone_span whole_line(const char *s) { return (hone_span){s, strcspn(s, "\n")}; }

hone_span hone_source_line(const char *source, unsigned line) {
    for (; line > 1 && *source; line--) {
        source = strchrnul(source, '\n');
        source += *source == '\n';
    }
    while (*source == ' ' || *source == '\t')
        source++;
    return whole_line(source);
}

// How much time the top-th line takes: those with as much are shown.
static double threshold(const page *p) {
    json_t *lines = hone_doc_list(p->doc, "source"), *l, *m;
    size_t i, j;
    json_array_foreach(lines, i, l) {
        size_t above = 0;
        json_array_foreach(lines, j, m) above += num(m, "time_share") > num(l, "time_share");
        if (above + 1 == p->view->top)
            return fmax(num(l, "time_share"), 0.005);
    }
    return 0.005;
}

// Block launches belong to no line.
static void put_rest(const page *p) {
    double rest = num(p->doc, "time_in_no_line");
    if (rest >= 0.02)
        ADD("%4.0f %%  %sstarting blocks: in no line%s\n", 100 * rest, p->view->style.dim, p->view->style.off);
}

static void put_source(const page *p) {
    json_t *lines = hone_doc_list(p->doc, "source"), *l;
    double most = 0, least = threshold(p);
    size_t i;
    unsigned number = 1;
    json_array_foreach(lines, i, l) most = fmax(most, num(l, "time_share"));
    if (!json_array_size(lines))
        return;
    ADD("\n%s  time  insts  sectors  banks  lanes  bound by           line%s\n", p->view->style.dim, p->view->style.off);
    if (p->view->source) {
        for (const char *s = text(p->doc, "text"); *s; number++) {
            hone_span code = whole_line(s);
            put_line(p, hone_profile_source_line(p->doc, number), code, number, most);
            s += code.n + (s[code.n] == '\n');
        }
        put_rest(p);
        return;
    }
    json_array_foreach(lines, i, l) {
        number = (unsigned)json_integer_value(json_object_get(l, "line"));
        if (num(l, "time_share") < least)
            continue;
        const char *file = text(l, "file");
        hone_span code = is_shown_file(p, l) ? hone_source_line(text(p->doc, "text"), number) : (hone_span){file, strlen(file)};
        put_line(p, l, code, number, most);
    }
    put_rest(p);
}

void hone_profile_text(const json_t *document, const hone_profile_view *v, hone_str *out) {
    const page here = {document, v, out}, *p = &here;
    const json_t *h = json_object_get(document, "hardware");
    ADD("%s%s on %s: modelled on the virtual GPU, error band ±%.0f %%%s\n", v->style.dim, text(document, "path"), text(json_object_get(document, "device"), "name"),
        100 * num(document, "error_band"), v->style.off);
    if (h)
        ADD("%shardware counters from %s (%s page of ncu%s%s): measured%s\n", v->style.dim, text(h, "path"), text(h, "layout"), *text(h, "device") ? ", " : "",
            text(h, "device"), v->style.off);
    const json_t *missing = json_object_get(document, "hardware_missing");
    if (missing)
        ADD("%sNO hardware counters: %s%s\n", v->style.yellow, text(missing, "reason"), v->style.off);
    ADD("\n");
    put_table(p);
    put_compare(p);
    size_t i;
    json_t *k;
    json_array_foreach(hone_doc_list(document, "kernels"), i, k) put_kernel(p, k);
    put_source(p);
}
