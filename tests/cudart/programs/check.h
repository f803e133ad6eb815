// What the programs here share: CHECK stops with the call and its error; EXPECT with the expression.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <cuda_runtime.h>
#define CHECK(call)                                                                                                  \
    do {                                                                                                             \
        const cudaError_t check_error = (call);                                                                      \
        if (check_error != cudaSuccess) {                                                                            \
            printf("%s:%d: %s: %s\n", __FILE__, __LINE__, #call, cudaGetErrorString(check_error));                   \
            exit(1);                                                                                                 \
        }                                                                                                            \
    } while (0)
#define EXPECT(condition)                                                                                            \
    do {                                                                                                             \
        if (!(condition)) {                                                                                          \
            printf("%s:%d: expected %s\n", __FILE__, __LINE__, #condition);                                          \
            exit(1);                                                                                                 \
        }                                                                                                            \
    } while (0)
