// cuda/ast: a tolerant parser from tokens to a light tree of one kernel's body. Every node keeps its token range, so a rewrite
// is a splice of text and comments survive. What the parser does not understand becomes an opaque node, and rewrites that meet
// one inside the region they change stay away. It does no name lookup across functions and no preprocessing.
#ifndef HONE_CUDA_AST_H
#define HONE_CUDA_AST_H
#include "cuda/lex.h"

typedef enum hone_node_kind {
    // expressions                kids
    HONE_N_IDENT,              // name (qualified names keep their ::)
    HONE_N_LITERAL,            // name: the text
    HONE_N_UNARY,              // op, [0]
    HONE_N_POSTFIX,            // op ++ or --, [0]
    HONE_N_BINARY,             // op, [0] [1]
    HONE_N_ASSIGN,             // op = += …, [0] [1]
    HONE_N_COND,               // [0] ? [1] : [2]
    HONE_N_CALL,               // [0] callee, [1…] arguments; name: the callee when it is a plain name
    HONE_N_INDEX,              // [0] base, [1] index
    HONE_N_MEMBER,             // [0] object; op . or ->; name: the member
    HONE_N_CAST,               // name: the type; [0]
    HONE_N_PAREN,              // [0]
    HONE_N_LIST,               // { … } initialiser
    HONE_N_COMMA,              // [0] , [1]
    // statements
    HONE_N_BLOCK,              // statements; may lack braces when a pragma precedes a single statement
    HONE_N_DECL,               // VAR …; name: type as written without declarators
    HONE_N_VAR,                // name; op: "*" "&" or ""; [0] initialiser or NULL; [1…] array extents (NULL for [])
    HONE_N_EXPR,               // [0]
    HONE_N_IF,                 // [0] condition, [1] then, [2] else or NULL
    HONE_N_FOR,                // [0] DECL, EXPR or NULL; [1] condition or NULL; [2] step or NULL; [3] body
    HONE_N_WHILE, HONE_N_DO,   // [0] condition, [1] body
    HONE_N_RETURN,             // [0] or NULL
    HONE_N_BREAK, HONE_N_CONTINUE, HONE_N_EMPTY,
    HONE_N_PRAGMA,             // a directive inside the body
    HONE_N_OPAQUE
} hone_node_kind;

typedef struct hone_node hone_node;
struct hone_node {
    hone_node_kind kind;
    size_t first, last;        // tokens, both inclusive
    const char *op, *name;     // "" when there is none
    hone_node *parent;
    hone_node **kid; size_t n_kids;
    size_t index, size;        // place in preorder and number of nodes of the subtree
    bool is_shared;            // DECL: __shared__
};

typedef struct hone_ast {
    hone_arena *arena;
    const hone_tokens *t;
    const hone_kernel *kernel;
    hone_node *body;           // BLOCK
    hone_node **all; size_t n; // preorder
    bool has_opaque;
} hone_ast;

// errors: HONE_E_NOMEM; HONE_E_PARSE when the kernel has no body. Strange or very deeply nested code is opaque, no error.
// owns: the arena owns the tree.
hone_code hone_ast_parse(hone_arena *a, const hone_tokens *t, const hone_kernel *k, hone_ast *out, hone_err *e);

// for every node of the subtree, in preorder
#define HONE_EACH_NODE(ast, root, var)                                                                                     \
    for (size_t var##_i = (root)->index; var##_i < (root)->index + (root)->size; var##_i++)                                \
        for (const hone_node *var = (ast)->all[var##_i]; var; var = NULL)

uint32_t hone_node_at(const hone_ast *ast, const hone_node *n);      // first byte
uint32_t hone_node_end(const hone_ast *ast, const hone_node *n);     // byte after the last
hone_span hone_node_span(const hone_ast *ast, const hone_node *n);
char *hone_node_text(const hone_ast *ast, const hone_node *n);       // in the tree's arena; NULL when out of memory
bool hone_node_inside(const hone_node *n, const hone_node *ancestor);
const hone_node *hone_node_strip(const hone_node *n);                // without parentheses
const hone_node *hone_node_strip_casts(const hone_node *n);          // without parentheses and casts
bool hone_node_is(const hone_node *n, hone_node_kind kind, const char *op_or_name);
bool hone_node_is_builtin(const hone_node *n, const char *object, char axis);   // threadIdx.x: ("threadIdx", 'x'); axis 0: any
bool hone_node_same(const hone_ast *ast, const hone_node *a, const hone_node *b);   // same tokens
bool hone_node_mentions(const hone_ast *ast, const hone_node *root, const char *name);   // as an identifier
// The statement that contains n and is a direct kid of `block`; NULL when n is not inside.
const hone_node *hone_node_stmt_in(const hone_node *n, const hone_node *block);

// ---- definitions and uses
typedef struct hone_local { const hone_node *decl, *var; unsigned writes, declared; } hone_local;   // writes: beside the initialiser
// var is NULL for an unknown name; declared counts declarations of that name in the kernel (2 = shadowed: stay away).
hone_local hone_ast_local(const hone_ast *ast, const char *name);
bool hone_ast_is_param(const hone_ast *ast, const char *name, const hone_param **out);
// Whether the variable itself is assigned, incremented, or has its address taken inside the subtree.
bool hone_ast_writes(const hone_ast *ast, const hone_node *root, const char *name);
bool hone_ast_is_written_expr(const hone_node *n);    // n is the target of an assignment, ++, -- or &
bool hone_ast_is_read_expr(const hone_node *n);       // its value is used: not the target of a plain '='

// for (T v = lo; v < bound; v++): a counted loop whose variable is written only by its step.
typedef struct hone_loop {
    const hone_node *node, *body, *lo, *bound;   // bound as written
    const char *var, *type;
    bool inclusive;                              // <=
    int64_t step;                                // literal, > 0
} hone_loop;
bool hone_ast_loop(const hone_ast *ast, const hone_node *n, hone_loop *out);
// Whether nothing inside `root` changes the value of e (its identifiers are not written there, it reads no memory, it calls nothing).
bool hone_ast_invariant(const hone_ast *ast, const hone_node *e, const hone_node *root);

// ---- index arithmetic: polynomials with integer coefficients over names
enum { HONE_TERM_ATOMS = 8, HONE_POLY_TERMS = 32 };
typedef struct hone_term { int64_t coef; unsigned n; const char *atom[HONE_TERM_ATOMS]; } hone_term;   // atoms sorted
typedef struct hone_poly { bool ok; size_t n; hone_term v[HONE_POLY_TERMS]; } hone_poly;              // terms sorted, none zero
// Locals that are declared once, initialised and never written are replaced by their initialisers; threadIdx.x … and what is
// no polynomial become atoms by their text. `keep` (NULL-terminated, may be NULL) names locals that stay atoms. ok is false on overflow.
hone_poly hone_poly_of(const hone_ast *ast, const hone_node *e, const char *const *keep);
hone_poly hone_poly_sub(const hone_poly *a, const hone_poly *b);
bool hone_poly_equal(const hone_poly *a, const hone_poly *b);
bool hone_poly_has(const hone_poly *p, const char *atom);
// The derivative by an atom: ok is false when the atom occurs squared or inside another atom's text.
hone_poly hone_poly_stride(const hone_poly *p, const char *atom);
bool hone_poly_is_const(const hone_poly *p, int64_t *value);

// An access base[index] traced through local pointers to a parameter or array: x = inp + row*C; x[j] → inp, row*C + j.
typedef struct hone_access {
    const hone_node *node;
    const char *base;
    hone_poly index;
    bool read, written, is_param;
} hone_access;
bool hone_ast_access(const hone_ast *ast, const hone_node *n, const char *const *keep, hone_access *out);
#endif
