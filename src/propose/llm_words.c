// propose/llm_words: candidates, what limits them and what was found wrong with them, in words. Numbers come from the outcome; what it does not carry is
// not mentioned. What a right result would have been is never told: a finding's values stay here.
#include "propose/llm_internal.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

double hone_score(const hone_candidate *b, const hone_candidate *c) {
    double r = b && c->cost > 0 ? b->cost / c->cost : 1;
    return r >= 1 ? floor(r * 100) / 100 : ceil(r * 100) / 100;
}

static void rates(const hone_scale_words *s, const hone_candidate *c, hone_str *out) {
    double us = c->time_us;
    if (!(us > 0))
        return;
    if (s->bytes > 0) {
        double gbs = s->bytes / us / 1e3;
        hone_str_addf(out, "- moves the bytes that the task needs at %.0f GB/s", gbs);
        if (s->bandwidth_gbs > 0)
            hone_str_addf(out, ", %.0f %% of the device's memory bandwidth", 100 * gbs / s->bandwidth_gbs);
        hone_str_add(out, "\n");
    }
    if (s->flops > 0)
        hone_str_addf(out, "- does the arithmetic that the task needs at %.0f GFLOP/s\n", s->flops / us / 1e3);
    if (s->flops > 0 && s->bytes > 0)
        hone_str_addf(out, "- the task needs %.1f operations per byte\n", s->flops / s->bytes);
}

static void facts(const hone_facts *f, hone_str *out) {
    if (f->bottleneck[0])
        hone_str_addf(out, "- bound by: %s\n", f->bottleneck);
    if (f->threads_per_block)
        hone_str_addf(out, "- %u threads per block, %u registers per thread, %u bytes of shared memory per block", f->threads_per_block, f->registers,
                      f->shared_bytes);
    if (f->threads_per_block && f->occupancy > 0)
        hone_str_addf(out, ", %.0f %% occupancy", 100 * f->occupancy);
    if (f->threads_per_block)
        hone_str_add(out, "\n");
    if (f->sector_efficiency > 0 && f->sector_efficiency < 0.9)
        hone_str_addf(out, "- poorly coalesced: only %.0f %% of the memory sectors it touches are needed\n", 100 * f->sector_efficiency);
    if (f->bank_conflict > 1.1)
        hone_str_addf(out, "- shared-memory bank conflicts: %.1f times the accesses that would do\n", f->bank_conflict);
    if (f->share_dram > 0 || f->share_issue > 0)
        hone_str_addf(out, "- device memory is busy %.0f %% of the time, instruction issue %.0f %%, waiting for latency %.0f %%\n", 100 * f->share_dram,
                      100 * f->share_issue, 100 * f->share_latency);
}

void hone_words_candidate(const hone_scale_words *s, const hone_candidate *c, hone_str *out) {
    char title[64];
    if (c->ok)
        hone_str_addf(out, "Version %llu, score %.2f (%.4g microseconds):\n", (unsigned long long)c->id, hone_score(s->baseline, c), c->time_us);
    else
        hone_str_addf(out, "Version %llu, refused:\n", (unsigned long long)c->id);
    if (c->ok)
        rates(s, c, out);
    if (c->ok && c->facts)
        facts(c->facts, out);
    for (size_t i = 0; i < c->n_tuning; i++)
        hone_str_addf(out, "- %s = %lld\n", c->tuning[i].name, (long long)c->tuning[i].value);
    snprintf(title, sizeof title, "task file of version %llu", (unsigned long long)c->id);
    hone_prompt_data(out, title, c->text, c->len);
    hone_str_add(out, "\n");
}

// Messages of these stages quote values; the evidence given here (search/state.c) holds places and sizes only.
static bool quotes_values(const char *kind) { return !strncmp(kind, "diff.", 5) || !strncmp(kind, "time.", 5); }

void hone_words_finding(const hone_candidate *c, hone_str *out) {
    const char *kind = c->finding_kind ? c->finding_kind : "unknown";
    hone_str_addf(out, "- %s\n", kind);
    if (c->finding_message && !quotes_values(kind))
        hone_prompt_data(out, "message", c->finding_message, strlen(c->finding_message));
    if (c->finding_evidence)
        hone_prompt_data(out, "evidence", c->finding_evidence, strlen(c->finding_evidence));
}

// Lines of the contract as the task file has them.
void hone_words_contract(const hone_task *t, hone_str *out) {
    static const char *const keep[] = {"in", "out", "inout", "scalar", "size", "check", "tolerance", "objective", "flops", "bytes"};
    hone_str lines;
    hone_str_init(&lines, HONE_SHOWN_MAX);
    for (const char *p = t->text, *end = t->text + t->len; p < end;) {
        const char *nl = memchr(p, '\n', (size_t)(end - p)), *stop = nl ? nl : end;
        char word[16] = "";
        int at = 0;
        char head[128];
        snprintf(head, sizeof head, "%.*s", (int)(stop - p < 127 ? stop - p : 127), p);
        if (sscanf(head, " # pragma hone %15[a-z]%n", word, &at) == 1)
            for (size_t i = 0; i < HONE_COUNT(keep); i++)
                if (!strcmp(word, keep[i])) {
                    hone_str_addn(&lines, p, (size_t)(stop - p));
                    hone_str_addc(&lines, '\n');
                }
        p = nl ? nl + 1 : end;
    }
    hone_prompt_data(out, "contract", lines.s, lines.len);
    hone_str_free(&lines);
}
