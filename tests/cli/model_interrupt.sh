# Ctrl-C while a model is silent in the middle of its reply: the run ends, the archive is whole, and the same command goes on without that model.
cat > scale.cu <<'TASK'
#pragma hone size n=65536
#pragma hone check n=1000
#pragma hone in x float[n] ~ normal(0, 1)
#pragma hone out y float[n]
#pragma hone launch scale<<<cdiv(n, 32), 32>>>(x, y, n)
extern "C" __global__ void scale(const float *x, float *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        y[i] = 2.0f * x[i];
}
TASK
export no_proxy=127.0.0.1 XDG_CONFIG_HOME=$PWD/config
mkdir -p config/hone
echo '{"limits": {"backoff_s": 0.05}}' > config/hone/models.json
echo '[{"do": "stall", "after": 100, "delay": 200, "text": "x"}]' > script.json
python3 "$TESTS/fault/llm_server.py" script.json port log < <(sleep 250) 2>/dev/null &
server=$!
trap 'kill $server 2>/dev/null || true' EXIT
until [ -f port ]; do sleep 0.1; done
run() { exec hone optimize scale.cu --evals 6 --seed 3 --device virtual:h200 --workers 1 --quiet --model vllm:m@http://127.0.0.1:$(cat port); }
(run > first.txt 2>&1) &
hone=$!
sleep 1
until [ -n "$(ls scale.hone/archive.db* 2>/dev/null)" ] && hone log scale.hone 2>/dev/null | grep -q baseline; do sleep 0.2; done
sleep 2   # now it waits for the model
kill -INT $hone
wait $hone
echo "interrupted: $?"
kill $server; wait $server 2>/dev/null
(run > second.txt 2>&1)
echo "went on: $(($? < 2))"
grep -E 'vllm:m: cannot reach' second.txt | sed 's/:.*cannot/: cannot/; s/endpoint.*/endpoint/'
python3 -c "import json; d=json.load(open('scale.hone/result.json')); print(d['stopped'], d['evaluations'], d['replayed'] > 0)"
