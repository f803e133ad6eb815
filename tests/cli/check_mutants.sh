# A task's own test against mutants of its baseline: a sound one kills nearly all, one with a wide tolerance lets narrow arithmetic pass and says so with line, change and advice.
sound=$EXAMPLES/softmax.cu
hone check "$sound" --device virtual:h200 --mutants 12 --json | python3 -c '
import json, sys
a = json.load(sys.stdin)["admission"]
print(a["killed"] >= 8, a["tried"] == a["killed"] + a["survived"] + a["identical"], a["not_tried"] == a["sites"] - 12, len(a["mutants"]))'
sed 's/^#pragma hone tolerance .*/#pragma hone tolerance rtol=0.01 atol=0.01/' "$sound" > weak.cu
hone check weak.cu --device virtual:h200 --mutants 22 > weak.txt
grep -c 'task.survivor at line' weak.txt | sed 's/^[1-9].*/survivors are told/'
grep -A4 'line [0-9]*, narrow-' weak.txt | head -4
hone check "$sound" --device virtual:h200 --mutants none | grep -c mutants || true
