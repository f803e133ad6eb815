// Naive transpose, 64×4 threads.
#pragma hone size W=8192 H=8192
#pragma hone in  a float[H][W]
#pragma hone out b float[W][H]
#pragma hone launch tr<<<dim3(cdiv(W,64), cdiv(H,4)), dim3(64,4)>>>(b, a, W, H)
extern "C" __global__ void tr(float *b, const float *a, int W, int H) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x < W && y < H) b[(size_t)x * H + y] = a[(size_t)y * W + x];
}
