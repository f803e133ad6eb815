cat > saxpy.cu <<'K'
extern "C" __global__ void saxpy(const float *x, float *y, float a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = a * x[i] + y[i];
}
K
hone init saxpy.cu --size n=10000 --launch 'saxpy<<<cdiv(n,256), 256>>>(x, y, 2.0, n)' > task.cu || exit
grep '#pragma hone' task.cu
hone check task.cu --device virtual:h200 --mutants none
