// Transpose through a padded shared-memory tile.
#pragma hone size W=8192 H=8192
#pragma hone in  a float[H][W]
#pragma hone out b float[W][H]
#pragma hone launch tr<<<dim3(cdiv(W,32), cdiv(H,32)), dim3(32,8)>>>(b, a, W, H)
extern "C" __global__ void tr(float *b, const float *a, int W, int H) {
    __shared__ float t[32][33];
    int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * 32 + threadIdx.y;
    for (int k = 0; k < 32; k += 8) if (x < W && y + k < H) t[threadIdx.y + k][threadIdx.x] = a[(size_t)(y + k) * W + x];
    __syncthreads();
    int u = blockIdx.y * 32 + threadIdx.x, v = blockIdx.x * 32 + threadIdx.y;
    for (int k = 0; k < 32; k += 8) if (u < H && v + k < W) b[(size_t)(v + k) * H + u] = t[threadIdx.x][threadIdx.y + k];
}
