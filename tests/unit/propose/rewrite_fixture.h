// What the rewrite tests share: a task file as a candidate, chains of moves over it.
#ifndef REWRITE_FIXTURE_H
#define REWRITE_FIXTURE_H
#include "propose/propose.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_PROPOSALS = 64 };
typedef struct fixture {
    hone_arena *arena;
    hone_task *task;
    char *text;
    size_t len;
    hone_rng rng;
    hone_context ctx;
    hone_candidate parent;
} fixture;

static inline void setup_text(fixture *f, const char *path, char *text, size_t len)
{
    *f = (fixture){.arena = hone_arena_new(512u << 20), .text = text, .len = len};
    hone_diags diags = {.arena = f->arena};
    hone_err e = {0};
    if (hone_task_parse(path, text, len, &f->task, &diags, &e) != HONE_OK)
        fail_msg("%s: %s (%s)", path, e.msg, diags.n ? diags.v[0].msg : "");
    hone_rng_init(&f->rng, 1, 1);
    f->ctx = (hone_context){.task = f->task, .arena = f->arena, .rng = &f->rng};
    f->parent = (hone_candidate){.text = text, .len = len};
}

static inline void setup(fixture *f, const char *dir, const char *name)
{
    char path[1024], *text;
    size_t len;
    hone_err e = {0};
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (hone_read_file(path, 1 << 20, &text, &len, &e) != HONE_OK)
        fail_msg("%s", e.msg);
    setup_text(f, path, text, len);
}

static inline void teardown(fixture *f)
{
    hone_task_free(f->task);
    hone_arena_free(f->arena);
    hone_free(f->text);
}

static inline size_t propose(fixture *f, const hone_candidate *from, const char *move, hone_proposal out[MAX_PROPOSALS])
{
    size_t got = 0;
    hone_err e = {0};
    hone_rng_init(&f->rng, 1, 1);
    if (hone_proposer_rewrite.propose(&f->ctx, from, move, MAX_PROPOSALS, out, &got, &e) != HONE_OK)
        fail_msg("%s: %s", move, e.msg);
    return got;
}

// A chain "restrict row_to_warp unroll@by+4": moves by name, each picking the first proposal whose note contains what follows
// '@' (with '+' for spaces).
static inline hone_candidate apply_chain(fixture *f, const char *chain)
{
    hone_candidate at = f->parent;
    char copy[512], *save = NULL;
    snprintf(copy, sizeof copy, "%s", chain);
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        hone_proposal *out = calloc(MAX_PROPOSALS, sizeof *out);
        char *want = strchr(word, '@');
        if (want)
            *want++ = 0;
        for (char *c = want; c && *c; c++)
            *c = *c == '+' ? ' ' : *c;
        size_t n = propose(f, &at, word, out), k = 0;
        while (k < n && want && !strstr(out[k].note, want))
            k++;
        if (k >= n)
            fail_msg("chain '%s': no proposal of %s%s%s (%zu offered)", chain, word, want ? " with " : "", want ? want : "", n);
        at = (hone_candidate){.text = out[k].text, .len = out[k].len, .tuning = out[k].tuning, .n_tuning = out[k].n_tuning};
        free(out);
    }
    return at;
}
#endif
