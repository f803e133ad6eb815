// Repeated reads of 16 MB: L2 bandwidth.
#pragma hone size N=4194304 R=32
#pragma hone in  a float[N]
#pragma hone out b float[1048576]
#pragma hone launch l2_read<<<4096, 256>>>(a, b, N/4, R)
extern "C" __global__ void l2_read(const float *a, float *b, int n4, int R) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    const float4 *v = (const float4 *)a;
    float s = 0;
    for (int r = 0; r < R; r++) {
        float4 x = v[(i + r * 40961) & (n4 - 1)];
        s += x.x + x.y + x.z + x.w;
    }
    b[i] = s;
}
