// report/tokens: which bytes of CUDA source get which colour. The lexer gives tokens without comments, so what stands between tokens and is
// no white space is a comment.
#include "cuda/lex.h"
#include "report/internal.h"
#include <ctype.h>
#include <string.h>

static const char *const keywords[] = {
    "alignas", "asm", "auto", "break", "case", "const", "constexpr", "continue", "default", "delete", "do", "else", "enum", "extern",
    "false", "for", "goto", "if", "inline", "namespace", "new", "operator", "register", "reinterpret_cast", "return", "sizeof",
    "static", "static_cast", "struct", "switch", "template", "this", "true", "typedef", "typename", "union", "using", "volatile",
    "while", "__restrict__", "__restrict", "__global__", "__device__", "__shared__", "__constant__", "__host__", "__forceinline__",
    "__noinline__", "__launch_bounds__", "__align__", "__maxnreg__",
};
static const char *const types[] = {
    "void", "bool", "char", "short", "int", "long", "signed", "unsigned", "float", "double", "half", "half2", "__half", "__half2",
    "__nv_bfloat16", "__nv_bfloat162", "size_t", "int8_t", "int16_t", "int32_t", "int64_t", "uint8_t", "uint16_t", "uint32_t",
    "uint64_t", "float2", "float3", "float4", "double2", "int2", "int3", "int4", "uint2", "uint3", "uint4", "uchar4", "short2",
    "short4", "dim3", "__nv_fp8_e4m3", "__nv_fp8_e5m2",
};
static const char *const builtins[] = {
    "threadIdx", "blockIdx", "blockDim", "gridDim", "warpSize",
};

static bool among(const char *const *v, size_t n, hone_span s) {
    for (size_t i = 0; i < n; i++)
        if (hone_span_eq(s, v[i]))
            return true;
    return false;
}

static hone_code_class of_word(hone_span s) {
    if (among(keywords, HONE_COUNT(keywords), s))
        return HONE_CODE_KEYWORD;
    if (among(types, HONE_COUNT(types), s))
        return HONE_CODE_TYPE;
    // CUDA's own functions and variables: __syncthreads, __shfl_down_sync, atomicAdd …
    bool own = s.n > 2 && s.s[0] == '_' && s.s[1] == '_';
    bool atomic = s.n > 6 && !memcmp(s.s, "atomic", 6);
    return own || atomic || among(builtins, HONE_COUNT(builtins), s) ? HONE_CODE_BUILTIN : HONE_CODE_PLAIN;
}

static hone_code_class of_token(const hone_tokens *t, size_t i) {
    switch (t->v[i].kind) {
    case HONE_TOK_IDENT: return of_word(hone_tok_span(t, i));
    case HONE_TOK_NUMBER: return HONE_CODE_NUMBER;
    case HONE_TOK_STRING:
    case HONE_TOK_CHAR: return HONE_CODE_STRING;
    case HONE_TOK_DIRECTIVE: return hone_tok_is_pragma(t, i) ? HONE_CODE_PRAGMA : HONE_CODE_DIRECTIVE;
    default: return HONE_CODE_PLAIN;
    }
}

// From the first to the last byte of text in [from, to): inner spaces of a comment belong to it.
static void mark_comment(uint8_t *out, const char *text, size_t from, size_t to) {
    while (from < to && isspace((unsigned char)text[from]))
        from++;
    while (to > from && isspace((unsigned char)text[to - 1]))
        to--;
    memset(out + from, HONE_CODE_COMMENT, to - from);
}

uint8_t *hone_code_classes(const char *text, size_t len) {
    uint8_t *out = hone_calloc(len + 1, 1);
    hone_arena *a = hone_arena_new((size_t)64 * HONE_SOURCE_MAX);
    hone_tokens t = {0};
    hone_err ignored = {0};
    if (out && a && hone_lex(a, text, len, &t, &ignored) == HONE_OK) {
        size_t at = 0;
        for (size_t i = 0; i < t.n; i++) {
            size_t from = t.v[i].at < len ? t.v[i].at : len, n = t.v[i].len <= len - from ? t.v[i].len : len - from;
            if (from > at)
                mark_comment(out, text, at, from);
            memset(out + from, of_token(&t, i), n);
            at = from + n;
        }
    }
    hone_arena_free(a);
    return out;
}
