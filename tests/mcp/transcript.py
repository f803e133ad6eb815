"""Golden transcripts of `hone mcp`. Usage: transcript.py HONE SOURCE_DIR FILE.txt. A line `> TEXT` is sent, `>> TEXT` is sent with a python string's escapes and without
an end of line; a line `< JSON` is the next line that must come: the same value, where "*" stands for any value and a member "..." for any further ones.
`# ` are comments. At the end input is closed; then nothing may come, the exit code must be 0 and stderr empty."""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

hone, source, script = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])


def differs(want, got, at="$"):
    if want == "*":
        return None
    if isinstance(want, dict) and isinstance(got, dict):
        for key in want:
            if key != "...":
                why = f"{at}.{key} is missing" if key not in got else differs(want[key], got[key], f"{at}.{key}")
                if why:
                    return why
        extra = [k for k in got if k not in want]
        return f"{at} also has {extra}" if extra and "..." not in want else None
    if isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        return next((w for w in (differs(a, b, f"{at}[{i}]") for i, (a, b) in enumerate(zip(want, got))) if w), None)
    return None if want == got and type(want) is type(got) else f"{at}: expected {want!r:.300}, got {got!r:.600}"


with tempfile.TemporaryDirectory() as folder:
    root = pathlib.Path(folder) / "root"
    root.mkdir()
    shutil.copy(source / "tests/data/rows.cu", root)
    (root / "link.cu").symlink_to("/etc/hostname")
    server = subprocess.Popen([hone, "mcp", "--root", str(root), "--device", "virtual:h200", "--evals", "50"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for number, line in enumerate(script.read_text().splitlines(), 1):
        if line.startswith(">> "):
            server.stdin.write(line[3:].encode().decode("unicode_escape").encode("latin-1"))
        elif line.startswith("> "):
            server.stdin.write(line[2:].replace("@ROOT@", str(root)).encode() + b"\n")
        elif line.startswith("< "):
            got = server.stdout.readline()
            why = differs(json.loads(line[2:].replace("@ROOT@", str(root))), json.loads(got)) if got else "the server said nothing"
            if why:
                sys.exit(f"FAIL {script.name}:{number}: {why}")
        elif line.strip() and not line.startswith("#"):
            sys.exit(f"FAIL {script.name}:{number}: what is this?")
        server.stdin.flush()
    out, err = server.communicate(timeout=60)
    if out or err or server.returncode:
        sys.exit(f"FAIL {script.name}: at the end: exit code {server.returncode}, {out[:300]!r}, {err[:300]!r}")
print(f"{script.name}: as written")
