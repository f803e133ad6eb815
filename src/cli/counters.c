// Finds ncu, runs it over one launch of the plan and reads its CSV. See counters.h. Every way in which that can fail has a message and a hint; the profile
// goes on without hardware counters and says so.
#include "cli/counters.h"
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_OUTPUT_BYTES = 64 << 20, LIMIT_S = 300, FIXED_ARGS = 40 };

// Those whose metrics import/ncu_metrics.def knows.
static const char *const sections[] = {"SpeedOfLight", "LaunchStats", "Occupancy", "MemoryWorkloadAnalysis", "MemoryWorkloadAnalysis_Tables", "SchedulerStats",
                                       "WarpStateStats", "InstructionStats", "SourceCounters", "SpeedOfLight_RooflineChart"};

// ---- finding it

static bool runs(const char *path) {
    struct stat s;
    return stat(path, &s) == 0 && S_ISREG(s.st_mode) && access(path, X_OK) == 0;
}

static bool in_folder(const char *folder, size_t n, const char *below, char out[1024]) {
    snprintf(out, 1024, "%.*s%s/ncu", (int)n, folder, below);
    return n > 0 && runs(out);
}

static bool find_ncu(char out[1024]) {
    static const char *const homes[] = {"CUDA_HOME", "CUDA_PATH"};
    for (const char *p = getenv("PATH"); p && *p;) {
        size_t n = strcspn(p, ":");
        if (in_folder(p, n, "", out))
            return true;
        p += n + (p[n] == ':');
    }
    for (size_t i = 0; i < HONE_COUNT(homes); i++) {
        const char *home = getenv(homes[i]);
        if (home && in_folder(home, strlen(home), "/bin", out))
            return true;
    }
    if (in_folder("/usr/local/cuda", 15, "/bin", out))
        return true;
    glob_t g;
    bool found = false;
    if (glob("/opt/nvidia/nsight-compute/*/ncu", 0, NULL, &g) == 0) {
        for (size_t i = g.gl_pathc; i-- > 0 && !found;)
            if ((found = runs(g.gl_pathv[i])))
                snprintf(out, 1024, "%s", g.gl_pathv[i]);
        globfree(&g);
    }
    return found;
}

static hone_code no_ncu(hone_err *e) {
    hone_fail(e, HONE_E_UNSUPPORTED, 0, "'ncu' is not there: neither in PATH nor below CUDA_HOME or /usr/local/cuda");
    return hone_hint(e, "install Nsight Compute, which the CUDA toolkit brings, or give what it printed elsewhere with --import");
}

// ---- what ncu says when it fails

static hone_code no_permission(hone_err *e) {
    hone_fail(e, HONE_E_UNSUPPORTED, 0, "this user may not read the GPU's counters (ERR_NVGPUCTRPERM)");
    return hone_hint(e, "run as root, or let the administrator load the driver with NVreg_RestrictProfilingToAdminUsers=0; in a container: --cap-add=SYS_ADMIN");
}

// The first "==ERROR== …" line of either stream.
static bool error_line(const char *text, char out[300]) {
    const char *at = text ? strstr(text, "==ERROR==") : NULL;
    if (!at)
        return false;
    at += strspn(at + 9, " ") + 9;
    snprintf(out, 300, "%.*s", (int)strcspn(at, "\r\n"), at);
    return true;
}

static hone_code explain(int status, const hone_str *out, const hone_str *err, hone_err *e) {
    char line[300] = "";
    if ((out->s && strstr(out->s, "ERR_NVGPUCTRPERM")) || (err->s && strstr(err->s, "ERR_NVGPUCTRPERM")))
        return no_permission(e);
    if (!error_line(out->s, line) && !error_line(err->s, line) && err->s)
        snprintf(line, sizeof line, "%.*s", (int)strcspn(err->s, "\r\n"), err->s);
    if (!status && !*line)
        return HONE_OK;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (!status && !strstr(out->s ? out->s : "", "==ERROR=="))
        return HONE_OK;   // words on stderr alone are no failure
    hone_fail(e, HONE_E_UNSUPPORTED, code, "ncu failed (exit code %d)%s%s", code, *line ? ": " : "", line);
    return hone_hint(e, "other profilers have to end first; ncu's documentation lists the GPUs it knows");
}

// ---- the files and the command

typedef struct workplace { char dir[512], task[640], ptx[640], cubin[640]; } workplace;

static hone_code make_workplace(workplace *w, const hone_task *shown, const hone_outcome *built, hone_err *e) {
    const char *tmp = getenv("TMPDIR");
    snprintf(w->dir, sizeof w->dir, "%.400s/hone-counters-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(w->dir)) {
        w->dir[0] = 0;
        return hone_fail(e, HONE_E_IO, 0, "cannot make a folder for ncu's files");
    }
    snprintf(w->task, sizeof w->task, "%s/task.cu", w->dir);
    snprintf(w->ptx, sizeof w->ptx, "%s/task.ptx", w->dir);
    snprintf(w->cubin, sizeof w->cubin, "%s/task.cubin", w->dir);
    HONE_TRY(hone_write_file(w->task, shown->text, shown->len, e));
    HONE_TRY(hone_write_file(w->ptx, built->ptx, built->ptx_len, e));
    return hone_write_file(w->cubin, built->cubin, built->cubin_len, e);
}

static void clear_workplace(const workplace *w) {
    if (!w->dir[0])
        return;
    unlink(w->task);
    unlink(w->ptx);
    unlink(w->cubin);
    rmdir(w->dir);
}

static hone_code run_ncu(const cli_options *o, bool with_params, const workplace *w, const char *device, cli_counters *c, hone_err *e) {
    char self[PATH_MAX], params[CLI_MAX_PAIRS][160];
    char *argv[FIXED_ARGS + 2 * HONE_COUNT(sections) + CLI_MAX_PAIRS];
    size_t n = 0;
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len < 0)
        return hone_fail(e, HONE_E_IO, 0, "cannot find hone's own program");
    self[len] = 0;
    const char *const options[] = {c->program, "--clock-control", "none", "--csv", "--page", "raw"};
    for (size_t i = 0; i < HONE_COUNT(options); i++)
        argv[n++] = (char *)(uintptr_t)options[i];
    for (size_t i = 0; i < HONE_COUNT(sections); i++) {
        argv[n++] = (char *)(uintptr_t) "--section";
        argv[n++] = (char *)(uintptr_t)sections[i];
    }
    const char *const program[] = {self, "launch-once", device, w->task, w->ptx, w->cubin};
    for (size_t i = 0; i < HONE_COUNT(program); i++)
        argv[n++] = (char *)(uintptr_t)program[i];
    for (size_t i = 0; with_params && i < o->n_params; i++) {
        snprintf(params[i], sizeof params[i], "%.120s=%lld", o->params[i].name, (long long)o->params[i].value);
        argv[n++] = params[i];
    }
    argv[n] = NULL;
    hone_str out, err;
    int status = 0;
    hone_str_init(&out, MAX_OUTPUT_BYTES);
    hone_str_init(&err, MAX_OUTPUT_BYTES);
    double limit = o->limit_s > 0 ? o->limit_s : LIMIT_S;
    hone_code code = hone_proc_run(argv, NULL, (int)(limit * 1e3), MAX_OUTPUT_BYTES, &out, &err, &status, e);
    if (code == HONE_OK)
        code = explain(status, &out, &err, e);
    if (code == HONE_OK)
        code = hone_ncu_parse(c->program, out.s ? out.s : "", out.len, &c->ncu, e);
    if (code == HONE_OK && c->ncu.n == 0)
        code = hone_fail(e, HONE_E_UNSUPPORTED, 0, "ncu measured no kernel");
    hone_str_free(&out);
    hone_str_free(&err);
    return code;
}

hone_code cli_counters_read(const cli_options *o, const hone_task *shown, bool with_params, const hone_outcome *built, const char *device, cli_counters *out,
                            hone_err *e) {
    *out = (cli_counters){0};
    if (!find_ncu(out->program))
        return no_ncu(e);
    workplace w = {0};
    hone_code c = make_workplace(&w, shown, built, e);
    if (c == HONE_OK)
        c = run_ncu(o, with_params, &w, device, out, e);
    clear_workplace(&w);
    return c;
}
