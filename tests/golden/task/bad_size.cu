// One size that is out of range: the buffers and launches that use it, and the sizes made of it, say nothing.
#pragma hone size N=64 Z=0 W=Z-1
#pragma hone check N=3 Z=1 W=2
#pragma hone in x float[N][Z]
#pragma hone out y float[N]
#pragma hone scalar s int32 = Z + W
#pragma hone launch k<<<N/(Z-Z), 64>>>(x, y, N)
#pragma hone flops 2*N*W
extern "C" __global__ void k(const float *x, float *y, int N) { y[threadIdx.x] = x[threadIdx.x]; }
