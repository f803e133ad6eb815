// Files and child processes. Reads have a maximum; writes are atomic (temporary file, fsync, rename).
#ifndef HONE_BASE_IO_H
#define HONE_BASE_IO_H
#include "base/str.h"
#include <sys/types.h>
hone_code hone_read_file(const char *path, size_t max_bytes, char **out, size_t *len, hone_err *e);   // NUL-terminated; caller owns
hone_code hone_write_file(const char *path, const void *data, size_t n, hone_err *e);                 // atomic
hone_code hone_mkdirs(const char *path, hone_err *e);
bool hone_is_file(const char *path);
char *hone_path_join(const char *dir, const char *name);   // caller owns
const char *hone_path_base(const char *path);              // points into path

// A child process with pipes on stdin and stdout (stderr too when capture_stderr). Starts with argv[0] from an
// absolute path or PATH; extra_env are "K=V" added to the environment.
typedef struct hone_proc { pid_t pid; int in_fd, out_fd, err_fd; } hone_proc;
typedef struct hone_proc_spec {
    char *const *argv;
    const char *const *extra_env;   // NULL-terminated or NULL
    bool capture_stderr;
    bool new_group;                 // its own process group, so that a terminal's Ctrl-C does not reach it
} hone_proc_spec;
hone_code hone_proc_start(const hone_proc_spec *s, hone_proc *p, hone_err *e);
// Waits up to timeout_ms (<0: for ever). *status as from waitpid. HONE_E_TIMEOUT when it still runs.
hone_code hone_proc_wait(hone_proc *p, int timeout_ms, int *status, hone_err *e);
void hone_proc_kill(hone_proc *p);                          // SIGKILL (the group if new_group), reaps, closes the pipes
// Runs to the end and collects at most max_bytes of stdout and stderr each.
hone_code hone_proc_run(char *const *argv, const char *const *extra_env, int timeout_ms, size_t max_bytes,
                        hone_str *out, hone_str *err, int *status, hone_err *e);
// Length-prefixed messages over a pipe: 4-byte little-endian length, then bytes. timeout_ms < 0: no limit.
hone_code hone_msg_write(int fd, const void *data, size_t n, int timeout_ms, hone_err *e);
hone_code hone_msg_read(int fd, size_t max_bytes, int timeout_ms, char **out, size_t *n, hone_err *e);   // HONE_E_IO sub=EPIPE at end of file
#endif
