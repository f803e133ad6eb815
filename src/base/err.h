// Errors are values. A function that can fail returns a hone_code and, when `e` is not NULL, fills it; the first
// error wins, later ones on the same hone_err are ignored. Nothing below cli/ prints or exits.
#ifndef HONE_BASE_ERR_H
#define HONE_BASE_ERR_H
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Add codes at the end only: they are stored in archives.
typedef enum hone_code {
    HONE_OK = 0,
    HONE_E_USAGE,        // a wrong option or argument
    HONE_E_PARSE,        // a text that is not what it should be (task file, PTX, JSON)
    HONE_E_IO,           // file or pipe; sub = errno
    HONE_E_NOMEM,        // host memory
    HONE_E_LIMIT,        // a stated maximum exceeded
    HONE_E_COMPILE,      // NVRTC or ptxas refused; sub = nvrtcResult
    HONE_E_DEVICE,       // a driver call failed; sub = CUresult
    HONE_E_NO_DEVICE,    // no device, driver or toolkit
    HONE_E_WRONG,        // a kernel computes something wrong
    HONE_E_TIMEOUT,
    HONE_E_UNSUPPORTED,  // correct input that hone does not implement
    HONE_E_BUSY,         // somebody else holds it (archive lock)
    HONE_E_CORRUPT,      // an archive or message that is damaged or of another version
    HONE_E_INTERRUPTED,  // SIGINT or SIGTERM
    HONE_E_INTERNAL
} hone_code;

typedef struct hone_err {
    hone_code code;
    int sub;          // CUresult, nvrtcResult, errno, sqlite code …; 0 when there is none
    char msg[1024];   // what, then the quoted subject: cannot launch 'k': needs 196608 B shared memory, device allows 101376
    char hint[512];   // what to do about it; empty when nothing helps
} hone_err;

// Records an error and returns `code`, so that `return hone_fail(e, …)` reads well. e may be NULL.
hone_code hone_fail(hone_err *e, hone_code code, int sub, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
// Adds a hint to the error recorded last, if it has none; returns e->code (HONE_E_INTERNAL when e is NULL).
hone_code hone_hint(hone_err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void hone_err_clear(hone_err *e);
// A stable lower-case name: "parse", "no-device" …
const char *hone_code_name(hone_code c);

// A broken invariant of our own: prints where and aborts. Never for input, however bad.
#define HONE_BUG(...) hone_bug(__FILE__, __LINE__, __VA_ARGS__)
_Noreturn void hone_bug(const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
// Evaluates a call that returns a hone_code and passes a failure up.
#define HONE_TRY(call)                         \
    do {                                       \
        hone_code hone_try_ = (call);          \
        if (hone_try_ != HONE_OK)              \
            return hone_try_;                  \
    } while (0)
#endif
