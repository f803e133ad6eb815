// sanitize: all
// Training kernels, part 1: encoder, layernorm, residual, GELU, forward and backward, each from a naive form to the optimised ones, against binary64.
#include "train.h"
#include <algorithm>
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <map>
namespace cg = cooperative_groups;
enum { B = 3, T = 20, C = 128, V = 37, N = B * T };
static const float EPS = 1e-5f;

// ---- encoder. inp (B,T) of V tokens, wte (V,C), wpe (T,C), out (B,T,C)

__global__ void encoder_row(float *out, const int *inp, const float *wte, const float *wpe) {
    const int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= N)
        return;
    for (int c = 0; c < C; c++)
        out[row * C + c] = wte[inp[row] * C + c] + wpe[row % T * C + c];
}

template <class F> __global__ void encoder_packed(F *out, const int *inp, const F *wte, const F *wpe) {
    const int i = (blockIdx.x * blockDim.x + threadIdx.x) * packed<F>::size;
    if (i >= N * C)
        return;
    const int row = i / C, c = i % C;
    const packed<F> a = load128_once(wte + inp[row] * C + c), b = load128_once(wpe + row % T * C + c);
    packed<F> sum;
    for (int k = 0; k < packed<F>::size; k++)
        sum[k] = (F)((float)a[k] + (float)b[k]);
    store128(out + i, sum);
}

__global__ void encoder_backward_atomic(float *dwte, float *dwpe, const float *dout, const int *inp) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= N * C)
        return;
    const int row = i / C, c = i % C;
    atomicAdd(&dwte[inp[row] * C + c], dout[i]);
    atomicAdd(&dwpe[row % T * C + c], dout[i]);
}

// One block per token that occurs; the rows of that token are listed one after another. Warps take rows in turn and meet in shared memory.
template <class F> __global__ void encoder_backward_tokens(F *dwte, const F *dout, const int2 *bucket, const int *rows, const int *token) {
    __shared__ float part[4][32][packed<F>::size];
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, from = bucket[blockIdx.x].x, to = bucket[blockIdx.x].y;
    for (int c = lane * packed<F>::size; c < C; c += 32 * packed<F>::size) {   // the same number of times for all lanes that take part
        float sum[packed<F>::size] = {};
        for (int r = from + warp; r < to; r += 4) {
            const packed<F> d = load128_once(dout + rows[r] * C + c);
            for (int k = 0; k < packed<F>::size; k++)
                sum[k] += (float)d[k];
        }
        for (int k = 0; k < packed<F>::size; k++)
            part[warp][lane][k] = sum[k];
    }
    __syncthreads();
    const int c = lane * packed<F>::size;
    if (warp || c >= C)
        return;
    F *to_row = dwte + token[blockIdx.x] * C + c;
    packed<F> grad = load128(to_row);
    for (int k = 0; k < packed<F>::size; k++)
        grad[k] = (F)((float)grad[k] + part[0][lane][k] + part[1][lane][k] + part[2][lane][k] + part[3][lane][k]);
    store128(to_row, grad);
}

template <class F> __global__ void encoder_backward_positions(F *dwpe, const F *dout) {
    const int i = (blockIdx.x * blockDim.x + threadIdx.x) * packed<F>::size;
    if (i >= T * C)
        return;
    float sum[packed<F>::size] = {};
    for (int b = 0; b < B; b++) {
        const packed<F> d = load128_once(dout + b * T * C + i);
        for (int k = 0; k < packed<F>::size; k++)
            sum[k] += (float)d[k];
    }
    packed<F> grad = load128(dwpe + i);
    for (int k = 0; k < packed<F>::size; k++)
        grad[k] = (F)((float)grad[k] + sum[k]);
    store128(dwpe + i, grad);
}

template <class F> static void test_encoder(double rounding) {
    random_numbers rng = {1};
    const std::vector<int> tokens = rng.below(N, V);
    buffer<F> wte(rng.floats(V * C)), wpe(rng.floats(T * C)), out((size_t)N * C), dout(rng.floats(N * C)), dwte(rng.floats(V * C)), dwpe(rng.floats(T * C));
    const reals e = wte.host(), p = wpe.host(), d = dout.host();
    reals want(N * C), want_dwte = dwte.host(), want_dwpe = dwpe.host();
    int *inp;
    CHECK(cudaMalloc(&inp, N * sizeof(int)));
    CHECK(cudaMemcpy(inp, tokens.data(), N * sizeof(int), cudaMemcpyHostToDevice));
    for (int row = 0; row < N; row++)
        for (int c = 0; c < C; c++) {
            want[row * C + c] = e[tokens[row] * C + c] + p[row % T * C + c];
            want_dwte[tokens[row] * C + c] += d[row * C + c];
            want_dwpe[row % T * C + c] += d[row * C + c];
        }
    const double few = 8 * F32 + (rounding > F32 ? rounding : 0);   // at most 8 additions in binary32 of numbers below 8, then one rounding
    if constexpr (sizeof(F) == 4) {
        encoder_row<<<blocks_for(N, 32), 32>>>(out, inp, wte, wpe);
        within("encoder, a thread per row", out.get(), want, rounding, 0);
        encoder_backward_atomic<<<blocks_for(N * C, 128), 128>>>(dwte, dwpe, dout, inp);
        within("encoder backward, atomics: dwte", dwte.get(), want_dwte, 0, 8 * few);
        within("encoder backward, atomics: dwpe", dwpe.get(), want_dwpe, 0, 8 * few);
        dwte.reset();
        dwpe.reset();
    }
    encoder_packed<F><<<blocks_for(N * C / packed<F>::size, 64), 64>>>(out, inp, wte, wpe);
    within("encoder, packed", out.get(), want, rounding, F32);
    std::map<int, std::vector<int>> of;
    for (int row = 0; row < N; row++)
        of[tokens[row]].push_back(row);
    std::vector<int> rows, token;
    std::vector<int2> bucket;
    for (auto &t : of) {
        token.push_back(t.first);
        bucket.push_back(make_int2((int)rows.size(), (int)(rows.size() + t.second.size())));
        rows.insert(rows.end(), t.second.begin(), t.second.end());
    }
    int *d_rows, *d_token;
    int2 *d_bucket;
    CHECK(cudaMalloc(&d_rows, N * sizeof(int)));
    CHECK(cudaMalloc(&d_token, token.size() * sizeof(int)));
    CHECK(cudaMalloc(&d_bucket, bucket.size() * sizeof(int2)));
    CHECK(cudaMemcpyAsync(d_rows, rows.data(), N * sizeof(int), cudaMemcpyHostToDevice));
    CHECK(cudaMemcpyAsync(d_token, token.data(), token.size() * sizeof(int), cudaMemcpyHostToDevice));
    CHECK(cudaMemcpyAsync(d_bucket, bucket.data(), bucket.size() * sizeof(int2), cudaMemcpyHostToDevice));
    encoder_backward_tokens<F><<<(int)token.size(), 128>>>(dwte, dout, d_bucket, d_rows, d_token);
    encoder_backward_positions<F><<<blocks_for(T * C / packed<F>::size, 64), 64>>>(dwpe, dout);
    within("encoder backward, buckets: dwte", dwte.get(), want_dwte, rounding, 64 * F32);
    within("encoder backward, buckets: dwpe", dwpe.get(), want_dwpe, rounding, 64 * F32);
    for (void *x : {(void *)inp, (void *)d_rows, (void *)d_token, (void *)d_bucket})
        CHECK(cudaFree(x));
}

// ---- layernorm. out = (inp - mean) * rstd * weight + bias per row of C

__global__ void layernorm_row(float *out, float *mean, float *rstd, const float *inp, const float *weight, const float *bias) {
    const int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= N)
        return;
    const float *x = inp + row * C;
    float m = 0, v = 0;
    for (int c = 0; c < C; c++)
        m += x[c];
    m /= C;
    for (int c = 0; c < C; c++)
        v += (x[c] - m) * (x[c] - m);
    const float s = 1.0f / sqrtf(v / C + EPS);
    for (int c = 0; c < C; c++)
        out[row * C + c] = (x[c] - m) * s * weight[c] + bias[c];
    mean[row] = m;
    rstd[row] = s;
}

__global__ void layernorm_block(float *out, float *mean, float *rstd, const float *inp, const float *weight, const float *bias) {   // a block per row
    extern __shared__ float part[];
    const float *x = inp + blockIdx.x * C;
    float sum = 0, squares = 0;
    for (int c = threadIdx.x; c < C; c += blockDim.x)
        sum += x[c];
    part[threadIdx.x] = sum;
    for (int step = blockDim.x / 2; step; step /= 2) {
        __syncthreads();
        if (threadIdx.x < step)
            part[threadIdx.x] += part[threadIdx.x + step];
    }
    __syncthreads();
    const float m = part[0] / C;
    __syncthreads();
    for (int c = threadIdx.x; c < C; c += blockDim.x)
        squares += (x[c] - m) * (x[c] - m);
    part[threadIdx.x] = squares;
    for (int step = blockDim.x / 2; step; step /= 2) {
        __syncthreads();
        if (threadIdx.x < step)
            part[threadIdx.x] += part[threadIdx.x + step];
    }
    __syncthreads();
    const float s = rsqrtf(part[0] / C + EPS);
    for (int c = threadIdx.x; c < C; c += blockDim.x)
        out[blockIdx.x * C + c] = (x[c] - m) * s * weight[c] + bias[c];
    if (threadIdx.x == 0) {
        mean[blockIdx.x] = m;
        rstd[blockIdx.x] = s;
    }
}

__global__ void layernorm_warp(float *out, float *mean, float *rstd, const float *inp, const float *weight, const float *bias) {   // cooperative groups
    cg::thread_block block = cg::this_thread_block();
    cg::thread_block_tile<32> warp = cg::tiled_partition<32>(block);
    const int row = blockIdx.x * warp.meta_group_size() + warp.meta_group_rank();
    if (row >= N)
        return;
    const float *x = inp + row * C;
    float sum = 0, squares = 0;
    for (int c = warp.thread_rank(); c < C; c += warp.size())
        sum += x[c];
    const float m = cg::reduce(warp, sum, cg::plus<float>{}) / C;
    for (int c = warp.thread_rank(); c < C; c += warp.size())
        squares += (x[c] - m) * (x[c] - m);
    const float s = rsqrtf(cg::reduce(warp, squares, cg::plus<float>{}) / C + EPS);
    if (warp.thread_rank() == 0) {
        __stcs(mean + row, m);
        __stcs(rstd + row, s);
    }
    for (int c = warp.thread_rank(); c < C; c += warp.size())
        __stcs(out + row * C + c, (__ldcs(x + c) - m) * s * weight[c] + bias[c]);
}

// Residual and layernorm in one, weights and the row in shared memory, 16 bytes at a time; blockDim = (32, rows).
template <class F> __global__ void residual_layernorm(F *residual, F *out, float *mean, float *rstd, const F *one, const F *two, const F *weight, const F *bias) {
    extern __shared__ int4 raw[];
    constexpr int P = packed<F>::size;
    F *s_weight = reinterpret_cast<F *>(raw), *s_bias = s_weight + C, *s_row = s_bias + C + threadIdx.y * C;
    for (int c = (threadIdx.y * 32 + threadIdx.x) * P; c < C; c += 32 * blockDim.y * P) {
        store128(s_weight + c, load128(weight + c));
        store128(s_bias + c, load128(bias + c));
    }
    __syncthreads();
    const int row = blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= N)
        return;
    float sum = 0, squares = 0;
    for (int c = threadIdx.x * P; c < C; c += 32 * P) {
        const packed<F> a = load128_once(one + row * C + c), b = load128_once(two + row * C + c);
        packed<F> both;
        for (int k = 0; k < P; k++) {
            both[k] = (F)((float)a[k] + (float)b[k]);
            sum += (float)both[k];
        }
        store128(residual + row * C + c, both);
        store128(s_row + c, both);
    }
    const float m = warp_sum(sum) / C;
    for (int c = threadIdx.x * P; c < C; c += 32 * P) {
        const packed<F> x = load128(s_row + c);
        for (int k = 0; k < P; k++)
            squares += ((float)x[k] - m) * ((float)x[k] - m);
    }
    const float s = rsqrtf(warp_sum(squares) / C + EPS);
    for (int c = threadIdx.x * P; c < C; c += 32 * P) {
        const packed<F> x = load128(s_row + c), w = load128(s_weight + c), b = load128(s_bias + c);
        packed<F> y;
        for (int k = 0; k < P; k++)
            y[k] = (F)(((float)x[k] - m) * s * (float)w[k] + (float)b[k]);
        store128_once(out + row * C + c, y);
    }
    if (threadIdx.x == 0) {
        mean[row] = m;
        rstd[row] = s;
    }
}

struct normed { reals out, mean, rstd; };
static normed reference_layernorm(const reals &x, const reals &weight, const reals &bias) {
    normed r = {reals(N * C), reals(N), reals(N)};
    for (int row = 0; row < N; row++) {
        double m = 0, v = 0;
        for (int c = 0; c < C; c++)
            m += x[row * C + c] / C;
        for (int c = 0; c < C; c++)
            v += (x[row * C + c] - m) * (x[row * C + c] - m) / C;
        r.mean[row] = m;
        r.rstd[row] = 1 / sqrt(v + (double)EPS);
        for (int c = 0; c < C; c++)
            r.out[row * C + c] = (x[row * C + c] - m) * r.rstd[row] * weight[c] + bias[c];
    }
    return r;
}

static void compare_norm(const char *what, const normed &want, const reals &out, const reals &mean, const reals &rstd, double rounding) {
    within(what, out, want.out, rounding, 32 * F32);
    within("  its means", mean, want.mean, 0, 16 * F32);
    within("  its reciprocal deviations", rstd, want.rstd, 16 * F32, 0);
}

static void test_layernorm() {
    random_numbers rng = {2};
    buffer<float> x(rng.floats(N * C, 2)), w(rng.floats(C)), b(rng.floats(C)), out((size_t)N * C), mean((size_t)N), rstd((size_t)N);
    const normed want = reference_layernorm(x.host(), w.host(), b.host());
    layernorm_row<<<blocks_for(N, 32), 32>>>(out, mean, rstd, x, w, b);
    compare_norm("layernorm, a thread per row", want, out.get(), mean.get(), rstd.get(), F32);
    layernorm_block<<<N, 64, 64 * sizeof(float)>>>(out, mean, rstd, x, w, b);
    compare_norm("layernorm, a block per row", want, out.get(), mean.get(), rstd.get(), F32);
    layernorm_warp<<<blocks_for(N, 4), 128>>>(out, mean, rstd, x, w, b);
    compare_norm("layernorm, a warp per row", want, out.get(), mean.get(), rstd.get(), F32);
}

template <class F> static void test_residual_layernorm(double rounding) {
    random_numbers rng = {3};
    buffer<F> one(rng.floats(N * C)), two(rng.floats(N * C)), w(rng.floats(C)), b(rng.floats(C)), sum((size_t)N * C), out((size_t)N * C);
    buffer<float> mean((size_t)N), rstd((size_t)N);
    const dim3 block(32, 4);
    residual_layernorm<F><<<blocks_for(N, 4), block, (2 + 4) * C * sizeof(F)>>>(sum, out, mean, rstd, one, two, w, b);
    reals want = one.host(), second = two.host();
    for (int i = 0; i < N * C; i++)
        want[i] += second[i];
    within("residual", sum.get(), want, rounding, 0);
    compare_norm("residual and layernorm", reference_layernorm(sum.get(), w.host(), b.host()), out.get(), mean.get(), rstd.get(), rounding);
}

// ---- layernorm backward

__global__ void layernorm_backward_atomic(float *dinp, float *dweight, float *dbias, const float *dout, const float *inp, const float *weight, const float *mean,
                                          const float *rstd) {
    const int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= N)
        return;
    float dmean = 0, dmean_x = 0;
    for (int c = 0; c < C; c++) {
        const float x = (inp[row * C + c] - mean[row]) * rstd[row], d = weight[c] * dout[row * C + c];
        dmean += d;
        dmean_x += d * x;
    }
    for (int c = 0; c < C; c++) {
        const float x = (inp[row * C + c] - mean[row]) * rstd[row], d = weight[c] * dout[row * C + c];
        atomicAdd(&dbias[c], dout[row * C + c]);
        atomicAdd(&dweight[c], x * dout[row * C + c]);
        dinp[row * C + c] += (d - dmean / C - x * dmean_x / C) * rstd[row];
    }
}

__global__ void layernorm_backward_shared(float *dinp, float *dweight, float *dbias, const float *dout, const float *inp, const float *weight, const float *mean,
                                          const float *rstd) {
    extern __shared__ float sums[];   // dbias, dweight of this block
    cg::thread_block block = cg::this_thread_block();
    cg::thread_block_tile<32> warp = cg::tiled_partition<32>(block);
    for (int c = threadIdx.x; c < 2 * C; c += blockDim.x)
        sums[c] = 0;
    block.sync();
    const int row = blockIdx.x * warp.meta_group_size() + warp.meta_group_rank();
    if (row < N) {
        float dmean = 0, dmean_x = 0;
        for (int c = warp.thread_rank(); c < C; c += 32) {
            const float x = (inp[row * C + c] - mean[row]) * rstd[row], d = weight[c] * dout[row * C + c];
            dmean += d;
            dmean_x += d * x;
        }
        dmean = cg::reduce(warp, dmean, cg::plus<float>{}) / C;
        dmean_x = cg::reduce(warp, dmean_x, cg::plus<float>{}) / C;
        for (int c = warp.thread_rank(); c < C; c += 32) {
            const float g = __ldcs(dout + row * C + c), x = (__ldcs(inp + row * C + c) - mean[row]) * rstd[row];
            atomicAdd(&sums[c], g);
            atomicAdd(&sums[C + c], x * g);
            dinp[row * C + c] += (weight[c] * g - dmean - x * dmean_x) * rstd[row];
        }
    }
    block.sync();
    for (int c = threadIdx.x; c < C; c += blockDim.x) {
        atomicAdd(&dbias[c], sums[c]);
        atomicAdd(&dweight[c], sums[C + c]);
    }
}

// A few blocks walk the rows; each leaves its sums in scratch, the block that finishes last adds them up: no atomics on the gradients, so that runs repeat.
template <class F> __global__ void layernorm_backward_scratch(F *dinp, F *dweight, F *dbias, float *scratch, unsigned *tickets, const F *dout, const F *inp,
                                                              const F *weight, const float *mean, const float *rstd) {
    extern __shared__ float sums[];
    constexpr int P = packed<F>::size;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = blockDim.x / 32, c = lane * P;
    float bias_sum[P] = {}, weight_sum[P] = {};
    for (int row = blockIdx.x * warps + warp; row < N; row += gridDim.x * warps) {
        float dmean = 0, dmean_x = 0;
        packed<F> g, x, w;
        if (c < C) {
            g = load128_once(dout + row * C + c), x = load128_once(inp + row * C + c), w = load128(weight + c);
            for (int k = 0; k < P; k++) {
                const float d = (float)w[k] * (float)g[k];
                dmean += d;
                dmean_x += d * ((float)x[k] - mean[row]) * rstd[row];
            }
        }
        dmean = warp_sum(dmean) / C;
        dmean_x = warp_sum(dmean_x) / C;
        if (c < C) {
            packed<F> into = load128(dinp + row * C + c);
            for (int k = 0; k < P; k++) {
                const float n = ((float)x[k] - mean[row]) * rstd[row];
                bias_sum[k] += (float)g[k];
                weight_sum[k] += n * (float)g[k];
                into[k] = (F)((float)into[k] + ((float)w[k] * (float)g[k] - dmean - n * dmean_x) * rstd[row]);
            }
            store128(dinp + row * C + c, into);
        }
    }
    for (int k = 0; k < P && c < C; k++) {
        sums[warp * 2 * C + c + k] = bias_sum[k];
        sums[warp * 2 * C + C + c + k] = weight_sum[k];
    }
    __syncthreads();
    for (int i = threadIdx.x; i < 2 * C; i += blockDim.x) {
        float sum = 0;
        for (int k = 0; k < warps; k++)
            sum += sums[k * 2 * C + i];
        scratch[blockIdx.x * 2 * C + i] = sum;
    }
    __shared__ bool last;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0)
        last = atomicAdd(tickets, 1u) == gridDim.x - 1;
    __syncthreads();
    if (!last)
        return;
    __threadfence();
    for (int i = threadIdx.x; i < 2 * C; i += blockDim.x) {
        F *to = i < C ? dbias + i : dweight + i - C;
        float sum = (float)*to;
        for (unsigned k = 0; k < gridDim.x; k++)
            sum += scratch[k * 2 * C + i];
        *to = (F)sum;
    }
}

template <class F> static void test_layernorm_backward(double rounding) {
    random_numbers rng = {4};
    buffer<F> x(rng.floats(N * C, 2)), w(rng.floats(C)), dout(rng.floats(N * C)), dinp(rng.floats(N * C)), dweight(rng.floats(C)), dbias(rng.floats(C));
    const reals in = x.host(), weight = w.host(), g = dout.host();
    const normed n = reference_layernorm(in, weight, reals(C));
    reals want = dinp.host(), want_w = dweight.host(), want_b = dbias.host();
    for (int row = 0; row < N; row++) {
        double dmean = 0, dmean_x = 0;
        for (int c = 0; c < C; c++) {
            const double norm_x = (in[row * C + c] - n.mean[row]) * n.rstd[row], d = weight[c] * g[row * C + c];
            dmean += d / C;
            dmean_x += d * norm_x / C;
            want_b[c] += g[row * C + c];
            want_w[c] += norm_x * g[row * C + c];
        }
        for (int c = 0; c < C; c++)
            want[row * C + c] += (weight[c] * g[row * C + c] - dmean - (in[row * C + c] - n.mean[row]) * n.rstd[row] * dmean_x) * n.rstd[row];
    }
    const buffer<float> mean(std::vector<float>(n.mean.begin(), n.mean.end())), rstd(std::vector<float>(n.rstd.begin(), n.rstd.end()));
    auto compare = [&](const char *what) {
        within(what, dinp.get(), want, rounding, 16 * F32);
        within("  its dweight", dweight.get(), want_w, rounding, 128 * F32);
        within("  its dbias", dbias.get(), want_b, rounding, 128 * F32);
        dinp.reset(), dweight.reset(), dbias.reset();
    };
    if constexpr (sizeof(F) == 4) {
        layernorm_backward_atomic<<<blocks_for(N, 32), 32>>>(dinp, dweight, dbias, dout, x, w, mean, rstd);
        compare("layernorm backward, atomics");
        layernorm_backward_shared<<<blocks_for(N, 4), 128, 2 * C * sizeof(float)>>>(dinp, dweight, dbias, dout, x, w, mean, rstd);
        compare("layernorm backward, shared atomics");
    }
    const int blocks = 5, warps = 2;
    buffer<float> scratch((size_t)blocks * 2 * C);
    unsigned *tickets;
    CHECK(cudaMalloc(&tickets, sizeof *tickets));
    CHECK(cudaMemset(tickets, 0, sizeof *tickets));
    layernorm_backward_scratch<F><<<blocks, warps * 32, warps * 2 * C * sizeof(float)>>>(dinp, dweight, dbias, scratch, tickets, dout, x, w, mean, rstd);
    compare("layernorm backward, scratch");
    CHECK(cudaFree(tickets));
}

// ---- GELU by tanh

__device__ static float gelu_of(float x) { return 0.5f * x * (1.0f + tanhf(0.7978845608f * (x + 0.044715f * x * x * x))); }
__device__ static float gelu_slope(float x) {
    const float t = tanhf(0.7978845608f * (x + 0.044715f * x * x * x)), c = coshf(0.7978845608f * (x + 0.044715f * x * x * x));
    return 0.5f * (1.0f + t) + 0.5f * x / (c * c) * 0.7978845608f * (1.0f + 3.0f * 0.044715f * x * x);
}
__global__ void gelu(float *out, const float *x, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        out[i] = gelu_of(x[i]);
}
__global__ void gelu_backward(float *dx, const float *x, const float *dout, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        dx[i] = gelu_slope(x[i]) * dout[i];
}
template <class F> __global__ void gelu_packed(F *out, const F *x) {
    const int i = (blockIdx.x * blockDim.x + threadIdx.x) * packed<F>::size;
    const packed<F> in = load128_once(x + i);
    packed<F> y;
    for (int k = 0; k < packed<F>::size; k++)
        y[k] = (F)gelu_of((float)in[k]);
    store128(out + i, y);
}
template <class F> __global__ void gelu_backward_inplace(F *d, const F *x) {
    const int i = (blockIdx.x * blockDim.x + threadIdx.x) * packed<F>::size;
    const packed<F> in = load128_once(x + i), dout = load128(d + i);
    packed<F> y;
    for (int k = 0; k < packed<F>::size; k++)
        y[k] = (F)(gelu_slope((float)in[k]) * (float)dout[k]);
    store128(d + i, y);
}

template <class F> static void test_gelu(double rounding) {
    random_numbers rng = {5};
    enum { n = 64 * 128 };
    buffer<F> x(rng.floats(n, 8)), dout(rng.floats(n)), out((size_t)n);
    const reals in = x.host(), d = dout.host();
    reals want(n), slope(n);
    const double root = sqrt(2 / M_PI);
    for (int i = 0; i < n; i++) {
        const double z = in[i], u = root * (z + 0.044715 * z * z * z), t = tanh(u);
        want[i] = 0.5 * z * (1 + t);
        slope[i] = d[i] * (0.5 * (1 + t) + 0.5 * z * (1 - t * t) * root * (1 + 3 * 0.044715 * z * z));
    }
    if constexpr (sizeof(F) == 4) {
        gelu<<<blocks_for(n, 100), 100>>>(out, x, n);
        within("GELU", out.get(), want, 4 * F32, 8 * F32);
        gelu_backward<<<blocks_for(n, 100), 100>>>(out, x, dout, n);
        within("GELU backward", out.get(), slope, 4 * F32, 16 * F32);
    }
    gelu_packed<F><<<n / packed<F>::size / 128, 128>>>(out, x);
    within("GELU, packed", out.get(), want, 4 * F32 + rounding, 8 * F32);
    gelu_backward_inplace<F><<<n / packed<F>::size / 128, 128>>>(dout, x);
    within("GELU backward, in place", dout.get(), slope, 4 * F32 + rounding, 16 * F32);
}

int main() {
    test_encoder<float>(F32);
    test_encoder<bf16>(BF16);
    test_layernorm();
    test_residual_layernorm<float>(F32);
    test_residual_layernorm<bf16>(BF16);
    test_layernorm_backward<float>(F32);
    test_layernorm_backward<bf16>(BF16);
    test_gelu<float>(F32);
    test_gelu<bf16>(BF16);
    printf("%d results within their bounds\n", g_compared);
}
