// Many tiny blocks: block start rate.
#pragma hone size B=1048576
#pragma hone out b float[B]
#pragma hone launch many_blocks<<<B, 32>>>(b)
extern "C" __global__ void many_blocks(float *b) { if (threadIdx.x == 0) b[blockIdx.x] = 1.0f; }
