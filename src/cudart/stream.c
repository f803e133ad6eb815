// Streams and events.
#include "cudart/internal.h"

RT_API cudaError_t cudaStreamCreateWithPriority(cudaStream_t *s, unsigned flags, int priority) { return RT_DO(cuStreamCreateWithPriority, s, flags, priority); }
RT_API cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned flags) { return RT_DO(cuStreamCreateWithPriority, s, flags, 0); }
RT_API cudaError_t cudaStreamCreate(cudaStream_t *s) { return RT_DO(cuStreamCreateWithPriority, s, 0, 0); }
RT_API cudaError_t cudaStreamDestroy(cudaStream_t s) { return RT_DO(cuStreamDestroy_v2, s); }

// Evaluates a driver call in this thread's context, without keeping its failure: RT_STREAM does.
#define WITH_CONTEXT(...)                              \
    const cudaError_t r = rt_enter();                  \
    return r != cudaSuccess ? r : (__VA_ARGS__)

// The one-argument functions twice, as RT_STREAM does for those with more.
#define STREAM_ONLY(name, driver_function)                                                                       \
    RT_API cudaError_t name(cudaStream_t s) { return RT_DO(driver_function, s); }                                \
    RT_API cudaError_t name##_ptsz(cudaStream_t s) { return RT_DO(driver_function, rt_thread_stream(s)); }
STREAM_ONLY(cudaStreamSynchronize, cuStreamSynchronize)
STREAM_ONLY(cudaStreamQuery, cuStreamQuery)

static cudaError_t wait_event(cudaEvent_t v, unsigned flags, cudaStream_t s) { WITH_CONTEXT(RT_CU(cuStreamWaitEvent, s, v, flags)); }
RT_STREAM(cudaStreamWaitEvent, wait_event, (cudaStream_t stream, cudaEvent_t v, unsigned flags), v, flags)

typedef void (*callback)(cudaStream_t, cudaError_t, void *);
// Work on a stream is done when its call returns, so a driver without callbacks is served by calling at once.
static cudaError_t add_callback(callback f, void *data, unsigned flags, cudaStream_t s) {
    const cudaError_t r = f && !flags ? rt_enter() : cudaErrorInvalidValue;
    if (r != cudaSuccess || rt_cu.cuStreamAddCallback)
        return r != cudaSuccess ? r : RT_CU(cuStreamAddCallback, s, f, data, flags);
    f(s, cudaSuccess, data);
    return cudaSuccess;
}
RT_STREAM(cudaStreamAddCallback, add_callback, (cudaStream_t stream, callback f, void *data, unsigned flags), f, data, flags)

static cudaError_t get_flags(unsigned *flags, cudaStream_t s) { WITH_CONTEXT(RT_CU(cuStreamGetFlags, s, flags)); }
static cudaError_t get_priority(int *priority, cudaStream_t s) { WITH_CONTEXT(RT_CU(cuStreamGetPriority, s, priority)); }
static cudaError_t get_device(int *d, cudaStream_t s) {
    unsigned flags;
    const cudaError_t r = d ? get_flags(&flags, s) : cudaErrorInvalidValue;   // is it a stream at all?
    return r != cudaSuccess ? r : RT_CU(cuCtxGetDevice, d);
}
// An id is unique in the process: the handle is, while the stream lives.
static cudaError_t get_id(unsigned long long *id, cudaStream_t s) {
    unsigned flags;
    const cudaError_t r = id ? get_flags(&flags, s) : cudaErrorInvalidValue;
    if (r != cudaSuccess || rt_cu.cuStreamGetId)
        return r != cudaSuccess ? r : RT_CU(cuStreamGetId, s, id);
    *id = (unsigned long long)(uintptr_t)s;
    return cudaSuccess;
}
RT_STREAM(cudaStreamGetFlags, get_flags, (cudaStream_t stream, unsigned *flags), flags)
RT_STREAM(cudaStreamGetPriority, get_priority, (cudaStream_t stream, int *priority), priority)
RT_STREAM(cudaStreamGetDevice, get_device, (cudaStream_t stream, int *d), d)
RT_STREAM(cudaStreamGetId, get_id, (cudaStream_t stream, unsigned long long *id), id)

static cudaError_t attach(void *p, size_t n, unsigned flags, cudaStream_t s) {   // memory is visible from everywhere anyway
    const cudaError_t r = p ? rt_enter() : cudaErrorInvalidValue;
    return r != cudaSuccess || !rt_cu.cuStreamAttachMemAsync ? r : RT_CU(cuStreamAttachMemAsync, s, (CUdeviceptr)(uintptr_t)p, n, flags);
}
RT_STREAM(cudaStreamAttachMemAsync, attach, (cudaStream_t stream, void *p, size_t n, unsigned flags), p, n, flags)

static cudaError_t copy_attributes(cudaStream_t from, cudaStream_t to) { WITH_CONTEXT(RT_CU(cuStreamCopyAttributes, to, from)); }
RT_STREAM(cudaStreamCopyAttributes, copy_attributes, (cudaStream_t stream, cudaStream_t from), from)
static cudaError_t get_attribute(int attribute, void *value, cudaStream_t s) { WITH_CONTEXT(RT_CU(cuStreamGetAttribute, s, attribute, value)); }
static cudaError_t set_attribute(int attribute, const void *value, cudaStream_t s) { WITH_CONTEXT(RT_CU(cuStreamSetAttribute, s, attribute, value)); }
RT_STREAM(cudaStreamGetAttribute, get_attribute, (cudaStream_t stream, int attribute, void *value), attribute, value)
RT_STREAM(cudaStreamSetAttribute, set_attribute, (cudaStream_t stream, int attribute, const void *value), attribute, value)

// ---- events

RT_API cudaError_t cudaEventCreateWithFlags(cudaEvent_t *v, unsigned flags) { return RT_DO(cuEventCreate, v, flags); }
RT_API cudaError_t cudaEventCreate(cudaEvent_t *v) { return RT_DO(cuEventCreate, v, 0); }
RT_API cudaError_t cudaEventDestroy(cudaEvent_t v) { return RT_DO(cuEventDestroy_v2, v); }
RT_API cudaError_t cudaEventQuery(cudaEvent_t v) { return RT_DO(cuEventQuery, v); }
RT_API cudaError_t cudaEventSynchronize(cudaEvent_t v) { return RT_DO(cuEventSynchronize, v); }
RT_API cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to) { return RT_DO(cuEventElapsedTime, ms, from, to); }
#if HONE_CUDART_MAJOR < 13
RT_API cudaError_t cudaEventElapsedTime_v2(float *ms, cudaEvent_t from, cudaEvent_t to) { return RT_DO(cuEventElapsedTime, ms, from, to); }
#endif

static cudaError_t record(cudaEvent_t v, cudaStream_t s) { WITH_CONTEXT(RT_CU(cuEventRecord, v, s)); }
static cudaError_t record_with(cudaEvent_t v, unsigned flags, cudaStream_t s) { WITH_CONTEXT(RT_CU(cuEventRecordWithFlags, v, s, flags)); }
RT_STREAM(cudaEventRecord, record, (cudaEvent_t v, cudaStream_t stream), v)
RT_STREAM(cudaEventRecordWithFlags, record_with, (cudaEvent_t v, cudaStream_t stream, unsigned flags), v, flags)
