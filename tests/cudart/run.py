#!/usr/bin/env python3
"""Builds one CUDA program with nvcc (-cudart shared, PTX embedded) and runs it on libcudart and libhonegpu.so, with no GPU.
Usage: run.py LIB_FOLDER TOOLKIT PROGRAM.cu. The program checks itself; its output must equal PROGRAM.stdout, and PROGRAM.stderr where there is one.
A first line "// nvcc: OPTIONS" adds options, "// arch: OPTIONS" replaces the architecture, "// sanitize: CHECKS" runs it under those checks of the virtual GPU,
which must find nothing. Exit 77 (skipped), with the reason, when there is no nvcc or the
program itself says so."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

SKIP = 77
ARCH = ["-gencode", "arch=compute_90,code=compute_90"]


def find_nvcc(toolkit):
    for folder in (os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), toolkit):
        if folder and os.access(os.path.join(folder, "bin", "nvcc"), os.X_OK):
            return os.path.join(folder, "bin", "nvcc")
    return shutil.which("nvcc")


def skip(why):
    print(f"SKIPPED: {why}")
    sys.exit(SKIP)


def said(source, what):
    """The words behind "// WHAT: " in one of the first two lines, or None."""
    for line in source.read_text().splitlines()[:2]:
        if line.startswith(f"// {what}: "):
            return line.partition(": ")[2].split()
    return None


def options_of(source):
    arch, more = said(source, "arch") or ARCH, said(source, "nvcc") or []
    return arch + [str(source.parent / x) if x.endswith(".cu") else x for x in more]


def build(nvcc, source, folder):
    exe = os.path.join(folder, source.stem)
    command = [nvcc, "-cudart", "shared", "-O1", *options_of(source), "-o", exe, str(source)]
    env = dict(os.environ)
    env.pop("LD_PRELOAD", None)
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=folder)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return exe


def run(exe, libraries, more):
    env = dict(os.environ, LD_LIBRARY_PATH=libraries, **more)
    if os.environ.get("HONE_ASAN_PRELOAD"):
        env["LD_PRELOAD"] = os.environ["HONE_ASAN_PRELOAD"]
        env["ASAN_OPTIONS"] = env.get("ASAN_OPTIONS", "") + ":detect_leaks=0:detect_odr_violation=0"
    return subprocess.run([exe], capture_output=True, text=True, env=env, timeout=240)


def compare(what, got, path):
    if path.exists() and got != path.read_text():
        sys.exit(f"{what}:\n{got}\nexpected:\n{path.read_text()}")


def main():
    libraries, toolkit, source = os.path.abspath(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3]).resolve()
    nvcc = find_nvcc(toolkit)
    if not nvcc:
        skip("no nvcc: install a CUDA toolkit with it and set CUDA_HOME")
    if not shutil.which("g++"):
        skip("nvcc needs g++")
    checks = said(source, "sanitize")
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report"
        done = run(build(nvcc, source, folder), libraries, {"HONE_SANITIZE": checks[0], "HONE_SANITIZE_REPORT": str(report)} if checks else {})
        found = report.read_text() if checks and report.exists() else ""
    if done.returncode == SKIP:
        skip(done.stdout.strip())
    if done.returncode:
        sys.exit(f"exit code {done.returncode}\n{done.stdout}{done.stderr}")
    if checks and not found.startswith("hone sanitizer: 0 findings, 0 suppressed"):
        sys.exit(f"the sanitizer's report:\n{found or '(none)'}")
    compare("stdout", done.stdout, source.with_suffix(".stdout"))
    compare("stderr", done.stderr, source.with_suffix(".stderr"))


if __name__ == "__main__":
    main()
