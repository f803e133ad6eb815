// sanitize: all
// Training kernels, part 4: softmax, cross-entropy and the fused classifier, AdamW with master weights and stochastic rounding, the global norm of gradients,
// against binary64. logits (N,VP): rows of V values, padded to VP.
#include "train.h"
#include <cfloat>
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
namespace cg = cooperative_groups;
enum { N = 24, V = 250, VP = 256 };

// ---- softmax of whole rows

__global__ void softmax_row(float *out, const float *in) {   // one pass for maximum and sum, a thread per row
    const int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= N)
        return;
    float most = -INFINITY;
    double sum = 0;
    for (int i = 0; i < V; i++) {
        const float x = in[row * VP + i];
        if (x > most) {
            sum = sum * expf(most - x) + 1;
            most = x;
        } else {
            sum += expf(x - most);
        }
    }
    for (int i = 0; i < VP; i++)
        out[row * VP + i] = i < V ? expf(in[row * VP + i] - most) / (float)sum : 0;
}
__global__ void softmax_block(float *out, const float *in) {   // a block per row, loads first, then arithmetic
    constexpr int UNROLL = 2;
    const float *x = in + blockIdx.x * VP;
    float most = -INFINITY, sum = 0, reg[UNROLL];
    for (int i = threadIdx.x; i < V; i += blockDim.x * UNROLL) {
#pragma unroll
        for (int u = 0; u < UNROLL; u++)
            reg[u] = x[min(V - 1, i + u * (int)blockDim.x)];
        for (int u = 0; u < UNROLL; u++)
            most = fmaxf(most, reg[u]);
    }
    most = block_reduce<warp_max>(most, -INFINITY);
    for (int i = threadIdx.x; i < V; i += blockDim.x) {
        const float e = expf(x[i] - most);
        out[blockIdx.x * VP + i] = e;
        sum += e;
    }
    sum = block_reduce<warp_sum>(sum, 0, false);
    for (int i = threadIdx.x; i < VP; i += blockDim.x)
        out[blockIdx.x * VP + i] = i < V ? out[blockIdx.x * VP + i] / sum : 0;
}
struct top { float most, sum; };
__device__ static top join(top a, top b) {
    const top big = a.most > b.most ? a : b, small = a.most > b.most ? b : a;
    return {big.most, big.sum + small.sum * expf(small.most - big.most)};
}
__global__ void softmax_pairs(float *out, const float *in) {   // a warp per row, maximum and sum as one value of a reduction
    cg::thread_block block = cg::this_thread_block();
    cg::thread_block_tile<32> warp = cg::tiled_partition<32>(block);
    const int row = blockIdx.x * warp.meta_group_size() + warp.meta_group_rank();
    top t = {-FLT_MAX, 0};
    for (int i = warp.thread_rank(); i < V; i += 32)
        t = join(t, {in[row * VP + i], 1});
    t = cg::reduce(warp, t, join);
    for (int i = warp.thread_rank(); i < VP; i += 32)
        out[row * VP + i] = i < V ? expf(in[row * VP + i] - t.most) / t.sum : 0;
}

// ---- cross-entropy

__global__ void loss_of(float *loss, const float *probs, const int *target) {
    const int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row < N)
        loss[row] = -logf(probs[row * VP + target[row]]);
}
__global__ void loss_backward(float *dlogits, const float *dloss, const float *probs, const int *target) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= N * V)
        return;
    const int row = i / V, v = i % V;
    dlogits[row * VP + v] += (probs[row * VP + v] - (v == target[row] ? 1.0f : 0.0f)) * dloss[row];
}
// Everything in one: from the last row on, 16 bytes at a time from the row's end, gradients over the logits, padding becomes zero; a cached second read.
template <class F, bool WRITE> __global__ void __launch_bounds__(128) classifier(F *logits, float *loss, float *probs, float dloss, const int *target) {
    enum { P = packed<F>::size };
    const int row = gridDim.x - 1 - blockIdx.x, goal = target[row];
    F *x = logits + row * VP;
    float most = -INFINITY, sum = 0;
    for (int i = (V + P - 1) / P + threadIdx.x - blockDim.x; i >= 0; i -= blockDim.x) {
        const packed<F> p = load128(x + i * P);
        for (int k = 0; k < P; k++)
            if (i * P + k < V) {
                const float v = (float)p[k], was = most;
                most = fmaxf(most, v);
                sum = sum * expf(was - most) + expf(v - most);
            }
    }
    const float all = block_reduce<warp_max>(most, -INFINITY);
    sum = block_reduce<warp_sum>(most == -INFINITY ? 0 : sum * expf(most - all), 0);
    if (threadIdx.x == 0)
        loss[row] -= logf(expf((float)x[goal] - all) / sum);
    __syncthreads();   // before the row is written over
    for (int i = threadIdx.x; i < VP / P; i += blockDim.x) {
        const packed<F> p = load128_once(x + i * P);
        packed<F> d;
        for (int k = 0; k < P; k++) {
            const int v = i * P + k;
            const float prob = v < V ? expf((float)p[k] - all) / sum : 0;
            d[k] = (F)((prob - (v == goal ? 1.0f : 0.0f)) * dloss);
            if (probs)
                probs[row * VP + v] = prob;
        }
        if (WRITE)
            store128(x + i * P, d);
    }
}

static void test_softmax(double rounding) {
    random_numbers rng = {21};
    buffer<float> logits(rng.floats(N * VP, 10)), probs((size_t)N * VP), loss((size_t)N), dlogits = buffer<float>::zeros(N * VP), dloss(rng.floats(N));
    const std::vector<int> goal = rng.below(N, V);
    const reals x = logits.host(), d = dloss.host();
    reals want(N * VP), want_loss(N), want_d(N * VP);
    int *target;
    CHECK(cudaMalloc(&target, N * sizeof(int)));
    CHECK(cudaMemcpy(target, goal.data(), N * sizeof(int), cudaMemcpyHostToDevice));
    for (int row = 0; row < N; row++) {
        double sum = 0;
        for (int v = 0; v < V; v++)
            sum += want[row * VP + v] = exp(x[row * VP + v]);
        for (int v = 0; v < V; v++) {
            want[row * VP + v] /= sum;
            want_d[row * VP + v] = (want[row * VP + v] - (v == goal[row])) * d[row];
        }
        want_loss[row] = -log(want[row * VP + goal[row]]);
    }
    const double error = 32 * F32;   // of a probability: the argument's rounding (20 units of 2^-24), the exponential, sum and division
    softmax_row<<<blocks_for(N, 16), 16>>>(probs, logits);
    within("softmax, a thread per row", probs.get(), want, error, 0);
    softmax_block<<<N, 64>>>(probs, logits);
    within("softmax, a block per row", probs.get(), want, error, 0);
    softmax_pairs<<<N / 4, 128>>>(probs, logits);
    within("softmax, a warp per row", probs.get(), want, error, 0);
    loss_of<<<1, 32>>>(loss, probs, target);
    within("cross-entropy", loss.get(), want_loss, 2 * F32, error);
    loss_backward<<<blocks_for(N * V, 128), 128>>>(dlogits, dloss, probs, target);
    within("cross-entropy backward", dlogits.get(), want_d, 0, error);
    CHECK(cudaMemset(loss, 0, N * sizeof(float)));
    classifier<float, false><<<N, 128>>>(logits, loss, probs, 0.5f, target);
    within("classifier: loss", loss.get(), want_loss, 2 * F32, 2 * error);
    within("classifier: probabilities", probs.get(), want, error, 0);
    within("classifier: logits left alone", logits.get(), x, 0, 0);
    buffer<bf16> logits16(rng.floats(N * VP, 10));
    const reals y = logits16.host();
    for (int row = 0; row < N; row++) {
        double sum = 0;
        for (int v = 0; v < V; v++)
            sum += exp(y[row * VP + v]);
        want_loss[row] = log(sum) - y[row * VP + goal[row]];
        for (int v = 0; v < V; v++)
            want[row * VP + v] = (exp(y[row * VP + v]) / sum - (v == goal[row])) / N;
    }
    CHECK(cudaMemset(loss, 0, N * sizeof(float)));
    classifier<bf16, true><<<N, 128>>>(logits16, loss, nullptr, 1.0f / N, target);
    within("classifier, bfloat16: loss", loss.get(), want_loss, 2 * F32, 2 * error);
    within("classifier, bfloat16: gradients", logits16.get(), want, rounding, error);
    CHECK(cudaFree(target));
}

// ---- AdamW

__device__ static float lerp(float start, float end, float weight) { return fmaf(weight, end, fmaf(-weight, start, start)); }
__global__ void adamw(float *param, const float *grad, float *m, float *v, int n, float rate, float beta1, float beta2, float fix1, float fix2, float eps, float decay) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n)
        return;
    const float g = grad[i], m_new = lerp(g, m[i], beta1), v_new = lerp(g * g, v[i], beta2);
    m[i] = m_new;
    v[i] = v_new;
    param[i] -= rate * (m_new / fix1 / (sqrtf(v_new / fix2) + eps) + decay * param[i]);
}
__device__ static unsigned noise(unsigned position, unsigned seed) {
    unsigned x = position * 0x9e3779b1u ^ seed;
    x = (x ^ x >> 15) * 0x85ebca6bu;
    x = (x ^ x >> 13) * 0xc2b2ae35u;
    return x ^ x >> 16;
}
__device__ static bf16 round_stochastically(float x, unsigned seed) {
    const unsigned threshold = noise(blockIdx.x * blockDim.x + threadIdx.x, seed) & 0xffff, bits = __float_as_uint(x);
    return __float2bfloat16_rz(__uint_as_float((bits & 0xffff) > threshold ? (bits | 0xffff) + 1 : bits & ~0xffffu));
}
struct step { float rate, beta1, beta2, fix1, fix2, eps, decay, grad_scale; };
// Slices of several layers by blockIdx.y; parameters and gradients in bfloat16, the exact ones beside them in float.
__global__ void adamw_slices(bf16 *param, float *master, const bf16 *grad, float *m, float *v, int n, ptrdiff_t stride, step s, unsigned seed) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n)
        return;
    const ptrdiff_t at = blockIdx.y * stride + i;
    const float g = s.grad_scale * (float)grad[at], m_new = lerp(g, m[at], s.beta1), v_new = lerp(g * g, v[at], s.beta2);
    m[at] = m_new;
    v[at] = v_new;
    const float was = master ? master[at] : (float)param[at];
    const float now = was - s.rate * (m_new / s.fix1 / (sqrtf(v_new / s.fix2) + s.eps) + s.decay * was);
    param[at] = round_stochastically(now, seed);
    if (master)
        master[at] = now;
}

static void test_adamw() {
    random_numbers rng = {22};
    enum { n = 1000, slices = 3, stride = 1024, all = slices * stride };
    const step s = {1e-2f, 0.9f, 0.95f, 1 - 0.9f, 1 - 0.95f, 1e-8f, 0.1f, 0.25f};
    std::vector<float> second = rng.floats(all);
    for (float &x : second)
        x = fabsf(x);
    buffer<float> param(rng.floats(all)), grad(rng.floats(all)), m(rng.floats(all)), v(second);
    buffer<bf16> param16(rng.floats(all)), grad16(rng.floats(all));
    auto reference = [&](reals &p, reals &pm, reals &pv, const reals &g, double scale, size_t i) {
        const double d = g[i] * scale;
        pm[i] = (double)s.beta1 * pm[i] + (1 - (double)s.beta1) * d;
        pv[i] = (double)s.beta2 * pv[i] + (1 - (double)s.beta2) * d * d;
        p[i] -= (double)s.rate * (pm[i] / (double)s.fix1 / (sqrt(pv[i] / (double)s.fix2) + (double)s.eps) + (double)s.decay * p[i]);
    };
    reals p = param.host(), pm = m.host(), pv = v.host(), q = p, qm = pm, qv = pv;
    for (int i = 0; i < n; i++)
        reference(p, pm, pv, grad.host(), 1, (size_t)i);
    adamw<<<blocks_for(n, 128), 128>>>(param, grad, m, v, n, s.rate, s.beta1, s.beta2, s.fix1, s.fix2, s.eps, s.decay);
    within("AdamW: parameters", param.get(), p, 2 * F32, 4 * F32);
    within("AdamW: first moments", m.get(), pm, 0, 2 * F32);
    within("AdamW: second moments", v.get(), pv, 0, 2 * F32);
    param.reset(), m.reset(), v.reset();
    const reals g16 = grad16.host();
    for (int k = 0; k < slices; k++)
        for (int i = 0; i < n; i++)
            reference(q, qm, qv, g16, (double)s.grad_scale, (size_t)(k * stride + i));
    adamw_slices<<<dim3(blocks_for(n, 128), slices), 128>>>(param16, param, grad16, m, v, n, stride, s, 77);
    within("AdamW, slices: master weights", param.get(), q, 2 * F32, 4 * F32);
    const reals rounded = param16.get(), exact = param.get();
    double bias = 0;
    for (int k = 0; k < slices; k++)
        for (int i = 0; i < n; i++) {
            const double error = rounded[k * stride + i] - exact[k * stride + i];
            EXPECT(fabs(error) < 2 * BF16 * fabs(exact[k * stride + i]));   // one of the two neighbours
            bias += error / n / slices;
        }
    EXPECT(fabs(bias) < 1e-4);   // errors of about 1e-3 each: without bias their mean of 3000 is about 2e-5
    adamw_slices<<<dim3(blocks_for(n, 128), slices), 128>>>(param16, nullptr, grad16, m, v, n, stride, s, 78);
    EXPECT(param16.get() != rounded);
}

// ---- global norm of the gradients

template <class F> __device__ float squares(const F *x, size_t n, size_t from, size_t step) {
    float sum = 0;
    for (size_t i = from; i < n; i += step)
        sum += (float)x[i] * (float)x[i];
    return sum;
}
template <class F> __global__ void norm_atomic(float *out, const F *x, size_t n) {
    const float sum = block_reduce<warp_sum>(squares(x, n, blockIdx.x * blockDim.x + threadIdx.x, gridDim.x * blockDim.x), 0);
    if (threadIdx.x == 0)
        atomicAdd(out, sum);
}
template <class F> __global__ void norm_parts(float *out, const F *x, size_t n, ptrdiff_t stride) {   // a value per block; slices by blockIdx.y
    const float sum = block_reduce<warp_sum>(squares(x + blockIdx.y * stride, n, blockIdx.x * blockDim.x + threadIdx.x, gridDim.x * blockDim.x), 0);
    if (threadIdx.x == 0)
        out[blockIdx.y * gridDim.x + blockIdx.x] = sum;
}
__global__ void norm_finish(float *out, const float *parts, int n) {
    const float sum = block_reduce<warp_sum>(threadIdx.x < n ? parts[threadIdx.x] : 0, 0);
    if (threadIdx.x == 0)
        *out = sqrtf(sum);
}
template <class F> static void test_norm() {
    random_numbers rng = {23};
    enum { n = 2500, slices = 2, stride = 3000 };
    buffer<F> grad(rng.floats(slices * stride));
    buffer<float> out = buffer<float>::zeros(1), parts((size_t)6 * slices);
    const reals g = grad.host();
    double one = 0, all = 0;
    for (int i = 0; i < slices * stride; i++) {
        one += i < n ? g[i] * g[i] : 0;
        all += i % stride < n ? g[i] * g[i] : 0;
    }
    norm_atomic<F><<<6, 128>>>(out, grad, n);
    within("norm, atomics", out.get(), reals{one}, 32 * F32, 0);
    norm_parts<F><<<dim3(6, slices), 128>>>(parts, grad, n, stride);
    norm_finish<<<1, 32>>>(out, parts, 6 * slices);
    within("norm, in two steps", out.get(), reals{sqrt(all)}, 32 * F32, 0);
}

int main() {
    test_softmax(BF16);
    test_adamw();
    test_norm<float>();
    test_norm<bf16>();
    printf("%d results within their bounds\n", g_compared);
}
