# Recorded replies (written by hand: good, bad, malformed and cheating ones) drive a search without network: the same each time, the cheating ones refused by name.
set -e
for d in "one 4" "two 2"; do
    hone optimize "$EXAMPLES/transpose.cu" --model "replay:$TESTS/data/exchanges" --evals ${d#* } --seed 1 --device virtual:h200 --workers 1 --quiet --out ${d% *} > ${d% *}.txt
done
grep -E '^  (how|model) |closed' one.txt
python3 - <<'PY'
import json
a, b = (json.load(open(d + "/result.json")) for d in ("one", "two"))
m = a["model"]
print("verdict", a["verdict"], a["confirmed"], a["speedup"] > 3)
key = lambda d: [(c["hash"], c.get("time_us"), c["note"], c["verdict"]) for c in d["candidates"]]
print("same", key(a)[:3] == key(b), len(key(b)))
script = json.load(open(__import__("os").environ["TESTS"] + "/data/exchanges/manifest.json"))["script"]["transpose"]
used = script[:m["requests"]]
print("billed", m["input_tokens"] == sum(r["usage"]["input"] for r in used), abs(m["cost"] - sum(r["cost"] for r in used)) < 1e-12)
best = [x for x in m["exchanges"] if x.get("candidate") == a["best"]["id"]]
print("best from an exchange", len(best), best and best[0]["outcome"])
for x, r in zip(m["exchanges"], script):
    print(r["kind"], x["outcome"])
PY
# other budgets, other places
hone optimize "$EXAMPLES/transpose.cu" --model "replay:$TESTS" 2>&1 | sed "s|$TESTS|TESTS|g" || true
hone optimize "$EXAMPLES/transpose.cu" --max-cost 1 2>&1 || echo "exit $?"
hone optimize "$EXAMPLES/transpose.cu" --model nobody:x 2>&1 || echo "exit $?"
