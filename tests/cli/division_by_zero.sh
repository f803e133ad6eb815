printf '#pragma hone size N=64 M=3\n#pragma hone in x float[N]\n#pragma hone out y float[N]\n#pragma hone launch k<<<N/(M-M), 64>>>(x, y, N)\nextern "C" __global__ void k(const float *x, float *y, int N) { y[threadIdx.x] = x[threadIdx.x]; }\n' > bad.cu
hone check bad.cu --device virtual:h200
