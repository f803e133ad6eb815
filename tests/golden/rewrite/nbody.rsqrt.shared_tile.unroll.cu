// One step of all-pairs gravity. pos is (n,4): x, y, z, mass; vel is (n,4) and updated in place.
// Bound by arithmetic: every thread reads all positions, which shared memory can hold.
#pragma hone size n=65536
#pragma hone check n=4096
#pragma hone check n=1001
#pragma hone out   newpos float[n][4]
#pragma hone in    pos    float[n][4] ~ uniform(0, 1)
#pragma hone inout vel    float[n][4] ~ uniform(-1, 1)
#pragma hone scalar dt float = 1e-5
#pragma hone scalar damping float = 0.995
#pragma hone scalar eps2 float = 0.01
#pragma hone tune TILE={256,128,64,512}
#pragma hone launch nbody_step<<<cdiv(n, 256), 256>>>(newpos, pos, vel, n, dt, damping, eps2)
#pragma hone tolerance auto
#pragma hone flops 20*n*n
#pragma hone bytes 64*n

// One step of all-pairs gravity. pos is (n,4) = x,y,z,mass; vel is (n,4), updated in place.
extern "C" __global__ void nbody_step(float* newpos, const float* pos, float* vel, int n,
                                      float dt, float damping, float eps2)
{
    const int i_all = blockIdx.x * blockDim.x + threadIdx.x;
    int i = min(i_all, n - 1);   // threads past the end help with staging
    float xi = pos[4 * i], yi = pos[4 * i + 1], zi = pos[4 * i + 2];
    float ax = 0.0f, ay = 0.0f, az = 0.0f;
    // staged in shared memory, TILE iterations at a time
    __shared__ float4 pos_tile[TILE];
    #pragma unroll 4
    for (int j0 = 0; j0 < n; j0 += TILE) {
        __syncthreads();
        for (int s2 = threadIdx.x; s2 < TILE; s2 += blockDim.x) {
            if (j0 + s2 < n)
                pos_tile[s2] = reinterpret_cast<const float4*>(pos)[j0 + s2];
        }
        __syncthreads();
        const int s2_end = min(TILE, n - j0);
        #pragma unroll 8
        for (int s2 = 0; s2 < s2_end; s2++) {
            const int j = j0 + s2;
            (void)j;
            {
        float dx = pos_tile[s2].x - xi;
        float dy = pos_tile[s2].y - yi;
        float dz = pos_tile[s2].z - zi;
        float d2 = dx * dx + dy * dy + dz * dz + eps2;
        float inv = rsqrtf(d2);
        float s = pos_tile[s2].w * inv * inv * inv;
        ax += dx * s;
        ay += dy * s;
        az += dz * s;
    }
        }
    }
    if (i_all >= n) return;
    float vx = (vel[4 * i] + ax * dt) * damping;
    float vy = (vel[4 * i + 1] + ay * dt) * damping;
    float vz = (vel[4 * i + 2] + az * dt) * damping;
    newpos[4 * i] = xi + vx * dt;
    newpos[4 * i + 1] = yi + vy * dt;
    newpos[4 * i + 2] = zi + vz * dt;
    newpos[4 * i + 3] = pos[4 * i + 3];
    vel[4 * i] = vx;
    vel[4 * i + 1] = vy;
    vel[4 * i + 2] = vz;
}
