// What `hone bench` says of one kernel beyond its time: the distribution of its samples, L2 cold and warm, rates against the roofs measured on the same
// device, energy, and the spread of repeated measurements.
#ifndef HONE_CLI_BENCH_H
#define HONE_CLI_BENCH_H
#include "cli/cli.h"

enum { CLI_BENCH_REPEATS = 100 };
typedef struct cli_bench_repeat { double time_us, energy_mj; } cli_bench_repeat;
typedef struct cli_bench_row {
    const char *path;
    const hone_task *task;               // the contract; borrowed
    hone_outcome *o;
    const json_t *ceilings;              // borrowed; NULL: none
    double bytes, flops, flops_fp32;     // every contract buffer once; executed operations of one run, from the virtual GPU's counters
    cli_bench_repeat repeats[CLI_BENCH_REPEATS]; size_t n_repeats;   // after the first
} cli_bench_row;
void cli_bench_derive(cli_bench_row *r, const json_t *ceilings);
void cli_bench_details(const cli_bench_row *r, bool is_baseline, const cli_style *st);
void cli_bench_ceilings(const cli_bench_row *baseline, const cli_style *st);
void cli_bench_json(const cli_bench_row *r, json_t *to);
#endif
