// A finished compilation: raw results plus what is derived from them (diagnostics, resources, PTX hash). Derived parts are rebuilt from the
// raw ones when an entry comes back from disk, so that the disk format stays tiny.
#include "compile/internal.h"
#include <stdio.h>
#include <string.h>

// ptxas's report knows spills; the cubin knows which kernels really are there. A kernel without a report keeps the cubin's numbers.
static void merge(hone_kernel_info *kernels, size_t n, const hone_kernel_info *reported, size_t n_reported) {
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n_reported; k++)
            if (strcmp(kernels[i].name, reported[k].name) == 0)
                kernels[i] = reported[k];
}

static hone_code derive(hone_entry *x, hone_err *e) {
    hone_kernel_info *reported = NULL;
    size_t n_reported = 0;
    HONE_TRY(hone_log_parse(x->log, x->file, &reported, &n_reported, &x->c.diags, &x->c.n_diags, &x->text, e));
    hone_code code = HONE_OK;
    if (x->c.ok) {
        code = hone_cubin_kernels(x->cubin, x->c.cubin_len, &x->c.kernels, &x->c.n_kernels, e);
        if (code == HONE_OK)
            merge(x->c.kernels, x->c.n_kernels, reported, n_reported);
        hone_ptx_hash(x->ptx, x->c.ptx_len, x->c.ptx_hash);
    }
    hone_free(reported);
    return code;
}

hone_code hone_entry_make(const char *key, const char *file, bool ok, double seconds, char *ptx, size_t ptx_len, void *cubin,
                          size_t cubin_len, char *log, hone_entry **out, hone_err *e) {
    hone_entry *x = hone_calloc(1, sizeof *x);
    if (!x || !log) {
        hone_free(x);
        hone_free(ptx);
        hone_free(cubin);
        hone_free(log);
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a compiled program");
    }
    x->ptx = ptx;
    x->cubin = cubin;
    x->log = log;
    snprintf(x->file, sizeof x->file, "%s", file);
    snprintf(x->c.key, sizeof x->c.key, "%s", key);
    x->c.ok = ok;
    x->c.seconds = seconds;
    x->c.ptx_len = ptx_len;
    x->c.cubin_len = cubin_len;
    hone_code code = derive(x, e);
    if (code != HONE_OK) {
        hone_entry_free(x);
        return code;
    }
    x->c.ptx = x->ptx;
    x->c.cubin = x->cubin;
    x->c.log = x->text;
    x->bytes = sizeof *x + ptx_len + cubin_len + 2 * strlen(log) + x->c.n_kernels * sizeof(hone_kernel_info) +
               x->c.n_diags * sizeof(hone_compile_diag);
    *out = x;
    return HONE_OK;
}

void hone_entry_free(hone_entry *x) {
    if (!x)
        return;
    hone_free(x->ptx);
    hone_free(x->cubin);
    hone_free(x->log);
    hone_free(x->text);
    hone_free(x->c.kernels);
    hone_free(x->c.diags);
    hone_free(x);
}
