// Choosing blocks for a counted launch: see sample.h. Hardware hands blocks out one per SM in turn, so SM s of wave w holds blocks
// w·sms·R + s + k·sms (k < R). A sample takes neighbouring SMs of a few waves spread over the grid: neighbours share what the wave shares, and
// several waves average over work that changes along the grid (causal masks, ragged rows).
#include "vgpu/sample.h"
#include "base/mem.h"

enum { MAX_GROUPS = 8, MAX_TOGETHER = 64 };

struct vg_sampler {
    uint64_t n_blocks, budget, first_block;
    uint32_t sms, resident;       // blocks that share an SM, given this grid
    bool all;
    bool probed, planned;
    uint64_t probe_cost;
    uint32_t groups, group;       // waves to visit, the current one
    uint32_t together;            // blocks per set
    uint64_t sets_per_group, set_in_group;
    uint64_t wave, sm;            // cursor when all blocks run
    uint64_t ids[MAX_TOGETHER];
};

vg_sampler *vg_sampler_new(uint64_t n_blocks, uint32_t sms, uint32_t blocks_per_sm, uint64_t budget, bool all) {
    vg_sampler *s = hone_calloc(1, sizeof *s);
    if (!s)
        return NULL;
    uint64_t share = (n_blocks + sms - 1) / sms;
    uint32_t resident = blocks_per_sm ? blocks_per_sm : 1;
    if (resident > share)
        resident = (uint32_t)share;
    if (resident > MAX_TOGETHER)
        resident = MAX_TOGETHER;
    *s = (vg_sampler){.n_blocks = n_blocks, .budget = budget, .sms = sms, .resident = resident, .all = all, .first_block = UINT64_MAX};
    return s;
}

void vg_sampler_free(vg_sampler *s) { hone_free(s); }

static uint64_t waves(const vg_sampler *s) {
    uint64_t per_wave = (uint64_t)s->sms * s->resident;
    return (s->n_blocks + per_wave - 1) / per_wave;
}

// The blocks that SM `sm` holds in wave `w`, at most `together`, without the probe block.
static uint32_t fill_set(vg_sampler *s, uint64_t w, uint64_t sm, uint32_t together) {
    uint64_t base = w * s->sms * s->resident + sm;
    uint32_t n = 0;
    for (uint32_t k = 0; k < s->resident && n < together; k++) {
        uint64_t id = base + (uint64_t)k * s->sms;
        if (id < s->n_blocks && id != s->first_block)
            s->ids[n++] = id;
    }
    return n;
}

static bool next_of_all(vg_sampler *s, vg_sample_set *out) {
    for (; s->wave < waves(s); s->wave++, s->sm = 0) {
        while (s->sm < s->sms) {
            uint64_t sm = s->sm++;
            uint32_t n = fill_set(s, s->wave, sm, s->resident);
            if (n) {
                *out = (vg_sample_set){s->ids, n, (uint32_t)sm, 1 + (uint32_t)s->wave};
                return true;
            }
        }
    }
    return false;
}

static void plan(vg_sampler *s, uint64_t executed) {
    s->planned = true;
    s->probe_cost = executed ? executed : 1;
    uint64_t fit = s->budget / s->probe_cost;
    if (fit >= s->n_blocks) {
        s->all = true;
        return;
    }
    if (fit < 2)
        fit = 2;   // one more beside the probe, so that sharing between blocks shows
    uint64_t full_waves = s->n_blocks / ((uint64_t)s->sms * s->resident);
    uint64_t sets = fit / s->resident;
    s->together = fit < s->resident ? (uint32_t)fit : s->resident;
    if (sets == 0)
        sets = 1;
    s->groups = sets >= 2 * MAX_GROUPS ? MAX_GROUPS : sets >= 4 ? (uint32_t)(sets / 2) : 1;
    if (s->groups > full_waves)
        s->groups = full_waves ? (uint32_t)full_waves : 1;
    s->sets_per_group = sets / s->groups;
    if (s->sets_per_group > s->sms)
        s->sets_per_group = s->sms;
}

static uint64_t group_wave(const vg_sampler *s) {
    uint64_t full = s->n_blocks / ((uint64_t)s->sms * s->resident);
    return full ? (2 * (uint64_t)s->group + 1) * full / (2 * (uint64_t)s->groups) : 0;
}

static bool next_of_sample(vg_sampler *s, uint64_t executed, vg_sample_set *out) {
    for (; s->group < s->groups; s->group++, s->set_in_group = 0) {
        bool over = executed >= s->budget / s->groups * (s->group + 1);
        if (over && s->set_in_group > 0)
            continue;
        uint64_t first_sm = s->sms / 3;   // not SM 0: its blocks are at the grid's edges
        if (s->set_in_group < s->sets_per_group) {
            uint64_t sm = (first_sm + s->set_in_group++) % s->sms;
            uint32_t n = fill_set(s, group_wave(s), sm, s->together);
            if (n) {
                *out = (vg_sample_set){s->ids, n, (uint32_t)sm, 1 + s->group};
                return true;
            }
        }
    }
    return false;
}

bool vg_sampler_next(vg_sampler *s, uint64_t executed, vg_sample_set *out) {
    if (!s->all && !s->probed) {
        s->probed = true;
        s->first_block = s->n_blocks / 2;
        s->ids[0] = s->first_block;
        *out = (vg_sample_set){s->ids, 1, (uint32_t)(s->first_block % s->sms), 0};
        return true;
    }
    if (!s->all && !s->planned)
        plan(s, executed);
    return s->all ? next_of_all(s, out) : next_of_sample(s, executed, out);
}
