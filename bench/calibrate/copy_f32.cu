// Streaming copy, one float per thread: DRAM bandwidth with scalar accesses.
#pragma hone size N=134217728
#pragma hone in  a float[N]
#pragma hone out b float[N]
#pragma hone launch copy_f32<<<cdiv(N,256), 256>>>(a, b, N)
extern "C" __global__ void copy_f32(const float *a, float *b, int N) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < N) b[i] = a[i];
}
