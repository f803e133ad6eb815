// Contexts and modules: creates the memory and the findings store of a context; turns PTX text into a module whose variables live in
// that memory and whose functions are decoded. The driver front (driver/*) is its only caller beside the tests.
#include "vgpu/context.h"
#include "vgpu/exec.h"
#include "vgpu/race.h"
#include <stdio.h>
#include <string.h>

hone_code vg_context_new(const struct vg_device *device, size_t memory_bytes, vg_context **out, hone_err *e) {
    vg_context *c = hone_calloc(1, sizeof *c);
    if (!c)
        return hone_fail(e, HONE_E_NOMEM, 0, "cannot create a context: out of memory");
    c->device = device;
    c->options.size = sizeof c->options;
    c->options.flags = HONE_VGPU_CHECK;
    c->heap_bytes = (size_t)8 << 20;                   // CU_LIMIT_MALLOC_HEAP_SIZE of every device
    c->memory = vg_memory_new(memory_bytes);
    c->findings = vg_findings_new();
    if (!c->memory || !c->findings) {
        vg_context_free(c);
        return hone_fail(e, HONE_E_NOMEM, 0, "cannot create a context: out of memory");
    }
    *out = c;
    return HONE_OK;
}

void vg_context_free(vg_context *c) {
    if (!c)
        return;
    vg_memory_free_all(c->memory);
    vg_findings_free(c->findings);
    vg_race_global_free(c->races);
    hone_free(c);
}

void vg_print(vg_launch *l, const char *text, size_t n) {
    if (l->ctx->print)
        l->ctx->print(l->ctx->print_self, text, n);
}

// ---- modules

static bool has_address(const ptx_var *v) { return v->space == PTX_GLOBAL || v->space == PTX_CONST; }

const vg_symbol *vg_module_symbol(const vg_module *m, const char *name) {
    for (size_t i = 0; i < m->n_symbols; i++)
        if (strcmp(m->symbols[i].var->name, name) == 0)
            return &m->symbols[i];
    return NULL;
}

static uint64_t resolve(void *user, const ptx_var *var) {
    const vg_symbol *s = vg_module_symbol(user, var->name);
    return s && s->alloc ? s->alloc->base : 0;
}

static hone_code allocate_variable(vg_context *c, vg_symbol *s, hone_err *e) {
    const ptx_var *v = s->var;
    if (v->is_extern)
        return HONE_OK;
    uint32_t kind = v->is_managed ? VG_ALLOC_MANAGED : VG_ALLOC_GLOBAL;
    HONE_TRY(vg_memory_alloc(c->memory, v->bytes, v->align, kind, &s->alloc, e));
    snprintf(s->alloc->name, sizeof s->alloc->name, "%s", v->name);
    s->alloc->read_only = v->space == PTX_CONST;
    if (v->init)
        memcpy(s->alloc->host, v->init, v->bytes);
    vg_init_mark(s->alloc, 0, v->bytes);   /* PTX ISA 5.4: .global and .const variables are zero unless initialised */
    return HONE_OK;
}

static hone_code relocate_variable(const vg_module *m, const vg_symbol *s, hone_err *e) {
    const ptx_var *v = s->var;
    for (size_t i = 0; s->alloc && i < v->n_relocs; i++) {
        const vg_symbol *target = vg_module_symbol(m, v->relocs[i].symbol);
        if (!target || !target->alloc)
            return hone_fail(e, HONE_E_UNSUPPORTED, 0, "ptx:%u:1: initialiser of '%s' needs the address of '%s', which is no variable of the module",
                             v->line, v->name, v->relocs[i].symbol);
        uint64_t value = target->alloc->base + (uint64_t)v->relocs[i].addend;
        unsigned size = v->relocs[i].size;
        if (size > sizeof value || size > v->bytes || v->relocs[i].at > v->bytes - size)
            return hone_fail(e, HONE_E_PARSE, 0, "ptx:%u:1: address in the initialiser of '%s' lies outside it", v->line, v->name);
        memcpy(s->alloc->host + v->relocs[i].at, &value, size);
    }
    return HONE_OK;
}

static hone_code place_variables(vg_module *m, hone_err *e) {
    for (size_t i = 0; i < m->ptx->n_vars; i++)
        m->n_symbols += has_address(m->ptx->vars[i]);
    m->symbols = hone_calloc(m->n_symbols, sizeof *m->symbols);
    if (!m->symbols)
        return hone_fail(e, HONE_E_NOMEM, 0, "cannot load a module: out of memory");
    size_t n = 0;
    for (size_t i = 0; i < m->ptx->n_vars; i++)
        if (has_address(m->ptx->vars[i]))
            m->symbols[n++].var = m->ptx->vars[i];
    for (size_t i = 0; i < n; i++)
        HONE_TRY(allocate_variable(m->ctx, &m->symbols[i], e));
    for (size_t i = 0; i < n; i++)
        HONE_TRY(relocate_variable(m, &m->symbols[i], e));
    return HONE_OK;
}

static hone_code load_into(vg_module *m, const char *ptx, size_t len, hone_err *e) {
    ptx_issues issues = {0};
    HONE_TRY(ptx_parse_all(ptx, len, &issues, &m->ptx, e));
    HONE_TRY(place_variables(m, e));
    HONE_TRY(vg_program_build_all(m->ptx, resolve, m, &issues, &m->program, e));
    return ptx_issues_fail(&issues, e);
}

hone_code vg_module_shadow_code(vg_module *m, const vg_code *code, const vg_code **out, hone_err *e) {
    if (!m->fs_program)
        HONE_TRY(vg_program_build_shadow(m->ptx, resolve, m, &m->fs_program, e));
    *out = vg_program_find(m->fs_program, code->func->name);
    return *out ? HONE_OK : hone_fail(e, HONE_E_INTERNAL, 0, "'%s' has no shadow", code->func->name);
}

hone_code vg_module_load(vg_context *c, const char *ptx, size_t len, vg_module **out, hone_err *e) {
    vg_module *m = hone_calloc(1, sizeof *m);
    if (!m)
        return hone_fail(e, HONE_E_NOMEM, 0, "cannot load a module: out of memory");
    m->ctx = c;
    hone_code code = load_into(m, ptx, len, e);
    if (code != HONE_OK)
        vg_module_free(m);
    else
        *out = m;
    return code;
}

void vg_module_free(vg_module *m) {
    if (!m)
        return;
    for (size_t i = 0; i < m->n_symbols && m->symbols; i++)
        if (m->symbols[i].alloc)
            vg_memory_free(m->ctx->memory, m->symbols[i].alloc->base, NULL);
    if (m->program)
        vg_program_free(m->program);
    vg_program_free(m->fs_program);
    if (m->ptx)
        ptx_free(m->ptx);
    hone_free(m->symbols);
    hone_free(m);
}
