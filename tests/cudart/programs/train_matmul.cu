// sanitize: all
// Training kernels, part 2: matrix products (naive, tiled, register tiles, wmma, mma.sync with cp.async and ldmatrix), their gradients and bias gradients, against
// binary64. inp (N,C), weight (OC,C), bias (OC), out (N,OC) = inp weight^T + bias; N = batch times time.
#include "train.h"
#include <cuda_pipeline.h>
#include <mma.h>
using namespace nvcuda;
enum { N = 64, C = 128, OC = 192 };

// ---- forward

__global__ void matmul_naive(float *out, const float *inp, const float *weight, const float *bias) {
    const int n = blockIdx.x * blockDim.x + threadIdx.x, o = blockIdx.y * blockDim.y + threadIdx.y;
    if (n >= N || o >= OC)
        return;
    float sum = bias ? bias[o] : 0;
    for (int c = 0; c < C; c++)
        sum += inp[n * C + c] * weight[o * C + c];
    out[n * OC + o] = sum;
}

__global__ void matmul_tiled(float *out, const float *inp, const float *weight, const float *bias) {
    __shared__ float a[16][17], b[16][17];
    const int x = threadIdx.x, y = threadIdx.y, n = blockIdx.y * 16 + y, o = blockIdx.x * 16 + x;
    float sum = 0;
    for (int c = 0; c < C; c += 16) {
        a[y][x] = inp[n * C + c + x];
        b[y][x] = weight[(blockIdx.x * 16 + y) * C + c + x];
        __syncthreads();
#pragma unroll
        for (int k = 0; k < 16; k++)
            sum += a[y][k] * b[x][k];
        __syncthreads();
    }
    out[n * OC + o] = sum + bias[o];
}

// 64 x 64 by 64 threads, 8 x 8 values each; operands pass through shared memory four floats at a time.
__global__ void __launch_bounds__(64) matmul_register_tile(float *out, const float *inp, const float *weight, const float *bias) {
    __shared__ float4 left[64][9], right[64][9];   // a column more than needed: fewer bank conflicts
    const int x = threadIdx.x % 8, y = threadIdx.x / 8, o = blockIdx.x * 64, n = blockIdx.y * 64;
    float sum[8][8];
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8; j++)
            sum[i][j] = bias[o + x + 8 * j];
    for (int c = 0; c < C; c += 32) {
        __syncthreads();
        for (int i = 0; i < 8; i++) {
            left[y + 8 * i][x] = *reinterpret_cast<const float4 *>(inp + (n + y + 8 * i) * C + c + 4 * x);
            right[y + 8 * i][x] = __ldg(reinterpret_cast<const float4 *>(weight + (o + y + 8 * i) * C + c + 4 * x));
        }
        __syncthreads();
        for (int k = 0; k < 8; k++) {
            float4 b[8];
            for (int j = 0; j < 8; j++)
                b[j] = right[x + 8 * j][k];
            for (int i = 0; i < 8; i++) {
                const float4 a = left[y + 8 * i][k];
                for (int j = 0; j < 8; j++) {
                    sum[i][j] = fmaf(a.x, b[j].x, sum[i][j]);
                    sum[i][j] = fmaf(a.y, b[j].y, sum[i][j]);
                    sum[i][j] = fmaf(a.z, b[j].z, sum[i][j]);
                    sum[i][j] = fmaf(a.w, b[j].w, sum[i][j]);
                }
            }
        }
    }
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8; j++)
            out[(n + y + 8 * i) * OC + o + x + 8 * j] = sum[i][j];
}

// A product of fragments 16 x 16 by wmma. LA, LB: which way the factors lie; the transposed ones are gradients.
template <class LA, class LB> __device__ void wmma_tile(float *out, int out_ld, const bf16 *a, int a_ld, int a_step, const bf16 *b, int b_ld, int b_step, int k, bool add) {
    wmma::fragment<wmma::matrix_a, 16, 16, 16, bf16, LA> fa;
    wmma::fragment<wmma::matrix_b, 16, 16, 16, bf16, LB> fb;
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> sum;
    if (add)
        wmma::load_matrix_sync(sum, out, out_ld, wmma::mem_row_major);
    else
        wmma::fill_fragment(sum, 0.0f);
    for (int i = 0; i < k; i += 16) {
        wmma::load_matrix_sync(fa, a + i * a_step, a_ld);
        wmma::load_matrix_sync(fb, b + i * b_step, b_ld);
        wmma::mma_sync(sum, fa, fb, sum);
    }
    wmma::store_matrix_sync(out, sum, out_ld, wmma::mem_row_major);
}
__global__ void matmul_wmma(float *out, const bf16 *inp, const bf16 *weight) {
    const int o = blockIdx.x * 16, n = blockIdx.y * 16;
    wmma_tile<wmma::row_major, wmma::col_major>(out + n * OC + o, OC, inp + n * C, C, 1, weight + o * C, C, 1, C, false);
}

__device__ inline unsigned shared_address(const void *p) { return (unsigned)__cvta_generic_to_shared(p); }
__device__ inline void load_matrices(unsigned (&r)[4], const bf16 *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(row)));
}
__device__ inline void mma_bf16(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
// 32 x 64 per block of 4 warps (2 x 2, each 16 x 32), slices of 32 in k, two of them on their way; result rounded to bf16, with bias and GELU in the epilogue.
template <bool GELU> __global__ void __launch_bounds__(128) matmul_mma(bf16 *out, bf16 *before, const bf16 *inp, const bf16 *weight, const bf16 *bias) {
    enum { K = 32, ROW = K + 8 };   // 80 bytes: rows of ldmatrix fall into different banks
    __shared__ alignas(16) bf16 left[2][32 * ROW], right[2][64 * ROW];
    const int o = blockIdx.x * 64, n = blockIdx.y * 32, warp = threadIdx.x / 32, lane = threadIdx.x % 32, wm = warp / 2 * 16, wn = warp % 2 * 32;
    auto fetch = [&](int stage, int c) {
        const int row = threadIdx.x / 4, part = threadIdx.x % 4 * 8;
        __pipeline_memcpy_async(&left[stage][row * ROW + part], inp + (n + row) * C + c + part, 16);
        for (int r = row; r < 64; r += 32)
            __pipeline_memcpy_async(&right[stage][r * ROW + part], weight + (o + r) * C + c + part, 16);
        __pipeline_commit();
    };
    float sum[4][4] = {};
    fetch(0, 0);
    for (int c = 0; c < C; c += K) {
        const int stage = c / K % 2;
        if (c + K < C) {
            fetch(stage ^ 1, c + K);
            __pipeline_wait_prior(1);
        } else {
            __pipeline_wait_prior(0);
        }
        __syncthreads();
        for (int k = 0; k < K; k += 16) {
            unsigned a[4], b[4];
            load_matrices(a, &left[stage][(wm + lane % 16) * ROW + k + lane / 16 * 8]);
            for (int j = 0; j < 4; j += 2) {   // two tiles of 8 columns at a time
                load_matrices(b, &right[stage][(wn + j * 8 + lane / 16 * 8 + lane % 8) * ROW + k + lane / 8 % 2 * 8]);
                mma_bf16(sum[j], a, b[0], b[1]);
                mma_bf16(sum[j + 1], a, b[2], b[3]);
            }
        }
        __syncthreads();
    }
    for (int j = 0; j < 4; j++)
        for (int half = 0; half < 2; half++) {
            const int row = n + wm + lane / 4 + 8 * half, col = o + wn + j * 8 + lane % 4 * 2;
            float x = sum[j][2 * half] + (float)bias[col], y = sum[j][2 * half + 1] + (float)bias[col + 1];
            if (GELU) {
                *reinterpret_cast<__nv_bfloat162 *>(before + row * OC + col) = __floats2bfloat162_rn(x, y);
                x = 0.5f * x * (1 + tanhf(0.7978845608f * (x + 0.044715f * x * x * x)));
                y = 0.5f * y * (1 + tanhf(0.7978845608f * (y + 0.044715f * y * y * y)));
            }
            *reinterpret_cast<__nv_bfloat162 *>(out + row * OC + col) = __floats2bfloat162_rn(x, y);
        }
}

// ---- backward: dinp (N,C) = dout weight; dweight (OC,C) += dout^T inp

__global__ void matmul_backward_input(float *dinp, const float *dout, const float *weight) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= N * C)
        return;
    float sum = 0;
    for (int o = 0; o < OC; o++)
        sum = fmaf(dout[i / C * OC + o], weight[o * C + i % C], sum);
    dinp[i] = sum;
}
__global__ void matmul_backward_weight(float *dweight, const float *dout, const float *inp) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= OC * C)
        return;
    float sum = dweight[i];
    for (int n = 0; n < N; n++)
        sum = fmaf(dout[n * OC + i / C], inp[n * C + i % C], sum);
    dweight[i] = sum;
}
__global__ void matmul_backward_input_wmma(float *dinp, const bf16 *dout, const bf16 *weight) {
    const int c = blockIdx.x * 16, n = blockIdx.y * 16;
    wmma_tile<wmma::row_major, wmma::row_major>(dinp + n * C + c, C, dout + n * OC, OC, 1, weight + c, C, C, OC, false);
}
__global__ void matmul_backward_weight_wmma(float *dweight, const bf16 *dout, const bf16 *inp) {
    const int c = blockIdx.x * 16, o = blockIdx.y * 16;
    wmma_tile<wmma::col_major, wmma::row_major>(dweight + o * C + c, C, dout + o, OC, OC, inp + c, C, C, N, true);
}

// ---- bias gradient: dbias (OC) += columns of dout summed

__global__ void bias_backward_block(float *dbias, const float *dout) {   // a block per column
    __shared__ float part[64];
    float sum = 0;
    for (int n = threadIdx.x; n < N; n += blockDim.x)
        sum += dout[n * OC + blockIdx.x];
    part[threadIdx.x] = sum;
    __syncthreads();
    for (int step = blockDim.x / 2; step; step /= 2) {
        if (threadIdx.x < step)
            part[threadIdx.x] += part[threadIdx.x + step];
        __syncthreads();
    }
    if (threadIdx.x == 0)
        dbias[blockIdx.x] += part[0];
}
__global__ void bias_backward_columns(float *dbias, const float *dout) {   // 32 columns per block, a warp reads a row of them
    extern __shared__ float part[];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32, o = blockIdx.x * 32 + lane;
    float sum = 0;
    for (int n = warp; n < N; n += warps)
        sum += dout[n * OC + o];
    part[threadIdx.x] = sum;
    __syncthreads();
    if (warp)
        return;
    for (int k = 1; k < warps; k++)
        sum += part[lane + 32 * k];
    dbias[o] += sum;
}
__global__ void bias_backward_atomic(float *dbias, const float *dout) {   // grid (columns, parts of the rows)
    const int o = blockIdx.x * blockDim.x + threadIdx.x, rows = N / gridDim.y;
    if (o >= OC)
        return;
    float sum = 0;
    for (int n = blockIdx.y * rows; n < (blockIdx.y + 1) * rows; n++)
        sum += dout[n * OC + o];
    atomicAdd(dbias + o, sum);
}
// Four lanes side by side read 64 bytes of one row; the other lanes and warps other rows. Shuffles join lanes, shared memory joins warps, parts of the rows meet
// in a buffer of floats that a second kernel adds up: bfloat16 gradients have no useful atomics.
__global__ void bias_backward_packed(float *parts, const bf16 *dout) {
    enum { P = packed<bf16>::size };
    __shared__ float warp_part[8][4][P];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, o = blockIdx.x * 4 * P + lane % 4 * P;
    float sum[P] = {};
    for (int n = (blockIdx.y * 8 + warp) * 8 + lane / 4; n < N; n += gridDim.y * 64) {
        const packed<bf16> d = load128_once(dout + n * OC + o);
        for (int k = 0; k < P; k++)
            sum[k] += (float)d[k];
    }
    for (int k = 0; k < P; k++) {
        for (int step = 4; step < 32; step *= 2)
            sum[k] += __shfl_down_sync(0xffffffffu, sum[k], step);
        if (lane < 4)
            warp_part[warp][lane][k] = sum[k];
    }
    __syncthreads();
    if (threadIdx.x < 4 * P) {
        float all = 0;
        for (int w = 0; w < 8; w++)
            all += warp_part[w][threadIdx.x / P][threadIdx.x % P];
        parts[blockIdx.y * OC + blockIdx.x * 4 * P + threadIdx.x] = all;
    }
}
__global__ void add_parts(bf16 *to, const float *parts, int n_parts) {
    const int i = (blockIdx.x * blockDim.x + threadIdx.x) * packed<float>::size;
    if (i >= OC)
        return;
    packed<float> sum = {};
    for (int k = 0; k < n_parts; k++) {
        const packed<float> x = load128(parts + k * OC + i);
        for (int j = 0; j < packed<float>::size; j++)
            sum[j] += x[j];
    }
    for (int j = 0; j < packed<float>::size; j++)
        to[i + j] = (bf16)((float)to[i + j] + sum[j]);
}

// ---- the other side

struct want { reals out, dinp, dweight, dbias; };
static want reference(const reals &inp, const reals &weight, const reals &bias, const reals &dout, const reals &dweight, const reals &dbias) {
    want r = {reals(N * OC), reals(N * C), dweight, dbias};
    for (int n = 0; n < N; n++)
        for (int o = 0; o < OC; o++) {
            double sum = bias[o];
            for (int c = 0; c < C; c++) {
                sum += inp[n * C + c] * weight[o * C + c];
                r.dinp[n * C + c] += dout[n * OC + o] * weight[o * C + c];
                r.dweight[o * C + c] += dout[n * OC + o] * inp[n * C + c];
            }
            r.out[n * OC + o] = sum;
            r.dbias[o] += dout[n * OC + o];
        }
    return r;
}

// Sums of at most 192 products below 1: their rounding errors stay below 192 * 192/2 units of 2^-24 of an average magnitude, 1/4; in practice a tenth of that.
static const double SUM = 400 * F32;

template <class F> struct problem {
    random_numbers rng = {7};
    buffer<F> inp{rng.floats(N * C)}, weight{rng.floats(OC * C)}, bias{rng.floats(OC)}, dout{rng.floats(N * OC)}, dbias{rng.floats(OC)};
    buffer<float> dweight{rng.floats(OC * C)}, out{(size_t)N * OC}, dinp{(size_t)N * C};
    want right = reference(inp.host(), weight.host(), bias.host(), dout.host(), dweight.host(), dbias.host());
};

static void test_float() {
    problem<float> p;
    const dim3 square(16, 16);
    matmul_naive<<<dim3(N / 16, OC / 16), square>>>(p.out, p.inp, p.weight, p.bias);
    within("matmul, naive", p.out.get(), p.right.out, 0, SUM);
    matmul_tiled<<<dim3(OC / 16, N / 16), square>>>(p.out, p.inp, p.weight, p.bias);
    within("matmul, tiled", p.out.get(), p.right.out, 0, SUM);
    matmul_register_tile<<<dim3(OC / 64, N / 64), 64>>>(p.out, p.inp, p.weight, p.bias);
    within("matmul, register tiles", p.out.get(), p.right.out, 0, SUM);
    matmul_backward_input<<<blocks_for(N * C, 128), 128>>>(p.dinp, p.dout, p.weight);
    within("matmul backward, input", p.dinp.get(), p.right.dinp, 0, SUM);
    matmul_backward_weight<<<blocks_for(OC * C, 128), 128>>>(p.dweight, p.dout, p.inp);
    within("matmul backward, weight", p.dweight.get(), p.right.dweight, 0, SUM);
    auto bias_is_right = [&](const char *what) {
        within(what, p.dbias.get(), p.right.dbias, F32, 128 * F32);
        p.dbias.reset();
    };
    bias_backward_block<<<OC, 64>>>(p.dbias, p.dout);
    bias_is_right("bias backward, a block per column");
    bias_backward_columns<<<OC / 32, 256, 256 * sizeof(float)>>>(p.dbias, p.dout);
    bias_is_right("bias backward, columns");
    bias_backward_atomic<<<dim3(2, 4), 96>>>(p.dbias, p.dout);
    bias_is_right("bias backward, atomics");
}

static void test_bf16() {
    problem<bf16> p;
    reals no_bias = p.right.out, activated = p.right.out;
    const reals bias = p.bias.host();
    for (int i = 0; i < N * OC; i++) {
        const double x = p.right.out[i];
        no_bias[i] -= bias[i % OC];
        activated[i] = 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    }
    matmul_wmma<<<dim3(OC / 16, N / 16), 32>>>(p.out, p.inp, p.weight);
    within("matmul, wmma", p.out.get(), no_bias, 0, SUM);
    buffer<bf16> out((size_t)N * OC), before((size_t)N * OC);
    matmul_mma<false><<<dim3(OC / 64, N / 32), 128>>>(out, nullptr, p.inp, p.weight, p.bias);
    within("matmul, mma.sync", out.get(), p.right.out, BF16, SUM);
    matmul_mma<true><<<dim3(OC / 64, N / 32), 128>>>(out, before, p.inp, p.weight, p.bias);
    within("matmul and GELU, before it", before.get(), p.right.out, BF16, SUM);
    within("matmul and GELU", out.get(), activated, BF16, 2 * SUM);
    matmul_backward_input_wmma<<<dim3(C / 16, N / 16), 32>>>(p.dinp, p.dout, p.weight);
    within("matmul backward, input, wmma", p.dinp.get(), p.right.dinp, 0, SUM);
    matmul_backward_weight_wmma<<<dim3(C / 16, OC / 16), 32>>>(p.dweight, p.dout, p.inp);
    within("matmul backward, weight, wmma", p.dweight.get(), p.right.dweight, 0, SUM);
    buffer<float> parts((size_t)3 * OC);
    bias_backward_packed<<<dim3(OC / 32, 3), 256>>>(parts, p.dout);
    add_parts<<<1, 64>>>(p.dbias, parts, 3);
    within("bias backward, packed", p.dbias.get(), p.right.dbias, BF16, 128 * F32);
}

int main() {
    test_float();
    test_bf16();
    printf("%d results within their bounds\n", g_compared);
}
