#!/usr/bin/env python3
"""Turn a task in two files (facts in JSON, kernel in .cu) into one hone task file.

usage: import_task.py FACTS.json KERNEL.cu > TASK.cu

The JSON names sizes (sizes, sizes_small, sizes_odd), args (buffers and scalars with dtype, shape, role, init), launches, flops
and bytes. Integer tasks (rtol = atol = 0) get `tolerance exact`, others `tolerance auto`. Expressions are rewritten only where
hone spells them differently: ceil_div is cdiv, and randint's upper end, which is exclusive, becomes int's inclusive one.
"""
import json
import re
import sys

TYPES = {"f32": "float", "f64": "double", "f16": "half", "bf16": "bfloat16", "i8": "int8", "u8": "uint8", "i16": "int16", "u16": "uint16",
         "i32": "int32", "u32": "uint32", "i64": "int64", "u64": "uint64"}


def expr(text):
    return re.sub(r"\bceil_div\b", "cdiv", str(text)).replace(",", ", ")


def exclusive_end(hi):
    try:
        return str(int(hi) - 1)
    except ValueError:
        return f"({expr(hi)})-1"


def init(spec):
    dist = spec["dist"]
    if dist == "uniform":
        return f"uniform({spec['lo']}, {spec['hi']})"
    if dist == "normal":
        return f"normal({spec['mean']}, {spec['std']})"
    if dist == "randint":
        return f"int({expr(spec['lo'])}, {exclusive_end(spec['hi'])})"
    if dist == "const":
        return f"const({spec['value']})"
    if dist == "fmix32_index":
        return "hash32"
    if dist in ("zeros", "iota"):
        return dist
    sys.exit(f"import_task: initialiser '{dist}' has no counterpart in a task file")


def dim3(axes):
    axes = [expr(a) for a in axes]
    while len(axes) > 1 and axes[-1] == "1":
        axes.pop()
    return axes[0] if len(axes) == 1 else f"dim3({', '.join(axes)})"


def launch(spec, scalars):
    smem = expr(spec.get("dynamic_smem", "0"))
    config = f"{dim3(spec['grid'])}, {dim3(spec['block'])}" + ("" if smem == "0" else f", {smem}")
    args = ", ".join(scalars.get(a, a) for a in spec["args"])
    return f"launch {spec['kernel']}<<<{config}>>>({args})"


def pragmas(facts):
    sizes = facts["sizes"]
    line = lambda values: " ".join(f"{k}={v}" for k, v in values.items())
    out = [f"size {line(sizes)}"]
    out += [f"check {line(facts[k])}" for k in ("sizes_small", "sizes_odd") if k in facts]
    scalars = {}   # scalars that are sizes or integer expressions over them are written into the launch
    buffers = [a for a in facts["args"] if a["kind"] == "buffer"]
    name_width = max(len(a["name"]) for a in buffers)
    for a in buffers:
        text = f"{a['role']} {a['name']:<{name_width}} {TYPES[a['dtype']]}" + "".join(f"[{expr(d)}]" for d in a["shape"])
        if a["role"] in ("in", "inout"):
            text += f" ~ {init(a['init'])}"
        out.append(text)
    for a in facts["args"]:
        if a["kind"] != "scalar":
            continue
        if a["dtype"] in ("f32", "f64"):
            out.append(f"scalar {a['name']} {TYPES[a['dtype']]} = {a['value']}")
        else:
            scalars[a["name"]] = expr(a["value"])
    exact = facts.get("rtol", 0) == 0 and facts.get("atol", 0) == 0
    out += [launch(spec, scalars) for spec in facts["launches"]]
    out.append("tolerance exact" if exact else "tolerance auto")
    if facts.get("flops", "0") != "0":
        out.append(f"flops {expr(facts['flops'])}")
    out.append(f"bytes {expr(facts['bytes'])}")
    return [f"#pragma hone {line}" for line in out]


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1]) as f:
        facts = json.load(f)
    with open(sys.argv[2]) as f:
        source = f.read()
    print(f"// {facts['name']}: {facts['semantics']}")
    print("\n".join(pragmas(facts)))
    print()
    print(source, end="" if source.endswith("\n") else "\n")


if __name__ == "__main__":
    main()
