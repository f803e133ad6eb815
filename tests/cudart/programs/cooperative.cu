// Cooperative groups: tiles of a warp, reductions.
#include "check.h"
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <vector>
namespace cg = cooperative_groups;

__global__ void tiles(const int *in, int *out) {
    const cg::thread_block block = cg::this_thread_block();
    const cg::thread_block_tile<8> tile = cg::tiled_partition<8>(block);
    int v = in[block.group_index().x * block.size() + block.thread_rank()];
    for (int i = tile.size() / 2; i; i /= 2)
        v += tile.shfl_down(v, i);
    if (tile.thread_rank() == 0)
        out[(block.group_index().x * block.size() + block.thread_rank()) / 8] = v;
    const cg::thread_block_tile<32> warp = cg::tiled_partition<32>(block);
    const int most = cg::reduce(warp, (int)warp.thread_rank(), cg::greater<int>());
    if (most != 31)
        out[0] = -1;
}

int main() {
    const int n = 512;
    std::vector<int> in(n), out(n / 8);
    for (int i = 0; i < n; i++)
        in[i] = i * 7 % 13;
    int *d, *o;
    CHECK(cudaMalloc(&d, n * sizeof(int)));
    CHECK(cudaMalloc(&o, n / 8 * sizeof(int)));
    CHECK(cudaMemcpy(d, in.data(), n * sizeof(int), cudaMemcpyHostToDevice));
    tiles<<<4, n / 4>>>(d, o);
    CHECK(cudaMemcpy(out.data(), o, n / 8 * sizeof(int), cudaMemcpyDeviceToHost));
    for (int t = 0; t < n / 8; t++) {
        int want = 0;
        for (int i = 0; i < 8; i++)
            want += in[8 * t + i];
        EXPECT(out[t] == want);
    }
    puts("groups are right");
}
