# Every finding explains itself, shows its evidence and names the command that shows it again.
cat >task.cu <<'END'
#pragma hone size n=5000
#pragma hone in x float[n] ~ normal(0,1)
#pragma hone out y float[n]
#pragma hone launch twice<<<cdiv(n,256), 256>>>(x, y, n)
extern "C" __global__ void twice(const float *x, float *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = 2 * x[i];
}
END
sed 's/#pragma hone launch twice<<<cdiv(n,256), 256>>>/#pragma hone tune B={128,256}\n#pragma hone launch twice<<<cdiv(n,B), B>>>/;s/2 \* x\[i\]/n > 300 ? 2.001f * x[i] : 2 * x[i]/' task.cu >mine.cu
hone check task.cu mine.cu --device virtual:l4 --seed 5 -p B=256 --json >first.json
python3 - first.json <<'END' >again.sh
import json, os, sys
f = json.load(open(sys.argv[1]))["findings"][0]
assert f["explanation"] and {"sizes", "input", "seed", "element", "baseline", "candidate", "case"} <= set(f["evidence"]), f
print("#", f["kind"])
print(f["reproduce"], "--json")
END
cat again.sh
sh again.sh >second.json
python3 -c 'import json; a, b = (json.load(open(n + ".json"))["findings"] for n in ("first", "second")); print("same finding:", a[0] == b[0], len(b))'
hone check task.cu mine.cu --device virtual:l4 --case n=7:task
