// 7-point stencil, 32×8 threads per block, one plane each.
#pragma hone size NX=512 NY=512 NZ=512
#pragma hone in  u float[NZ][NY][NX]
#pragma hone out v float[NZ][NY][NX]
#pragma hone launch st<<<dim3(cdiv(NX,32), cdiv(NY,8), NZ), dim3(32,8)>>>(NX, NY, NZ, u, v)
extern "C" __global__ void st(int NX, int NY, int NZ, const float *u, float *v) {
    int i = blockIdx.x * 32 + threadIdx.x, j = blockIdx.y * 8 + threadIdx.y, k = blockIdx.z;
    if (i >= NX || j >= NY) return;
    int p = i + NX * (j + NY * k);
    if (i == 0 || i == NX - 1 || j == 0 || j == NY - 1 || k == 0 || k == NZ - 1) v[p] = u[p];
    else v[p] = (u[p - 1] + u[p + 1] + u[p - NX] + u[p + NX] + u[p - NX * NY] + u[p + NX * NY]) * (1.0f / 6.0f);
}
