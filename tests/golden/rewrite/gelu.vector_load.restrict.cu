// GELU with the tanh approximation, element by element, bfloat16 in and out, arithmetic in float.
// Bound by memory: one element per thread leaves half of every 32-bit access unused.
#pragma hone size n=201326592
#pragma hone check n=1048576
#pragma hone check n=100003
#pragma hone out out bfloat16[n]
#pragma hone in  inp bfloat16[n] ~ uniform(-4, 4)
#pragma hone launch gelu_fwd<<<cdiv(n, 2048), 256>>>(out, inp, n)
#pragma hone tolerance auto
#pragma hone flops 12*n
#pragma hone bytes 4*n

#include <cuda_bf16.h>
// N neighbouring elements, loaded and stored by one access
template <typename T, int N> struct alignas(sizeof(T) * N) hone_vec { T v[N]; };

// out[i] = gelu_tanh(inp[i]); arithmetic in fp32
extern "C" __global__ void gelu_fwd(__nv_bfloat16* __restrict__ out, const __nv_bfloat16* __restrict__ inp, int n)
{
    const int i0 = (blockIdx.x * blockDim.x + threadIdx.x) * 8;   // 8 neighbouring elements per thread
    if (i0 + 8 <= n) {
        const hone_vec<__nv_bfloat16, 8> inp_v = *reinterpret_cast<const hone_vec<__nv_bfloat16, 8>*>(inp + i0);
        hone_vec<__nv_bfloat16, 8> out_v;
        #pragma unroll
        for (int u = 0; u < 8; u++) {
            const int i = i0 + u;
            (void)i;
            float x = __bfloat162float(inp_v.v[u]);
            float t = tanhf(0.7978845608028654f * (x + 0.044715f * x * x * x));
            out_v.v[u] = __float2bfloat16(0.5f * x * (1.0f + t));
        }
        *reinterpret_cast<hone_vec<__nv_bfloat16, 8>*>(out + i0) = out_v;
    } else {
        for (int i = i0; i < n; i++) {
            float x = __bfloat162float(inp[i]);
            float t = tanhf(0.7978845608028654f * (x + 0.044715f * x * x * x));
            out[i] = __float2bfloat16(0.5f * x * (1.0f + t));
        }
    }
}
