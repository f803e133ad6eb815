// nvcc: -std=c++17 --extended-lambda
// Kernels from templates and lambdas: one function per instance, found by its mangled name; the C++ launch interface.
#include "check.h"

template <typename T, int N, typename F> __global__ void apply(T *x, F f) {
    if (threadIdx.x < N)
        x[threadIdx.x] = f(x[threadIdx.x]);
}

template <typename T, int N, typename F> static void run(F f, T (*want)(T)) {
    T host[N], *d;
    for (int i = 0; i < N; i++)
        host[i] = (T)i;
    CHECK(cudaMalloc(&d, sizeof host));
    CHECK(cudaMemcpy(d, host, sizeof host, cudaMemcpyHostToDevice));
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(1);
    config.blockDim = dim3(N);
    CHECK(cudaLaunchKernelEx(&config, apply<T, N, F>, d, f));
    CHECK(cudaMemcpy(host, d, sizeof host, cudaMemcpyDeviceToHost));
    for (int i = 0; i < N; i++)
        EXPECT(host[i] == want((T)i));
    cudaFuncAttributes a;
    CHECK(cudaFuncGetAttributes(&a, apply<T, N, F>));
    EXPECT(a.maxThreadsPerBlock >= N && a.numRegs > 0);
    CHECK(cudaFree(d));
}

int main() {
    const int three = 3;
    run<int, 32>([three] __device__(int v) { return three * v; }, +[](int v) { return 3 * v; });
    run<double, 17>([] __device__(double v) { return v * v - 1; }, +[](double v) { return v * v - 1; });
    run<unsigned char, 64>([] __device__(unsigned char v) { return (unsigned char)(255 - v); }, +[](unsigned char v) { return (unsigned char)(255 - v); });
    puts("templates are right");
}
