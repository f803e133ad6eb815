// Histogram of n bytes in 256 bins; the bins are zero on entry.
// Bound by atomic updates of global memory, which private bins in shared memory avoid.
#pragma hone size n=67108864
#pragma hone check n=1048576
#pragma hone check n=1000003
#pragma hone inout hist uint32[256] ~ zeros
#pragma hone in    data uint8[n] ~ int(0, 255)
#pragma hone launch histogram256<<<cdiv(n, 256), 256>>>(hist, data, n)
#pragma hone tolerance exact
#pragma hone flops n
#pragma hone bytes n+1024

// hist[256] is zero on entry
extern "C" __global__ void histogram256(unsigned int* hist, const unsigned char* data, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        atomicAdd(&hist[data[i]], 1u);
}
