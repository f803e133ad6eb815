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
#pragma hone launch nbody_step<<<cdiv(n, 256), 256>>>(newpos, pos, vel, n, dt, damping, eps2)
#pragma hone tolerance auto
#pragma hone flops 20*n*n
#pragma hone bytes 64*n

// One step of all-pairs gravity. pos is (n,4) = x,y,z,mass; vel is (n,4), updated in place.
extern "C" __global__ void nbody_step(float* newpos, const float* pos, float* vel, int n,
                                      float dt, float damping, float eps2)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float xi = pos[4 * i], yi = pos[4 * i + 1], zi = pos[4 * i + 2];
    float ax = 0.0f, ay = 0.0f, az = 0.0f;
    for (int j = 0; j < n; j++) {
        float dx = pos[4 * j] - xi;
        float dy = pos[4 * j + 1] - yi;
        float dz = pos[4 * j + 2] - zi;
        float d2 = dx * dx + dy * dy + dz * dz + eps2;
        float inv = 1.0f / sqrtf(d2);
        float s = pos[4 * j + 3] * inv * inv * inv;
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
    newpos[4 * i + 3] = pos[4 * i + 3];
    vel[4 * i] = vx;
    vel[4 * i + 1] = vy;
    vel[4 * i + 2] = vz;
}
