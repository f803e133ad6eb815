// The streaming copy held at one resident block of 128 threads per SM by shared memory: few bytes in flight.
#pragma hone size N=134217728
#pragma hone in  a float[N]
#pragma hone out b float[N]
#pragma hone launch copy_low<<<cdiv(N,128), 128, 131072>>>(a, b, N)
extern "C" __global__ void copy_low(const float *a, float *b, int N) {
    extern __shared__ float s[];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < N) b[i] = a[i];
    if (N < 0) b[0] = s[threadIdx.x];
}
