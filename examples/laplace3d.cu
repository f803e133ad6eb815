// One Jacobi step of the 7-point Laplacian on an NX by NY by NZ grid, x fastest; the boundary is copied.
// Bound by memory: neighbours in z are far apart, so planes are read several times.
#pragma hone size NX=512 NY=512 NZ=512
#pragma hone check NX=128 NY=96 NZ=64
#pragma hone check NX=67 NY=35 NZ=29
#pragma hone in  u1 float[NZ][NY][NX] ~ uniform(-1, 1)
#pragma hone out u2 float[NZ][NY][NX]
#pragma hone launch laplace3d<<<dim3(cdiv(NX, 8), cdiv(NY, 8), cdiv(NZ, 8)), dim3(8, 8, 8)>>>(NX, NY, NZ, u1, u2)
#pragma hone tolerance auto
#pragma hone flops 6*NX*NY*NZ
#pragma hone bytes 8*NX*NY*NZ

// one Jacobi step of the 7-point Laplacian on an NX*NY*NZ grid (x fastest); boundary copied
extern "C" __global__ void laplace3d(int NX, int NY, int NZ, const float* u1, float* u2)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int j = blockIdx.y * blockDim.y + threadIdx.y;
    int k = blockIdx.z * blockDim.z + threadIdx.z;
    if (i < NX && j < NY && k < NZ) {
        int p = i + NX * (j + NY * k);
        if (i == 0 || i == NX - 1 || j == 0 || j == NY - 1 || k == 0 || k == NZ - 1)
            u2[p] = u1[p];
        else
            u2[p] = (u1[p - 1] + u1[p + 1] + u1[p - NX] + u1[p + NX] +
                     u1[p - NX * NY] + u1[p + NX * NY]) * (1.0f / 6.0f);
    }
}
