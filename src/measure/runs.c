// Runs as a graph or launch by launch. See runs.h. Sits on program.h's launch and workload.h's sets.
#include "measure/runs.h"

bool hone_plan_has_inout(const hone_plan *p) {
    for (size_t i = 0; i < p->n_buffers; i++)
        if (p->buffers[i].arg->role == HONE_INOUT)
            return true;
    return false;
}

static hone_code send_one(const hone_runs *r, unsigned set, hone_err *e) {
    const hone_bound *b = r->arm->bound;
    if (r->restore)
        HONE_TRY(hone_bound_restore(b, set, r->stream, e));
    return hone_program_launch(r->arm->program, b->plan, hone_bound_set(b, set), r->stream, NULL, e);
}

static hone_code send_all(const hone_runs *r, hone_err *e) {
    for (unsigned i = 0; i < r->n; i++)
        HONE_TRY(send_one(r, (r->first + i) % r->span, e));
    return HONE_OK;
}

static bool graphs(const hone_driver *d) {
    return d->StreamBeginCapture && d->StreamEndCapture && d->GraphInstantiate && d->GraphLaunch && d->GraphExecDestroy && d->GraphDestroy;
}

// A capture that fails leaves no graph: what is wrong with the launches shows when they are sent one by one.
static void capture(hone_runs *r) {
    const hone_driver *d = r->arm->bound->w->device->driver;
    if (!graphs(d) || d->StreamBeginCapture(r->stream, CU_STREAM_CAPTURE_RELAXED) != CUDA_SUCCESS)
        return;
    hone_code sent = send_all(r, NULL);
    CUresult ended = d->StreamEndCapture(r->stream, &r->graph);
    if (sent != HONE_OK || ended != CUDA_SUCCESS || !r->graph || d->GraphInstantiate(&r->exec, r->graph, 0) != CUDA_SUCCESS)
        r->exec = NULL;
}

hone_code hone_runs_make(const hone_arm *arm, CUstream stream, unsigned span, unsigned n, bool want_graph, bool restore, hone_runs *out, hone_err *e) {
    *out = (hone_runs){.arm = arm, .stream = stream, .span = span ? span : 1, .n = n, .restore = restore};
    if (restore && !arm->bound->w->device->driver->MemcpyDtoDAsync)
        return hone_fail(e, HONE_E_UNSUPPORTED, 0, "the driver cannot copy in a stream, which restoring 'inout' buffers needs");
    if (want_graph)
        capture(out);
    return HONE_OK;
}

hone_code hone_runs_send(const hone_runs *r, hone_err *e) {
    if (!r->exec)
        return send_all(r, e);
    const hone_driver *d = r->arm->bound->w->device->driver;
    CUresult c = d->GraphLaunch(r->exec, r->stream);
    return c == CUDA_SUCCESS ? HONE_OK : hone_driver_fail(d, c, e, "replay a graph of %u runs", r->n);
}

void hone_runs_free(hone_runs *r) {
    if (!r->arm)
        return;
    const hone_driver *d = r->arm->bound->w->device->driver;
    if (r->exec)
        d->GraphExecDestroy(r->exec);
    if (r->graph)
        d->GraphDestroy(r->graph);
    *r = (hone_runs){0};
}
