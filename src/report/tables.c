// report/tables: checks passed, findings by kind, moves, candidates, provenance.
#include "report/tables.h"
#include <math.h>
#include <string.h>

enum { MAX_ROWS = 500 };   // candidates shown; result.json has them all

static void put_text_cell(hone_str *out, const char *s) {
    hone_str_add(out, "<td>");
    hone_html_text(out, s);
}

static void put_number_cell(hone_str *out, double v) { hone_str_addf(out, "<td class=num>%.0f", v); }

static void head(hone_str *out, const char *title, const char *columns) {
    hone_str_addf(out, "<section><h2>%s</h2>\n<div class=scroll><table><tr>%s\n", title, columns);
}

static void tail(hone_str *out) { hone_str_add(out, "</table></div></section>\n"); }

// ---- checks

static const char *stage_words(const char *name) {
    static const struct { const char *name, *words;
    } table[] = {
        {"static", "Source and PTX obey the rules: same contract, no clocks, no host code, no unknown functions"},
        {"compile", "Compiles; resources fit the device"},
        {"sanitize", "Runs clean on the virtual GPU: bounds, alignment, uninitialised reads, barriers, races"},
        {"differential",
         "Same results as the baseline on fresh inputs of several distributions and sizes, with poisoned outputs and guard zones"},
        {"time", "Timed against the baseline"},
        {"profile", "Counters taken"},
    };
    for (size_t i = 0; i < HONE_COUNT(table); i++)
        if (!strcmp(table[i].name, name))
            return table[i].words;
    return "";
}

void hone_table_checks(const json_t *result, hone_str *out) {
    const json_t *o = hone_doc_at(result, "outcomes.best");
    json_t *list = hone_doc_list(o, "stages"), *s;
    size_t i;
    if (json_array_size(list) == 0)
        return;
    head(out, "What the best passed", "<th>stage<th>result<th>what it shows");
    json_array_foreach(list, i, s) {
        const char *name = hone_doc_text(s, "name");
        bool pass = !strcmp(hone_doc_text(s, "status"), "pass");
        hone_str_add(out, "<tr><td class=keep>");
        hone_html_text(out, name);
        hone_str_addf(out, "<td class=%s>", pass ? "FAST" : "SLOW");
        hone_html_text(out, hone_doc_text(s, "status"));
        put_text_cell(out, stage_words(name));
        const json_t *check = json_object_get(o, "check");
        if (!strcmp(name, "differential") && hone_doc_has_number(check, "cases"))
            hone_str_addf(out, " (%.0f cases, %.0f runs)", hone_doc_number(check, "cases"), hone_doc_number(check, "runs"));
        hone_str_addc(out, '\n');
    }
    tail(out);
}

// ---- findings, moves

void hone_table_findings(const json_t *result, hone_str *out) {
    json_t *list = hone_doc_list(result, "findings"), *f;
    size_t i;
    if (json_array_size(list) == 0)
        return;
    head(out, "Why candidates were refused", "<th>finding<th class=num>candidates<th>for example");
    json_array_foreach(list, i, f) {
        const json_t *x = json_object_get(f, "example");
        hone_str_add(out, "<tr><td class=\"keep mono\">");
        hone_html_text(out, hone_doc_text(f, "kind"));
        put_number_cell(out, hone_doc_number(f, "count"));
        hone_str_add(out, "<td>");
        hone_html_text(out, hone_doc_text(x, "message"));
        if (x)
            hone_str_addf(out, " <span class=soft>(candidate %.0f)</span>", hone_doc_number(x, "id"));
        hone_str_addc(out, '\n');
    }
    tail(out);
}

void hone_table_moves(const json_t *result, hone_str *out) {
    static const char *const counts[] = {"tried", "evaluated", "passed", "improved", "best"};
    json_t *list = hone_doc_list(result, "moves"), *m;
    size_t i;
    char t[HONE_TEXT];
    if (json_array_size(list) == 0)
        return;
    head(
        out, "Moves",
        "<th>proposer<th>move<th class=num>proposed<th class=num>evaluated<th class=num>correct<th class=num>beat parent<th class=num>new best"
        "<th class=num>mean gain when better");
    json_array_foreach(list, i, m) {
        double improved = hone_doc_number(m, "improved");
        hone_str_add(out, "<tr>");
        put_text_cell(out, hone_doc_text(m, "proposer"));
        put_text_cell(out, hone_doc_text(m, "move"));
        for (size_t k = 0; k < HONE_COUNT(counts); k++)
            put_number_cell(out, hone_doc_number(m, counts[k]));
        hone_str_addf(out, "<td class=num>%s\n",
                      improved > 0 ? hone_text_factor(exp(hone_doc_number(m, "gain_log_sum") / improved), t) : "–");
    }
    tail(out);
}

// ---- models

void hone_table_model(const json_t *result, hone_str *out) {
    static const char *const columns[] = {"model", "move", "template", "outcome", "detail"};
    json_t *list = hone_doc_list(json_object_get(result, "model"), "exchanges"), *x;
    size_t i;
    if (json_array_size(list) == 0)
        return;
    head(out, "What language models answered", "<th>model<th>move<th>template<th>outcome<th>detail<th class=num>candidate<th class=num>tokens");
    json_array_foreach(list, i, x) {
        hone_str_add(out, "<tr>");
        for (size_t k = 0; k < HONE_COUNT(columns); k++)
            put_text_cell(out, hone_doc_text(x, columns[k]));
        if (hone_doc_has_number(x, "candidate"))
            put_number_cell(out, hone_doc_number(x, "candidate"));
        else
            hone_str_add(out, "<td class=num>–");
        put_number_cell(out, hone_doc_number(x, "tokens"));
        hone_str_addc(out, '\n');
    }
    tail(out);
}

// ---- candidates

static void put_candidate(const json_t *c, double baseline_cost, hone_str *out) {
    char t[HONE_TEXT];
    const char *verdict = hone_doc_text(c, "verdict");
    hone_str_addf(out, "<tr><td class=num>%.0f<td class=num>", hone_doc_number(c, "id"));
    const json_t *parents = json_object_get(c, "parents");
    for (size_t i = 0; i < json_array_size(parents); i++)
        hone_str_addf(out, "%s%lld", i ? ", " : "", (long long)json_integer_value(json_array_get(parents, i)));
    put_text_cell(out, hone_doc_text(c, "move"));
    put_text_cell(out, hone_doc_text(c, "note"));
    hone_str_add(out, "<td>");
    hone_html_text(out, verdict);
    if (!strcmp(verdict, "duplicate"))
        hone_str_addf(out, " of %.0f", hone_doc_number(c, "duplicate_of"));
    if (!strcmp(verdict, "fail")) {
        hone_str_add(out, ": ");
        hone_html_text(out, hone_doc_text(json_object_get(c, "finding"), "kind"));
    }
    bool timed = hone_doc_number(c, "time_us") > 0;
    hone_str_addf(out, "<td class=num>%s", timed ? hone_text_time(hone_doc_number(c, "time_us"), t) : "");
    hone_str_addf(out, "<td class=num>%s\n",
                  timed && baseline_cost > 0 ? hone_text_factor(baseline_cost / hone_doc_number(c, "cost"), t) : "");
}

void hone_table_candidates(const json_t *result, hone_str *out) {
    json_t *list = hone_doc_list(result, "candidates"), *c;
    size_t i, n = json_array_size(list);
    if (n == 0)
        return;
    hone_str_addf(
        out,
        "<section><h2>Candidates</h2>\n<details><summary>all %zu, in the order in which they were applied</summary>\n<div class=scroll><table>"
        "<tr><th class=num>id<th class=num>parents<th>move<th>what<th>verdict<th class=num>time<th class=num>speedup\n",
        n);
    double cost = hone_doc_number(json_object_get(result, "baseline"), "cost");
    json_array_foreach(list, i, c) {
        if (i == MAX_ROWS)
            break;
        put_candidate(c, cost, out);
    }
    hone_str_add(out, "</table></div>");
    if (n > MAX_ROWS)
        hone_str_addf(out, "<p class=\"soft small\">The first %d; result.json has all.", MAX_ROWS);
    hone_str_add(out, "</details></section>\n");
}

// ---- provenance

static void put_pair(hone_str *out, const char *name, const char *value, bool mono) {
    if (!*value)
        return;
    hone_str_addf(out, "<dt>%s<dd%s>", name, mono ? " class=mono" : "");
    hone_html_text(out, value);
    hone_str_addc(out, '\n');
}

static void put_budgets(const json_t *b, hone_str *out) {
    char t[HONE_TEXT];
    hone_str_add(out, "<dt>Budget<dd>");
    if (hone_doc_has_number(b, "evals"))
        hone_str_addf(out, "%.0f evaluations, ", hone_doc_number(b, "evals"));
    if (hone_doc_has_number(b, "time_s"))
        hone_str_addf(out, "%s, ", hone_text_duration(hone_doc_number(b, "time_s"), t));
    if (hone_doc_has_number(b, "patience"))
        hone_str_addf(out, "patience of %.0f evaluations, ", hone_doc_number(b, "patience"));
    hone_str_addf(out, "%.0f candidates per generation\n", hone_doc_number(b, "batch"));
}

void hone_table_provenance(const json_t *result, hone_str *out) {
    const json_t *device = json_object_get(result, "device"), *task = json_object_get(result, "task"),
                 *v = json_object_get(result, "versions");
    hone_str_add(out, "<section><h2>Provenance</h2>\n<dl>");
    put_pair(out, "Command", hone_doc_text(result, "command"), true);
    put_pair(out, "Task", hone_doc_text(task, "path"), true);
    put_pair(out, "Device", hone_doc_text(device, "spec"), true);
    put_pair(out, "hone", hone_doc_text(v, "hone"), false);
    put_pair(out, "Driver API", hone_doc_text(v, "driver"), false);
    put_pair(out, "NVRTC", hone_doc_text(v, "nvrtc"), false);
    hone_str_addf(out, "<dt>Seed of the search<dd>%lld\n", (long long)json_integer_value(json_object_get(result, "seed")));
    const json_t *seed = hone_doc_at(result, "outcomes.best.seed");
    if (seed)
        hone_str_addf(out, "<dt>Seed of the best's inputs<dd>%lld\n", (long long)json_integer_value(seed));
    put_budgets(json_object_get(result, "budgets"), out);
    put_pair(out, "Task hash", hone_doc_text(task, "hash"), true);
    put_pair(out, "Best, hash", hone_doc_text(json_object_get(result, "best"), "hash"), true);
    put_pair(out, "Best, PTX hash", hone_doc_text(json_object_get(result, "best"), "ptx_hash"), true);
    hone_str_add(out, "</dl></section>\n");
}
