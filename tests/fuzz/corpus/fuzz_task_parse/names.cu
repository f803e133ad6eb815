#pragma hone size N=1024 M=2
#pragma hone check N=3
#pragma hone check N=3 M=4 K=5
#pragma hone in  a float[NN]
#pragma hone in  a float[N]
#pragma hone out b float[T]
#pragma hone scalar min int32 = 3
#pragma hone scalar N int32 = 3
#pragma hone scalar x int32 = y
#pragma hone scalar y int32 = a
#pragma hone tune T={1,2}
#pragma hone tune T={1,2}
#pragma hone launch kk<<<cdiv(N,T),2>>>(a, b, Q)
#pragma hone tolerance a exact
#pragma hone tolerance c exact
#pragma hone tolerance exact
#pragma hone tolerance auto
extern "C" __global__ void k(const float *a, float *b, int n) { b[0] = a[n]; }
