// cuda: a lexer for CUDA C++ source and what hone reads from source with it: kernels, their signatures, normalised text.
// It never preprocesses: directives are single tokens. Strings, comments, raw strings and line continuations are understood.
#ifndef HONE_CUDA_LEX_H
#define HONE_CUDA_LEX_H
#include "base/base.h"

typedef enum hone_tok_kind {
    HONE_TOK_EOF, HONE_TOK_IDENT, HONE_TOK_NUMBER, HONE_TOK_STRING, HONE_TOK_CHAR, HONE_TOK_PUNCT, HONE_TOK_DIRECTIVE /* whole line,
        continuations included */
} hone_tok_kind;
typedef struct hone_tok {
    hone_tok_kind kind;
    uint32_t at, len;        // byte range in the text
    uint32_t line, col;      // 1-based
    uint32_t match;          // for ( [ { and their partners: index of the partner token; 0 otherwise
    bool space_before;
} hone_tok;
typedef struct hone_tokens { const char *text; size_t len; hone_tok *v; size_t n; } hone_tokens;   // last token is EOF

// units: the longest text that is read, in bytes
#define HONE_SOURCE_MAX (16u << 20)

// errors: HONE_E_PARSE for an unterminated comment, string or bracket, "line:col: …". Arena owns the array; text is borrowed.
// Brackets are matched branch by branch of #if/#else, so that alternatives may each open or close one.
hone_code hone_lex(hone_arena *a, const char *text, size_t len, hone_tokens *out, hone_err *e);
// The tokens inside one directive token (after its '#'), positions being those of the whole text. Never fails on content: brackets without
// a partner keep match = 0 and an unterminated quote is a one-byte punctuator. errors: HONE_E_NOMEM.
hone_code hone_lex_directive(hone_arena *a, const hone_tokens *t, size_t i, hone_tokens *out, hone_err *e);
bool hone_tok_is(const hone_tokens *t, size_t i, const char *s);
hone_span hone_tok_span(const hone_tokens *t, size_t i);
// Whether token i is a `#pragma hone` line.
bool hone_tok_is_pragma(const hone_tokens *t, size_t i);

typedef struct hone_param {
    const char *name;        // "" when the parameter has none
    const char *type;        // as written, one space between tokens, without top-level const of the value, restrict and attributes
    const char *elem;        // for pointers: element type without const: "float", "__nv_bfloat16"; NULL for values
    bool is_pointer, is_const /* pointee */, is_restrict;
    size_t tok_first, tok_last;
} hone_param;
typedef struct hone_kernel {
    const char *name;
    hone_param *params; size_t n_params;
    bool extern_c, is_template;
    uint32_t launch_bounds[2];               // 0 when absent or not literal
    size_t tok_first;                        // first token of the declaration (extern "C" or __global__ …)
    size_t tok_global;                       // the __global__ token
    size_t tok_lparen, tok_rparen;           // parameter list
    size_t tok_lbrace, tok_rbrace;           // body; 0 for a declaration only
    uint32_t line;
} hone_kernel;
// All __global__ functions, in order. errors: HONE_E_PARSE.
hone_code hone_find_kernels(hone_arena *a, const hone_tokens *t, hone_kernel **out, size_t *n, hone_err *e);

// Normal form for duplicate detection: comments and white space folded, `#pragma hone` lines kept in canonical spelling, locals NOT
// renamed.
// owns: the caller owns *out (hone_free). errors: HONE_E_PARSE as hone_lex.
hone_code hone_normalise(const char *text, size_t len, char **out, size_t *out_len, hone_err *e);
#endif
