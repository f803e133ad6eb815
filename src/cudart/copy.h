// How the runtime describes copies, in the driver's terms.
#ifndef HONE_CUDART_COPY_H
#define HONE_CUDART_COPY_H
#include "cudart/internal.h"

typedef struct rt_kinds { int from, to; } rt_kinds;   // CU_MEMORY_*
cudaError_t rt_kinds_of(int kind, rt_kinds *k);
// array.c. Extents and positions count elements where an array takes part, else bytes. errors: cudaErrorInvalidValue …
cudaError_t rt_driver_copy(const cudaMemcpy3DParms *p, CUmemcpy3D *out);
cudaError_t rt_copy_3d(const cudaMemcpy3DParms *p, cudaStream_t stream);
// Bytes of one element of an array.
cudaError_t rt_element_bytes(cudaArray_t a, size_t *bytes);
// A channel description as the driver has it: format and number of channels.
cudaError_t rt_format_of(const cudaChannelFormatDesc *d, int *format, unsigned *channels);
#endif
