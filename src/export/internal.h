// export, inside: what the generators share. A generator appends one file's text.
#ifndef HONE_EXPORT_INTERNAL_H
#define HONE_EXPORT_INTERNAL_H
#include "export/export.h"

#define HONE_LAUNCH_SCHEMA "hone.launch/1"

typedef struct exporting {
    const hone_task *t;
    hone_env constants;        // tune values
    const char *id;            // task name as a C identifier: prefix of everything
    const char *Id;            // the same, capitalised: Python class
    const char *ptx;           // may be NULL
    const json_t *result;      // may be NULL
    hone_str *out;
    hone_err *e;
} exporting;

// Appends text with @ replaced by the identifier and ^ by the capitalised one.
void export_put(exporting *x, const char *text);
// Comment lines on where this comes from, each with `prefix`.
void export_origin(exporting *x, const char *prefix);
void export_expr(exporting *x, const hone_expr *expr, hone_dialect d, bool floating);
// The kernel's symbol in the PTX (mangled when it is not extern "C"), into out.
void export_symbol(const char *ptx, const char *kernel, char *out, size_t cap);
const hone_param *export_param(const hone_task *t, const hone_launch *l, size_t i);   // NULL when unknown
const hone_arg *export_arg(const hone_task *t, const char *name);
// Type of a by-value parameter. errors: HONE_E_UNSUPPORTED.
hone_code export_value_type(exporting *x, const hone_launch *l, size_t i, hone_dtype *out);

hone_code export_c_header(exporting *x);
hone_code export_c_source(exporting *x);
hone_code export_python(exporting *x);
hone_code export_torch(exporting *x);
#endif
