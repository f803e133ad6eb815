// Expressions, computed. Integers are 64 bits and every overflow, division by zero and wild shift is an error that names the
// part which failed. In floating contexts (flops, bytes, floating scalars, init parameters) all of it is double arithmetic.
#include "task/internal.h"
#include <math.h>
#include <string.h>

static bool fault(expr_fault *f, const hone_expr *at, hone_code code, const char *why) {
    *f = (expr_fault){at, why, code};
    return false;
}

static bool lookup(const hone_env *env, const char *name, int64_t *out) {
    for (; env; env = env->outer)
        for (size_t i = 0; i < env->n; i++)
            if (strcmp(env->v[i].name, name) == 0) {
                *out = env->v[i].value;
                return true;
            }
    return false;
}

// ---- integers
static bool int_divide(expr_op op, int64_t a, int64_t b, int64_t *r, const char **why) {
    if (b == 0) {
        *why = "division by zero";
        return false;
    }
    if (a == INT64_MIN && b == -1)
        return false;
    if (op == OP_DIV)
        *r = a / b;
    else if (op == OP_MOD)
        *r = a % b;
    else   // round towards plus infinity, whatever the signs
        *r = a / b + (a % b != 0 && (a < 0) == (b < 0));
    return true;
}

static bool int_shift(expr_op op, int64_t a, int64_t b, int64_t *r, const char **why) {
    if (b < 0 || b > 63) {
        *why = "shift by less than 0 or more than 63";
        return false;
    }
    if (op == OP_SHR) {
        *r = a >> b;
        return true;
    }
    *r = (int64_t)((uint64_t)a << b);
    return *r >> b == a;
}

static bool int_round_up(int64_t a, int64_t b, int64_t *r, const char **why) {
    if (b <= 0) {
        *why = "round_up to a multiple that is not positive";
        return false;
    }
    int64_t q;
    return int_divide(OP_CDIV, a, b, &q, why) && !__builtin_mul_overflow(q, b, r);
}

static bool int_binary(expr_op op, int64_t a, int64_t b, int64_t *r, const char **why) {
    *why = "overflow of 64 bits";
    switch (op) {
    case OP_ADD: return !__builtin_add_overflow(a, b, r);
    case OP_SUB: return !__builtin_sub_overflow(a, b, r);
    case OP_MUL: return !__builtin_mul_overflow(a, b, r);
    case OP_DIV:
    case OP_MOD:
    case OP_CDIV: return int_divide(op, a, b, r, why);
    case OP_SHL:
    case OP_SHR: return int_shift(op, a, b, r, why);
    case OP_ROUND_UP: return int_round_up(a, b, r, why);
    case OP_LT: *r = a < b; break;
    case OP_LE: *r = a <= b; break;
    case OP_GT: *r = a > b; break;
    case OP_GE: *r = a >= b; break;
    case OP_EQ: *r = a == b; break;
    case OP_NE: *r = a != b; break;
    case OP_AND: *r = a & b; break;
    case OP_XOR: *r = a ^ b; break;
    case OP_OR: *r = a | b; break;
    case OP_MIN: *r = a < b ? a : b; break;
    case OP_MAX: *r = a > b ? a : b; break;
    default: HONE_BUG("operator %d is not binary", (int)op);
    }
    return true;
}

static bool int_unary(expr_op op, int64_t a, int64_t *r, const char **why) {
    *why = "overflow of 64 bits";
    if (op == OP_NEG)
        return !__builtin_sub_overflow((int64_t)0, a, r);
    *r = op == OP_NOT ? !a : ~a;
    if (op == OP_POW2_CEIL) {
        if (a > (int64_t)1 << 62)
            return false;
        for (*r = 1; *r < a;)
            *r <<= 1;
    }
    return true;
}

static bool int_name(const hone_expr *x, const hone_env *env, int64_t *out, expr_fault *f) {
    if (x->scalar && hone_dtype_is_float(x->scalar->type))
        return fault(f, x, HONE_E_PARSE, "a floating scalar in an integer expression");
    if (x->scalar)
        return expr_eval_int(x->scalar->value, env, out, f);
    return lookup(env, x->name, out) || fault(f, x, HONE_E_PARSE, "a name without a value");
}

bool expr_eval_int(const hone_expr *x, const hone_env *env, int64_t *out, expr_fault *f) {
    int64_t a, b;
    const char *why = "";
    switch (x->op) {
    case OP_INT: *out = x->i; return true;
    case OP_DOUBLE: return fault(f, x, HONE_E_PARSE, "a floating literal in an integer expression");
    case OP_NAME: return int_name(x, env, out, f);
    case OP_COND: return expr_eval_int(x->k[0], env, &a, f) && expr_eval_int(x->k[a ? 1 : 2], env, out, f);
    case OP_LAND:
    case OP_LOR:
        if (!expr_eval_int(x->k[0], env, &a, f))
            return false;
        *out = a != 0;
        if ((a != 0) == (x->op == OP_LOR))
            return true;
        if (!expr_eval_int(x->k[1], env, &b, f))
            return false;
        *out = b != 0;
        return true;
    default: break;
    }
    if (!expr_eval_int(x->k[0], env, &a, f))
        return false;
    if (x->n_k == 1)
        return int_unary(x->op, a, out, &why) || fault(f, x, HONE_E_PARSE, why);
    return expr_eval_int(x->k[1], env, &b, f) && (int_binary(x->op, a, b, out, &why) || fault(f, x, HONE_E_PARSE, why));
}

// ---- doubles
static bool double_binary(expr_op op, double a, double b, double *r, const char **why) {
    bool divides = op == OP_DIV || op == OP_MOD || op == OP_CDIV || op == OP_ROUND_UP;
    *why = divides ? "division by zero" : "an integer operator in a floating expression";
    if (divides && b == 0)
        return false;
    switch (op) {
    case OP_ADD: *r = a + b; break;
    case OP_SUB: *r = a - b; break;
    case OP_MUL: *r = a * b; break;
    case OP_DIV: *r = a / b; break;
    case OP_MOD: *r = fmod(a, b); break;
    case OP_CDIV: *r = ceil(a / b); break;
    case OP_ROUND_UP: *r = ceil(a / b) * b; break;
    case OP_LT: *r = a < b; break;
    case OP_LE: *r = a <= b; break;
    case OP_GT: *r = a > b; break;
    case OP_GE: *r = a >= b; break;
    case OP_EQ: *r = a == b; break;
    case OP_NE: *r = a != b; break;
    case OP_LAND: *r = a != 0 && b != 0; break;
    case OP_LOR: *r = a != 0 || b != 0; break;
    case OP_MIN: *r = a < b ? a : b; break;
    case OP_MAX: *r = a > b ? a : b; break;
    default: return false;
    }
    *why = "a result that is not finite";
    return isfinite(*r);
}

static bool double_name(const hone_expr *x, const hone_env *env, double *out, expr_fault *f) {
    int64_t v;
    if (x->scalar && hone_dtype_is_float(x->scalar->type))
        return expr_eval_double(x->scalar->value, env, out, f);
    if (!int_name(x, env, &v, f))
        return false;
    *out = (double)v;
    return true;
}

bool expr_eval_double(const hone_expr *x, const hone_env *env, double *out, expr_fault *f) {
    double a, b;
    const char *why = "";
    switch (x->op) {
    case OP_INT: *out = (double)x->i; return true;
    case OP_DOUBLE: *out = x->d; return true;
    case OP_NAME: return double_name(x, env, out, f);
    case OP_COND: return expr_eval_double(x->k[0], env, &a, f) && expr_eval_double(x->k[a != 0 ? 1 : 2], env, out, f);
    default: break;
    }
    if (!expr_eval_double(x->k[0], env, &a, f))
        return false;
    switch (x->op) {
    case OP_NEG: *out = -a; return true;
    case OP_NOT: *out = a == 0; return true;
    case OP_POW2_CEIL: *out = a <= 1 ? 1 : exp2(ceil(log2(a))); return true;
    case OP_COMPL: return fault(f, x, HONE_E_PARSE, "an integer operator in a floating expression");
    default: break;
    }
    return expr_eval_double(x->k[1], env, &b, f) && (double_binary(x->op, a, b, out, &why) || fault(f, x, HONE_E_PARSE, why));
}

bool expr_is_floating(const hone_expr *x) {
    if (x->op == OP_DOUBLE || (x->scalar && hone_dtype_is_float(x->scalar->type)))
        return true;
    for (unsigned i = 0; i < x->n_k; i++)
        if (expr_is_floating(x->k[i]))
            return true;
    return false;
}

static hone_code report(const hone_expr *x, const expr_fault *f, hone_err *e) {
    return hone_fail(e, f->code, 0, "%u:%u: %s in '%s'", f->at->line, f->at->col, f->why, hone_expr_text(x));
}

hone_code hone_expr_int(const hone_expr *x, const hone_env *env, int64_t *out, hone_err *e) {
    expr_fault f;
    return expr_eval_int(x, env, out, &f) ? HONE_OK : report(x, &f, e);
}

hone_code hone_expr_double(const hone_expr *x, const hone_env *env, double *out, hone_err *e) {
    expr_fault f;
    return expr_eval_double(x, env, out, &f) ? HONE_OK : report(x, &f, e);
}

hone_code task_fault(const hone_task *t, const expr_fault *f, const hone_expr *top, hone_err *e) {
    return hone_fail(e, f->code, 0, "%s:%u:%u: %s in '%s'", t->path, f->at->line, f->at->col, f->why, hone_expr_text(top));
}
