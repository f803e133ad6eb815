#pragma hone size N=64
#pragma hone in float x[N]
#pragma hone out float y [N]
#pragma hone scalar double s = 1.5
#pragma hone launch k<<<cdiv(N, 64), 64>>>(x, y, s, N)
extern "C" __global__ void k(const float *x, float *y, double s, int N) { y[threadIdx.x] = x[threadIdx.x]; }
