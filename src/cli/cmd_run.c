// hone run: starts a program that was built with nvcc -cudart shared so that it finds hone's CUDA libraries, hence runs without a GPU. Replaces this
// process: the program's exit code and signals are its own.
#include "cli/cli.h"
#include "hone_config.h"
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PLACES = 4, PROGRAM_MAX = 1 << 30 };

// Folders that may hold libcudart.so.N, most specific first: of an installation, then of a build folder.
static size_t library_places(char out[PLACES][PATH_MAX]) {
    size_t n = 0;
    const char *libdir = getenv("HONE_LIBDIR");
    char exe[PATH_MAX - 64];
    if (libdir && *libdir)
        snprintf(out[n++], PATH_MAX, "%s/hone", libdir);
    const ssize_t len = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (len > 0) {
        exe[len] = '\0';
        const char *dir = dirname(exe);
        snprintf(out[n++], PATH_MAX, "%s/lib", dir);
        snprintf(out[n++], PATH_MAX, "%s/../lib/hone", dir);
    }
    snprintf(out[n++], PATH_MAX, "%s/hone", HONE_LIBDIR);
    return n;
}

static hone_code find_libraries(char out[PATH_MAX], hone_err *e) {
    char places[PLACES][PATH_MAX];
    const size_t n = library_places(places);
    for (size_t i = 0; i < n; i++) {
        char *file = hone_path_join(places[i], "libcudart.so.13");
        const bool there = file && hone_is_file(file);
        hone_free(file);
        if (there)
            return realpath(places[i], out) ? HONE_OK : hone_fail(e, HONE_E_IO, 0, "cannot resolve '%s'", places[i]);
    }
    hone_fail(e, HONE_E_NO_DEVICE, 0, "hone's libcudart.so.13 was not found");
    return hone_hint(e, "set HONE_LIBDIR to the folder above it (%s in this installation)", HONE_LIBDIR);
}

// A program with device code that asks for no libcudart.so has nvcc's default, the vendor's runtime linked in: it would find no GPU, and say only that.
static hone_code check_program(const char *path, hone_err *e) {
    char *bytes = NULL;
    size_t len = 0;
    if (!strchr(path, '/') || !hone_is_file(path) || hone_read_file(path, PROGRAM_MAX, &bytes, &len, NULL) != HONE_OK)
        return HONE_OK;   // found in PATH, or not at all: exec says so
    static const char elf[] = "\177ELF", section[] = ".nvFatBinSegment", library[] = "libcudart.so.";
    const bool linked_in = len > 4 && memcmp(bytes, elf, 4) == 0 && memmem(bytes, len, section, sizeof section - 1) &&
                           !memmem(bytes, len, library, sizeof library - 1);
    hone_free(bytes);
    if (!linked_in)
        return HONE_OK;
    hone_fail(e, HONE_E_USAGE, 0, "'%s' has the CUDA runtime linked in", path);
    return hone_hint(e, "build it with nvcc -cudart shared -gencode arch=compute_90,code=compute_90");
}

static hone_code set_device(const char *spec, hone_err *e) {
    static const char prefix[] = "virtual:";
    if (!spec)
        return HONE_OK;
    if (strncmp(spec, prefix, sizeof prefix - 1) != 0 || !spec[sizeof prefix - 1]) {
        hone_fail(e, HONE_E_USAGE, 0, "'hone run' runs on the virtual GPU, not on '%s'", spec);
        return hone_hint(e, "for example --device virtual:a100; on a real GPU start the program itself");
    }
    return setenv("HONE_VGPU_DEVICE", spec + sizeof prefix - 1, 1) == 0 ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory");
}

static hone_code set_library_path(const char *folder, hone_err *e) {
    const char *old = getenv("LD_LIBRARY_PATH");
    hone_str path;
    hone_str_init(&path, 1 << 20);
    hone_str_addf(&path, "%s%s%s", folder, old && *old ? ":" : "", old ? old : "");
    hone_code c = hone_str_check(&path, "LD_LIBRARY_PATH", e);
    if (c == HONE_OK && setenv("LD_LIBRARY_PATH", path.s, 1) != 0)
        c = hone_fail(e, HONE_E_NOMEM, 0, "out of memory");
    hone_str_free(&path);
    return c;
}

static hone_code prepare(const cli_options *o, hone_err *e) {
    char folder[PATH_MAX];
    if (!o->rest) {
        hone_fail(e, HONE_E_USAGE, 0, "'hone run' needs a program");
        return hone_hint(e, "hone run ./vector_add 1000000");
    }
    HONE_TRY(check_program(o->rest[0], e));
    HONE_TRY(find_libraries(folder, e));
    HONE_TRY(set_device(o->device, e));
    return set_library_path(folder, e);
}

int cmd_run(const cli_options *o) {
    hone_err e = {0};
    if (prepare(o, &e) != HONE_OK)
        return cli_error(o, &e);
    signal(SIGPIPE, SIG_DFL);   // an ignored signal would stay ignored in the program
    execvp(o->rest[0], o->rest);
    hone_fail(&e, HONE_E_USAGE, 0, "cannot start '%s': %m", o->rest[0]);
    return cli_error(o, &e);
}
