// M serves only in a divisor that is zero at the second set of sizes.
#pragma hone size N=64 M=3
#pragma hone size N=64 M=2
#pragma hone in x float[N]
#pragma hone out y float[N]
#pragma hone launch k<<<N/(M-2), 64>>>(x, y, cdiv(N, M - 1 - 1))
#pragma hone flops 1.0*N/(M-2)
extern "C" __global__ void k(const float *x, float *y, int N) { y[threadIdx.x] = x[threadIdx.x]; }
