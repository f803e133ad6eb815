# A model that takes its time: the search goes on meanwhile, through kill -9 too; the answers join where they came, and the run repeats exactly, with the endpoint gone
# and from the recording.
set -e
cat > scale.cu <<'TASK'
#pragma hone size n=65536
#pragma hone check n=1000
#pragma hone in x float[n] ~ normal(0, 1)
#pragma hone out y float[n]
#pragma hone scalar a float = 2.5
#pragma hone launch scale<<<cdiv(n, 32), 32>>>(x, y, a, n)
extern "C" __global__ void scale(const float *x, float *y, float a, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        y[i] = a * x[i];
}
TASK
export no_proxy=127.0.0.1 XDG_CONFIG_HOME=$PWD/config
python3 - <<'PY'
import json
wide = open("scale.cu").read().replace("cdiv(n, 32), 32", "cdiv(n, B), B").replace("#pragma hone launch", "#pragma hone tune B={64,128,256,512}\n#pragma hone launch")
good = {"do": "reply", "text": "wider\n```cuda\n" + wide + "```\n", "in": 100, "out": 50, "until": "go"}
json.dump([good, good, dict(good, text="no file in this one")], open("script.json", "w"))
PY
python3 "$TESTS/fault/llm_server.py" script.json port log < <(sleep 250) 2>/dev/null &
server=$!
trap 'kill $server 2>/dev/null || true' EXIT
until [ -f port ]; do sleep 0.1; done
run() { hone optimize scale.cu --evals 26 --seed 3 --device virtual:h200 --workers 1 --quiet "$@" > out.txt 2>&1 || [ $? = 1 ]; }
evaluated() { hone log scale.hone 2>/dev/null | grep -c rewrite; }
url=http://127.0.0.1:$(cat port)
hone optimize scale.cu --evals 26 --seed 3 --device virtual:h200 --workers 1 --quiet --model vllm:m@$url > killed.txt 2>&1 &
hone=$!
until [ "$(evaluated || true)" -ge 9 ]; do sleep 0.2; done   # two generations of moves, with a silent model
kill -9 $hone
wait $hone 2>/dev/null || true
touch go
run --model vllm:m@$url
cp scale.hone/result.json first.json
kill $server; wait $server 2>/dev/null || true
run --model vllm:m@$url
cp scale.hone/result.json second.json
run --model replay:scale.hone/exchanges --out again
python3 - <<'PY'
import glob, json
first, second, again = (json.load(open(f)) for f in ("first.json", "second.json", "again/result.json"))
key = lambda d: [(c["hash"], c.get("time_us"), c["note"], c["verdict"], c["generation"]) for c in d["candidates"]]
steps = [(x["asked"], x["joined"]) for x in map(json.load, map(open, glob.glob("scale.hone/exchanges/*.json"))) if "joined" in x]
print("went on", first["resumed"], first["replayed"] >= 9, first.get("warning"))
print("moves meanwhile", min(steps)[1] - min(steps)[0] > 1, all(a < j for a, j in steps))
print("from the model", any(c["proposer"] == "llm" and c["verdict"] == "pass" for c in first["candidates"]))
print("the same again", key(first) == key(second), key(first) == key(again), again["model"]["attempts"], first["evaluations"])
PY
