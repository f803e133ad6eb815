// The two halves of the pool: pool.c keeps the worker processes, pipeline.c sends each job to the kinds of workers that it needs. Nothing else
// includes this.
#ifndef HONE_EVALUATE_POOL_INTERNAL_H
#define HONE_EVALUATE_POOL_INTERNAL_H
#include "evaluate/internal.h"

enum { HONE_POOL_MAX_WORKERS = 64, HONE_POOL_STDERR_TAIL = 2000 };
typedef enum pool_slot_state { SLOT_DEAD, SLOT_STARTING, SLOT_IDLE, SLOT_BUSY } pool_slot_state;
typedef struct pool_slot {
    hone_proc proc;
    pool_slot_state state;
    hone_worker_kind kind;
    char device[256];            // one device of the list
    uint64_t job;
    double from, limit_s;
    bool compiling;              // it said so last: what ends it now, the compiler does
    unsigned failed_starts;
    bool used;                   // this process has been given a job
    json_t *device_json;         // of its hello; owned
    char tail[HONE_POOL_STDERR_TAIL + 1];
    size_t tail_len;
    // of a physical device
    unsigned jobs;
    double warm_s, last_s, busy_s, active_s, total_s;   // see hone_gpu_usage; warm_s and last_s on the monotonic clock
    bool has_counter; json_int_t counter_mj; double energy_j;   // the energy counter's last reading, and by how much it grew since the first
} pool_slot;

typedef enum ticket_phase { TICKET_FREE, TICKET_HOST_WAITS, TICKET_HOST_RUNS, TICKET_GPU_WAITS, TICKET_GPU_RUNS } ticket_phase;
typedef struct pool_ticket {     // a job that passes through two workers
    ticket_phase phase;
    hone_job_message job;
    uint64_t order, rank;
    hone_outcome *host;          // what the host worker answered; NULL when there was nothing for it
} pool_ticket;

struct hone_pool {
    char device[256], program[1024];
    double time_limit_s;
    size_t memory_limit_bytes;
    pool_slot *slots;
    unsigned n;
    json_t *device_json;
    bool limit_given, physical;
    hone_clock clock;
    unsigned host_threads, gpu_threads;
    pool_ticket *tickets;        // physical only
    unsigned n_tickets;
    uint64_t next_order;
    hone_job_message race;       // whose rival and race_ratio hold (hone_pool_race)
    hone_err failed;             // of a job that could not be sent on while an answer was handed out: told at the next call
};

// ---- pool.c
unsigned hone_crew_free(const hone_pool *p, hone_worker_kind kind);
bool hone_crew_busy(const hone_pool *p);
// To a free worker of the kind. errors: HONE_E_BUSY, HONE_E_NO_DEVICE when none of the kind starts any more.
hone_code hone_crew_submit(hone_pool *p, hone_worker_kind kind, const hone_job *j, hone_err *e);
// As hone_pool_wait, for one worker's answer; *kind: whose.
hone_code hone_crew_wait(hone_pool *p, int timeout_ms, const volatile int *interrupt, hone_outcome **out, hone_worker_kind *kind, hone_err *e);
void hone_crew_cancel(hone_pool *p, uint64_t id);
// Ends the process; *status as from waitpid (0 when it had to be killed by us).
void hone_crew_stop(pool_slot *s, int *status);

// ---- pool_open.c
hone_code hone_crew_start(hone_pool *p, pool_slot *s, hone_err *e);
hone_code hone_crew_finish_start(hone_pool *p, pool_slot *s, int timeout_ms, hone_err *e);
void hone_crew_note_counter(pool_slot *s, json_t *message);   // takes "counter_mj" out of a worker's message

// ---- pipeline.c
bool hone_pipeline_open(hone_pool *p);   // false when out of memory
void hone_pipeline_close(hone_pool *p);
#endif
