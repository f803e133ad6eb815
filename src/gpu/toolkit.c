// Finds a CUDA toolkit on this machine. A root folder is judged by what it holds, not by its name, so that installations, distribution
// packages and PyPI's layouts (nvidia/cu13, nvidia/cuda_nvrtc + nvidia/cuda_runtime) all work. Loads nothing: nvrtc.c does.
#include "gpu/toolkit.h"
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__has_include)
#if __has_include("hone_config.h")
#include "hone_config.h"
#endif
#endif
#ifndef HONE_DEFAULT_TOOLKIT
#define HONE_DEFAULT_TOOLKIT ""
#endif

// Below a root: NVRTC libraries (patterns), header folders, ptxas. cuda_fp16.h marks the headers that kernels include.
static const char *const nvrtc_dirs[] = {"lib64", "lib", "targets/x86_64-linux/lib", "targets/sbsa-linux/lib", "cu13/lib", "cuda_nvrtc/lib",
                                         "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu", "../lib/x86_64-linux-gnu", "nvidia/cu13/lib",
                                         "nvidia/cuda_nvrtc/lib"};
static const char *const include_dirs[] = {"include", "targets/x86_64-linux/include", "targets/sbsa-linux/include", "cu13/include",
                                           "cuda_runtime/include", "nvidia/cu13/include", "nvidia/cuda_runtime/include", "../../include"};
static const char *const cccl_dirs[] = {"include/cccl", "cu13/include/cccl", "cuda_cccl/include", "nvidia/cu13/include/cccl",
                                        "nvidia/cuda_cccl/include"};
// What mma.h needs; PyPI's packages of CUDA 12 have it with the compiler.
static const char *const crt_dirs[] = {"cuda_nvcc/include", "nvidia/cuda_nvcc/include"};
static const char *const ptxas_files[] = {"bin/ptxas", "cu13/bin/ptxas", "cuda_nvcc/bin/ptxas", "nvidia/cu13/bin/ptxas",
                                          "nvidia/cuda_nvcc/bin/ptxas"};

// "libnvrtc.so.13": one dot-number after .so, not the builtins, not the static or "alt" ones. Returns the major version or -1.
static int nvrtc_major(const char *path) {
    const char *base = hone_path_base(path);
    static const char prefix[] = "libnvrtc.so.";
    if (strncmp(base, prefix, sizeof prefix - 1) != 0)
        return -1;
    return atoi(base + sizeof prefix - 1);
}

static bool find_nvrtc(const char *root, hone_toolkit *t) {
    for (size_t i = 0; i < HONE_COUNT(nvrtc_dirs); i++) {
        char pattern[768];
        snprintf(pattern, sizeof pattern, "%s/%s/libnvrtc.so.*", root, nvrtc_dirs[i]);
        glob_t g;
        int best = -1;
        if (glob(pattern, 0, NULL, &g) != 0)
            continue;
        for (size_t k = 0; k < g.gl_pathc; k++)
            if (nvrtc_major(g.gl_pathv[k]) > best) {
                best = nvrtc_major(g.gl_pathv[k]);
                snprintf(t->nvrtc, sizeof t->nvrtc, "%s", g.gl_pathv[k]);
            }
        globfree(&g);
        if (best >= 0)
            return true;
    }
    return false;
}

static void add_include(hone_toolkit *t, const char *root, const char *dir, const char *marker) {
    char path[768], file[900];
    snprintf(path, sizeof path, "%s/%s", root, dir);
    snprintf(file, sizeof file, "%s/%s", path, marker);
    if (t->n_includes < HONE_TOOLKIT_INCLUDES && access(file, R_OK) == 0)
        snprintf(t->includes[t->n_includes++], sizeof t->includes[0], "%s", path);
}

bool hone_toolkit_at(const char *root, hone_toolkit *t) {
    *t = (hone_toolkit){0};
    if (!root || !*root || !find_nvrtc(root, t))
        return false;
    for (size_t i = 0; i < HONE_COUNT(include_dirs) && !t->n_includes; i++)
        add_include(t, root, include_dirs[i], "cuda_fp16.h");
    if (!t->n_includes)
        return false;
    size_t before = t->n_includes;
    for (size_t i = 0; i < HONE_COUNT(cccl_dirs) && t->n_includes == before; i++)
        add_include(t, root, cccl_dirs[i], "cuda/std/cstdint");
    for (size_t i = 0; i < HONE_COUNT(crt_dirs); i++)
        add_include(t, root, crt_dirs[i], "crt/mma.h");
    for (size_t i = 0; i < HONE_COUNT(ptxas_files) && !*t->ptxas; i++) {
        char file[768];
        snprintf(file, sizeof file, "%s/%s", root, ptxas_files[i]);
        if (access(file, X_OK) == 0)
            snprintf(t->ptxas, sizeof t->ptxas, "%s", file);
    }
    snprintf(t->root, sizeof t->root, "%s", root);
    return true;
}

static bool try_root(const char *root, const char *why, hone_toolkit *t) {
    if (!hone_toolkit_at(root, t))
        return false;
    snprintf(t->found_by, sizeof t->found_by, "%s", why);
    return true;
}

static bool try_glob(const char *pattern, hone_toolkit *t) {   // newest name first
    glob_t g;
    if (glob(pattern, 0, NULL, &g) != 0)
        return false;
    bool ok = false;
    for (size_t k = g.gl_pathc; k-- > 0 && !ok;)
        ok = try_root(g.gl_pathv[k], "usual place", t);
    globfree(&g);
    return ok;
}

static bool try_path(hone_toolkit *t) {   // nvcc in PATH: its real folder's parent
    const char *path = getenv("PATH");
    while (path && *path) {
        size_t n = strcspn(path, ":");
        char file[PATH_MAX], real[PATH_MAX];
        snprintf(file, sizeof file, "%.*s/nvcc", (int)n, path);
        if (access(file, X_OK) == 0 && realpath(file, real)) {
            for (int up = 0; up < 2; up++) {
                char *slash = strrchr(real, '/');
                if (slash)
                    *slash = 0;
            }
            if (try_root(real, "nvcc in PATH", t))
                return true;
        }
        path += n + (path[n] == ':');
    }
    return false;
}

hone_code hone_toolkit_find(hone_toolkit *t, hone_err *e) {
    static const char *const variables[] = {"CUDA_HOME", "CUDA_PATH"};
    for (size_t i = 0; i < HONE_COUNT(variables); i++)
        if (try_root(getenv(variables[i]), variables[i], t))
            return HONE_OK;
    if (try_root(HONE_DEFAULT_TOOLKIT, "chosen when hone was built", t) || try_path(t) || try_root("/usr/local/cuda", "usual place", t) ||
        try_glob("/usr/local/cuda-*", t) || try_root("/usr/lib/cuda", "usual place", t) || try_root("/opt/cuda", "usual place", t) ||
        try_root("/usr", "distribution's packages", t))
        return HONE_OK;
    hone_fail(e, HONE_E_NO_DEVICE, 0, "cannot find a CUDA toolkit (NVRTC and its headers)");
    return hone_hint(e, "set CUDA_HOME, or install the packages nvidia-cuda-nvrtc and nvidia-cuda-runtime from PyPI and set CUDA_HOME to "
                        "their nvidia folder");
}
