// Speed of reading PTX: milliseconds per ptx_parse of one file, or of a kernel of 20,000 generated lines when none is given. Prints one
// line; asserts nothing.
//     build/ptx_load [FILE.ptx] [rounds]
#include "ptx/ptx.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(hone_code c, const hone_err *e) {
    if (c != HONE_OK) {
        fprintf(stderr, "ptx_load: %s\n", e->msg);
        exit(1);
    }
}

// What a compiler writes for an unrolled loop: loads, arithmetic, a comparison and a branch, with a .loc before every group.
static void generate(hone_str *b) {
    hone_str_add(b, ".version 8.0\n.target sm_90\n.address_size 64\n.file 1 \"generated.cu\"\n"
                    ".visible .entry k(.param .u64 p, .param .u32 n)\n{\n"
                    ".reg .pred %p<4001>;\n.reg .f32 %f<8001>;\n.reg .b32 %r<8001>;\n.reg .b64 %rd<8001>;\nld.param.u64 %rd0, [p];\n");
    for (int i = 0; i < 2500; i++)
        hone_str_addf(b,
                      ".loc 1 %d 5\n$L_%d:\nld.global.nc.f32 %%f%d, [%%rd%d+%d];\nfma.rn.f32 %%f%d, %%f%d, %%f%d, 0f3F800000;\n"
                      "mad.lo.s32 %%r%d, %%r%d, 17, %%r%d;\nadd.s64 %%rd%d, %%rd%d, 16;\nsetp.lt.s32 %%p%d, %%r%d, %d;\n"
                      "@%%p%d bra $L_%d;\n",
                      i + 1, i, i, i, 4 * i, i + 1, i, i, i + 1, i, i, i + 1, i, i, i + 1, i, i, i / 2);
    hone_str_add(b, "ret;\n}\n");
}

int main(int argc, char **argv) {
    const int rounds = argc > 2 ? atoi(argv[2]) : 20;
    const hone_clock clock = hone_clock_monotonic();
    hone_err e = {0};
    hone_str made;
    char *text = NULL;
    size_t len, lines = 0;
    hone_str_init(&made, (size_t)16 << 20);
    if (argc > 1) {
        must(hone_read_file(argv[1], (size_t)256 << 20, &text, &len, &e), &e);
    } else {
        generate(&made);
        must(hone_str_check(&made, "generated PTX", &e), &e);
        len = made.len;
    }
    const char *ptx = text ? text : made.s;
    for (size_t i = 0; i < len; i++)
        lines += ptx[i] == '\n';
    const double t0 = hone_now_s(&clock);
    for (int i = 0; i < rounds; i++) {
        ptx_module *m = NULL;
        must(ptx_parse(ptx, len, &m, &e), &e);
        ptx_free(m);
    }
    const double ms = (hone_now_s(&clock) - t0) * 1e3 / rounds;
    printf("%s: %zu lines, %zu bytes: %.2f ms, %.1f MB/s\n", argc > 1 ? argv[1] : "generated", lines, len, ms, (double)len / ms * 1e-3);
    hone_free(text);
    hone_str_free(&made);
    return 0;
}
