#pragma hone size N=1024
#pragma hone in  a double[N]
#pragma hone out b float[1]
#pragma hone scalar s float = 0.5
#pragma hone launch k<<<1,2>>>(a, b)
#pragma hone launch k<<<1,2>>>(a, 3, b)
#pragma hone launch k<<<1,2>>>(bb, b, s)
#pragma hone launch t<<<1,2>>>(b)
#pragma hone launch p<<<1,2>>>(b)
#pragma hone launch q<<<1,2>>>(b)
extern "C" __global__ void k(const float *a, float *b, int n) { b[0] = a[n]; }
template <int N> __global__ void t(float *x) {}
__global__ void p(float *x);
struct big { int v[4]; };
__global__ void q(big x) {}
