#pragma hone sizes N=1024
#pragma hone
#pragma hone frobnicate
extern "C" __global__ void k(const float *a, float *b, int n) { b[0] = a[n]; }
