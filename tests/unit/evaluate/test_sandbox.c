// What a contained worker tries in vain. Every attempt runs twice in a process of its own: free, where it must succeed (else the test shows
// nothing), and contained, where it must fail. Without Landlock in the kernel the attempts on files are skipped, loudly.
#include "evaluate/internal.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static char top[256], home[300], keys[400], cache[300], work[300];
static pid_t parent, victim;

static int answer(bool done) { return done ? 0 : errno ? errno : EIO; }
static int closed(int fd) { return answer(fd >= 0 && close(fd) == 0); }

static int make_in(const char *dir) {
    char path[500];
    snprintf(path, sizeof path, "%s/made-%ld", dir, (long)getpid());
    int r = closed(open(path, O_CREAT | O_WRONLY, 0600));
    unlink(path);
    return r;
}

// ---- attempts: 0 when it worked, else errno
static int tcp_socket(void) { return closed(socket(AF_INET, SOCK_STREAM, 0)); }
static int udp_socket(void) { return closed(socket(AF_INET, SOCK_DGRAM, 0)); }
static int unix_socket(void) { return closed(socket(AF_UNIX, SOCK_STREAM, 0)); }
static int io_uring(void) {
    unsigned params[30] = {0};
    return closed((int)syscall(425, 4, params));
}
static int fork_process(void) {
    pid_t p = fork();
    if (p == 0)
        _exit(0);
    return answer(p > 0 && waitpid(p, NULL, 0) == p);
}
static int vfork_raw(void) {
    long p = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (p == 0)
        _exit(0);
    return answer(p > 0 && waitpid((pid_t)p, NULL, 0) == p);
}
static int run_program(void) {
    execl("/bin/true", "true", (char *)NULL);
    return errno;
}
static int trace_victim(void) { return answer(ptrace(PTRACE_SEIZE, victim, NULL, NULL) == 0); }
static int signal_victim(void) { return answer(kill(victim, SIGCONT) == 0); }
static int limit_victim(void) {
    struct rlimit l;
    return answer(prlimit(victim, RLIMIT_CPU, NULL, &l) == 0);
}
static int read_environment(void) {   // where hone keeps a model's key from the environment
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/environ", (long)parent);
    return closed(open(path, O_RDONLY));
}
static int read_keys(void) { return closed(open(keys, O_RDONLY)); }
static int read_passwd(void) { return closed(open("/etc/passwd", O_RDONLY)); }
static int list_home(void) { return closed(open(home, O_RDONLY | O_DIRECTORY)); }
static int write_home(void) { return make_in(home); }
static int write_tmp(void) { return make_in("/tmp"); }
static int write_shm(void) { return make_in("/dev/shm"); }
static int write_work(void) { return make_in(work); }
static int overwrite_keys(void) { return closed(open(keys, O_WRONLY | O_TRUNC)); }
static int remove_keys(void) {
    char copy[500];
    snprintf(copy, sizeof copy, "%s.%ld", keys, (long)getpid());
    int r = answer(rename(keys, copy) == 0);
    if (r == 0)
        rename(copy, keys);
    return r;
}
static int change_mode(void) { return answer(chmod(keys, 0600) == 0); }
static int link_out(void) {   // a symbolic link in the one folder that may be written
    char path[500];
    snprintf(path, sizeof path, "%s/link-%ld", cache, (long)getpid());
    int r = answer(symlink(keys, path) == 0);
    unlink(path);
    return r;
}
static int dump_core(void) {
    struct rlimit l = {1 << 20, RLIM_INFINITY};
    return answer(setrlimit(RLIMIT_CORE, &l) == 0 && getrlimit(RLIMIT_CORE, &l) == 0 && l.rlim_max > 0);
}

// What a worker needs keeps working.
static void *nothing(void *self) { return self; }
static int start_thread(void) {
    pthread_t t;
    errno = pthread_create(&t, NULL, nothing, NULL);
    return answer(errno == 0 && pthread_join(t, NULL) == 0);
}
static int write_cache(void) { return make_in(cache); }
static int read_system(void) { return closed(open("/proc/self/status", O_RDONLY)); }
static int read_random(void) { return closed(open("/dev/urandom", O_RDONLY)); }
static int signal_itself(void) {
    signal(SIGUSR1, SIG_IGN);
    return answer(raise(SIGUSR1) == 0 && kill(getpid(), SIGUSR1) == 0);
}

static const struct attempt { const char *name; int (*run)(void); bool refused, by_landlock; } attempts[] = {
    {"open a TCP socket", tcp_socket, true, false},
    {"open a UDP socket", udp_socket, true, false},
    {"open a UNIX socket", unix_socket, true, false},
    {"set up io_uring", io_uring, true, false},
    {"start a process", fork_process, true, false},
    {"start a process by clone", vfork_raw, true, false},
    {"run a program", run_program, true, false},
    {"trace another process", trace_victim, true, false},
    {"signal another process", signal_victim, true, false},
    {"read another process' limits", limit_victim, true, false},
    {"change a file's mode", change_mode, true, false},
    {"allow core files", dump_core, true, false},
    {"read the parent's environment", read_environment, true, true},
    {"read a key file of the user", read_keys, true, true},
    {"read /etc/passwd", read_passwd, true, true},
    {"list the home folder", list_home, true, true},
    {"write in the home folder", write_home, true, true},
    {"write in /tmp", write_tmp, true, true},
    {"write in /dev/shm", write_shm, true, true},
    {"write where hone was started", write_work, true, true},
    {"overwrite a key file", overwrite_keys, true, true},
    {"rename a key file", remove_keys, true, true},
    {"make a symbolic link in the cache", link_out, true, true},
    {"start a thread", start_thread, false, false},
    {"write in the cache", write_cache, false, false},
    {"read /proc/self/status", read_system, false, false},
    {"read /dev/urandom", read_random, false, false},
    {"signal itself", signal_itself, false, false},
};

static void contain(void) {
    const hone_sandbox_paths p = {.cache = cache};
    hone_err e = {0};
    if (hone_sandbox_enter(&p, &e) != HONE_OK) {
        fprintf(stderr, "%s\n", e.msg);
        _exit(255);
    }
}

static int attempt_in_child(const struct attempt *a, bool contained) {
    int status = 0;
    pid_t p = fork();
    if (p == 0) {
        if (contained)
            contain();
        errno = 0;
        _exit(a->run());
    }
    assert_int_equal(waitpid(p, &status, 0), p);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static bool blocked_here(const struct attempt *a, int free_result) {   // by the machine itself: nothing to show
    if (free_result == 0)
        return false;
    print_message("SKIPPED '%s': this machine refuses it to anybody (%s)\n", a->name, strerror(free_result));
    return true;
}

static void forbidden_things_fail_and_needed_things_work(void **s) {
    (void)s;
    unsigned shown = 0;
    for (size_t i = 0; i < HONE_COUNT(attempts); i++) {
        const struct attempt *a = &attempts[i];
        if (a->by_landlock && !hone_sandbox_landlock()) {
            print_message("SKIPPED '%s': the kernel has no Landlock\n", a->name);
            continue;
        }
        if (blocked_here(a, attempt_in_child(a, false)))
            continue;
        int r = attempt_in_child(a, true);
        bool as_wanted = a->refused ? r == EPERM || r == EACCES : r == 0;
        if (!as_wanted)
            fail_msg("'%s' contained: %s (%d)", a->name, r ? strerror(r) : "it worked", r);
        shown += a->refused;
    }
    assert_true(shown >= 8);
}

static void *wait_and_open_socket(void *self) {
    const int *ends = self;
    char c;
    int r = read(ends[0], &c, 1) == 1 ? tcp_socket() : 254;
    return write(ends[1], &r, sizeof r) == sizeof r ? self : NULL;
}

static void a_thread_that_runs_already_is_filtered_too(void **s) {
    (void)s;
    int status = 0;
    pid_t p = fork();
    if (p == 0) {
        int go[2], result[2], r = -1;
        if (pipe(go) != 0 || pipe(result) != 0)
            _exit(254);
        static int ends[2];
        ends[0] = go[0], ends[1] = result[1];
        pthread_t t;
        if (pthread_create(&t, NULL, wait_and_open_socket, ends) != 0)
            _exit(254);
        contain();
        if (write(go[1], "x", 1) != 1 || read(result[0], &r, sizeof r) != sizeof r)
            _exit(254);
        _exit(r);
    }
    assert_int_equal(waitpid(p, &status, 0), p);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EPERM);
}

// A loop that never ends meets the limit of CPU time; a first allocation beyond the limit of memory fails.
static void cpu_time_is_bounded(void **s) {
    (void)s;
    int status = 0;
    pid_t p = fork();
    if (p == 0) {
        contain();
        hone_sandbox_limit_cpu(0);
        for (volatile unsigned long i = 0;; i++) {}
    }
    assert_int_equal(waitpid(p, &status, 0), p);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGXCPU);
}

static void memory_is_bounded(void **s) {
    (void)s;
#if defined(__SANITIZE_ADDRESS__)
    print_message("SKIPPED: a sanitizer's shadow memory does not go with a limit\n");
    skip();
#endif
    int status = 0;
    pid_t p = fork();
    if (p == 0) {
        contain();
        void *fits = malloc(512 << 20);
        free(fits);
        hone_sandbox_limit_memory(64 << 20);
        void *small = malloc(16 << 20), *big = malloc(512 << 20);
        _exit(fits && small && !big ? 0 : 1);
    }
    assert_int_equal(waitpid(p, &status, 0), p);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void write_text(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static int set_up(void **s) {
    (void)s;
    const char *base = getenv("TMPDIR");
    snprintf(top, sizeof top, "%.200s/hone-sandbox-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(top))
        return 1;
    snprintf(home, sizeof home, "%s/home", top);
    snprintf(cache, sizeof cache, "%s/cache", top);
    snprintf(work, sizeof work, "%s/work", top);
    char config[360];
    snprintf(config, sizeof config, "%s/.config/hone", home);
    snprintf(keys, sizeof keys, "%s/keys", config);
    if (hone_mkdirs(config, NULL) != HONE_OK || mkdir(cache, 0700) != 0 || mkdir(work, 0700) != 0)
        return 1;
    write_text(keys, "secret\n");
    parent = getpid();
    victim = fork();
    if (victim == 0)
        for (;;)
            pause();
    return victim < 0;
}

static int tear_down(void **s) {
    (void)s;
    kill(victim, SIGKILL);
    waitpid(victim, NULL, 0);
    char command[600];
    snprintf(command, sizeof command, "rm -rf '%s'", top);
    return system(command) != 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forbidden_things_fail_and_needed_things_work),
        cmocka_unit_test(a_thread_that_runs_already_is_filtered_too),
        cmocka_unit_test(cpu_time_is_bounded),
        cmocka_unit_test(memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
