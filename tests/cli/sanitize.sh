head='#pragma hone size N=256
#pragma hone in x float[N]
#pragma hone out y float[N]
#pragma hone launch k<<<cdiv(N, 128), 128>>>(x, y, N)
'
printf '%s' "$head" > good.cu
cat >> good.cu <<'CU'
extern "C" __global__ void k(const float *x, float *y, int N) {
    __shared__ float s[128];
    int i = blockIdx.x * 128 + threadIdx.x;
    s[threadIdx.x] = i < N ? x[i] : 0;
    __syncthreads();
    if (i < N)
        y[i] = s[127 - threadIdx.x];
}
CU
sed '/__syncthreads/d' good.cu > racy.cu
sed 's/if (i < N)/if (i < N \&\& i != 7)/' good.cu > hole.cu
sed 's/y\[i\] = .*/y[i % 4] = i;/' good.cu > order.cu
printf 'race.shared:k:racy.cu:\nmemory.*\n' > known
hone sanitize good.cu --device virtual:h200 --schedules 2; echo "exit $?"
hone sanitize racy.cu --device virtual:h200 --checks racecheck; echo "exit $?"
hone sanitize good.cu racy.cu --device virtual:h200 --suppress known; echo "exit $?"
hone sanitize hole.cu --device virtual:h200; echo "exit $?"
hone sanitize order.cu --device virtual:h200 --checks memcheck --schedules 3; echo "exit $?"
hone sanitize racy.cu --device virtual:h200 --json | grep -e '"schema"' -e '"access": "reads"' -e '"access": "writes"' | sort -u
hone sanitize good.cu --checks everything; echo "exit $?"
