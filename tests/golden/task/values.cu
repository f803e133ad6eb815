#pragma hone size N=4
#pragma hone check N=8
#pragma hone in  a float[N]
#pragma hone out b float[8/(N-8)]
#pragma hone launch k<<<N-4,2>>>(a, b, N)
extern "C" __global__ void k(const float *a, float *b, int n) { b[0] = a[n]; }
