// The hone program: finds the command, parses its options, runs it.
#include "cli/counters.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const struct { const char *name; int (*run)(const cli_options *o); } table[] = {
#define CMD(name, args, summary, help) {#name, cmd_##name},
#include "cli/commands.def"
#undef CMD
};

static int unknown_command(const char *name) {
    const char *near = cli_nearest_command(name);
    fprintf(stderr, "error: unknown command '%s'\n", name);
    if (near)
        fprintf(stderr, "hint: did you mean 'hone %s'?\n", near);
    else
        fprintf(stderr, "hint: 'hone --help' lists the commands\n");
    return EXIT_USAGE;
}

// `hone worker DEVICE [THREADS]` is how the pool starts its workers; it is not for people.
static int worker(int argc, char **argv) {
    if (argc < 1)
        return EXIT_USAGE;
    return hone_worker_main(argv[0], argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0, argc > 2 && !strcmp(argv[2], "host"));
}

static void keep_command(cli_options *o, const char *name, int argc, char **argv) {
    size_t n = (size_t)snprintf(o->command, sizeof o->command, "hone %s", name);
    for (int i = 0; i < argc && n < sizeof o->command; i++) {
        const char *quote = strpbrk(argv[i], " \t\"'<>|&;$*?()") ? "'" : "";
        n += (size_t)snprintf(o->command + n, sizeof o->command - n, " %s%s%s", quote, argv[i], quote);
    }
}

static int run_command(const char *name, int argc, char **argv) {
    for (size_t i = 0; i < HONE_COUNT(table); i++) {
        if (strcmp(table[i].name, name) != 0)
            continue;
        static cli_options o;
        hone_err e = {0};
        if (cli_parse(name, argc, argv, &o, &e) != HONE_OK)
            return cli_error(&o, &e);
        keep_command(&o, name, argc, argv);
        if (o.help)
            return cli_help(name, stdout) ? EXIT_FINE : EXIT_BUG;
        cli_catch_signals();
        int code = table[i].run(&o);
        if (fflush(stdout) != 0 || ferror(stdout)) {
            fprintf(stderr, "error: cannot write to stdout\n");
            return code ? code : EXIT_USAGE;
        }
        return code;
    }
    return unknown_command(name);
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        cli_usage(stderr);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (!strcmp(name, "worker"))
        return worker(argc - 2, argv + 2);
    if (!strcmp(name, "launch-once"))
        return cli_launch_once(argc - 2, argv + 2);
    if (!strcmp(name, "--version") || !strcmp(name, "version")) {
        printf("hone %s\n", HONE_VERSION);
        return EXIT_FINE;
    }
    if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
        if (argc < 3)
            cli_usage(stdout);
        else if (!cli_help(argv[2], stdout))
            return unknown_command(argv[2]);
        return EXIT_FINE;
    }
    return run_command(name, argc - 2, argv + 2);
}
