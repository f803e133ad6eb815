// Reading a result folder for the commands that look at a run: the latest run's rows with their outcomes, in memory. Writes nothing.
#include "base/visible.h"
#include "cli/archive.h"
#include "evaluate/evaluate.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_RESULT_BYTES = 256 << 20 };
#define ARCHIVE_MAX_BYTES ((size_t)2 << 30)   // texts of all candidates of a run, in memory

static hone_code nomem(hone_err *e) { return hone_fail(e, HONE_E_NOMEM, 0, "out of memory reading an archive"); }

// ---- which folder

static bool is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool folder_has(const char *dir, const char *name) {
    char *path = hone_path_join(dir, name);
    bool has = path && hone_is_file(path);
    hone_free(path);
    return has;
}

hone_code cli_need_folder(const char *dir, hone_err *e) {
    if (is_folder(dir)) {
        if (folder_has(dir, "archive.db") || folder_has(dir, "result.json"))
            return HONE_OK;
        hone_fail(e, HONE_E_USAGE, 0, "folder '%s' is no result of hone: it has no archive.db", dir);
        return hone_hint(e, "'hone optimize TASK.cu' makes TASK.hone");
    }
    const char *base = hone_path_base(dir), *dot = strrchr(base, '.');
    if (hone_is_file(dir)) {
        hone_fail(e, HONE_E_USAGE, 0, "'%s' is a file; a result folder is needed", dir);
        if (dot && !strcmp(dot, ".cu"))
            hone_hint(e, "'hone optimize %s' leaves its result in %.*s.hone", dir, (int)(dot - base), base);
        return e ? e->code : HONE_E_USAGE;
    }
    hone_fail(e, HONE_E_USAGE, ENOENT, "there is no result folder '%s'", dir);
    return hone_hint(e, "'hone optimize TASK.cu' makes TASK.hone in the current folder");
}

// ---- rows

static double number(const json_t *o, const char *key) { return json_number_value(json_object_get(o, key)); }

static void take_first_finding(cli_row *r) {
    size_t i;
    json_t *f;
    r->findings = json_object_get(r->outcome, "findings");
    json_array_foreach(r->findings, i, f) {
        const char *severity = json_string_value(json_object_get(f, "severity"));
        if (severity && !strcmp(severity, "note"))
            continue;
        r->finding_kind = json_string_value(json_object_get(f, "kind"));
        r->finding_message = json_string_value(json_object_get(f, "message"));
        return;
    }
}

static void take_time(const json_t *outcome, cli_row *r) {
    const json_t *t = json_object_get(outcome, "time");
    double us = number(t, "time_us");
    r->has_time = us > 0 && us < 1e30;   // JSON has no NaN; an absurd number is none
    if (!r->has_time)
        return;
    r->timing = hone_timing_of_json(t);
    const json_t *screen = json_object_get(outcome, "screen");
    const char *decision = json_string_value(json_object_get(screen, "decision"));
    const double predicted = number(screen, "predicted_us");
    r->predicted = decision && !strcmp(decision, "left out");
    if (!r->predicted || !(predicted > 0))
        return;
    for (double **v = (double *[]){&r->timing.time_us, &r->timing.lo_us, &r->timing.hi_us, &r->timing.cost, NULL}; *v; v++)
        **v *= predicted / us;
}

static void take_outcome(cli_row *r, const char *json) {
    static const char duplicate[] = "{\"duplicate_of\":";
    if (!json)
        return;
    if (!strncmp(json, duplicate, sizeof duplicate - 1)) {
        r->duplicate = true;
        r->duplicate_of = strtoull(json + sizeof duplicate - 1, NULL, 10);
        return;
    }
    r->outcome = json_loads(json, 0, NULL);   // an unreadable one leaves the row without details
    hone_json_visible(r->outcome);
    take_time(r->outcome, r);
    take_first_finding(r);
    const json_t *c = json_object_get(r->outcome, "compile");
    r->has_resources = json_is_number(json_object_get(c, "registers"));
    r->registers = (uint32_t)number(c, "registers");
    r->spill_bytes = (uint32_t)number(c, "spill_bytes");
    r->static_shared_bytes = (uint32_t)number(c, "static_shared_bytes");
}

typedef struct loading {
    cli_archive *a;
    size_t cap;
    hone_code c;
} loading;

// An archive may come from others: names and notes are one line without anything that a terminal acts on.
static const char *keep(cli_archive *a, const char *s) {
    char *shown = hone_visible(s ? s : "", s ? strlen(s) : 0), *own = shown ? hone_arena_strdup(a->arena, shown) : NULL;
    for (char *p = own; p && *p; p++)
        if (*p == '\n')
            *p = ' ';
    hone_free(shown);
    return own;
}

static int load_row(void *ctx, const hone_row *row) {
    loading *l = ctx;
    cli_archive *a = l->a;
    cli_row r = {.id = row->candidate,
                 .n_parents = row->n_parents,
                 .parents = {row->parents[0], row->parents[1]},
                 .ok = row->ok,
                 .seconds = row->seconds};
    r.text = hone_arena_strndup(a->arena, row->text, row->len);
    r.tuning_json = keep(a, row->tuning_json);
    r.proposer = keep(a, row->proposer);
    r.move = keep(a, row->move);
    r.note = keep(a, row->note);
    r.ptx_hash = keep(a, row->ptx_hash);
    if (!r.text || !r.tuning_json || !r.proposer || !r.move || !r.note || !r.ptx_hash ||
        (a->n_rows == l->cap && !hone_vec_grow((void **)&a->rows, &l->cap, a->n_rows + 1, sizeof *a->rows))) {
        l->c = HONE_E_NOMEM;
        return 1;
    }
    take_outcome(&r, row->outcome_json);
    a->rows[a->n_rows++] = r;
    return 0;
}

// A duplicate took the outcome of the candidate it equals.
static void resolve_duplicates(cli_archive *a) {
    for (size_t i = 0; i < a->n_rows; i++) {
        cli_row *r = &a->rows[i];
        const cli_row *of = r->duplicate ? cli_archive_row(a, r->duplicate_of) : NULL;
        if (!of || of == r)
            continue;
        r->has_time = of->has_time;
        r->timing = of->timing;
        r->predicted = of->predicted;
        r->has_resources = of->has_resources;
        r->registers = of->registers, r->spill_bytes = of->spill_bytes, r->static_shared_bytes = of->static_shared_bytes;
        r->finding_kind = of->finding_kind, r->finding_message = of->finding_message;
        r->findings = of->findings;
    }
}

// ---- the best

static void fastest_so_far(cli_archive *a) {
    const cli_row *best = NULL;
    for (size_t i = 1; i < a->n_rows; i++)
        if (a->rows[i].ok && a->rows[i].has_time && !a->rows[i].duplicate && !a->rows[i].predicted && (!best || a->rows[i].timing.time_us < best->timing.time_us))
            best = &a->rows[i];
    a->has_best = best && a->rows[0].has_time && best->timing.time_us < a->rows[0].timing.time_us;
    a->best = a->has_best ? best->id : 0;
}

static void shorten(char **fact) {
    char *shown = *fact ? hone_visible(*fact, strnlen(*fact, 200)) : NULL;
    hone_free(*fact);
    *fact = shown;
}

static hone_code read_best(cli_archive *a, hone_store *s, hone_err *e) {
    char *best = NULL;
    HONE_TRY(hone_store_get(s, a->run, "stop", &a->stop, e));
    HONE_TRY(hone_store_get(s, a->run, "verdict", &a->verdict, e));
    HONE_TRY(hone_store_get(s, a->run, "best", &best, e));
    shorten(&a->stop);
    shorten(&a->verdict);
    a->finished = best != NULL;
    if (best && *best) {
        a->has_best = true;
        a->best = strtoull(best, NULL, 10);
    } else if (!best && a->n_rows) {
        fastest_so_far(a);
    }
    hone_free(best);
    return HONE_OK;
}

// The confirmation's time is the one that counts for the best.
static hone_code read_confirmation(cli_archive *a, hone_store *s, hone_err *e) {
    char key[48], *json = NULL;
    snprintf(key, sizeof key, "confirm:%llu", (unsigned long long)a->best);
    if (!a->has_best)
        return HONE_OK;
    HONE_TRY(hone_store_get(s, a->run, key, &json, e));
    if (json)
        a->confirmation = json_loads(json, 0, NULL);
    hone_json_visible(a->confirmation);
    hone_free(json);
    cli_row *r = (cli_row *)(uintptr_t)cli_archive_row(a, a->best);
    if (r && a->confirmation)
        take_time(a->confirmation, r);
    return HONE_OK;
}

// ---- open and close

static hone_code read_run(cli_archive *a, hone_store *s, hone_err *e) {
    loading l = {.a = a, .c = HONE_OK};
    HONE_TRY(hone_store_latest_run(s, &a->run, e));
    HONE_TRY(hone_store_each(s, a->run, load_row, &l, e));
    if (l.c != HONE_OK)
        return nomem(e);
    resolve_duplicates(a);
    HONE_TRY(read_best(a, s, e));
    return read_confirmation(a, s, e);
}

hone_code cli_archive_open(const char *dir, cli_archive *a, hone_err *e) {
    *a = (cli_archive){.dir = dir};
    HONE_TRY(cli_need_folder(dir, e));
    a->arena = hone_arena_new(ARCHIVE_MAX_BYTES);
    if (!a->arena)
        return nomem(e);
    hone_store *s = NULL;
    hone_code c = hone_store_open(dir, true, &s, e);
    if (c == HONE_OK) {
        c = read_run(a, s, e);
        hone_store_close(s);
    }
    if (c == HONE_OK)
        return HONE_OK;
    bool no_run = e && e->code == HONE_E_USAGE && e->sub == HONE_STORE_NO_RUN;
    cli_archive_close(a);
    *a = (cli_archive){.dir = dir};
    if (no_run) {
        *e = (hone_err){0};
        return HONE_OK;
    }
    return c;
}

void cli_archive_close(cli_archive *a) {
    for (size_t i = 0; i < a->n_rows; i++)
        json_decref(a->rows[i].outcome);
    hone_free(a->rows);
    hone_free(a->verdict);
    hone_free(a->stop);
    json_decref(a->confirmation);
    hone_arena_free(a->arena);
    *a = (cli_archive){0};
}

const cli_row *cli_archive_row(const cli_archive *a, uint64_t id) {
    for (size_t i = 0; i < a->n_rows; i++)
        if (a->rows[i].id == id)
            return &a->rows[i];
    return NULL;
}

hone_code cli_archive_find(const cli_archive *a, const char *name, const cli_row **out, hone_err *e) {
    char *end;
    if (a->n_rows == 0) {
        hone_fail(e, HONE_E_USAGE, 0, "the run in '%s' has no evaluation yet", a->dir);
        return hone_hint(e, "wait until the baseline was evaluated, or start the run again");
    }
    errno = 0;
    uint64_t id = strtoull(name, &end, 10);
    if (!strcmp(name, "baseline")) {
        id = 0;
    } else if (!strcmp(name, "best")) {
        if (!a->has_best) {
            hone_fail(e, HONE_E_USAGE, 0, "the run in '%s' found nothing better than the baseline%s", a->dir, a->finished ? "" : " yet");
            return hone_hint(e, "'hone log %s' lists what was tried", a->dir);
        }
        id = a->best;
    } else if (*name < '0' || *name > '9' || *end || errno) {
        hone_fail(e, HONE_E_USAGE, 0, "'%s' names no candidate", name);
        return hone_hint(e, "a candidate is a number of 'hone log %s', 'best' or 'baseline'", a->dir);
    }
    *out = cli_archive_row(a, id);
    if (*out)
        return HONE_OK;
    hone_fail(e, HONE_E_USAGE, 0, "there is no candidate %s in '%s'", name, a->dir);
    return hone_hint(e, "it has candidates 0 (the baseline) to %llu", (unsigned long long)a->rows[a->n_rows - 1].id);
}

// ---- a row for people and programs

const char *cli_row_verdict(const cli_archive *a, const cli_row *r) {
    if (r->finding_kind && !r->ok)
        return r->finding_kind;
    if (r == &a->rows[0])
        return "baseline";
    if (r->duplicate)
        return "duplicate";
    if (!r->ok || !r->has_time)
        return "error";
    if (r->predicted)
        return "predicted";
    return a->rows[0].has_time ? hone_compare_name(hone_compare_timings(&a->rows[0].timing, &r->timing)) : "pass";
}

double cli_row_speedup(const cli_archive *a, const cli_row *r) {
    if (r->ok && r->has_time && r->timing.paired)
        return r->timing.ratio;
    return r->ok && r->has_time && a->rows[0].has_time ? a->rows[0].timing.time_us / r->timing.time_us : 0;
}

static void set_time(const cli_archive *a, const cli_row *r, json_t *j) {
    json_object_set_new(j, "time_us", json_real(r->timing.time_us));
    json_object_set_new(j, "lo_us", json_real(r->timing.lo_us));
    json_object_set_new(j, "hi_us", json_real(r->timing.hi_us));
    json_object_set_new(j, "kind", json_string(r->predicted ? "predicted" : r->timing.modelled ? "modelled" : "measured"));
    double speedup = cli_row_speedup(a, r);
    if (speedup > 0)
        json_object_set_new(j, "speedup", json_real(speedup));
}

json_t *cli_row_json(const cli_archive *a, const cli_row *r) {
    json_t *parents = json_array(), *tuning = json_loads(r->tuning_json, 0, NULL);
    for (unsigned i = 0; i < r->n_parents; i++)
        json_array_append_new(parents, json_integer((json_int_t)r->parents[i]));
    json_t *j = json_pack("{s:I, s:o, s:s, s:s, s:s, s:o, s:s, s:b, s:f}", "id", (json_int_t)r->id, "parents", parents, "proposer",
                          r->proposer, "move", r->move, "note", r->note, "tuning", tuning ? tuning : json_object(), "verdict",
                          cli_row_verdict(a, r), "ok", (int)r->ok, "seconds", r->seconds);
    if (!j)
        return NULL;
    if (r->has_time)
        set_time(a, r, j);
    if (r->duplicate)
        json_object_set_new(j, "duplicate_of", json_integer((json_int_t)r->duplicate_of));
    if (r->has_resources)
        json_object_set_new(j, "resources",
                            json_pack("{s:i, s:i, s:i}", "registers", (int)r->registers, "spill_bytes", (int)r->spill_bytes,
                                      "static_shared_bytes", (int)r->static_shared_bytes));
    if (r->findings)
        json_object_set(j, "findings", r->findings);
    if (*r->ptx_hash)
        json_object_set_new(j, "ptx_hash", json_string(r->ptx_hash));
    return j;
}

// ---- its text

enum { MAX_TUNES = 256 };

static size_t tune_values(const json_t *tuning, hone_binding *v) {
    const char *key;
    json_t *value;
    size_t n = 0;
    json_object_foreach((json_t *)(uintptr_t)tuning, key, value) {
        if (n < MAX_TUNES && json_is_integer(value))
            v[n++] = (hone_binding){key, json_integer_value(value)};
    }
    return n;
}

static hone_code bake(const char *text, const hone_binding *v, size_t n, char **out, hone_err *e) {
    hone_diags diags = {.arena = hone_arena_new(1 << 22)};
    hone_task *t = NULL;
    size_t len;
    if (!diags.arena)
        return nomem(e);
    hone_code c = hone_task_parse("candidate.cu", text, strlen(text), &t, &diags, e);
    if (c == HONE_OK)
        c = hone_task_bake(t, &(hone_env){v, n, NULL}, out, &len, e);
    hone_task_free(t);
    hone_arena_free(diags.arena);
    return c;
}

hone_code cli_row_text(const cli_row *r, char **out, hone_err *e) {
    hone_binding v[MAX_TUNES];
    json_t *tuning = json_loads(r->tuning_json, 0, NULL);
    size_t n = tune_values(tuning, v);
    hone_err ignored = {0};
    *out = NULL;
    // A candidate that was refused because its text does not parse is shown as it was proposed.
    if (n && bake(r->text, v, n, out, &ignored) != HONE_OK)
        *out = NULL;
    json_decref(tuning);
    if (!*out)
        *out = hone_strdup(r->text);
    return *out ? HONE_OK : nomem(e);
}

// ---- result.json

static hone_code no_result_yet(const char *dir, hone_err *e) {
    hone_fail(e, HONE_E_USAGE, ENOENT, "'%s' has no result.json yet", dir);
    return hone_hint(e,
                     "the run is going on or was killed; the same 'hone optimize' command goes on from its archive and writes the result");
}

hone_code cli_read_result(const char *dir, json_t **out, hone_err *e) {
    HONE_TRY(cli_need_folder(dir, e));
    if (!folder_has(dir, "result.json"))
        return no_result_yet(dir, e);
    char *path = hone_path_join(dir, "result.json"), *text = NULL;
    size_t len;
    json_error_t why;
    if (!path)
        return nomem(e);
    hone_code c = hone_read_file(path, MAX_RESULT_BYTES, &text, &len, e);
    if (c == HONE_OK && !(*out = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why))) {
        c = hone_fail(e, HONE_E_CORRUPT, 0, "'%s' is damaged: line %d: %s", path, why.line, why.text);
        hone_hint(e, "the same 'hone optimize' command writes it again from the archive");
    }
    if (c == HONE_OK)
        hone_json_visible(*out);
    hone_free(text);
    hone_free(path);
    return c;
}

// ---- tables

void cli_print_cell(const char *s, int columns) {
    int width = 0, wanted = columns < 0 ? -columns : columns;
    for (const char *p = s; *p; p++)
        width += ((unsigned char)*p & 0xc0) != 0x80;   // bytes that continue a UTF-8 sequence take no column
    int pad = wanted > width ? wanted - width : 0;
    if (columns < 0)
        printf("%*s%s", pad, "", s);
    else
        printf("%s%*s", s, pad, "");
}
