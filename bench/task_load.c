// Speed of reading a task file: milliseconds per hone_task_parse and hone_normalise of one file, as the search does for every candidate.
// Prints a table; asserts nothing.
//     build/task_load FILE.cu [rounds]
#include "task/task.h"
#include <stdio.h>
#include <stdlib.h>

static void must(hone_code c, const hone_err *e) {
    if (c != HONE_OK) {
        fprintf(stderr, "task_load: %s\n", e->msg);
        exit(1);
    }
}

static double parse_ms(const char *path, const char *text, size_t len, int rounds) {
    const hone_clock clock = hone_clock_monotonic();
    hone_err e = {0};
    const double t0 = hone_now_s(&clock);
    for (int i = 0; i < rounds; i++) {
        hone_task *t = NULL;
        must(hone_task_parse(path, text, len, &t, NULL, &e), &e);
        hone_task_free(t);
    }
    return (hone_now_s(&clock) - t0) * 1e3 / rounds;
}

static double normalise_ms(const char *text, size_t len, int rounds) {
    const hone_clock clock = hone_clock_monotonic();
    hone_err e = {0};
    const double t0 = hone_now_s(&clock);
    for (int i = 0; i < rounds; i++) {
        char *out = NULL;
        size_t n;
        must(hone_normalise(text, len, &out, &n, &e), &e);
        hone_free(out);
    }
    return (hone_now_s(&clock) - t0) * 1e3 / rounds;
}

int main(int argc, char **argv) {
    char *text;
    size_t len;
    hone_err e = {0};
    if (argc < 2) {
        fprintf(stderr, "usage: task_load FILE.cu [rounds]\n");
        return 2;
    }
    const int rounds = argc > 2 ? atoi(argv[2]) : 1000;
    must(hone_read_file(argv[1], HONE_SOURCE_MAX, &text, &len, &e), &e);
    printf("%s: %zu bytes\nparse      %8.3f ms\nnormalise  %8.3f ms\n", argv[1], len, parse_ms(argv[1], text, len, rounds),
           normalise_ms(text, len, rounds));
    hone_free(text);
    return 0;
}
