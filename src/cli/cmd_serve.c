// hone serve --reward: the reward server. Opens the tasks, the workers and the port; the rest is serve's.
#include "cli/cli.h"
#include "serve/reward.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DEFAULT_PORT = 8377, MIN_TOKEN = 16, MAX_TOKEN = 512 };

typedef struct serving { const cli_options *o; hone_task *tasks[CLI_MAX_ARGS]; size_t n_tasks; hone_pool *pool; hone_desk *desk; char token[MAX_TOKEN + 1]; } serving;

// ---- the token

static hone_code read_token_file(const char *path, char *out, hone_err *e) {
    struct stat st;
    char *text = NULL;
    size_t n;
    if (stat(path, &st) == 0 && (st.st_mode & 077)) {
        hone_fail(e, HONE_E_USAGE, EPERM, "the token file '%s' can be read by others", path);
        return hone_hint(e, "chmod 600 %s", path);
    }
    HONE_TRY(hone_read_file(path, MAX_TOKEN, &text, &n, e));
    n = strcspn(text, "\r\n");
    snprintf(out, MAX_TOKEN + 1, "%.*s", (int)n, text);
    hone_free(text);
    return HONE_OK;
}

static hone_code read_token(serving *s, hone_err *e) {
    const char *env = getenv("HONE_SERVE_TOKEN");
    if (s->o->token_file)
        HONE_TRY(read_token_file(s->o->token_file, s->token, e));
    else if (env)
        snprintf(s->token, sizeof s->token, "%s", env);
    if (strlen(s->token) >= MIN_TOKEN)
        return HONE_OK;
    hone_fail(e, HONE_E_USAGE, 0, s->token[0] ? "the token is shorter than %d characters" : "a token of at least %d characters is needed", MIN_TOKEN);
    return hone_hint(e, "(umask 077; head -c 24 /dev/urandom | base64 > token), then --token-file token; or HONE_SERVE_TOKEN in the environment");
}

// ---- everything else

static hone_code open_all(serving *s, hone_err *e) {
    const cli_options *o = s->o;
    HONE_TRY(read_token(s, e));
    for (; s->n_tasks < o->n_args; s->n_tasks++)
        HONE_TRY(cli_load_task(o->args[s->n_tasks], &s->tasks[s->n_tasks], e));
    HONE_TRY(cli_open_pool(o, 0, &s->pool, e));
    hone_reward_config c = {.tasks = (const hone_task *const *)s->tasks, .n_tasks = s->n_tasks, .evaluator = hone_evaluator_of_pool(s->pool),
                            .cancel = (void (*)(void *, uint64_t))hone_pool_cancel, .queue = o->queue, .seed = o->has_seed ? o->seed : 1,
                            .job_time_limit_s = o->limit_s, .workers = hone_pool_workers(s->pool)};
    return hone_desk_open(&c, &s->desk, e);
}

static void ready(void *self, unsigned port) {
    const serving *s = self;
    const char *address = s->o->listen ? s->o->listen : "127.0.0.1";
    if (s->o->json)
        cli_print_json(json_pack("{s:s, s:s, s:I, s:O}", "schema", "hone.serve/1", "address", address, "port", (json_int_t)port, "device", hone_pool_device(s->pool)));
    else
        printf("http://%s:%u/v1/reward\n", address, port);
    fflush(stdout);
    if (strncmp(address, "127.", 4) != 0)
        fprintf(stderr, "warning: listening beyond this machine; the token and the kernels travel in the clear\n");
}

int cmd_serve(const cli_options *o) {
    hone_err e = {0};
    if (!o->reward || o->n_args == 0) {
        hone_fail(&e, HONE_E_USAGE, 0, "'hone serve' needs --reward and at least one task file");
        hone_hint(&e, "hone serve --reward matmul.cu --token-file token");
        return cli_error(o, &e);
    }
    serving s = {.o = o};
    hone_code c = open_all(&s, &e);
    if (c == HONE_OK) {
        hone_http_config h = {.listen = o->listen ? o->listen : "127.0.0.1", .port = o->has_port ? o->port : DEFAULT_PORT, .token = s.token,
                              .interrupt = &cli_interrupted, .ready = ready, .self = &s};
        c = hone_http_serve(&h, s.desk, &e);
    }
    hone_desk_close(s.desk);
    if (s.pool)
        hone_pool_close(s.pool);
    for (size_t i = 0; i < s.n_tasks; i++)
        hone_task_free(s.tasks[i]);
    return c == HONE_OK ? EXIT_FINE : cli_error(o, &e);
}
