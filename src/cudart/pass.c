// The functions of pass.def: the driver's own, in this thread's context.
#include "cudart/internal.h"

#define PASS(name, driver_name, parameters, ...) RT_API cudaError_t name parameters { return RT_DO(driver_name, __VA_ARGS__); }
#include "cudart/pass.def"
