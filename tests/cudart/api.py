#!/usr/bin/env python3
"""The runtime API's table (src/cudart/api.def) against what libcudart.so.12 and .13 export, against the toolkit's own library where there is one, and
against docs/runtime-api.md. Usage: api.py SOURCE_DIR LIB_FOLDER TOOLKIT."""
import glob
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(sys.argv[1]) / "scripts"))
import runtime_api  # noqa: E402

FORMS = {"plain": [""], "stream": ["", "_ptsz"], "default": ["", "_ptds"]}


def exports(library):
    out = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
    symbols = [line.split()[2] for line in out.splitlines() if len(line.split()) == 3]
    return {s.split("@")[0]: s.partition("@@")[2] for s in symbols if not s.startswith("libcudart")}


def expected(source, major):
    names = set()
    for _, _, version, forms, name, _ in runtime_api.rows(source):
        if version in ("both", major):
            names |= {name + suffix for suffix in FORMS[forms]}
    return names


def complain(what, names):
    return [f"{what}: {', '.join(sorted(names))}"] if names else []


def main():
    source, folder, toolkit = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    wrong = []
    for major in ("12", "13"):
        ours = exports(os.path.join(folder, f"libcudart.so.{major}"))
        names = expected(source, major)
        wrong += complain(f"libcudart.so.{major} lacks", names - set(ours))
        wrong += complain(f"libcudart.so.{major} exports what api.def does not list", set(ours) - names)
        wrong += complain(f"libcudart.so.{major}: no symbol version", {s for s, v in ours.items() if v and v != f"libcudart.so.{major}"})
        for real in glob.glob(os.path.join(toolkit, "**", f"libcudart.so.{major}"), recursive=True)[:1] if toolkit else []:
            print("compared with", real)
            wrong += complain(f"api.def lacks what {real} exports", {s for s in exports(real) if "libcudart" not in s} - names)
    if subprocess.run([sys.executable, str(source / "scripts/runtime_api.py"), "--check", str(source)]).returncode:
        wrong.append("docs/runtime-api.md is out of date: run scripts/runtime_api.py .")
    print("\n".join(wrong) or "the table is right")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
