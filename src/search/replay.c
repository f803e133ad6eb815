// search/replay: the run in the archive: its identity, the rows of earlier sittings, appending new ones. A row whose candidate differs from
// what the same state proposes now (another version of hone, an edited archive) ends the replay: what was applied so far is copied into a
// new run, which goes on.
#include "search/internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static hone_code nomem(hone_err *e) { return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the search"); }

// ---- identity: everything that the sequence of candidates depends on, budgets left out

static char *options_json(const search *s, uint64_t continues, uint64_t at) {
    json_t *o = json_object(), *flags = json_array();
    for (size_t i = 0; i < s->c->n_flags; i++)
        json_array_append_new(flags, json_string(s->c->flags[i]));
    json_object_set_new(o, "batch", json_integer(s->c->batch ? s->c->batch : HONE_SEARCH_BATCH));
    json_object_set_new(o, "flags", flags);
    if (s->c->ahead)
        json_object_set_new(o, "ahead", json_integer(s->c->ahead));
    if (s->c->screen)
        json_object_set_new(o, "screen", json_string("virtual"));
    if (s->c->energy_window_s > 0)
        json_object_set_new(o, "energy", json_pack("{s:f,s:i}", "window_s", s->c->energy_window_s, "blocks", (int)s->c->energy_blocks));
    if (s->c->bandit_prior) {
        char hex[HONE_HASH_HEX];
        hone_sha256_hex(s->c->bandit_prior, strlen(s->c->bandit_prior), hex);
        json_object_set_new(o, "prior", json_string(hex));
    }
    if (s->c->writer_identity)
        json_object_set_new(o, "model", json_string(s->c->writer_identity));
    if (continues) {
        json_object_set_new(o, "continues", json_integer((json_int_t)continues));
        json_object_set_new(o, "from", json_integer((json_int_t)at));
    }
    char *raw = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
    char *own = raw ? hone_strdup(raw) : NULL;
    free(raw);
    json_decref(o);
    return own;
}

// ---- rows

static void free_row(stored_row *r) {
    hone_free(r->outcome);
    hone_free(r->text);
    hone_free(r->note);
}

void hone_replay_drop_rows(search *s) {
    for (size_t i = 0; i < s->rows.n; i++)
        free_row(&s->rows.v[i]);
    s->rows.n = 0;
}

typedef struct loading {
    search *s;
    hone_code c;
} loading;

static int load_row(void *ctx, const hone_row *row) {
    loading *l = ctx;
    stored_row r = {.seconds = row->seconds};
    snprintf(r.hash, sizeof r.hash, "%s", row->hash);
    snprintf(r.ptx_hash, sizeof r.ptx_hash, "%s", row->ptx_hash ? row->ptx_hash : "");
    if (row->seq != l->s->rows.n)
        return 1;   // a hole: replay what comes before it
    if (row->outcome_json && strncmp(row->outcome_json, "{\"duplicate_of\":", 16) == 0) {
        r.duplicate = true;
        r.duplicate_of = strtoull(row->outcome_json + 16, NULL, 10);
    } else if (!row->outcome_json || !(r.outcome = hone_strdup(row->outcome_json))) {
        l->c = HONE_E_NOMEM;
        return 1;
    }
    if (row->proposer && !strcmp(row->proposer, HONE_INBOX_PROPOSER)) {
        r.text = hone_strndup(row->text, row->len);
        r.note = hone_strdup(row->note ? row->note : "");
        r.len = row->len;
    }
    if ((r.text && !r.note) || !hone_vec_push(&l->s->rows, r)) {
        free_row(&r);
        l->c = HONE_E_NOMEM;
        return 1;
    }
    return 0;
}

static hone_code load_rows(search *s, hone_err *e) {
    loading l = {s, HONE_OK};
    HONE_TRY(hone_store_each(s->c->store, s->run, load_row, &l, e));
    return l.c == HONE_OK ? HONE_OK : nomem(e);
}

// What was edited is no state to go on from: the certificate at the end would vouch for it.
static hone_code intact(search *s, hone_err *e) {
    hone_store_chain chain;
    HONE_TRY(hone_store_check(s->c->store, s->run, &chain, e));
    if (!chain.broken)
        return HONE_OK;
    hone_fail(e, HONE_E_CORRUPT, 0, "the archive was edited: row %llu of this run is not what its hash says", (unsigned long long)chain.broken_seq);
    return hone_hint(e, "give another folder with --out to start anew, or remove this one");
}

static hone_code begin(search *s, hone_err *e) {
    hone_store_run r = {s->c->task->hash, s->c->device ? s->c->device : "", s->options, s->c->seed};
    HONE_TRY(hone_store_begin(s->c->store, &r, &s->run, &s->resumed, e));
    if (s->resumed)
        HONE_TRY(intact(s, e));
    char *spent = NULL;
    HONE_TRY(hone_store_get(s->c->store, s->run, "elapsed_s", &spent, e));
    s->earlier_s = spent ? strtod(spent, NULL) : 0;
    hone_free(spent);
    HONE_TRY(hone_store_get(s->c->store, s->run, "energy_j", &spent, e));
    s->earlier_j = spent ? strtod(spent, NULL) : 0;
    s->energy_partial = s->resumed && s->earlier_s > 0 && !spent;
    hone_free(spent);
    return load_rows(s, e);
}

hone_code hone_replay_open(search *s, hone_err *e) {
    if (!s->c->store)
        return HONE_OK;
    s->options = options_json(s, 0, 0);
    return s->options ? begin(s, e) : nomem(e);
}

// ---- divergence

// Copies one applied row of the old run; the store reads while it writes, so this goes row by row.
typedef struct copying {
    search *s;
    uint64_t to, from, below;
    hone_code c;
    hone_err *e;
} copying;

static int copy_row(void *ctx, const hone_row *row) {
    copying *k = ctx;
    if (row->seq >= k->below)
        return 1;
    if (row->seq < k->from)
        return 0;
    k->c = hone_store_append(k->s->c->store, k->to, row, k->e);
    return k->c != HONE_OK;
}

static hone_code diverge(search *s, uint64_t seq, hone_err *e) {
    uint64_t old = s->run;
    s->warning = hone_arena_printf(
        s->arena, "the archive's evaluation %llu is not what this version would try there; kept the %llu before it and went on from them",
        (unsigned long long)seq, (unsigned long long)seq);
    char *options = options_json(s, old, seq);
    if (!options || !s->warning) {
        hone_free(options);
        return nomem(e);
    }
    hone_free(s->options);
    s->options = options;
    hone_replay_drop_rows(s);
    HONE_TRY(begin(s, e));
    if (s->rows.n >= seq)
        return HONE_OK;   // an earlier sitting copied them already
    copying k = {s, s->run, s->rows.n, seq, HONE_OK, e};
    HONE_TRY(hone_store_each(s->c->store, old, copy_row, &k, e));
    HONE_TRY(k.c);
    hone_replay_drop_rows(s);
    return load_rows(s, e);
}

const stored_row *hone_replay_row(search *s, uint64_t seq, const char *hash, hone_err *e, hone_code *c) {
    *c = HONE_OK;
    for (int hop = 0; seq < s->rows.n && hop < 64; hop++) {
        if (strcmp(s->rows.v[seq].hash, hash) == 0) {
            s->replayed++;
            return &s->rows.v[seq];
        }
        *c = diverge(s, seq, e);
        if (*c != HONE_OK)
            return NULL;
    }
    return NULL;
}

hone_code hone_replay_outcome(const stored_row *r, hone_outcome **out, hone_err *e) {
    HONE_TRY(hone_outcome_parse(r->outcome, strlen(r->outcome), out, e));
    (*out)->seconds = r->seconds;
    return HONE_OK;
}

// ---- appending

hone_code hone_replay_form(hone_outcome **o, char **text, hone_err *e) {
    hone_outcome *again = NULL;
    if (!(*text = hone_outcome_dump(*o)))
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the search");
    HONE_TRY(hone_outcome_parse(*text, strlen(*text), &again, e));
    hone_outcome_free(*o);
    *o = again;
    return HONE_OK;
}

static void tuning_json(const hone_candidate *c, hone_str *out) {
    hone_str_addc(out, '{');
    for (size_t i = 0; i < c->n_tuning; i++)
        hone_str_addf(out, "%s\"%s\":%lld", i ? "," : "", c->tuning[i].name, (long long)c->tuning[i].value);
    hone_str_addc(out, '}');
}

static hone_code append_row(search *s, const entry *x, const char *tuning, const char *outcome, hone_err *e) {
    const hone_candidate *c = &x->cand;
    hone_row row = {.seq = c->id,
                    .candidate = c->id,
                    .hash = c->hash,
                    .text = c->text,
                    .len = c->len,
                    .tuning_json = tuning,
                    .proposer = c->proposer,
                    .move = c->move,
                    .note = c->note,
                    .outcome_json = outcome,
                    .parents = {c->parents[0], c->parents[1]},
                    .n_parents = c->n_parents,
                    .ptx_hash = x->ptx,
                    .ok = c->ok,
                    .time_us = c->time_us,
                    .seconds = x->pub.seconds};
    return hone_store_append(s->c->store, s->run, &row, e);
}

hone_code hone_replay_append(search *s, const entry *x, const char *outcome, hone_err *e) {
    if (!s->c->store)
        return HONE_OK;
    char same[64];
    snprintf(same, sizeof same, "{\"duplicate_of\":%llu}", (unsigned long long)x->pub.duplicate_of);
    hone_str tuning;
    hone_str_init(&tuning, 1 << 16);
    tuning_json(&x->cand, &tuning);
    hone_code c = hone_str_check(&tuning, "tune values", e);
    if (c == HONE_OK)
        c = append_row(s, x, tuning.s, outcome ? outcome : same, e);
    hone_str_free(&tuning);
    return c;
}
