// export/c_loader: NAME.h and NAME.c, a loader on the CUDA driver API. Generated code checks what it is called with, computes grids with
// overflow checks, keeps scratch buffers, and launches through cuLaunchKernelEx.
#include "export/internal.h"
#include <stdio.h>
#include <string.h>

static const struct {
    hone_dtype t;
    const char *c, *lo, *hi;
} value_types[] = {
    {HONE_FLOAT, "float", NULL, NULL},
    {HONE_DOUBLE, "double", NULL, NULL},
    {HONE_INT8, "int8_t", "INT8_MIN", "INT8_MAX"},
    {HONE_UINT8, "uint8_t", "0", "UINT8_MAX"},
    {HONE_INT16, "int16_t", "INT16_MIN", "INT16_MAX"},
    {HONE_UINT16, "uint16_t", "0", "UINT16_MAX"},
    {HONE_INT32, "int32_t", "INT32_MIN", "INT32_MAX"},
    {HONE_UINT32, "uint32_t", "0", "UINT32_MAX"},
    {HONE_INT64, "int64_t", "INT64_MIN", "INT64_MAX"},
    {HONE_UINT64, "uint64_t", "0", "INT64_MAX"},
    {HONE_BOOL, "bool", "0", "1"},
};

static size_t value_type(hone_dtype t) {
    size_t i = 0;
    while (i < HONE_COUNT(value_types) && value_types[i].t != t)
        i++;
    return i;
}

hone_code export_value_type(exporting *x, const hone_launch *l, size_t i, hone_dtype *out) {
    const hone_param *k = export_param(x->t, l, i);
    if (k && hone_dtype_of_c(k->type, out) && value_type(*out) < HONE_COUNT(value_types))
        return HONE_OK;
    hone_fail(x->e, HONE_E_UNSUPPORTED, 0, "cannot export '%s': parameter %zu of '%s' has type '%s' by value", x->t->name, i + 1, l->kernel,
              k ? k->type : "unknown");
    return hone_hint(x->e, "pass it as float and convert in the kernel");
}

// A member's name, in one of a few turns.
static const char *c_name(const char *name, char buf[128]) {
    hone_str s;
    hone_str_init(&s, 120);
    hone_name_spell(name, HONE_DIALECT_C, &s);
    snprintf(buf, 128, "%s", s.s);
    hone_str_free(&s);
    return buf;
}

static bool is_user_buffer(const hone_arg *a) { return a->role != HONE_SCALAR && a->role != HONE_SCRATCH; }

// ---- the header

static void struct_params(exporting *x) {
    char name[128];
    export_put(
        x,
        "// What a call depends on: the sizes, then the scalars. @_defaults() gives those that were optimized for.\ntypedef struct @_params {\n");
    for (size_t i = 0; i < x->t->sizes[0].n; i++)
        hone_str_addf(x->out, "    int64_t %s;\n", c_name(x->t->sizes[0].v[i].name, name));
    for (size_t i = 0; i < x->t->n_args; i++) {
        const hone_arg *a = &x->t->args[i];
        if (a->role == HONE_SCALAR && hone_scalar_is_constant(a, &x->constants))
            hone_str_addf(x->out, "    %s %s;\n", hone_dtype_is_float(a->type) ? "double" : "int64_t", c_name(a->name, name));
    }
    export_put(x, "} @_params;\n\n");
}

static void struct_buffers(exporting *x) {
    static const char *const does[] = {"read", "written", "read and written"};
    export_put(
        x,
        "// Device memory and its size in bytes. Buffers must not overlap.\ntypedef struct @_buffer { CUdeviceptr data; size_t bytes; } @_buffer;\n"
        "typedef struct @_buffers {\n");
    for (size_t i = 0; i < x->t->n_args; i++) {
        const hone_arg *a = &x->t->args[i];
        if (!is_user_buffer(a))
            continue;
        export_put(x, "    @_buffer ");
        char name[128];
        hone_str_addf(x->out, "%s;   // %s ", c_name(a->name, name), hone_dtype_name(a->type));
        for (size_t k = 0; k < a->n_dims; k++)
            hone_str_addf(x->out, "[%s]", hone_expr_text(a->dims[k]));
        hone_str_addf(x->out, ", %s\n", does[a->role]);
    }
    export_put(x, "} @_buffers;\n\n");
}

hone_code export_c_header(exporting *x) {
    export_put(x, "// @: a kernel with its launch plan, through the CUDA driver API.\n");
    export_origin(x, "// ");
    export_put(x,
               "//\n"
               "//   @ *k;\n"
               "//   if (@_open(&k, \"folder with @.cubin or @.ptx\") != CUDA_SUCCESS) …      needs a current CUDA context\n"
               "//   @_params p = @_defaults();                     change sizes and scalars as needed\n"
               "//   @_buffers b;  @_sizes(&p, &b);                 how many bytes each buffer needs\n"
               "//   b.….data = …;                                  device pointers\n"
               "//   if (@_launch(k, &p, &b, stream) != CUDA_SUCCESS) puts(@_message(k));\n"
               "//   @_close(k);\n"
               "//\n"
               "// Compile: cc -c @.c -I$CUDA_HOME/include; link with -lcuda. CUDA 12 or newer. One handle serves one thread at a time.\n"
               "#ifndef HONE_EXPORTED_@_H\n#define HONE_EXPORTED_@_H\n#include <cuda.h>\n#include <stddef.h>\n#include <stdint.h>\n\n"
               "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n"
               "typedef struct @ @;\n\n");
    struct_params(x);
    struct_buffers(x);
    export_put(
        x,
        "@_params @_defaults(void);\n"
        "// Loads folder/@.cubin, or @.ptx when the device does not take that, into the current context.\n"
        "CUresult @_open(@ **out, const char *folder);\n"
        "void @_close(@ *k);\n"
        "// Sets the `bytes` of every buffer. CUDA_ERROR_INVALID_VALUE for sizes that are not positive or overflow.\n"
        "CUresult @_sizes(const @_params *p, @_buffers *b);\n"
        "// Launches asynchronously on the stream. CUDA_ERROR_INVALID_VALUE, with a message, for a buffer that is too small or a null pointer.\n"
        "CUresult @_launch(@ *k, const @_params *p, const @_buffers *b, CUstream stream);\n"
        "const char *@_message(const @ *k);   // what went wrong last; never NULL\n\n"
        "#ifdef __cplusplus\n}\n#endif\n#endif\n");
    return hone_str_check(x->out, "the C header", x->e);
}

// ---- the source

static const char prologue[] =
    "#include <math.h>\n#include <stdbool.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n\n"
    "// Integer arithmetic in which an overflow, a division by zero or a wild shift sets *bad.\n"
    "static inline int64_t x_add(bool *bad, int64_t a, int64_t b) { int64_t r = 0; *bad |= __builtin_add_overflow(a, b, &r); return r; }\n"
    "static inline int64_t x_sub(bool *bad, int64_t a, int64_t b) { int64_t r = 0; *bad |= __builtin_sub_overflow(a, b, &r); return r; }\n"
    "static inline int64_t x_mul(bool *bad, int64_t a, int64_t b) { int64_t r = 0; *bad |= __builtin_mul_overflow(a, b, &r); return r; }\n"
    "static inline bool x_divides(bool *bad, int64_t a, int64_t b) {\n"
    "    bool fine = b != 0 && !(a == INT64_MIN && b == -1);\n    *bad |= !fine;\n    return fine;\n}\n"
    "static inline int64_t x_div(bool *bad, int64_t a, int64_t b) { return x_divides(bad, a, b) ? a / b : 0; }\n"
    "static inline int64_t x_mod(bool *bad, int64_t a, int64_t b) { return x_divides(bad, a, b) ? a % b : 0; }\n"
    "static inline int64_t x_cdiv(bool *bad, int64_t a, int64_t b) {\n"
    "    return x_divides(bad, a, b) ? a / b + (a % b != 0 && (a < 0) == (b < 0)) : 0;\n}\n"
    "static inline int64_t x_round_up(bool *bad, int64_t a, int64_t b) { *bad |= b <= 0; return x_mul(bad, x_cdiv(bad, a, b), b); }\n"
    "static inline int64_t x_shl(bool *bad, int64_t a, int64_t b) {\n"
    "    bool fine = b >= 0 && b < 63 && a >= 0 && a <= INT64_MAX >> b;\n    *bad |= !fine;\n    return fine ? a << b : 0;\n}\n"
    "static inline int64_t x_shr(bool *bad, int64_t a, int64_t b) { bool fine = b >= 0 && b < 64; *bad |= !fine; return fine ? a >> b : 0; }\n"
    "static inline int64_t x_min(int64_t a, int64_t b) { return a < b ? a : b; }\n"
    "static inline int64_t x_max(int64_t a, int64_t b) { return a > b ? a : b; }\n"
    "static inline int64_t x_pow2_ceil(bool *bad, int64_t a) {\n"
    "    int64_t r = 1;\n    *bad |= a > INT64_MAX / 2;\n    while (r < a && !*bad)\n        r *= 2;\n    return r;\n}\n"
    "static inline int64_t x_within(bool *bad, int64_t v, int64_t lo, int64_t hi) { *bad |= v < lo || v > hi; return v; }\n\n";

static const char handle[] =
    "struct @ {\n"
    "    CUmodule module;\n"
    "    CUfunction function[LAUNCHES];\n"
    "    @_buffer scratch[SCRATCHES + 1];\n"
    "    char message[256];\n"
    "};\n\n"
    "static CUresult refuse(@ *k, CUresult r, const char *what) {\n"
    "    const char *name = NULL;\n"
    "    cuGetErrorName(r, &name);\n"
    "    snprintf(k->message, sizeof k->message, \"@: %s (%s)\", what, name ? name : \"unknown error\");\n"
    "    return r;\n}\n\n"
    "const char *@_message(const @ *k) { return k && k->message[0] ? k->message : \"@: no error\"; }\n\n"
    "static CUresult load(@ *k, const char *folder, const char *file) {\n"
    "    char path[4096];\n"
    "    int n = snprintf(path, sizeof path, \"%s/%s\", folder, file);\n"
    "    return n < 0 || (size_t)n >= sizeof path ? CUDA_ERROR_INVALID_VALUE : cuModuleLoad(&k->module, path);\n}\n\n"
    "CUresult @_open(@ **out, const char *folder) {\n"
    "    *out = NULL;\n"
    "    @ *k = calloc(1, sizeof *k);\n"
    "    if (!k)\n        return CUDA_ERROR_OUT_OF_MEMORY;\n"
    "    CUresult r = load(k, folder, \"@.cubin\");\n"
    "    if (r != CUDA_SUCCESS)\n        r = load(k, folder, \"@.ptx\");\n"
    "    for (size_t i = 0; i < LAUNCHES && r == CUDA_SUCCESS; i++)\n"
    "        r = cuModuleGetFunction(&k->function[i], k->module, symbols[i]);\n"
    "    if (r != CUDA_SUCCESS) {\n        @_close(k);\n        return r;\n    }\n"
    "    *out = k;\n    return CUDA_SUCCESS;\n}\n\n"
    "void @_close(@ *k) {\n"
    "    if (!k)\n        return;\n"
    "    for (size_t i = 0; i < sizeof k->scratch / sizeof *k->scratch; i++)\n        if (k->scratch[i].data)\n            cuMemFree(k->scratch[i].data);\n"
    "    if (k->module)\n        cuModuleUnload(k->module);\n"
    "    free(k);\n}\n\n";

static const char starting[] =
    "typedef struct shape { int64_t grid[3], block[3], cluster[3], shared; bool clustered, cooperative; } shape;\n\n"
    "static CUresult start(@ *k, size_t i, const shape *s, bool bad, void **args, CUstream stream) {\n"
    "    static const int64_t most[3] = {INT32_MAX, 65535, 65535};\n"
    "    for (int a = 0; a < 3; a++)\n"
    "        bad |= s->grid[a] < 1 || s->grid[a] > most[a] || s->block[a] < 1 || s->block[a] > 1024 || s->cluster[a] < 1 || s->cluster[a] > 16;\n"
    "    if (bad || s->shared < 0 || s->shared > INT32_MAX || s->block[0] * s->block[1] * s->block[2] > 1024)\n"
    "        return refuse(k, CUDA_ERROR_INVALID_VALUE, \"these sizes give no valid launch\");\n"
    "    CUlaunchAttribute attr[2];\n"
    "    CUlaunchConfig c = {.gridDimX = (unsigned)s->grid[0], .gridDimY = (unsigned)s->grid[1], .gridDimZ = (unsigned)s->grid[2],\n"
    "                        .blockDimX = (unsigned)s->block[0], .blockDimY = (unsigned)s->block[1], .blockDimZ = (unsigned)s->block[2],\n"
    "                        .sharedMemBytes = (unsigned)s->shared, .hStream = stream, .attrs = attr};\n"
    "    memset(attr, 0, sizeof attr);\n"
    "    if (s->cooperative) {\n"
    "        attr[c.numAttrs].id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE;\n        attr[c.numAttrs++].value.cooperative = 1;\n    }\n"
    "    if (s->clustered) {\n"
    "        attr[c.numAttrs].id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;\n"
    "        attr[c.numAttrs].value.clusterDim.x = (unsigned)s->cluster[0];\n"
    "        attr[c.numAttrs].value.clusterDim.y = (unsigned)s->cluster[1];\n"
    "        attr[c.numAttrs++].value.clusterDim.z = (unsigned)s->cluster[2];\n    }\n"
    "    CUresult r = CUDA_SUCCESS;\n"
    "    if (s->shared > 48 * 1024)\n"
    "        r = cuFuncSetAttribute(k->function[i], CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, (int)s->shared);\n"
    "    if (r == CUDA_SUCCESS)\n        r = cuLaunchKernelEx(&c, k->function[i], args, NULL);\n"
    "    return r == CUDA_SUCCESS ? r : refuse(k, r, symbols[i]);\n}\n\n";

static void symbols(exporting *x) {
    size_t scratches = 0;
    for (size_t i = 0; i < x->t->n_args; i++)
        scratches += x->t->args[i].role == HONE_SCRATCH;
    hone_str_addf(x->out, "enum { LAUNCHES = %zu, SCRATCHES = %zu };\n", x->t->n_launches, scratches);
    hone_str_addf(x->out, "static const char *const symbols[LAUNCHES] = {");
    for (size_t i = 0; i < x->t->n_launches; i++) {
        char symbol[512];
        export_symbol(x->ptx, x->t->launches[i].kernel, symbol, sizeof symbol);
        hone_str_addf(x->out, "%s\"%s\"", i ? ", " : "", symbol);
    }
    hone_str_add(x->out, "};\n\n");
}

static void defaults(exporting *x) {
    char name[128];
    export_put(x, "@_params @_defaults(void) {\n    return (@_params){");
    for (size_t i = 0; i < x->t->sizes[0].n; i++)
        hone_str_addf(x->out, "%s.%s = %lld", i ? ", " : "", c_name(x->t->sizes[0].v[i].name, name), (long long)x->t->sizes[0].v[i].value);
    for (size_t i = 0; i < x->t->n_args; i++) {
        const hone_arg *a = &x->t->args[i];
        double d = 0;
        if (a->role != HONE_SCALAR || !hone_scalar_is_constant(a, &x->constants))
            continue;
        int64_t n = 0;
        if (!hone_dtype_is_float(a->type) && hone_expr_int(a->value, &x->constants, &n, NULL) == HONE_OK)
            hone_str_addf(x->out, ", .%s = %lld", c_name(a->name, name), (long long)n);
        else if (hone_expr_double(a->value, &x->constants, &d, NULL) == HONE_OK)
            hone_str_addf(x->out, ", .%s = %.17g", c_name(a->name, name), d);
    }
    hone_str_add(x->out, "};\n}\n\n");
}

static void byte_product(exporting *x, const hone_arg *a) {
    for (size_t k = 0; k < a->n_dims; k++)
        hone_str_add(x->out, "x_mul(bad, ");
    hone_str_addf(x->out, "%zu", hone_dtype_bytes(a->type));
    for (size_t k = 0; k < a->n_dims; k++) {
        hone_str_add(x->out, ", x_within(bad, ");
        export_expr(x, a->dims[k], HONE_DIALECT_C, false);
        hone_str_add(x->out, ", 1, INT64_MAX))");
    }
}

static void sizes(exporting *x) {
    char name[128];
    export_put(x, "static bool positive(const @_params *v) {\n    return ");
    for (size_t i = 0; i < x->t->sizes[0].n; i++)
        hone_str_addf(x->out, "%sv->%s > 0", i ? " && " : "", c_name(x->t->sizes[0].v[i].name, name));
    export_put(x, ";\n}\n\nCUresult @_sizes(const @_params *v, @_buffers *b) {\n    bool overflow = false, *bad = &overflow;\n");
    for (size_t i = 0; i < x->t->n_args; i++) {
        const hone_arg *a = &x->t->args[i];
        if (!is_user_buffer(a))
            continue;
        hone_str_addf(x->out, "    b->%s.bytes = (size_t)", c_name(a->name, name));
        byte_product(x, a);
        hone_str_add(x->out, ";\n");
    }
    hone_str_add(x->out, "    return positive(v) && !overflow ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;\n}\n\n");
}

static void checks(exporting *x) {
    export_put(
        x,
        "static CUresult usable(@ *k, const @_params *p, const @_buffers *b) {\n    @_buffers need;\n"
        "    if (@_sizes(p, &need) != CUDA_SUCCESS)\n        return refuse(k, CUDA_ERROR_INVALID_VALUE, \"a size is not positive, or too large\");\n");
    for (size_t i = 0; i < x->t->n_args; i++) {
        char n[128];
        c_name(x->t->args[i].name, n);
        if (is_user_buffer(&x->t->args[i]))
            hone_str_addf(x->out,
                          "    if (!b->%s.data || b->%s.bytes < need.%s.bytes)\n"
                          "        return refuse(k, CUDA_ERROR_INVALID_VALUE, \"buffer '%s' is missing or too small\");\n",
                          n, n, n, x->t->args[i].name);
    }
    hone_str_add(x->out, "    return CUDA_SUCCESS;\n}\n\n");
}

static void scratch(exporting *x) {
    size_t at = 0;
    bool any = false;
    for (size_t i = 0; i < x->t->n_args; i++)
        any |= x->t->args[i].role == HONE_SCRATCH;
    if (!any)
        return;
    export_put(
        x,
        "// Scratch space is kept between calls and grows when needed.\n"
        "static CUresult reserve(@ *k, size_t i, int64_t bytes) {\n"
        "    if (bytes < 1)\n        return refuse(k, CUDA_ERROR_INVALID_VALUE, \"these sizes give no valid scratch space\");\n"
        "    if (k->scratch[i].bytes >= (size_t)bytes)\n        return CUDA_SUCCESS;\n"
        "    if (k->scratch[i].data)\n        cuMemFree(k->scratch[i].data);\n"
        "    k->scratch[i] = (@_buffer){0};\n"
        "    CUresult r = cuMemAlloc(&k->scratch[i].data, (size_t)bytes);\n"
        "    if (r != CUDA_SUCCESS)\n        return refuse(k, r, \"no memory for scratch space\");\n"
        "    k->scratch[i].bytes = (size_t)bytes;\n    return CUDA_SUCCESS;\n}\n\n"
        "static CUresult reserve_all(@ *k, const @_params *v) {\n    bool overflow = false, *bad = &overflow;\n    CUresult r = CUDA_SUCCESS;\n");
    for (size_t i = 0; i < x->t->n_args; i++) {
        if (x->t->args[i].role != HONE_SCRATCH)
            continue;
        hone_str_add(x->out, "    if (r == CUDA_SUCCESS) {\n        int64_t bytes = ");
        byte_product(x, &x->t->args[i]);
        hone_str_addf(x->out, ";\n        r = reserve(k, %zu, overflow ? 0 : bytes);   // %s\n    }\n", at++, x->t->args[i].name);
    }
    hone_str_add(x->out, "    return r;\n}\n\n");
}

static size_t scratch_index(const hone_task *t, const char *name) {
    size_t at = 0;
    for (size_t i = 0; i < t->n_args; i++) {
        if (t->args[i].role != HONE_SCRATCH)
            continue;
        if (!strcmp(t->args[i].name, name))
            break;
        at++;
    }
    return at;
}

static void axes(exporting *x, const char *name, hone_expr *const e[3]) {
    hone_str_addf(x->out, ".%s = {", name);
    for (int a = 0; a < 3; a++) {
        hone_str_add(x->out, a ? ", " : "");
        export_expr(x, e[a], HONE_DIALECT_C, false);
    }
    hone_str_add(x->out, "}");
}

static hone_code value_arg(exporting *x, const hone_launch *l, size_t i) {
    hone_dtype t;
    HONE_TRY(export_value_type(x, l, i, &t));
    size_t k = value_type(t);
    hone_str_addf(x->out, "    %s a%zu = (%s)", value_types[k].c, i, value_types[k].c);
    if (value_types[k].lo)
        hone_str_add(x->out, "x_within(bad, ");
    export_expr(x, l->args[i].value, HONE_DIALECT_C, hone_dtype_is_float(t));
    if (value_types[k].lo)
        hone_str_addf(x->out, ", %s, %s)", value_types[k].lo, value_types[k].hi);
    hone_str_add(x->out, ";\n");
    return HONE_OK;
}

static void pointer_arg(exporting *x, const hone_launch *l, size_t i) {
    char name[128];
    const hone_arg *a = export_arg(x->t, l->args[i].buffer);
    if (a && a->role == HONE_SCRATCH)
        hone_str_addf(x->out, "    CUdeviceptr a%zu = k->scratch[%zu].data;   // %s\n", i, scratch_index(x->t, a->name), a->name);
    else
        hone_str_addf(x->out, "    CUdeviceptr a%zu = b->%s.data;\n", i, c_name(l->args[i].buffer, name));
}

static hone_code launch(exporting *x, size_t i) {
    const hone_launch *l = &x->t->launches[i];
    hone_str_addf(x->out, "// %s<<<dim3(%s, %s, %s), dim3(%s, %s, %s), %s>>>\n", l->kernel, hone_expr_text(l->grid[0]),
                  hone_expr_text(l->grid[1]), hone_expr_text(l->grid[2]), hone_expr_text(l->block[0]), hone_expr_text(l->block[1]),
                  hone_expr_text(l->block[2]), l->smem ? hone_expr_text(l->smem) : "0");
    hone_str_addf(x->out, "static CUresult launch_%zu(", i);
    export_put(
        x,
        "@ *k, const @_params *v, const @_buffers *b, CUstream stream) {\n    bool overflow = false, *bad = &overflow;\n    (void)v;\n    (void)b;\n    shape s = {");
    axes(x, "grid", l->grid);
    hone_str_add(x->out, ",\n               ");
    axes(x, "block", l->block);
    hone_str_add(x->out, ",\n               ");
    if (l->cluster[0])
        axes(x, "cluster", l->cluster);
    else
        hone_str_add(x->out, ".cluster = {1, 1, 1}");
    hone_str_add(x->out, ", .shared = ");
    if (l->smem)
        export_expr(x, l->smem, HONE_DIALECT_C, false);
    else
        hone_str_add(x->out, "0");
    hone_str_addf(x->out, ", .clustered = %s, .cooperative = %s};\n", l->cluster[0] ? "true" : "false", l->cooperative ? "true" : "false");
    for (size_t k = 0; k < l->n_args; k++) {
        if (l->args[k].buffer)
            pointer_arg(x, l, k);
        else
            HONE_TRY(value_arg(x, l, k));
    }
    hone_str_add(x->out, "    void *args[] = {");
    for (size_t k = 0; k < l->n_args; k++)
        hone_str_addf(x->out, "&a%zu, ", k);
    hone_str_addf(x->out, "NULL};\n    return start(k, %zu, &s, overflow, args, stream);\n}\n\n", i);
    return HONE_OK;
}

static void run_all(exporting *x, bool has_scratch) {
    export_put(x, "CUresult @_launch(@ *k, const @_params *p, const @_buffers *b, CUstream stream) {\n"
                  "    static CUresult (*const launches[LAUNCHES])(@ *, const @_params *, const @_buffers *, CUstream) = {");
    for (size_t i = 0; i < x->t->n_launches; i++)
        hone_str_addf(x->out, "%slaunch_%zu", i ? ", " : "", i);
    hone_str_add(x->out, "};\n    k->message[0] = 0;\n    CUresult r = usable(k, p, b);\n");
    if (has_scratch)
        hone_str_add(x->out, "    if (r == CUDA_SUCCESS)\n        r = reserve_all(k, p);\n");
    hone_str_add(
        x->out,
        "    for (size_t i = 0; i < LAUNCHES && r == CUDA_SUCCESS; i++)\n        r = launches[i](k, p, b, stream);\n    return r;\n}\n");
}

hone_code export_c_source(exporting *x) {
    bool has_scratch = false;
    for (size_t i = 0; i < x->t->n_args; i++)
        has_scratch |= x->t->args[i].role == HONE_SCRATCH;
    export_put(x, "// @: see @.h for how to use it.\n");
    export_origin(x, "// ");
    export_put(x, "#include \"@.h\"\n");
    hone_str_add(x->out, prologue);
    symbols(x);
    export_put(x, handle);
    defaults(x);
    sizes(x);
    checks(x);
    scratch(x);
    export_put(x, starting);
    for (size_t i = 0; i < x->t->n_launches; i++)
        HONE_TRY(launch(x, i));
    run_all(x, has_scratch);
    return hone_str_check(x->out, "the C source", x->e);
}
