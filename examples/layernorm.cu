// Layer normalisation of every row of an N by C matrix; also stores mean and reciprocal deviation.
// One thread per row: neighbouring threads are C floats apart, and each row is read three times.
#pragma hone size N=65536 C=1024
#pragma hone check N=1024 C=768
#pragma hone check N=61 C=1001
#pragma hone out out    float[N][C]
#pragma hone out mean   float[N]
#pragma hone out rstd   float[N]
#pragma hone in  inp    float[N][C] ~ normal(0.1, 1)
#pragma hone in  weight float[C] ~ uniform(-1, 1)
#pragma hone in  bias   float[C] ~ uniform(-1, 1)
#pragma hone launch layernorm_fwd<<<cdiv(N, 128), 128>>>(out, mean, rstd, inp, weight, bias, N, C)
#pragma hone tolerance auto
#pragma hone flops 8*N*C
#pragma hone bytes 8*N*C+8*N+8*C

// one thread per row; eps = 1e-5; also stores mean and reciprocal stddev per row
extern "C" __global__ void layernorm_fwd(float* out, float* mean, float* rstd, const float* inp,
                                         const float* weight, const float* bias, int N, int C)
{
    int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= N) return;
    const float* x = inp + (size_t)row * C;
    float* y = out + (size_t)row * C;
    float m = 0.0f;
    for (int i = 0; i < C; i++) m += x[i];
    m = m / C;
    float v = 0.0f;
    for (int i = 0; i < C; i++) {
        float d = x[i] - m;
        v += d * d;
    }
    v = v / C;
    float s = 1.0f / sqrtf(v + 1e-5f);
    for (int i = 0; i < C; i++)
        y[i] = (x[i] - m) * s * weight[i] + bias[i];
    mean[row] = m;
    rstd[row] = s;
}
