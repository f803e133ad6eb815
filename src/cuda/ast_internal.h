// cuda/ast_internal: what the statement parser (ast.c) and the expression parser (ast_expr.c) share. Not for other rooms.
#ifndef HONE_CUDA_AST_INTERNAL_H
#define HONE_CUDA_AST_INTERNAL_H
#include "cuda/ast.h"

enum { HONE_AST_DEPTH = 256 };   // what is nested deeper becomes opaque
typedef struct ast_parser {
    hone_arena *arena;
    const hone_tokens *t;
    size_t i, end;             // next token; one past the last that may be read
    unsigned depth;
    bool bad;                  // this expression is not understood
    bool oom;
    hone_node spare;           // handed out when memory is gone, so that callers need no checks; the parse then fails as a whole
    hone_node *spare_kid[1];
} ast_parser;

typedef HONE_VEC(hone_node *) ast_kids;
bool ast_tok(const ast_parser *p, size_t i, const char *s);
bool ast_ident(const ast_parser *p, size_t i);
hone_node *ast_node(ast_parser *p, hone_node_kind kind, size_t first, size_t last, hone_node *const *kids, size_t n);
const char *ast_text(ast_parser *p, size_t first, size_t last);   // tokens joined as written, white space folded
hone_node *ast_expr(ast_parser *p);          // comma expression
hone_node *ast_assignment(ast_parser *p);    // one without a top-level comma
// One past a type's specifiers at token i, or i when there is no type. *certain: made of known type names.
size_t ast_type_end(const ast_parser *p, size_t i, bool *certain);
#endif
