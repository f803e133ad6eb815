// Copy whose lanes are 128 bytes apart on the load side: 32 sectors per request.
#pragma hone size N=67108864
#pragma hone in  a float[N]
#pragma hone out b float[N]
#pragma hone launch copy_stride32<<<cdiv(N,256), 256>>>(a, b, N)
extern "C" __global__ void copy_stride32(const float *a, float *b, int N) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int rows = N / 32;
    if (i < N) b[i] = a[(i % rows) * 32 + i / rows];
}
