// ptx internals: tokens, the parser's state and the seams between its files. Nothing outside src/ptx includes this.
//   lexer.c tokens · symbols.c scopes · expr.c constants · vars.c variables and initialisers · func.c functions, labels, .loc ·
//   inst.c modifiers and operands · check.c the operand rules · parse.c module directives
#ifndef HONE_PTX_INTERNAL_H
#define HONE_PTX_INTERNAL_H
#include "ptx/ptx.h"
#include <string.h>

enum {
    PTX_MAX_DEPTH = 64,              // nested braces, parentheses, initialisers
    PTX_MAX_INSTS = 1 << 20,         // per function
    PTX_MAX_REGS = 1 << 20,          // referenced registers per function
    PTX_MAX_FILES = 1 << 14, PTX_MAX_PARAMS = 4096, PTX_MAX_NAME = 1 << 16
};
#define PTX_MAX_TEXT ((size_t)256 << 20)
#define PTX_MAX_ARENA ((size_t)1 << 30)
#define PTX_MAX_VAR_BYTES ((size_t)1 << 28)

typedef enum ptx_tok_kind { PTX_T_EOF, PTX_T_IDENT, PTX_T_DOT /* .word, s without the dot */, PTX_T_INT, PTX_T_FLOAT, PTX_T_STR,
    PTX_T_PUNCT } ptx_tok_kind;
typedef struct ptx_tok {
    ptx_tok_kind kind;
    const char *s;          // borrowed from the text
    uint32_t n, line, col;
    int punct;              // character, or first*256+second for << >> <= >= == != && ||
    uint64_t value;         // INT; FLOAT: the bits
    bool is_f32, is_unsigned;
} ptx_tok;

typedef enum ptx_sym_kind { PTX_SYM_REG, PTX_SYM_RANGE, PTX_SYM_VAR, PTX_SYM_LABEL, PTX_SYM_FUNC, PTX_SYM_PROTO, PTX_SYM_TARGETS
} ptx_sym_kind;
typedef struct ptx_sym {
    const char *name; uint32_t n;
    uint64_t hash;
    ptx_sym_kind kind;
    ptx_type type;          // REG, RANGE
    uint32_t index;         // REG: register; RANGE: count; LABEL: instruction
    void *ptr;              // VAR: ptx_var; FUNC, PROTO: ptx_func; TARGETS: ptx_targets
    uint32_t depth;
    struct ptx_sym *chain;      // same bucket
    struct ptx_sym *scope_next; // same scope, newest first
} ptx_sym;

typedef struct ptx_targets { ptx_tok *v; size_t n; } ptx_targets;   // the labels of a .branchtargets list, at most 255
// a use of a label
typedef struct ptx_fixup { uint32_t inst, col; uint8_t operand, elem; const char *name; uint32_t line; bool is_elem; } ptx_fixup;
typedef struct ptx_loc { uint32_t file, line, col, user_file, user_line; } ptx_loc;

typedef struct ptx_tables { uint16_t op_hash[512], mod_hash[1024], mod_next[512]; } ptx_tables;   // of names of opcodes and modifiers, made once

typedef struct ptx_parser {
    const ptx_tables *tables;
    const char *at, *end, *line_start;
    uint32_t line;
    ptx_tok tok, next;
    hone_err *e;
    ptx_issues *issues;     // unsupported instructions so far
    hone_arena *arena;
    ptx_module *m;
    // names
    ptx_sym **buckets; size_t n_buckets, n_syms;
    ptx_sym *scopes[PTX_MAX_DEPTH + 2]; size_t scope_fixups[PTX_MAX_DEPTH + 2]; uint32_t depth;
    // the function being parsed
    ptx_func *f;
    HONE_VEC(ptx_reg) regs;
    HONE_VEC(ptx_inst) insts;
    HONE_VEC(ptx_var *) vars;
    HONE_VEC(ptx_fixup) fixups;
    HONE_VEC(ptx_loc) locs;
    uint32_t name_serial;
    uint32_t func_file, src_file, src_line;
    bool end_label;                 // a label of an inner scope stands behind the last instruction so far
    // the module
    HONE_VEC(ptx_var *) mvars;
    HONE_VEC(ptx_func *) funcs;
    HONE_VEC(const char *) files;
} ptx_parser;

// lexer.c
hone_code ptx_lex_start(ptx_parser *p);
hone_code ptx_advance(ptx_parser *p);
hone_code ptx_error(ptx_parser *p, const ptx_tok *at, hone_code code, const char *what);       // "ptx:L:C: what 'token'"
hone_code ptx_error_at(ptx_parser *p, uint32_t line, uint32_t col, hone_code code, const char *what, const char *s, size_t n);
hone_code ptx_nomem(ptx_parser *p);                                                            // over the arena's limit, or out of memory
hone_code ptx_expect(ptx_parser *p, int punct);
bool ptx_tok_is(const ptx_tok *t, const char *s);                                              // identifier or .word with this text
static inline bool ptx_is_punct(const ptx_tok *t, int c) { return t->kind == PTX_T_PUNCT && t->punct == c; }
static inline bool ptx_is_dot(const ptx_tok *t, const char *s) { return t->kind == PTX_T_DOT && ptx_tok_is(t, s); }

// symbols.c
hone_code ptx_scope_open(ptx_parser *p);
hone_code ptx_scope_close(ptx_parser *p);     // also resolves the label uses of the scope
ptx_sym *ptx_sym_find(ptx_parser *p, const char *s, size_t n);
// errors: PARSE when the name exists in the same scope.
hone_code ptx_sym_add(ptx_parser *p, const ptx_tok *name, ptx_sym_kind kind, ptx_sym **out);
// A register by name, through %r<n> ranges too; *out NULL when there is none.
hone_code ptx_reg_find(ptx_parser *p, const ptx_tok *name, ptx_sym **out);
hone_code ptx_tables_init(ptx_parser *p);
int ptx_op_find(const ptx_parser *p, const char *s, size_t n);                                  // -1 when unknown
int ptx_mod_first(const ptx_parser *p, const char *s, size_t n);                                // chain through mod_next; -1 at the end

// expr.c
hone_code ptx_const_expr(ptx_parser *p, int64_t *out);

// vars.c
hone_code ptx_type_of(ptx_parser *p, ptx_type *t);                                              // current .type token, advances
hone_code ptx_parse_vars(ptx_parser *p, ptx_space space, bool is_extern);                       // after .global etc. up to ';'
hone_code ptx_parse_param(ptx_parser *p, ptx_var **out);                                        // one parameter of a list
hone_code ptx_parse_regs(ptx_parser *p);                                                        // after .reg up to ';'

// func.c
hone_code ptx_parse_func(ptx_parser *p, bool is_entry);                                         // after .entry or .func
hone_code ptx_parse_loc(ptx_parser *p);
hone_code ptx_signature(ptx_parser *p, ptx_func *f);                                            // [(rets)] name (params)
hone_code ptx_skip_braces(ptx_parser *p);

// inst.c
typedef struct ptx_mod { const char *text; uint64_t groups; uint8_t field; uint32_t value; } ptx_mod;
extern const ptx_mod ptx_mods[];
extern const size_t ptx_n_mods;
hone_code ptx_parse_inst(ptx_parser *p);
hone_code ptx_parse_opcode(ptx_parser *p, ptx_inst *in);                                        // opcode and modifiers, up to the operands
enum { PTX_G_ADD, PTX_G_MUL, PTX_G_DIV, PTX_G_FMA, PTX_G_MINMAX, PTX_G_INT, PTX_G_SHF, PTX_G_PRMT, PTX_G_TESTP, PTX_G_CMP, PTX_G_CVT,
    PTX_G_CVTA, PTX_G_LD,
       PTX_G_ATOM, PTX_G_CP, PTX_G_FENCE, PTX_G_MB, PTX_G_BAR, PTX_G_SHFL, PTX_G_VOTE, PTX_G_BRA, PTX_G_GRID, PTX_G_MMA, PTX_G_TEX,
           PTX_G_VIDEO, PTX_G_WGMMA, PTX_G_TMAP };

// operand.c
hone_code ptx_parse_operand(ptx_parser *p, ptx_inst *in, ptx_operand *o);
hone_code ptx_parse_call(ptx_parser *p, ptx_inst *in);

// parse.c
void ptx_parser_release(ptx_parser *p);

// check.c
typedef struct ptx_rule { uint8_t group; const char *types; uint8_t min_types, max_types; const char *operands; } ptx_rule;
const ptx_rule *ptx_rule_of(ptx_op op);
const char *ptx_operands_of(const ptx_inst *in);   // the operand list that this instruction must have (rules.def, subrules.def)
hone_code ptx_check_inst(ptx_parser *p, const ptx_inst *in, const ptx_tok *at);
char ptx_type_kind(ptx_type t);                    // 'I' 'F' 'B' 'P' 'X', 0 for none
const char *ptx_sreg_name(unsigned sreg);
#endif
