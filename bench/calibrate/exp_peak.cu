// expf over registers: special function throughput with its range reduction.
#pragma hone size B=2112 R=512
#pragma hone in  a float[B*256]
#pragma hone out b float[B*256]
#pragma hone launch exp_peak<<<B, 256>>>(a, b, R)
extern "C" __global__ void exp_peak(const float *a, float *b, int R) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float x = a[i], s = 0;
    for (int r = 0; r < R; r++) s += expf(x + r * -0.001f);
    b[i] = s;
}
