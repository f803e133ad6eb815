# One short run, then every command that reads its folder.
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
set -e
json() { python3 -c "import json,sys; d=json.load(sys.stdin); print($1)"; }
hone optimize scale.cu --evals 16 --seed 5 --device virtual:h200 --workers 1 --quiet --json > optimize.json || [ $? = 1 ]
echo "optimize $(json "d['schema'], d['device']['kind'], d['verdict'] in ('FAST','SAME','AMBIGUOUS','SLOW','NONE')" < optimize.json)"
ls scale.hone | tr '\n' ' '; echo
hone log scale.hone | head -2
echo "log $(hone log scale.hone --json | json "d['schema'], len(d['candidates']) > 10, d['candidates'][0]['verdict'], d['finished']")"
hone show scale.hone 0 | grep -v '^// [0-9]* registers'
echo "show $(hone show scale.hone --json | json "d['schema'], d['best'], d['lineage'][-1]")"
hone show scale.hone best > best_shown.cu
hone check scale.cu best_shown.cu --workers 1
hone diff scale.hone | head -2
hone diff scale.hone 3 3 2>&1
echo "diff $(hone diff scale.hone baseline best --json | json "d['schema'], d['from'], '@@' in d['diff']")"
rm scale.hone/report.html
hone report scale.hone
hone report scale.hone -o elsewhere
hone report scale.hone -o elsewhere || echo "kept: $?"
hone report scale.hone -o elsewhere --force
hone check --certificate scale.hone/certificate.json --workers 1
echo "replay $(hone check --certificate scale.hone/certificate.json --workers 1 --json | json "d['schema'], d['confirmed'], d['exact'], sum(not c['agrees'] for c in d['checks'])")"
sed 's/"speedup": *[0-9.]*/"speedup": 99.0/' scale.hone/certificate.json > edited.json
hone check --certificate edited.json || echo "edited: $?"
hone export scale.hone out || echo "unreviewed: $?"
hone export scale.hone out --accept-unreviewed
hone export scale.hone out --accept-unreviewed || echo "kept: $?"
LD_PRELOAD=${HONE_ASAN_PRELOAD:-} python3 - <<'PY'
import ctypes, array, sys
sys.dont_write_bytecode = True
sys.path.insert(0, "out")
import os
import scale
gpu = os.path.join(os.path.dirname(os.path.realpath(os.popen("command -v hone").read().strip())), "libhonegpu.so")
k = scale.Scale(library=gpu)
n = 1003
need, buffers = k.bytes(n=n), {}
for name in need:
    p = ctypes.c_uint64()
    k.call("cuMemAlloc_v2", ctypes.byref(p), ctypes.c_size_t(need[name]))
    buffers[name] = (p.value, need[name])
x, y = array.array("f", [i * 0.5 for i in range(n)]), array.array("f", [0.0] * n)
k.call("cuMemcpyHtoD_v2", ctypes.c_uint64(buffers["x"][0]), ctypes.c_void_p(x.buffer_info()[0]), ctypes.c_size_t(4 * n))
k.launch(buffers, n=n, a=4.0)
k.call("cuCtxSynchronize")
k.call("cuMemcpyDtoH_v2", ctypes.c_void_p(y.buffer_info()[0]), ctypes.c_uint64(buffers["y"][0]), ctypes.c_size_t(4 * n))
print("exported kernel", "agrees" if all(y[i] == 4.0 * x[i] for i in range(n)) else "differs")
PY
