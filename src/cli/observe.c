// Observing a bare kernel; see observe.h. A probe task is made of the file: every pointer that a launch passes becomes a large `inout` buffer, so that
// the task parser checks names, launches and argument counts with its own diagnostics.
#include "cli/observe.h"
#include "compile/program.h"
#include <stdio.h>
#include <string.h>

enum { PROBE_ELEMENTS = 64 << 20, MAX_PROBE_BYTES = 8 << 20, MAX_BUFFERS = 64 };

typedef struct dtype_name { const char *elem, *dtype; } dtype_name;
static const dtype_name dtypes[] = {
    {"float", "float"}, {"double", "double"}, {"__half", "half"}, {"half", "half"}, {"__nv_bfloat16", "bfloat16"}, {"nv_bfloat16", "bfloat16"},
    {"char", "int8"}, {"signed char", "int8"}, {"int8_t", "int8"}, {"unsigned char", "uint8"}, {"uint8_t", "uint8"}, {"bool", "bool"},
    {"short", "int16"}, {"int16_t", "int16"}, {"unsigned short", "uint16"}, {"uint16_t", "uint16"}, {"int", "int32"}, {"int32_t", "int32"},
    {"unsigned int", "uint32"}, {"unsigned", "uint32"}, {"uint32_t", "uint32"}, {"long long", "int64"}, {"long", "int64"}, {"int64_t", "int64"},
    {"unsigned long long", "uint64"}, {"unsigned long", "uint64"}, {"uint64_t", "uint64"}, {"size_t", "uint64"},
};

static const char *dtype_of(const char *elem) {
    for (size_t i = 0; i < HONE_COUNT(dtypes); i++)
        if (!strcmp(dtypes[i].elem, elem))
            return dtypes[i].dtype;
    return "float";   // vectors and structures: bytes are what matters here
}

// ---- the probe task's text

typedef struct names { const char *name[MAX_BUFFERS], *elem[MAX_BUFFERS]; size_t n; } names;

static void add_name(names *b, const char *name, const char *elem) {
    for (size_t i = 0; i < b->n; i++)
        if (!strcmp(b->name[i], name))
            return;
    if (b->n < MAX_BUFFERS) {
        b->name[b->n] = name;
        b->elem[b->n++] = elem;
    }
}

static const hone_kernel *kernel_named(const hone_kernel *k, size_t n, hone_span name) {
    for (size_t i = 0; i < n; i++)
        if (hone_span_eq(name, k[i].name))
            return &k[i];
    return NULL;
}

// The argument list of a launch: the parentheses after >>>.
static size_t argument_list(const hone_tokens *t) {
    for (size_t i = 0; i + 1 < t->n; i++) {
        hone_span s = hone_tok_span(t, i);
        size_t last = i;
        if (s.n && s.s[s.n - 1] == '>' && s.s + s.n - t->text >= 3 && !memcmp(s.s + s.n - 3, ">>>", 3) && hone_tok_is(t, last + 1, "("))
            return last + 1;
    }
    return 0;
}

static hone_code collect_buffers(hone_arena *a, const char *launch, const hone_kernel *kernels, size_t n_kernels, names *out, hone_err *e) {
    hone_tokens t;
    HONE_TRY(hone_lex(a, launch, strlen(launch), &t, e));
    const hone_kernel *k = t.n > 1 ? kernel_named(kernels, n_kernels, hone_tok_span(&t, 0)) : NULL;
    size_t open = argument_list(&t);
    if (!k || !open) {
        hone_fail(e, HONE_E_PARSE, 0, "launch '%s' names no kernel of the file", launch);
        return hone_hint(e, "write it as in CUDA: kernel<<<grid, block>>>(arguments)");
    }
    size_t param = 0, close = t.v[open].match;
    for (size_t i = open + 1; i < close && param < k->n_params; i++) {
        if (t.v[i].match > i)
            i = t.v[i].match;
        bool alone = (hone_tok_is(&t, i - 1, ",") || i - 1 == open) && (hone_tok_is(&t, i + 1, ",") || i + 1 == close);
        if (alone && t.v[i].kind == HONE_TOK_IDENT && k->params[param].is_pointer) {
            hone_span s = hone_tok_span(&t, i);
            char *name = hone_arena_strndup(a, s.s, s.n);
            if (!name)
                return hone_fail(e, HONE_E_NOMEM, 0, "out of memory");
            add_name(out, name, k->params[param].elem);
        }
        if (hone_tok_is(&t, i, ","))
            param++;
    }
    return HONE_OK;
}

static void write_probe(const char *text, size_t len, const hone_sizes *sizes, const char *const *launches, size_t n_launches, const names *b, hone_str *s) {
    if (sizes->n) {
        hone_str_add(s, "#pragma hone size");
        for (size_t i = 0; i < sizes->n; i++)
            hone_str_addf(s, " %s=%lld", sizes->v[i].name, (long long)sizes->v[i].value);
        hone_str_addc(s, '\n');
    }
    for (size_t i = 0; i < b->n; i++)
        hone_str_addf(s, "#pragma hone inout %s %s[%d] ~ zeros\n", b->name[i], dtype_of(b->elem[i]), PROBE_ELEMENTS);
    for (size_t i = 0; i < n_launches; i++)
        hone_str_addf(s, "#pragma hone launch %s\n", launches[i]);
    hone_str_addn(s, text, len);
}

static hone_code parse_probe(const char *path, const hone_str *s, hone_task **out, hone_err *e) {
    hone_diags d = {.arena = hone_arena_new(1 << 20)};
    if (!d.arena)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory");
    hone_code c = hone_task_parse(path, s->s, s->len, out, &d, NULL);
    for (size_t i = 0; c != HONE_OK && i < d.n; i++) {
        if (!d.v[i].is_error)
            continue;
        hone_fail(e, c, 0, "%s: %s", path, d.v[i].msg);
        if (d.v[i].hint && *d.v[i].hint)
            hone_hint(e, "%s", d.v[i].hint);
    }
    if (c != HONE_OK)
        hone_fail(e, c, 0, "'%s' cannot be run with this launch", path);
    hone_arena_free(d.arena);
    return c;
}

// ---- the run

typedef struct probe {
    hone_device *device;
    hone_compiler *compiler;
    const hone_compiled *compiled;
    hone_program *program;
    hone_plan *plan;
    CUdeviceptr at[MAX_BUFFERS];
} probe;

static void probe_close(probe *p) {
    if (p->program)
        hone_program_free(p->program);
    if (p->compiled)
        hone_compiled_release(p->compiler, p->compiled);
    if (p->compiler)
        hone_compiler_close(p->compiler);
    hone_plan_free(p->plan);
    if (p->device)
        hone_device_close(p->device);
}

static hone_code make_buffers(probe *p, hone_err *e) {
    const hone_driver *drv = p->device->driver;
    for (size_t i = 0; i < p->plan->n_buffers; i++) {
        CUresult r = drv->MemAlloc(&p->at[i], p->plan->buffers[i].bytes);
        if (r)
            return hone_driver_fail(drv, r, e, "allocate '%s'", p->plan->buffers[i].arg->name);
        drv->vgpu.Name(p->at[i], p->plan->buffers[i].arg->name);
        drv->vgpu.Forget(p->at[i], p->plan->buffers[i].bytes);
    }
    return HONE_OK;
}

static hone_code probe_open(const hone_task *t, probe *p, hone_err *e) {
    HONE_TRY(hone_device_open("virtual:h200", &p->device, e));
    hone_compiler_config c = {.clock = hone_clock_monotonic()};
    HONE_TRY(hone_compiler_open(&c, &p->compiler, e));
    HONE_TRY(hone_plan_make(t, &t->sizes[0], NULL, &p->plan, e));
    hone_source src = {.name = t->path, .text = t->text, .len = t->len, .cc = p->device->info.cc};
    HONE_TRY(hone_compile(p->compiler, &src, &p->compiled, e));
    HONE_TRY(hone_program_load(p->device, p->compiled, p->plan, &p->program, e));
    return make_buffers(p, e);
}

static hone_code run_probe(probe *p, hone_err *e) {
    const hone_driver *drv = p->device->driver;
    honeVgpuOptions o = {.size = sizeof o, .flags = HONE_VGPU_CHECK | HONE_VGPU_COUNT | HONE_VGPU_SERIAL, .max_findings = 256,
                         .max_warp_insts = 2000000000};
    drv->vgpu.SetOptions(&o);
    HONE_TRY(hone_program_launch(p->program, p->plan, p->at, NULL, NULL, e));
    CUresult r = drv->CtxSynchronize();
    return r ? hone_driver_fail(drv, r, e, "run the kernel on the virtual GPU") : HONE_OK;
}

static bool read_unwritten(const honeVgpuFinding *f, uint32_t n, const char *name) {
    for (uint32_t i = 0; i < n; i++)
        if (!strcmp(f[i].kind, "memory.uninitialized") && !strcmp(f[i].allocation, name))
            return true;
    return false;
}

static hone_code collect(probe *p, hone_observation *out, hone_err *e) {
    const hone_driver *drv = p->device->driver;
    static honeVgpuFinding findings[256];
    uint32_t n_findings = 0;
    drv->vgpu.TakeFindings(findings, HONE_COUNT(findings), &n_findings);
    if (n_findings > HONE_COUNT(findings))
        n_findings = HONE_COUNT(findings);
    out->n = p->plan->n_buffers;
    out->params = hone_arena_array(out->arena, out->n, sizeof *out->params);
    if (!out->params)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory");
    for (size_t i = 0; i < out->n; i++) {
        uint64_t read_end = 0, write_end = 0;
        drv->vgpu.Observed(p->at[i], &read_end, &write_end);
        const char *name = p->plan->buffers[i].arg->name;
        out->params[i] = (hone_observed){.param = hone_arena_strdup(out->arena, name), .read = read_end > 0, .written = write_end > 0,
                                         .read_before_written = read_unwritten(findings, n_findings, name),
                                         .extent_bytes = read_end > write_end ? read_end : write_end};
    }
    return HONE_OK;
}

void hone_observation_free(hone_observation *o) { hone_arena_free(o->arena); }

static hone_code observe_task(const hone_task *t, hone_observation *out, hone_err *e) {
    probe p = {0};
    hone_code c = probe_open(t, &p, e);
    if (c == HONE_OK)
        c = run_probe(&p, e);
    if (c == HONE_OK)
        c = collect(&p, out, e);
    probe_close(&p);
    return c;
}

hone_code hone_observe(const char *path, const char *text, size_t len, const hone_sizes *sizes, const char *const *launches, size_t n_launches,
                       hone_observation *out, hone_err *e) {
    *out = (hone_observation){.arena = hone_arena_new(MAX_PROBE_BYTES)};
    hone_tokens t;
    hone_kernel *kernels = NULL;
    size_t n_kernels = 0;
    names buffers = {.n = 0};
    if (!out->arena)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory");
    hone_code c = hone_lex(out->arena, text, len, &t, e);
    if (c == HONE_OK)
        c = hone_find_kernels(out->arena, &t, &kernels, &n_kernels, e);
    for (size_t i = 0; c == HONE_OK && i < n_launches; i++)
        c = collect_buffers(out->arena, launches[i], kernels, n_kernels, &buffers, e);
    hone_str s;
    hone_str_init(&s, MAX_PROBE_BYTES);
    hone_task *task = NULL;
    if (c == HONE_OK) {
        write_probe(text, len, sizes, launches, n_launches, &buffers, &s);
        c = hone_str_check(&s, "the probe task", e);
    }
    if (c == HONE_OK)
        c = parse_probe(path, &s, &task, e);
    if (c == HONE_OK)
        c = observe_task(task, out, e);
    hone_task_free(task);
    hone_str_free(&s);
    return c;
}
