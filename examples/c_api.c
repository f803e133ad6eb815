// The smallest program on libhone: optimizes a task file and prints what came of it.
//   cc c_api.c $(pkg-config --cflags --libs --static hone) -o c_api && ./c_api matmul.cu 40
#include <hone.h>
#include <stdio.h>
#include <stdlib.h>

static void show(void *user, const honeProgress *p) {
    (void)user;
    fprintf(stderr, "\r%u evaluations, %.2fx  ", p->evaluations, p->speedup);
}

int main(int argc, char **argv) {
    honeError e = {0};
    honeTask *task;
    honeResult *result;
    honeOptions options;
    if (argc < 2)
        return fprintf(stderr, "usage: c_api TASK.cu [EVALUATIONS]\n"), 2;
    honeOptionsInit(&options);
    options.evals = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 40;
    options.progress = show;
    if (honeTaskOpen(argv[1], &task, &e) != HONE_STATUS_OK)
        return fprintf(stderr, "%s\n%s\n", e.message, e.hint), 1;
    honeStatus s = honeOptimize(task, &options, &result, &e);
    if (s == HONE_STATUS_OK) {
        printf("%s: %s, %.2fx\n", honeTaskName(task), honeResultVerdict(result), honeResultSpeedup(result));
        if (honeResultBest(result))
            fputs(honeResultBest(result), stdout);
        honeResultClose(result);
    } else {
        fprintf(stderr, "%s\n%s\n", e.message, e.hint);
    }
    honeTaskClose(task);
    return s == HONE_STATUS_OK ? 0 : 1;
}
