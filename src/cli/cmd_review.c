// hone review: what a person needs to decide about a candidate, and the decision. Shows the diff, the evidence, what was not tested and the findings;
// records approve, reject or comment with a reason. Texts of a candidate are shown with nothing hidden (review/visible.c): a kernel's comment cannot
// move the cursor, reorder lines or print an approval of its own.
#include "base/visible.h"
#include "cli/archive.h"
#include "report/report.h"
#include "review/review.h"
#include <pwd.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CONTEXT_LINES = 3, MAX_DIFF_BYTES = 32 << 20, MAX_ANSWER = HONE_REVIEW_MAX_REASON + 2 };

typedef struct review {
    const cli_options *o;
    cli_archive a;
    const cli_row *row;
    char *text, *baseline;             // tune values filled in
    char sha[HONE_HASH_HEX], task_hash[HONE_HASH_HEX];
    const json_t *outcome;             // the confirmation when there is one
    bool confirmed;
    json_t *untested, *device;
    hone_str diff;
    hone_review_log log;
} review;

static void review_free(review *r) {
    hone_free(r->text);
    hone_free(r->baseline);
    json_decref(r->untested);
    json_decref(r->device);
    hone_str_free(&r->diff);
    hone_review_log_free(&r->log);
    cli_archive_close(&r->a);
}

// ---- loading

static hone_code make_diff(review *r, hone_err *e) {
    char *a = hone_visible(r->baseline, strlen(r->baseline)), *b = hone_visible(r->text, strlen(r->text));
    hone_code c = a && b ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for the diff");
    char name[64];
    snprintf(name, sizeof name, "candidate %llu", (unsigned long long)r->row->id);
    if (c == HONE_OK && strcmp(a, b) != 0)
        c = hone_report_diff(a, b, "baseline", name, CONTEXT_LINES, !r->o->json && cli_color(r->o, stdout), &r->diff, e);
    hone_free(a);
    hone_free(b);
    return c == HONE_OK ? hone_str_check(&r->diff, "the diff", e) : c;
}

static void load_untested(review *r) {
    hone_diags diags = {.arena = hone_arena_new(4 << 20)};
    hone_task *t = NULL;
    hone_err ignored = {0};
    if (diags.arena && hone_task_parse("candidate.cu", r->text, strlen(r->text), &t, &diags, &ignored) != HONE_OK)
        t = NULL;
    r->untested = hone_review_untested(r->outcome, r->device, t, r->confirmed);
    hone_task_free(t);
    hone_arena_free(diags.arena);
}

static hone_code load(review *r, hone_err *e) {
    const cli_options *o = r->o;
    HONE_TRY(cli_archive_find(&r->a, o->n_args == 2 ? o->args[1] : "best", &r->row, e));
    HONE_TRY(cli_row_text(r->row, &r->text, e));
    HONE_TRY(cli_row_text(&r->a.rows[0], &r->baseline, e));
    hone_sha256_hex(r->text, strlen(r->text), r->sha);
    hone_sha256_hex(r->a.rows[0].text, strlen(r->a.rows[0].text), r->task_hash);   // the baseline's row holds the task's text as it is
    r->confirmed = r->a.has_best && r->row->id == r->a.best && r->a.confirmation;
    const cli_row *of = r->row->duplicate ? cli_archive_row(&r->a, r->row->duplicate_of) : r->row;
    r->outcome = r->confirmed ? r->a.confirmation : of ? of->outcome : NULL;
    const json_t *device = json_object_get(r->outcome, "device");
    r->device = device ? json_deep_copy(device) : json_object();
    load_untested(r);
    HONE_TRY(make_diff(r, e));
    return hone_review_read(o->args[0], &r->log, e);
}

// ---- showing

static void print_visible(const char *s) {
    char *v = hone_visible(s ? s : "", s ? strlen(s) : 0);
    for (const char *p = v ? v : ""; *p; p++)
        if (*p == '\n')
            fputs("\n    ", stdout);
        else
            putchar(*p);
    hone_free(v);
}

static void print_evidence(const review *r, const cli_style *st) {
    char t[32], lo[32], hi[32];
    size_t i;
    json_t *s;
    const cli_row *x = r->row;
    printf("%sevidence%s\n", st->bold, st->off);
    if (x->has_time)
        printf("  time      %s (%s, %s … %s), %.2f× the baseline's speed: %s\n", cli_time_text(x->timing.time_us, t),
               x->timing.modelled ? "modelled" : "measured", cli_time_text(x->timing.lo_us, lo), cli_time_text(x->timing.hi_us, hi),
               cli_row_speedup(&r->a, x), cli_row_verdict(&r->a, x));
    printf("  stages   ");
    json_array_foreach(json_object_get(r->outcome, "stages"), i, s)
        printf(" %s %s", json_string_value(json_object_get(s, "name")), json_string_value(json_object_get(s, "status")));
    const json_t *check = json_object_get(r->outcome, "check");
    printf("\n  tests     %lld cases, %lld runs%s\n", (long long)json_integer_value(json_object_get(check, "cases")),
           (long long)json_integer_value(json_object_get(check, "runs")), r->confirmed ? ", again with fresh inputs" : "");
    if (x->has_resources)
        printf("  resources %u registers, %u B static shared memory, %u B spilled per thread\n", x->registers, x->static_shared_bytes, x->spill_bytes);
    printf("  origin    %s%s%s: ", x->proposer, *x->move ? "/" : "", x->move);
    print_visible(x->note);
    printf("\n  text      sha256 %s\n", r->sha);
}

static void print_list(const char *title, const json_t *list, const cli_style *st) {
    size_t i;
    json_t *x;
    printf("%s%s%s\n", st->bold, title, st->off);
    json_array_foreach((json_t *)(uintptr_t)list, i, x) {
        printf("  - ");
        print_visible(json_is_string(x) ? json_string_value(x) : json_string_value(json_object_get(x, "kind")));
        if (json_is_object(x)) {
            printf(": ");
            print_visible(json_string_value(json_object_get(x, "message")));
        }
        putchar('\n');
    }
    if (!json_array_size(list))
        printf("  none\n");
}

static void print_entry(const json_t *x) {
    printf("  %s  %-7s candidate %lld  %.12s…  ", json_string_value(json_object_get(x, "time")), json_string_value(json_object_get(x, "action")),
           (long long)json_integer_value(json_object_get(x, "candidate")), json_string_value(json_object_get(x, "text_sha256")));
    print_visible(json_string_value(json_object_get(x, "by")));
    printf(": ");
    print_visible(json_string_value(json_object_get(x, "reason")));
    putchar('\n');
}

static const char *standing(const review *r) {
    const json_t *x = hone_review_decision(&r->log, r->sha, r->task_hash);
    if (r->log.broken_line)
        return "log broken";
    return !x ? "not reviewed" : !strcmp(json_string_value(json_object_get(x, "action")), "approve") ? "approved" : "rejected";
}

static void print_all(const review *r) {
    cli_style st = cli_style_for(r->o, stdout);
    fputs(r->diff.len ? r->diff.s : "the candidate has the baseline's text\n", stdout);
    putchar('\n');
    print_evidence(r, &st);
    print_list("not tested", r->untested, &st);
    print_list("findings", r->row->findings, &st);
    printf("%sdecisions on this text%s: %s\n", st.bold, st.off, standing(r));
    size_t i;
    json_t *x;
    json_array_foreach(r->log.entries, i, x)
        if (!strcmp(json_string_value(json_object_get(x, "text_sha256")), r->sha))
            print_entry(x);
}

static json_t *review_json(const review *r, const char *recorded) {
    json_t *j = json_pack("{s:s, s:s, s:o, s:s, s:s, s:s, s:s, s:b, s:O}", "schema", "hone.reviewed/1", "folder", r->o->args[0], "candidate",
                          cli_row_json(&r->a, r->row), "text_sha256", r->sha, "task_hash", r->task_hash, "standing", standing(r), "diff",
                          r->diff.s, "confirmed", (int)r->confirmed, "not_tested", r->untested);
    if (j && recorded)
        json_object_set_new(j, "recorded", json_string(recorded));
    return j;
}

// ---- deciding

static bool ask(const char *question, char *answer, size_t size) {
    printf("%s", question);
    fflush(stdout);
    if (!fgets(answer, (int)size, stdin))
        return false;
    answer[strcspn(answer, "\n")] = 0;
    return *answer != 0;
}

static const char *default_name(void) {
    const struct passwd *p = getpwuid(getuid());
    return p && p->pw_name ? p->pw_name : "";
}

static hone_code record(review *r, hone_review_action action, const char *by, const char *reason, hone_err *e) {
    char when[32];
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    if (action == HONE_REVIEW_APPROVE && !r->row->ok) {
        hone_fail(e, HONE_E_USAGE, 0, "candidate %llu was refused: %s", (unsigned long long)r->row->id, cli_row_verdict(&r->a, r->row));
        return hone_hint(e, "a candidate that failed its evaluation cannot be approved");
    }
    hone_review_entry x = {action, r->row->id, r->sha, r->task_hash, by, reason, when};
    HONE_TRY(hone_review_append(r->o->args[0], &x, e));
    hone_review_log_free(&r->log);
    return hone_review_read(r->o->args[0], &r->log, e);
}

static void print_recorded(const review *r, hone_review_action action, const char *by) {
    printf("candidate %llu: %s by ", (unsigned long long)r->row->id, hone_review_action_name(action));
    print_visible(by);
    printf(" is recorded; the text is %s\n", standing(r));
}

static int interactive(review *r) {
    char choice[16], reason[MAX_ANSWER], name[HONE_REVIEW_MAX_NAME + 2], question[256];
    hone_err e = {0};
    if (!ask("\n[a]pprove, [r]eject, [c]omment or [q]uit? ", choice, sizeof choice))
        return EXIT_FINE;
    const char *at = strchr("arc", choice[0]);
    if (!at)
        return EXIT_FINE;
    snprintf(question, sizeof question, "your name [%s]: ", r->o->by ? r->o->by : default_name());
    if (!ask(question, name, sizeof name))
        snprintf(name, sizeof name, "%s", r->o->by ? r->o->by : default_name());
    if (!ask("reason: ", reason, sizeof reason)) {
        hone_fail(&e, HONE_E_USAGE, 0, "a review needs a reason; nothing was recorded");
        return cli_error(r->o, &e);
    }
    if (record(r, (hone_review_action)(at - "arc"), name, reason, &e) != HONE_OK)
        return cli_error(r->o, &e);
    print_recorded(r, (hone_review_action)(at - "arc"), name);
    return EXIT_FINE;
}

static int decide(review *r) {
    const cli_options *o = r->o;
    hone_err e = {0};
    hone_review_action action = o->approve ? HONE_REVIEW_APPROVE : o->reject ? HONE_REVIEW_REJECT : HONE_REVIEW_COMMENT;
    const char *by = o->by ? o->by : isatty(STDIN_FILENO) ? default_name() : "";
    if (record(r, action, by, o->reason, &e) != HONE_OK)
        return cli_error(o, &e);
    if (o->json)
        cli_print_json(review_json(r, hone_review_action_name(action)));
    else
        print_recorded(r, action, by);
    return EXIT_FINE;
}

static int review_one(review *r) {
    const cli_options *o = r->o;
    hone_err e = {0};
    if (load(r, &e) != HONE_OK)
        return cli_error(o, &e);
    if (o->approve || o->reject || o->comment)
        return decide(r);
    if (o->json) {
        cli_print_json(review_json(r, NULL));
        return EXIT_FINE;
    }
    print_all(r);
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) ? interactive(r) : EXIT_FINE;
}

// ---- the log

static int show_log(const cli_options *o) {
    hone_err e = {0};
    hone_review_log l = {0};
    hone_code c = cli_need_folder(o->args[0], &e);
    if (c == HONE_OK)
        c = hone_review_read(o->args[0], &l, &e);
    if (c != HONE_OK)
        return cli_error(o, &e);
    bool whole = !l.broken_line;
    if (o->json) {
        json_t *j = json_pack("{s:s, s:s, s:b, s:s, s:O}", "schema", "hone.reviews/1", "folder", o->args[0], "whole", (int)whole, "head", l.head, "entries",
                              l.entries);
        if (!whole)
            json_object_set_new(j, "broken", json_pack("{s:I, s:s}", "line", (json_int_t)l.broken_line, "why", l.why));
        cli_print_json(j);
    } else {
        size_t i;
        json_t *x;
        json_array_foreach(l.entries, i, x) print_entry(x);
        if (whole)
            printf("%zu decisions and comments; the chain holds, its last hash is %s\n", json_array_size(l.entries), l.head);
        else
            printf("BROKEN at line %zu of reviews.jsonl: %s\n", l.broken_line, l.why);
    }
    hone_review_log_free(&l);
    return whole ? EXIT_FINE : EXIT_WRONG;
}

static hone_code check_usage(const cli_options *o, hone_err *e) {
    unsigned actions = (unsigned)o->approve + o->reject + o->comment;
    if (o->n_args < 1 || o->n_args > 2 || (o->log && (actions || o->n_args > 1))) {
        hone_fail(e, HONE_E_USAGE, 0, "'hone review' needs a result folder and at most one candidate, or --log");
        return hone_hint(e, "hone review matmul.hone");
    }
    if (actions > 1 || (!actions && o->reason))
        return hone_fail(e, HONE_E_USAGE, 0, "give one of --approve, --reject and --comment, with --reason");
    return actions && !o->reason ? hone_fail(e, HONE_E_USAGE, 0, "a decision needs --reason TEXT") : HONE_OK;
}

int cmd_review(const cli_options *o) {
    hone_err e = {0};
    if (check_usage(o, &e) != HONE_OK)
        return cli_error(o, &e);
    if (o->log)
        return show_log(o);
    review r = {.o = o};
    if (cli_archive_open(o->args[0], &r.a, &e) != HONE_OK)
        return cli_error(o, &e);
    hone_str_init(&r.diff, MAX_DIFF_BYTES);
    int code = review_one(&r);
    review_free(&r);
    return code;
}
