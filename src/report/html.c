// report/html: report.html, one page that opens anywhere: no network, no scripts. Sections from most to least important; every number in it
// comes from the result document, and everything that came from outside is escaped.
#include "report/internal.h"
#include "report/tables.h"
#include <string.h>

// ---- escaping

void hone_html_textn(hone_str *out, const char *s, size_t n) {
    static const struct {
        char c;
        const char *to;
    } table[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}};
    size_t from = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < HONE_COUNT(table); k++)
            if (s[i] == table[k].c) {
                hone_str_addn(out, s + from, i - from);
                hone_str_add(out, table[k].to);
                from = i + 1;
            }
    hone_str_addn(out, s + from, n - from);
}

void hone_html_text(hone_str *out, const char *s) { hone_html_textn(out, s, strlen(s)); }

// ---- head

static bool is_virtual(const json_t *r) { return !strcmp(hone_doc_text(r, "kind"), "virtual"); }

// "faster, by more than the noise"; for another objective "less energy, by more than the noise".
static void put_verdict_words(const json_t *r, const char *verdict, hone_str *out) {
    static const struct { const char *objective, *better, *same, *worse; } words[] = {
        {"energy", "less energy", "the baseline's energy", "more energy than the baseline"},
        {"edp", "less energy × time", "the baseline's energy × time", "more energy × time than the baseline"},
        {"", "faster", "as fast as the baseline", "slower than the baseline"},
    };
    const char *objective = hone_doc_text(json_object_get(r, "task"), "objective"), *margin = is_virtual(r) ? "the model's error" : "the noise";
    size_t i = 0;
    while (i + 1 < HONE_COUNT(words) && strcmp(words[i].objective, objective) != 0)
        i++;
    if (!strcmp(verdict, "FAST"))
        hone_str_addf(out, "%s, by more than %s", words[i].better, margin);
    else if (!strcmp(verdict, "AMBIGUOUS"))
        hone_str_addf(out, "seems %s, within %s", words[i].better, margin);
    else if (!strcmp(verdict, "SAME") || !strcmp(verdict, "SLOW"))
        hone_str_add(out, !strcmp(verdict, "SAME") ? words[i].same : words[i].worse);
    else
        hone_str_add(out, "no candidate beat the baseline");
}

static void put_verdict(const json_t *r, hone_str *out) {
    char s[HONE_TEXT], lo[HONE_TEXT], hi[HONE_TEXT];
    const char *verdict = hone_doc_text(r, "verdict");
    bool found = json_is_object(json_object_get(r, "best"));
    hone_str_add(out, "<div class=hero>");
    if (found)
        hone_str_addf(out, "<div class=factor>%s</div>", hone_text_factor(hone_doc_number(r, "speedup"), s));
    hone_str_add(out, "<div><div class=\"verdict ");
    hone_html_text(out, verdict);
    hone_str_add(out, "\">");
    hone_html_text(out, verdict);
    hone_str_add(out, "</div><div class=soft>");
    put_verdict_words(r, verdict, out);
    if (found && hone_doc_has_number(r, "speedup_lo"))
        hone_str_addf(out, ": between %s and %s", hone_text_factor(hone_doc_number(r, "speedup_lo"), lo),
                      hone_text_factor(hone_doc_number(r, "speedup_hi"), hi));
    if (found)
        hone_str_add(out,
                     json_is_true(json_object_get(r, "confirmed")) ? "; confirmed on fresh inputs" : "; not confirmed on fresh inputs yet");
    hone_str_add(out, "</div></div></div>\n");
}

static void put_fact(hone_str *out, const char *value, const char *what) {
    hone_str_addf(out, "<div><b>%s</b><span>%s</span></div>", value, what);
}

static void put_count(hone_str *out, double n, const char *what) {
    char t[HONE_TEXT];
    put_fact(out, hone_text_count(n, t), what);
}

static void put_facts(const json_t *r, hone_str *out) {
    char t[HONE_TEXT];
    const json_t *d = json_object_get(r, "duplicates");
    hone_str_add(out, "<div class=facts>");
    put_count(out, hone_doc_number(r, "evaluations"), "candidates evaluated");
    put_count(out, hone_doc_number(r, "refused"), "refused, with findings");
    put_count(out, hone_doc_number(d, "source") + hone_doc_number(d, "ptx"), "duplicates, not evaluated");
    bool resumed = json_is_true(json_object_get(r, "resumed"));
    put_fact(out, hone_text_duration(hone_doc_number(r, "seconds"), t), resumed ? "wall time of this sitting" : "wall time");
    hone_str_add(out, "</div><p class=\"soft small\">The search ended: ");
    hone_html_text(out, hone_stop_words(hone_doc_text(r, "stopped")));
    hone_str_add(out, ".\n");
}

static void put_head(const json_t *r, hone_str *out) {
    const json_t *task = json_object_get(r, "task");
    hone_str_add(
        out,
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport content=\"width=device-width,initial-scale=1\">\n<title>");
    hone_html_text(out, hone_doc_text(task, "name"));
    hone_str_add(out, " · hone</title>\n<style>\n");
    hone_str_add(out, hone_html_style);
    hone_str_add(out, "</style></head><body>\n<header><div class=kicker>");
    hone_html_text(out, hone_doc_text(json_object_get(r, "device"), "name"));
    if (is_virtual(r))
        hone_str_add(out, "<span class=badge>virtual GPU: times are modelled, not measured</span>");
    hone_str_add(out, "</div><h1>");
    hone_html_text(out, hone_doc_text(task, "name"));
    hone_str_add(out, "</h1>\n");
    put_verdict(r, out);
    put_facts(r, out);
    hone_str_add(out, "</header>\n");
}

// ---- sections

static void put_energy(const json_t *r, hone_str *out) {
    const json_t *e = json_object_get(r, "energy");
    hone_str payback;
    if (!e)
        return;
    hone_str_add(out, "<h2>Energy</h2>\n");
    hone_chart_energy(r, out);
    hone_table_front(r, out);
    if (!strcmp(hone_doc_text(e, "kind"), "absent")) {
        hone_str_add(out, "<p class=soft>Energy per run is not known: ");
        hone_html_text(out, hone_doc_text(e, "reason"));
        hone_str_add(out, ".\n");
    }
    hone_str_init(&payback, 1 << 12);
    hone_text_payback(r, &payback);
    if (payback.len) {
        payback.s[0] = 'T';
        hone_str_add(out, "<p>");
        hone_html_text(out, payback.s);
        hone_str_add(out, ".\n");
    }
    hone_str_free(&payback);
}

static void put_charts(const json_t *r, hone_str *out) {
    hone_str_add(out, "<h2>Time</h2>\n");
    hone_chart_times(r, out);
    hone_table_sizes(r, out);
    put_energy(r, out);
    hone_str_add(out, "<div class=two><section><h2>Search</h2>\n");
    hone_chart_convergence(r, out);
    hone_str_add(out, "</section><section><h2>Where it stands on the machine</h2>\n");
    hone_chart_roofline(r, out);
    hone_str_add(out, "</section></div>\n");
}

static void put_link(const json_t *x, size_t i, hone_str *out) {
    char t[HONE_TEXT];
    const char *note = hone_doc_text(x, "note");
    hone_str_add(out, "<li>");
    if (hone_doc_has_number(x, "gain"))
        hone_str_addf(out, "<span class=gain>%s</span> ", hone_text_factor(hone_doc_number(x, "gain"), t));
    hone_html_text(out, *note ? note : hone_doc_text(x, "move"));
    hone_str_add(out, "<div class=\"soft small\">");
    if (i > 0) {
        hone_html_text(out, hone_doc_text(x, "proposer"));
        hone_str_add(out, " · ");
        hone_html_text(out, hone_doc_text(x, "move"));
        hone_str_add(out, " · ");
    }
    hone_str_addf(out, "candidate %.0f", hone_doc_number(x, "id"));
    if (hone_doc_has_number(x, "time_us"))
        hone_str_addf(out, " · %s", hone_text_time(hone_doc_number(x, "time_us"), t));
    hone_str_add(out, "</div>\n");
}

static void put_lineage(const json_t *r, hone_str *out) {
    json_t *list = hone_doc_list(r, "lineage"), *x;
    size_t i;
    if (json_array_size(list) == 0)
        return;
    hone_str_add(out, "<section><h2>How the best came about</h2>\n<ol class=chain>\n");
    json_array_foreach(list, i, x) put_link(x, i, out);
    hone_str_add(out, "</ol></section>\n");
}

static void put_code(const json_t *r, hone_str *out, hone_err *e) {
    if (!json_is_object(json_object_get(r, "best")))
        return;
    hone_str_add(out, "<h2>What changed in the source</h2>\n");
    hone_html_diff(r, out, e);
}

static hone_code put_body(const json_t *r, hone_str *out, hone_err *e) {
    hone_err local = {0};
    put_charts(r, out);
    hone_str_add(out, "<div class=two>\n");
    put_lineage(r, out);
    hone_table_machine(r, out);
    hone_str_add(out, "</div>\n");
    put_code(r, out, &local);
    if (local.code != HONE_OK)
        return hone_fail(e, local.code, local.sub, "%s", local.msg);
    hone_table_checks(r, out);
    hone_table_findings(r, out);
    hone_table_moves(r, out);
    hone_table_model(r, out);
    hone_table_candidates(r, out);
    hone_table_provenance(r, out);
    return HONE_OK;
}

hone_code hone_report_html(const json_t *result, hone_str *out, hone_err *e) {
    HONE_TRY(hone_doc_check(result, e));
    put_head(result, out);
    HONE_TRY(put_body(result, out, e));
    hone_str_add(out, "</body></html>\n");
    return hone_str_check(out, "the report", e);
}
