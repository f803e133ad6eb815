// compile: CUDA source → PTX, cubin and what each kernel needs, by one NVRTC compilation; with a cache keyed by everything that can change
// the result. It does not judge candidates: a source that does not compile is HONE_E_COMPILE with diagnostics. threads: one compiler per
// thread.
#ifndef HONE_COMPILE_H
#define HONE_COMPILE_H
#include "base/build.h"
#include "gpu/device.h"
#include "gpu/toolkit.h"
#include "task/task.h"

typedef struct hone_source {
    const char *name;                // file name in messages and line tables; its folder is dropped
    const char *text; size_t len;
    const hone_binding *tuning; size_t n_tuning;      // -DNAME=value
    const char *const *flags; size_t n_flags;         // each must be on the list of flags.def
    uint32_t cc;                     // 90 → sm_90
} hone_source;

typedef struct hone_kernel_info {    // bytes; per thread where the name says so
    char name[256];                  // symbol, mangled unless extern "C"
    uint32_t registers, barriers, static_shared_bytes, stack_bytes_per_thread, spill_store_bytes, spill_load_bytes;
    bool has_spills;                 // known from ptxas's report; the cubin alone does not tell
} hone_kernel_info;

typedef struct hone_compile_diag { bool is_error; uint32_t line, col; /* 0 when unknown */ char msg[512]; } hone_compile_diag;

typedef struct hone_compiled {
    bool ok;
    const char *ptx; size_t ptx_len;          // NUL-terminated
    const void *cubin; size_t cubin_len;
    const char *log;                          // the compiler's words without ptxas's statistics
    hone_kernel_info *kernels; size_t n_kernels;
    hone_compile_diag *diags; size_t n_diags;
    char ptx_hash[HONE_HASH_HEX];             // see hone_ptx_hash
    char key[HONE_HASH_HEX];                  // content, options, toolchain
    bool from_cache;
    double seconds;                           // of the compilation; as of then when from the cache
} hone_compiled;

typedef struct hone_compiler hone_compiler;
typedef struct hone_compiler_config {
    const char *cache_dir;           // NULL: HONE_CACHE_DIR, XDG_CACHE_HOME/hone or ~/.cache/hone; "": none on disk
    size_t max_disk_bytes;           // 0: 512 MiB
    size_t max_memory_bytes;         // 0: 32 MiB
    hone_clock clock;
} hone_compiler_config;
// errors: HONE_E_NO_DEVICE without a toolkit.
hone_code hone_compiler_open(const hone_compiler_config *c, hone_compiler **out, hone_err *e);
void hone_compiler_close(hone_compiler *c);
// Calls fn before and after each run of NVRTC (not for what the cache answers), for limits and for telling what was going on at a crash. NULL: no more.
void hone_compiler_watch(hone_compiler *c, void (*fn)(void *self, bool begins), void *self);
const hone_toolkit *hone_compiler_toolkit(const hone_compiler *c);
const char *hone_compiler_cache_dir(const hone_compiler *c);      // folder of its entries on disk; "" when there is none
void hone_compiler_version(const hone_compiler *c, int *major, int *minor);
void hone_compiler_build(const hone_compiler *c, char out[HONE_BUILD_ID]);   // of NVRTC itself; "" when it has none

// errors: HONE_E_COMPILE: the source is refused; *out is then set too (ok = false) and holds the diagnostics. HONE_E_USAGE: a flag that is
// not allowed. owns: the compiler; release it with hone_compiled_release.
hone_code hone_compile(hone_compiler *c, const hone_source *s, const hone_compiled **out, hone_err *e);
void hone_compiled_release(hone_compiler *c, const hone_compiled *k);
// The kernel that a launch line means: the symbol itself, or a C++-mangled one of that name. NULL when there is none.
const hone_kernel_info *hone_compiled_kernel(const hone_compiled *k, const char *name);
// Whether a flag may stand in a `flags` line; hint text for one that may not.
bool hone_flag_allowed(const char *flag);

// Checks every launch of a plan against the device: registers per block, shared memory, threads, a missing kernel.
// errors: HONE_E_LIMIT "cannot launch 'k': needs 196608 B shared memory, device allows 101376"; HONE_E_PARSE for a kernel that is not
// there.
hone_code hone_check_limits(const hone_compiled *k, const hone_plan *p, const hone_device_info *d, hone_err *e);

// ---- parts, also used by tests
// PTX without comments, debug lines (.loc .file, labels of line tables), debug sections and spacing. owns: caller.
char *hone_ptx_normalise(const char *ptx, size_t len, size_t *out_len);
void hone_ptx_hash(const char *ptx, size_t len, char out[HONE_HASH_HEX]);
// Reads kernels from a cubin (ELF with .nv.info sections). owns: *out by hone_free. errors: HONE_E_PARSE.
hone_code hone_cubin_kernels(const void *cubin, size_t len, hone_kernel_info **out, size_t *n, hone_err *e);
// Splits NVRTC's log: ptxas statistics into kernels, messages into diags, the rest into *text. owns: all three by hone_free.
hone_code hone_log_parse(const char *log, const char *file, hone_kernel_info **kernels, size_t *n_kernels, hone_compile_diag **diags,
                         size_t *n_diags, char **text, hone_err *e);
#endif
