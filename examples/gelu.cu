// GELU with the tanh approximation, element by element, bfloat16 in and out, arithmetic in float.
// Bound by memory: one element per thread leaves half of every 32-bit access unused.
#pragma hone size n=201326592
#pragma hone check n=1048576
#pragma hone check n=100003
#pragma hone out out bfloat16[n]
#pragma hone in  inp bfloat16[n] ~ uniform(-4, 4)
#pragma hone launch gelu_fwd<<<cdiv(n, 256), 256>>>(out, inp, n)
#pragma hone tolerance auto
#pragma hone flops 12*n
#pragma hone bytes 4*n

#include <cuda_bf16.h>
// out[i] = gelu_tanh(inp[i]); arithmetic in fp32
extern "C" __global__ void gelu_fwd(__nv_bfloat16* out, const __nv_bfloat16* inp, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        float x = __bfloat162float(inp[i]);
        float t = tanhf(0.7978845608028654f * (x + 0.044715f * x * x * x));
        out[i] = __float2bfloat16(0.5f * x * (1.0f + t));
    }
}
