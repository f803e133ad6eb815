// Error values: recording, hints, names; and the abort for our own broken invariants. See err.h.
#include "base/err.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

hone_code hone_fail(hone_err *e, hone_code code, int sub, const char *fmt, ...) {
    if (!e || e->code != HONE_OK)
        return code;
    e->code = code;
    e->sub = sub;
    e->hint[0] = '\0';
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->msg, sizeof e->msg, fmt, ap);
    va_end(ap);
    return code;
}

hone_code hone_hint(hone_err *e, const char *fmt, ...) {
    if (!e)
        return HONE_E_INTERNAL;
    if (!e->hint[0]) {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(e->hint, sizeof e->hint, fmt, ap);
        va_end(ap);
    }
    return e->code;
}

void hone_err_clear(hone_err *e) {
    if (e)
        memset(e, 0, sizeof *e);
}

const char *hone_code_name(hone_code c) {
    static const char *const names[] = {"ok",     "usage",   "parse",       "io",   "no-memory", "limit",       "compile", "device", "no-device",
                                        "wrong",  "timeout", "unsupported", "busy", "corrupt",   "interrupted", "internal"};
    size_t i = (size_t)c;
    return i < sizeof names / sizeof names[0] ? names[i] : "unknown";
}

_Noreturn void hone_bug(const char *file, int line, const char *fmt, ...) {
    fprintf(stderr, "hone: bug at %s:%d: ", file, line);
    va_list ap;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    abort();
}
