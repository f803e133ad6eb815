// task: a task file (CUDA source with #pragma hone lines) → a checked problem; and a problem with sizes and tune values filled in →
// a plan of plain numbers that a device can run. See docs/task-format.md. owns: a task owns its text and everything reached from it.
#ifndef HONE_TASK_H
#define HONE_TASK_H
#include "cuda/lex.h"

// ---- diagnostics: file:line:col, the line, a caret and a hint
typedef struct hone_diag { uint32_t line, col, len; bool is_error; const char *msg, *hint; } hone_diag;
typedef struct hone_diags { hone_diag *v; size_t n, cap; hone_arena *arena; } hone_diags;
// "path:3:14: error: unknown size 'Q'\n  <line>\n  <caret>\nhint: …\n" for each.
void hone_diags_print(const hone_diags *d, const char *path, const char *text, size_t len, hone_str *out);

// ---- element types
typedef enum hone_dtype {
    HONE_FLOAT, HONE_DOUBLE, HONE_HALF, HONE_BFLOAT16, HONE_INT8, HONE_UINT8, HONE_INT16, HONE_UINT16, HONE_INT32, HONE_UINT32, HONE_INT64,
        HONE_UINT64,
    HONE_BOOL, HONE_FP8_E4M3, HONE_FP8_E5M2, HONE_DTYPE_COUNT
} hone_dtype;
size_t hone_dtype_bytes(hone_dtype t);
const char *hone_dtype_name(hone_dtype t);            // "bfloat16"
bool hone_dtype_is_float(hone_dtype t);
double hone_dtype_get(hone_dtype t, const void *buf, size_t i);             // element as double (int64/uint64 rounded)
void hone_dtype_set(hone_dtype t, void *buf, size_t i, double v);           // round to nearest even; integers saturate

// ---- expressions over sizes, tune parameters, cdiv min max round_up pow2_ceil; 64-bit integers with overflow and division checks, or
// doubles
typedef struct hone_expr hone_expr;
typedef struct hone_binding { const char *name; int64_t value; } hone_binding;
typedef struct hone_env { const hone_binding *v; size_t n; const struct hone_env *outer; } hone_env;
// HONE_E_PARSE "…: division by zero in 'N/(M-M)'"
hone_code hone_expr_int(const hone_expr *x, const hone_env *env, int64_t *out, hone_err *e);
hone_code hone_expr_double(const hone_expr *x, const hone_env *env, double *out, hone_err *e);
const char *hone_expr_text(const hone_expr *x);
bool hone_expr_mentions(const hone_expr *x, const char *name);
// The expression in another language, for exported loaders (spell.c). Names bound in `constants` become numbers; sizes and constant scalars are
// spelled v->NAME in C, v["NAME"] in Python; other scalars are written out. floating: double arithmetic.
typedef enum hone_dialect { HONE_DIALECT_C, HONE_DIALECT_PYTHON } hone_dialect;
void hone_expr_spell(const hone_expr *x, hone_dialect d, bool floating, const hone_env *constants, hone_str *out);
void hone_name_spell(const char *name, hone_dialect d, hone_str *out);   // a name, with _ after it when the language keeps the word for itself
bool hone_dtype_of_c(const char *spelling, hone_dtype *out);   // "unsigned int", "__half" …; false for other types

// ---- the parsed task
typedef enum hone_role { HONE_IN, HONE_OUT, HONE_INOUT, HONE_SCRATCH, HONE_SCALAR } hone_role;
typedef enum hone_init_kind {
    HONE_INIT_DEFAULT, HONE_INIT_NORMAL, HONE_INIT_UNIFORM, HONE_INIT_INT, HONE_INIT_INDEX, HONE_INIT_PERMUTATION, HONE_INIT_ZIPF,
        HONE_INIT_SORTED,
    HONE_INIT_ONE_HOT, HONE_INIT_SPARSE, HONE_INIT_IOTA, HONE_INIT_CONST, HONE_INIT_CSR, HONE_INIT_HASH32, HONE_INIT_ZEROS
} hone_init_kind;
typedef struct hone_init { hone_init_kind kind; hone_expr *p[2]; unsigned n_p; } hone_init;
typedef struct hone_arg {
    const char *name;
    hone_role role;
    hone_dtype type;
    hone_expr **dims; size_t n_dims;     // buffers; row-major
    hone_init init;
    bool unordered;                      // out, inout: rows (of the first extent) may stand in any order
    hone_expr *value;                    // scalars
    uint32_t line;
} hone_arg;
// Whether a scalar's value depends on no size.
bool hone_scalar_is_constant(const hone_arg *scalar, const hone_env *constants);
typedef struct hone_launch {
    const char *kernel;
    // never NULL for grid/block (absent axes are the constant 1); smem and cluster may be NULL
    hone_expr *grid[3], *block[3], *smem, *cluster[3];
    bool cooperative;
    // exactly one is set; scalars and sizes are values
    struct hone_launch_arg { const char *buffer; hone_expr *value; } *args; size_t n_args;
    uint32_t line;
    size_t text_at, text_len;            // byte range of the directive in the task's text (for moves that rewrite it)
} hone_launch;
typedef struct hone_sizes { hone_binding *v; size_t n; uint32_t line; } hone_sizes;
typedef struct hone_tune { const char *name; int64_t *values; size_t n_values; uint32_t line; size_t text_at, text_len; } hone_tune;
typedef enum hone_tol_kind { HONE_TOL_AUTO, HONE_TOL_EXACT, HONE_TOL_RELATIVE } hone_tol_kind;
typedef struct hone_tolerance { const char *buffer; /* NULL: all */ hone_tol_kind kind; double rtol, atol; } hone_tolerance;
typedef enum hone_objective { HONE_OBJ_TIME, HONE_OBJ_ENERGY, HONE_OBJ_EDP } hone_objective;

typedef struct hone_task {
    hone_arena *arena;
    const char *path, *name;             // name: file name without .cu
    char *text; size_t len;
    char hash[HONE_HASH_HEX];            // of the text
    hone_sizes *sizes; size_t n_sizes;
    hone_sizes *checks; size_t n_checks; // as written; see hone_task_check_sizes
    hone_arg *args; size_t n_args;
    hone_launch *launches; size_t n_launches;
    hone_tune *tunes; size_t n_tunes;
    hone_expr **wheres; size_t n_wheres;
    const char **flags; size_t n_flags;
    hone_tolerance *tolerances; size_t n_tolerances;
    hone_objective objective;
    hone_expr *flops, *bytes;            // NULL when absent
    hone_tokens tokens;
    hone_kernel *kernels; size_t n_kernels;
} hone_task;

// errors: HONE_E_PARSE with the number of errors; the diagnostics say which (diags->arena is the caller's). Warnings alone succeed.
hone_code hone_task_parse(const char *path, const char *text, size_t len, hone_task **out, hone_diags *diags, hone_err *e);
void hone_task_free(hone_task *t);
// A candidate must keep in/out/inout/scalar/size/check/tolerance/objective/flops/bytes lines: HONE_E_WRONG naming the first difference.
// Buffers and scalars may stand in any order. The candidate's launch, scratch, tune, where and flags lines are free.
hone_code hone_task_same_contract(const hone_task *task, const hone_task *candidate, hone_err *e);
// Tune values → true when every `where` holds for the sizes. tuning may be a subset; missing parameters take their first value.
hone_code hone_task_feasible(const hone_task *t, const hone_sizes *s, const hone_env *tuning, bool *ok, hone_err *e);
// Sizes to check at: the task's `check` lines, or boundary sizes derived from the launch plan (1, tile±1, primes, non-multiples of 32),
// and without `check` lines a scaled-down main size; each within max_bytes of buffers. Arena: the caller's. The task's own lines come first; derived sets have
// line 0: where the baseline itself fails at one of those, the set asks for more than the task promises and should be dropped.
hone_code hone_task_check_sizes(const hone_task *t, size_t max_bytes, hone_arena *a, hone_sizes **out, size_t *n, hone_err *e);
// The task's text with tune parameters fixed to these values (single-valued tune lines plus #ifndef NAME / #define NAME v), as best.cu
// carries it.
// A guarded #define of the parameter that the text already has gets the value instead. owns: the caller owns *out (hone_free).
hone_code hone_task_bake(const hone_task *t, const hone_env *tuning, char **out, size_t *len, hone_err *e);

// ---- a plan: everything evaluated
typedef struct hone_plan_buffer {
    const hone_arg *arg; size_t dims[8], n_dims, n_elems, bytes;
} hone_plan_buffer;
typedef struct hone_plan_arg { int buffer; /* index into buffers, or -1 */ uint8_t value[8]; size_t bytes; } hone_plan_arg;
typedef struct hone_plan_launch {
    const char *kernel; uint32_t grid[3], block[3], cluster[3]; uint32_t smem_bytes; bool cooperative; hone_plan_arg *args; size_t n_args;
} hone_plan_launch;
typedef struct hone_plan {
    hone_arena *arena; const hone_task *task; const hone_sizes *sizes;
    hone_plan_buffer *buffers; size_t n_buffers;       // in/out/inout/scratch in task order
    hone_plan_launch *launches; size_t n_launches;
    size_t total_bytes; bool has_flops, has_bytes; double flops, bytes_moved;
} hone_plan;
// task: the candidate's (its launches, scratch); errors name the directive's line: grid of 0 blocks, more than 1024 threads, overflow,
// unknown kernel …
hone_code hone_plan_make(const hone_task *t, const hone_sizes *s, const hone_env *tuning, hone_plan **out, hone_err *e);
void hone_plan_free(hone_plan *p);
// About how much one run is: multiply-adds as the task states them, elements, threads, whichever is most.
double hone_plan_work(const hone_plan *p);

// ---- input data. Deterministic in (seed, buffer name, variant); element i does not depend on the order of filling.
typedef enum hone_input {                // how to fill, beside the task's own distribution
    HONE_INPUT_TASK, HONE_INPUT_NORMAL, HONE_INPUT_TINY /* ×1e-3 */, HONE_INPUT_LARGE /* ×64; of a range, its ends */, HONE_INPUT_ONE_HOT, HONE_INPUT_SMALL_INT,
    HONE_INPUT_CLUSTERED /* integers: Zipf and groups of close ones; floats: few large among small */, HONE_INPUT_LOWEST /* integers: all the lowest; csr: full rows last */,
    HONE_INPUT_HIGHEST /* integers: all the highest; csr: full rows first */, HONE_INPUT_MIXED /* all those before, each in a part of the buffer */, HONE_INPUT_COUNT
} hone_input;
const char *hone_input_name(hone_input k);
// Whether the variant keeps the buffer's declared domain (index(n) stays an index, csr stays csr …); HONE_INPUT_TASK is always fine.
bool hone_input_applies(const hone_arg *arg, hone_input k);
// What a mixed filling is made of: the task's own distribution and those that apply to some input. at_once: how many of them find a place in one filling, the others coming
// with the next seeds. apart: elements of the outputs can be told by kind, since some input is mixed along an axis that an output has as well.
typedef struct hone_mixture { size_t kinds, at_once; bool apart; } hone_mixture;
hone_mixture hone_input_mixture(const hone_plan *p);
// Whether contents of the declared domain are still of it after a change: its elements in another order; some of them left out or repeated; zeros added;
// all of them multiplied by a factor below or above 1.
typedef enum hone_closure { HONE_CLOSED_ORDER, HONE_CLOSED_CHOICE, HONE_CLOSED_ZERO, HONE_CLOSED_SMALLER, HONE_CLOSED_LARGER } hone_closure;
bool hone_input_closed(const hone_arg *arg, hone_closure c);
bool hone_input_mentions(const hone_arg *arg, const char *size);   // the domain depends on this size: index(n) on n
// out and scratch buffers are zeroed (poisoning them is the caller's). errors: HONE_E_LIMIT when the type cannot hold the values.
hone_code hone_fill(const hone_plan *p, size_t buffer, hone_input k, uint64_t seed, void *dst, hone_err *e);
// Elements first .. first+n-1 of the same data, into dst[0 .. n-1]: for filling in parallel or piecewise.
hone_code hone_fill_range(const hone_plan *p, size_t buffer, hone_input k, uint64_t seed, size_t first, size_t n, void *dst, hone_err *e);

// ---- drafting: `hone init`
// as given on the command line, CUDA notation
typedef struct hone_draft_launch { const char *kernel, *grid, *block, *smem, *args; } hone_draft_launch;
// What a run on the virtual GPU observed of each pointer parameter.
typedef struct hone_observed { const char *param; bool read, written, read_before_written; uint64_t extent_bytes; } hone_observed;
// launch_text: one launch per line or between semicolons, "k<<<cdiv(N,256), 256>>>(A, N)"; without "(…)" the parameters' names are the
// arguments.
// obs: by the launch's buffer name or, failing that, the parameter's name. owns: the caller owns *out (hone_free). errors: HONE_E_USAGE.
hone_code hone_draft(const char *path, const char *text, size_t len, const hone_sizes *sizes, const char *launch_text,
                     const hone_observed *obs, size_t n_obs, char **out, size_t *out_len, hone_err *e);
#endif
