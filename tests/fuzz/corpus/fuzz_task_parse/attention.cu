// d11_attention_causal_f32: causal multi-head attention forward: out[b,t,h,:] = sum_{t2<=t} softmax(q.k/sqrt(HS)) v; qkv packed (B,T,3,NH,HS); scores and att are scratch
#pragma hone size B=8 T=1024 NH=12 HS=64
#pragma hone check B=2 T=256 NH=4 HS=64
#pragma hone check B=1 T=67 NH=3 HS=40
#pragma hone out out    float[B][T][NH][HS]
#pragma hone in qkv    float[B][T][3][NH][HS] ~ normal(0, 1)
#pragma hone scratch scores float[B][NH][T][T]
#pragma hone scratch att    float[B][NH][T][T]
#pragma hone launch attn_scores<<<cdiv(B*NH*T*T, 256), 256>>>(scores, qkv, B, T, NH, HS)
#pragma hone launch attn_softmax<<<cdiv(B*NH*T, 128), 128>>>(att, scores, B, T, NH)
#pragma hone launch attn_values<<<cdiv(B*T*NH*HS, 256), 256>>>(out, att, qkv, B, T, NH, HS)
#pragma hone tolerance auto
#pragma hone flops 2*B*NH*T*(T+1)*HS+3*B*NH*T*(T+1)
#pragma hone bytes 4*B*T*NH*HS*4

#define NEG_INF (-__int_as_float(0x7f800000))
// Causal multi-head attention. qkv is (B, T, 3, NH, HS); scores/att are (B, NH, T, T);
// out is (B, T, NH, HS). Three kernels: scores, softmax, weighted values.
extern "C" __global__ void attn_scores(float* scores, const float* qkv, int B, int T, int NH, int HS)
{
    int idx = blockIdx.x * blockDim.x + threadIdx.x;
    if (idx >= B * NH * T * T) return;
    int t2 = idx % T;
    int t = (idx / T) % T;
    int h = (idx / (T * T)) % NH;
    int b = idx / (NH * T * T);
    int C = NH * HS;
    if (t2 > t) {
        scores[idx] = NEG_INF;
        return;
    }
    const float* q = qkv + (size_t)(b * T + t) * 3 * C + h * HS;
    const float* k = qkv + (size_t)(b * T + t2) * 3 * C + C + h * HS;
    float dot = 0.0f;
    for (int i = 0; i < HS; i++)
        dot += q[i] * k[i];
    scores[idx] = dot / sqrtf((float)HS);
}

extern "C" __global__ void attn_softmax(float* att, const float* scores, int B, int T, int NH)
{
    int r = blockIdx.x * blockDim.x + threadIdx.x;
    if (r >= B * NH * T) return;
    int t = r % T;
    const float* s = scores + (size_t)r * T;
    float* a = att + (size_t)r * T;
    float m = NEG_INF;
    for (int j = 0; j <= t; j++)
        if (s[j] > m) m = s[j];
    float sum = 0.0f;
    for (int j = 0; j <= t; j++) {
        a[j] = expf(s[j] - m);
        sum += a[j];
    }
    for (int j = 0; j < T; j++)
        a[j] = (j <= t) ? a[j] / sum : 0.0f;
}

extern "C" __global__ void attn_values(float* out, const float* att, const float* qkv,
                                       int B, int T, int NH, int HS)
{
    int idx = blockIdx.x * blockDim.x + threadIdx.x;
    if (idx >= B * T * NH * HS) return;
    int i = idx % HS;
    int h = (idx / HS) % NH;
    int t = (idx / (HS * NH)) % T;
    int b = idx / (HS * NH * T);
    int C = NH * HS;
    const float* a = att + (size_t)((b * NH + h) * T + t) * T;
    float acc = 0.0f;
    for (int t2 = 0; t2 <= t; t2++)
        acc += a[t2] * qkv[(size_t)(b * T + t2) * 3 * C + 2 * C + h * HS + i];
    out[idx] = acc;
}
