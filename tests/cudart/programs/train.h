// What the tests of training kernels (train_*.cu) share: vectorised access and reductions in the styles such kernels use, and on the host buffers, a seeded
// generator and the comparison with a reference in binary64. A bound is |got - want| <= absolute + relative * |want|, written at each comparison.
#pragma once
#include "check.h"
#include <cmath>
#include <cstdint>
#include <cuda_bf16.h>
#include <vector>
typedef __nv_bfloat16 bf16;
typedef std::vector<double> reals;

// ---- device

// 16 bytes of T, moved by one instruction.
template <class T> struct alignas(16) packed {
    enum { size = 16 / sizeof(T) };
    T v[size];
    __device__ T &operator[](int i) { return v[i]; }
    __device__ const T &operator[](int i) const { return v[i]; }
};
template <class T> __device__ packed<T> load128(const T *p) {
    packed<T> r;
    *reinterpret_cast<int4 *>(&r) = *reinterpret_cast<const int4 *>(p);
    return r;
}
template <class T> __device__ packed<T> load128_once(const T *p) {   // will not be read again
    packed<T> r;
    *reinterpret_cast<int4 *>(&r) = __ldcs(reinterpret_cast<const int4 *>(p));
    return r;
}
template <class T> __device__ void store128(T *p, const packed<T> &x) { *reinterpret_cast<int4 *>(p) = *reinterpret_cast<const int4 *>(&x); }
template <class T> __device__ void store128_once(T *p, const packed<T> &x) { __stcs(reinterpret_cast<int4 *>(p), *reinterpret_cast<const int4 *>(&x)); }

__device__ inline float warp_sum(float x) {
    for (int step = 16; step; step /= 2)
        x += __shfl_xor_sync(0xffffffffu, x, step);
    return x;
}
__device__ inline float warp_max(float x) {
    for (int step = 16; step; step /= 2)
        x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, step));
    return x;
}
// Every thread of the block gets the result; the block is whole warps. again: another reduction follows that reuses the shared memory.
template <float (*reduce)(float)> __device__ float block_reduce(float x, float none, bool again = true) {
    __shared__ float part[32];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    x = reduce(x);
    if (lane == 0)
        part[warp] = x;
    __syncthreads();
    x = reduce(lane < warps ? part[lane] : none);
    if (again)
        __syncthreads();
    return x;
}

// ---- host

struct random_numbers {
    uint64_t state;
    uint64_t next() {
        uint64_t z = state += 0x9e3779b97f4a7c15ull;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ z >> 27) * 0x94d049bb133111ebull;
        return z ^ z >> 31;
    }
    double uniform() { return (double)(next() >> 11) / 9007199254740992.0 * 2 - 1; }   // -1 … 1
    std::vector<float> floats(size_t n, double scale = 1) {
        std::vector<float> x(n);
        for (float &v : x)
            v = (float)(uniform() * scale);
        return x;
    }
    std::vector<int> below(size_t n, int limit) {
        std::vector<int> x(n);
        for (int &v : x)
            v = (int)(next() % (uint64_t)limit);
        return x;
    }
};

template <class T> T from_float(float x) { return (T)x; }
template <> inline bf16 from_float<bf16>(float x) { return __float2bfloat16(x); }
inline double to_double(float x) { return x; }
inline double to_double(bf16 x) { return __bfloat162float(x); }

// A device buffer; made of host values, rounded to T, which host() gives back exactly.
template <class T> struct buffer {
    T *p;
    std::vector<T> first;
    size_t n;
    buffer(const std::vector<float> &x) : n(x.size()) {
        for (float v : x)
            first.push_back(from_float<T>(v));
        make();
    }
    explicit buffer(size_t count) : n(count) { CHECK(cudaMalloc(&p, n * sizeof(T))); }   // not written
    static buffer zeros(size_t count) { return buffer(std::vector<float>(count)); }
    buffer(const buffer &) = delete;
    ~buffer() { CHECK(cudaFree(p)); }
    void make() {
        CHECK(cudaMalloc(&p, n * sizeof(T)));
        reset();
    }
    void reset() { CHECK(cudaMemcpy(p, first.data(), n * sizeof(T), cudaMemcpyHostToDevice)); }
    operator T *() const { return p; }
    reals host() const {   // what it was made of
        reals r;
        for (const T &v : first)
            r.push_back(to_double(v));
        return r;
    }
    reals get() const {
        std::vector<T> x(n);
        reals r;
        CHECK(cudaDeviceSynchronize());
        CHECK(cudaMemcpy(x.data(), p, n * sizeof(T), cudaMemcpyDeviceToHost));
        for (const T &v : x)
            r.push_back(to_double(v));
        return r;
    }
};

static int g_compared;
// The largest share of its bound that any value takes, so that HONE_SHOW_ERRORS=1 tells how tight the bounds are.
inline void within(const char *what, const reals &got, const reals &want, double relative, double absolute) {
    double worst = 0;
    EXPECT(got.size() == want.size());
    for (size_t i = 0; i < got.size(); i++) {
        const double share = got[i] == want[i] ? 0 : fabs(got[i] - want[i]) / (absolute + relative * fabs(want[i]));
        if (!(share <= 1)) {
            printf("%s: element %zu is %.9g, expected %.9g within %g + %g of it\n", what, i, got[i], want[i], absolute, relative);
            exit(1);
        }
        worst = fmax(worst, share);
    }
    if (getenv("HONE_SHOW_ERRORS"))
        fprintf(stderr, "%-40s %.2f of the bound\n", what, worst);
    g_compared++;
}
constexpr double F32 = 1.0 / (1 << 24), BF16 = 1.0 / (1 << 8);   // half a unit in the last place, relative
inline int blocks_for(size_t n, int threads) { return (int)((n + threads - 1) / threads); }
