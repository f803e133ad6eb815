#!/usr/bin/env python3
"""Candidates that attack the program that judges them instead of the task: sources.py HONE [NAME...].

Each row makes one candidate of the small task below. `hone check` must refuse it (exit code 3) with the expected kind of finding, print one JSON
document without escape sequences, and say nothing of what a file outside holds. Honest rows must pass. Nothing here asserts time; a limit only
keeps a hang from hanging the tests."""
import json, os, subprocess, sys, tempfile

HEAD = """#pragma hone size N=64
#pragma hone in A float[N] ~ normal(0,1)
#pragma hone out C float[N]
#pragma hone launch copy<<<1, 64>>>(A, C)
"""
BODY = """
extern "C" __global__ void copy(const float *A, float *C)
{
    float acc = 0.0f;
    int k = threadIdx.x;
    /*INNER*/
    C[k] = A[k];
}
"""
LIMIT = "3s"   # half of it is the compiler's CPU time
SECRET = "the-secret-of-another-file"


def chain(n, op="+"):
    return "#define A0 1 %s 1\n" % op + "".join("#define A%d A%d %s A%d\n" % (i, i - 1, op, i - 1) for i in range(1, n))


def calls(n):
    return "#define D0(x) x + x\n" + "".join("#define D%d(x) D%d(D%d(x))\n" % (i, i - 1, i - 1) for i in range(1, n))


def nest(op, n, shut):
    return "acc += " + op * n + "1" + shut * n + ";"


INCLUDES = {"include_absolute": '#include "F"', "include_angle": "#include <F>", "include_relative": '#include "../../../../../../..F"',
            "include_through_header": "#include <cuda/../../../../../../../../..F>", "include_by_macro": "#define H <F>\n#include H",
            "include_spliced": '#inc\\\nlude "F"', "include_commented": '#/**/include "F"', "include_digraph": '%:include "F"',
            "include_trigraph": '??=include "F"', "include_next": '#include_next "F"', "import": '#import "F"',
            "embed": "__constant__ unsigned char z[] = {\n#embed \"F\"\n};", "asm_file": 'asm(".incbin \\"F\\"");',
            "has_include": '#if __has_include("F")\n#error yes\n#endif'}
STATIC = "static."

# name: (what stands before the kernel, what stands in it, kinds of which one must be among the findings; a trailing dot means a prefix)
ROWS = {
    "honest": ("", "", None),
    "honest_macros": ("#define TWICE(x) ((x) + (x))\n#define FOUR(x) TWICE(TWICE(x))\n" + chain(8), "acc += FOUR(1) + A7;", None),
    "honest_long_comment": ("//" + "x" * 1000000, "", None),
    "incbin": ("", 'asm volatile(".incbin \\"F\\";");', ["static.incbin"]),
    "incbin_split": ("", 'asm volatile(".inc" "bin \\"F\\";");', ["static.asm"]),
    "incbin_escaped": ("", 'asm volatile(".\\x69ncbin \\"F\\";");', ["static.asm"]),
    "ptx_include": ("", 'asm volatile(".include \\"F\\";");', ["static.asm"]),
    "file_macro": ("", "acc += __FILE__[0] * 0;", ["static.build-macro"]),
    "line_directive": ('#line 1 "F"\n#error x', "", ["static.pragma"]),
    "pragma_operator": ('_Pragma("GCC dependency \\"F\\"")', "", ["static.pragma"]),
    "macros_that_double": (chain(40), "acc += A39;", ["compile.limit", "compile.crash"]),
    "calls_that_double": (calls(24), "acc += D23(1);", ["compile.limit", "compile.crash"]),
    "macros_in_condition": (chain(40) + "#if A39 > 3\n#define Z 1\n#endif", "", ["compile.limit", "compile.crash", "compile.error"]),
    "template_depth": ("template<int N> struct R { static constexpr int v = R<N - 1>::v + 1; };\ntemplate<> struct R<0> { static constexpr int v = 0; };",
                       "acc += R<100000000>::v;", ["compile.error"]),
    "template_breadth": ("template<int N, long M> struct R { static constexpr long v = R<N - 1, 2 * M>::v + R<N - 1, 2 * M + 1>::v; };\n"
                         "template<long M> struct R<0, M> { static constexpr long v = 1; };", "acc += R<40, 0>::v;", ["compile.limit", "compile.crash"]),
    "inlined_twice": ("template<int N> struct R { static __device__ __forceinline__ float f(const float *A, float x) "
                      "{ return R<N - 1>::f(A, R<N - 1>::f(A, x * 1.001f + A[N])); } };\n"
                      "template<> struct R<0> { static __device__ __forceinline__ float f(const float *A, float x) { return sinf(x); } };",
                      "acc += R<30>::f(A, acc); C[k] = acc;", ["compile.limit", "compile.crash"]),
    "constexpr_loop": ("constexpr __device__ long spin() { long s = 0; for (long i = 0; i < 1000000000000L; i++) s += i; return s; }\nconstexpr long Z = spin();",
                       "acc += Z;", ["compile.error"]),
    "huge_constant_array": ("__constant__ float Z[1073741824];", "acc += Z[k]; C[k] = acc;", ["compile."]),
    "huge_device_array": ("__device__ const float Z[4000000000] = {1};", "acc += Z[k]; C[k] = acc;", ["compile."]),
    "huge_initialised_array": ("__device__ const int Z[400000000] = {1, 2};", "acc += Z[k]; C[k] = acc;", ["compile."]),
    "huge_shared_array": ("", "__shared__ float Z[1000000000]; Z[k] = acc; acc += Z[63 - k]; C[k] = acc;", ["compile.resources", "compile.error"]),
    "braces": ("", "{" * 1000000 + "}" * 1000000, ["static.unreadable"]),
    "parentheses": ("", nest("(", 1000000, ")"), ["static.unreadable"]),
    "conditional_chain": ("", "acc += " + "k?1:" * 100000 + "1;", ["compile."]),
    "long_message": ("#error " + "m" * 300000, "", ["compile.error"]),
    "many_messages": ("".join("#error number %d\n" % i for i in range(3000)), "", ["compile.error"]),
    "escape_in_message": ("#error \x1b[2J\x1b]0;title\x07 gone", "", ["compile.error"]),
    "escape_in_name": ("", "undefined\x1b[31m;", ["static.", "compile."]),
    "cut_character": ("#error " + "\u00e9" * 2000, "", ["compile.error"]),
    "nul": ("", "\0", ["static.unreadable"]),
    "too_large": ("/*" + "x" * 15000000 + "*/", "", ["static.unreadable"]),
}
ROWS.update({n: (s, "", [STATIC, "compile.error"]) for n, s in INCLUDES.items()})
BYTES = {"not_utf8": (b"float acc", b"float \xff\xfe\xc0\x80acc", ["static.unreadable"]), "not_utf8_comment": (b"/*", b"/*\xe2\x82 ", ["static.unreadable"]),
         "launch_nested": (b"<<<1,", b"<<<" + b"(" * 100000 + b"1" + b")" * 100000 + b",", ["static."]),
         "launch_unary": (b"<<<1,", b"<<<" + b"-" * 100000 + b"1,", ["static."]),
         "size_overflow": (b"N=64", b"N=99999999999999999999", ["static."])}


def candidates(secret):
    def place(s):
        return s.replace('"F', '"' + secret).replace("<F", "<" + secret).replace("..F", ".." + secret).replace('\\"F', '\\"' + secret)
    for name, (before, inner, kinds) in ROWS.items():
        yield name, (HEAD + place(before) + BODY.replace("/*INNER*/", place(inner))).encode(), kinds
    for name, (old, new, kinds) in BYTES.items():
        yield name, (HEAD + BODY).encode().replace(old, new, 1), kinds


def wrong(done, kinds):
    """What is not as it must be, or None."""
    if done.returncode != (0 if kinds is None else 3):
        return "exit code %d: %s" % (done.returncode, done.stderr[-300:].decode(errors="replace"))
    if SECRET.encode() in done.stdout + done.stderr:
        return "the other file's text is in the answer"
    if b"\x1b" in done.stdout + done.stderr or b"\x07" in done.stdout + done.stderr:
        return "control characters are in the answer"
    if len(done.stdout) > 200000 or len(done.stderr) > 20000:
        return "the answer has %d + %d bytes" % (len(done.stdout), len(done.stderr))
    answer = json.loads(done.stdout.decode())
    found = [f["kind"] for f in answer["findings"]]
    if kinds is not None and not any(k == f or (k.endswith(".") and f.startswith(k)) for k in kinds for f in found):
        return "findings %s, expected %s" % (found, " or ".join(kinds))
    return None


def main():
    hone, only, failed, n = os.path.abspath(sys.argv[1]), sys.argv[2:], 0, 0
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        open("task.cu", "w").write(HEAD + BODY)
        open("other", "w").write(SECRET + "\n")
        env = dict(os.environ, HONE_CACHE_DIR=work + "/cache", NO_COLOR="1")
        for name, text, kinds in candidates(work + "/other"):
            if only and name not in only:
                continue
            open("c.cu", "wb").write(text)
            argv = [hone, "check", "task.cu", "c.cu", "--device", "virtual:h200", "--job-limit", LIMIT]
            if kinds is None:
                argv[-1] = "200s"
            done = subprocess.run(argv + ["--json"], capture_output=True, env=env, timeout=250)
            why = wrong(done, kinds)
            if not why and name.startswith("escape"):   # the other form of the answer
                done = subprocess.run(argv, capture_output=True, env=env, timeout=250)
                if b"\x1b" in done.stdout + done.stderr or b"\x07" in done.stdout or done.returncode != 3:
                    why = "as text: exit code %d, %r" % (done.returncode, done.stdout[:200])
            n += 1
            failed += why is not None
            if why:
                print("FAIL %s: %s" % (name, why), flush=True)
        for what in (b"\xff", b"\0"):   # the task's own file is the user's: an error, not a refusal
            open("bad.cu", "wb").write((HEAD + BODY).encode() + b"// " + what)
            done = subprocess.run([hone, "check", "bad.cu"], capture_output=True, env=env, timeout=250)
            if done.returncode != 2 or b"is no UTF-8 text" not in done.stderr:
                print("FAIL task with %r: exit code %d: %r" % (what, done.returncode, done.stderr[:200]))
                failed += 1
    print("%d candidates, %d not as expected" % (n, failed))
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
