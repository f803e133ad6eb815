// task, inside: the expression tree, the parser's state and what its files share. Nothing outside src/task includes this.
#ifndef HONE_TASK_INTERNAL_H
#define HONE_TASK_INTERNAL_H
#include "task/task.h"

enum {
    MAX_DIAGS = 50, MAX_NAMES = 32, MAX_SIZE_SETS = 64, MAX_DIMS = 8, MAX_BUFFERS = 64, MAX_LAUNCHES = 64, MAX_LAUNCH_ARGS = 64,
        MAX_TUNES = 32,
    MAX_TUNE_VALUES = 4096, MAX_EXPR_DEPTH = 48, MAX_EXPR_WEIGHT = 1000
};
#define MAX_BUFFER_ELEMS ((size_t)1 << 40)   // of one buffer; all buffers together have at most so many bytes

// ---- expressions (expr.c parses and names, eval.c computes)
typedef enum expr_op {
    OP_INT, OP_DOUBLE, OP_NAME, OP_NEG, OP_NOT, OP_COMPL, OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_MOD, OP_SHL, OP_SHR, OP_LT, OP_LE, OP_GT,
        OP_GE, OP_EQ, OP_NE,
    OP_AND, OP_XOR, OP_OR, OP_LAND, OP_LOR, OP_COND, OP_CDIV, OP_MIN, OP_MAX, OP_ROUND_UP, OP_POW2_CEIL
} expr_op;
struct hone_expr {
    expr_op op;
    int64_t i;
    double d;
    const char *name;                // OP_NAME
    const struct hone_arg *scalar;   // OP_NAME that means a scalar: its value is used
    struct hone_expr *k[3];
    unsigned n_k;
    uint32_t line, col, at, len;     // where; at and len are byte offsets in the task's text
    const char *text;                // canonical spelling, on the top node only (others: NULL)
    unsigned weight;                 // number of nodes, those of scalars included
};
// Why an evaluation failed and at which node; its message has no position.
typedef struct expr_fault { const hone_expr *at; const char *why; hone_code code; } expr_fault;
bool expr_eval_int(const hone_expr *x, const hone_env *env, int64_t *out, expr_fault *f);
bool expr_eval_double(const hone_expr *x, const hone_env *env, double *out, expr_fault *f);
bool expr_is_floating(const hone_expr *x);      // contains a floating literal or a floating scalar

// ---- the parser
typedef HONE_VEC(hone_arg) arg_vec;
typedef struct parser {
    hone_task *t;
    hone_diags *diags;
    hone_arena *a;                   // the task's
    size_t n_errors;
    bool nomem;
    hone_tokens line;                // tokens of the directive being read
    size_t i, directive;             // next token of it; index of the directive token in t->tokens
    unsigned depth;
    HONE_VEC(hone_sizes) sizes;
    HONE_VEC(hone_sizes) checks;
    HONE_VEC(hone_arg *) args;
    HONE_VEC(hone_launch) launches;
    HONE_VEC(hone_tune) tunes;
    HONE_VEC(hone_expr *) wheres;
    HONE_VEC(hone_expr *) exprs;     // every top expression, for names and trial evaluation
    HONE_VEC(const char *) flags;
    HONE_VEC(hone_tolerance) tolerances;
    HONE_VEC(hone_tok) tolerance_at; // where each tolerance names its buffer
    HONE_VEC(hone_tok) arg_at;       // where each argument is named
    HONE_VEC(hone_tok) launch_at;    // where each launch names its kernel
    HONE_VEC(hone_tok) tune_at;
    bool has_objective;
    HONE_VEC(const char *) poisoned; // names that a line with an error meant to declare: known, but without a meaning
} parser;

// Records a diagnostic; `at` gives line, col and length. The hint may be NULL. Errors count; warnings do not.
void task_error(parser *p, const hone_tok *at, const char *hint, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void task_warn(parser *p, const hone_tok *at, const char *hint, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void task_sort_diags(hone_diags *d);
hone_tok task_expr_tok(const hone_expr *x);
// "did you mean 'x'?" (arena) for the closest of the names, or NULL.
typedef struct name_list { const char *v[256]; size_t n; } name_list;
void names_add(name_list *l, const char *name);
const char *task_suggest(parser *p, const char *name, const name_list *known);
void *task_alloc(parser *p, size_t n, size_t size);      // zeroed; sets p->nomem and returns NULL on failure
char *task_strndup(parser *p, const char *s, size_t n);

// ---- tokens of the directive being read
const hone_tok *tok_now(const parser *p);
bool tok_at(const parser *p, const char *s);
bool tok_take(parser *p, const char *s);
bool tok_expect(parser *p, const char *s, const char *where);       // an error when something else is there
bool tok_ident(parser *p, const char *what, const char **name, hone_tok *at);
const char *tok_text(parser *p);                                     // copy of the current token
bool tok_is_end(const parser *p);

// ---- parts of the grammar. Each returns false after recording an error.
hone_expr *parse_expr(parser *p);
bool parse_type(parser *p, hone_dtype *out);
bool parse_buffer(parser *p, hone_role role);
bool parse_scalar(parser *p);
bool parse_launch(parser *p);
bool parse_sizes_line(parser *p, bool check);
bool parse_tune(parser *p);
bool parse_tolerance(parser *p);
bool parse_flags(parser *p);
hone_code parse_lines(parser *p, hone_err *e);                        // every '#pragma hone' line of t->tokens; errors: HONE_E_NOMEM
void parser_free(parser *p);
void task_check(parser *p);                                          // what names mean, what is missing or unused; trial evaluation
void task_check_launch(parser *p, hone_launch *l, const hone_tok *at);   // one launch against its kernel's signature
hone_arg *parser_arg(const parser *p, const char *name);
bool parser_has_value(const parser *p, const char *name);             // a size, scalar or tune parameter
// A name whose declaration has an error of its own: whatever else goes wrong with it only follows, and is not reported.
void parser_poison(parser *p, const char *name);
bool parser_poisoned(const parser *p, const char *name);

// ---- types
// C and CUDA spellings. lanes is 4 for float4, 1 otherwise. False when unknown (a typedef, a struct).
bool dtype_from_c(const char *spelling, hone_dtype *out, unsigned *lanes);
bool dtype_from_task(const char *spelling, hone_dtype *out);
bool dtype_is_signed(hone_dtype t);
void dtype_range(hone_dtype t, int64_t *lo, int64_t *hi);            // integers only; uint64 is cut at INT64_MAX
typedef struct init_desc { const char *name; hone_init_kind kind; unsigned min_p, max_p; bool floats,
                          integers; const char *help; } init_desc;
const init_desc *init_find(const char *name);
const init_desc *init_of(hone_init_kind kind);
const init_desc *init_table(size_t *n);
const hone_arg *task_find_arg(const hone_task *t, const char *name);
const hone_kernel *task_find_kernel(const hone_task *t, const char *name);
bool task_has_size(const hone_task *t, const char *name);
// Tune parameters with values from `tuning` or their first ones; arena-allocated. NULL: out of memory.
hone_env *task_full_env(const hone_task *t, const hone_sizes *s, const hone_env *tuning, hone_arena *a);
// ---- domain.c: what a buffer may hold, apart from the task's own distribution
typedef enum domain_kind {
    DOMAIN_FIXED,      // exactly what the initialiser says
    DOMAIN_SIGNED,     // any real number
    DOMAIN_RANGE,      // lo <= x < hi with lo >= 0
    DOMAIN_WHOLE,      // whole numbers lo .. hi
    DOMAIN_SCALED,     // the task's numbers, times a factor
    DOMAIN_CSR
} domain_kind;
typedef struct domain { domain_kind kind; bool known; double lo, hi; } domain;
domain domain_of_type(hone_dtype t);
domain domain_of(const hone_arg *a, const hone_env *env);            // env NULL: only constants are known
bool domain_small_ints(const domain *d, int64_t *lo, int64_t *hi);   // those that SMALL_INT uses; false when there are not two of them
// ---- mixed.c: where the kinds of a mixed filling lie in a buffer
typedef struct mixed_layout { hone_input kinds[HONE_INPUT_COUNT]; size_t n_kinds, first, extent, inner, parts; } mixed_layout;
typedef struct mixed_part { size_t kind; uint64_t from, to, end; } mixed_part;    // kinds[kind] at places from <= x < to; the element after the run of its elements
size_t mixed_kinds(const hone_plan *p, hone_input out[HONE_INPUT_COUNT]);
mixed_layout mixed_layout_of(const hone_plan *p, const hone_plan_buffer *b, uint64_t seed);
mixed_part mixed_part_at(const mixed_layout *l, uint64_t i);                       // of element i
// ---- input data: fill_fast.c makes blocks of pseudo-random numbers, fill.c decides what they mean
enum { FILL_BLOCK = 256 };               // elements; blocks start at multiples of it, so that any range gives the same data
typedef struct fill_key { uint32_t k1, k2; } fill_key;
uint32_t fill_bits(fill_key key, uint64_t i);
float fill_normal_at(fill_key key, uint64_t i);          // the same number as fill_normal's with mean 0, deviation 1
void fill_uniform(fill_key key, uint64_t first, float lo, float hi, float out[FILL_BLOCK]);      // lo <= x < hi
void fill_normal(fill_key key, uint64_t first, float mean, float sd, float out[FILL_BLOCK]);
void fill_int(fill_key key, uint64_t first, uint32_t lo, uint32_t range, uint32_t out[FILL_BLOCK]);   // modulo 2^32; range 0 is 2^32
void fill_store_floats(hone_dtype t, const float in[FILL_BLOCK], void *out);                     // float, half, bfloat16
void fill_store_ints(unsigned bytes, const uint32_t in[FILL_BLOCK], void *out);                  // 1, 2 or 4 bytes each

// A copy of the error at "path:line:col: message".
hone_code task_fault(const hone_task *t, const expr_fault *f, const hone_expr *top, hone_err *e);
#endif
