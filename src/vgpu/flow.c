// flow: control flow and liveness of one PTX function. It cuts the instructions into basic blocks, finds which virtual registers live
// where, and gives registers rows of the warp's file so that registers that never live together share one: a kernel with hundreds of virtual
// registers keeps a file that fits the L1 cache. Sharing is safe under divergence because each lane follows one path of the same graph.
// It does not look at operands' meaning beyond read and written (vg_op_defines).
#include "vgpu/decode.h"
#include "vgpu/linear.h"
#include <string.h>

typedef struct flow {
    vg_binder *b;
    const ptx_func *f;
    size_t n, nb, words;               // instructions, blocks, 64-bit words per set
    uint64_t *use, *def, *in, *out;    // [nb][words]
    uint32_t *start, *end;             // [n_regs] first and last position alive; start > end: never
} flow;

static void mark_leaders(const ptx_func *f, uint8_t *leader) {
    leader[0] = 1;
    for (size_t i = 0; i < f->n_insts; i++) {
        const ptx_inst *in = &f->insts[i];
        for (unsigned k = 0; k < in->n_operands; k++) {
            const ptx_operand *o = &in->operand[k];
            if (o->kind == PTX_O_LABEL && o->label < f->n_insts)
                leader[o->label] = 1;
            for (unsigned j = 0; o->kind == PTX_O_VEC && j < o->n_elems; j++)
                if (o->elems[j].kind == PTX_O_LABEL && o->elems[j].label < f->n_insts)
                    leader[o->elems[j].label] = 1;
        }
        if (vg_ctl_of(in) != VG_CTL_NONE && i + 1 < f->n_insts)
            leader[i + 1] = 1;
    }
}

static hone_code cut_blocks(flow *w) {
    vg_code_full *out = w->b->out;
    hone_arena *a = w->b->program->arena;
    uint8_t *leader = hone_calloc(w->n + 1, 1);
    out->block_of = hone_arena_array(a, w->n + 1, sizeof *out->block_of);
    if (!leader || !out->block_of) {
        hone_free(leader);
        return hone_fail(w->b->e, HONE_E_NOMEM, 0, "out of memory decoding '%s'", w->f->name);
    }
    mark_leaders(w->f, leader);
    for (size_t i = 0; i < w->n; i++) {
        w->nb += leader[i];
        out->block_of[i] = (uint32_t)(w->nb - 1);
    }
    out->info = hone_arena_array(a, w->nb + 1, sizeof *out->info);
    out->code.block_first = hone_arena_array(a, w->nb + 1, sizeof *out->code.block_first);
    hone_free(leader);
    if (!out->info || !out->code.block_first)
        return hone_fail(w->b->e, HONE_E_NOMEM, 0, "out of memory decoding '%s'", w->f->name);
    for (size_t i = 0; i < w->n; i++) {
        vg_block_info *bi = &out->info[out->block_of[i]];
        if (bi->n++ == 0) {
            bi->first = (uint32_t)i;
            out->code.block_first[out->block_of[i]] = (uint32_t)i;
        }
        bi->n_plain += vg_ctl_of(&w->f->insts[i]) == VG_CTL_NONE;
    }
    out->code.n_blocks = w->nb;
    out->code.blocks = out->info;
    return HONE_OK;
}

void vg_each_register(const ptx_inst *in, vg_touch_fn touch, void *self) {
    const bool defines = vg_op_defines(in);
    if (in->has_guard)
        touch(self, in->guard, false);
    for (int pass = 0; pass < 2; pass++)               // reads first, then writes
        for (unsigned k = 0; k < in->n_operands; k++) {
            const ptx_operand *o = &in->operand[k];
            const bool write = (k == 0 && defines) || o->part == 1;
            if (o->kind == PTX_O_ADDR && o->has_base && pass == 0)
                touch(self, o->reg, false);
            if (o->kind == PTX_O_REG && write == (pass == 1))
                touch(self, o->reg, write);
            for (unsigned j = 0; (o->kind == PTX_O_VEC || o->kind == PTX_O_ADDR) && j < o->n_elems; j++) {
                const bool elem_write = write && o->kind == PTX_O_VEC;
                if (o->elems[j].kind == PTX_O_REG && elem_write == (pass == 1))
                    touch(self, o->elems[j].reg, elem_write);
            }
        }
}

typedef struct scan { uint64_t *use, *def; bool guarded; } scan;
static void touch_sets(void *self, uint32_t reg, bool write) {
    scan *s = self;
    const uint64_t bit = 1ull << (reg & 63);
    if (!write) {
        if (!(s->def[reg >> 6] & bit))
            s->use[reg >> 6] |= bit;
    } else if (!s->guarded) {
        s->def[reg >> 6] |= bit;                       // a guarded write may keep the old value: it does not kill
    } else if (!(s->def[reg >> 6] & bit)) {
        s->use[reg >> 6] |= bit;
    }
}

static size_t successors(const flow *w, size_t block, uint32_t *to, size_t cap) {
    const vg_block_info *bi = &w->b->out->info[block];
    const ptx_inst *last = &w->f->insts[bi->first + bi->n - 1];
    size_t n = 0;
    bool falls = true;
    if (last->op == PTX_OP_BRA || last->op == PTX_OP_BRX) {
        falls = last->has_guard;
        for (unsigned k = 0; k < last->n_operands; k++) {
            const ptx_operand *o = &last->operand[k];
            if (o->kind == PTX_O_LABEL && o->label < w->n && n < cap)
                to[n++] = w->b->out->block_of[o->label];
            for (unsigned j = 0; o->kind == PTX_O_VEC && j < o->n_elems && n < cap; j++)
                if (o->elems[j].kind == PTX_O_LABEL && o->elems[j].label < w->n)
                    to[n++] = w->b->out->block_of[o->elems[j].label];
        }
    } else if (last->op == PTX_OP_RET || last->op == PTX_OP_EXIT || last->op == PTX_OP_TRAP) {
        falls = last->has_guard;
    }
    if (falls && block + 1 < w->nb && n < cap)
        to[n++] = (uint32_t)block + 1;
    return n;
}

static void dataflow(flow *w) {
    uint32_t to[260];
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t bk = w->nb; bk-- > 0;) {
            uint64_t *out = w->out + bk * w->words, *in = w->in + bk * w->words;
            const size_t n = successors(w, bk, to, HONE_COUNT(to));
            for (size_t s = 0; s < n; s++)
                for (size_t k = 0; k < w->words; k++)
                    out[k] |= w->in[to[s] * w->words + k];
            for (size_t k = 0; k < w->words; k++) {
                const uint64_t v = w->use[bk * w->words + k] | (out[k] & ~w->def[bk * w->words + k]);
                changed |= v != in[k];
                in[k] = v;
            }
        }
    }
}

typedef struct extent { flow *w; uint32_t at; } extent;
static void stretch(flow *w, uint32_t reg, uint32_t at) {
    if (at < w->start[reg])
        w->start[reg] = at;
    if (at > w->end[reg] || w->end[reg] == UINT32_MAX)
        w->end[reg] = at;
}
static void touch_extent(void *self, uint32_t reg, bool write) {
    (void)write;
    extent *x = self;
    stretch(x->w, reg, x->at);
}

static void intervals(flow *w) {
    for (size_t i = 0; i < w->n; i++)
        vg_each_register(&w->f->insts[i], touch_extent, &(extent){w, (uint32_t)i});
    for (size_t bk = 0; bk < w->nb; bk++) {
        const vg_block_info *bi = &w->b->out->info[bk];
        for (size_t r = 0; r < w->f->n_regs; r++) {
            if (w->in[bk * w->words + r / 64] >> (r & 63) & 1)
                stretch(w, (uint32_t)r, bi->first);
            if (w->out[bk * w->words + r / 64] >> (r & 63) & 1)
                stretch(w, (uint32_t)r, bi->first + bi->n - 1);
        }
    }
}

// Live 32-bit registers at the worst point: walk each block backwards from its live-out set.
typedef struct pressure { const flow *w; uint64_t *live; uint32_t now, worst; } pressure;
static uint32_t reg_words(const ptx_func *f, uint32_t r) {
    const ptx_type t = f->regs[r].type;
    return t == PTX_PRED ? 0 : (ptx_type_bytes(t) + 3) / 4;
}
static void set_live(pressure *p, uint32_t r, bool on) {
    const uint64_t bit = 1ull << (r & 63);
    if (((p->live[r >> 6] & bit) != 0) == on)
        return;
    p->live[r >> 6] ^= bit;
    p->now = on ? p->now + reg_words(p->w->f, r) : p->now - reg_words(p->w->f, r);
    if (p->now > p->worst)
        p->worst = p->now;
}
static void touch_kill(void *self, uint32_t r, bool write) { if (write) set_live(self, r, false); }
static void touch_live(void *self, uint32_t r, bool write) { if (!write) set_live(self, r, true); }
static uint32_t worst_pressure(const flow *w, uint64_t *live) {
    pressure p = {.w = w, .live = live};
    for (size_t bk = 0; bk < w->nb; bk++) {
        const vg_block_info *bi = &w->b->out->info[bk];
        memset(live, 0, w->words * 8);
        p.now = 0;
        for (uint32_t r = 0; r < w->f->n_regs; r++)
            if (w->out[bk * w->words + r / 64] >> (r & 63) & 1)
                set_live(&p, r, true);
        for (uint32_t i = bi->first + bi->n; i-- > bi->first;) {
            if (!w->f->insts[i].has_guard)
                vg_each_register(&w->f->insts[i], touch_kill, &p);
            vg_each_register(&w->f->insts[i], touch_live, &p);
        }
    }
    return p.worst;
}

// Rows come in three sizes, kept apart so that rows never overlap partly: 128 B (up to 32 bits), 256 B, 512 B; and the first two with a tag in
// front for tracked registers (linear.h).
enum { ROW_CLASSES = 5, FIRST_TAGGED = 3 };
static unsigned row_class(const flow *w, uint32_t r) {
    const unsigned bytes = ptx_type_bytes(w->f->regs[r].type), size = bytes <= 4 ? 0 : bytes <= 8 ? 1 : 2;
    return w->b->tracked[r] ? FIRST_TAGGED + size : size;
}
static uint32_t new_row(vg_binder *b, unsigned class) {
    const uint32_t tag = class < FIRST_TAGGED ? 0 : VG_TAG_BYTES, row = b->file_end + tag;
    b->file_end = row + (128u << (class < FIRST_TAGGED ? class : class - FIRST_TAGGED));
    return row;
}

static hone_code assign_rows(flow *w) {
    vg_binder *b = w->b;
    const size_t nr = w->f->n_regs;
    uint32_t *next_start = hone_malloc((w->n + 1) * sizeof(uint32_t)), *next_end = hone_malloc((w->n + 1) * sizeof(uint32_t));
    uint32_t *link = hone_malloc((2 * nr + 1) * sizeof(uint32_t));
    HONE_VEC(uint32_t) pool[ROW_CLASSES] = {{0}};
    bool ok = next_start && next_end && link;
    if (ok) {
        memset(next_start, 0xff, (w->n + 1) * sizeof(uint32_t));
        memset(next_end, 0xff, (w->n + 1) * sizeof(uint32_t));
        for (uint32_t r = (uint32_t)nr; r-- > 0;) {
            b->slot[r] = VG_NO_ROW;
            if (w->f->regs[r].type == PTX_PRED) {
                b->pred[r] = (uint16_t)b->n_preds++;
            } else if (w->start[r] <= w->end[r] && w->end[r] != UINT32_MAX) {
                link[r] = next_start[w->start[r]];
                next_start[w->start[r]] = r;
                link[nr + r] = next_end[w->end[r]];
                next_end[w->end[r]] = r;
            }
        }
    }
    for (size_t i = 0; ok && i < w->n; i++) {
        for (uint32_t r = next_start[i]; r != UINT32_MAX; r = link[r]) {
            const unsigned c = row_class(w, r);
            b->slot[r] = pool[c].n ? pool[c].v[--pool[c].n] : new_row(b, c);
        }
        for (uint32_t r = next_end[i]; ok && r != UINT32_MAX; r = link[nr + r])
            ok = hone_vec_push(&pool[row_class(w, r)], b->slot[r]);
    }
    for (unsigned c = 0; c < ROW_CLASSES; c++)
        hone_vec_free(&pool[c]);
    hone_free(next_start);
    hone_free(next_end);
    hone_free(link);
    return ok ? HONE_OK : hone_fail(b->e, HONE_E_NOMEM, 0, "out of memory decoding '%s'", w->f->name);
}

// Registers alive at the function's start are read on some path before anything writes them; whatever is computed from them is doubtful too.
typedef struct spread { uint64_t *set; bool reads, changed; } spread;
static void touch_spread(void *self, uint32_t reg, bool write) {
    spread *s = self;
    uint64_t *word = &s->set[reg >> 6];
    const uint64_t bit = 1ull << (reg & 63);
    if (!write) {
        s->reads |= (*word & bit) != 0;
    } else if (s->reads && !(*word & bit)) {
        *word |= bit;
        s->changed = true;
    }
}

static hone_code find_doubtful(flow *w) {
    vg_code_full *out = w->b->out;
    uint64_t any = 0, *set = w->in;                    // of block 0; `in` is free by now
    for (size_t k = 0; k < w->words; k++)
        any |= set[k];
    if (!any)
        return HONE_OK;
    spread s = {.set = set, .changed = true};
    while (s.changed) {
        s.changed = false;
        for (size_t i = 0; i < w->n; i++) {
            const uint16_t op = w->f->insts[i].op;
            s.reads = false;
            if (op != PTX_OP_LD && op != PTX_OP_ATOM && op != PTX_OP_SETP && op != PTX_OP_CALL)
                vg_each_register(&w->f->insts[i], touch_spread, &s);
        }
    }
    out->doubtful = hone_arena_array(w->b->program->arena, w->f->n_regs + 1, sizeof *out->doubtful);
    if (!out->doubtful)
        return hone_fail(w->b->e, HONE_E_NOMEM, 0, "out of memory decoding '%s'", w->f->name);
    for (uint32_t r = 0; r < w->f->n_regs; r++)
        if (set[r >> 6] >> (r & 63) & 1)
            out->doubtful[out->n_doubtful++] = r;
    return HONE_OK;
}

// What only one instruction of the same block reads and nobody needs later (only_use). Backwards through each block; `uses` of a register is 0, 1 or
// MANY since its next definition, and belongs to the block in `seen`.
enum { MANY = 2 };
typedef struct use_scan { const flow *w; uint32_t *uses, *next, *seen; uint32_t block, at; } use_scan;
static uint32_t *uses_of(use_scan *s, uint32_t reg) {
    if (s->seen[reg] != s->block + 1) {
        s->seen[reg] = s->block + 1;
        s->uses[reg] = s->w->out[s->block * s->w->words + reg / 64] >> (reg & 63) & 1 ? MANY : 0;
    }
    return &s->uses[reg];
}
static void touch_written(void *self, uint32_t reg, bool write) {
    use_scan *s = self;
    const ptx_inst *in = &s->w->f->insts[s->at];
    if (!write)
        return;
    uint32_t *uses = uses_of(s, reg);
    if (*uses == 1 && !in->has_guard && in->operand[0].kind == PTX_O_REG && in->operand[0].reg == reg)
        s->w->b->only_use[s->at] = s->next[reg];
    *uses = in->has_guard ? MANY : 0;
}
static void touch_read(void *self, uint32_t reg, bool write) {
    use_scan *s = self;
    if (write)
        return;
    uint32_t *uses = uses_of(s, reg);
    *uses = *uses ? MANY : 1;
    s->next[reg] = s->at;
}
static hone_code find_only_uses(flow *w) {
    const size_t nr = w->f->n_regs + 1;
    uint32_t *room = hone_calloc(3 * nr, sizeof *room);
    if (!room)
        return hone_fail(w->b->e, HONE_E_NOMEM, 0, "out of memory decoding '%s'", w->f->name);
    use_scan s = {.w = w, .uses = room, .next = room + nr, .seen = room + 2 * nr};
    memset(w->b->only_use, 0xff, w->n * sizeof *w->b->only_use);
    for (size_t bk = 0; bk < w->nb; bk++) {
        const vg_block_info *bi = &w->b->out->info[bk];
        s.block = (uint32_t)bk;
        for (s.at = bi->first + bi->n; s.at-- > bi->first;) {
            vg_each_register(&w->f->insts[s.at], touch_written, &s);
            vg_each_register(&w->f->insts[s.at], touch_read, &s);
        }
    }
    hone_free(room);
    return HONE_OK;
}

static hone_code run_analysis(flow *w) {
    for (size_t bk = 0; bk < w->nb; bk++) {
        const vg_block_info *bi = &w->b->out->info[bk];
        scan s = {w->use + bk * w->words, w->def + bk * w->words, false};
        for (uint32_t i = bi->first; i < bi->first + bi->n; i++) {
            s.guarded = w->f->insts[i].has_guard;
            vg_each_register(&w->f->insts[i], touch_sets, &s);
        }
    }
    dataflow(w);
    memset(w->start, 0xff, (w->f->n_regs + 1) * sizeof *w->start);
    memset(w->end, 0xff, (w->f->n_regs + 1) * sizeof *w->end);
    intervals(w);
    w->b->out->code.registers_estimate = worst_pressure(w, w->use);   // `use` is free by now
    HONE_TRY(find_only_uses(w));
    HONE_TRY(find_doubtful(w));
    return assign_rows(w);
}

hone_code vg_flow_build(vg_binder *b) {
    flow w = {.b = b, .f = b->func, .n = b->func->n_insts, .words = b->func->n_regs / 64 + 1};
    HONE_TRY(cut_blocks(&w));
    size_t cells = 0, bytes = 0;
    HONE_TRY(hone_mul_size(w.nb, w.words, &cells, b->e));
    HONE_TRY(hone_mul_size(cells, 4 * sizeof(uint64_t), &bytes, b->e));
    if (bytes > (size_t)2 << 30)
        return hone_fail(b->e, HONE_E_LIMIT, 0, "function '%s' is too large: %zu registers in %zu blocks", b->func->name, b->func->n_regs, w.nb);
    w.use = hone_calloc(cells * 4, sizeof *w.use);
    w.start = hone_calloc(2 * (b->func->n_regs + 1), sizeof *w.start);
    hone_code c = HONE_E_NOMEM;
    if (w.use && w.start) {
        w.def = w.use + cells;
        w.in = w.def + cells;
        w.out = w.in + cells;
        w.end = w.start + b->func->n_regs + 1;
        c = run_analysis(&w);
    } else {
        hone_fail(b->e, c, 0, "out of memory decoding '%s'", b->func->name);
    }
    hone_free(w.use);
    hone_free(w.start);
    return c;
}
