// A profile as one page that opens anywhere, in the style of report.html: what bounds the kernels, the roofline, counters, hardware beside virtual, and
// the source as a heat map. Renders the document of profile_doc.c; everything that came from outside is escaped.
#include "report/profile.h"
#include <math.h>
#include <string.h>

static const char style[] =
    ".why{font-size:22px;font-weight:600;margin:2px 0}.bar{display:inline-block;height:9px;background:var(--best);vertical-align:baseline}\n"
    ".busy{display:grid;grid-template-columns:max-content 1fr max-content;gap:3px 12px;font-size:13px;align-items:center}\n"
    ".busy div{background:var(--panel)}.busy div b{display:block;height:11px;background:var(--base)}.busy div b.most{background:var(--warn)}\n"
    "table.heat{font-size:12px;line-height:1.45}table.heat td{border:0;padding:0 10px 0 0;white-space:nowrap}\n"
    "table.heat td.c{white-space:pre-wrap;width:100%;tab-size:4;font-family:ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace}\n"
    "table.heat td.n{color:var(--faint);text-align:right}table.heat td.h{width:70px}\n"
    ".h{position:relative}.h i{position:absolute;left:0;top:3px;bottom:3px;background:var(--bad);opacity:.55}\n"
    ".tag{color:var(--warn);font-size:11px;padding-left:8px}\n";

static double num(const json_t *o, const char *key) { return hone_doc_number(o, key); }
static const char *text(const json_t *o, const char *key) { return hone_doc_text(o, key); }
static const char *percent(double v, char buf[HONE_TEXT]) {
    snprintf(buf, HONE_TEXT, "%.0f %%", 100 * v);
    return buf;
}

// ---- head

static void put_head(const json_t *d, hone_str *out) {
    const char *name = hone_path_base(text(d, "path"));
    char t[HONE_TEXT];
    hone_str_add(out, "<!doctype html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport content=\"width=device-width,initial-scale=1\">\n<title>");
    hone_html_text(out, name);
    hone_str_add(out, " · profile · hone</title>\n<style>\n");
    hone_str_add(out, hone_html_style);
    hone_str_add(out, style);
    hone_str_add(out, "</style></head><body>\n<header><div class=kicker>");
    hone_html_text(out, text(json_object_get(d, "device"), "name"));
    hone_str_addf(out, "<span class=badge>virtual GPU: times are modelled, ±%.0f %%</span>", 100 * num(d, "error_band"));
    hone_str_add(out, "</div><h1>");
    hone_html_text(out, name);
    hone_str_addf(out, "</h1>\n<div class=hero><div class=factor>%s</div></div>\n</header>\n", hone_text_time(num(d, "modelled_us"), t));
}

// ---- tables

static void put_kernels(const json_t *d, hone_str *out) {
    size_t i;
    json_t *k;
    hone_str_add(out, "<h2>Kernels</h2>\n<div class=scroll><table><tr><th>kernel<th class=num>time<th class=num>share<th class=num>launches<th class=num>occupancy"
                      "<th class=num>registers<th class=num>lanes active<th class=num>DRAM<th>why\n");
    json_array_foreach(hone_doc_list(d, "kernels"), i, k) {
        char a[HONE_TEXT], b[HONE_TEXT], c[HONE_TEXT], e[HONE_TEXT], f[HONE_TEXT];
        hone_str_add(out, "<tr><td>");
        hone_html_text(out, text(k, "kernel"));
        hone_str_addf(out, "<td class=num>%s<td class=num>%s<td class=num>%.0f<td class=num>%s", hone_text_time(num(k, "time_us"), a),
                      percent(num(k, "time_share"), b), (double)json_integer_value(json_object_get(k, "launches")),
                      percent(num(json_object_get(k, "occupancy"), "achieved"), c));
        hone_str_addf(out, "<td class=num>%.0f<td class=num>%s<td class=num>%s<td>", num(json_object_get(k, "occupancy"), "registers"),
                      percent(num(json_object_get(k, "facts"), "lanes_active"), e), percent(num(json_object_get(k, "facts"), "dram_fraction"), f));
        hone_html_text(out, text(k, "explanation"));
        hone_str_addc(out, '\n');
    }
    hone_str_add(out, "</table></div>\n");
}

static void put_compare(const json_t *d, hone_str *out) {
    json_t *rows = hone_doc_list(d, "compare"), *row;
    size_t i;
    if (!rows)
        return;
    hone_str_add(out, "<h2>Against the baseline</h2>\n<table><tr><th>quantity<th class=\"num cb\">baseline<th class=\"num cx\">candidate<th class=num>ratio\n");
    json_array_foreach(rows, i, row) {
        char a[HONE_TEXT], b[HONE_TEXT], r[HONE_TEXT];
        bool is_time = !strcmp(text(row, "id"), "time_us"), is_share = !strcmp(text(row, "id"), "occupancy");
        double x = num(row, "baseline"), y = num(row, "candidate");
        hone_str_add(out, "<tr><td>");
        hone_html_text(out, text(row, "words"));
        hone_str_addf(out, "<td class=num>%s<td class=num>%s", is_time ? hone_text_time(x, a) : is_share ? percent(x, a) : hone_text_count(x, a),
                      is_time ? hone_text_time(y, b) : is_share ? percent(y, b) : hone_text_count(y, b));
        hone_str_addf(out, "<td class=num>%s\n", hone_doc_has_number(row, "ratio") ? hone_text_factor(num(row, "ratio"), r) : "–");
    }
    hone_str_add(out, "</table>\n");
}

static void put_missing(const json_t *d, hone_str *out) {
    const json_t *m = json_object_get(d, "hardware_missing");
    if (!m)
        return;
    hone_str_add(out, "<p><span class=badge>no hardware counters: ");
    hone_html_text(out, text(m, "reason"));
    hone_str_add(out, "</span>\n");
}

static void put_hardware(const json_t *k, hone_str *out) {
    const json_t *h = json_object_get(k, "hardware");
    size_t i;
    json_t *row;
    if (!h)
        return;
    hone_str_addf(out, "<h3>Hardware beside virtual</h3>\n<p class=\"soft small\">Measured: physical, mean of %.0f invocations.</p>\n<table><tr><th>metric<th class=\"num cx\">measured<th class=\"num cb\">virtual<th class=num>virtual ÷ measured\n",
                  num(h, "invocations"));
    json_array_foreach(json_object_get(h, "metrics"), i, row) {
        char r[HONE_TEXT];
        char a[HONE_TEXT], b[HONE_TEXT];
        bool both = hone_doc_has_number(row, "virtual") && num(row, "measured") > 0;
        hone_str_add(out, "<tr><td>");
        hone_html_text(out, text(row, "words"));
        hone_str_addf(out, "<td class=num>%s<td class=num>%s<td class=num>%s\n", hone_profile_hardware_value(row, "measured", a),
                      hone_profile_hardware_value(row, "virtual", b), both ? hone_text_factor(num(row, "virtual") / num(row, "measured"), r) : "");
    }
    hone_str_add(out, "</table>\n");
}

// ---- one kernel

static void put_busy(const json_t *k, hone_str *out) {
    static const struct { const char *key, *name; } names[] = {{"issue", "instruction issue"}, {"pipe", "busiest pipe"}, {"l1", "L1"}, {"shared", "shared memory"},
                                                               {"l2", "L2"}, {"dram", "DRAM"}, {"latency", "latency"}, {"atomic", "atomics"},
                                                               {"blocks", "block starts"}};
    const json_t *shares = json_object_get(json_object_get(k, "model"), "shares");
    double most = 0;
    for (size_t i = 0; i < HONE_COUNT(names); i++)
        most = fmax(most, num(shares, names[i].key));
    hone_str_add(out, "<div class=busy>");
    for (size_t i = 0; i < HONE_COUNT(names); i++) {
        double v = num(shares, names[i].key);
        hone_str_addf(out, "<span class=soft>%s</span><div><b%s style=\"width:%.1f%%\"></b></div><span class=num>%.0f %%</span>\n", names[i].name,
                      v >= most ? " class=most" : "", 100 * v, 100 * v);
    }
    hone_str_add(out, "</div>\n");
}

static void put_fact(hone_str *out, const char *what, const char *value) {
    hone_str_addf(out, "<dt>%s</dt><dd>", what);
    hone_html_text(out, value);
    hone_str_add(out, "</dd>");
}

static void put_facts(const json_t *k, hone_str *out) {
    const json_t *c = json_object_get(k, "counters"), *f = json_object_get(k, "facts"), *o = json_object_get(k, "occupancy"), *r = json_object_get(k, "roofline");
    char s[256], a[HONE_TEXT], b[HONE_TEXT];
    hone_str_add(out, "<dl>");
    snprintf(s, sizeof s, "%.0f %%, limited by %s; %.0f registers, %.0f B shared memory, %.0f blocks per SM", 100 * num(o, "achieved"), text(o, "limiter"),
             num(o, "registers"), num(o, "shared_bytes"), num(o, "blocks_per_sm"));
    put_fact(out, "occupancy", s);
    if (*text(o, "raise"))
        put_fact(out, "to raise it", text(o, "raise"));
    snprintf(s, sizeof s, "%s warp instructions, %.0f %% of lanes active, %.1f %% of branches diverge", hone_text_count(num(c, "warp_insts"), a),
             100 * num(f, "lanes_active"), 100 * num(f, "divergence"));
    put_fact(out, "work", s);
    snprintf(s, sizeof s, "%s moved, %.0f %% of peak; %s touched", hone_text_scaled(num(f, "dram_bytes"), "B", a), 100 * num(f, "dram_fraction"),
             hone_text_scaled(num(c, "compulsory_bytes"), "B", b));
    put_fact(out, "DRAM", s);
    snprintf(s, sizeof s, "%.3g sectors per request, %.3g would do; L1 hits %.0f %%, L2 hits %.0f %%", num(f, "sectors_per_request"),
             num(f, "sectors_per_request_ideal"), 100 * num(f, "l1_hit_rate"), 100 * num(f, "l2_hit_rate"));
    put_fact(out, "global memory", s);
    if (num(c, "shared_wavefronts") > 0) {
        snprintf(s, sizeof s, "%s wavefronts, %s the conflict-free number", hone_text_count(num(c, "shared_wavefronts"), a),
                 hone_text_factor(num(f, "bank_conflict"), b));
        put_fact(out, "shared memory", s);
    }
    if (r) {
        snprintf(s, sizeof s, "%.0f %% of the %s roof at %.3g %s per DRAM byte", 100 * num(r, "fraction"), text(r, "side"), num(r, "intensity"), text(r, "unit"));
        put_fact(out, "roofline", s);
    }
    hone_str_add(out, "</dl>\n");
}

static void put_kernel(const json_t *k, hone_str *out) {
    const json_t *b = json_object_get(k, "bound");
    size_t i;
    json_t *s;
    hone_str_add(out, "<h2>");
    hone_html_text(out, text(k, "kernel"));
    hone_str_add(out, "</h2>\n<p class=why>");
    hone_html_text(out, text(k, "explanation"));
    hone_str_add(out, "</p>\n<p>Bound by ");
    hone_html_text(out, text(b, "words"));
    hone_str_add(out, ". What usually helps: ");
    hone_html_text(out, text(b, "helps"));
    hone_str_add(out, ".</p>\n");
    json_array_foreach(json_object_get(k, "symptoms"), i, s) {
        hone_str_add(out, "<p class=small><b>");
        hone_html_text(out, text(s, "words"));
        hone_str_add(out, "</b> → ");
        hone_html_text(out, text(s, "helps"));
        hone_str_add(out, "</p>\n");
    }
    hone_str_add(out, "<div class=two><section><h3>How busy each resource is</h3>\n");
    put_busy(k, out);
    hone_str_add(out, "</section><section><h3>Counters</h3>\n");
    put_facts(k, out);
    hone_str_add(out, "</section></div>\n");
    put_hardware(k, out);
}

// The chart reads a result document: this profile takes the place of its outcomes.
static void put_roofline(const json_t *d, hone_str *out) {
    bool two = json_is_object(json_object_get(d, "baseline"));
    const json_t *first = two ? json_object_get(d, "baseline") : d;
    json_t *outcomes = json_object(), *r = json_pack("{s:O, s:o, s:{s:s, s:s}}", "device", json_object_get(d, "device"), "outcomes", outcomes, "labels", "baseline",
                                                     two ? "baseline" : "this profile", "best", "candidate");
    if (!r)
        return;
    json_object_set(outcomes, "baseline", (json_t *)(uintptr_t)first);
    if (two)
        json_object_set(outcomes, "best", (json_t *)(uintptr_t)d);
    hone_str_add(out, "<h2>Where it stands on the machine</h2>\n<div style=\"max-width:620px\">");
    hone_chart_roofline(r, out);
    hone_str_add(out, "</div>\n");
    json_decref(r);
}

// ---- the heat map

static void put_optional(hone_str *out, bool there, double v, const char *unit) {
    hone_str_add(out, "<td class=num>");
    if (there)
        hone_str_addf(out, "%.*f%s", *unit == ' ' ? 0 : 1, v, unit);
}

static void put_code(hone_str *out, const char *s, size_t n, const uint8_t *classes) {
    for (size_t i = 0; i < n;) {
        size_t end = i + 1;
        while (end < n && (!classes || classes[end] == classes[i]))
            end++;
        if (classes && classes[i] != HONE_CODE_PLAIN)
            hone_str_addf(out, "<span class=k%d>", classes[i]);
        hone_html_textn(out, s + i, end - i);
        if (classes && classes[i] != HONE_CODE_PLAIN)
            hone_str_add(out, "</span>");
        i = end;
    }
}

static void put_row(const json_t *l, unsigned number, const char *s, size_t n, const uint8_t *classes, hone_str *out) {
    double time = num(l, "time_share");
    hone_str_add(out, "<tr><td class=\"num h\">");
    if (l)
        hone_str_addf(out, "<i style=\"width:%.1f%%\"></i>%.0f %%", 100 * time, 100 * time);
    put_optional(out, l, 100 * num(l, "share"), " %");
    put_optional(out, hone_doc_has_number(l, "sectors_per_ideal"), num(l, "sectors_per_ideal"), "×");
    put_optional(out, hone_doc_has_number(l, "bank_conflict"), num(l, "bank_conflict"), "×");
    put_optional(out, l, 100 * num(l, "lanes_active"), " %");
    hone_str_addf(out, "<td class=soft>%s<td class=n>%u<td class=c style=\"background:color-mix(in srgb,var(--bad) %.0f%%,transparent)\">",
                  time >= 0.005 ? hone_profile_line_bound(text(l, "bound")) : "", number, 40 * time);
    put_code(out, s, n, classes);
    if (num(l, "divergent_branches") > 0)
        hone_str_add(out, "<span class=tag>diverges</span>");
    if (num(l, "wait_share") > 0.05)
        hone_str_add(out, "<span class=tag>waits</span>");
    hone_str_addc(out, '\n');
}

static void put_source(const json_t *d, hone_str *out) {
    const char *source = text(d, "text");
    uint8_t *classes = hone_code_classes(source, strlen(source));
    hone_str_add(out, "<h2>Source</h2>\n<p class=\"soft small\">Time: share of the modelled time that the resources which bind spend on the line. Sectors: asked for, "
                      "over those needed. Banks: shared-memory wavefronts over the conflict-free number.</p>\n<div class=scroll><table class=heat><tr><th class=num>time"
                      "<th class=num>instructions<th class=num>sectors<th class=num>banks<th class=num>lanes<th>bound by<th><th>\n");
    if (num(d, "time_in_no_line") >= 0.02)
        hone_str_addf(out, "<tr><td class=\"num h\"><i style=\"width:%.1f%%\"></i>%.0f %%<td><td><td><td><td><td><td class=soft>starting blocks: in no line\n",
                      100 * num(d, "time_in_no_line"), 100 * num(d, "time_in_no_line"));
    unsigned number = 1;
    for (const char *s = source; *s; number++) {
        size_t n = strcspn(s, "\n");
        put_row(hone_profile_source_line(d, number), number, s, n, classes ? classes + (s - source) : NULL, out);
        s += n + (s[n] == '\n');
    }
    hone_str_add(out, "</table></div>\n");
    hone_free(classes);
}

hone_code hone_profile_html(const json_t *document, hone_str *out, hone_err *e) {
    put_head(document, out);
    put_missing(document, out);
    put_kernels(document, out);
    put_compare(document, out);
    put_roofline(document, out);
    size_t i;
    json_t *k;
    json_array_foreach(hone_doc_list(document, "kernels"), i, k) put_kernel(k, out);
    put_source(document, out);
    hone_str_add(out, "</body></html>\n");
    return hone_str_check(out, "the page", e);
}
