// Containment of a worker. Candidates are device code and never enter this process as machine code, but compilers and interpreters have
// bugs: so no network, no new processes, no tracing, no core files, bounded memory, CPU time and files, a working folder that no longer
// exists, and the rules of landlock.c for every other file. Calls that are refused answer EPERM instead of killing, because libraries probe
// for them.
#include "evaluate/internal.h"
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif

static const int refused[] = {
    SCMP_SYS(socket),
    SCMP_SYS(connect),
    SCMP_SYS(bind),
    SCMP_SYS(listen),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(io_uring_setup),   // would do what is refused here
    SCMP_SYS(chmod),            // Landlock says nothing about owners and modes
    SCMP_SYS(fchmod),
    SCMP_SYS(fchmodat),
    452,                        // fchmodat2, newer than some libseccomp
    SCMP_SYS(chown),
    SCMP_SYS(fchown),
    SCMP_SYS(lchown),
    SCMP_SYS(fchownat),
    SCMP_SYS(setxattr),
    SCMP_SYS(lsetxattr),
    SCMP_SYS(fsetxattr),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(shmget),
    SCMP_SYS(msgget),
    SCMP_SYS(semget),
    SCMP_SYS(mq_open),
    SCMP_SYS(tkill),
    SCMP_SYS(rt_sigqueueinfo),
    SCMP_SYS(rt_tgsigqueueinfo),
    SCMP_SYS(pidfd_open),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(pidfd_send_signal),
    SCMP_SYS(process_madvise),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(kexec_load),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(setns),
    SCMP_SYS(unshare),
};

// Threads are started by clone, processes too: the flag tells. clone3 keeps its flags in memory, which a filter cannot see; without it the C
// library takes clone. Signals and limits are for the worker itself.
static int add_conditional(scmp_filter_ctx f) {
    scmp_datum_t self = (scmp_datum_t)getpid();
    int r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
    if (r == 0)
        r = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (r == 0)
        r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(kill), 1, SCMP_A0(SCMP_CMP_NE, self));
    if (r == 0)
        r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_NE, self));
    if (r == 0)
        r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prlimit64), 1, SCMP_A0(SCMP_CMP_NE, 0));
    return r;
}

static hone_code install_filter(hone_err *e) {
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    if (!f)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for the worker's system call filter");
    int r = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);   // threads that a driver started as well
    for (size_t i = 0; i < HONE_COUNT(refused) && r == 0; i++) {
        r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), refused[i], 0);
        if (r == -EDOM || r == -EINVAL)
            r = 0;   // a call this architecture does not have
    }
    if (r == 0)
        r = add_conditional(f);
    if (r == 0)
        r = seccomp_load(f);
    seccomp_release(f);
    return r == 0 ? HONE_OK : hone_fail(e, HONE_E_INTERNAL, -r, "cannot restrict the worker's system calls: %s", strerror(-r));
}

static void empty_folder(void) {
    const char *base = getenv("TMPDIR");
    char path[512];
    snprintf(path, sizeof path, "%.400s/hone-worker-XXXXXX", base && *base ? base : "/tmp");
    if (mkdtemp(path) && chdir(path) == 0)
        rmdir(path);   // the working folder stays valid, but nothing can be made in it
}

static void lower(int what, rlim_t value) {
    struct rlimit l;
    if (getrlimit(what, &l) != 0)
        return;
    if (l.rlim_max == RLIM_INFINITY || l.rlim_max > value)
        l.rlim_max = value;
    l.rlim_cur = l.rlim_max;
    setrlimit(what, &l);
}

hone_code hone_sandbox_enter(const hone_sandbox_paths *p, hone_err *e) {
    enum { MAX_FILE = 256 << 20, MAX_OPEN = 512 };
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    empty_folder();
    lower(RLIMIT_CORE, 0);
    lower(RLIMIT_FSIZE, MAX_FILE);
    lower(RLIMIT_NOFILE, MAX_OPEN);
    signal(SIGXFSZ, SIG_IGN);   // a write beyond the limit is an error, not an end
    HONE_TRY(hone_sandbox_files(p, e));
    return install_filter(e);
}

// The parent ends a job by the clock on the wall; this ends it when the parent cannot.
void hone_sandbox_limit_cpu(double seconds_more) {
    struct timespec used;
    struct rlimit l;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) != 0 || getrlimit(RLIMIT_CPU, &l) != 0)
        return;
    rlim_t want = (rlim_t)used.tv_sec + (rlim_t)seconds_more + 1;
    l.rlim_cur = l.rlim_max == RLIM_INFINITY || want < l.rlim_max ? want : l.rlim_max;
    setrlimit(RLIMIT_CPU, &l);
}

void hone_sandbox_limit_memory(size_t bytes_more) {
#ifdef SANITIZED
    (void)bytes_more;   // its shadow memory is mapped writable
#else
    FILE *f = fopen("/proc/self/status", "r");
    if (!f)
        return;
    char line[256];
    unsigned long kib = 0;
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "VmData: %lu kB", &kib) == 1)
            break;
    fclose(f);
    struct rlimit l;
    if (!kib || getrlimit(RLIMIT_DATA, &l) != 0)
        return;
    rlim_t want = (rlim_t)kib * 1024 + bytes_more;
    l.rlim_cur = l.rlim_max == RLIM_INFINITY || want < l.rlim_max ? want : l.rlim_max;
    setrlimit(RLIMIT_DATA, &l);
#endif
}
