#pragma hone flags -maxrregcount=64 -fmad=false --restrict
#pragma hone flags -use_fast_math -maxrregcount=3 -I/etc -fmad=maybe
#pragma hone flags
#pragma hone tune A={1,1}
#pragma hone tune B=5..1
#pragma hone tune C=1..9 step 0
#pragma hone tune D=1..100000
#pragma hone tune E={N}
#pragma hone tune F=1..4 step 2 3
extern "C" __global__ void k(const float *a, float *b, int n) { b[0] = a[n]; }
