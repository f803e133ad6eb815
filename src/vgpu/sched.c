// sched: runs a launch. Host threads take blocks from one counter; each keeps a few blocks resident and switches between them when one spins
// on another, so that producers and consumers, grid-wide barriers and cooperative launches make progress on any number of threads. Counting
// and sampling launches run on one thread in the sets that the sampler chooses (sample.h). Here too: the instruction budget.
#include "vgpu/block.h"
#include "vgpu/context.h"
#include "vgpu/race.h"
#include "vgpu/sample.h"
#include "vgpu/watch.h"
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RESIDENT_MAX = 8192, BUDGET_QUANTUM = 1 << 20, SAMPLE_DEFAULT = 6000000, THREADS_MAX = 256, COMPANY_MAX = 4 };

typedef struct run {
    vg_launch *l;
    uint64_t n_blocks, quantum;
    uint64_t step, shift;              // block i of the order is (i * step + shift) % n_blocks
    uint32_t *warp_order;              // NULL: ascending
    uint32_t company;                  // blocks that take turns; 1: one runs to its end
    uint32_t sms;
    _Atomic uint64_t next_block, warp_insts;
    _Atomic bool no_memory;
} run;

static uint64_t gcd(uint64_t a, uint64_t b) {
    while (b) {
        const uint64_t t = a % b;
        a = b;
        b = t;
    }
    return a;
}

// A seeded permutation of blocks (affine) and of the warps of every block (shuffle).
static bool permute(run *r) {
    const uint64_t seed = r->l->schedule_seed;
    const uint32_t threads = r->l->block[0] * r->l->block[1] * r->l->block[2], warps = (threads + VG_LANES - 1) / VG_LANES;
    r->step = r->company = 1;
    if (!seed)
        return true;
    hone_rng g;
    hone_rng_init(&g, seed, 1);
    r->shift = hone_rng_below(&g, r->n_blocks);
    r->company = 1 + (uint32_t)hone_rng_below(&g, COMPANY_MAX);
    r->quantum = 16ull << hone_rng_below(&g, 12);
    if (r->n_blocks < (1ull << 31)) {
        do
            r->step = 1 + hone_rng_below(&g, r->n_blocks);
        while (gcd(r->step, r->n_blocks) != 1);
    }
    r->warp_order = hone_calloc(warps, sizeof *r->warp_order);
    for (uint32_t i = 0; r->warp_order && i < warps; i++) {
        const uint32_t k = (uint32_t)hone_rng_below(&g, i + 1);
        r->warp_order[i] = r->warp_order[k];
        r->warp_order[k] = i;
    }
    return r->warp_order != NULL;
}

static void over_budget(run *r, vg_slot *s) {
    for (uint32_t i = 0; i < s->n_warps; i++) {
        vg_warp *w = &s->warps[i];
        vg_wx *x = vg_wx_of(w);
        if (!w->live || x->n == 0)
            continue;
        const vg_split *at = &x->split[0];
        vg_warp_enter(w, 0);
        if (!r->l->fault)
            vg_report(w, &at->frame->code->insts[at->pc < at->frame->code->n_insts ? at->pc : 0], (unsigned)__builtin_ctz(at->mask ? at->mask : 1),
                      "launch.timeout", 0, 0, false, "the launch executed %llu warp instructions without ending; this warp stands here",
                      (unsigned long long)r->warp_insts);
        vg_fault(w, VG_CU_LAUNCH_TIMEOUT);
        return;
    }
}

// Adds what the slot executed; false when the launch is over its budget.
static bool charge(run *r, vg_slot *s) {
    const uint64_t all = atomic_fetch_add(&r->warp_insts, s->warp_insts) + s->warp_insts;
    s->warp_insts = 0;
    if (!r->l->max_warp_insts || all <= r->l->max_warp_insts)
        return true;
    over_budget(r, s);
    return false;
}

typedef struct residents { HONE_VEC(vg_slot *) v; } residents;

static vg_slot *free_slot(residents *res) {
    for (size_t i = 0; i < res->v.n; i++)
        if (!res->v.v[i]->busy)
            return res->v.v[i];
    vg_slot *s = res->v.n < RESIDENT_MAX ? hone_calloc(1, sizeof *s) : NULL;
    if (s && !hone_vec_push(&res->v, s)) {
        hone_free(s);
        s = NULL;
    }
    return s;
}

// Makes the next block of the grid resident; NULL when there is none or no room.
static vg_slot *admit(run *r, residents *res) {
    if (atomic_load(&r->next_block) >= r->n_blocks)
        return NULL;
    vg_slot *s = free_slot(res);
    if (!s) {
        r->no_memory = res->v.n == 0;
        return NULL;
    }
    const uint64_t i = atomic_fetch_add(&r->next_block, 1);
    if (i >= r->n_blocks)
        return NULL;
    const uint64_t linear = (i * r->step + r->shift) % r->n_blocks;
    if (vg_slot_start(s, r->l, linear, (uint32_t)(linear % r->sms), NULL, NULL) != HONE_OK) {
        r->no_memory = true;
        return NULL;
    }
    return s;
}

static void *work(void *self) {
    run *r = self;
    residents res = {0};
    size_t at = 0, resident = 0, spinning = 0;
    bool full = false;                 // no block is left to admit
    while (!r->l->fault && !r->no_memory) {
        vg_slot *s = NULL;
        if (resident == 0 || spinning >= resident || (resident < r->company && !full)) {   // all of mine wait: one more
            s = admit(r, &res);
            full = !s;
            resident += s != NULL;
            if (s)
                spinning = 0;
            else if (resident == 0)
                break;
            else if (spinning >= resident)
                sched_yield();
        }
        for (size_t i = 0; !s && i < res.v.n; i++)
            if (res.v.v[(at + i) % res.v.n]->busy)
                s = res.v.v[at = (at + i) % res.v.n];
        const vg_round done = vg_slot_round(s, r->quantum, r->warp_order);
        if (!charge(r, s) || done == VG_ROUND_FAULT)
            break;
        if (done == VG_ROUND_DONE) {
            s->busy = false;
            resident--;
        }
        spinning = done == VG_ROUND_SPINS ? spinning + 1 : 0;
        if (done == VG_ROUND_SPINS || r->company > 1)
            at++;
    }
    for (size_t i = 0; i < res.v.n; i++) {
        vg_slot_free(res.v.v[i]);
        hone_free(res.v.v[i]);
    }
    hone_vec_free(&res.v);
    return NULL;
}

static uint32_t thread_count(const run *r) {
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const char *env = getenv("HONE_VGPU_THREADS");
    uint64_t n = r->l->threads ? r->l->threads : env && atoi(env) > 0 ? (uint64_t)atoi(env) : cores > 0 ? (uint64_t)cores : 1;
    if (r->l->flags & (HONE_VGPU_SERIAL | HONE_VGPU_SHADOW | HONE_VGPU_RACE_GLOBAL))
        n = 1;
    n = n > r->n_blocks ? r->n_blocks : n;
    return (uint32_t)(n > THREADS_MAX ? THREADS_MAX : n);
}

static hone_code run_all(run *r, hone_err *e) {
    pthread_t t[THREADS_MAX];
    const uint32_t n = thread_count(r);
    uint32_t started = 0;
    for (; started + 1 < n; started++)
        if (pthread_create(&t[started], NULL, work, r) != 0)
            break;                                     // fewer threads, same result
    work(r);
    for (uint32_t i = 0; i < started; i++)
        pthread_join(t[i], NULL);
    return r->no_memory ? hone_fail(e, HONE_E_NOMEM, 0, "out of host memory running '%s'", r->l->code->func->name) : HONE_OK;
}

// ---- counting: sets of blocks on one thread, in turn
static hone_code run_set(run *r, residents *res, const vg_sample_set *set, vg_counter_sink *sink, hone_err *e) {
    uint32_t left = set->n;
    for (uint32_t i = 0; i < set->n; i++) {
        vg_slot *s = free_slot(res);
        if (!s)
            return hone_fail(e, HONE_E_NOMEM, 0, "out of host memory running '%s'", r->l->code->func->name);
        HONE_TRY(vg_slot_start(s, r->l, set->blocks[i], set->sm, sink, e));
    }
    // A block of the set may wait for one outside it: when all of them spin for long, the set is given up (its counts are kept).
    const bool sampled = r->l->flags & HONE_VGPU_SAMPLE;
    uint64_t idle = 0;
    while (left && !r->l->fault && !(sampled && idle > 4096)) {
        bool all_spin = true;
        for (size_t i = 0; i < res->v.n && !r->l->fault; i++) {
            vg_slot *s = res->v.v[i];
            if (!s->busy)
                continue;
            const vg_round done = vg_slot_round(s, VG_COUNT_QUANTUM, r->warp_order);
            if (!charge(r, s) || done == VG_ROUND_FAULT)
                return HONE_OK;
            all_spin &= done == VG_ROUND_SPINS;
            s->busy = done != VG_ROUND_DONE;
            left -= done == VG_ROUND_DONE;
        }
        idle = all_spin ? idle + 1 : 0;
    }
    for (size_t i = 0; i < res->v.n; i++)
        res->v.v[i]->busy = false;
    return HONE_OK;
}

static hone_code count_sets(run *r, vg_sampler *sampler, vg_counter_sink *sink, uint64_t *executed, hone_err *e) {
    residents res = {0};
    vg_sample_set set;
    hone_code c = HONE_OK;
    while (c == HONE_OK && !r->l->fault && vg_sampler_next(sampler, r->warp_insts, &set)) {
        vg_count_set_begin(sink, &set);
        c = run_set(r, &res, &set, sink, e);
        vg_count_set_end(sink);
        *executed += set.n;
    }
    for (size_t i = 0; i < res.v.n; i++) {
        vg_slot_free(res.v.v[i]);
        hone_free(res.v.v[i]);
    }
    hone_vec_free(&res.v);
    return c;
}

static hone_code run_counting(run *r, hone_err *e) {
    vg_launch *l = r->l;
    const vg_device *d = l->ctx->device;
    vg_occupancy occ = {0};
    const uint32_t shared = (uint32_t)vg_shared_total(l->code, l->dynamic_shared);
    vg_occupancy_of(d, l->block[0] * l->block[1] * l->block[2], l->registers ? l->registers : l->code->registers_estimate, shared, &occ);
    const uint32_t per_sm = occ.blocks_per_sm ? occ.blocks_per_sm : 1;
    const bool all = !(l->flags & HONE_VGPU_SAMPLE);
    vg_counter_sink *sink = vg_count_new(d, l->ctx->memory, l->code, r->n_blocks, per_sm, shared);
    vg_sampler *sampler = vg_sampler_new(r->n_blocks, r->sms, per_sm, l->sample_warp_insts ? l->sample_warp_insts : (uint64_t)SAMPLE_DEFAULT, all);
    uint64_t executed = 0;
    hone_code c = sink && sampler ? count_sets(r, sampler, sink, &executed, e)
                                  : hone_fail(e, HONE_E_NOMEM, 0, "out of host memory counting '%s'", l->code->func->name);
    if (c == HONE_OK && !l->fault && l->counters)
        c = vg_count_finish(sink, l, executed, l->counters, e);
    if (sink)
        vg_count_free(sink);
    vg_sampler_free(sampler);
    return c;
}

// Sets up what a sanitizing launch watches.
static bool begin_watch(vg_launch *l) {
    const bool sampled = l->flags & HONE_VGPU_SAMPLE;
    l->races = NULL;
    if (!vg_watch(l->code->program, sampled ? 0 : l->flags))
        return false;
    if (!(l->flags & HONE_VGPU_RACE_GLOBAL) || sampled)
        return true;
    if (!l->ctx->races && !(l->ctx->races = vg_race_global_new()))
        return false;
    l->races = l->ctx->races;
    return vg_race_global_begin(l->races, l);
}

hone_code vg_exec_launch(vg_launch *l, hone_err *e) {
    run r = {.l = l, .n_blocks = (uint64_t)l->grid[0] * l->grid[1] * l->grid[2], .quantum = l->max_warp_insts ? BUDGET_QUANTUM : 0};
    const uint64_t threads = (uint64_t)l->block[0] * l->block[1] * l->block[2];
    const uint64_t cluster = (uint64_t)(l->cluster[0] ? l->cluster[0] : 1) * (l->cluster[1] ? l->cluster[1] : 1) * (l->cluster[2] ? l->cluster[2] : 1);
    atomic_store(&l->fault, 0);
    l->regions = l->ctx ? vg_memory_regions(l->ctx->memory) : NULL;
    if (r.n_blocks == 0 || threads == 0 || threads > 1024)
        return hone_fail(e, HONE_E_USAGE, 1, "cannot launch '%s': grid of %llu blocks of %llu threads", l->code->func->name,
                         (unsigned long long)r.n_blocks, (unsigned long long)threads);
    if (cluster > 1)
        return hone_fail(e, HONE_E_UNSUPPORTED, 801, "cannot launch '%s': clusters of %llu blocks are not supported", l->code->func->name,
                         (unsigned long long)cluster);
    const double sms = l->ctx && l->ctx->device ? vg_dev(l->ctx->device, VG_DEV_SMS) : 132;
    r.sms = sms >= 1 ? (uint32_t)sms : 1;
    if (!begin_watch(l) || !permute(&r))
        return hone_fail(e, HONE_E_NOMEM, 0, "out of host memory running '%s'", l->code->func->name);
    const hone_code c = l->flags & (HONE_VGPU_COUNT | HONE_VGPU_SAMPLE) ? run_counting(&r, e) : run_all(&r, e);
    l->warp_insts = r.warp_insts;
    if (l->races)
        vg_race_global_end(l->races);
    hone_free(r.warp_order);
    return c;
}
