// Links PTX texts into one, as the device linker does for translation units compiled with nvcc -rdc=true.
#ifndef HONE_PTX_LINK_H
#define HONE_PTX_LINK_H
#include "base/err.h"

// *out: one module in which every declaration stands before its definition, weak duplicates are dropped and names without linkage are kept apart. What no
// text defines stays declared: the loader says so. texts are NUL-terminated. owns: the caller (hone_free).
// errors: HONE_E_PARSE for a text that cannot be cut into statements or a name defined twice, HONE_E_LIMIT, HONE_E_NOMEM.
hone_code ptx_link(const char *const *texts, size_t n, char **out, size_t *len, hone_err *e);
#endif
