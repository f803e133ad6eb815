#!/usr/bin/env python3
"""The table of docs/runtime-api.md from src/cudart/api.def. Usage: runtime_api.py [--check] SOURCE_DIR. Writes the part of the page behind the line
"<!-- table -->"; with --check it only says, by its exit code, whether the page is as it would write it."""
import pathlib
import re
import sys

MARK = "<!-- table -->\n"


def rows(source):
    group = ""
    for line in (source / "src/cudart/api.def").read_text().splitlines():
        heading = re.match(r"// (.*)", line)
        entry = re.match(r'API\((yes|no), (both|12|13), (plain|stream|default), (\w+), "(.*)"\)$', line)
        if entry:
            yield (group, *entry.groups())
        elif heading:
            group = heading[1]


def name_of(version, forms, name, note):
    text = f"`{name}`"
    if version != "both":
        text += f" ({version})"
    return text + (f": {note}" if note else "")


def table(source):
    groups = {}
    for group, status, *rest in rows(source):
        groups.setdefault(group, {"yes": [], "no": []})[status].append(name_of(*rest))
    n = sum(len(v["yes"]) for v in groups.values()), sum(len(v["no"]) for v in groups.values())
    out = [f"{n[0]} functions are implemented, {n[1]} return `cudaErrorNotSupported`; the `_ptsz` and `_ptds` forms go with each. (12) and (13): in that major version only.\n"]
    for group, v in groups.items():
        out.append(f"### {group}\n")
        if v["yes"]:
            out.append("Implemented: " + ", ".join(v["yes"]) + ".\n")
        if v["no"]:
            out.append("Not supported: " + ", ".join(v["no"]) + ".\n")
    return "\n".join(out)


def main():
    check = "--check" in sys.argv[1:]
    source = pathlib.Path([a for a in sys.argv[1:] if a != "--check"][0])
    page = source / "docs/runtime-api.md"
    text = page.read_text()
    new = text[:text.index(MARK) + len(MARK)] + "\n" + table(source)
    if check:
        sys.exit(0 if new == text else "docs/runtime-api.md is not what scripts/runtime_api.py writes")
    page.write_text(new)


if __name__ == "__main__":
    main()
