// sanitize: all
// Training kernels, part 3: causal attention forward and backward (naive, online softmax, permuted with batched products, fused tiles in float and with tensor
// cores) against binary64. qkv (B,T,3,NH,HS), att and preatt (B,NH,T,T), out (B,T,NH,HS); head vectors permuted: (B,NH,T,HS).
#include "train.h"
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cfloat>
#include <mma.h>
namespace cg = cooperative_groups;
using namespace nvcuda;
enum { B = 2, T = 48, NH = 2, HS = 32, C = NH * HS, BH = B * NH };
#define SCALE 0.17677669529663687   // 1/sqrt(32)

template <class F> __device__ __host__ F *head_row(F *qkv, int b, int t, int which, int h) { return qkv + ((b * T + t) * 3 + which) * C + h * HS; }

// ---- naive: three kernels

__global__ void scores_naive(float *preatt, const float *qkv) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= BH * T * T)
        return;
    const int t2 = i % T, t = i / T % T, h = i / (T * T) % NH, b = i / (T * T * NH);
    if (t2 > t) {
        preatt[i] = -INFINITY;
        return;
    }
    const float *q = head_row(qkv, b, t, 0, h), *k = head_row(qkv, b, t2, 1, h);
    float sum = 0;
    for (int c = 0; c < HS; c++)
        sum += q[c] * k[c];
    preatt[i] = sum * (float)SCALE;
}
__global__ void softmax_naive(float *att, const float *preatt) {
    const int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= BH * T)
        return;
    const int t = row % T;
    const float *x = preatt + row * T;
    float most = -FLT_MAX, sum = 0;
    for (int i = 0; i <= t; i++)
        most = fmaxf(most, x[i]);
    for (int i = 0; i <= t; i++) {
        att[row * T + i] = expf(x[i] - most);
        sum += att[row * T + i];
    }
    for (int i = 0; i < T; i++)
        att[row * T + i] = i <= t ? att[row * T + i] / sum : 0;
}
__global__ void values_naive(float *out, const float *att, const float *qkv) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= B * T * C)
        return;
    const int c = i % HS, h = i / HS % NH, t = i / C % T, b = i / (C * T);
    float sum = 0;
    for (int t2 = 0; t2 <= t; t2++)
        sum += att[((b * NH + h) * T + t) * T + t2] * head_row(qkv, b, t2, 2, h)[c];
    out[i] = sum;
}

// ---- permute, batched products, softmax, unpermute

template <class F> __global__ void permute(F *q, F *k, F *v, const F *qkv) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= B * T * C)
        return;
    const int c = i % HS, t = i / HS % T, h = i / (HS * T) % NH, b = i / (HS * T * NH);
    q[i] = __ldcs(head_row(qkv, b, t, 0, h) + c);
    k[i] = __ldcs(head_row(qkv, b, t, 1, h) + c);
    v[i] = __ldcs(head_row(qkv, b, t, 2, h) + c);
}
template <class F> __global__ void permute_backward(F *dqkv, const F *dq, const F *dk, const F *dv) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= B * T * C)
        return;
    const int c = i % HS, t = i / HS % T, h = i / (HS * T) % NH, b = i / (HS * T * NH);
    head_row(dqkv, b, t, 0, h)[c] = dq[i];
    head_row(dqkv, b, t, 1, h)[c] = dk[i];
    head_row(dqkv, b, t, 2, h)[c] = dv[i];
}
__global__ void unpermute(float *out, const float *in) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= B * T * C)
        return;
    const int c = i % HS, t = i / HS % T, h = i / (HS * T) % NH, b = i / (HS * T * NH);
    out[(b * T + t) * C + h * HS + c] = __ldcs(in + i);
}
__global__ void unpermute_backward(float *din, const float *dout) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= B * T * C)
        return;
    const int c = i % HS, t = i / HS % T, h = i / (HS * T) % NH, b = i / (HS * T * NH);
    din[i] = dout[(b * T + t) * C + h * HS + c];
}
// out (M,N) = a (M,K) times b (K,N) per blockIdx.z, either factor transposed in memory; tiles of 16.
template <bool TA, bool TB> __global__ void batched_product(float *out, const float *a, const float *b, int m, int n, int k) {
    __shared__ float left[16][17], right[16][17];
    a += blockIdx.z * m * k, b += blockIdx.z * k * n, out += blockIdx.z * m * n;
    const int x = threadIdx.x, y = threadIdx.y, row = blockIdx.y * 16 + y, col = blockIdx.x * 16 + x;
    float sum = 0;
    for (int i = 0; i < k; i += 16) {
        if (TA)
            left[x][y] = a[(i + y) * m + blockIdx.y * 16 + x];   // left[row][k]
        else
            left[y][x] = a[row * k + i + x];
        if (TB)
            right[x][y] = b[(blockIdx.x * 16 + y) * k + i + x];   // right[k][col]
        else
            right[y][x] = b[(i + y) * n + col];
        __syncthreads();
        for (int j = 0; j < 16; j++)
            sum = fmaf(left[y][j], right[j][x], sum);
        __syncthreads();
    }
    out[row * n + col] = sum;
}
// A warp per row, from the last row to the first (the longest come first), four values at a time, maximum and sum in one pass.
__global__ void softmax_online(float *att, float scale, const float *preatt) {
    cg::thread_block block = cg::this_thread_block();
    cg::thread_block_tile<32> warp = cg::tiled_partition<32>(block);
    const int row = (gridDim.x - blockIdx.x - 1) * warp.meta_group_size() + warp.meta_group_rank();
    if (row >= BH * T)
        return;
    const int t = row % T, lane = warp.thread_rank();
    const float *x = preatt + row * T;
    float most = -FLT_MAX, sum = 0;
    for (int i = lane; i < (t + 1) / 4; i += 32) {
        const float4 v = reinterpret_cast<const float4 *>(x)[i];
        const float was = most;
        most = fmaxf(most, fmaxf(fmaxf(v.x, v.y), fmaxf(v.z, v.w)));
        sum = sum * expf(scale * (was - most)) + expf(scale * (v.x - most)) + expf(scale * (v.y - most)) + expf(scale * (v.z - most)) + expf(scale * (v.w - most));
    }
    if (4 * ((t + 1) / 4) + lane <= t && lane < 4) {
        const float v = x[4 * ((t + 1) / 4) + lane], was = most;
        most = fmaxf(most, v);
        sum = sum * expf(scale * (was - most)) + expf(scale * (v - most));
    }
    const float all_most = cg::reduce(warp, most, cg::greater<float>{});
    sum = cg::reduce(warp, sum * expf(scale * (most - all_most)), cg::plus<float>{});
    for (int i = lane; i < T; i += 32)
        __stcs(att + row * T + i, i <= t ? expf(scale * (__ldcs(x + i) - all_most)) / sum : 0.0f);
}

// ---- fused, float: a thread per query, tiles of 16 keys and values in shared memory, online softmax; leaves the logarithm of the sums for the way back

__global__ void flash(float *out, float *lse, const float *qkv) {
    __shared__ float keys[16][HS], values[16][HS];
    const int h = blockIdx.y % NH, b = blockIdx.y / NH, t = blockIdx.x * blockDim.x + threadIdx.x;
    float q[HS], sum[HS] = {}, most = -INFINITY, total = 0;
    for (int c = 0; c < HS; c++)
        q[c] = head_row(qkv, b, t, 0, h)[c] * (float)SCALE;
    const int last = (blockIdx.x + 1) * blockDim.x;   // keys behind the block's last query are not needed
    for (int from = 0; from < last; from += 16) {
        __syncthreads();
        for (int i = threadIdx.x; i < 16 * HS; i += blockDim.x) {
            keys[i / HS][i % HS] = head_row(qkv, b, from + i / HS, 1, h)[i % HS];
            values[i / HS][i % HS] = head_row(qkv, b, from + i / HS, 2, h)[i % HS];
        }
        __syncthreads();
        for (int j = 0; j < 16 && from + j <= t; j++) {
            float s = 0;
#pragma unroll
            for (int c = 0; c < HS; c++)
                s += q[c] * keys[j][c];
            const float now = fmaxf(most, s), keep = __expf(most - now), p = __expf(s - now);
            total = total * keep + p;
#pragma unroll
            for (int c = 0; c < HS; c++)
                sum[c] = sum[c] * keep + p * values[j][c];
            most = now;
        }
    }
    for (int c = 0; c < HS; c++)
        out[(b * T + t) * C + h * HS + c] = sum[c] / total;
    lse[blockIdx.y * T + t] = most + logf(total);
}

// ---- fused, bfloat16: one warp per 16 queries; Q K^T and P V by wmma, probabilities through shared memory

__global__ void __launch_bounds__(32) flash_wmma(bf16 *out, const bf16 *q, const bf16 *k, const bf16 *v) {
    __shared__ alignas(32) float scores[16 * 16], sums[16 * HS];
    __shared__ alignas(32) bf16 probabilities[16 * 16];
    __shared__ float most[16], total[16], keep[16];
    const int lane = threadIdx.x, base = blockIdx.y * T * HS, t0 = blockIdx.x * 16, row = lane / 2, half = lane % 2 * 8;
    wmma::fragment<wmma::matrix_a, 16, 16, 16, bf16, wmma::row_major> fq[HS / 16], fp;
    wmma::fragment<wmma::matrix_b, 16, 16, 16, bf16, wmma::col_major> fk;
    wmma::fragment<wmma::matrix_b, 16, 16, 16, bf16, wmma::row_major> fv;
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> s;
    for (int i = 0; i < HS / 16; i++)
        wmma::load_matrix_sync(fq[i], q + base + t0 * HS + 16 * i, HS);
    for (int i = lane; i < 16 * HS; i += 32)
        sums[i] = 0;
    if (lane < 16)
        most[lane] = -INFINITY, total[lane] = 0;
    __syncwarp();
    for (int from = 0; from <= t0; from += 16) {
        wmma::fill_fragment(s, 0.0f);
        for (int i = 0; i < HS / 16; i++) {
            wmma::load_matrix_sync(fk, k + base + from * HS + 16 * i, HS);
            wmma::mma_sync(s, fq[i], fk, s);
        }
        for (int i = 0; i < s.num_elements; i++)
            s.x[i] *= (float)SCALE;
        wmma::store_matrix_sync(scores, s, 16, wmma::mem_row_major);
        __syncwarp();
        float here = most[row], part = 0;   // two lanes share a row
        for (int j = half; j < half + 8; j++)
            if (from + j <= t0 + row)
                here = fmaxf(here, scores[row * 16 + j]);
        here = fmaxf(here, __shfl_xor_sync(~0u, here, 1));
        for (int j = half; j < half + 8; j++) {
            const bf16 p = (bf16)(from + j <= t0 + row ? __expf(scores[row * 16 + j] - here) : 0.0f);
            probabilities[row * 16 + j] = p;
            part += (float)p;
        }
        part += __shfl_xor_sync(~0u, part, 1);
        if (lane % 2 == 0) {
            keep[row] = __expf(most[row] - here);
            total[row] = total[row] * keep[row] + part;
            most[row] = here;
        }
        __syncwarp();
        for (int i = lane; i < 16 * HS; i += 32)
            sums[i] *= keep[i / HS];
        __syncwarp();
        wmma::load_matrix_sync(fp, probabilities, 16);
        for (int i = 0; i < HS / 16; i++) {
            wmma::load_matrix_sync(fv, v + base + from * HS + 16 * i, HS);
            wmma::load_matrix_sync(s, sums + 16 * i, HS, wmma::mem_row_major);
            wmma::mma_sync(s, fp, fv, s);
            wmma::store_matrix_sync(sums + 16 * i, s, HS, wmma::mem_row_major);
        }
        __syncwarp();
    }
    const int h = blockIdx.y % NH, b = blockIdx.y / NH;
    for (int i = lane; i < 16 * HS; i += 32)
        out[(b * T + t0 + i / HS) * C + h * HS + i % HS] = (bf16)(sums[i] / total[i / HS]);
}

// ---- backward

// One thread per query and head walks its row; keys and values are shared with other rows, hence atomics.
__global__ void attention_backward_atomic(float *dqkv, const float *dout, const float *qkv, const float *att) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= BH * T)
        return;
    const int t = i % T, h = i / T % NH, b = i / (T * NH);
    const float *d = dout + (b * T + t) * C + h * HS, *a = att + i * T, *q = head_row(qkv, b, t, 0, h);
    float dot = 0;   // sum of datt * att
    for (int t2 = 0; t2 <= t; t2++)
        for (int c = 0; c < HS; c++)
            dot += a[t2] * d[c] * head_row(qkv, b, t2, 2, h)[c];
    for (int t2 = 0; t2 <= t; t2++) {
        float datt = 0;
        for (int c = 0; c < HS; c++) {
            datt += d[c] * head_row(qkv, b, t2, 2, h)[c];
            atomicAdd(head_row(dqkv, b, t2, 2, h) + c, a[t2] * d[c]);
        }
        const float ds = a[t2] * (datt - dot) * (float)SCALE;
        for (int c = 0; c < HS; c++) {
            atomicAdd(head_row(dqkv, b, t, 0, h) + c, ds * head_row(qkv, b, t2, 1, h)[c]);
            atomicAdd(head_row(dqkv, b, t2, 1, h) + c, ds * q[c]);
        }
    }
}
// In place from datt to dpreatt, a block of 64 per four rows of one head.
__global__ void softmax_backward(float *datt, const float *att, float scale) {
    __shared__ float part[2];
    cg::thread_block block = cg::this_thread_block();
    cg::thread_block_tile<32> warp = cg::tiled_partition<32>(block);
    for (int t = T - 1 - 4 * blockIdx.x; t > T - 5 - 4 * (int)blockIdx.x; t--) {
        if (t < 0)
            return;
        float *d = datt + (blockIdx.y * T + t) * T;
        const float *a = att + (blockIdx.y * T + t) * T;
        float sum = 0;
        for (int i = threadIdx.x; i <= t; i += blockDim.x)
            sum += a[i] * d[i];
        sum = cg::reduce(warp, sum, cg::plus<float>{});
        if (warp.thread_rank() == 0)
            part[warp.meta_group_rank()] = sum;
        block.sync();
        sum = part[0] + part[1];
        for (int i = threadIdx.x; i < T; i += blockDim.x)
            __stcs(d + i, i <= t ? scale * (__ldcs(a + i) * (__ldcs(d + i) - sum)) : 0.0f);
        block.sync();
    }
}
// Fused: a block of T threads per head, a thread per key; recomputes the probabilities from lse. dq is summed by atomics.
__global__ void flash_backward(float *dq, float *dk, float *dv, const float *dout, const float *out, const float *lse, const float *q, const float *k, const float *v) {
    __shared__ float queries[16][HS], grads[16][HS], delta[16], lse_part[16];
    const int base = blockIdx.x * T * HS, t2 = threadIdx.x;
    float key[HS], value[HS], dkey[HS] = {}, dvalue[HS] = {};
    for (int c = 0; c < HS; c++) {
        key[c] = k[base + t2 * HS + c];
        value[c] = v[base + t2 * HS + c];
    }
    for (int from = 0; from < T; from += 16) {
        __syncthreads();
        for (int i = threadIdx.x; i < 16 * HS; i += blockDim.x) {
            queries[i / HS][i % HS] = q[base + from * HS + i];
            grads[i / HS][i % HS] = dout[base + from * HS + i];
        }
        if (threadIdx.x < 16) {
            float sum = 0;
            for (int c = 0; c < HS; c++)
                sum += dout[base + (from + threadIdx.x) * HS + c] * out[base + (from + threadIdx.x) * HS + c];
            delta[threadIdx.x] = sum;
            lse_part[threadIdx.x] = lse[blockIdx.x * T + from + threadIdx.x];
        }
        __syncthreads();
        for (int j = 0; j < 16; j++) {
            if (t2 > from + j)
                continue;
            float s = 0, dp = 0;
            for (int c = 0; c < HS; c++) {
                s += queries[j][c] * key[c];
                dp += grads[j][c] * value[c];
            }
            const float p = expf(s * (float)SCALE - lse_part[j]), ds = p * (dp - delta[j]) * (float)SCALE;
            for (int c = 0; c < HS; c++) {
                dvalue[c] += p * grads[j][c];
                dkey[c] += ds * queries[j][c];
                atomicAdd(dq + base + (from + j) * HS + c, ds * key[c]);
            }
        }
    }
    for (int c = 0; c < HS; c++) {
        dk[base + t2 * HS + c] = dkey[c];
        dv[base + t2 * HS + c] = dvalue[c];
    }
}

// ---- the other side

struct want { reals att, lse, out, dqkv; };
static want reference(const reals &qkv, const reals &dout) {
    want r = {reals(BH * T * T), reals(BH * T), reals(B * T * C), reals(B * T * 3 * C)};
    auto at = [](int b, int t, int which, int h, int c) { return ((b * T + t) * 3 + which) * C + h * HS + c; };
    for (int i = 0; i < BH * T; i++) {
        const int t = i % T, h = i / T % NH, b = i / (T * NH), o = (b * T + t) * C + h * HS;
        double *a = &r.att[i * T], sum = 0, dot = 0;
        reals datt(T);
        for (int u = 0; u <= t; u++) {
            double s = 0;
            for (int c = 0; c < HS; c++)
                s += qkv[at(b, t, 0, h, c)] * qkv[at(b, u, 1, h, c)];
            sum += a[u] = exp(s * SCALE);   // |s| < 32: no need for a maximum
        }
        r.lse[i] = log(sum);
        for (int u = 0; u <= t; u++) {
            a[u] /= sum;
            for (int c = 0; c < HS; c++) {
                r.out[o + c] += a[u] * qkv[at(b, u, 2, h, c)];
                datt[u] += dout[o + c] * qkv[at(b, u, 2, h, c)];
                r.dqkv[at(b, u, 2, h, c)] += a[u] * dout[o + c];
            }
            dot += a[u] * datt[u];
        }
        for (int u = 0; u <= t; u++)
            for (int c = 0; c < HS; c++) {
                r.dqkv[at(b, t, 0, h, c)] += a[u] * (datt[u] - dot) * SCALE * qkv[at(b, u, 1, h, c)];
                r.dqkv[at(b, u, 1, h, c)] += a[u] * (datt[u] - dot) * SCALE * qkv[at(b, t, 0, h, c)];
            }
    }
    return r;
}

// Scores are sums of 32 products below 1 (their error: 32 units of 2^-24 at most), the exponential makes of it a relative error of a probability.
static const double ERROR = 32 * F32;

static void product_nt(float *out, const float *a, const float *b, int m, int n, int k) {
    batched_product<false, true><<<dim3(n / 16, m / 16, BH), dim3(16, 16)>>>(out, a, b, m, n, k);
}
static void product_nn(float *out, const float *a, const float *b, int m, int n, int k) {
    batched_product<false, false><<<dim3(n / 16, m / 16, BH), dim3(16, 16)>>>(out, a, b, m, n, k);
}
static void product_tn(float *out, const float *a, const float *b, int m, int n, int k) {
    batched_product<true, false><<<dim3(n / 16, m / 16, BH), dim3(16, 16)>>>(out, a, b, m, n, k);
}

int main() {
    random_numbers rng = {11};
    const size_t heads = (size_t)B * T * C, square = (size_t)BH * T * T;
    buffer<float> qkv(rng.floats(3 * heads)), dout(rng.floats(heads)), preatt(square), att(square), datt(square), out(heads), lse((size_t)BH * T);
    buffer<float> q(heads), k(heads), v(heads), o(heads), d_o(heads), dq(heads), dk(heads), dv(heads), dqkv = buffer<float>::zeros(3 * heads);
    const want right = reference(qkv.host(), dout.host());
    const int each = blocks_for(heads, 128);

    scores_naive<<<blocks_for(square, 128), 128>>>(preatt, qkv);
    softmax_naive<<<blocks_for(BH * T, 32), 32>>>(att, preatt);
    values_naive<<<each, 128>>>(out, att, qkv);
    within("attention, naive: probabilities", att.get(), right.att, ERROR, 0);
    within("attention, naive", out.get(), right.out, 0, ERROR);
    attention_backward_atomic<<<blocks_for(BH * T, 32), 32>>>(dqkv, dout, qkv, att);
    within("attention backward, atomics", dqkv.get(), right.dqkv, 0, 4 * ERROR);

    permute<<<each, 128>>>(q.p, k.p, v.p, (const float *)qkv.p);
    product_nt(preatt, q, k, T, T, HS);
    softmax_online<<<blocks_for(BH * T, 4), 128>>>(att, (float)SCALE, preatt);
    product_nn(o, att, v, T, HS, T);
    unpermute<<<each, 128>>>(out, o);
    within("attention, permuted: probabilities", att.get(), right.att, ERROR, 0);
    within("attention, permuted", out.get(), right.out, 0, ERROR);

    unpermute_backward<<<each, 128>>>(d_o, dout);
    product_nt(datt, d_o, v, T, T, HS);
    product_tn(dv, att, d_o, T, HS, T);
    softmax_backward<<<dim3(T / 4, BH), 64>>>(datt, att, (float)SCALE);
    product_nn(dq, datt, k, T, HS, T);
    product_tn(dk, datt, q, T, HS, T);
    permute_backward<<<each, 128>>>(dqkv.p, (const float *)dq.p, (const float *)dk.p, (const float *)dv.p);
    within("attention backward, permuted", dqkv.get(), right.dqkv, 0, 4 * ERROR);

    flash<<<dim3(T / 16, BH), 16>>>(out, lse, qkv);
    within("attention, fused", out.get(), right.out, 0, 4 * ERROR);
    within("attention, fused: sums", lse.get(), right.lse, 0, 4 * ERROR);
    CHECK(cudaMemset(dq, 0, heads * sizeof(float)));
    flash_backward<<<BH, T>>>(dq, dk, dv, d_o, o, lse, q, k, v);
    permute_backward<<<each, 128>>>(dqkv.p, (const float *)dq.p, (const float *)dk.p, (const float *)dv.p);
    within("attention backward, fused", dqkv.get(), right.dqkv, 0, 8 * ERROR);

    buffer<bf16> qkv16(rng.floats(3 * heads)), q16(heads), k16(heads), v16(heads), out16(heads);
    permute<<<each, 128>>>(q16.p, k16.p, v16.p, (const bf16 *)qkv16.p);
    flash_wmma<<<dim3(T / 16, BH), 32>>>(out16, q16, k16, v16);
    within("attention, fused, tensor cores", out16.get(), reference(qkv16.host(), dout.host()).out, BF16, BF16 / 2);   // probabilities are rounded too
    printf("%d results within their bounds\n", g_compared);
}
