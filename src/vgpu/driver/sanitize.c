// The sanitizer for programs that know nothing of hone: switched on by the environment, reported when a context or the process ends.
//
//     HONE_SANITIZE=all|memcheck,racecheck,initcheck,synccheck,clockcheck     HONE_SANITIZE_REPORT=FILE (JSON when it ends in .json; else stderr)
//     HONE_SANITIZE_SUPPRESS=FILE                                           HONE_SCHEDULE_SEED=N
//
// Memory, initialisation of global and shared memory and barriers are checked in any case (HONE_VGPU_CHECK); names other than those add to it.
#include "vgpu/driver/front.h"
#include "base/suppress.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPORT_MAX = 16 << 20, TAKE = 4096 };

typedef struct report { bool on, json; const char *path; hone_str text; unsigned n, suppressed; hone_suppressions *quiet; } report;
static report g_report;
static pthread_mutex_t g_lock = PTHREAD_MUTEX_INITIALIZER;

static const struct { const char *name; uint32_t flags; } checks[] = {
    {"all", HONE_VGPU_CHECK | HONE_VGPU_RACE | HONE_VGPU_RACE_GLOBAL | HONE_VGPU_INIT | HONE_VGPU_CLOCKS},
    {"memcheck", HONE_VGPU_CHECK}, {"synccheck", HONE_VGPU_CHECK}, {"racecheck", HONE_VGPU_CHECK | HONE_VGPU_RACE | HONE_VGPU_RACE_GLOBAL},
    {"initcheck", HONE_VGPU_CHECK | HONE_VGPU_INIT}, {"clockcheck", HONE_VGPU_CHECK | HONE_VGPU_CLOCKS},
};

// UINT32_MAX: a name that is none.
static uint32_t flags_of(const char *list) {
    uint32_t flags = 0;
    while (*list) {
        const size_t n = strcspn(list, ",");
        size_t i = 0;
        while (i < HONE_COUNT(checks) && (strlen(checks[i].name) != n || strncmp(checks[i].name, list, n) != 0))
            i++;
        if (i == HONE_COUNT(checks))
            return UINT32_MAX;
        flags |= checks[i].flags;
        list += n + (list[n] == ',');
    }
    return flags;
}

CUresult vg_sanitize_begin(honeVgpuOptions *defaults) {
    const char *list = getenv("HONE_SANITIZE"), *seed = getenv("HONE_SCHEDULE_SEED"), *quiet = getenv("HONE_SANITIZE_SUPPRESS");
    if (seed && *seed)
        defaults->schedule_seed = strtoull(seed, NULL, 0);
    if (!list || !*list)
        return CUDA_SUCCESS;
    const uint32_t flags = flags_of(list);
    hone_err e = {0};
    if (flags == UINT32_MAX) {
        fprintf(stderr, "libhonegpu: HONE_SANITIZE='%s': the checks are all, memcheck, racecheck, initcheck, synccheck and clockcheck\n", list);
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (quiet && *quiet && hone_suppressions_load(quiet, &g_report.quiet, &e) != HONE_OK) {
        fprintf(stderr, "libhonegpu: HONE_SANITIZE_SUPPRESS: %s\n", e.msg);
        return CUDA_ERROR_INVALID_VALUE;
    }
    defaults->flags |= flags;
    defaults->max_findings = TAKE;
    const char *path = getenv("HONE_SANITIZE_REPORT");
    g_report.path = path && *path ? path : NULL;
    const size_t n = g_report.path ? strlen(g_report.path) : 0;
    g_report.json = n >= 5 && strcmp(g_report.path + n - 5, ".json") == 0;
    hone_str_init(&g_report.text, REPORT_MAX);
    g_report.on = true;
    return CUDA_SUCCESS;
}

// ---- the text

static void add_json_string(hone_str *s, const char *key, const char *v) {
    hone_str_addf(s, "\"%s\": \"", key);
    for (; *v; v++) {
        if (*v == '"' || *v == '\\')
            hone_str_addc(s, '\\');
        if ((unsigned char)*v < 0x20)
            hone_str_addf(s, "\\u%04x", *v);
        else
            hone_str_addc(s, *v);
    }
    hone_str_add(s, "\"");
}

static void add_place(hone_str *s, const char *file, uint32_t line, uint32_t ptx_line, const uint32_t block[3], const uint32_t thread[3]) {
    add_json_string(s, "file", file);
    hone_str_addf(s, ", \"line\": %u, \"ptx_line\": %u, \"block\": [%u, %u, %u], \"thread\": [%u, %u, %u]", line, ptx_line, block[0], block[1], block[2],
                  thread[0], thread[1], thread[2]);
}

static void add_json(hone_str *s, const honeVgpuFinding *f, bool first) {
    hone_str_add(s, first ? "\n    {" : ",\n    {");
    add_json_string(s, "kind", f->kind);
    hone_str_add(s, ", ");
    add_json_string(s, "kernel", f->kernel);
    hone_str_add(s, ", ");
    add_place(s, f->file, f->line, f->ptx_line, f->block, f->thread);
    hone_str_addf(s, ", \"address\": \"0x%llx\", \"bytes\": %u, \"write\": %s, ", (unsigned long long)f->address, f->size, f->is_write ? "true" : "false");
    add_json_string(s, "allocation", f->allocation);
    hone_str_addf(s, ", \"offset\": %lld, \"count\": %llu, ", (long long)f->offset, (unsigned long long)f->count);
    add_json_string(s, "message", f->message);
    if (*f->other_access) {
        hone_str_add(s, ", \"other\": {");
        add_json_string(s, "access", f->other_access);
        hone_str_add(s, ", ");
        add_place(s, f->other_file, f->other_line, f->other_ptx_line, f->other_block, f->other_thread);
        hone_str_add(s, "}");
    }
    hone_str_add(s, "}");
}

static void add_text(hone_str *s, const honeVgpuFinding *f) {
    hone_str_addf(s, "%s in %s", f->kind, f->kernel);
    if (f->line)
        hone_str_addf(s, " at %s:%u", f->file, f->line);
    else if (f->ptx_line)
        hone_str_addf(s, " at PTX line %u", f->ptx_line);
    hone_str_addf(s, ", block (%u,%u,%u), thread (%u,%u,%u): %s", f->block[0], f->block[1], f->block[2], f->thread[0], f->thread[1], f->thread[2], f->message);
    if (f->count > 1)
        hone_str_addf(s, " (%llu times)", (unsigned long long)f->count);
    hone_str_addc(s, '\n');
}

void vg_sanitize_collect(vg_context *c) {
    honeVgpuFinding *f = g_report.on ? hone_calloc(TAKE, sizeof *f) : NULL;
    if (!f)
        return;
    pthread_mutex_lock(&g_lock);
    uint32_t n = vg_findings_take(c->findings, f, TAKE);
    for (uint32_t i = 0; i < n && i < TAKE; i++) {
        if (hone_suppressed(g_report.quiet, f[i].kind, f[i].kernel, f[i].file, f[i].line)) {
            g_report.suppressed++;
            continue;
        }
        if (g_report.json)
            add_json(&g_report.text, &f[i], g_report.n == 0);
        else
            add_text(&g_report.text, &f[i]);
        g_report.n++;
    }
    pthread_mutex_unlock(&g_lock);
    hone_free(f);
}

void vg_sanitize_end(void) {
    report *r = &g_report;
    if (!r->on)
        return;
    r->on = false;
    hone_str out;
    hone_str_init(&out, 2 * REPORT_MAX);
    if (r->json)
        hone_str_addf(&out, "{\n  \"schema\": \"hone.sanitize/1\",\n  \"suppressed\": %u,\n  \"findings\": [%s%s]\n}\n", r->suppressed, r->text.s, r->n ? "\n  " : "");
    else
        hone_str_addf(&out, "%shone sanitizer: %u finding%s, %u suppressed\n", r->text.s, r->n, r->n == 1 ? "" : "s", r->suppressed);
    hone_err e = {0};
    if (!r->path || hone_write_file(r->path, out.s, out.len, &e) != HONE_OK)
        fwrite(out.s, 1, out.len, stderr);
    hone_str_free(&out);
    hone_str_free(&r->text);
    hone_suppressions_free(r->quiet);
    r->quiet = NULL;
}
