// A size line and a buffer line that cannot be read: only their own errors are reported, the names they meant to declare count as known.
#pragma hone size N=64 M=
#pragma hone in float x[N]
#pragma hone out y float[N
#pragma hone scratsh tmp float[N*M]
#pragma hone tune T={8,16,8}
#pragma hone launch k<<<cdiv(N,T), 64>>>(x, y, N, tmp)
#pragma hone tolerance y exact
#pragma hone flops 2*N*M
extern "C" __global__ void k(const float *x, float *y, int N, float *tmp) { y[threadIdx.x] = x[threadIdx.x]; }
