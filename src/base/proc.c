// Child processes with pipes, bounded output and time limits; and length-prefixed messages over pipes. See io.h.
#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

typedef struct pipes { int in[2], out[2], err[2], status[2]; } pipes;

static void close_pair(int p[2]) {
    for (int i = 0; i < 2; i++)
        if (p[i] >= 0)
            close(p[i]);
}

static void close_pipes(pipes *p) {
    close_pair(p->in);
    close_pair(p->out);
    close_pair(p->err);
    close_pair(p->status);
}

static bool open_pipes(pipes *p, bool want_err) {
    *p = (pipes){{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}};
    return pipe2(p->in, O_CLOEXEC) == 0 && pipe2(p->out, O_CLOEXEC) == 0 && pipe2(p->status, O_CLOEXEC) == 0 &&
           (!want_err || pipe2(p->err, O_CLOEXEC) == 0);
}

static _Noreturn void child_main(const hone_proc_spec *s, const pipes *p) {
    if (s->new_group)
        setpgid(0, 0);
    dup2(p->in[0], 0);
    dup2(p->out[1], 1);
    if (s->capture_stderr)
        dup2(p->err[1], 2);
    signal(SIGPIPE, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (const char *const *v = s->extra_env; v && *v; v++)
        putenv((char *)(uintptr_t)*v);
    execvp(s->argv[0], s->argv);
    int err = errno;
    ssize_t ignored = write(p->status[1], &err, sizeof err);   // tells the parent that exec failed
    (void)ignored;
    _exit(127);
}

hone_code hone_proc_start(const hone_proc_spec *s, hone_proc *out, hone_err *e) {
    pipes p;
    if (!open_pipes(&p, s->capture_stderr)) {
        int err = errno;
        close_pipes(&p);
        return hone_fail(e, HONE_E_IO, err, "cannot make a pipe for '%s': %s", s->argv[0], strerror(err));
    }
    pid_t pid = fork();
    if (pid == 0)
        child_main(s, &p);
    int err = pid < 0 ? errno : 0;
    close(p.status[1]);
    p.status[1] = -1;
    if (!err) {
        int child_err = 0;
        ssize_t n;
        do
            n = read(p.status[0], &child_err, sizeof child_err);
        while (n < 0 && errno == EINTR);
        if (n == (ssize_t)sizeof child_err) {
            err = child_err;
            waitpid(pid, NULL, 0);
        }
    }
    if (err) {
        close_pipes(&p);
        return hone_fail(e, HONE_E_IO, err, "cannot start '%s': %s", s->argv[0], strerror(err));
    }
    *out = (hone_proc){.pid = pid, .in_fd = p.in[1], .out_fd = p.out[0], .err_fd = p.err[0]};
    if (s->new_group)
        setpgid(pid, pid);   // also here: whoever comes first
    p.in[1] = p.out[0] = p.err[0] = -1;
    close_pipes(&p);
    return HONE_OK;
}

static double monotonic_s(void) {
    hone_clock c = hone_clock_monotonic();
    return hone_now_s(&c);
}

hone_code hone_proc_wait(hone_proc *p, int timeout_ms, int *status, hone_err *e) {
    double deadline = monotonic_s() + timeout_ms * 1e-3;
    for (useconds_t nap = 200;; nap = nap < 20000 ? nap * 2 : nap) {
        int st = 0;
        pid_t r = waitpid(p->pid, &st, timeout_ms < 0 ? 0 : WNOHANG);
        if (r == p->pid) {
            p->pid = -1;
            if (status)
                *status = st;
            return HONE_OK;
        }
        if (r < 0 && errno != EINTR)
            return hone_fail(e, HONE_E_IO, errno, "cannot wait for process %ld: %s", (long)p->pid, strerror(errno));
        if (r == 0 && monotonic_s() >= deadline)
            return hone_fail(e, HONE_E_TIMEOUT, 0, "process %ld did not end within %d ms", (long)p->pid, timeout_ms);
        if (r == 0)
            usleep(nap);
    }
}

static void close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void hone_proc_kill(hone_proc *p) {
    if (p->pid > 0) {
        if (getpgid(p->pid) == p->pid)
            kill(-p->pid, SIGKILL);
        kill(p->pid, SIGKILL);
        while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR) {}
        p->pid = -1;
    }
    close_fd(&p->in_fd);
    close_fd(&p->out_fd);
    close_fd(&p->err_fd);
}

static bool drain(int *fd, hone_str *b) {   // one read; false at end of file
    char chunk[16384];
    ssize_t n = read(*fd, chunk, sizeof chunk);
    if (n < 0 && errno == EINTR)
        return true;
    if (n <= 0)
        return false;
    size_t room = b->max - b->len;
    hone_str_addn(b, chunk, (size_t)n < room ? (size_t)n : room);   // beyond the maximum: read and dropped
    return true;
}

static hone_code collect(hone_proc *p, double deadline, bool limited, hone_str *out, hone_str *err, hone_err *e) {
    while (p->out_fd >= 0 || p->err_fd >= 0) {
        struct pollfd fds[2] = {{p->out_fd, POLLIN, 0}, {p->err_fd, POLLIN, 0}};
        double left = deadline - monotonic_s();
        if (limited && left <= 0)
            return hone_fail(e, HONE_E_TIMEOUT, 0, "process %ld did not end in time", (long)p->pid);
        int r = poll(fds, 2, limited ? (int)(left * 1e3) + 1 : -1);
        if (r < 0 && errno != EINTR)
            return hone_fail(e, HONE_E_IO, errno, "cannot poll: %s", strerror(errno));
        if (r <= 0)
            continue;
        if (fds[0].revents && !drain(&p->out_fd, out))
            close_fd(&p->out_fd);
        if (fds[1].revents && !drain(&p->err_fd, err))
            close_fd(&p->err_fd);
    }
    return HONE_OK;
}

hone_code hone_proc_run(char *const *argv, const char *const *extra_env, int timeout_ms, size_t max_bytes, hone_str *out, hone_str *err,
                        int *status, hone_err *e) {
    hone_str_init(out, max_bytes);
    hone_str_init(err, max_bytes);
    hone_proc p;
    hone_proc_spec spec = {.argv = argv, .extra_env = extra_env, .capture_stderr = true, .new_group = true};
    HONE_TRY(hone_proc_start(&spec, &p, e));
    close_fd(&p.in_fd);
    double deadline = monotonic_s() + timeout_ms * 1e-3;
    hone_code c = collect(&p, deadline, timeout_ms >= 0, out, err, e);
    if (c == HONE_OK)
        c = hone_proc_wait(&p, timeout_ms < 0 ? -1 : (int)((deadline - monotonic_s()) * 1e3) + 1, status, e);
    hone_proc_kill(&p);
    return c;
}

// ---- messages

static hone_code wait_fd(int fd, short events, double deadline, bool limited, hone_err *e) {
    for (;;) {
        double left = deadline - monotonic_s();
        struct pollfd f = {fd, events, 0};
        int r = poll(&f, 1, !limited ? -1 : left <= 0 ? 0 : (int)(left * 1e3) + 1);
        if (r > 0)
            return HONE_OK;
        if (r == 0)
            return hone_fail(e, HONE_E_TIMEOUT, 0, "no answer in time");
        if (errno != EINTR)
            return hone_fail(e, HONE_E_IO, errno, "cannot poll a pipe: %s", strerror(errno));
    }
}

static hone_code write_exact(int fd, const char *data, size_t n, double deadline, bool limited, hone_err *e) {
    while (n) {
        HONE_TRY(wait_fd(fd, POLLOUT, deadline, limited, e));
        ssize_t w = write(fd, data, n < 4096 || !limited ? n : 4096);   // ≤ PIPE_BUF: a ready pipe takes it without blocking
        if (w < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (w <= 0)
            return hone_fail(e, HONE_E_IO, errno, "cannot write to a pipe: %s", strerror(errno));
        data += w;
        n -= (size_t)w;
    }
    return HONE_OK;
}

static hone_code read_exact(int fd, char *data, size_t n, double deadline, bool limited, hone_err *e) {
    while (n) {
        HONE_TRY(wait_fd(fd, POLLIN, deadline, limited, e));
        ssize_t r = read(fd, data, n);
        if (r < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (r <= 0)
            return hone_fail(e, HONE_E_IO, r == 0 ? EPIPE : errno, r == 0 ? "the other side closed the pipe" : "cannot read from a pipe");
        data += r;
        n -= (size_t)r;
    }
    return HONE_OK;
}

hone_code hone_msg_write(int fd, const void *data, size_t n, int timeout_ms, hone_err *e) {
    if (n > UINT32_MAX)
        return hone_fail(e, HONE_E_LIMIT, 0, "a message of %zu bytes is too long", n);
    double deadline = monotonic_s() + timeout_ms * 1e-3;
    uint8_t head[4] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), (uint8_t)(n >> 24)};
    HONE_TRY(write_exact(fd, (const char *)head, sizeof head, deadline, timeout_ms >= 0, e));
    return write_exact(fd, data, n, deadline, timeout_ms >= 0, e);
}

hone_code hone_msg_read(int fd, size_t max_bytes, int timeout_ms, char **out, size_t *n, hone_err *e) {
    double deadline = monotonic_s() + timeout_ms * 1e-3;
    uint8_t head[4];
    HONE_TRY(read_exact(fd, (char *)head, sizeof head, deadline, timeout_ms >= 0, e));
    size_t len = (size_t)head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
    if (len > max_bytes)
        return hone_fail(e, HONE_E_LIMIT, 0, "a message of %zu bytes exceeds the limit of %zu", len, max_bytes);
    char *text = hone_malloc(len + 1);
    if (!text)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a message of %zu bytes", len);
    hone_code c = read_exact(fd, text, len, deadline, timeout_ms >= 0, e);
    if (c != HONE_OK) {
        hone_free(text);
        return c;
    }
    *out = text;
    *n = len;
    return HONE_OK;
}
