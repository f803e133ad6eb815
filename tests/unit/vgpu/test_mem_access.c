// Every load and store form against plain C: spaces × types × vector lengths × register widths × address patterns × lane masks.
#include "driver_fixture.h"

enum { BYTES = 2048, LANES = 32 };
typedef struct type { const char *name; unsigned bytes; bool is_signed; } type;
static const type types[] = {{"u8", 1, false}, {"s8", 1, true}, {"b8", 1, false}, {"u16", 2, false}, {"s16", 2, true}, {"u32", 4, false},
                             {"s32", 4, true}, {"b32", 4, false}, {"f32", 4, false}, {"u64", 8, false}, {"s64", 8, true}, {"f64", 8, false}};
static const char *const spaces[] = {"global", "generic", "nc", "volatile", "shared", "shared_generic", "local", "local_generic", "const"};
enum { N_SPACES = 9, N_PATTERNS = 6, N_MASKS = 6 };
static const uint32_t masks[N_MASKS] = {0xffffffffu, 0x1fu, 0x00fff000u, 0x55555555u, 0x80000000u, 0x00f0f00fu};
static uint8_t input[BYTES];

// Byte offset that lane l accesses, in units of W.
static uint32_t offset_of(unsigned pattern, unsigned l, unsigned W) {
    switch (pattern) {
    case 0: return l * W;
    case 1: return 5 * W;
    case 2: return (l * 3 % (BYTES / W)) * W;
    case 3: return (31 - l) * W;
    case 4: return (l * 7 % 16) * W;
    default: return ((l & 3) * 16 + l / 4) * W;
    }
}

static const char *register_class(const type *t, unsigned reg_bytes) {
    bool is_float = t->name[0] == 'f';
    return reg_bytes == 8 ? (is_float ? "f64" : "b64") : reg_bytes == 4 ? (is_float ? "f32" : "b32") : "b16";
}

static void add_copy_loop(hone_str *s, const char *to_space, const char *to) {   // 512 words from %in
    hone_str_addf(s, "mov.u32 %%i, 0;\nCOPY:\ncvt.u64.u32 %%w, %%i;\nadd.u64 %%x, %%in, %%w;\nld.global.u32 %%v, [%%x];\nadd.u64 %%x, %s, %%w;\n"
                  "st.%s.u32 [%%x], %%v;\nadd.u32 %%i, %%i, 4;\nsetp.lt.u32 %%q, %%i, %d;\n@%%q bra COPY;\n", to, to_space, BYTES);
}

// One thread per lane; lanes outside the mask skip the access, so that their out bytes stay as they were.
static char *build(const char *space, const type *t, unsigned V, unsigned reg_bytes, bool store) {
    hone_str s;
    hone_str_init(&s, 1 << 16);
    hone_str_addf(&s, PTX_HEAD ".const .align 16 .b8 table[%d];\n.visible .entry k(.param .u64 in, .param .u64 offs, .param .u64 out, .param .u32 mask)\n{\n"
                  ".reg .pred %%p, %%q;\n.reg .b32 %%t, %%o, %%m, %%i, %%v;\n.reg .b64 %%in, %%offs, %%out, %%x, %%w, %%base, %%a;\n"
                  ".reg .%s %%d<%u>;\n.shared .align 16 .b8 sh[%d];\n.local .align 16 .b8 lo[%d];\n"
                  "ld.param.u64 %%in, [in];\nld.param.u64 %%offs, [offs];\nld.param.u64 %%out, [out];\nld.param.u32 %%m, [mask];\nmov.u32 %%t, %%tid.x;\n",
                  BYTES, register_class(t, reg_bytes), V + 1, BYTES, BYTES);
    bool shared = strncmp(space, "shared", 6) == 0, local = strncmp(space, "local", 5) == 0, generic = strstr(space, "generic") != NULL;
    if (shared) {
        hone_str_add(&s, "mov.u64 %base, sh;\n");
        add_copy_loop(&s, "shared", "%base");
        hone_str_add(&s, "bar.sync 0;\n");
    } else if (local) {
        hone_str_add(&s, "mov.u64 %base, lo;\n");
        add_copy_loop(&s, "local", "%base");
    } else {
        hone_str_add(&s, strcmp(space, "const") == 0 ? "mov.u64 %base, table;\n" : "mov.u64 %base, %in;\n");
    }
    if (generic && (shared || local))
        hone_str_addf(&s, "cvta.%s.u64 %%base, %%base;\n", shared ? "shared" : "local");
    const char *kind = generic ? "" : strcmp(space, "nc") == 0 ? ".global.nc" : strcmp(space, "volatile") == 0 ? ".volatile.global" : NULL;
    char full[40];
    snprintf(full, sizeof full, "%s%s", kind ? "" : ".", kind ? kind : space);
    hone_str_add(&s, "mul.wide.u32 %x, %t, 4;\nadd.u64 %x, %x, %offs;\nld.global.u32 %o, [%x];\ncvt.u64.u32 %a, %o;\nadd.u64 %a, %a, %base;\n"
                     "mul.wide.u32 %x, %t, 32;\nadd.u64 %out, %out, %x;\nshr.u32 %m, %m, %t;\nand.b32 %m, %m, 1;\nsetp.ne.u32 %p, %m, 0;\n");
    char list[64] = "", vec[4] = "";
    for (unsigned e = 0; e < V; e++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%%d%u", e ? ", " : "", e);
    if (V > 1)
        snprintf(vec, sizeof vec, ".v%u", V);
    const char *reg_type = reg_bytes == 8 ? "b64" : reg_bytes == 4 ? "b32" : "b16";
    if (store) {   // values from `out`, to the place under test, then the whole of it back through ordinary loads is the caller's business
        for (unsigned e = 0; e < V; e++)
            hone_str_addf(&s, "ld.global.%s %%d%u, [%%out+%u];\n", reg_type, e, 8 * e);
        hone_str_addf(&s, "@%%p st%s%s.%s [%%a], {%s};\nret;\n}\n", full, vec, t->name, list);
    } else {
        hone_str_addf(&s, "@%%p ld%s%s.%s {%s}, [%%a];\n", full, vec, t->name, list);
        for (unsigned e = 0; e < V; e++)
            hone_str_addf(&s, "@%%p st.global.%s [%%out+%u], %%d%u;\n", reg_type, 8 * e, e);
        hone_str_add(&s, "ret;\n}\n");
    }
    return hone_str_take(&s);
}

static void strip_braces(char *ptx) {   // {%d0} of scalars
    for (char *p = ptx; (p = strstr(p, "{%d0}")) != NULL;) {
        memcpy(p, " %d0 ", 5);
        p += 5;
    }
}

static uint64_t expected_value(const uint8_t *from, const type *t, unsigned reg_bytes) {
    uint64_t v = 0;
    memcpy(&v, from, t->bytes);
    if (t->is_signed) {
        unsigned unused = 64 - 8 * t->bytes;
        v = (uint64_t)((int64_t)(v << unused) >> unused);
    }
    return reg_bytes == 8 ? v : v & ((1ull << 8 * reg_bytes) - 1);
}

static void check_load(CUfunction f, CUdeviceptr in, const type *t, unsigned V, unsigned reg_bytes, const char *space, unsigned pattern, uint32_t mask) {
    uint32_t offs[LANES];
    uint8_t out[LANES * 32];
    for (unsigned l = 0; l < LANES; l++)
        offs[l] = offset_of(pattern, l, t->bytes * V);
    memset(out, 0xee, sizeof out);
    CUdeviceptr doffs = upload(offs, sizeof offs), dout = upload(out, sizeof out);
    void *params[] = {&in, &doffs, &dout, &mask};
    assert_int_equal(run_kernel(f, 1, LANES, params), CUDA_SUCCESS);
    assert_int_equal(cuMemcpyDtoH_v2(out, dout, sizeof out), CUDA_SUCCESS);
    for (unsigned l = 0; l < LANES; l++)
        for (unsigned e = 0; e < V; e++) {
            uint64_t want = 0xeeeeeeeeeeeeeeeeull, got;
            memcpy(&got, out + l * 32 + 8 * e, 8);
            if (mask >> l & 1) {
                uint64_t v = expected_value(input + offs[l] + e * t->bytes, t, reg_bytes);
                memcpy(&want, &v, reg_bytes);
            }
            if (got != want)
                fail_msg("ld.%s.v%u.%s into %u bytes, pattern %u, mask %08x: lane %u element %u is %llx, not %llx", space, V, t->name, reg_bytes, pattern,
                         mask, l, e, (unsigned long long)got, (unsigned long long)want);
        }
    cuMemFree_v2(doffs);
    cuMemFree_v2(dout);
}

static void loads_match(void **state) {
    (void)state;
    CUdeviceptr in = upload(input, BYTES);
    for (unsigned s = 0; s < N_SPACES; s++)
        for (unsigned i = 0; i < HONE_COUNT(types); i++)
            for (unsigned V = 1; V <= 4 && V * types[i].bytes <= 16; V *= 2)
                for (unsigned reg = types[i].bytes < 2 ? 2 : types[i].bytes; reg <= (types[i].name[0] == 'f' ? types[i].bytes : 8); reg *= 2) {
                    char *ptx = build(spaces[s], &types[i], V, reg, false);
                    strip_braces(ptx);
                    CUmodule m;
                    CUfunction f;
                    CUdeviceptr table;
                    assert_int_equal(cuModuleLoadData(&m, ptx), CUDA_SUCCESS);
                    assert_int_equal(cuModuleGetFunction(&f, m, "k"), CUDA_SUCCESS);
                    assert_int_equal(cuModuleGetGlobal_v2(&table, NULL, m, "table"), CUDA_SUCCESS);
                    assert_int_equal(cuMemcpyHtoD_v2(table, input, BYTES), CUDA_SUCCESS);
                    for (unsigned p = 0; p < N_PATTERNS; p++)
                        for (unsigned k = 0; k < N_MASKS; k++)
                            check_load(f, in, &types[i], V, reg, spaces[s], p, masks[k]);
                    cuModuleUnload(m);
                    hone_free(ptx);
                }
    no_finding();
}

static void check_store(CUfunction f, const type *t, unsigned V, unsigned pattern, uint32_t mask) {
    uint32_t offs[LANES];
    uint8_t values[LANES * 32], want[BYTES], got[BYTES];
    for (unsigned l = 0; l < LANES; l++)
        offs[l] = offset_of(pattern, l, t->bytes * V);
    for (unsigned i = 0; i < sizeof values; i++)
        values[i] = (uint8_t)(i * 37 + 11);
    memset(want, 0x33, sizeof want);
    for (unsigned l = 0; l < LANES; l++)   // lanes in order: the highest wins, here and on the virtual GPU
        for (unsigned e = 0; e < V && (mask >> l & 1); e++)
            memcpy(want + offs[l] + e * t->bytes, values + l * 32 + 8 * e, t->bytes);
    CUdeviceptr target = upload(NULL, BYTES), doffs = upload(offs, sizeof offs), dvalues = upload(values, sizeof values);
    assert_int_equal(cuMemsetD8_v2(target, 0x33, BYTES), CUDA_SUCCESS);
    assert_int_equal(honeVgpuForget(target, BYTES), 0);
    void *params[] = {&target, &doffs, &dvalues, &mask};
    assert_int_equal(run_kernel(f, 1, LANES, params), CUDA_SUCCESS);
    uint64_t unwritten, first, written = 0;
    assert_int_equal(honeVgpuUnwritten(target, BYTES, &unwritten, &first), 0);
    for (unsigned i = 0; i < BYTES; i++) {
        bool hit = false;
        for (unsigned l = 0; l < LANES; l++)
            hit |= (mask >> l & 1) && i >= offs[l] && i < offs[l] + t->bytes * V;
        written += hit;
    }
    assert_int_equal(unwritten, BYTES - written);
    assert_int_equal(cuMemcpyDtoH_v2(got, target, BYTES), CUDA_SUCCESS);
    if (memcmp(got, want, BYTES) != 0)
        fail_msg("st.v%u.%s, pattern %u, mask %08x", V, t->name, pattern, mask);
    cuMemFree_v2(target);
    cuMemFree_v2(doffs);
    cuMemFree_v2(dvalues);
}

static void global_stores_match(void **state) {
    (void)state;
    static const char *const store_spaces[] = {"global", "generic", "volatile"};
    for (unsigned s = 0; s < 3; s++)
        for (unsigned i = 0; i < HONE_COUNT(types); i++)
            for (unsigned V = 1; V <= 4 && V * types[i].bytes <= 16; V *= 2) {
                char *ptx = build(store_spaces[s], &types[i], V, types[i].bytes < 2 ? 2 : types[i].bytes, true);
                strip_braces(ptx);
                CUfunction f = load_kernel(ptx, "k");
                for (unsigned p = 0; p < N_PATTERNS; p++)
                    for (unsigned k = 0; k < N_MASKS; k++)
                        check_store(f, &types[i], V, p, masks[k]);
                hone_free(ptx);
            }
    no_finding();
}

int main(void) {
    for (unsigned i = 0; i < BYTES; i++)
        input[i] = (uint8_t)(i * 101 + i / 256 + 128);
    const struct CMUnitTest tests[] = {cmocka_unit_test(loads_match), cmocka_unit_test(global_stores_match)};
    return cmocka_run_group_tests(tests, open_context, close_context);
}
