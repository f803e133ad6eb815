// Transpose of an H by W matrix: out[x][y] = in[y][x].
// Bound by memory: the stores of a warp are H floats apart.
#pragma hone size W=8192 H=8192
#pragma hone check W=1024 H=768
#pragma hone check W=333 H=517
#pragma hone out out float[W][H]
#pragma hone in  in  float[H][W] ~ uniform(-1, 1)
#pragma hone tune ROWS={8,4,16,2}
#pragma hone launch transpose<<<dim3(cdiv(W, 32), cdiv(H, 32)), dim3(32, ROWS)>>>(out, in, W, H)
#pragma hone tolerance exact
#pragma hone bytes 8*W*H

// in is H x W row-major, out is W x H row-major: out[x][y] = in[y][x]
extern "C" __global__ void transpose(float* out, const float* in, int W, int H)
{
    __shared__ float tile[32][33];   // both sides coalesced; the extra column avoids bank conflicts
    for (int r = threadIdx.y; r < 32; r += blockDim.y) {
        const int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * 32 + r;
        if (x < W && y < H)
            tile[r][threadIdx.x] = in[(size_t)y * W + x];
    }
    __syncthreads();
    for (int r = threadIdx.y; r < 32; r += blockDim.y) {
        const int x = blockIdx.x * 32 + r, y = blockIdx.y * 32 + threadIdx.x;
        if (x < W && y < H)
            out[(size_t)x * H + y] = tile[threadIdx.x][r];
    }
}
