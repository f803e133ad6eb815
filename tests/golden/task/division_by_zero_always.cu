#pragma hone size N=64 M=3
#pragma hone in x float[N]
#pragma hone out y float[N]
#pragma hone tune T={0,1}
#pragma hone launch k<<<N/(M-M), 64>>>(x, y, N%T)
extern "C" __global__ void k(const float *x, float *y, int N) { y[threadIdx.x] = x[threadIdx.x]; }
