// Tensor maps that kernels change (tensormap.replace, cp_fenceproxy) and im2col copies, against a walk over all pixels written here.
#include "exec_fixture.h"
#include "vgpu/tensormap.h"

static const fx_options g_checked = {.flags = HONE_VGPU_CHECK, .threads = 1};
static void no_findings(fixture *f) {
    honeVgpuFinding x[2];
    if (fx_findings(f, x, 2))
        fail_msg("%s: %s (ptx line %u)", x[0].kind, x[0].message, x[0].ptx_line);
}
static void the_finding(fixture *f, const char *kind) {
    honeVgpuFinding x[2] = {0};
    if (fx_findings(f, x, 2) != 1 || strcmp(x[0].kind, kind) != 0)
        fail_msg("not one %s but: %s: %s", kind, x[0].kind, x[0].message);
}

// As in test_bulk: %d1 data, %d2 out, %d3 a tensor map in global memory, %r1 thread, %r2 shared memory, %r3 mbarrier, %q thread 0.
#define KERNEL(body) PTX_HEAD ".visible .entry k(.param .u64 p, .param .u64 q, .param .u64 m)\n{\n" \
    ".reg .pred %q, %z; .reg .b16 %h<4>; .reg .b32 %r<30>; .reg .b64 %d<12>; .shared .align 1024 .b8 s[16384]; .shared .align 128 .b8 copy[128]; .shared .align 8 .b64 bar;\n" \
    "ld.param.u64 %d1, [p]; ld.param.u64 %d2, [q]; ld.param.u64 %d3, [m]; mov.u32 %r1, %tid.x; mov.u32 %r2, s; mov.u32 %r3, bar; setp.eq.u32 %q, %r1, 0;\n" \
    "mov.u32 %r4, 1; @%q mbarrier.init.shared::cta.b64 [%r3], %r4; @%q fence.proxy.async.shared::cta; bar.sync 0;\n" \
    "mul.wide.u32 %d6, %r1, 4; add.s64 %d7, %d2, %d6; shl.b32 %r5, %r1, 2; add.u32 %r6, %r2, %r5;\n" body "\nret;\n}\n"
#define WAIT "W: mbarrier.try_wait.parity.shared::cta.b64 %z, [%r3], 0; @!%z bra W;\n"
// shared memory → out, %r22 bytes
#define OUT "mov.u32 %r23, 0;\nL: ld.shared.u32 %r7, [%r6]; st.global.u32 [%d7], %r7; add.u32 %r6, %r6, 128; add.s64 %d7, %d7, 128; add.u32 %r23, %r23, 128;\n" \
    "setp.lt.u32 %z, %r23, %r22; @%z bra L;"

static void start(fixture *f, const char *text, size_t in_bytes, size_t out_bytes, const vg_tensormap *map) {
    fx_load(f, text);
    uint32_t *in = fx_buffer(f, NULL, in_bytes);
    fx_buffer(f, NULL, out_bytes);
    for (uint32_t i = 0; i < in_bytes / 4; i++)
        in[i] = 1000 + i;
    vg_tensormap *m = fx_buffer(f, map, sizeof *map);
    m->address = f->buf[0]->base;
}
static const uint32_t *out_of(const fixture *f) { return (const uint32_t *)(const void *)f->buf[1]->host; }

// Every field of a 2-d map of 8-bit elements becomes that of another tensor: in global memory, and in shared memory from where it is published.
static void fields_are_replaced(void **state) {
    (void)state;
#define REPLACE(f, at) \
    "@%q tensormap.replace.tile.global_address" f ".b1024.b64 [" at "], %d8; @%q tensormap.replace.tile.rank" f ".b1024.b32 [" at "], 2;\n" \
    "@%q tensormap.replace.tile.elemtype" f ".b1024.b32 [" at "], 2; @%q tensormap.replace.tile.swizzle_mode" f ".b1024.b32 [" at "], 0;\n" \
    "@%q tensormap.replace.tile.interleave_layout" f ".b1024.b32 [" at "], 0; @%q tensormap.replace.tile.fill_mode" f ".b1024.b32 [" at "], 0;\n" \
    "mov.u32 %r10, 6; @%q tensormap.replace.tile.global_dim" f ".b1024.b32 [" at "], 0, %r10; @%q tensormap.replace.tile.global_dim" f ".b1024.b32 [" at "], 1, 5;\n" \
    "@%q tensormap.replace.tile.global_dim" f ".b1024.b32 [" at "], 2, 3; mov.u64 %d9, 32; @%q tensormap.replace.tile.global_stride" f ".b1024.b64 [" at "], 0, %d9;\n" \
    "@%q tensormap.replace.tile.global_stride" f ".b1024.b64 [" at "], 1, 160; @%q tensormap.replace.tile.box_dim" f ".b1024.b32 [" at "], 0, 8;\n" \
    "@%q tensormap.replace.tile.box_dim" f ".b1024.b32 [" at "], 1, 3; @%q tensormap.replace.tile.box_dim" f ".b1024.b32 [" at "], 2, 2;\n" \
    "@%q tensormap.replace.tile.element_stride" f ".b1024.b32 [" at "], 1, 2; @%q tensormap.replace.tile.element_stride" f ".b1024.b32 [" at "], 2, 1;\n"
#define USE "fence.proxy.tensormap::generic.acquire.gpu [%d3], 128; mov.u32 %r20, -4; mov.u32 %r21, 1; mov.u32 %r24, 2; mov.u32 %r22, 128;\n" \
    "@%q mbarrier.arrive.expect_tx.shared::cta.b64 %d9, [%r3], 128;\n" \
    "@%q cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%r2], [%d3, {%r20, %r21, %r24}], [%r3];\n" WAIT OUT
    static const char *const texts[] = {
        KERNEL("add.s64 %d8, %d1, 64; " REPLACE(".global", "%d3") "fence.proxy.tensormap::generic.release.gpu; " USE),
        KERNEL("add.s64 %d8, %d1, 64; " REPLACE("", "%d3") USE),
        KERNEL("add.s64 %d8, %d1, 64; mov.u32 %r11, copy; add.u32 %r12, %r11, %r5; add.s64 %d10, %d3, %d6; ld.global.u32 %r13, [%d10]; st.shared.u32 [%r12], %r13; bar.sync 0;\n"
               REPLACE(".shared::cta", "copy") "bar.sync 0; tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic.release.gpu.sync.aligned [%d3], [%r11], 128;\n" USE)};
    const uint64_t dims[2] = {32, 4}, strides[1] = {32};
    const uint32_t box[2] = {32, 4}, steps[2] = {1, 1};
    vg_tensormap map;
    assert_null(vg_tensormap_encode(&map, 0, 2, 256, dims, strides, box, steps, 0, VG_SWIZZLE_32B, 0));
    for (size_t i = 0; i < HONE_COUNT(texts); i++) {
        fixture f;
        start(&f, texts[i], 1024, 128, &map);
        assert_int_equal(fx_launch(&f, 1, 32, &g_checked, 0, NULL), 0);
        no_findings(&f);
        for (unsigned k = 0; k < 32; k++) {   // 8 wide, rows 1 and 3, planes 2 and 3: plane 3 and columns -4 to -1 are outside
            const int x = (int)(k % 8) - 4, y = 1 + (int)(k / 8 % 2) * 2, z = 2 + (int)(k / 16);
            const uint32_t want = x < 0 || x >= 6 || z >= 3 ? 0 : 1000 + 16 + (uint32_t)(z * 40 + y * 8 + x);
            if (out_of(&f)[k] != want)
                fail_msg("way %zu word %u: %u, expected %u", i, k, out_of(&f)[k], want);
        }
        fx_free(&f);
    }
}

static void maps_without_sense_are_found(void **state) {
    (void)state;
    static const struct { const char *text, *kind; uint32_t fault; } t[] = {
#define COPY "@%q cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%r2], [%d3, {%r1, %r1}], [%r3];"
        {KERNEL("mov.u32 %r7, 4000; @%q tensormap.replace.tile.box_dim.global.b1024.b32 [%d3], 0, %r7;" COPY), "async.tensor-map", 715},
        {KERNEL("mov.u32 %r7, 9; @%q tensormap.replace.tile.element_stride.global.b1024.b32 [%d3], 1, %r7;" COPY), "async.tensor-map", 715},
        {KERNEL("mov.u64 %d8, 24; @%q tensormap.replace.tile.global_stride.global.b1024.b64 [%d3], 0, %d8;" COPY), "async.tensor-map", 715},
        {KERNEL("mov.u32 %r7, 7; @%q tensormap.replace.tile.rank.global.b1024.b32 [%d3], %r7;" COPY), "async.tensor-map", 715},
        {KERNEL("mov.u32 %r7, 3; @%q tensormap.replace.tile.rank.global.b1024.b32 [%d1], %r7;"), "async.tensor-map", 715},
        {KERNEL("mov.u32 %r7, 3; @%q tensormap.replace.tile.rank.global.b1024.b32 [%d3+32], %r7;"), "memory.misaligned", 716},
        // a first coordinate that is no multiple of 16 bytes, as an H100 has it
        {KERNEL("mov.u32 %r7, -3; @%q cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%r2], [%d3, {%r7, %r1}], [%r3];"), "memory.misaligned", 715},
        {KERNEL("mov.u32 %r7, 2; @%q cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%d3, {%r7, %r1}], [%r2];"), "memory.misaligned", 715},
        {KERNEL("mov.u16 %h1, 0; @%q cp.async.bulk.tensor.3d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes [%r2], [%d3, {%r1, %r1, %r1}], [%r3], {%h1};"),
         "async.tensor-map", 715}};
    const uint64_t dims[2] = {32, 4}, strides[1] = {128};
    const uint32_t box[2] = {32, 4}, steps[2] = {1, 1};
    vg_tensormap map;
    assert_null(vg_tensormap_encode(&map, 2, 2, 256, dims, strides, box, steps, 0, 0, 0));
    for (size_t i = 0; i < HONE_COUNT(t); i++) {
        fixture f;
        start(&f, t[i].text, 512, 128, &map);
        const uint32_t fault = fx_launch(&f, 1, 32, &g_checked, 0, NULL);
        the_finding(&f, t[i].kind);
        assert_int_equal(fault, t[i].fault);
        fx_free(&f);
    }
}

// One im2col load of 4 channels of 32 bits from N x H x W (x D) images: all pixels of the box listed in order, then taken from the given one on.
typedef struct walk { unsigned rank; int size[5], low[3], high[3], step[3], start[5], offset[3]; unsigned pixels; } walk;
static void walk_of(const walk *t, uint32_t *want) {   // size: 4 channels, then w, h, d, and images last
    const unsigned spatial = t->rank - 2;
    static int list[1 << 16][4];
    size_t n = 0, first = SIZE_MAX;
    for (int image = 0; image < 64; image++)   // more images than there are: they are outside
        for (int d = spatial > 2 ? t->low[2] : 0; d <= (spatial > 2 ? t->size[3] - 1 + t->high[2] : 0); d += spatial > 2 ? t->step[2] : 1)
            for (int h = spatial > 1 ? t->low[1] : 0; h <= (spatial > 1 ? t->size[2] - 1 + t->high[1] : 0); h += spatial > 1 ? t->step[1] : 1)
                for (int w = t->low[0]; w <= t->size[1] - 1 + t->high[0]; w += t->step[0]) {
                    const int here[4] = {w, h, d, image};
                    if (w == t->start[1] && (spatial < 2 || h == t->start[2]) && (spatial < 3 || d == t->start[3]) && image == t->start[t->rank - 1])
                        first = n;
                    assert_true(n < HONE_COUNT(list));
                    memcpy(list[n++], here, sizeof here);
                }
    assert_true(first + t->pixels <= n);
    for (unsigned p = 0; p < t->pixels; p++)
        for (int c = 0; c < 4; c++) {
            const int *at = list[first + p];
            int64_t index = at[3];
            bool inside = at[3] < t->size[t->rank - 1] && t->start[0] + c < t->size[0] && t->start[0] + c >= 0;
            for (unsigned i = spatial; i-- > 0;) {
                const int x = at[i] + t->offset[i];
                inside = inside && x >= 0 && x < t->size[i + 1];
                index = index * t->size[i + 1] + x;
            }
            want[4 * p + (unsigned)c] = inside ? (uint32_t)(1000 + index * t->size[0] + t->start[0] + c) : 0;
        }
}

static vg_tensormap map_of(const walk *t) {
    uint64_t dims[5], strides[4], bytes = 4;
    uint32_t steps[5] = {1, 1, 1, 1, 1};
    vg_tensormap map;
    for (unsigned i = 0; i < t->rank; i++) {
        dims[i] = (uint64_t)t->size[i];
        bytes *= dims[i];
        if (i + 1 < t->rank)
            strides[i] = bytes;
        if (i && i + 1 < t->rank)
            steps[i] = (uint32_t)t->step[i - 1];
    }
    const char *wrong = vg_tensormap_encode_im2col(&map, 2, t->rank, 256, dims, strides, t->low, t->high, 4, t->pixels, steps, 0, 0, 0);
    if (wrong)
        fail_msg("%s", wrong);
    return map;
}

static void im2col_walks_over_pixels(void **state) {
    (void)state;
    static const walk t[] = {
        {4, {4, 5, 4, 3}, {-1, -1}, {-1, -1}, {1, 1}, {0, -1, -1, 0}, {0, 0}, 40},         // 3x3 filter with a border: corner of the first image
        {4, {4, 5, 4, 3}, {-1, -1}, {-1, -1}, {1, 1}, {0, 2, 1, 1}, {2, 1}, 50},           // from the middle on, runs past the last image
        {4, {8, 7, 6, 2}, {-1, -1}, {-1, -1}, {2, 2}, {4, 1, -1, 0}, {1, 2}, 20},          // strides of two, second half of the channels
        {3, {8, 9, 4}, {-2}, {-2}, {1}, {8, 3, 1}, {4}, 25},                               // 1-d filter of five; the channels outside
        {5, {4, 4, 3, 3, 2}, {0, -1, -1}, {0, -1, -1}, {1, 1, 1}, {0, 0, -1, -1, 0}, {0, 2, 1}, 64}};
    for (size_t i = 0; i < HONE_COUNT(t); i++) {
        const walk *x = &t[i];
        static const char *const parts[] = {"{%r10, %r11, %r12}], [%r3], {%h1}", "{%r10, %r11, %r12, %r13}], [%r3], {%h1, %h2}",
                                            "{%r10, %r11, %r12, %r13, %r14}], [%r3], {%h1, %h2, %h3}"};
        char text[4096], body[2048];
        const char *whole = KERNEL("#");
        fixture f;
        uint32_t want[4 * 64] = {0};
        const vg_tensormap map = map_of(x);
        size_t words = 1;
        for (unsigned k = 0; k < x->rank; k++)
            words *= (size_t)x->size[k];
        snprintf(body, sizeof body, "mov.u32 %%r10, %d; mov.u32 %%r11, %d; mov.u32 %%r12, %d; mov.u32 %%r13, %d; mov.u32 %%r14, %d; mov.u16 %%h1, %d; mov.u16 %%h2, %d;\n"
                 "mov.u16 %%h3, %d; mov.u32 %%r22, %u; @%%q mbarrier.arrive.expect_tx.shared::cta.b64 %%d9, [%%r3], %%r22;\n"
                 "@%%q cp.async.bulk.tensor.%ud.shared::cluster.global.im2col.mbarrier::complete_tx::bytes [%%r2], [%%d3, %s;\n%s", x->start[0], x->start[1], x->start[2],
                 x->start[3], x->start[4], x->offset[0], x->offset[1], x->offset[2], 16 * x->pixels, x->rank, parts[x->rank - 3], WAIT OUT);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(strchr(whole, '#') - whole), whole, body, strchr(whole, '#') + 1);
        start(&f, text, words * 4, 4096, &map);
        const uint32_t fault = fx_launch(&f, 1, 32, &g_checked, 0, NULL);
        walk_of(x, want);
        for (unsigned k = 0; k < 4 * x->pixels; k++)
            if (out_of(&f)[k] != want[k])
                fail_msg("walk %zu pixel %u channel %u: %u, expected %u (fault %u)", i, k / 4, k % 4, out_of(&f)[k], want[k], fault);
        fx_free(&f);
    }
}

static void im2col_stores_without_offsets(void **state) {
    (void)state;
    static const walk x = {4, {4, 5, 4, 2}, {-1, -1}, {-1, -1}, {1, 1}, {0, 1, 0, 0}, {0, 0}, 16};
    const vg_tensormap map = map_of(&x);
    uint32_t from[64] = {0};
    fixture f;
    start(&f, KERNEL("mov.u32 %r23, 0;\nL: add.u32 %r7, %r5, %r23; st.shared.u32 [%r6], %r7; add.u32 %r6, %r6, 128; add.u32 %r23, %r23, 128; setp.lt.u32 %z, %r23, 256; @%z bra L;\n"
                     "bar.sync 0; mov.u32 %r10, 0; mov.u32 %r11, 1;\n"
                     "@%q cp.async.bulk.tensor.4d.global.shared::cta.im2col_no_offs.bulk_group [%d3, {%r10, %r11, %r10, %r10}], [%r2]; @%q cp.async.bulk.commit_group;\n"
                     "@%q cp.async.bulk.wait_group 0;"), 4 * 4 * 5 * 4 * 2, 128, &map);
    assert_int_equal(fx_launch(&f, 1, 32, &g_checked, 0, NULL), 0);
    no_findings(&f);
    walk_of(&x, from);   // where pixel k, channel c comes from is where it goes
    const uint32_t *data = (const uint32_t *)(const void *)f.buf[0]->host;
    unsigned stored = 0;
    for (unsigned k = 0; k < 64; k++)
        if (from[k]) {
            assert_int_equal(data[from[k] - 1000], 4 * k);
            stored++;
        }
    assert_true(stored >= 32);
    fx_free(&f);
}

static void im2col_maps_refused(void **state) {
    (void)state;
    vg_tensormap t;
    const uint64_t dims[4] = {8, 8, 8, 2}, strides[3] = {32, 256, 2048};
    const uint32_t steps[4] = {1, 1, 1, 1};
    const int low[2] = {-1, -1}, far[2] = {-129, 0};
    assert_null(vg_tensormap_encode_im2col(&t, 2, 4, 256, dims, strides, low, low, 8, 64, steps, 0, 0, 0));
    assert_non_null(vg_tensormap_encode_im2col(&t, 2, 2, 256, dims, strides, low, low, 8, 64, steps, 0, 0, 0));
    assert_non_null(vg_tensormap_encode_im2col(&t, 2, 4, 256, dims, strides, far, low, 8, 64, steps, 0, 0, 0));
    assert_non_null(vg_tensormap_encode_im2col(&t, 2, 4, 256, dims, strides, low, low, 8, 1025, steps, 0, 0, 0));
    assert_non_null(vg_tensormap_encode_im2col(&t, 2, 4, 256, dims, strides, low, low, 3, 64, steps, 0, 0, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(fields_are_replaced),           cmocka_unit_test(maps_without_sense_are_found),
                                       cmocka_unit_test(im2col_walks_over_pixels),      cmocka_unit_test(im2col_stores_without_offsets),
                                       cmocka_unit_test(im2col_maps_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
