// Containment of a worker. Candidates are device code and never enter this process as machine code, but compilers and interpreters have
// bugs: so no network, no new programs, no tracing, no core files, bounded memory and files, and a working folder that no longer exists.
// Calls that are refused answer EPERM instead of killing, because libraries probe for them.
#include "evaluate/internal.h"
#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
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

static hone_code install_filter(hone_err *e) {
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    if (!f)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for the worker's system call filter");
    int r = 0;
    for (size_t i = 0; i < HONE_COUNT(refused) && r == 0; i++) {
        r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), refused[i], 0);
        if (r == -EDOM || r == -EINVAL)
            r = 0;   // a call this architecture does not have
    }
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

hone_code hone_sandbox_enter(hone_err *e) {
    enum { MAX_FILE = 256 << 20, MAX_OPEN = 512 };
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    empty_folder();
    lower(RLIMIT_CORE, 0);
    lower(RLIMIT_FSIZE, MAX_FILE);
    lower(RLIMIT_NOFILE, MAX_OPEN);
    signal(SIGXFSZ, SIG_IGN);   // a write beyond the limit is an error, not an end
    return install_filter(e);
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
