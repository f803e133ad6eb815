// search/inbox: candidates from people and agents. They take the first places of a generation. In the archive they are rows like any other, with their
// text: replaying a run takes them from there, at the same places, whatever the inbox holds by then.
#include "search/internal.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { NAP_US = 100000, MAX_NOTE = 300 };
static const char note_start[] = "from ";

static hone_code admit(search *s, generation *g, hone_arena *arena, const char *text, size_t len, const char *note, bool *admitted, bool *invalid, hone_err *e) {
    hone_proposal p = {.text = text, .len = len, .move = hone_proposer_manual.moves[0], .note = note};
    entry *x = NULL;
    int arm = (int)s->n_arms;
    s->stats[arm].tried++;
    HONE_TRY(hone_state_admit(s, arena, s->population[0], &p, arm, "inbox", s->next_id + g->n, &x, invalid, e));
    *admitted = x != NULL;
    if (x)
        g->v[g->n++] = (slot){.e = x, .same_as = -1};
    return HONE_OK;
}

static hone_code replay(search *s, generation *g, hone_arena *arena, size_t batch, hone_err *e) {
    while (g->n < batch && s->next_id + g->n < s->rows.n) {
        const stored_row *r = &s->rows.v[s->next_id + g->n];
        bool admitted = false, invalid = false;
        if (!r->text)
            return HONE_OK;
        HONE_TRY(admit(s, g, arena, r->text, r->len, r->note, &admitted, &invalid, e));
        if (!admitted)
            return HONE_OK;   // an edited archive: the row is found not to match
    }
    return HONE_OK;
}

static hone_code take_new(search *s, generation *g, hone_arena *arena, size_t batch, hone_err *e) {
    const hone_inbox *in = s->c->inbox;
    while (g->n < batch) {
        hone_inbox_item x;
        char note[MAX_NOTE];
        bool got = false, admitted = false, invalid = false;
        HONE_TRY(in->take(in->self, arena, &x, &got, e));
        if (!got)
            return HONE_OK;
        snprintf(note, sizeof note, "%s%s", note_start, x.name);
        HONE_TRY(admit(s, g, arena, x.text, x.len, note, &admitted, &invalid, e));
        if (!admitted)
            in->told(in->self, x.name, false, 0, invalid ? "compile.plan" : "duplicate",
                     invalid ? "its launch plan or its tune values do not work at the task's sizes" : "the same program was tried already");
    }
    return HONE_OK;
}

hone_code hone_inbox_fill(search *s, generation *g, hone_arena *arena, const hone_context *ctx, size_t batch, hone_err *e) {
    if (!s->n_population)
        return HONE_OK;
    HONE_TRY(replay(s, g, arena, batch, e));
    if (!s->c->inbox || s->next_id + g->n < s->rows.n)
        return HONE_OK;
    s->c->inbox->brief(s->c->inbox->self, ctx);
    return take_new(s, g, arena, batch, e);
}

void hone_inbox_tell(search *s, const entry *x) {
    const hone_inbox *in = s->c->inbox;
    char line[1400];
    if (!in || strncmp(x->cand.note, note_start, sizeof note_start - 1) != 0)
        return;
    double base = s->entries.v[0]->cand.cost;
    if (x->cand.ok)
        snprintf(line, sizeof line, "%.4g us, %.3f times the baseline's speed%s", x->cand.time_us, base / x->cand.cost, s->best == x ? ": the best so far" : "");
    else
        snprintf(line, sizeof line, "%s: %s", x->pub.finding_kind ? x->pub.finding_kind : "error",
                 x->pub.finding_message ? x->pub.finding_message : "it could not be evaluated");
    in->told(in->self, x->cand.note + sizeof note_start - 1, true, x->cand.id,
             x->pub.duplicate ? "duplicate" : x->cand.ok ? "pass" : x->pub.finding_kind ? x->pub.finding_kind : "error", line);
}

bool hone_inbox_wait(search *s) {
    if (!s->c->inbox || !(s->c->time_s > 0))
        return false;
    hone_search_tell(s, false);
    usleep(NAP_US);
    return true;
}
