// nvcc: --default-stream per-thread
// As streams, with the entry points of the per-thread default stream (_ptsz).
#include "streams.cu"
