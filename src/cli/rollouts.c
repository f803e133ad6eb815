// hone export rollouts: every candidate of one or more runs as a line of JSON for a learner: what was asked, what was answered, what it earned and why.
// sft: answers that pass and are not slower than where they started. preference: two answers to one prompt, one of them better beyond doubt: the slower one's
// interval lies wholly above, or it was refused. grpo: every answer, with the mean and the spread of its group, the answers to the same prompt.
#include "cli/rollouts.h"
#include "cli/archive.h"
#include "export/score.h"
#include <math.h>
#include <string.h>

enum { MAX_PROMPT = 16 << 20, MAX_OUT = 1 << 30, MAX_PAIRS = 32, MAX_FINDINGS = 8 };

typedef struct rollout {
    const cli_row *row;
    json_t *components;
    char *completion;                // the text, fenced
    double reward;
    char text_sha[HONE_HASH_HEX];
} rollout;
typedef struct group {               // candidates with the same prompt: those of one parent
    const cli_row *parent;
    char *prompt;
    char sha[HONE_HASH_HEX];
    size_t first, n;                 // of the rollouts, which are sorted by parent
    double mean, spread;
} group;
typedef struct exporting {
    const cli_options *o;
    const cli_archive *a;
    char task_hash[HONE_HASH_HEX];
    const char *task_name;
    hone_str *out;
    rollout *v; size_t n;
    hone_err *e;
    size_t lines;
} exporting;

static hone_code nomem(hone_err *e) { return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for rollouts"); }

// ---- one candidate

static bool by_model(const cli_row *r) { return !strcmp(r->proposer, "llm"); }

// The outcome counts; a duplicate has that of the candidate it equals.
static const json_t *outcome_of(const cli_archive *a, const cli_row *r) {
    const cli_row *of = r->duplicate ? cli_archive_row(a, r->duplicate_of) : r;
    return of ? of->outcome : NULL;
}

static hone_code make_rollout(exporting *x, const cli_row *r, rollout *out) {
    char *text = NULL;
    HONE_TRY(cli_row_text(r, &text, x->e));
    hone_str s;
    hone_str_init(&s, MAX_PROMPT);
    hone_prompt_fence(text, "cuda", &s);
    const cli_row *base = &x->a->rows[0];
    *out = (rollout){.row = r};
    out->components = hone_score_components(outcome_of(x->a, r), base->has_time ? base->timing.time_us : 0, &out->reward);
    hone_sha256_hex(text, strlen(text), out->text_sha);
    out->completion = hone_str_take(&s);
    hone_str_free(&s);
    hone_free(text);
    return out->completion && out->components ? HONE_OK : nomem(x->e);
}

static json_t *findings_json(const cli_row *r) {
    json_t *list = json_array(), *f;
    size_t i;
    json_array_foreach(r->findings, i, f) {
        if (i == MAX_FINDINGS)
            break;
        json_array_append_new(list, json_pack("{s:O?, s:O?, s:O?}", "kind", json_object_get(f, "kind"), "stage", json_object_get(f, "stage"), "message",
                                              json_object_get(f, "message")));
    }
    return list;
}

static void put_hashes(const exporting *x, const rollout *k, const group *g, json_t *line) {
    json_object_set_new(line, "hashes", json_pack("{s:s, s:s, s:s, s:s}", "task", x->task_hash, "prompt", g->sha, "text", k->text_sha, "ptx", k->row->ptx_hash));
    json_object_set_new(line, "candidate", json_integer((json_int_t)k->row->id));
    json_object_set_new(line, "source", json_string(by_model(k->row) ? "model" : k->row->proposer));
    json_object_set_new(line, "move", json_string(k->row->move));
}

static json_t *base_line(const exporting *x, const group *g, const char *format) {
    return json_pack("{s:s, s:s, s:s, s:s}", "schema", "hone.rollout/1", "format", format, "task", x->task_name, "prompt", g->prompt);
}

static hone_code emit(exporting *x, json_t *stolen) {
    char *text = stolen ? json_dumps(stolen, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(stolen);
    if (!text)
        return hone_fail(x->e, HONE_E_NOMEM, 0, "out of memory for rollouts, or a text is not UTF-8");
    hone_str_add(x->out, text);
    hone_str_addc(x->out, '\n');
    free(text);
    x->lines++;
    return hone_str_check(x->out, "the rollouts", x->e);
}

// ---- groups

static int by_parent(const void *a, const void *b) {
    const rollout *x = a, *y = b;
    uint64_t p = x->row->parents[0], q = y->row->parents[0];
    return p != q ? (p < q ? -1 : 1) : x->row->id < y->row->id ? -1 : x->row->id > y->row->id;
}

static hone_code make_prompt(exporting *x, group *g) {
    hone_str s;
    char *parent = NULL;
    HONE_TRY(cli_row_text(g->parent, &parent, x->e));
    hone_str_init(&s, MAX_PROMPT);
    bool base = g->parent == &x->a->rows[0];
    hone_prompt_input in = {.task_text = x->a->rows[0].text, .parent_text = base ? NULL : parent, .parent_speedup = base ? 0 : cli_row_speedup(x->a, g->parent)};
    hone_prompt_write(&in, &s);
    hone_free(parent);
    hone_sha256_hex(s.s, s.len, g->sha);
    g->prompt = hone_str_take(&s);
    hone_str_free(&s);
    return g->prompt ? HONE_OK : nomem(x->e);
}

static void measure(const exporting *x, group *g) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < g->n; i++)
        sum += x->v[g->first + i].reward;
    g->mean = sum / (double)g->n;
    for (size_t i = 0; i < g->n; i++)
        squares += (x->v[g->first + i].reward - g->mean) * (x->v[g->first + i].reward - g->mean);
    g->spread = sqrt(squares / (double)g->n);
}

// ---- formats

static hone_code write_sft(exporting *x, const group *g) {
    for (size_t i = 0; i < g->n; i++) {
        const rollout *k = &x->v[g->first + i];
        if (!k->row->ok || !k->row->has_time || !g->parent->has_time || k->row->timing.time_us > g->parent->timing.time_us)
            continue;
        json_t *line = base_line(x, g, "sft");
        json_object_update_new(line, json_pack("{s:s, s:f, s:O}", "completion", k->completion, "reward", k->reward, "components", k->components));
        json_object_set_new(line, "findings", findings_json(k->row));
        put_hashes(x, k, g, line);
        HONE_TRY(emit(x, line));
    }
    return HONE_OK;
}

static hone_code write_grpo(exporting *x, const group *g) {
    for (size_t i = 0; i < g->n; i++) {
        const rollout *k = &x->v[g->first + i];
        json_t *line = base_line(x, g, "grpo");
        json_object_update_new(line, json_pack("{s:s, s:f, s:O, s:s, s:{s:I, s:f, s:f}}", "completion", k->completion, "reward", k->reward, "components", k->components,
                                               "group", g->sha, "group_rewards", "n", (json_int_t)g->n, "mean", g->mean, "spread", g->spread));
        json_object_set_new(line, "advantage", json_real(g->spread > 1e-9 ? (k->reward - g->mean) / g->spread : 0));
        json_object_set_new(line, "findings", findings_json(k->row));
        put_hashes(x, k, g, line);
        HONE_TRY(emit(x, line));
    }
    return HONE_OK;
}

// Why the first is better beyond doubt; NULL when it is not.
static const char *preferred(const rollout *a, const rollout *b) {
    if (!a->row->ok || !a->row->has_time)
        return NULL;
    const json_t *verdict = json_object_get(b->components, "verdict");
    if (!b->row->ok)
        return !strcmp(json_string_value(verdict), "fail") ? "correctness" : NULL;   // one that could not be judged says nothing
    return b->row->has_time && a->row->timing.hi_us < b->row->timing.lo_us ? "interval" : NULL;
}

static hone_code write_pair(exporting *x, const group *g, const rollout *a, const rollout *b, const char *basis) {
    json_t *line = base_line(x, g, "preference");
    json_object_update_new(line, json_pack("{s:s, s:s, s:s, s:f, s:f, s:O, s:O}", "chosen", a->completion, "rejected", b->completion, "basis", basis, "chosen_reward",
                                           a->reward, "rejected_reward", b->reward, "components", a->components, "rejected_components", b->components));
    json_object_set_new(line, "findings", findings_json(b->row));
    put_hashes(x, a, g, line);
    json_object_set_new(json_object_get(line, "hashes"), "rejected_text", json_string(b->text_sha));
    json_object_set_new(line, "rejected_candidate", json_integer((json_int_t)b->row->id));
    return emit(x, line);
}

static hone_code write_preference(exporting *x, const group *g) {
    size_t pairs = 0;
    for (size_t i = 0; i < g->n; i++)
        for (size_t k = 0; k < g->n && pairs < MAX_PAIRS; k++) {
            const rollout *a = &x->v[g->first + i], *b = &x->v[g->first + k];
            const char *basis = i == k ? NULL : preferred(a, b);
            if (!basis)
                continue;
            pairs++;
            HONE_TRY(write_pair(x, g, a, b, basis));
        }
    return HONE_OK;
}

static hone_code write_groups(exporting *x) {
    static const struct { const char *name; hone_code (*write)(exporting *x, const group *g); } formats[] = {
        {"grpo", write_grpo}, {"sft", write_sft}, {"preference", write_preference}};
    size_t f = 0;
    while (x->o->format && strcmp(formats[f].name, x->o->format) != 0)
        f++;
    qsort(x->v, x->n, sizeof *x->v, by_parent);
    for (size_t i = 0; i < x->n;) {
        group g = {.first = i, .parent = cli_archive_row(x->a, x->v[i].row->parents[0])};
        while (i < x->n && x->v[i].row->parents[0] == x->v[g.first].row->parents[0])
            i++;
        g.n = i - g.first;
        if (!g.parent)
            continue;
        hone_code c = make_prompt(x, &g);
        measure(x, &g);
        if (c == HONE_OK)
            c = formats[f].write(x, &g);
        hone_free(g.prompt);
        HONE_TRY(c);
    }
    return HONE_OK;
}

// ---- one folder

static hone_code export_archive(exporting *x) {
    const cli_archive *a = x->a;
    if (!a->n_rows)
        return HONE_OK;
    hone_sha256_hex(a->rows[0].text, strlen(a->rows[0].text), x->task_hash);
    x->v = hone_calloc(a->n_rows, sizeof *x->v);
    if (!x->v)
        return nomem(x->e);
    hone_code c = HONE_OK;
    for (size_t i = 1; i < a->n_rows && c == HONE_OK; i++)
        if (!a->rows[i].duplicate && a->rows[i].n_parents)   // a duplicate's program has a line already
            c = make_rollout(x, &a->rows[i], &x->v[x->n++]);
    if (c == HONE_OK)
        c = write_groups(x);
    for (size_t i = 0; i < x->n; i++) {
        json_decref(x->v[i].components);
        hone_free(x->v[i].completion);
    }
    hone_free(x->v);
    return c;
}

static hone_code export_folder(const cli_options *o, const char *dir, hone_str *out, size_t *lines, hone_err *e) {
    cli_archive a;
    char name[256];
    HONE_TRY(cli_archive_open(dir, &a, e));
    const char *base = hone_path_base(dir), *dot = strstr(base, ".hone");
    snprintf(name, sizeof name, "%.*s", dot && dot > base ? (int)(dot - base) : (int)strlen(base), base);
    exporting x = {.o = o, .a = &a, .task_name = name, .out = out, .e = e};
    hone_code c = export_archive(&x);
    *lines += x.lines;
    cli_archive_close(&a);
    return c;
}

int cli_export_rollouts(const cli_options *o) {
    hone_err e = {0};
    hone_str out;
    size_t lines = 0;
    hone_str_init(&out, MAX_OUT);
    hone_code c = HONE_OK;
    if (o->json && !o->out)
        c = hone_fail(&e, HONE_E_USAGE, 0, "'--json' needs '--out FILE' here: the lines go to stdout otherwise");
    for (size_t i = 1; i < o->n_args && c == HONE_OK; i++)
        c = export_folder(o, o->args[i], &out, &lines, &e);
    if (c == HONE_OK && o->out && hone_is_file(o->out) && !o->force) {
        c = hone_fail(&e, HONE_E_USAGE, 0, "'%s' exists already", o->out);
        hone_hint(&e, "--force overwrites it");
    }
    if (c == HONE_OK && o->out)
        c = hone_write_file(o->out, out.s, out.len, &e);
    if (c == HONE_OK && !o->out)
        fwrite(out.s, 1, out.len, stdout);
    else if (c == HONE_OK && o->json)
        cli_print_json(json_pack("{s:s, s:s, s:s, s:I}", "schema", "hone.rollouts/1", "path", o->out, "format", o->format ? o->format : "grpo", "lines", (json_int_t)lines));
    else if (c == HONE_OK)
        printf("%s: %zu lines\n", o->out, lines);
    hone_str_free(&out);
    return c == HONE_OK ? EXIT_FINE : cli_error(o, &e);
}
