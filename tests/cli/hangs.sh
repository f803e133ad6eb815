printf '#pragma hone size N=64\n#pragma hone in x float[N]\n#pragma hone out y float[N]\n#pragma hone launch k<<<1, 64>>>(x, y, N)\nextern "C" __global__ void k(const float *x, float *y, int N) { volatile int go = 1; while (go) {} y[threadIdx.x] = x[threadIdx.x]; }\n' > bad.cu
hone check bad.cu --device virtual:h200 --job-limit 20s
