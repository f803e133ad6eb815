#pragma hone size N=4
#pragma hone in  a float[N]
#pragma hone in  unused float[N]
#pragma hone out b float[1]
#pragma hone scalar s float = 1
#pragma hone tune T={1}
#pragma hone launch k<<<1,2>>>(b, a, N)
extern "C" __global__ void k(const float *a, float *b, int n) { b[0] = a[n]; }
