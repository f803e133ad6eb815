// runs: a number of runs of one arm's plan over its sets, sent to a stream as one thing: a CUDA graph captured once and replayed, or, where the
// driver has no graphs or refuses the capture, launch by launch. It measures nothing and synchronises nothing.
#ifndef HONE_MEASURE_RUNS_H
#define HONE_MEASURE_RUNS_H
#include "measure/measure.h"

typedef struct hone_runs {
    const hone_arm *arm;             // borrowed
    CUstream stream;                 // borrowed
    unsigned first, span, n;         // run i works on set (first + i) % span
    bool restore;                    // inouts get their first contents before each run, in the stream
    CUgraph graph;
    CUgraphExec exec;                // NULL: sent launch by launch
} hone_runs;
// want_graph: capture now, if it can be done; else exec stays NULL, which is no error.
// errors: HONE_E_UNSUPPORTED when inouts must be restored and the driver cannot copy in a stream.
hone_code hone_runs_make(const hone_arm *arm, CUstream stream, unsigned span, unsigned n, bool want_graph, bool restore, hone_runs *out, hone_err *e);
hone_code hone_runs_send(const hone_runs *r, hone_err *e);
void hone_runs_free(hone_runs *r);
bool hone_plan_has_inout(const hone_plan *p);
#endif
