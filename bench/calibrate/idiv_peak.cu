// 32-bit integer division by a run-time value.
#pragma hone size B=2112 R=256
#pragma hone in  a int32[B*256] ~ int(0,1000000)
#pragma hone out b int32[B*256]
#pragma hone launch idiv_peak<<<B, 256>>>(a, b, R)
extern "C" __global__ void idiv_peak(const int *a, int *b, int R) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int x = a[i], s = 0;
    for (int r = 1; r <= R; r++) s += (x + s) / (r + (x & 1));
    b[i] = s;
}
