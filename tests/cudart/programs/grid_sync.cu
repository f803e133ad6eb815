// Cooperative groups: a grid that synchronises.
#include "check.h"
#include <cooperative_groups.h>
#include <vector>
namespace cg = cooperative_groups;

__global__ void can_synchronise(int *yes) { *yes = cg::this_grid().is_valid(); }

__global__ void phases(int *x, int n) {
    const cg::grid_group grid = cg::this_grid();
    for (int step = 1; step < n; step *= 2) {   // an inclusive scan over the whole grid
        const int i = (int)grid.thread_rank();
        const int other = i >= step && i < n ? x[i - step] : 0;
        grid.sync();
        if (i < n)
            x[i] += other;
        grid.sync();
    }
}

int main() {
    const int n = 512;
    std::vector<int> in(n);
    for (int i = 0; i < n; i++)
        in[i] = i * 7 % 13;
    int *d;
    CHECK(cudaMalloc(&d, n * sizeof(int)));
    CHECK(cudaMemcpy(d, in.data(), n * sizeof(int), cudaMemcpyHostToDevice));
    int yes = 0;
    void *question[] = {&d};
    CHECK(cudaLaunchCooperativeKernel((void *)can_synchronise, dim3(1), dim3(1), question, 0, NULL));
    CHECK(cudaMemcpy(&yes, d, sizeof yes, cudaMemcpyDeviceToHost));
    CHECK(cudaMemcpy(d, in.data(), n * sizeof(int), cudaMemcpyHostToDevice));
    if (!yes) {
        puts("the virtual GPU has no grid-wide barrier");
        return 77;
    }
    int size = n;
    void *args[] = {&d, &size};
    CHECK(cudaLaunchCooperativeKernel((void *)phases, dim3(4), dim3(n / 4), args, 0, NULL));
    CHECK(cudaDeviceSynchronize());
    std::vector<int> scan(n);
    CHECK(cudaMemcpy(scan.data(), d, n * sizeof(int), cudaMemcpyDeviceToHost));
    int sum = 0;
    for (int i = 0; i < n; i++) {
        sum += in[i];
        EXPECT(scan[i] == sum);
    }
    EXPECT(cudaLaunchCooperativeKernel((void *)phases, dim3(100000), dim3(128), args, 0, NULL) == cudaErrorCooperativeLaunchTooLarge);
    puts("the grid is right");
}
