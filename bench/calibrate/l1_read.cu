// Each block reads its own 16 KB again and again: L1 bandwidth.
#pragma hone size B=1056 R=256
#pragma hone in  a float[B*4096]
#pragma hone out b float[B*256]
#pragma hone launch l1_read<<<B, 256>>>(a, b, R)
extern "C" __global__ void l1_read(const float *a, float *b, int R) {
    const float4 *v = (const float4 *)(a + blockIdx.x * 4096);
    float s = 0;
    for (int r = 0; r < R; r++) {
        float4 x = v[(threadIdx.x + r * 32) & 1023];
        s += x.x + x.y + x.z + x.w;
    }
    b[blockIdx.x * blockDim.x + threadIdx.x] = s;
}
