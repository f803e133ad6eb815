// hone export rollouts: every candidate of one or more runs as a line of JSON for a learner: what was asked, what was answered, what it earned and why.
// sft: answers that pass and are not slower than where they started. preference: two answers to one prompt, one of them better beyond doubt: the slower one's
// interval lies wholly above, or it was refused. grpo: every answer, with the mean and the spread of its group, the answers to the same prompt.
// What a model wrote stands with its own exchange in sft and grpo: the messages that it got and its whole reply, those that held no candidate too. Pairs need a
// prompt that others share, so there, and for everybody else, the prompt is the standard one.
#include "cli/rollouts.h"
#include "cli/archive.h"
#include "cli/exchanges.h"
#include "export/score.h"
#include <math.h>
#include <string.h>

enum { MAX_PROMPT = 16 << 20, MAX_OUT = 1 << 30, MAX_PAIRS = 32, MAX_FINDINGS = 8 };

typedef struct rollout {
    const cli_row *row;              // NULL: a reply without a candidate
    const cli_exchange *exchange;    // NULL: the standard prompt
    const char *why, *words;         // without a row: the finding
    json_t *components;
    char *completion;                // the text, fenced; or the reply
    double reward;
    char text_sha[HONE_HASH_HEX];
} rollout;
typedef struct group {               // candidates with the same prompt: those of one parent, or of one question
    const cli_row *parent;
    const cli_exchange *exchange;
    char *prompt;
    char sha[HONE_HASH_HEX];
    size_t first, n;                 // of the rollouts, which are sorted by parent
    double mean, spread;
} group;
typedef struct exporting {
    const cli_options *o;
    const cli_archive *a;
    cli_exchanges exchanges;
    hone_task *task;
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
    out->exchange = by_model(r) ? cli_exchanges_find(&x->exchanges, r->text) : NULL;
    out->completion = out->exchange ? hone_strdup(out->exchange->reply) : hone_str_take(&s);
    hone_str_free(&s);
    hone_free(text);
    return out->completion && out->components ? HONE_OK : nomem(x->e);
}

// A reply that became no candidate, when it is known why.
static hone_code make_fruitless(exporting *x, const cli_exchange *q, rollout *out) {
    hone_task *t = NULL;
    hone_diags diags = {.arena = x->a->arena};
    hone_err why = {0};
    *out = (rollout){.exchange = q, .why = q->why, .words = q->words};
    if (!q->why) {
        if (hone_task_parse(x->task->path, q->file.s, q->file.n, &t, &diags, &why) != HONE_OK)
            out->why = "task.syntax";
        else if (hone_task_same_contract(x->task, t, &why) != HONE_OK)
            out->why = "static.contract";
        out->words = why.msg[0] ? hone_arena_strdup(x->a->arena, why.msg) : "";
        hone_task_free(t);
    }
    if (!out->why)
        return HONE_OK;   // it repeated a candidate, or the run ended first: that says nothing of it
    out->components = hone_score_components(NULL, 0, &out->reward);
    out->completion = hone_strdup(q->reply);
    return out->components && out->completion ? HONE_OK : nomem(x->e);
}

static json_t *findings_json(const rollout *k) {
    const cli_row *r = k->row;
    json_t *list = json_array(), *f;
    size_t i;
    if (!r)
        json_array_append_new(list, json_pack("{s:s, s:s}", "kind", k->why, "message", k->words ? k->words : ""));
    json_array_foreach(r ? r->findings : NULL, i, f) {
        if (i == MAX_FINDINGS)
            break;
        json_array_append_new(list, json_pack("{s:O?, s:O?, s:O?}", "kind", json_object_get(f, "kind"), "stage", json_object_get(f, "stage"), "message",
                                              json_object_get(f, "message")));
    }
    return list;
}

static void put_hashes(const exporting *x, const rollout *k, const group *g, json_t *line) {
    json_t *hashes = json_pack("{s:s, s:s}", "task", x->task_hash, "prompt", g->sha);
    if (k->row) {
        json_object_set_new(hashes, "text", json_string(k->text_sha));
        json_object_set_new(hashes, "ptx", json_string(k->row->ptx_hash));
        json_object_set_new(line, "candidate", json_integer((json_int_t)k->row->id));
        json_object_set_new(line, "move", json_string(k->row->move));
    }
    json_object_set_new(line, "hashes", hashes);
    json_object_set_new(line, "source", json_string(!k->row || by_model(k->row) ? "model" : k->row->proposer));
    if (g->exchange) {
        json_object_set_new(hashes, "exchange", json_string(k->exchange->key));
        json_object_set_new(line, "model", json_string(k->exchange->model));
        json_object_set(line, "messages", g->exchange->messages);
    }
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

static uint64_t id_of(const rollout *k) { return k->row ? k->row->id : UINT64_MAX; }

// By prompt: the standard ones by parent, then those of exchanges.
static int by_prompt(const void *a, const void *b) {
    const rollout *x = a, *y = b;
    if (!x->exchange != !y->exchange)
        return x->exchange ? 1 : -1;
    int c = x->exchange ? strcmp(x->exchange->prompt_sha, y->exchange->prompt_sha) : 0;
    if (c == 0 && !x->exchange && x->row->parents[0] != y->row->parents[0])
        c = x->row->parents[0] < y->row->parents[0] ? -1 : 1;
    if (c == 0 && id_of(x) != id_of(y))
        c = id_of(x) < id_of(y) ? -1 : 1;
    return c || !x->exchange ? c : strcmp(x->exchange->key, y->exchange->key);
}

static bool same_prompt(const rollout *x, const rollout *y) {
    if (x->exchange && y->exchange)
        return !strcmp(x->exchange->prompt_sha, y->exchange->prompt_sha);
    return !x->exchange && !y->exchange && x->row->parents[0] == y->row->parents[0];
}

static hone_code make_prompt(exporting *x, group *g) {
    hone_str s;
    char *parent = NULL;
    if (g->exchange) {
        memcpy(g->sha, g->exchange->prompt_sha, sizeof g->sha);
        return (g->prompt = hone_strdup(g->exchange->prompt)) ? HONE_OK : nomem(x->e);
    }
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
        const cli_row *parent = k->row ? cli_archive_row(x->a, k->row->parents[0]) : NULL;
        while (parent && !parent->has_time && parent->n_parents)   // of a repair: what the refused one started from
            parent = cli_archive_row(x->a, parent->parents[0]);
        if (!parent || !parent->has_time || !k->row->ok || !k->row->has_time || k->row->timing.time_us > parent->timing.time_us)
            continue;
        json_t *line = base_line(x, g, "sft");
        json_object_update_new(line, json_pack("{s:s, s:f, s:O}", "completion", k->completion, "reward", k->reward, "components", k->components));
        json_object_set_new(line, "findings", findings_json(k));
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
        json_object_set_new(line, "findings", findings_json(k));
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
    json_object_set_new(line, "findings", findings_json(b));
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
    qsort(x->v, x->n, sizeof *x->v, by_prompt);
    for (size_t i = 0; i < x->n;) {
        const rollout *first = &x->v[i];
        group g = {.first = i, .exchange = first->exchange, .parent = first->exchange ? NULL : cli_archive_row(x->a, first->row->parents[0])};
        while (i < x->n && same_prompt(&x->v[i], first))
            i++;
        g.n = i - g.first;
        if (!g.parent && !g.exchange)
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

static bool was_used(const exporting *x, const cli_exchange *q) {
    for (size_t i = 0; i < x->a->n_rows; i++)
        if (by_model(&x->a->rows[i]) && cli_exchanges_find(&x->exchanges, x->a->rows[i].text) == q)
            return true;
    return false;
}

// The exchanges, where the format wants them, and the task that their replies are compared with.
static hone_code open_exchanges(exporting *x, const char *dir) {
    const cli_row *base = &x->a->rows[0];
    hone_diags diags = {.arena = x->a->arena};
    if (x->o->format && !strcmp(x->o->format, "preference"))
        return HONE_OK;
    HONE_TRY(hone_task_parse("archive", base->text, strlen(base->text), &x->task, &diags, x->e));
    return cli_exchanges_read(dir, base->text, &x->exchanges, x->e);
}

static hone_code collect(exporting *x) {
    const cli_archive *a = x->a;
    hone_code c = HONE_OK;
    for (size_t i = 1; i < a->n_rows && c == HONE_OK; i++)
        if (!a->rows[i].duplicate && a->rows[i].n_parents)   // a duplicate's program has a line already
            c = make_rollout(x, &a->rows[i], &x->v[x->n++]);
    for (size_t i = 0; i < x->exchanges.n && c == HONE_OK; i++) {
        if (was_used(x, &x->exchanges.v[i]))
            continue;
        c = make_fruitless(x, &x->exchanges.v[i], &x->v[x->n]);
        x->n += x->v[x->n].why != NULL;
    }
    return c;
}

static hone_code export_archive(exporting *x, const char *dir) {
    const cli_archive *a = x->a;
    if (!a->n_rows)
        return HONE_OK;
    hone_sha256_hex(a->rows[0].text, strlen(a->rows[0].text), x->task_hash);
    hone_code c = open_exchanges(x, dir);
    x->v = hone_calloc(a->n_rows + x->exchanges.n + 1, sizeof *x->v);
    if (c == HONE_OK)
        c = x->v ? collect(x) : nomem(x->e);
    if (c == HONE_OK)
        c = write_groups(x);
    for (size_t i = 0; i < x->n; i++) {
        json_decref(x->v[i].components);
        hone_free(x->v[i].completion);
    }
    hone_free(x->v);
    hone_task_free(x->task);
    cli_exchanges_free(&x->exchanges);
    return c;
}

static hone_code export_folder(const cli_options *o, const char *dir, hone_str *out, size_t *lines, hone_err *e) {
    cli_archive a;
    char name[256];
    HONE_TRY(cli_archive_open(dir, &a, e));
    const char *base = hone_path_base(dir), *dot = strstr(base, ".hone");
    snprintf(name, sizeof name, "%.*s", dot && dot > base ? (int)(dot - base) : (int)strlen(base), base);
    exporting x = {.o = o, .a = &a, .task_name = name, .out = out, .e = e};
    hone_code c = export_archive(&x, dir);
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
