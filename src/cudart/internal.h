// What the files of libcudart share. The runtime keeps little of its own: the registered fat binaries with their functions and variables, and per
// thread the device and the last error. All else is the driver's (libhonegpu.so), found beside this library.
//   driver.c finding the driver · context.c entering a context, devices, the last error · register.c fat binaries · symbol.c functions and variables by
//   their host address · launch.c · memory.c · copy.c · array.c · device.c · stream.c · event.c · graph.c · unsupported.c
// threads: one lock (rt_lock) guards what is registered and loaded; the driver has its own.
#ifndef HONE_CUDART_INTERNAL_H
#define HONE_CUDART_INTERNAL_H
#include "base/base.h"
#include "cudart/abi.h"
#include <pthread.h>

#define RT_API __attribute__((visibility("default")))

typedef struct rt_driver {
#define DRIVER(name, ...) CUresult (*name)(__VA_ARGS__);
#include "cudart/driver.def"
#undef DRIVER
    void *library;
} rt_driver;
extern rt_driver rt_cu;
cudaError_t rt_driver_load(void);   // once; cudaErrorInsufficientDriver when there is none
// Calls a driver function, which the driver may lack.
#define RT_CU(function, ...) (rt_cu.function ? rt_cu.function(__VA_ARGS__) : CUDA_ERROR_NOT_SUPPORTED)

// context.c
cudaError_t rt_enter(void);                     // this thread has a current context
cudaError_t rt_record(cudaError_t r);           // keeps a failure as this thread's last error; returns r
unsigned rt_epoch(void);                        // counts cudaDeviceReset: what was loaded before is gone
cudaError_t rt_check_device(int device);        // cudaErrorInvalidDevice when there is no such device
// Evaluates a driver call in this thread's context.
#define RT_DO(function, ...)                                                         \
    __extension__({                                                                  \
        const cudaError_t rt_r_ = rt_enter();                                        \
        rt_record(rt_r_ != cudaSuccess ? rt_r_ : RT_CU(function, __VA_ARGS__));      \
    })
// Functions with a stream exist twice: with stream 0 as the legacy default stream, and (_ptsz) as that of the thread. RT_STREAM defines both from
// one with the stream as last parameter; RT_DEFAULT (_ptds) those that always use the default stream.
static inline cudaStream_t rt_thread_stream(cudaStream_t s) { return s ? s : CU_STREAM_PER_THREAD; }
#define RT_PASTE(...) (__VA_ARGS__)
#define RT_STREAM(name, implementation, parameters, ...)                                                                          \
    RT_API cudaError_t name parameters;                                                                                           \
    RT_API cudaError_t name##_ptsz parameters;                                                                                    \
    RT_API cudaError_t name parameters { return rt_record(implementation(__VA_ARGS__, stream)); }                                 \
    RT_API cudaError_t name##_ptsz parameters { return rt_record(implementation(__VA_ARGS__, rt_thread_stream(stream))); }
#define RT_DEFAULT(name, implementation, parameters, ...)                                                                         \
    RT_API cudaError_t name parameters;                                                                                           \
    RT_API cudaError_t name##_ptds parameters;                                                                                    \
    RT_API cudaError_t name parameters { return rt_record(implementation(__VA_ARGS__, NULL)); }                                   \
    RT_API cudaError_t name##_ptds parameters { return rt_record(implementation(__VA_ARGS__, CU_STREAM_PER_THREAD)); }

// register.c, symbol.c
typedef struct rt_binary rt_binary;
typedef struct rt_function {
    rt_binary *binary;
    const void *host;               // address of the host stub
    const char *name;
    CUfunction loaded;              // in the context and epoch below; NULL before first use
    CUcontext context;
    unsigned epoch;
} rt_function;
typedef struct rt_variable {
    rt_binary *binary;
    const void *host;
    void **managed;                 // where the program keeps a managed variable's address; NULL for the others
    const char *name;
    size_t bytes;
} rt_variable;
extern pthread_mutex_t rt_lock;
const char *cudaGetErrorString(cudaError_t r);
// The module of a binary in the current context, loaded on first use. Under rt_lock.
cudaError_t rt_binary_module(rt_binary *b, CUmodule *m);
void rt_symbols_add_function(const rt_function *f);   // out of memory: the symbol is not found later
void rt_symbols_add_variable(const rt_variable *v);
void rt_symbols_drop(const rt_binary *b);
cudaError_t rt_symbols_bind_managed(rt_binary *b);    // fills in managed variables' addresses
cudaError_t rt_function_of(const void *func, CUfunction *out);          // host stub, cudaKernel_t or CUfunction; enters
cudaError_t rt_kernel_of(const void *host, rt_function **out);
cudaError_t rt_variable_of(const void *symbol, CUdeviceptr *at, size_t *bytes);
void rt_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));   // one line on stderr: why a program's kernels cannot be loaded
#endif
