// Arrays, texture and surface objects: copies in and out, filtering and addressing.
#include "check.h"
#include <cmath>

__global__ void sample(cudaTextureObject_t t, float *out) {
    out[0] = tex2D<float>(t, 1.5f, 2.5f);      // the middle of a texel
    out[1] = tex2D<float>(t, 2.0f, 2.5f);      // between two
    out[2] = tex2D<float>(t, -3.0f, 0.5f);     // clamped
    out[3] = tex2D<float>(t, 100.0f, 7.5f);
}
__global__ void fetch(cudaTextureObject_t t, int *out, int n) {
    if (threadIdx.x < n)
        out[threadIdx.x] = tex1Dfetch<int>(t, threadIdx.x);
}
__global__ void twice(cudaSurfaceObject_t s) {
    float v;
    surf2Dread(&v, s, threadIdx.x * sizeof(float), threadIdx.y);
    surf2Dwrite(2 * v, s, threadIdx.x * sizeof(float), threadIdx.y);
}

static void two_dimensions() {
    enum { W = 16, H = 8 };
    float in[H][W], out[H][W], *d, got[4];
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            in[y][x] = (float)(10 * y + x);
    cudaArray_t a;
    const cudaChannelFormatDesc format = cudaCreateChannelDesc<float>();
    CHECK(cudaMallocArray(&a, &format, W, H, cudaArraySurfaceLoadStore));
    CHECK(cudaMemcpy2DToArray(a, 0, 0, in, sizeof in[0], sizeof in[0], H, cudaMemcpyHostToDevice));
    cudaResourceDesc where = {};
    where.resType = cudaResourceTypeArray;
    where.res.array.array = a;
    cudaTextureDesc how = {};
    how.addressMode[0] = how.addressMode[1] = cudaAddressModeClamp;
    how.filterMode = cudaFilterModeLinear;
    how.readMode = cudaReadModeElementType;
    cudaTextureObject_t t;
    CHECK(cudaCreateTextureObject(&t, &where, &how, NULL));
    CHECK(cudaMalloc(&d, sizeof got));
    sample<<<1, 1>>>(t, d);
    CHECK(cudaMemcpy(got, d, sizeof got, cudaMemcpyDeviceToHost));
    const float want[4] = {in[2][1], 0.5f * (in[2][1] + in[2][2]), in[0][0], in[7][15]};
    for (int i = 0; i < 4; i++)
        EXPECT(fabsf(got[i] - want[i]) < 0.01f);
    CHECK(cudaDestroyTextureObject(t));
    cudaSurfaceObject_t s;
    CHECK(cudaCreateSurfaceObject(&s, &where));
    twice<<<1, dim3(W, H)>>>(s);
    CHECK(cudaMemcpy2DFromArray(out, sizeof out[0], a, 0, 0, sizeof out[0], H, cudaMemcpyDeviceToHost));
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            EXPECT(out[y][x] == 2 * in[y][x]);
    CHECK(cudaDestroySurfaceObject(s));
    cudaExtent n;
    CHECK(cudaArrayGetInfo(NULL, &n, NULL, a));
    EXPECT(n.width == W && n.height == H);
    CHECK(cudaFreeArray(a));
}

static void linear() {
    int in[64], out[64], *d, *o;
    for (int i = 0; i < 64; i++)
        in[i] = 1000 - i;
    CHECK(cudaMalloc(&d, sizeof in));
    CHECK(cudaMalloc(&o, sizeof out));
    CHECK(cudaMemcpy(d, in, sizeof in, cudaMemcpyHostToDevice));
    cudaResourceDesc where = {};
    where.resType = cudaResourceTypeLinear;
    where.res.linear.devPtr = d;
    where.res.linear.desc = cudaCreateChannelDesc<int>();
    where.res.linear.sizeInBytes = sizeof in;
    cudaTextureDesc how = {};
    cudaTextureObject_t t;
    CHECK(cudaCreateTextureObject(&t, &where, &how, NULL));
    fetch<<<1, 64>>>(t, o, 64);
    CHECK(cudaMemcpy(out, o, sizeof out, cudaMemcpyDeviceToHost));
    for (int i = 0; i < 64; i++)
        EXPECT(out[i] == in[i]);
    CHECK(cudaDestroyTextureObject(t));
}

int main() {
    cudaArray_t a;
    const cudaChannelFormatDesc format = cudaCreateChannelDesc<float>();
    if (cudaMallocArray(&a, &format, 8, 0, 0) == cudaErrorNotSupported) {
        puts("the driver has no arrays");
        return 77;
    }
    CHECK(cudaFreeArray(a));
    cudaFuncAttributes attributes;
    if (cudaFuncGetAttributes(&attributes, sample) == cudaErrorInvalidPtx) {
        puts("the virtual GPU has no texture instructions");
        return 77;
    }
    two_dimensions();
    linear();
    puts("textures are right");
}
