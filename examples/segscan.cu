// Exclusive prefix sum of every row of an R by L matrix of integers.
// One thread per row: neighbouring threads are L integers apart.
#pragma hone size R=65536 L=1024
#pragma hone check R=1024 L=1024
#pragma hone check R=33 L=1000
#pragma hone out out int32[R][L]
#pragma hone in  in  int32[R][L] ~ int(1, 5)
#pragma hone launch segscan<<<cdiv(R, 128), 128>>>(out, in, R, L)
#pragma hone tolerance exact
#pragma hone flops R*L
#pragma hone bytes 8*R*L

// exclusive prefix sum of every row of an (R, L) matrix, one thread per row
extern "C" __global__ void segscan(int* out, const int* in, int R, int L)
{
    int r = blockIdx.x * blockDim.x + threadIdx.x;
    if (r >= R) return;
    int acc = 0;
    for (int j = 0; j < L; j++) {
        int v = in[(size_t)r * L + j];
        out[(size_t)r * L + j] = acc;
        acc += v;
    }
}
