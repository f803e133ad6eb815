printf '#pragma hone size N=64 Z=0\n#pragma hone in x float[N]\n#pragma hone out y float[N]\n#pragma hone launch k<<<N/(Z-Z), 64>>>(x, y, N)\nextern "C" __global__ void k(const float *x, float *y, int N) { y[threadIdx.x] = x[threadIdx.x]; }\n' > bad.cu
hone check bad.cu --device virtual:h200
