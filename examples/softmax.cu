// Softmax of every row of an N by C matrix, with the maximum subtracted.
// One thread per row: neighbouring threads are C floats apart, and each row is read three times.
#pragma hone size N=16384 C=4096
#pragma hone check N=512 C=1024
#pragma hone check N=37 C=1003
#pragma hone out out float[N][C]
#pragma hone in  inp float[N][C] ~ normal(0, 2)
#pragma hone launch softmax_rows<<<cdiv(N, 128), 128>>>(out, inp, N, C)
#pragma hone tolerance auto
#pragma hone flops 5*N*C
#pragma hone bytes 8*N*C

#define NEG_INF (-__int_as_float(0x7f800000))
// one thread per row of a (N, C) matrix
extern "C" __global__ void softmax_rows(float* out, const float* inp, int N, int C)
{
    int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= N) return;
    const float* x = inp + (size_t)row * C;
    float* y = out + (size_t)row * C;
    float m = NEG_INF;
    for (int j = 0; j < C; j++)
        if (x[j] > m) m = x[j];
    float sum = 0.0f;
    for (int j = 0; j < C; j++) {
        y[j] = expf(x[j] - m);
        sum += y[j];
    }
    for (int j = 0; j < C; j++)
        y[j] = y[j] / sum;
}
