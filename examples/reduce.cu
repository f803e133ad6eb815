// Sum of n integers in two launches: one partial per block, then one block adds the partials.
// Bound by memory, but slowed by modulo stepping in shared memory and one element per thread.
#pragma hone size n=268435456
#pragma hone check n=1048576
#pragma hone check n=1000003
#pragma hone in      in      int32[n] ~ int(-50, 99)
#pragma hone scratch partial int32[cdiv(n, 256)]
#pragma hone out     out     int32[1]
#pragma hone launch sum_blocks<<<cdiv(n, 256), 256>>>(in, partial, n)
#pragma hone launch sum_partials<<<1, 256>>>(partial, out, cdiv(n, 256))
#pragma hone tolerance exact
#pragma hone flops n
#pragma hone bytes 4*n

// Two-pass sum. Pass 1: one element per thread, tree in shared memory with modulo
// stepping, one partial per block. Pass 2: one block adds the partials.
extern "C" __global__ void sum_blocks(const int* in, int* partial, int n)
{
    __shared__ int s[256];
    int t = threadIdx.x;
    int i = blockIdx.x * blockDim.x + t;
    s[t] = (i < n) ? in[i] : 0;
    __syncthreads();
    for (int step = 1; step < blockDim.x; step *= 2) {
        if (t % (2 * step) == 0)
            s[t] += s[t + step];
        __syncthreads();
    }
    if (t == 0)
        partial[blockIdx.x] = s[0];
}

extern "C" __global__ void sum_partials(const int* partial, int* out, int m)
{
    __shared__ int s[256];
    int t = threadIdx.x;
    int acc = 0;
    for (int i = t; i < m; i += blockDim.x)
        acc += partial[i];
    s[t] = acc;
    __syncthreads();
    if (t == 0) {
        int total = 0;
        for (int k = 0; k < blockDim.x; k++)
            total += s[k];
        out[0] = total;
    }
}
