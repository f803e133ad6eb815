// Exported loaders, compiled and run against a driver that prints its calls: what they launch must be what the plan says.
#include "export/export.h"
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static const char odd_task[] =
    "#pragma hone size    M=100 lambda=7\n"
    "#pragma hone in      in float[M][lambda] ~ normal(0, 1)\n"
    "#pragma hone inout   new int32[M] ~ int(0, 9)\n"
    "#pragma hone out     out float[max(M, lambda)*2]\n"
    "#pragma hone scratch tmp double[cdiv(M, BM)]\n"
    "#pragma hone scalar  alpha float = 0.5\n"
    "#pragma hone scalar  rows int32 = M/3\n"
    "#pragma hone scalar  k int64 = 1<<3\n"
    "#pragma hone tune    BM={32}\n"
    "#pragma hone launch  first<<<dim3(cdiv(M, BM), M > 64 ? 2 : 1), dim3(BM, 2), BM*512*(lambda%4)+16384>>>(in, tmp, rows, alpha*2)\n"
    "#pragma hone launch  second<<<round_up(M, 8), 64>>>(tmp, new, out, k, lambda) cooperative\n"
    "#ifndef BM\n#define BM 32\n#endif\n"
    "extern \"C\" __global__ void first(const float *in, double *tmp, int rows, float alpha) { if (rows < 0) tmp[0] = in[0] * alpha; }\n"
    "__global__ void second(double *tmp, int *n, float *out, long long k, int lambda) { out[0] = (float)(tmp[0] + n[0] + k + lambda); }\n";
static const char odd_ptx[] = ".visible .entry first(\n)\n{ }\n.visible .entry _Z6secondPdPiPfli(\n)\n{ }\n";

static hone_task *parse(const char *text) {
    hone_diags diags = {.arena = hone_arena_new(1 << 20)};
    hone_err e = {0};
    hone_task *t = NULL;
    hone_code c = hone_task_parse("odd.cu", text, strlen(text), &t, &diags, &e);
    hone_str s;
    hone_str_init(&s, 1 << 16);
    hone_diags_print(&diags, "odd.cu", text, strlen(text), &s);
    if (c != HONE_OK)
        fail_msg("%s", s.s);
    hone_str_free(&s);
    hone_arena_free(diags.arena);
    return t;
}

static char *run(const char *format, ...) {
    char command[4096];
    va_list a;
    va_start(a, format);
    vsnprintf(command, sizeof command, format, a);
    va_end(a);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    char *out = calloc(1, 65536);
    size_t n = fread(out, 1, 65535, f);
    out[n] = 0;
    int status = pclose(f);
    if (status != 0)
        fail_msg("status %d: %s\n%s", status, command, out);
    return out;
}

typedef struct fixture {
    char dir[64];
    hone_task *task;
} fixture;

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    strcpy(f->dir, "/tmp/hone-export-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->task = parse(odd_task);
    hone_err e = {0};
    json_t *files = NULL;
    hone_export_input in = {.task = f->task, .ptx = odd_ptx, .ptx_len = sizeof odd_ptx - 1, .cubin = "cubin", .cubin_len = 5};
    if (hone_export_write(f->dir, &in, &files, &e) != HONE_OK)
        fail_msg("%s", e.msg);
    assert_int_equal(json_array_size(files), 8);
    json_decref(files);
    free(run(
        "cp %s/unit/export/fake_cuda.h %s/cuda.h && cc -shared -fPIC -Wall -Werror -I%s -o %s/libcuda.so %s/unit/export/fake_cuda.c 2>&1",
        TESTS_DIR, f->dir, f->dir, f->dir, TESTS_DIR));
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    free(run("rm -r '%s'", f->dir));
    hone_task_free(f->task);
    free(f);
    return 0;
}

// grid: cdiv(100,32)=4, 2; shared: 32*512*3+16384 = 65536; rows: 33; alpha*2
#define FIRST_CALL                                                                                                                         \
    "launch first grid 4 2 1 block 32 2 1 shared 65536 args 0x1000 0xabc000 33 1\n"                                                        \
    "launch _Z6secondPdPiPfli grid 104 1 1 block 64 1 1 shared 0 cooperative 1 args 0xabc000 0x2000 0x3000 8 7\n"
#define LARGER_CALL                                                                                                                        \
    "launch first grid 128 2 1 block 32 2 1 shared 65536 args 0x1000 0xabc000 1365 6\n"                                                    \
    "launch _Z6secondPdPiPfli grid 4096 1 1 block 64 1 1 shared 0 cooperative 1 args 0xabc000 0x2000 0x3000 8 7\n"

static void c_loader_launches_the_plan(void **state) {
    const fixture *f = *state;
    free(run(
        "cd %s && cc -std=c17 -Wall -Wextra -Wshadow -Wconversion -Werror -I. -o use %s/unit/export/use_loader.c odd.c libcuda.so -lm -Wl,-rpath,%s 2>&1",
        f->dir, TESTS_DIR, f->dir));
    char *out = run("%s/use %s", f->dir, f->dir);
    assert_string_equal(out, "load odd.ptx\n"
                             "bytes 2800 400 800\n"
                             "scratch 32\n"
                             "attribute first 8 65536\n" FIRST_CALL "0\n"
                             "1 odd: buffer 'in' is missing or too small (CUDA_ERROR_INVALID_VALUE)\n"
                             "scratch 1024\n"
                             "attribute first 8 65536\n" LARGER_CALL "0\n"
                             "1 odd: a size is not positive, or too large (CUDA_ERROR_INVALID_VALUE)\n");
    free(out);
}

static void header_is_cpp(void **state) {
    const fixture *f = *state;
    free(run(
        "cd %s && (command -v c++ >/dev/null || exit 0; echo '#include \"odd.h\"' | c++ -Wall -Wextra -Werror -I. -fsyntax-only -x c++ - 2>&1)",
        f->dir));
}

static void python_loader_launches_the_plan(void **state) {
    const fixture *f = *state;
    char *out =
        run("LIBCUDA=%s/libcuda.so PYTHONDONTWRITEBYTECODE=1 python3 %s/unit/export/use_loader.py %s 2>&1", f->dir, TESTS_DIR, f->dir);
    assert_string_equal(out, "bytes 2800 400 800\n"
                             "load odd.ptx\n"
                             "scratch 32\n"
                             "attribute first 8 65536\n" FIRST_CALL "0\n"
                             "ValueError buffer in has 2800 bytes; 114688 are needed\n"
                             "scratch 1024\n"
                             "attribute first 8 65536\n" LARGER_CALL "0\n"
                             "ValueError size M is 9223372036854775807; 1 to 2**40 are allowed\n");
    free(out);
}

static void torch_operator_is_python(void **state) {
    const fixture *f = *state;
    free(run("python3 -c \"import ast; ast.parse(open('%s/odd_torch.py').read())\" 2>&1", f->dir));
    char *out = run("grep -c 'in_: torch.Tensor, new: torch.Tensor, out: torch.Tensor' %s/odd_torch.py", f->dir);
    assert_string_equal(out, "1\n");
    free(out);
}

static void plan_has_text_and_numbers(void **state) {
    const fixture *f = *state;
    hone_err e = {0};
    json_t *p = hone_export_plan(f->task, NULL, "odd", odd_ptx, &e);
    assert_non_null(p);
    json_t *first = json_array_get(json_object_get(p, "launches"), 0), *second = json_array_get(json_object_get(p, "launches"), 1);
    json_t *grid = json_object_get(first, "grid"), *args = json_object_get(first, "args");
    assert_string_equal(json_string_value(json_object_get(p, "schema")), "hone.launch/1");
    assert_string_equal(json_string_value(json_array_get(json_object_get(grid, "expr"), 0)), "cdiv(M,BM)");
    assert_int_equal(json_integer_value(json_array_get(json_object_get(grid, "value"), 0)), 4);
    assert_string_equal(json_string_value(json_object_get(second, "symbol")), "_Z6secondPdPiPfli");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(args, 2), "number")), 33);
    assert_string_equal(json_string_value(json_object_get(json_array_get(args, 3), "type")), "float");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(p, "tuning"), "BM")), 32);
    json_decref(p);
}

static void existing_files_are_kept(void **state) {
    const fixture *f = *state;
    hone_err e = {0};
    json_t *files = NULL;
    hone_export_input in = {.task = f->task, .ptx = odd_ptx, .ptx_len = sizeof odd_ptx - 1};
    assert_int_equal(hone_export_write(f->dir, &in, &files, &e), HONE_E_USAGE);
    assert_null(files);
    assert_non_null(strstr(e.msg, "exists already"));
    in.overwrite = true;
    e = (hone_err){0};
    assert_int_equal(hone_export_write(f->dir, &in, &files, &e), HONE_OK);
    json_decref(files);
}

static void value_that_c_cannot_pass(void **state) {
    const fixture *f = *state;
    hone_task *t =
        parse("#pragma hone size n=4\n#pragma hone out y float[n]\n#pragma hone launch h<<<1, 32>>>(y, 1.0)\n#include <cuda_fp16.h>\n"
              "extern \"C\" __global__ void h(float *y, __half s) { y[threadIdx.x % 4] = __half2float(s); }\n");
    hone_err e = {0};
    json_t *files = NULL;
    char dir[96];
    snprintf(dir, sizeof dir, "%s/none", f->dir);
    hone_export_input in = {.task = t, .ptx = odd_ptx, .ptx_len = sizeof odd_ptx - 1};
    assert_int_equal(hone_export_write(dir, &in, &files, &e), HONE_E_UNSUPPORTED);
    assert_non_null(strstr(e.msg, "__half"));
    assert_int_not_equal(access(dir, F_OK), 0);   // nothing was left behind
    hone_task_free(t);
}

// Every example's loaders compile without a warning and parse as Python.
static void examples_export(void **state) {
    const fixture *f = *state;
    glob_t g;
    assert_int_equal(glob(SOURCE_DIR "/examples/*.cu", 0, NULL, &g), 0);
    for (size_t i = 0; i < g.gl_pathc; i++) {
        char *text = NULL;
        size_t len;
        hone_err e = {0};
        json_t *files = NULL;
        assert_int_equal(hone_read_file(g.gl_pathv[i], 1 << 20, &text, &len, &e), HONE_OK);
        hone_diags diags = {.arena = hone_arena_new(1 << 20)};
        hone_task *t = NULL;
        assert_int_equal(hone_task_parse(g.gl_pathv[i], text, len, &t, &diags, &e), HONE_OK);
        hone_export_input in = {.task = t, .ptx = odd_ptx, .ptx_len = sizeof odd_ptx - 1, .overwrite = true};
        if (hone_export_write(f->dir, &in, &files, &e) != HONE_OK)
            fail_msg("%s: %s", g.gl_pathv[i], e.msg);
        free(run("cd %s && cc -std=c17 -Wall -Wextra -Wshadow -Wconversion -Werror -I. -fsyntax-only %s.c 2>&1", f->dir, t->name));
        free(run("python3 -c \"import ast; [ast.parse(open('%s/%s' + e).read()) for e in ('.py', '_torch.py')]\" 2>&1", f->dir, t->name));
        json_decref(files);
        hone_task_free(t);
        hone_arena_free(diags.arena);
        hone_free(text);
    }
    globfree(&g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(c_loader_launches_the_plan),      cmocka_unit_test(header_is_cpp),
        cmocka_unit_test(python_loader_launches_the_plan), cmocka_unit_test(torch_operator_is_python),
        cmocka_unit_test(plan_has_text_and_numbers),       cmocka_unit_test(existing_files_are_kept),
        cmocka_unit_test(value_that_c_cannot_pass),        cmocka_unit_test(examples_export),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
