// Pitched and boxed memory, host memory, allocation on a stream, what a pointer is.
#include "check.h"
#include <cstring>
#include <vector>

__global__ void transpose(const float *in, size_t in_pitch, float *out, size_t out_pitch, int w, int h) {
    const int x = threadIdx.x, y = blockIdx.x;
    if (x < w && y < h)
        *(float *)((char *)out + x * out_pitch + y * sizeof(float)) = *(const float *)((const char *)in + y * in_pitch + x * sizeof(float));
}

static void two_dimensions() {
    enum { W = 37, H = 21 };
    float in[H][W], out[W][H], *a, *b;
    size_t a_pitch, b_pitch;
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            in[y][x] = (float)(100 * y + x);
    CHECK(cudaMallocPitch(&a, &a_pitch, W * sizeof(float), H));
    CHECK(cudaMallocPitch(&b, &b_pitch, H * sizeof(float), W));
    EXPECT(a_pitch >= W * sizeof(float) && a_pitch % 256 == 0);
    CHECK(cudaMemset2D(b, b_pitch, 0, H * sizeof(float), W));
    CHECK(cudaMemcpy2D(a, a_pitch, in, sizeof in[0], sizeof in[0], H, cudaMemcpyHostToDevice));
    transpose<<<H, 64>>>(a, a_pitch, b, b_pitch, W, H);
    CHECK(cudaMemcpy2D(out, sizeof out[0], b, b_pitch, sizeof out[0], W, cudaMemcpyDeviceToHost));
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            EXPECT(out[x][y] == in[y][x]);
    EXPECT(cudaMemcpy2D(a, 4, in, sizeof in[0], sizeof in[0], H, cudaMemcpyHostToDevice) == cudaErrorInvalidPitchValue);
    EXPECT(cudaGetLastError() == cudaErrorInvalidPitchValue);
    CHECK(cudaFree(a));
    CHECK(cudaFree(b));
}

static void three_dimensions() {
    enum { W = 12, H = 5, D = 3 };
    unsigned char in[D][H][W], out[D][H][W];
    for (size_t i = 0; i < sizeof in; i++)
        ((unsigned char *)in)[i] = (unsigned char)(i * 7);
    cudaPitchedPtr d;
    const cudaExtent all = make_cudaExtent(W, H, D);
    CHECK(cudaMalloc3D(&d, all));
    CHECK(cudaMemset3D(d, 0xee, all));
    cudaMemcpy3DParms p = {};
    p.srcPtr = make_cudaPitchedPtr(in, W, W, H);
    p.dstPtr = d;
    p.extent = make_cudaExtent(W - 2, H - 1, D - 1);
    p.srcPos = p.dstPos = make_cudaPos(2, 1, 1);
    p.kind = cudaMemcpyHostToDevice;
    CHECK(cudaMemcpy3D(&p));
    memset(&p, 0, sizeof p);
    p.srcPtr = d;
    p.dstPtr = make_cudaPitchedPtr(out, W, W, H);
    p.extent = all;
    p.kind = cudaMemcpyDeviceToHost;
    CHECK(cudaMemcpy3D(&p));
    for (int z = 0; z < D; z++)
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++)
                EXPECT(out[z][y][x] == (z >= 1 && y >= 1 && x >= 2 ? in[z][y][x] : 0xee));
    CHECK(cudaFree(d.ptr));
}

static void on_a_stream() {
    cudaStream_t s;
    int *d, out[64];
    CHECK(cudaStreamCreate(&s));
    CHECK(cudaMallocAsync(&d, sizeof out, s));
    CHECK(cudaMemsetAsync(d, 0x11, sizeof out, s));
    CHECK(cudaMemcpyAsync(out, d, sizeof out, cudaMemcpyDefault, s));
    CHECK(cudaFreeAsync(d, s));
    CHECK(cudaStreamSynchronize(s));
    EXPECT(out[63] == 0x11111111);
    CHECK(cudaStreamDestroy(s));
}

static void pointers() {
    int local, *d, *managed, *host;
    cudaPointerAttributes a;
    CHECK(cudaMalloc(&d, 64));
    CHECK(cudaMallocManaged(&managed, 64));
    CHECK(cudaHostAlloc((void **)&host, 64, cudaHostAllocMapped));
    CHECK(cudaPointerGetAttributes(&a, d + 3));
    EXPECT(a.type == cudaMemoryTypeDevice && a.device == 0 && a.devicePointer == d + 3);
    CHECK(cudaPointerGetAttributes(&a, managed));
    EXPECT(a.type == cudaMemoryTypeManaged && a.hostPointer == managed);
    CHECK(cudaPointerGetAttributes(&a, &local));
    EXPECT(a.type == cudaMemoryTypeUnregistered && a.device == cudaInvalidDeviceId && a.devicePointer == NULL);
    void *at;
    CHECK(cudaHostGetDevicePointer(&at, host, 0));
    *host = 77;
    CHECK(cudaMemcpy(&local, at, sizeof local, cudaMemcpyDefault));
    EXPECT(local == 77);
    size_t before, total, after;
    CHECK(cudaMemGetInfo(&before, &total));
    CHECK(cudaFree(d));
    CHECK(cudaMalloc(&d, 1 << 24));
    CHECK(cudaMemGetInfo(&after, &total));
    EXPECT(after < before && before <= total);
    CHECK(cudaFree(d));
    CHECK(cudaFree(managed));
    CHECK(cudaFreeHost(host));
}

int main() {
    two_dimensions();
    three_dimensions();
    on_a_stream();
    pointers();
    puts("memory is right");
}
