// Sources for the compile tests: small kernels that between them use registers, static shared memory, spills, barriers and a called
// function.
#ifndef TEST_KERNELS_H
#define TEST_KERNELS_H
static const char *const test_kernels[] = {
    "#pragma hone size N=1\nextern \"C\" __global__ void copy(const float *a, float *b, int n) {\n    int i = blockIdx.x * blockDim.x + "
    "threadIdx.x;\n"
    "    if (i < n) b[i] = a[i];\n}\n",
    "extern \"C\" __global__ void tile(float *a) {\n    __shared__ float s[333];\n    s[threadIdx.x] = a[threadIdx.x];\n    "
    "__syncthreads();\n"
    "    a[threadIdx.x] = s[332 - threadIdx.x];\n}\n__global__ void plain(int *p) { p[threadIdx.x] = clock(); }\n",
    "extern \"C\" __global__ void __launch_bounds__(1024, 2) spill(double *a, int n) {\n    double v[48];\n    for (int i = 0; i < 48; "
    "i++) v[i] = a[i * n];\n"
    "#pragma unroll\n    for (int i = 0; i < 48; i++) v[i] = v[i] * v[(i + 7) % 48] + sin(v[(i + 13) % 48]);\n"
    "    for (int i = 0; i < 48; i++) a[i * n] = v[i];\n}\n",
    "__device__ __noinline__ float deep(float x, int n) { return n == 0 ? x : deep(x * 1.5f, n - 1) + 1; }\n"
    "extern \"C\" __global__ void calls(float *a) { extern __shared__ float s[]; s[threadIdx.x] = a[threadIdx.x]; a[threadIdx.x] = "
    "deep(s[threadIdx.x], 9); }\n",
};
#endif
