// Streams, events, capture, graphs, values in memory: what runs when, and what is refused.
#include "driver_fixture.h"
#include <pthread.h>
#include <time.h>

CUresult cuStreamCreate(CUstream *s, unsigned flags);
CUresult cuStreamDestroy_v2(CUstream s);
CUresult cuStreamQuery(CUstream s);
CUresult cuStreamSynchronize(CUstream s);
CUresult cuStreamWaitEvent(CUstream s, CUevent v, unsigned flags);
CUresult cuStreamWaitValue32_v2(CUstream s, CUdeviceptr p, uint32_t v, unsigned flags);
CUresult cuStreamWriteValue32_v2(CUstream s, CUdeviceptr p, uint32_t v, unsigned flags);
CUresult cuStreamBeginCapture_v2(CUstream s, int mode);
CUresult cuStreamEndCapture(CUstream s, CUgraph *g);
CUresult cuStreamIsCapturing(CUstream s, int *status);
CUresult cuStreamGetCaptureInfo_v2(CUstream s, int *status, uint64_t *id, CUgraph *g, const CUgraphNode **deps, size_t *n);
CUresult cuStreamGetId(CUstream s, unsigned long long *id);
CUresult cuStreamGetId_ptsz(CUstream s, unsigned long long *id);
CUresult cuLaunchHostFunc(CUstream s, void (*fn)(void *), void *user);
CUresult cuThreadExchangeStreamCaptureMode(int *mode);
CUresult cuEventCreate(CUevent *v, unsigned flags);
CUresult cuEventDestroy_v2(CUevent v);
CUresult cuEventRecord(CUevent v, CUstream s);
CUresult cuEventQuery(CUevent v);
CUresult cuMemsetD32Async(CUdeviceptr d, unsigned v, size_t n, CUstream s);
CUresult cuMemAllocAsync(CUdeviceptr *p, size_t bytes, CUstream s);
CUresult cuMemFreeAsync(CUdeviceptr p, CUstream s);
CUresult cuMemAllocManaged(CUdeviceptr *p, size_t bytes, unsigned flags);
CUresult cuGraphCreate(CUgraph *g, unsigned flags);
CUresult cuGraphDestroy(CUgraph g);
CUresult cuGraphAddEmptyNode(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n);
CUresult cuGraphAddMemsetNode(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n, const CUmemsetNode *p, CUcontext c);
CUresult cuGraphAddHostNode(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n, const CUhostNode *p);
CUresult cuGraphAddChildGraphNode(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n, CUgraph child);
CUresult cuGraphAddDependencies(CUgraph g, const CUgraphNode *from, const CUgraphNode *to, size_t n);
CUresult cuGraphGetNodes(CUgraph g, CUgraphNode *nodes, size_t *n);
CUresult cuGraphGetEdges(CUgraph g, CUgraphNode *from, CUgraphNode *to, size_t *n);
CUresult cuGraphClone(CUgraph *out, CUgraph g);
CUresult cuGraphNodeFindInClone(CUgraphNode *out, CUgraphNode n, CUgraph clone);
CUresult cuGraphNodeGetType(CUgraphNode n, int *type);
CUresult cuGraphDestroyNode(CUgraphNode n);
CUresult cuGraphInstantiateWithFlags(CUgraphExec *e, CUgraph g, unsigned long long flags);
CUresult cuGraphExecDestroy(CUgraphExec e);
CUresult cuGraphExecUpdate_v2(CUgraphExec e, CUgraph g, CUgraphUpdateResult *result);
CUresult cuGraphExecMemsetNodeSetParams(CUgraphExec e, CUgraphNode n, const CUmemsetNode *p, CUcontext c);
CUresult cuGraphNodeSetEnabled(CUgraphExec e, CUgraphNode n, unsigned enabled);
CUresult cuGraphLaunch(CUgraphExec e, CUstream s);
CUresult cuUserObjectCreate(CUuserObject *o, void *data, void (*destroy)(void *), unsigned refs, unsigned flags);
CUresult cuGraphRetainUserObject(CUgraph g, CUuserObject o, unsigned n, unsigned flags);
CUresult cuMemsetD32Async_ptsz(CUdeviceptr d, unsigned v, size_t n, CUstream s);

#define OK(call) assert_int_equal(call, CUDA_SUCCESS)
#define REFUSED(why, call) assert_int_equal(call, CUDA_ERROR_##why)

static uint32_t word(CUdeviceptr p) {
    uint32_t v = 0;
    OK(cuMemcpyDtoH_v2(&v, p, sizeof v));
    return v;
}
static CUdeviceptr words(unsigned n, uint32_t value) {
    CUdeviceptr p = upload(NULL, n * 4);
    OK(cuMemsetD32Async(p, value, n, NULL));
    return p;
}
static CUstream stream(unsigned flags) {
    CUstream s = NULL;
    OK(cuStreamCreate(&s, flags));
    return s;
}
static CUevent event(void) {
    CUevent v = NULL;
    OK(cuEventCreate(&v, 2));
    return v;
}

// ---- values in memory hold work back

static void unsatisfied_wait_holds_the_stream_and_what_depends_on_it(void **state) {
    (void)state;
    uint32_t *flag;
    CUdeviceptr at, p = words(4, 1), q = words(4, 1);
    OK(cuMemAllocManaged(&at, 4, 1));
    flag = (uint32_t *)(uintptr_t)at;
    *flag = 0;
    CUstream a = stream(1), b = stream(1), free_one = stream(1);
    CUevent v = event();
    OK(cuStreamWaitValue32_v2(a, at, 5, 1 /* equal */));
    OK(cuMemsetD32Async(p, 2, 4, a));
    OK(cuEventRecord(v, a));
    OK(cuStreamWaitEvent(b, v, 0));
    OK(cuMemsetD32Async(q, 3, 4, b));
    REFUSED(NOT_READY, cuStreamQuery(a));
    REFUSED(NOT_READY, cuStreamQuery(b));
    REFUSED(NOT_READY, cuEventQuery(v));
    OK(cuStreamQuery(free_one));
    uint32_t seen = 0;   // read without the default stream's help: the memory is as it was
    OK(cuMemcpyDtoH_v2(&seen, p, 4));
    assert_int_equal(seen, 1);
    *flag = 5;
    OK(cuStreamSynchronize(b));
    assert_int_equal(word(p), 2);
    assert_int_equal(word(q), 3);
    OK(cuEventQuery(v));
    OK(cuStreamDestroy_v2(a));
}

static void default_stream_waits_for_blocking_ones(void **state) {
    (void)state;
    CUdeviceptr at, p = words(1, 1);
    OK(cuMemAllocManaged(&at, 4, 1));
    *(uint32_t *)(uintptr_t)at = 0;
    CUstream blocking = stream(0), other = stream(1);
    OK(cuStreamWaitValue32_v2(blocking, at, 1, 0 /* at least */));
    OK(cuMemsetD32Async(p, 7, 1, NULL));
    REFUSED(NOT_READY, cuStreamQuery(NULL));
    OK(cuStreamWriteValue32_v2(other, at, 1, 0));
    OK(cuStreamSynchronize(NULL));
    assert_int_equal(word(p), 7);
}

static void *write_soon(void *flag) {
    nanosleep(&(struct timespec){0, 20000000}, NULL);
    __atomic_store_n((uint32_t *)flag, 1, __ATOMIC_RELEASE);
    return NULL;
}
static void synchronize_waits_for_another_thread(void **state) {
    (void)state;
    CUdeviceptr at, p = words(1, 1);
    pthread_t t;
    OK(cuMemAllocManaged(&at, 4, 1));
    *(uint32_t *)(uintptr_t)at = 0;
    CUstream s = stream(1);
    OK(cuStreamWaitValue32_v2(s, at, 1, 2 /* and */));
    OK(cuMemsetD32Async(p, 9, 1, s));
    assert_int_equal(pthread_create(&t, NULL, write_soon, (void *)(uintptr_t)at), 0);
    OK(cuStreamSynchronize(s));
    pthread_join(t, NULL);
    assert_int_equal(word(p), 9);
}

static CUresult inner;
static void calls_driver(void *user) {
    (void)user;
    inner = cuCtxSynchronize();
}
static void host_functions_must_not_call_the_driver(void **state) {
    (void)state;
    inner = 0;
    OK(cuLaunchHostFunc(NULL, calls_driver, NULL));
    assert_int_equal(inner, CUDA_ERROR_NOT_PERMITTED);
    REFUSED(INVALID_VALUE, cuLaunchHostFunc(NULL, NULL, NULL));
}

static void *own_default_stream(void *ids) {
    assert_int_equal(cuCtxSetCurrent(test_context), CUDA_SUCCESS);
    cuStreamGetId_ptsz(NULL, ids);
    cuStreamGetId(CU_STREAM_PER_THREAD_HANDLE, (unsigned long long *)ids + 1);
    return NULL;
}
static void per_thread_default_streams_differ(void **state) {
    (void)state;
    unsigned long long here[2], there[2], legacy;
    pthread_t t;
    own_default_stream(here);
    assert_int_equal(pthread_create(&t, NULL, own_default_stream, there), 0);
    pthread_join(t, NULL);
    OK(cuStreamGetId(NULL, &legacy));
    assert_int_equal(here[0], here[1]);
    assert_int_equal(there[0], there[1]);
    assert_int_not_equal(here[0], there[0]);
    assert_int_not_equal(here[0], legacy);
}

// ---- capture

static void capture_forks_and_joins(void **state) {
    (void)state;
    CUdeviceptr p = words(2, 1);
    CUstream a = stream(0), b = stream(1);
    CUevent fork = event(), join = event();
    CUgraph g = NULL;
    int status;
    OK(cuStreamBeginCapture_v2(a, 0));
    OK(cuMemsetD32Async(p, 2, 1, a));
    OK(cuEventRecord(fork, a));
    OK(cuStreamWaitEvent(b, fork, 0));
    OK(cuStreamIsCapturing(b, &status));
    assert_int_equal(status, 1);
    OK(cuMemsetD32Async(p + 4, 3, 1, b));
    REFUSED(CAPTURED_EVENT, cuEventQuery(fork));
    OK(cuEventRecord(join, b));
    OK(cuStreamWaitEvent(a, join, 0));
    OK(cuStreamEndCapture(a, &g));
    OK(cuStreamIsCapturing(b, &status));
    assert_int_equal(status, 0);
    size_t nodes = 0, edges = 0;
    OK(cuGraphGetNodes(g, NULL, &nodes));
    OK(cuGraphGetEdges(g, NULL, NULL, &edges));
    assert_int_equal(nodes, 2);
    assert_int_equal(edges, 1);
    assert_int_equal(word(p), 1);
    CUgraphExec e;
    OK(cuGraphInstantiateWithFlags(&e, g, 0));
    OK(cuGraphDestroy(g));
    OK(cuGraphLaunch(e, a));
    assert_int_equal(word(p), 2);
    assert_int_equal(word(p + 4), 3);
    OK(cuGraphExecDestroy(e));
    REFUSED(INVALID_VALUE, cuGraphLaunch(e, a));
}

static void capture_errors_are_the_documented_ones(void **state) {
    (void)state;
    CUdeviceptr p = words(1, 1), q;
    CUstream a = stream(0), b = stream(1), c = stream(1);
    CUevent outside = event(), fork = event(), other = event();
    CUgraph g;
    int mode = 2;
    REFUSED(STREAM_CAPTURE_UNSUPPORTED, cuStreamBeginCapture_v2(NULL, 0));
    REFUSED(ILLEGAL_STATE, cuStreamEndCapture(a, &g));
    OK(cuEventRecord(outside, b));

    OK(cuStreamBeginCapture_v2(a, 0));
    REFUSED(ILLEGAL_STATE, cuStreamBeginCapture_v2(a, 0));
    REFUSED(STREAM_CAPTURE_ISOLATION, cuStreamWaitEvent(a, outside, 0));
    REFUSED(STREAM_CAPTURE_INVALIDATED, cuMemsetD32Async(p, 1, 1, a));
    REFUSED(STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(a, &g));

    OK(cuStreamBeginCapture_v2(a, 0));
    REFUSED(STREAM_CAPTURE_IMPLICIT, cuMemsetD32Async(p, 1, 1, NULL));
    REFUSED(STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(a, &g));

    OK(cuStreamBeginCapture_v2(b, 0));
    REFUSED(STREAM_CAPTURE_UNSUPPORTED, cuMemAlloc_v2(&q, 16));
    REFUSED(STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(b, &g));
    OK(cuThreadExchangeStreamCaptureMode(&mode));
    OK(cuStreamBeginCapture_v2(b, 0));
    OK(cuMemAlloc_v2(&q, 16));
    OK(cuThreadExchangeStreamCaptureMode(&mode));
    REFUSED(STREAM_CAPTURE_UNSUPPORTED, cuStreamSynchronize(b));
    REFUSED(STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(b, &g));

    OK(cuStreamBeginCapture_v2(b, 1));
    OK(cuMemsetD32Async(p, 1, 1, b));
    OK(cuEventRecord(fork, b));
    OK(cuStreamWaitEvent(c, fork, 0));
    OK(cuMemsetD32Async(p, 2, 1, c));
    REFUSED(STREAM_CAPTURE_UNMATCHED, cuStreamEndCapture(c, &g));
    REFUSED(STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(b, &g));

    OK(cuStreamBeginCapture_v2(b, 1));
    OK(cuEventRecord(fork, b));
    OK(cuStreamWaitEvent(c, fork, 0));
    OK(cuMemsetD32Async(p, 2, 1, c));
    REFUSED(STREAM_CAPTURE_UNJOINED, cuStreamEndCapture(b, &g));

    OK(cuStreamBeginCapture_v2(b, 1));
    OK(cuStreamBeginCapture_v2(c, 1));
    OK(cuEventRecord(other, b));
    REFUSED(STREAM_CAPTURE_MERGE, cuStreamWaitEvent(c, other, 0));
    REFUSED(STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(b, &g));
    REFUSED(STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(c, &g));
    assert_int_equal(word(p), 1);
}

static void captured_allocation_belongs_to_the_graph(void **state) {
    (void)state;
    CUstream s = stream(1);
    CUgraph g;
    CUgraphExec e;
    CUdeviceptr p = 0, out = words(1, 0);
    OK(cuStreamBeginCapture_v2(s, 2));
    OK(cuMemAllocAsync(&p, 64, s));
    OK(cuMemsetD32Async(p, 6, 16, s));
    OK(cuMemFreeAsync(p, s));
    OK(cuStreamEndCapture(s, &g));
    OK(cuGraphInstantiateWithFlags(&e, g, 0));
    OK(cuGraphDestroy(g));
    OK(cuGraphLaunch(e, s));
    OK(cuGraphLaunch(e, s));
    OK(cuStreamSynchronize(s));
    OK(cuMemcpyDtoD_v2(out, p, 4));   // still an address while the graph lives
    OK(cuGraphExecDestroy(e));
    REFUSED(INVALID_VALUE, cuMemcpyDtoD_v2(out, p, 4));
}

// ---- explicit graphs

static int order[8], ordered;
static void note(void *user) { order[ordered++] = (int)(intptr_t)user; }
static CUgraphNode host_node(CUgraph g, int id, const CUgraphNode *deps, size_t n) {
    CUgraphNode node = NULL;
    OK(cuGraphAddHostNode(&node, g, deps, n, &(CUhostNode){note, (void *)(intptr_t)id}));
    return node;
}

static void graphs_respect_edges_added_later(void **state) {
    (void)state;
    CUgraph g, child;
    CUgraphExec e;
    OK(cuGraphCreate(&g, 0));
    OK(cuGraphCreate(&child, 0));
    host_node(child, 5, NULL, 0);
    CUgraphNode a = host_node(g, 1, NULL, 0), b = host_node(g, 2, NULL, 0), c = host_node(g, 3, &a, 1), d;
    OK(cuGraphAddDependencies(g, &b, &a, 1));   // b before a before c
    OK(cuGraphAddChildGraphNode(&d, g, &c, 1, child));
    OK(cuGraphDestroy(child));
    OK(cuGraphInstantiateWithFlags(&e, g, 0));
    ordered = 0;
    OK(cuGraphLaunch(e, NULL));
    assert_int_equal(ordered, 4);
    assert_int_equal(order[0], 2);
    assert_int_equal(order[1], 1);
    assert_int_equal(order[2], 3);
    assert_int_equal(order[3], 5);
    OK(cuGraphAddDependencies(g, &c, &b, 1));   // a cycle
    REFUSED(INVALID_VALUE, cuGraphAddDependencies(g, &c, &b, 1));
    CUgraphExec none;
    REFUSED(INVALID_VALUE, cuGraphInstantiateWithFlags(&none, g, 0));
    OK(cuGraphDestroyNode(c));
    OK(cuGraphInstantiateWithFlags(&none, g, 0));
    OK(cuGraphExecDestroy(none));
    OK(cuGraphExecDestroy(e));
    OK(cuGraphDestroy(g));
}

static void executable_graphs_are_updated(void **state) {
    (void)state;
    CUdeviceptr p = words(4, 0);
    CUgraph g, clone, longer;
    CUgraphExec e;
    CUgraphNode n, m, other;
    CUmemsetNode set = {.to = p, .value = 1, .element = 4, .width = 4, .height = 1};
    OK(cuGraphCreate(&g, 0));
    OK(cuGraphAddMemsetNode(&n, g, NULL, 0, &set, test_context));
    OK(cuGraphInstantiateWithFlags(&e, g, 0));
    OK(cuGraphClone(&clone, g));
    OK(cuGraphNodeFindInClone(&m, n, clone));
    int type = -1;
    OK(cuGraphNodeGetType(m, &type));
    assert_int_equal(type, 2);
    set.value = 2;
    OK(cuGraphExecMemsetNodeSetParams(e, n, &set, test_context));
    OK(cuGraphLaunch(e, NULL));
    assert_int_equal(word(p), 2);
    CUgraphUpdateResult result;
    OK(cuGraphExecUpdate_v2(e, clone, &result));   // back to 1
    OK(cuGraphLaunch(e, NULL));
    assert_int_equal(word(p), 1);
    OK(cuMemsetD32Async(p, 8, 4, NULL));
    OK(cuGraphNodeSetEnabled(e, n, 0));
    OK(cuGraphLaunch(e, NULL));
    assert_int_equal(word(p), 8);
    OK(cuGraphCreate(&longer, 0));
    OK(cuGraphAddEmptyNode(&other, longer, NULL, 0));
    REFUSED(GRAPH_EXEC_UPDATE_FAILURE, cuGraphExecUpdate_v2(e, longer, &result));
    assert_int_equal(result.result, 3);   // another type of node
    OK(cuGraphAddEmptyNode(&other, longer, NULL, 0));
    REFUSED(GRAPH_EXEC_UPDATE_FAILURE, cuGraphExecUpdate_v2(e, longer, &result));
    assert_int_equal(result.result, 2);   // another shape
    OK(cuGraphExecDestroy(e));
    OK(cuGraphDestroy(g));
    OK(cuGraphDestroy(clone));
    OK(cuGraphDestroy(longer));
}

static void count(void *n) { ++*(int *)n; }
static void user_objects_live_as_long_as_their_graphs(void **state) {
    (void)state;
    int gone = 0;
    CUuserObject o;
    CUgraph g;
    CUgraphExec e;
    OK(cuGraphCreate(&g, 0));
    OK(cuUserObjectCreate(&o, &gone, count, 1, 1));
    OK(cuGraphRetainUserObject(g, o, 1, 1));
    OK(cuGraphInstantiateWithFlags(&e, g, 0));
    OK(cuGraphDestroy(g));
    assert_int_equal(gone, 0);
    OK(cuGraphExecDestroy(e));
    assert_int_equal(gone, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(unsatisfied_wait_holds_the_stream_and_what_depends_on_it, open_context, close_context),
        cmocka_unit_test_setup_teardown(default_stream_waits_for_blocking_ones, open_context, close_context),
        cmocka_unit_test_setup_teardown(synchronize_waits_for_another_thread, open_context, close_context),
        cmocka_unit_test_setup_teardown(host_functions_must_not_call_the_driver, open_context, close_context),
        cmocka_unit_test_setup_teardown(per_thread_default_streams_differ, open_context, close_context),
        cmocka_unit_test_setup_teardown(capture_forks_and_joins, open_context, close_context),
        cmocka_unit_test_setup_teardown(capture_errors_are_the_documented_ones, open_context, close_context),
        cmocka_unit_test_setup_teardown(captured_allocation_belongs_to_the_graph, open_context, close_context),
        cmocka_unit_test_setup_teardown(graphs_respect_edges_added_later, open_context, close_context),
        cmocka_unit_test_setup_teardown(executable_graphs_are_updated, open_context, close_context),
        cmocka_unit_test_setup_teardown(user_objects_live_as_long_as_their_graphs, open_context, close_context)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
