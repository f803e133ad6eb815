// Uses the exported C loader as a user would; see test_export.c for the task.
#include "odd.h"
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    odd *k = NULL;
    odd_buffers b, need;
    memset(&b, 0, sizeof b);
    if (argc != 2 || odd_open(&k, argv[1]) != CUDA_SUCCESS)
        return puts("cannot open"), 1;
    odd_params p = odd_defaults();
    odd_sizes(&p, &need);
    printf("bytes %zu %zu %zu\n", need.in.bytes, need.new_.bytes, need.out.bytes);
    b = need;
    b.in.data = 0x1000, b.new_.data = 0x2000, b.out.data = 0x3000;
    printf("%d\n", odd_launch(k, &p, &b, NULL));
    p.M = 4096;
    CUresult r = odd_launch(k, &p, &b, NULL);
    printf("%d %s\n", r, odd_message(k));
    odd_sizes(&p, &b);
    p.alpha = 3;
    printf("%d\n", odd_launch(k, &p, &b, NULL));
    p.M = INT64_MAX;
    r = odd_launch(k, &p, &b, NULL);
    printf("%d %s\n", r, odd_message(k));
    odd_close(k);
    return 0;
}
