#pragma hone size N=99999999999999999999
#pragma hone size N=010
#pragma hone size N=1/(3-3)
#pragma hone size N=0
#pragma hone size N=4 N=5
#pragma hone size N=Q+1
#pragma hone size N=1<<64
#pragma hone size N=9223372036854775807+1
#pragma hone size N=sqrt(4)
#pragma hone size N=cdiv(4)
#pragma hone size N=2.5
#pragma hone size N=(4
#pragma hone size N=1e999
#pragma hone flops 3..4
extern "C" __global__ void k(const float *a, float *b, int n) { b[0] = a[n]; }
