// Transpose of an H by W matrix: out[x][y] = in[y][x].
// Bound by memory: the stores of a warp are H floats apart.
#pragma hone size W=8192 H=8192
#pragma hone check W=1024 H=768
#pragma hone check W=333 H=517
#pragma hone out out float[W][H]
#pragma hone in  in  float[H][W] ~ uniform(-1, 1)
#pragma hone launch transpose<<<dim3(cdiv(W, 16), cdiv(H, 16)), dim3(16, 16)>>>(out, in, W, H)
#pragma hone tolerance exact
#pragma hone bytes 8*W*H

// in is H x W row-major, out is W x H row-major: out[x][y] = in[y][x]
extern "C" __global__ void transpose(float* out, const float* in, int W, int H)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x;
    int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x < W && y < H)
        out[(size_t)x * H + y] = in[(size_t)y * W + x];
}
