// nvcc: -std=c++17
// The toolkit's own template libraries: Thrust (sort, reduce, transform_reduce, exclusive_scan) and CUB (reduce, scan, radix sort of pairs, select).
#include "check.h"
#include <algorithm>
#include <cub/cub.cuh>
#include <thrust/device_vector.h>
#include <thrust/host_vector.h>
#include <thrust/reduce.h>
#include <thrust/scan.h>
#include <thrust/sort.h>
#include <thrust/transform_reduce.h>

struct square { __host__ __device__ double operator()(float x) const { return (double)x * x; } };
struct is_even { __host__ __device__ bool operator()(int x) const { return x % 2 == 0; } };

template <typename F> static void with_storage(F call) {
    size_t bytes = 0;
    void *storage = NULL;
    CHECK(call(storage, bytes));
    CHECK(cudaMalloc(&storage, bytes + 1));
    CHECK(call(storage, bytes));
    CHECK(cudaDeviceSynchronize());
    CHECK(cudaFree(storage));
}

static thrust::host_vector<int> numbers(int n) {
    thrust::host_vector<int> v(n);
    unsigned x = 1;
    for (int i = 0; i < n; i++) {
        x = x * 1664525 + 1013904223;
        v[i] = (int)(x >> 12) - 500000;
    }
    return v;
}

static void with_thrust(int n) {
    thrust::host_vector<int> h = numbers(n);
    thrust::device_vector<int> d = h, s(n);
    long long sum = 0;
    for (int v : h)
        sum += v;
    EXPECT(thrust::reduce(d.begin(), d.end(), 0LL) == sum);
    thrust::exclusive_scan(d.begin(), d.end(), s.begin());
    thrust::host_vector<int> scan = s;
    for (int i = 0, before = 0; i < n; before += h[i++])
        EXPECT(scan[i] == before);
    thrust::sort(d.begin(), d.end());
    std::sort(h.begin(), h.end());
    EXPECT(thrust::host_vector<int>(d) == h);
    thrust::device_vector<float> f(n, 1.5f);
    EXPECT(thrust::transform_reduce(f.begin(), f.end(), square(), 0.0, thrust::plus<double>()) == 2.25 * n);
}

static void with_cub(int n) {
    const thrust::host_vector<int> h = numbers(n);
    thrust::device_vector<int> in = h, out(n), keys(n), values(n), sorted(n), count(1);
    const int *a = thrust::raw_pointer_cast(in.data());
    int *b = thrust::raw_pointer_cast(out.data()), *c = thrust::raw_pointer_cast(count.data());
    with_storage([&](void *t, size_t &bytes) { return cub::DeviceReduce::Max(t, bytes, a, c, n); });
    EXPECT(count[0] == *std::max_element(h.begin(), h.end()));
    with_storage([&](void *t, size_t &bytes) { return cub::DeviceScan::InclusiveSum(t, bytes, a, b, n); });
    thrust::host_vector<int> got = out;
    for (int i = 0, sum = 0; i < n; i++)
        EXPECT(got[i] == (sum += h[i]));
    with_storage([&](void *t, size_t &bytes) { return cub::DeviceSelect::If(t, bytes, a, b, c, n, is_even()); });
    thrust::host_vector<int> want;
    for (int v : h)
        if (v % 2 == 0)
            want.push_back(v);
    got = out;
    EXPECT(count[0] == (int)want.size() && std::equal(want.begin(), want.end(), got.begin()));
    for (int i = 0; i < n; i++)
        values[i] = i;
    with_storage([&](void *t, size_t &bytes) {
        return cub::DeviceRadixSort::SortPairs(t, bytes, a, thrust::raw_pointer_cast(keys.data()), thrust::raw_pointer_cast(values.data()),
                                               thrust::raw_pointer_cast(sorted.data()), n);
    });
    const thrust::host_vector<int> k = keys, v = sorted;
    for (int i = 0; i < n; i++)
        EXPECT(k[i] == h[v[i]] && (i == 0 || k[i - 1] < k[i] || (k[i - 1] == k[i] && v[i - 1] < v[i])));
}

int main() {
    with_thrust(3001);
    with_cub(3001);
    puts("thrust and cub are right");
}
