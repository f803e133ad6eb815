// One thread per row of 4096 floats: uncoalesced streams that live on L1 sectors.
#pragma hone size N=16384 C=4096
#pragma hone in  a float[N][C]
#pragma hone out b float[N]
#pragma hone launch gather_rows<<<cdiv(N,128), 128>>>(a, b, N, C)
extern "C" __global__ void gather_rows(const float *a, float *b, int N, int C) {
    int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= N) return;
    float s = 0;
    for (int j = 0; j < C; j++) s += a[(size_t)row * C + j];
    b[row] = s;
}
