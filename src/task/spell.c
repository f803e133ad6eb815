// Expressions as text in another language: for exported loaders, which compute grids and sizes themselves. The integer form in C calls the
// checked functions that such a loader carries (x_add, x_div …, first argument `bad`), so that an overflow is an error there too; Python's
// integers need no such care. Floating form: double arithmetic, as in eval.c.
#include "task/internal.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

// $1 $2 $3: the operands. Order: C integer, C double, Python integer, Python float.
static const char *const forms[][4] = {
    [OP_NEG] = {"x_sub(bad, 0, $1)", "(-$1)", "(-$1)", "(-$1)"},
    [OP_NOT] = {"(!$1)", "(double)(!$1)", "int(not $1)", "float(not $1)"},
    [OP_COMPL] = {"(~$1)", "(double)(~(int64_t)$1)", "(~$1)", "float(~int($1))"},
    [OP_ADD] = {"x_add(bad, $1, $2)", "($1 + $2)", "($1 + $2)", "($1 + $2)"},
    [OP_SUB] = {"x_sub(bad, $1, $2)", "($1 - $2)", "($1 - $2)", "($1 - $2)"},
    [OP_MUL] = {"x_mul(bad, $1, $2)", "($1 * $2)", "($1 * $2)", "($1 * $2)"},
    [OP_DIV] = {"x_div(bad, $1, $2)", "($1 / $2)", "x_div($1, $2)", "($1 / $2)"},
    [OP_MOD] = {"x_mod(bad, $1, $2)", "fmod($1, $2)", "x_mod($1, $2)", "math.fmod($1, $2)"},
    [OP_SHL] = {"x_shl(bad, $1, $2)", "ldexp($1, (int)$2)", "($1 << $2)", "math.ldexp($1, int($2))"},
    [OP_SHR] = {"x_shr(bad, $1, $2)", "floor(ldexp($1, -(int)$2))", "($1 >> $2)", "float(math.floor(math.ldexp($1, -int($2))))"},
    [OP_LT] = {"($1 < $2)", "(double)($1 < $2)", "int($1 < $2)", "float($1 < $2)"},
    [OP_LE] = {"($1 <= $2)", "(double)($1 <= $2)", "int($1 <= $2)", "float($1 <= $2)"},
    [OP_GT] = {"($1 > $2)", "(double)($1 > $2)", "int($1 > $2)", "float($1 > $2)"},
    [OP_GE] = {"($1 >= $2)", "(double)($1 >= $2)", "int($1 >= $2)", "float($1 >= $2)"},
    [OP_EQ] = {"($1 == $2)", "(double)($1 == $2)", "int($1 == $2)", "float($1 == $2)"},
    [OP_NE] = {"($1 != $2)", "(double)($1 != $2)", "int($1 != $2)", "float($1 != $2)"},
    [OP_AND] = {"($1 & $2)", "(double)((int64_t)$1 & (int64_t)$2)", "($1 & $2)", "float(int($1) & int($2))"},
    [OP_XOR] = {"($1 ^ $2)", "(double)((int64_t)$1 ^ (int64_t)$2)", "($1 ^ $2)", "float(int($1) ^ int($2))"},
    [OP_OR] = {"($1 | $2)", "(double)((int64_t)$1 | (int64_t)$2)", "($1 | $2)", "float(int($1) | int($2))"},
    [OP_LAND] = {"($1 && $2)", "(double)($1 && $2)", "int(bool($1 and $2))", "float(bool($1 and $2))"},
    [OP_LOR] = {"($1 || $2)", "(double)($1 || $2)", "int(bool($1 or $2))", "float(bool($1 or $2))"},
    [OP_COND] = {"($1 ? $2 : $3)", "($1 ? $2 : $3)", "($2 if $1 else $3)", "($2 if $1 else $3)"},
    [OP_CDIV] = {"x_cdiv(bad, $1, $2)", "ceil($1 / $2)", "x_cdiv($1, $2)", "float(math.ceil($1 / $2))"},
    [OP_MIN] = {"x_min($1, $2)", "fmin($1, $2)", "min($1, $2)", "min($1, $2)"},
    [OP_MAX] = {"x_max($1, $2)", "fmax($1, $2)", "max($1, $2)", "max($1, $2)"},
    [OP_ROUND_UP] = {"x_round_up(bad, $1, $2)", "(ceil($1 / $2) * $2)", "x_round_up($1, $2)", "(math.ceil($1 / $2) * $2)"},
    [OP_POW2_CEIL] = {"x_pow2_ceil(bad, $1)", "exp2(ceil(log2(fmax($1, 1))))", "x_pow2_ceil($1)", "float(x_pow2_ceil(math.ceil($1)))"},
};

static bool bound(const hone_env *env, const char *name, int64_t *out) {
    for (; env; env = env->outer)
        for (size_t i = 0; i < env->n; i++)
            if (strcmp(env->v[i].name, name) == 0) {
                *out = env->v[i].value;
                return true;
            }
    return false;
}

// Words that C, C++ or Python keep for themselves, and names that generated functions use.
static const char *const c_words[] = {
    "alignas",  "alignof",  "and",      "asm",    "auto",    "bool",      "break",    "case",     "catch",    "char",    "class",
    "const",    "continue", "default",  "delete", "do",      "double",    "else",     "enum",     "explicit", "export",  "extern",
    "false",    "float",    "for",      "friend", "goto",    "if",        "inline",   "int",      "long",     "mutable", "namespace",
    "new",      "not",      "operator", "or",     "private", "protected", "public",   "register", "restrict", "return",  "short",
    "signed",   "sizeof",   "static",   "struct", "switch",  "template",  "this",     "throw",    "true",     "try",     "typedef",
    "typename", "union",    "unsigned", "using",  "virtual", "void",      "volatile", "while",    "xor"};
static const char *const python_words[] = {"False",   "None",     "True",  "and",    "as",    "assert", "async",  "await",    "break",
                                           "class",   "continue", "def",   "del",    "elif",  "else",   "except", "finally",  "for",
                                           "from",    "global",   "if",    "import", "in",    "is",     "lambda", "nonlocal", "not",
                                           "or",      "pass",     "raise", "return", "try",   "while",  "with",   "yield",    "values",
                                           "tensors", "torch",    "json",  "loader", "given", "buffers"};

void hone_name_spell(const char *name, hone_dialect d, hone_str *out) {
    const char *const *words = d == HONE_DIALECT_C ? c_words : python_words;
    size_t n = d == HONE_DIALECT_C ? HONE_COUNT(c_words) : HONE_COUNT(python_words);
    hone_str_add(out, name);
    for (size_t i = 0; i < n; i++)
        if (!strcmp(words[i], name))
            hone_str_addc(out, '_');
}

bool hone_scalar_is_constant(const hone_arg *scalar, const hone_env *constants) {
    hone_err ignored = {0};
    double v;
    return hone_expr_double(scalar->value, constants, &v, &ignored) == HONE_OK;
}

static void spell_double(double v, hone_dialect d, hone_str *out) {
    if (!isfinite(v))
        hone_str_add(out, d == HONE_DIALECT_C ? (v > 0 ? "HUGE_VAL" : "-HUGE_VAL") : v > 0 ? "math.inf" : "-math.inf");
    else
        hone_str_addf(out, v == floor(v) && fabs(v) < 1e15 ? "%.1f" : "%.17g", v);
}

static void spell_int(int64_t v, hone_dialect d, bool floating, hone_str *out) {
    if (floating)
        spell_double((double)v, d, out);
    else if (d == HONE_DIALECT_C)
        hone_str_addf(out, v == INT64_MIN ? "INT64_MIN" : "INT64_C(%" PRId64 ")", v);
    else
        hone_str_addf(out, "%" PRId64, v);
}

static void spell_name(const hone_expr *x, hone_dialect d, bool floating, const hone_env *constants, hone_str *out) {
    int64_t v;
    if (!x->scalar && bound(constants, x->name, &v)) {
        spell_int(v, d, floating, out);
    } else if (x->scalar && !hone_scalar_is_constant(x->scalar, constants)) {
        bool own = hone_dtype_is_float(x->scalar->type);   // an integer scalar is computed in integers wherever it stands
        hone_str_add(out, !floating || own ? "" : d == HONE_DIALECT_C ? "(double)" : "float");
        hone_str_addc(out, '(');
        hone_expr_spell(x->scalar->value, d, own, constants, out);
        hone_str_addc(out, ')');
    } else if (d == HONE_DIALECT_C) {
        hone_str_add(out, floating ? "(double)v->" : "v->");
        hone_name_spell(x->name, d, out);
    } else {
        hone_str_addf(out, "v[\"%s\"]", x->name);
    }
}

void hone_expr_spell(const hone_expr *x, hone_dialect d, bool floating, const hone_env *constants, hone_str *out) {
    if (x->op == OP_INT) {
        spell_int(x->i, d, floating, out);
        return;
    }
    if (x->op == OP_DOUBLE) {
        spell_double(x->d, d, out);
        return;
    }
    if (x->op == OP_NAME) {
        spell_name(x, d, floating, constants, out);
        return;
    }
    for (const char *f = forms[x->op][2 * (int)d + floating]; *f; f++) {
        if (*f == '$')
            hone_expr_spell(x->k[*++f - '1'], d, floating, constants, out);
        else
            hone_str_addc(out, *f);
    }
}

bool hone_dtype_of_c(const char *spelling, hone_dtype *out) {
    unsigned lanes;
    return dtype_from_c(spelling, out, &lanes) && lanes == 1;
}
