// Counting a launch from begin to end: sets of blocks that run together, footprints per allocation, and the extrapolation of what was executed to
// the whole grid. Per-access work is in count_access.c; turning counters into time in timing.c.
//
// DRAM traffic of the whole launch comes from two things the sample shows: what one SM's blocks miss in their share of L2, and how much the footprints
// of neighbouring SMs overlap (what several SMs read within a wave is fetched once). See finish_dram.
#include "base/mem.h"
#include "vgpu/count_state.h"
#include "vgpu/decode.h"
#include <math.h>
#include <string.h>

// ---- footprints

static bool footprint_init(vg_footprint *f) {
    memset(f, 0, sizeof *f);
    return (f->chunks = hone_calloc(FP_CHUNKS, sizeof *f->chunks)) != NULL;
}

static void footprint_clear(vg_footprint *f) {
    for (size_t i = 0; i < f->touched.n; i++) {
        hone_free(f->chunks[f->touched.v[i]]);
        f->chunks[f->touched.v[i]] = NULL;
    }
    f->touched.n = 0;
}

static void footprint_free(vg_footprint *f) {
    if (f->chunks)
        footprint_clear(f);
    hone_free(f->chunks);
    hone_vec_free(&f->touched);
}

static uint8_t *footprint_chunk(vg_footprint *f, uint64_t chunk, bool *failed) {
    uint8_t *bits = hone_malloc(FP_CHUNK_BYTES);
    if (!bits || !hone_vec_push(&f->touched, (uint32_t)chunk)) {
        hone_free(bits);
        *failed = true;
        return NULL;
    }
    return f->chunks[chunk] = bits;
}

void vg_footprint_mark(vg_footprint *f, uint64_t line, unsigned sectors, bool *failed) {
    uint64_t at = (line << 7) - VG_DEVICE_BASE, chunk = at >> FP_CHUNK_SHIFT;
    if (chunk >= FP_CHUNKS)
        return;   // a stray address: memory reports it
    uint8_t *bits = f->chunks[chunk];
    if (!bits && !(bits = footprint_chunk(f, chunk, failed)))
        return;
    uint64_t nibble = at >> 7 & (FP_CHUNK_BYTES * 2 - 1);
    bits[nibble >> 1] |= (uint8_t)(sectors << (nibble & 1) * 4);
}

static double count_bits(const uint8_t *p, size_t n) {
    uint64_t bits = 0, word;
    for (; n >= 8; p += 8, n -= 8) {
        memcpy(&word, p, 8);
        bits += (uint64_t)__builtin_popcountll(word);
    }
    for (; n; p++, n--)
        bits += (uint64_t)__builtin_popcount(*p);
    return (double)bits;
}

// Distinct sectors of [base, base+bytes). Allocations are 256-byte aligned: whole bytes of the bit map.
static double footprint_in(const vg_footprint *f, uint64_t base, size_t bytes) {
    double n = 0;
    for (uint64_t at = base - VG_DEVICE_BASE, end = at + bytes; at < end;) {
        uint64_t chunk = at >> FP_CHUNK_SHIFT, stop = (chunk + 1) << FP_CHUNK_SHIFT;
        if (stop > end)
            stop = end;
        if (chunk < FP_CHUNKS && f->chunks[chunk])
            n += count_bits(f->chunks[chunk] + (at >> 8 & (FP_CHUNK_BYTES - 1)), (size_t)((stop - at + 255) >> 8));
        at = stop;
    }
    return n;
}

// From the first touched sector of [base, base+bytes) to the last, in sectors; to 256 bytes.
static double footprint_span(const vg_footprint *f, uint64_t base, size_t bytes) {
    const uint64_t end = base - VG_DEVICE_BASE + bytes;
    uint64_t first = UINT64_MAX, last = 0;
    for (uint64_t at = base - VG_DEVICE_BASE; at < end; at += 256) {
        const uint64_t chunk = at >> FP_CHUNK_SHIFT;
        if (chunk >= FP_CHUNKS)
            break;
        if (!f->chunks[chunk]) {
            at = ((chunk + 1) << FP_CHUNK_SHIFT) - 256;
            continue;
        }
        if (!f->chunks[chunk][at >> 8 & (FP_CHUNK_BYTES - 1)])
            continue;
        first = at < first ? at : first;
        last = at;
    }
    return first == UINT64_MAX ? 0 : (double)(last + 256 - first) / 32;
}

// ---- begin and end

static void note_allocation(vg_count_state *st, const vg_alloc *a) {
    for (size_t i = 0; i < st->n_sums; i++)
        if (st->sums[i].alloc == a)
            return;
    if (st->n_sums < MAX_SUMS)
        st->sums[st->n_sums++].alloc = a;
}

// Allocations come to be known by their pages in chunks touched since the last time. A chunk that several allocations share may show another one
// later; those are small, and the first touch of a sample finds nearly all.
static void find_allocations(vg_count_state *st) {
    for (; st->scanned < st->all.touched.n; st->scanned++) {
        uint64_t chunk = st->all.touched.v[st->scanned];
        for (uint64_t page = 0; page < 512; page++) {
            const vg_alloc *a = vg_page_alloc(st->memory, VG_DEVICE_BASE + (chunk << FP_CHUNK_SHIFT) + (page << VG_PAGE_SHIFT));
            if (a)
                note_allocation(st, a);
        }
    }
}

// What shared memory leaves of the SM's array. It is split in steps (CUDA C++ Programming Guide, compute capabilities 8.x and 9.0: KB of shared memory).
static size_t l1_for(const vg_device *d, uint32_t resident, uint32_t shared_bytes) {
    static const uint16_t steps_kb[] = {0, 8, 16, 32, 64, 100, 132, 164, 196, 228};
    double all = vg_dev(d, VG_DEV_L1_BYTES), wanted = shared_bytes ? (double)resident * (shared_bytes + 1024.0) : 0, taken = wanted;
    for (size_t i = HONE_COUNT(steps_kb); i-- > 0;)
        if (steps_kb[i] * 1024.0 >= wanted)
            taken = steps_kb[i] * 1024.0;
    return all - taken > 16384 ? (size_t)(all - taken) : 16384;
}

static bool state_init(vg_count_state *st) {
    st->l2 = vg_cache_new(st->l2_share);
    st->hot = hone_calloc(HOT_SLOTS, sizeof *st->hot);
    st->hot_slice = hone_calloc(HOT_SLOTS, sizeof *st->hot_slice);
    st->merge = vg_merge_shared_loads(st->code);
    return footprint_init(&st->all) && footprint_init(&st->group) && st->l2 && st->hot && st->hot_slice && st->merge;
}

static bool add_function(vg_counter_sink *s, const vg_code *code) {
    vg_func_count *f = &s->funcs[s->n_funcs++];
    f->code = code;
    f->insts = hone_calloc(code->n_insts, sizeof *f->insts);
    f->bb_warps = hone_calloc(code->n_blocks, sizeof *f->bb_warps);
    f->bb_lanes = hone_calloc(code->n_blocks, sizeof *f->bb_lanes);
    return f->insts && f->bb_warps && f->bb_lanes;
}

static vg_func_count *function_of(vg_counter_sink *s, const vg_code *code) {
    for (size_t i = 0; i < s->n_funcs; i++)
        if (s->funcs[i].code == code)
            return &s->funcs[i];
    return NULL;
}

vg_inst_count *vg_count_at(vg_counter_sink *s, const vg_code *code, uint32_t inst) {
    vg_func_count *f = function_of(s, code);
    return f ? &f->insts[inst] : NULL;
}

void vg_count_enter(vg_counter_sink *s, const vg_code *code) {
    const vg_func_count *f = function_of(s, code);
    if (!f)
        HONE_BUG("function '%s' runs uncounted", code->func->name);
    s->code = code;
    s->insts = f->insts;
    s->bb_warps = f->bb_warps;
    s->bb_lanes = f->bb_lanes;
}

static void free_functions(vg_func_count *f, size_t n) {
    for (size_t i = 0; i < n; i++) {
        hone_free(f[i].insts);
        hone_free(f[i].bb_warps);
        hone_free(f[i].bb_lanes);
    }
    hone_free(f);
}

static bool sink_init(vg_counter_sink *s, const vg_code *code, size_t l1_bytes) {
    size_t n = code->calls ? code->program->module->n_funcs : 0;
    s->funcs = hone_calloc(n + 1, sizeof *s->funcs);
    s->l1 = vg_cache_new(l1_bytes);
    if (!s->funcs || !s->l1 || !add_function(s, code))
        return false;
    for (size_t i = 0; i < n; i++) {
        const vg_code_full *f = code->program->codes[i];
        if (f && !f->code.func->is_entry && !add_function(s, &f->code))
            return false;
    }
    vg_count_enter(s, code);
    return true;
}

vg_counter_sink *vg_count_new(const vg_device *d, const vg_memory *mem, const vg_code *code, uint64_t n_blocks, uint32_t blocks_per_sm,
                              uint32_t shared_bytes) {
    vg_counter_sink *s = hone_calloc(1, sizeof *s);
    vg_count_state *st = hone_calloc(1, sizeof *st);
    if (!s || !st) {
        hone_free(s);
        hone_free(st);
        return NULL;
    }
    s->state = st;
    uint64_t sms = (uint64_t)vg_dev(d, VG_DEV_SMS), share = (n_blocks + sms - 1) / sms;
    st->device = d;
    st->memory = mem;
    st->code = code;
    st->n_blocks = n_blocks;
    st->resident = blocks_per_sm > share ? (uint32_t)share : blocks_per_sm ? blocks_per_sm : 1;
    st->active_sms = (uint32_t)(n_blocks < sms ? n_blocks : sms);
    st->l1_bytes = l1_for(d, st->resident, shared_bytes);
    st->l2_share = (size_t)(vg_dev(d, VG_DEV_L2_BYTES) / vg_dev(d, VG_DEV_L2_PARTITIONS) / st->active_sms);
    if (!state_init(st) || !sink_init(s, code, st->l1_bytes)) {
        vg_count_free(s);
        return NULL;
    }
    return s;
}

void vg_count_free(vg_counter_sink *s) {
    if (!s)
        return;
    vg_count_state *st = s->state;
    vg_cache_free(st->l2);
    hone_free(st->hot);
    hone_free(st->hot_slice);
    hone_free(st->merge);
    footprint_free(&st->all);
    footprint_free(&st->group);
    hone_free(st);
    free_functions(s->funcs, s->n_funcs);
    vg_cache_free(s->l1);
    hone_free(s);
}

void vg_counters_free(vg_counters *c) {
    free_functions(c->funcs, c->n_funcs);
    c->funcs = NULL;
    c->n_funcs = 0;
    c->insts = NULL;
}

// ---- sets

static void close_group(vg_count_state *st) {
    if (!st->sets_in_group)
        return;
    for (size_t i = 0; i < st->n_sums; i++) {
        st->sums[i].last += footprint_in(&st->group, st->sums[i].alloc->base, st->sums[i].alloc->bytes);
        st->sums[i].span += footprint_span(&st->group, st->sums[i].alloc->base, st->sums[i].alloc->bytes);
    }
    st->last_blocks += st->group_blocks;
    st->groups++;
    footprint_clear(&st->group);
    st->sets_in_group = 0;
    st->group_blocks = 0;
}

void vg_count_set_begin(vg_counter_sink *s, const vg_sample_set *set) {
    vg_count_state *st = s->state;
    if (set->group != st->group_id || !st->sets) {
        if (st->group_id)
            close_group(st);
        else
            footprint_clear(&st->group);
        st->group_id = set->group;
    }
    double share = (double)set->n / st->resident;   // fewer together than on hardware: less cache in proportion
    if (share > 1)
        share = 1;
    vg_cache_reset(s->l1, (size_t)((double)st->l1_bytes * share));
    vg_cache_reset(st->l2, (size_t)((double)st->l2_share * share));
    st->sets++;
    st->group_blocks += set->n;
    st->blocks += set->n;
}

void vg_count_set_end(vg_counter_sink *s) {
    vg_count_state *st = s->state;
    find_allocations(st);
    if (!st->group_id) {   // the probe
        for (size_t i = 0; i < st->n_sums; i++)
            st->sums[i].probe = footprint_in(&st->group, st->sums[i].alloc->base, st->sums[i].alloc->bytes);
        st->group_blocks = 0;
        return;
    }
    if (st->sets_in_group++ == 0) {
        for (size_t i = 0; i < st->n_sums; i++)
            st->sums[i].first += footprint_in(&st->group, st->sums[i].alloc->base, st->sums[i].alloc->bytes);
        st->first_blocks += st->group_blocks;
    }
}

// ---- the whole grid from the sample

static double clamp(double x, double lo, double hi) { return x < lo ? lo : x > hi ? hi : x; }

// Growth exponent of a footprint between two block counts: 1 = nothing shared, 0 = everything shared.
static double growth(double small, double n_small, double large, double n_large) {
    if (small <= 0 || large <= 0 || n_large < 1.2 * n_small)
        return -1;
    return clamp(log(large / small) / log(n_large / n_small), 0, 1);
}

// Distinct sectors: of one SM's blocks, of a wave, of everything; and the part of the wave that lies in allocations too large to stay in L2. span: sectors
// between the first and the last that a wave touches, summed over allocations; 0 when no group of blocks was sampled.
typedef struct grid_footprint { double set, wave, grid, wave_large, span; } grid_footprint;

static void add_allocation(const vg_count_state *st, const vg_alloc_sum *a, double waves, double wave_blocks, grid_footprint *out) {
    double groups = st->groups ? st->groups : 1, sectors = ceil((double)a->alloc->bytes / 32);
    double per_group = st->groups ? a->last / groups : a->probe, blocks = st->groups ? (double)st->last_blocks / groups : 1;
    double per_set = st->groups ? a->first / groups : a->probe, set_blocks = st->groups ? (double)st->first_blocks / groups : 1;
    double within = growth(per_set, set_blocks, per_group, blocks);
    if (within < 0)
        within = growth(a->probe, 1, per_group, blocks);
    if (within < 0)
        within = 1;
    double across = groups > 1 ? growth(per_group, 1, a->all, groups) : within;
    if (across < 0)
        across = 1;
    double wave = fmin(sectors, per_group * pow(wave_blocks / blocks, within));
    out->set += fmin(sectors, per_set * pow(st->resident / set_blocks, within));
    out->wave += wave;
    out->span += a->span / groups;
    double grid = fmin(sectors, fmax(wave * pow(waves, across), a->all));
    out->grid += grid;
    if (grid > 0.5 * vg_dev(st->device, VG_DEV_L2_BYTES) / 32)
        out->wave_large += wave;
}

static grid_footprint extrapolate_footprint(vg_count_state *st) {
    grid_footprint f = {0};
    double wave_blocks = fmin((double)st->n_blocks, (double)st->resident * st->active_sms);
    double waves = fmax(1, (double)st->n_blocks / wave_blocks);
    for (size_t i = 0; i < st->n_sums; i++) {
        st->sums[i].all = footprint_in(&st->all, st->sums[i].alloc->base, st->sums[i].alloc->bytes);
        if (st->sums[i].all > 0)
            add_allocation(st, &st->sums[i], waves, wave_blocks, &f);
    }
    return f;
}

// How much of what a wave reads again later waves find evicted. A wave whose accesses lie together (a plane of a stencil) shares with its neighbours in
// time, and of those L2 holds some: three are enough. One that is spread over all of its data meets it again much later.
static double evicted(const grid_footprint *f, double l2_sectors) {
    const double extent = fmax(f->span, f->wave);
    return f->span > 0 ? clamp((3 - l2_sectors / extent) / 2, 0, 1) : 1;
}

// DRAM sectors: per-SM misses times how much SMs share; never under the distinct sectors, and just those when everything stays in L2.
static void finish_dram(vg_count_state *st, double scale, honeVgpuCounters *t) {
    grid_footprint f = extrapolate_footprint(st);
    double l2_sectors = vg_dev(st->device, VG_DEV_L2_BYTES) / 32;
    double shared = f.set > 0 ? clamp(f.wave / (f.set * st->active_sms), 0, 1) : 1;
    double reads = (double)st->dram_reads * scale * shared, writes = (double)st->dram_writes * scale * shared;
    double total = reads + writes, least = fmin(f.grid, (double)(st->dram_reads + st->dram_writes) * scale);
    double spill = f.grid <= 0.8 * l2_sectors || f.wave <= 0 ? 0 : f.wave_large / f.wave * evicted(&f, l2_sectors);
    double kept = least + spill * fmax(0, total - least);
    double factor = total > 0 ? kept / total : 0;
    t->dram_sectors_read = reads * factor;
    t->dram_sectors_written = writes * factor;
    t->compulsory_bytes = f.grid * 32;
}

static double hottest(const vg_hot_address *table) {
    uint64_t most = 0;
    for (size_t i = 0; i < HOT_SLOTS; i++)
        if (table[i].count > most)
            most = table[i].count;
    return (double)most;
}

static void finish_insts(vg_func_count *f) {
    const vg_code *code = f->code;
    for (size_t b = 0; b < code->n_blocks; b++) {
        size_t stop = b + 1 < code->n_blocks ? code->block_first[b + 1] : code->n_insts;
        for (size_t i = code->block_first[b]; i < stop; i++) {
            f->insts[i].warps = f->bb_warps[b];
            f->insts[i].lanes = f->bb_lanes[b];
        }
    }
}

static void add_inst(const vg_inst *in, const vg_inst_count *c, double scale, honeVgpuCounters *t) {
    double *pipes[VG_PIPE_COUNT] = {&t->pipe_int, &t->pipe_fp32, &t->pipe_fp64, &t->pipe_fp16, &t->pipe_sfu, &t->pipe_lsu, &t->pipe_tensor, &t->pipe_control,
                                    &t->pipe_other};
    double warps = (double)c->warps * scale, lanes = (double)c->lanes * scale;
    t->warp_insts += warps;
    t->thread_insts += lanes;
    if (in->pipe < VG_PIPE_COUNT)
        *pipes[in->pipe] += warps;
    if (in->src)
        vg_count_flops(in->src, warps, lanes, t);
    if (c->wavefronts) {   // cp.async has both
        t->shared_requests += (double)c->shared_requests * scale;
        t->shared_wavefronts += (double)c->wavefronts * scale;
        t->shared_wavefronts_ideal += (double)c->wavefronts_ideal * scale;
    }
    if (c->sectors) {
        t->global_requests += (double)(c->requests - c->shared_requests) * scale;
        t->global_sectors += (double)c->sectors * scale;
        t->global_sectors_ideal += (double)c->sectors_ideal * scale;
        t->global_lines += (double)c->lines * scale;
        t->l1_hit_sectors += (double)c->l1_hits * scale;
    }
    t->atomic_warp_serial += (double)c->atomic_serial * scale;
    t->barrier_wait_insts += (double)c->barrier_wait * scale;
}

static void finish_totals(const vg_counter_sink *s, const vg_launch *l, double scale, honeVgpuCounters *t) {
    const vg_count_state *st = s->state;
    uint64_t threads = (uint64_t)l->block[0] * l->block[1] * l->block[2];
    t->blocks = (double)st->n_blocks;
    t->warps = (double)st->n_blocks * (double)((threads + 31) / 32);
    t->branches = (double)s->branches * scale;
    t->divergent_branches = (double)s->divergent * scale;
    t->barriers = (double)s->barriers * scale;
    t->global_load_bytes = (double)st->load_bytes * scale;
    t->global_store_bytes = (double)st->store_bytes * scale;
    t->local_requests = (double)st->local_requests * scale;
    t->local_sectors = (double)st->local_sectors * scale;
    t->atomic_requests = (double)st->atomic_requests * scale;
    t->atomic_lane_ops = (double)st->atomic_ops * scale;
    t->atomic_serial_max = hottest(st->hot) * scale;
    t->sampled_fraction = 1 / scale;
    double to_l2 = (double)(st->l1_misses + st->stores_l2) * scale, dram = t->dram_sectors_read + t->dram_sectors_written;
    t->l2_hit_sectors = fmax(0, to_l2 - dram);
}

hone_code vg_count_finish(vg_counter_sink *s, const vg_launch *l, uint64_t blocks_executed, vg_counters *out, hone_err *e) {
    vg_count_state *st = s->state;
    close_group(st);
    memset(out, 0, sizeof *out);
    if (st->failed)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory counting '%s'", l->code->func->name);
    double scale = blocks_executed ? (double)st->n_blocks / (double)blocks_executed : 1;
    for (size_t k = 0; k < s->n_funcs; k++) {
        vg_func_count *f = &s->funcs[k];
        finish_insts(f);
        for (size_t i = 0; i < f->code->n_insts; i++)
            add_inst(&f->code->insts[i], &f->insts[i], scale, &out->total);
    }
    finish_dram(st, scale, &out->total);
    finish_totals(s, l, scale, &out->total);
    double to_l2 = (double)(st->l1_misses + st->stores_l2) * scale;
    out->l2_hit_rate = to_l2 > 0 ? out->total.l2_hit_sectors / to_l2 : 1;
    out->atomic_sectors = (double)st->atomic_sectors * scale;
    out->atomic_slice_max = hottest(st->hot_slice) * scale;
    out->partial_store_lines = (double)st->partial_store_lines * scale;
    out->blocks_executed = blocks_executed;
    out->funcs = s->funcs;   // move to the caller
    out->n_funcs = s->n_funcs;
    out->insts = s->funcs[0].insts;
    out->n_insts = s->funcs[0].code->n_insts;
    s->funcs = NULL;
    s->n_funcs = 0;
    return HONE_OK;
}
