// program: a PTX module → a vg_program. It lays out what functions share (static shared memory, local memory of the deepest call chain),
// then has decode.c decode each function. Callers own the ptx_module and keep it alive.
#include "vgpu/decode.h"
#include "vgpu/watch.h"
#include <string.h>

enum { ARENA_LIMIT_MB = 2048, RECURSION_LOCAL_BYTES = 16384, RECURSION_STACKS = 4, DYNAMIC_ALIGN = 16 };

size_t vg_align(size_t x, size_t a) { return a > 1 ? (x + a - 1) / a * a : x; }

const vg_place *vg_place_find(const vg_place *p, size_t n, const ptx_var *v) {
    for (size_t i = 0; i < n; i++)
        if (p[i].var == v)
            return &p[i];
    return NULL;
}

typedef struct places { HONE_VEC(vg_place) v; size_t shared, local, param, dynamic_align; bool failed; } places;

static void place(places *l, const ptx_var *v, size_t *at, size_t least_align) {
    const size_t align = v->align > least_align ? v->align : least_align;
    *at = vg_align(*at, align);
    const vg_place p = {v, (uint32_t)*at};
    l->failed |= !hone_vec_push(&l->v, p) || v->bytes > UINT32_MAX / 2 || *at > UINT32_MAX / 2;
    *at += v->bytes;
}

static void place_shared(places *l, const vg_program *p, const ptx_var *v, bool own) {
    if (v->bytes == 0) {                              // extern __shared__ x[]: behind everything static
        const size_t a = v->align > DYNAMIC_ALIGN ? v->align : DYNAMIC_ALIGN;
        l->dynamic_align = a > l->dynamic_align ? a : l->dynamic_align;
    } else if (!vg_place_find(l->v.v, l->v.n, v) && (own || !vg_place_find(p->common, p->n_common, v))) {
        place(l, v, &l->shared, 1);
    }
}

static void place_used_shared(places *l, const vg_program *p, const ptx_func *f) {
    for (size_t i = 0; i < f->n_insts; i++)
        for (unsigned k = 0; k < f->insts[i].n_operands; k++) {
            const ptx_operand *o = &f->insts[i].operand[k];
            if (o->var && (o->var->space == PTX_SHARED || o->var->space == PTX_SHARED_CLUSTER))
                place_shared(l, p, o->var, false);
        }
}

static void place_own(places *l, const vg_program *p, const ptx_func *f) {
    for (size_t i = 0; i < f->n_vars; i++) {
        const ptx_var *v = f->vars[i];
        if (v->space == PTX_SHARED)
            place_shared(l, p, v, true);
        else if (v->space == PTX_LOCAL)
            place(l, v, &l->local, 1);
        else if (v->space == PTX_PARAM)
            place(l, v, &l->param, 16);
    }
    for (size_t i = 0; !f->is_entry && i < f->n_params; i++)
        place(l, f->params[i], &l->param, 16);
    for (size_t i = 0; !f->is_entry && i < f->n_rets; i++)
        place(l, f->rets[i], &l->param, 16);
}

static void place_stack(places *l, vg_code_full *c, const ptx_func *f) {
    for (size_t i = 0; i < f->n_insts && !c->has_stack; i++)
        c->has_stack = f->insts[i].op == PTX_OP_ALLOCA || f->insts[i].op == PTX_OP_STACKSAVE || f->insts[i].op == PTX_OP_STACKRESTORE;
    if (!c->has_stack)
        return;
    c->stack_at = (uint32_t)(l->local = vg_align(l->local, 16));
    c->stack_word = (uint32_t)(l->param = vg_align(l->param, 16));
    l->local += VG_STACK_BYTES;
    l->param += 4;
}

static hone_code keep_places(vg_program *p, vg_code_full *c, places *l, hone_err *e) {
    c->places = hone_arena_array(p->arena, l->v.n + 1, sizeof *c->places);
    if (!c->places || l->failed) {
        hone_vec_free(&l->v);
        return hone_fail(e, HONE_E_LIMIT, 0, "the variables of '%s' are too large", c->code.func->name);
    }
    if (l->v.n)
        memcpy(c->places, l->v.v, l->v.n * sizeof *c->places);
    c->n_places = l->v.n;
    hone_vec_free(&l->v);
    c->static_shared = l->shared;
    c->dynamic_align = l->dynamic_align;
    c->code.frame_local_bytes = vg_align(l->local, 16);
    c->code.frame_param_bytes = vg_align(l->param, 16);
    return HONE_OK;
}

// Module-scope shared variables of device functions get one place for the whole module, since any kernel may call them.
static hone_code place_common(vg_program *p, hone_err *e) {
    places l = {0};
    for (size_t i = 0; i < p->module->n_funcs; i++)
        if (p->codes[i] && !p->module->funcs[i]->is_entry)
            for (size_t k = 0; k < p->module->funcs[i]->n_insts; k++)
                for (unsigned j = 0; j < p->module->funcs[i]->insts[k].n_operands; j++) {
                    const ptx_var *v = p->module->funcs[i]->insts[k].operand[j].var;
                    bool mine = v && v->space == PTX_SHARED && v->bytes;
                    for (size_t q = 0; mine && q < p->module->funcs[i]->n_vars; q++)
                        mine = p->module->funcs[i]->vars[q] != v;
                    if (mine && !vg_place_find(l.v.v, l.v.n, v))
                        place(&l, v, &l.shared, 1);
                }
    p->common = hone_arena_array(p->arena, l.v.n + 1, sizeof *p->common);
    const bool ok = p->common && !l.failed;
    if (ok && l.v.n)
        memcpy(p->common, l.v.v, l.v.n * sizeof *p->common);
    p->n_common = ok ? l.v.n : 0;
    p->common_shared = l.shared;
    hone_vec_free(&l.v);
    return ok ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory laying out shared memory");
}

static ptx_func *callee_of(const vg_program *p, const ptx_inst *in) {
    return in->callee ? ptx_find_func(p->module, in->callee) : NULL;
}

static size_t index_of(const vg_program *p, const ptx_func *f) {
    for (size_t i = 0; i < p->module->n_funcs; i++)
        if (p->module->funcs[i] == f)
            return i;
    return SIZE_MAX;
}

// Local memory per lane of function i and its deepest call chain. state: 0 new, 1 on the path (recursion), 2 known.
static size_t deepest_local(const vg_program *p, size_t i, uint8_t *state, size_t *known) {
    if (state[i] == 2)
        return known[i];
    if (state[i] == 1)
        return RECURSION_LOCAL_BYTES + (p->codes[i] && p->codes[i]->has_stack ? RECURSION_STACKS * VG_STACK_BYTES : 0);
    state[i] = 1;
    const ptx_func *f = p->module->funcs[i];
    size_t deepest = 0;
    for (size_t k = 0; p->codes[i] && k < f->n_insts; k++)
        if (f->insts[k].op == PTX_OP_CALL) {
            const ptx_func *g = callee_of(p, &f->insts[k]);
            const size_t j = g ? index_of(p, g) : SIZE_MAX;
            const size_t d = j == SIZE_MAX ? (f->insts[k].callee ? 0 : RECURSION_LOCAL_BYTES) : p->codes[j] ? deepest_local(p, j, state, known) : 0;
            deepest = d > deepest ? d : deepest;
            p->codes[i]->indirect |= !f->insts[k].callee;
            p->codes[i]->code.calls = true;
        }
    state[i] = 2;
    return known[i] = (p->codes[i] ? p->codes[i]->code.frame_local_bytes : 0) + deepest;
}

static hone_code layout_local(vg_program *p, hone_err *e) {
    const size_t n = p->module->n_funcs;
    uint8_t *state = hone_calloc(n + 1, 1);
    size_t *known = hone_calloc(n + 1, sizeof *known);
    for (size_t i = 0; state && known && i < n; i++)
        if (p->codes[i])
            p->codes[i]->code.local_bytes = deepest_local(p, i, state, known);
    const bool ok = state && known;
    hone_free(state);
    hone_free(known);
    return ok ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory laying out local memory");
}

hone_code vg_layout(vg_program *p, hone_err *e) {
    HONE_TRY(place_common(p, e));
    size_t common = p->common_shared, worst = 0;
    bool dynamic_in_device = false;
    for (int entries = 0; entries < 2; entries++) {   // device functions first: their shared memory comes before every kernel's
        if (entries)
            p->common_shared = common;
        for (size_t i = 0; i < p->module->n_funcs; i++) {
            const ptx_func *f = p->module->funcs[i];
            if (!p->codes[i] || f->is_entry != (entries == 1))
                continue;
            places l = {.shared = common};
            place_own(&l, p, f);
            place_stack(&l, p->codes[i], f);
            place_used_shared(&l, p, f);
            HONE_TRY(keep_places(p, p->codes[i], &l, e));
            common = entries ? common : p->codes[i]->static_shared;
            worst = p->codes[i]->static_shared > worst ? p->codes[i]->static_shared : worst;
            dynamic_in_device |= !entries && p->codes[i]->dynamic_align;
        }
    }
    p->dynamic_at = dynamic_in_device ? vg_align(worst, 1024) : 0;
    for (size_t i = 0; i < p->module->n_funcs; i++)
        if (p->codes[i]) {
            vg_code_full *c = p->codes[i];
            c->code.shared_bytes = p->dynamic_at ? p->dynamic_at
                                                 : c->dynamic_align ? vg_align(c->static_shared, c->dynamic_align) : c->static_shared;
        }
    return layout_local(p, e);
}

static hone_code new_code(vg_program *p, size_t i, hone_err *e) {
    const ptx_func *f = p->module->funcs[i];
    if (f->n_insts == 0)
        return HONE_OK;                                // a declaration
    vg_code_full *c = hone_arena_alloc(p->arena, sizeof *c);
    if (!c)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory decoding '%s'", f->name);
    c->code.module = p->module;
    c->code.func = f;
    c->code.program = p;
    c->code.param_bytes = f->param_bytes;
    c->func_index = (uint32_t)i;
    p->codes[i] = c;
    return HONE_OK;
}

static hone_code build(vg_program *p, hone_err *e) {
    p->codes = hone_arena_array(p->arena, p->module->n_funcs + 1, sizeof(vg_code_full *));
    if (!p->codes)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory decoding a module");
    for (size_t i = 0; i < p->module->n_funcs; i++)
        HONE_TRY(new_code(p, i, e));
    HONE_TRY(vg_layout(p, e));
    uint32_t sites = 0;
    for (size_t i = 0; i < p->module->n_funcs; i++)
        if (p->codes[i]) {
            HONE_TRY(vg_decode(p, i, e));
            p->codes[i]->code.site_base = sites;
            sites += (uint32_t)p->codes[i]->code.n_insts;
        }
    return HONE_OK;
}

static hone_code new_program(const ptx_module *m, vg_resolve_fn resolve, void *user, bool on_values, bool shadow, ptx_issues *issues,
                             vg_program **out, hone_err *e) {
    const size_t before = issues->n;
    *out = NULL;
    vg_program *p = hone_calloc(1, sizeof *p);
    if (!p || !(p->arena = hone_arena_new((size_t)ARENA_LIMIT_MB << 20))) {
        hone_free(p);
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory decoding a module");
    }
    p->module = m;
    p->shadow = shadow;
    p->resolve = resolve;
    p->resolve_user = user;
    p->on_values = on_values;
    p->issues = issues;
    const hone_code c = build(p, e);
    p->issues = NULL;
    if (c != HONE_OK || issues->n > before) {
        vg_program_free(p);
        return c;
    }
    *out = p;
    return HONE_OK;
}

// Everything that is missing as one error.
static hone_code new_or_fail(const ptx_module *m, vg_resolve_fn resolve, void *user, bool on_values, bool shadow, vg_program **out, hone_err *e) {
    ptx_issues issues = {0};
    HONE_TRY(new_program(m, resolve, user, on_values, shadow, &issues, out, e));
    return ptx_issues_fail(&issues, e);
}

hone_code vg_program_build(const ptx_module *m, vg_resolve_fn resolve, void *user, vg_program **out, hone_err *e) {
    return new_or_fail(m, resolve, user, false, false, out, e);
}

hone_code vg_program_build_on_values(const ptx_module *m, vg_resolve_fn resolve, void *user, vg_program **out, hone_err *e) {
    return new_or_fail(m, resolve, user, true, false, out, e);
}

hone_code vg_program_build_shadow(const ptx_module *m, vg_resolve_fn resolve, void *user, vg_program **out, hone_err *e) {
    return new_or_fail(m, resolve, user, true, true, out, e);
}

hone_code vg_program_build_all(const ptx_module *m, vg_resolve_fn resolve, void *user, ptx_issues *issues, vg_program **out, hone_err *e) {
    return new_program(m, resolve, user, false, false, issues, out, e);
}

void vg_program_free(vg_program *p) {
    if (!p)
        return;
    vg_watch_free(p);
    hone_arena_free(p->arena);
    hone_free(p);
}

const vg_code *vg_program_find(const vg_program *p, const char *name) {
    for (size_t i = 0; i < p->module->n_funcs; i++)
        if (p->codes[i] && strcmp(p->module->funcs[i]->name, name) == 0)
            return &p->codes[i]->code;
    return NULL;
}

size_t vg_shared_total(const vg_code *code, uint32_t dynamic_shared) { return code->shared_bytes + dynamic_shared; }
