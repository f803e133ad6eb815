#pragma hone size N=
#pragma hone size N=1024 M
#pragma hone in a float
#pragma hone in a float[N
#pragma hone in a floaty[N]
#pragma hone out b float[1] ~ normal(0,1)
#pragma hone in c int32[N] ~ gauss(1)
#pragma hone in c int32[N] ~ normal(0,1)
#pragma hone in c float[N] ~ normal(0)
#pragma hone in 3c float[N]
#pragma hone launch k<<1,2>>(a)
#pragma hone launch k<<<1,2,0,s>>>(a)
#pragma hone launch k<<<dim3(1,2,3,4),2>>>(a)
#pragma hone launch k<<<1,2>>>(a, b, N) extra
#pragma hone launch k<int><<<1,2>>>(a)
#pragma hone objective speed
#pragma hone tolerance rtol 3
#pragma hone scalar x float 3
#pragma hone scratch w float[4] unordered
extern "C" __global__ void k(const float *a, float *b, int n) { b[0] = a[n]; }
