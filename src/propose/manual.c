// propose/manual: a folder in which people and agents leave candidates while a search runs. See inbox.h. Files are taken in the order of their names;
// one that does not parse or changes the contract is refused here, with the reason beside it, and costs no evaluation. Links are not followed.
#include "propose/inbox.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_TEXT = 4 << 20, MAX_PROMPT = 16 << 20, MAX_PROMPTS = 1000, MAX_NAME = 200, MAX_FILES = 1024, MAX_REASONS = 8 };

struct hone_manual {
    char *dir, *taken;
    const hone_task *task;
    HONE_VEC(char *) busy;           // names handed out and not told yet
    uint64_t prompted;               // hash of the best that the last prompt was about
    bool has_prompt;
    unsigned n_prompts;
    char *reasons[MAX_REASONS];      // why the last ones were refused, oldest first
    size_t n_reasons;
};

static const char *const manual_moves[] = {"file", NULL};
static hone_code propose_nothing(const hone_context *ctx, const hone_candidate *parent, const char *move, size_t n, hone_proposal *out, size_t *got,
                                 hone_err *e) {
    (void)ctx, (void)parent, (void)move, (void)n, (void)out, (void)e;
    *got = 0;
    return HONE_OK;
}
const hone_proposer hone_proposer_manual = {.name = HONE_INBOX_PROPOSER, .moves = manual_moves, .propose = propose_nothing};

static hone_code nomem(hone_err *e) { return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for candidates from files"); }

// ---- files

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static bool is_candidate_name(const char *name) {
    size_t n = strlen(name);
    return n > 3 && n < MAX_NAME && name[0] != '.' && !strcmp(name + n - 3, ".cu");
}

static size_t list_names(const hone_manual *m, hone_arena *arena, char *names[MAX_FILES]) {
    DIR *d = opendir(m->dir);
    size_t n = 0;
    for (struct dirent *x; d && n < MAX_FILES && (x = readdir(d));)
        if (is_candidate_name(x->d_name) && (names[n] = hone_arena_strdup(arena, x->d_name)))
            n++;
    if (d)
        closedir(d);
    qsort(names, n, sizeof *names, by_name);
    return n;
}

static bool is_busy(const hone_manual *m, const char *name) {
    for (size_t i = 0; i < m->busy.n; i++)
        if (!strcmp(m->busy.v[i], name))
            return true;
    return false;
}

// A regular file of bounded size, read whole. false: none, or not now (it is looked at again).
static bool read_regular(const char *path, hone_arena *arena, hone_inbox_item *out) {
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    bool ok = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size <= MAX_TEXT;
    char *text = ok ? hone_arena_alloc(arena, (size_t)st.st_size + 1) : NULL;
    size_t n = 0;
    for (ssize_t got; text && n < (size_t)st.st_size && (got = read(fd, text + n, (size_t)st.st_size - n)) > 0;)
        n += (size_t)got;
    if (fd >= 0)
        close(fd);
    if (!text || n != (size_t)st.st_size)
        return false;
    out->text = text;
    out->len = n;
    return true;
}

// ---- what became of a file

static void add_escaped(hone_str *s, const char *text) {
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            hone_str_addf(s, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            hone_str_addf(s, "\\u%04x", c);
        else
            hone_str_addc(s, (char)c);
    }
}

static void write_note(const hone_manual *m, const char *name, bool has_id, uint64_t id, const char *verdict, const char *line) {
    char *path = hone_path_join(m->taken, name);
    hone_str file, s;
    hone_str_init(&file, 8192);
    hone_str_init(&s, 1 << 16);
    hone_str_addf(&file, "%.*s.json", path ? (int)strlen(path) - 3 : 0, path ? path : "");
    hone_str_add(&s, "{\"schema\": \"hone.taken/1\", \"file\": \"");
    add_escaped(&s, name);
    if (has_id)
        hone_str_addf(&s, "\", \"candidate\": %llu, \"verdict\": \"", (unsigned long long)id);
    else
        hone_str_add(&s, "\", \"verdict\": \"");
    add_escaped(&s, verdict);
    hone_str_add(&s, "\", \"message\": \"");
    add_escaped(&s, line);
    hone_str_add(&s, "\"}\n");
    if (path && !file.failed && !s.failed)
        hone_write_file(file.s, s.s, s.len, NULL);
    hone_str_free(&file);
    hone_str_free(&s);
    hone_free(path);
}

static void forget(hone_manual *m, const char *name) {
    for (size_t i = 0; i < m->busy.n; i++)
        if (!strcmp(m->busy.v[i], name)) {
            hone_free(m->busy.v[i]);
            m->busy.v[i] = m->busy.v[--m->busy.n];
            return;
        }
}

static void keep_reason(hone_manual *m, const char *line) {
    char *own = hone_strdup(line);
    if (own && m->n_reasons == MAX_REASONS) {
        hone_free(m->reasons[0]);
        memmove(m->reasons, m->reasons + 1, (MAX_REASONS - 1) * sizeof *m->reasons);
        m->n_reasons--;
    }
    if (own)
        m->reasons[m->n_reasons++] = own;
}

// The file moves away only now: one that was handed out and never told is handed out again by the next sitting.
static void told(void *self, const char *name, bool has_id, uint64_t id, const char *verdict, const char *line) {
    hone_manual *m = self;
    if (!is_candidate_name(name) || strchr(name, '/'))
        return;
    char *from = hone_path_join(m->dir, name), *to = hone_path_join(m->taken, name);
    if (from && to && hone_is_file(from)) {
        rename(from, to);
        write_note(m, name, has_id, id, verdict, line);
    }
    if (strcmp(verdict, "pass") != 0 && strcmp(verdict, "duplicate") != 0)
        keep_reason(m, line);
    hone_free(from);
    hone_free(to);
    forget(m, name);
}

// ---- taking

// Whether it can be a candidate at all; when not, it was told.
static bool acceptable(hone_manual *m, hone_arena *arena, const hone_inbox_item *x) {
    hone_diags diags = {.arena = arena};
    hone_task *t = NULL;
    hone_err why = {0};
    hone_code c = hone_task_parse(x->name, x->text, x->len, &t, &diags, &why);
    if (c != HONE_OK && diags.n) {
        hone_str s;
        hone_str_init(&s, 1 << 16);
        hone_diags_print(&diags, x->name, x->text, x->len, &s);
        told(m, x->name, false, 0, "parse", s.s);
        hone_str_free(&s);
    } else if (c != HONE_OK) {
        told(m, x->name, false, 0, "parse", why.msg);
    } else if ((c = hone_task_same_contract(m->task, t, &why)) != HONE_OK) {
        told(m, x->name, false, 0, "static.contract", why.msg);
    }
    hone_task_free(t);
    return c == HONE_OK;
}

static hone_code take(void *self, hone_arena *arena, hone_inbox_item *out, bool *got, hone_err *e) {
    hone_manual *m = self;
    char *names[MAX_FILES];
    *got = false;
    size_t n = list_names(m, arena, names);
    for (size_t i = 0; i < n && !*got; i++) {
        if (is_busy(m, names[i]))
            continue;
        *out = (hone_inbox_item){.name = names[i]};
        char *path = hone_path_join(m->dir, names[i]);
        bool there = path && read_regular(path, arena, out) && acceptable(m, arena, out);
        hone_free(path);
        if (!there)
            continue;
        char *own = hone_strdup(names[i]);
        if (!own || !hone_vec_push(&m->busy, own)) {
            hone_free(own);
            return nomem(e);
        }
        *got = true;
    }
    return HONE_OK;
}

// ---- prompts

static void write_prompt(hone_manual *m, const hone_context *ctx, const hone_candidate *best) {
    char name[32];
    const hone_candidate *base = ctx->n_history ? ctx->history[0] : NULL;
    hone_prompt_input in = {.task_text = m->task->text, .parent_text = best->id ? best->text : NULL, .facts = best->facts, .findings = (const char *const *)m->reasons,
                            .n_findings = m->n_reasons};
    in.parent_speedup = best->id && base && base->ok && best->cost > 0 ? base->cost / best->cost : 0;
    hone_str s;
    hone_str_init(&s, MAX_PROMPT);
    hone_prompt_write(&in, &s);
    hone_str_addf(&s, "\nSave the file as `%s/NAME.cu`; write it under another ending first and rename it. What became of it is told in `%s/NAME.json`.\n", m->dir,
                  m->taken);
    snprintf(name, sizeof name, "prompt-%u.md", m->n_prompts + 1);
    char *path = hone_path_join(m->dir, name);
    if (path && !s.failed && hone_write_file(path, s.s, s.len, NULL) == HONE_OK)
        m->n_prompts++;
    hone_free(path);
    hone_str_free(&s);
}

static void brief(void *self, const hone_context *ctx) {
    hone_manual *m = self;
    if (!ctx->n_population || m->n_prompts >= MAX_PROMPTS)
        return;
    const hone_candidate *best = ctx->population[0];
    uint64_t key = hone_hash64(best->hash, strlen(best->hash), 0);
    if (m->has_prompt && key == m->prompted)
        return;
    m->has_prompt = true;
    m->prompted = key;
    write_prompt(m, ctx, best);
}

// ---- life

// Goes on after the prompts of earlier sittings.
static void count_prompts(hone_manual *m) {
    for (; m->n_prompts < MAX_PROMPTS; m->n_prompts++) {
        char name[32];
        snprintf(name, sizeof name, "prompt-%u.md", m->n_prompts + 1);
        char *path = hone_path_join(m->dir, name);
        bool there = path && hone_is_file(path);
        hone_free(path);
        if (!there)
            return;
    }
}

hone_code hone_manual_open(const char *dir, const hone_task *task, hone_manual **out, hone_err *e) {
    hone_manual *m = hone_calloc(1, sizeof *m);
    *out = NULL;
    if (!m)
        return nomem(e);
    m->task = task;
    m->dir = hone_strdup(dir);
    m->taken = hone_path_join(dir, "taken");
    hone_code c = m->dir && m->taken ? hone_mkdirs(m->taken, e) : nomem(e);
    if (c != HONE_OK) {
        hone_manual_close(m);
        return c;
    }
    count_prompts(m);
    *out = m;
    return HONE_OK;
}

void hone_manual_close(hone_manual *m) {
    if (!m)
        return;
    for (size_t i = 0; i < m->busy.n; i++)
        hone_free(m->busy.v[i]);
    hone_vec_free(&m->busy);
    for (size_t i = 0; i < m->n_reasons; i++)
        hone_free(m->reasons[i]);
    hone_free(m->dir);
    hone_free(m->taken);
    hone_free(m);
}

hone_inbox hone_manual_inbox(hone_manual *m) { return (hone_inbox){m, take, told, brief}; }
