// export: a result made usable elsewhere. The evaluated launch plan (launch.json), and a folder with the kernel as .cu, .ptx and .cubin and loaders
// for C (driver API), Python (ctypes) and PyTorch (custom operator). The loaders are generated from the task: they check the sizes they are
// called with, compute grids and scratch space, and need nothing of hone. It runs nothing and knows no search.
#ifndef HONE_EXPORT_H
#define HONE_EXPORT_H
#include "task/task.h"
#include <jansson.h>

// The launch plan, schema "hone.launch/1" (docs/json.md): buffers, scalars and launches with every expression as text and as a number for the first
// line of sizes. ptx: for the symbols of the kernels; may be NULL, then a kernel's symbol is its name. name: the task's; NULL:
// as in t. New reference; NULL with the error in e.
json_t *hone_export_plan(const hone_task *t, const hone_env *tuning, const char *name, const char *ptx, hone_err *e);
// The same from a candidate's text, which is parsed first.
json_t *hone_export_plan_of_text(const char *text, const hone_binding *tuning, size_t n_tuning, const char *name, const char *ptx, hone_err *e);

typedef struct hone_export_input {
    const hone_task *task;                 // the best as a task of its own: tune values fixed
    const json_t *result;                  // hone.result/1, for what the files say about where they come from; may be NULL
    const char *ptx; size_t ptx_len;       // NULL when unknown: then no loader is written
    const void *cubin; size_t cubin_len;   // NULL: only PTX
    bool overwrite;                        // replace files of the same names
} hone_export_input;
// Writes into dir (made when needed). *files: array of the names written; new reference. errors: HONE_E_USAGE when a file exists already,
// HONE_E_UNSUPPORTED for a by-value argument of a type that C cannot pass (half, bfloat16, fp8), HONE_E_IO.
hone_code hone_export_write(const char *dir, const hone_export_input *in, json_t **files, hone_err *e);
#endif
