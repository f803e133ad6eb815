// sched: runs a launch. Host threads take blocks from one counter; each keeps a few blocks resident and switches between them when one spins
// on another, so that producers and consumers, grid-wide barriers and cooperative launches make progress on any number of threads. The blocks of a
// cluster stay on one thread and start and leave together. Counting
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
    uint32_t cluster;                  // blocks of one
    uint64_t n_units;                  // clusters of the grid
    uint64_t step, shift;              // unit i of the order is (i * step + shift) % n_units
    uint32_t *warp_order;              // NULL: ascending
    uint32_t company;                  // blocks that take turns; 1: one runs to its end
    uint32_t sms;
    _Atomic uint64_t next_unit, warp_insts;
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

// A seeded permutation of clusters (affine) and of the warps of every block (shuffle).
static bool permute(run *r) {
    const uint64_t seed = r->l->schedule_seed;
    const uint32_t threads = r->l->block[0] * r->l->block[1] * r->l->block[2], warps = (threads + VG_LANES - 1) / VG_LANES;
    r->step = r->company = 1;
    if (!seed)
        return true;
    hone_rng g;
    hone_rng_init(&g, seed, 1);
    r->shift = hone_rng_below(&g, r->n_units);
    r->company = 1 + (uint32_t)hone_rng_below(&g, COMPANY_MAX);
    r->quantum = 16ull << hone_rng_below(&g, 12);
    if (r->n_units < (1ull << 31)) {
        do
            r->step = 1 + hone_rng_below(&g, r->n_units);
        while (gcd(r->step, r->n_units) != 1);
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

static bool has_room(const residents *res, uint32_t n) {
    for (size_t i = 0; i < res->v.n && n; i++)
        n -= !res->v.v[i]->busy;
    return n <= RESIDENT_MAX - res->v.n;
}

// Linear number of the block of that rank in a cluster; cluster.h says how ranks lie in it.
static uint64_t block_of(const vg_launch *l, uint64_t unit, uint32_t rank) {
    const uint64_t x = vg_cluster_dim(l, 0), y = vg_cluster_dim(l, 1), z = vg_cluster_dim(l, 2), across = l->grid[0] / x, down = l->grid[1] / y;
    const uint64_t bx = unit % across * x + rank % x, by = unit / across % down * y + rank / x % y, bz = unit / across / down * z + rank / x / y;
    return bx + l->grid[0] * (by + l->grid[1] * bz);
}

// Starts the blocks of cluster `unit` in free slots; *leader is the first of them.
static hone_code start_cluster(run *r, residents *res, uint64_t unit, uint32_t sm, vg_counter_sink *sink, vg_slot **leader, hone_err *e) {
    *leader = NULL;
    for (uint32_t rank = 0; rank < r->cluster; rank++) {
        vg_slot *s = free_slot(res);
        if (!s)
            return hone_fail(e, HONE_E_NOMEM, 0, "out of host memory running '%s'", r->l->code->func->name);
        HONE_TRY(vg_slot_start(s, r->l, block_of(r->l, unit, rank), (sm + rank) % r->sms, sink, e));
        if (!*leader)
            vg_cluster_begin(&(*leader = s)->own, r->cluster);
        vg_cluster_join(&(*leader)->own, &s->block, rank, s->bx.threads);
    }
    return HONE_OK;
}

// Makes the next cluster of the grid resident; NULL when there is none or no room.
static vg_slot *admit(run *r, residents *res) {
    if (atomic_load(&r->next_unit) >= r->n_units || !has_room(res, r->cluster))
        return NULL;
    const uint64_t i = atomic_fetch_add(&r->next_unit, 1);
    if (i >= r->n_units)
        return NULL;
    const uint64_t unit = (i * r->step + r->shift) % r->n_units;
    vg_slot *s;
    if (start_cluster(r, res, unit, (uint32_t)(unit * r->cluster % r->sms), NULL, &s, NULL) != HONE_OK) {
        r->no_memory = true;
        return NULL;
    }
    return s;
}

static vg_slot *slot_of(vg_block *b) { return (vg_slot *)(void *)b; }   // a slot begins with its block

// What a round means for the block's cluster. false: it waits for ever. The slots of a cluster are free again when all its blocks are done: their
// shared memory can be named until then.
static bool settle(vg_slot *s, vg_round done) {
    vg_cluster *c = s->block.cluster;
    const uint32_t all = (1u << c->n) - 1;
    c->waiting = done == VG_ROUND_WAITS ? c->waiting | 1u << s->block.rank : 0;
    if (done == VG_ROUND_WAITS && (c->waiting | c->exited) == all) {
        vg_slot_deadlock(s);
        return false;
    }
    s->done = done == VG_ROUND_DONE;
    bool left = false;
    for (uint32_t i = 0; s->done && i < c->n; i++)
        left |= !slot_of(c->blocks[i])->done;
    for (uint32_t i = 0; s->done && !left && i < c->n; i++)
        slot_of(c->blocks[i])->busy = false;
    return true;
}

static vg_slot *next_runnable(const residents *res, size_t *at) {
    for (size_t i = 0; i < res->v.n; i++) {
        const size_t k = (*at + i) % res->v.n;
        if (res->v.v[k]->busy && !res->v.v[k]->done) {
            *at = k;
            return res->v.v[k];
        }
    }
    return NULL;
}

static void free_residents(residents *res) {
    for (size_t i = 0; i < res->v.n; i++) {
        vg_slot_free(res->v.v[i]);
        hone_free(res->v.v[i]);
    }
    hone_vec_free(&res->v);
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
            resident += s ? r->cluster : 0;
            if (s)
                spinning = 0;
            else if (resident == 0)
                break;
            else if (spinning >= resident)
                sched_yield();
        }
        if (!s)
            s = next_runnable(&res, &at);
        if (!s)
            break;
        const vg_round done = vg_slot_round(s, r->quantum, r->warp_order);
        if (!charge(r, s) || done == VG_ROUND_FAULT || !settle(s, done))
            break;
        resident -= done == VG_ROUND_DONE;
        const bool gives_way = done == VG_ROUND_SPINS || done == VG_ROUND_WAITS;
        spinning = gives_way ? spinning + 1 : 0;
        at += gives_way || r->company > 1;
    }
    free_residents(&res);
    return NULL;
}

static uint32_t thread_count(const run *r) {
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const char *env = getenv("HONE_VGPU_THREADS");
    uint64_t n = r->l->threads ? r->l->threads : env && atoi(env) > 0 ? (uint64_t)atoi(env) : cores > 0 ? (uint64_t)cores : 1;
    if (r->l->flags & (HONE_VGPU_SERIAL | HONE_VGPU_SHADOW | HONE_VGPU_RACE_GLOBAL))
        n = 1;
    n = n > r->n_units ? r->n_units : n;
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

// ---- counting: sets of clusters on one thread, in turn. All blocks of a set share the modelled L1, those of one cluster too, which would lie on
// several SMs: their number decides each one's share of it.
static hone_code run_set(run *r, residents *res, const vg_sample_set *set, vg_counter_sink *sink, hone_err *e) {
    uint32_t left = set->n * r->cluster;
    vg_slot *leader;
    for (uint32_t i = 0; i < set->n; i++)
        HONE_TRY(start_cluster(r, res, set->blocks[i], r->l->cooperative ? (set->sm + i * r->cluster) % r->sms : set->sm, sink, &leader, e));
    // A block of the set may wait for one outside it: when all of them spin for long, the set is given up (its counts are kept).
    const bool sampled = r->l->flags & HONE_VGPU_SAMPLE && !r->l->cooperative;
    uint64_t idle = 0;
    while (left && !r->l->fault && !(sampled && idle > 4096)) {
        bool all_spin = true;
        for (size_t i = 0; i < res->v.n && !r->l->fault; i++) {
            vg_slot *s = res->v.v[i];
            if (!s->busy || s->done)
                continue;
            const vg_round done = vg_slot_round(s, VG_COUNT_QUANTUM, r->warp_order);
            if (!charge(r, s) || done == VG_ROUND_FAULT || !settle(s, done))
                return HONE_OK;
            all_spin &= done == VG_ROUND_SPINS || done == VG_ROUND_WAITS;
            left -= done == VG_ROUND_DONE;
        }
        idle = all_spin ? idle + 1 : 0;
    }
    for (size_t i = 0; i < res->v.n; i++)
        res->v.v[i]->busy = res->v.v[i]->done = false;
    return HONE_OK;
}

static hone_code count_set(run *r, residents *res, const vg_sample_set *set, vg_counter_sink *sink, hone_err *e) {
    vg_sample_set blocks = *set;
    blocks.n *= r->cluster;
    vg_count_set_begin(sink, &blocks);
    const hone_code c = run_set(r, res, set, sink, e);
    vg_count_set_end(sink);
    return c;
}

// Blocks of a cooperative launch wait for each other: all of them run together.
static hone_code count_together(run *r, residents *res, vg_counter_sink *sink, hone_err *e) {
    uint64_t *ids = hone_calloc(r->n_units, sizeof *ids);
    if (!ids)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of host memory counting '%s'", r->l->code->func->name);
    for (uint64_t i = 0; i < r->n_units; i++)
        ids[i] = i;
    const hone_code c = count_set(r, res, &(vg_sample_set){ids, (uint32_t)r->n_units, 0, 1}, sink, e);
    hone_free(ids);
    return c;
}

static hone_code count_sets(run *r, vg_sampler *sampler, vg_counter_sink *sink, uint64_t *executed, hone_err *e) {
    residents res = {0};
    vg_sample_set set;
    hone_code c = HONE_OK;
    if (r->l->cooperative && r->n_blocks <= RESIDENT_MAX) {
        c = count_together(r, &res, sink, e);
        *executed = r->n_blocks;
    } else {
        while (c == HONE_OK && !r->l->fault && vg_sampler_next(sampler, r->warp_insts, &set)) {
            c = count_set(r, &res, &set, sink, e);
            *executed += (uint64_t)set.n * r->cluster;
        }
    }
    free_residents(&res);
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
    vg_sampler *sampler = vg_sampler_new(r->n_units, r->sms >= r->cluster ? r->sms / r->cluster : 1, per_sm, l->sample_warp_insts ? l->sample_warp_insts : (uint64_t)SAMPLE_DEFAULT, all);
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

// Grid-wide barriers of cooperative groups count their blocks in a workspace that the driver provides: a size, then the counter, zero at first.
enum { WORKSPACE_BYTES = 4096 };
static hone_code open_workspace(vg_launch *l, vg_alloc **out, hone_err *e) {
    *out = NULL;
    if (!l->cooperative || !l->ctx)
        return HONE_OK;
    HONE_TRY(vg_memory_alloc(l->ctx->memory, WORKSPACE_BYTES, 256, VG_ALLOC_GLOBAL, out, e));
    memcpy((*out)->name, "cooperative workspace", sizeof "cooperative workspace");
    memset((*out)->host, 0, WORKSPACE_BYTES);
    vg_init_mark(*out, 0, WORKSPACE_BYTES);
    l->workspace = (*out)->base;
    return HONE_OK;
}

static hone_code check_shape(const vg_launch *l, uint64_t n_blocks, hone_err *e) {
    const uint64_t threads = (uint64_t)l->block[0] * l->block[1] * l->block[2];
    bool whole = vg_cluster_size(l->cluster) <= VG_CLUSTER_MAX;
    for (unsigned i = 0; i < 3; i++)
        whole = whole && l->grid[i] % vg_cluster_dim(l, i) == 0;
    if (n_blocks && threads && threads <= 1024 && whole)
        return HONE_OK;
    return hone_fail(e, HONE_E_USAGE, 1, "cannot launch '%s': grid of %llu blocks of %llu threads in clusters of %u", l->code->func->name,
                     (unsigned long long)n_blocks, (unsigned long long)threads, vg_cluster_size(l->cluster));
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
    vg_alloc *workspace;
    atomic_store(&l->fault, 0);
    HONE_TRY(check_shape(l, r.n_blocks, e));
    HONE_TRY(open_workspace(l, &workspace, e));
    l->regions = l->ctx ? vg_memory_regions(l->ctx->memory) : NULL;
    r.cluster = vg_cluster_size(l->cluster);
    r.n_units = r.n_blocks / r.cluster;
    const double sms = l->ctx && l->ctx->device ? vg_dev(l->ctx->device, VG_DEV_SMS) : 132;
    r.sms = sms >= 1 ? (uint32_t)sms : 1;
    hone_code c = begin_watch(l) && permute(&r) ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of host memory running '%s'", l->code->func->name);
    if (c == HONE_OK)
        c = l->flags & (HONE_VGPU_COUNT | HONE_VGPU_SAMPLE) ? run_counting(&r, e) : run_all(&r, e);
    l->warp_insts = r.warp_insts;
    if (l->races)
        vg_race_global_end(l->races);
    hone_free(r.warp_order);
    if (workspace)
        vg_memory_free(l->ctx->memory, workspace->base, NULL);
    return c;
}
