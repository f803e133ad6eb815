// Correctly rounded float division.
#pragma hone size B=2112 R=512
#pragma hone in  a float[B*256]
#pragma hone out b float[B*256]
#pragma hone launch div_peak<<<B, 256>>>(a, b, R)
extern "C" __global__ void div_peak(const float *a, float *b, int R) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float x = a[i] + 2.0f, s = 1.0f;
    for (int r = 0; r < R; r++) s = s / x + 1.0f;
    b[i] = s;
}
