// What a worker may still open, by Landlock (Linux 5.13 and later; no library is needed, three system calls are). Everything is denied but:
// reading the folders of the libraries that are loaded, of the toolkit and of the system's own (/usr, /sys), the worker's own part of /proc and
// the general files there, the device nodes of GPUs, and reading and writing the compile cache. The home folder, /etc, /tmp and other
// processes' parts of /proc (a key may lie in the parent's environment) are not among them. From ABI 4 on TCP is denied too, from ABI 6 on
// signals and abstract sockets beyond the worker. A kernel without Landlock leaves the system call filter alone to work (sandbox.c).
#include "evaluate/internal.h"
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// The kernel's interface, spelled out so that old headers do: linux/landlock.h, Documentation/userspace-api/landlock.rst.
enum { CREATE_RULESET = 444, ADD_RULE = 445, RESTRICT_SELF = 446, VERSION_FLAG = 1, PATH_BENEATH = 1 };
typedef struct ruleset_attr { uint64_t fs, net, scoped; } ruleset_attr;
typedef struct __attribute__((packed)) path_beneath { uint64_t access; int32_t fd; } path_beneath;
#define BIT(n) (UINT64_C(1) << (n))
enum { WRITE_FILE = 1, READ_FILE = 2, READ_DIR = 3, REMOVE_FILE = 5, MAKE_REG = 8, REFER = 13, TRUNCATE = 14, IOCTL_DEV = 15 };
static const uint64_t look = BIT(READ_FILE) | BIT(READ_DIR), device = BIT(READ_FILE) | BIT(WRITE_FILE) | BIT(IOCTL_DEV),
                      keep = BIT(READ_FILE) | BIT(READ_DIR) | BIT(WRITE_FILE) | BIT(REMOVE_FILE) | BIT(MAKE_REG) | BIT(TRUNCATE),
                      of_files = BIT(READ_FILE) | BIT(WRITE_FILE) | BIT(TRUNCATE) | BIT(IOCTL_DEV);

typedef struct ruleset { int fd; uint64_t handled; } ruleset;

int hone_sandbox_landlock(void) {
    long abi = syscall(CREATE_RULESET, NULL, (size_t)0, VERSION_FLAG);
    return abi < 0 ? 0 : (int)abi;
}

static ruleset make_ruleset(int abi) {
    ruleset_attr a = {.fs = BIT(REFER) - 1};   // all of ABI 1: execute up to make_sym
    size_t bytes = sizeof a.fs;
    if (abi >= 2)
        a.fs |= BIT(REFER);
    if (abi >= 3)
        a.fs |= BIT(TRUNCATE);
    if (abi >= 4)
        a.net = BIT(0) | BIT(1), bytes = 2 * sizeof a.fs;   // TCP: bind, connect
    if (abi >= 5)
        a.fs |= BIT(IOCTL_DEV);
    if (abi >= 6)
        a.scoped = BIT(0) | BIT(1), bytes = sizeof a;       // abstract sockets, signals
    return (ruleset){.fd = (int)syscall(CREATE_RULESET, &a, bytes, 0), .handled = a.fs};
}

// A path that is not there needs no rule.
static void allow(const ruleset *r, const char *path, uint64_t access) {
    struct stat st;
    path_beneath rule = {.access = access & r->handled, .fd = open(path, O_PATH | O_CLOEXEC)};
    if (rule.fd < 0)
        return;
    if (fstat(rule.fd, &st) == 0 && !S_ISDIR(st.st_mode))
        rule.access &= of_files;
    syscall(ADD_RULE, r->fd, PATH_BENEATH, &rule, 0);
    close(rule.fd);
}

static void allow_folder_of(const ruleset *r, const char *file) {
    char real[PATH_MAX];
    char *slash = realpath(file, real) ? strrchr(real, '/') : NULL;
    if (!slash || slash == real)
        return;
    *slash = 0;
    allow(r, real, look);
}

static int loaded_library(struct dl_phdr_info *i, size_t size, void *self) {
    (void)size;
    if (i->dlpi_name && strchr(i->dlpi_name, '/'))
        allow_folder_of(self, i->dlpi_name);
    return 0;
}

static void allow_devices(const ruleset *r) {
    static const char *const nodes[] = {"/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/nvidia-caps", "/dev/dri", "/dev/dxg"};
    for (size_t i = 0; i < HONE_COUNT(nodes); i++)
        allow(r, nodes[i], device);
    glob_t g;
    if (glob("/dev/nvidia*", 0, NULL, &g) != 0)
        return;
    for (size_t i = 0; i < g.gl_pathc; i++)
        allow(r, g.gl_pathv[i], device);
    globfree(&g);
}

// What the C library, NVML and libcuda look up: the machine, the driver, themselves. A rule holds for an inode, and procfs makes new ones when
// nobody uses the old: the worker's own folder stays open.
static void allow_proc(const ruleset *r) {
    static const char *const files[] = {"cpuinfo", "devices", "driver", "filesystems", "meminfo", "modules", "self", "stat", "sys", "uptime", "version"};
    char path[32];
    for (size_t i = 0; i < HONE_COUNT(files); i++) {
        snprintf(path, sizeof path, "/proc/%s", files[i]);
        allow(r, path, look);
    }
    static int own = -1;
    if (own < 0)
        own = open("/proc/self", O_PATH | O_CLOEXEC);
}

static void allow_all(ruleset *r, const hone_sandbox_paths *p) {
    static const char *const system[] = {"/usr", "/lib", "/lib64", "/sys", "/etc/ld.so.cache"};
    for (size_t i = 0; i < HONE_COUNT(system); i++)
        allow(r, system[i], look);
    allow_proc(r);
    for (size_t i = 0; i < p->n_read; i++)
        allow(r, p->read[i], look);
    dl_iterate_phdr(loaded_library, r);
    allow_devices(r);
    if (p->cache && *p->cache)
        allow(r, p->cache, keep);
}

hone_code hone_sandbox_files(const hone_sandbox_paths *p, hone_err *e) {
    int abi = hone_sandbox_landlock();
    if (abi == 0)
        return HONE_OK;
    ruleset r = make_ruleset(abi);
    if (r.fd < 0)
        return hone_fail(e, HONE_E_INTERNAL, errno, "cannot restrict the worker's files: %s", strerror(errno));
    allow_all(&r, p);
    long failed = syscall(RESTRICT_SELF, r.fd, 0);
    int err = errno;
    close(r.fd);
    return failed ? hone_fail(e, HONE_E_INTERNAL, err, "cannot restrict the worker's files: %s", strerror(err)) : HONE_OK;
}
