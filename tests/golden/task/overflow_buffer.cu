#pragma hone size N=1000000
#pragma hone in x float[N][N][N][N]
#pragma hone out y float[N]
#pragma hone launch k<<<cdiv(N, 64), 64>>>(x, y, N)
extern "C" __global__ void k(const float *x, float *y, int N) { y[threadIdx.x] = x[threadIdx.x]; }
