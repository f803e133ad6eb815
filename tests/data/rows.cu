// Row sums of a small matrix, one thread per row: a task that evaluates in a fraction of a second.
#pragma hone size N=512 C=256
#pragma hone check N=33 C=65
#pragma hone in x float[N][C] ~ normal(0,1)
#pragma hone out y float[N]
#pragma hone launch rows<<<cdiv(N,128), 128>>>(x, y, N, C)
extern "C" __global__ void rows(const float *x, float *y, int N, int C) {
    int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= N) return;
    float s = 0.0f;
    for (int j = 0; j < C; j++)
        s += x[row * C + j];
    y[row] = s;
}
