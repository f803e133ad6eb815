#!/usr/bin/env python3
"""The shape of the program, checked: a room includes only what CMakeLists.txt lets it link, prints nothing and never exits (cli and tools may), and allocates
through base/mem.h. Usage: layering.py SOURCE_DIR. Prints each breach as file:line: what; exit 1 when there is any."""
import pathlib
import re
import sys

top = pathlib.Path(sys.argv[1])
allowed = {"cli": None, "tools": None, "vgpu": {"base", "ptx", "vgpu"}, "cudart": {"base", "ptx", "cudart"}}   # None: everything
for room, deps in re.findall(r"^hone_room\((\w+)\s+([^)]*)\)", (top / "CMakeLists.txt").read_text(), re.M):
    allowed[room] = {d for d in deps.split() if "::" not in d} | {room}
# what a room links, it may include with what that links
for _ in allowed:
    for room, deps in allowed.items():
        if deps is not None:
            allowed[room] = set().union(deps, *(allowed.get(d) or set() for d in deps))

banned = [
    (re.compile(r"(?<![\w.>])(printf|puts|putchar|perror)\s*\("), "prints"),
    (re.compile(r"(?<![\w.>])(exit|_exit|abort)\s*\("), "exits"),
    (re.compile(r"(?<![\w.>])(malloc|calloc|realloc|strdup|strndup|asprintf)\s*\("), "allocates beside base/mem.h"),
    (re.compile(r"(?<![\w.>])(strcpy|strcat|sprintf|gets|strtok|rand|srand)\s*\("), "calls a banned function"),
]
exempt = {"base/mem.c", "base/err.c", "base/proc.c"}   # the one malloc, HONE_BUG, the child before exec
process = {"evaluate/sandbox.c", "evaluate/worker.c"}  # a worker is a process of its own: it may end itself

breaches = []
for path in sorted(top.glob("src/**/*.[ch]")):
    room, name = path.relative_to(top / "src").parts[0], str(path.relative_to(top / "src"))
    for number, line in enumerate(path.read_text().splitlines(), 1):
        include = re.match(r'\s*#include "(\w+)/', line)
        if include and include[1] in allowed and allowed[room] is not None and include[1] not in allowed[room]:
            breaches.append(f"{path}:{number}: {room}/ includes {include[1]}/")
        if room in ("cli", "tools") or name in exempt:
            continue
        code = re.sub(r'"(\\.|[^"\\])*"', '""', line.split("//")[0])
        for pattern, what in banned:
            if pattern.search(code) and not (what == "exits" and name in process):
                breaches.append(f"{path}:{number}: {what}: {line.strip()}")
print("\n".join(breaches) if breaches else "layering: %d rooms, no breach" % len(allowed))
sys.exit(bool(breaches))
