#pragma hone size N=1000000
#pragma hone in x float[N]
#pragma hone out y float[N]
#pragma hone scalar s int64 = N * N * N * N
#pragma hone launch k<<<cdiv(N, 64), 64, 1 << N>>>(x, y, N)
#pragma hone flops N*N*N*N
extern "C" __global__ void k(const float *x, float *y, int N) { y[threadIdx.x] = x[threadIdx.x]; }
