// The comparison of hone's virtual GPU with an OpenCL implementation on the same cores: what its parts share. A case is one kernel of
// kernels.inc with its data, launched once or several times, and the result that scalar C computes.
#ifndef HONE_BENCH_PEERS_H
#define HONE_BENCH_PEERS_H
#include "base/base.h"

enum { PEER_BUFFERS = 5, PEER_INTS = 2 };
typedef struct peer_buffer { void *data; size_t bytes; } peer_buffer;
typedef struct peer_case {
    const char *name, *kernel;
    bool irregular;                          // data decide its addresses or its branches
    unsigned grid[2], block[2];
    peer_buffer buffer[PEER_BUFFERS];        // the last holds the result
    int n_buffers;
    int n_ints, (*ints)[PEER_INTS];          // ints is (n_launches,PEER_INTS)
    int n_launches;
    void *expected;                          // as large as the last buffer
    double tolerance;                        // of floats, relative to the largest expected magnitude; 0: integers, equal
} peer_case;

// Fills out with the cases; returns their number (at most cap), 0 without memory. owns: everything in them is freed by peer_cases_free.
size_t peer_cases(peer_case *out, size_t cap);
void peer_cases_free(peer_case *c, size_t n);
// Whether result is what the case expects; otherwise prints the first difference.
bool peer_case_holds(const peer_case *c, const void *result, const char *by);

// One side. Every function fills e on failure.
typedef struct peer_cuda peer_cuda;
hone_code peer_cuda_open(const char *source, peer_cuda **out, hone_err *e);   // source: the text of kernels.inc
hone_code peer_cuda_set(peer_cuda *p, uint32_t flags, hone_err *e);           // HONE_VGPU_*
hone_code peer_cuda_upload(peer_cuda *p, const peer_case *c, hone_err *e);    // allocates what the case needs, writes all of it
hone_code peer_cuda_run(peer_cuda *p, const peer_case *c, hone_err *e);       // launches and waits
hone_code peer_cuda_count(peer_cuda *p, const peer_case *c, double *warp_insts, hone_err *e);   // a run with counters
hone_code peer_cuda_result(peer_cuda *p, const peer_case *c, void *out, hone_err *e);
uint32_t peer_cuda_findings(peer_cuda *p);                                    // since the last call
void peer_cuda_close(peer_cuda *p);

typedef struct peer_opencl peer_opencl;
// errors: HONE_E_NO_DEVICE when no OpenCL runtime with a CPU device is installed.
hone_code peer_opencl_open(const char *source, peer_opencl **out, hone_err *e);
const char *peer_opencl_name(const peer_opencl *p);
hone_code peer_opencl_upload(peer_opencl *p, const peer_case *c, hone_err *e);
hone_code peer_opencl_run(peer_opencl *p, const peer_case *c, hone_err *e);
hone_code peer_opencl_result(peer_opencl *p, const peer_case *c, void *out, hone_err *e);
void peer_opencl_close(peer_opencl *p);
#endif
