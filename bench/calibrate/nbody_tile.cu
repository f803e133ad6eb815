// All-pairs gravity with shared-memory tiles and rsqrtf.
#pragma hone size n=65536
#pragma hone in  p float[n][4] ~ uniform(0,1)
#pragma hone out a float[n][4]
#pragma hone launch nb<<<n/256, 256>>>(p, a, n)
extern "C" __global__ void nb(const float *p, float *a, int n) {
    __shared__ float4 s[256];
    int i = blockIdx.x * 256 + threadIdx.x;
    float4 me = ((const float4 *)p)[i];
    float ax = 0, ay = 0, az = 0;
    for (int j0 = 0; j0 < n; j0 += 256) {
        s[threadIdx.x] = ((const float4 *)p)[j0 + threadIdx.x];
        __syncthreads();
#pragma unroll 8
        for (int j = 0; j < 256; j++) {
            float dx = s[j].x - me.x, dy = s[j].y - me.y, dz = s[j].z - me.z;
            float r = rsqrtf(dx * dx + dy * dy + dz * dz + 0.01f), f = s[j].w * r * r * r;
            ax += dx * f; ay += dy * f; az += dz * f;
        }
        __syncthreads();
    }
    ((float4 *)a)[i] = make_float4(ax, ay, az, 0);
}
