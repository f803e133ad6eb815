// Several host threads launch at once; each has its own last error and device.
#include "check.h"
#include <atomic>
#include <thread>
#include <vector>

__device__ int total;
__global__ void add(int n) { atomicAdd(&total, n); }

static void work(int which) {
    CHECK(cudaSetDevice(0));
    int device = -1;
    CHECK(cudaGetDevice(&device));
    EXPECT(device == 0);
    for (int i = 0; i < 20; i++) {
        add<<<2, 32>>>(which);
        CHECK(cudaGetLastError());
    }
    CHECK(cudaDeviceSynchronize());
    add<<<1, 5000>>>(which);
    EXPECT(cudaGetLastError() == cudaErrorInvalidConfiguration);
}

int main() {
    std::vector<std::thread> threads;
    for (int i = 1; i <= 4; i++)
        threads.emplace_back(work, i);
    for (std::thread &t : threads)
        t.join();
    EXPECT(cudaGetLastError() == cudaSuccess);
    int sum;
    CHECK(cudaMemcpyFromSymbol(&sum, total, sizeof sum));
    EXPECT(sum == 20 * 64 * (1 + 2 + 3 + 4));
    std::atomic<int> step{0};
    std::thread other([&] {   // has a context when the device is reset, and gets a new one
        add<<<1, 32>>>(1);
        CHECK(cudaDeviceSynchronize());
        step = 1;
        while (step != 2)
            std::this_thread::yield();
        add<<<1, 32>>>(1);
        CHECK(cudaGetLastError());
        CHECK(cudaMemcpyFromSymbol(&sum, total, sizeof sum));
        EXPECT(sum == 32);
    });
    while (step != 1)
        std::this_thread::yield();
    CHECK(cudaDeviceReset());
    step = 2;
    other.join();
    puts("threads are right");
}
