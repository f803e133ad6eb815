// The handles of kernels: functions and kernels by symbol, a library loaded from PTX text at run time.
#include "check.h"
#include <cstring>

__global__ void write(int *out, int v) { *out = v; }

static const char ptx[] = ".version 8.0\n.target sm_80\n.address_size 64\n.visible .global .align 4 .u32 step = 30;\n"
                          ".visible .entry more(.param .u64 out, .param .u32 v)\n{\n.reg .b32 %r<4>; .reg .b64 %rd<2>;\n"
                          "ld.param.u64 %rd1, [out]; ld.param.u32 %r1, [v]; ld.global.u32 %r2, [step]; add.u32 %r1, %r1, %r2;\n"
                          "cvta.to.global.u64 %rd1, %rd1; st.global.u32 [%rd1], %r1; ret;\n}\n";

static int launch(const void *func, int *d, int v) {
    void *args[] = {&d, &v};
    int got = -1;
    CHECK(cudaLaunchKernel(func, dim3(1), dim3(1), args, 0, NULL));
    CHECK(cudaMemcpy(&got, d, sizeof got, cudaMemcpyDeviceToHost));
    return got;
}

int main() {
    int *d;
    cudaFunction_t f;
    cudaKernel_t k;
    CHECK(cudaMalloc(&d, sizeof *d));
    CHECK(cudaGetFuncBySymbol(&f, (const void *)write));
    CHECK(cudaGetKernel(&k, (const void *)write));
    EXPECT(launch((const void *)write, d, 1) == 1);
    EXPECT(launch(f, d, 2) == 2);
    EXPECT(launch(k, d, 3) == 3);
    cudaLibrary_t l;
    if (cudaLibraryLoadData(&l, ptx, NULL, NULL, 0, NULL, NULL, 0) == cudaErrorNotSupported) {
        puts("the driver has no libraries");
        return 77;
    }
    CHECK(cudaLibraryGetKernel(&k, l, "more"));
    EXPECT(launch(k, d, 4) == 34);
    void *step;
    size_t bytes;
    CHECK(cudaLibraryGetGlobal(&step, &bytes, l, "step"));
    EXPECT(bytes == 4);
    CHECK(cudaMemset(step, 0, bytes));
    EXPECT(launch(k, d, 5) == 5);
    EXPECT(cudaLibraryGetKernel(&k, l, "none") == cudaErrorSymbolNotFound);
    CHECK(cudaLibraryUnload(l));
    puts("handles are right");
}
