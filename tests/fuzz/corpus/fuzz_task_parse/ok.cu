#pragma hone size N=1024 M=N*2   // a comment
#pragma hone check N=37 M=41
#pragma hone in  a float[N][M] ~ uniform(-1, 1)
#pragma hone out b float[1]
#pragma hone launch k<<<dim3(cdiv(N, 16), 2), \
                        256, 4*16>>>(a, b, N)
extern "C" __global__ void k(const float *a, float *b, int n) { b[0] = a[n]; }
