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
#pragma hone launch nbody_step<<<cdiv(cdiv(n,256), 4), 256>>>(newpos, pos, vel, n, dt, damping, eps2)
#pragma hone tolerance auto
#pragma hone flops 20*n*n
#pragma hone bytes 64*n

// One step of all-pairs gravity. pos is (n,4) = x,y,z,mass; vel is (n,4), updated in place.
extern "C" __global__ void nbody_step(float* newpos, const float* pos, float* vel, int n,
                                      float dt, float damping, float eps2)
{
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) {   // about 4 elements per thread
        const float4 pos_v = *reinterpret_cast<const float4*>(&pos[4 * i]);
        float xi = pos_v.x, yi = pos_v.y, zi = pos_v.z;
        float ax = 0.0f, ay = 0.0f, az = 0.0f;
        for (int j = 0; j < n; j++) {
        const float4 pos_v2 = *reinterpret_cast<const float4*>(&pos[4 * j]);
        float dx = pos_v2.x - xi;
        float dy = pos_v2.y - yi;
        float dz = pos_v2.z - zi;
        float d2 = dx * dx + dy * dy + dz * dz + eps2;
        float inv = 1.0f / sqrtf(d2);
        float s = pos_v2.w * inv * inv * inv;
        ax += dx * s;
        ay += dy * s;
        az += dz * s;
    }
        float vx = (vel[4 * i] + ax * dt) * damping;
        float vy = (vel[4 * i + 1] + ay * dt) * damping;
        float vz = (vel[4 * i + 2] + az * dt) * damping;
        newpos[4 * i] = xi + vx * dt;
        newpos[4 * i + 1] = yi + vy * dt;
        newpos[4 * i + 2] = zi + vz * dt;
        newpos[4 * i + 3] = pos_v.w;
        vel[4 * i] = vx;
        vel[4 * i + 1] = vy;
        vel[4 * i + 2] = vz;
    }
}
