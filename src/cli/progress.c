// The live progress line; see progress.h. Redrawn in place, at most ten times a second, cut to the terminal's width.
#include "cli/progress.h"
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static unsigned terminal_width(void) {
    struct winsize w;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col : 80;
}

void cli_progress_start(cli_progress *p, const cli_options *o) {
    *p = (cli_progress){.live = isatty(STDERR_FILENO) && !o->quiet && !o->progress, .lines = o->progress != NULL, .clock = hone_clock_monotonic(), .style = cli_style_for(o, stderr)};
    p->width = terminal_width();
}

// Bytes of s that fill at most `columns` columns; UTF-8 continuation bytes take none.
static size_t cut(const char *s, unsigned columns) {
    size_t i = 0;
    for (unsigned n = 0; s[i]; i++) {
        if (((unsigned char)s[i] & 0xc0) != 0x80 && n++ == columns)
            break;
    }
    return i;
}

static void add_eta(hone_str *s, const hone_search_progress *p) {
    if (!p->has_eta)
        return;
    unsigned left = (unsigned)(p->eta_s + 0.5);
    hone_str_addf(s, "  ETA %u:%02u", left / 60, left % 60);
}

static void compose(hone_str *s, const hone_search_progress *p) {
    char time[32];
    hone_str_addf(s, "%u", p->evaluations);
    if (p->evaluations_limit)
        hone_str_addf(s, "/%u", p->evaluations_limit);
    if (p->has_best)
        hone_str_addf(s, "  best %s (%.2f×)", cli_time_text(p->best_us, time), p->speedup);
    else if (p->has_baseline)
        hone_str_addf(s, "  baseline %s", cli_time_text(p->baseline_us, time));
    if (p->rate_per_s > 0)
        hone_str_addf(s, "  %.1f/s", p->rate_per_s);
    add_eta(s, p);
    if (p->replaying)
        hone_str_add(s, "  replaying the archive");
    else if (p->confirming)
        hone_str_add(s, "  confirming the best");
    else if (p->move)
        hone_str_addf(s, "  %s", p->note && *p->note ? p->note : p->move);
}

static void show_line(cli_progress *me, const hone_search_progress *p) {
    double now = hone_now_s(&me->clock);
    if (me->shown && now - me->last_s < 0.2)
        return;
    me->last_s = now;
    me->shown = 1;
    json_t *j = json_pack("{s:s, s:I, s:I, s:I, s:f, s:b, s:b}", "schema", "hone.progress/1", "evaluations", (json_int_t)p->evaluations, "limit",
                          (json_int_t)p->evaluations_limit, "refused", (json_int_t)p->refused, "elapsed_s", p->elapsed_s, "replaying", (int)p->replaying,
                          "confirming", (int)p->confirming);
    if (p->has_baseline)
        json_object_set_new(j, "baseline_us", json_real(p->baseline_us));
    if (p->has_best)
        json_object_update_new(j, json_pack("{s:f, s:f, s:I}", "best_us", p->best_us, "speedup", p->speedup, "best", (json_int_t)p->best_id));
    if (p->note)
        json_object_set_new(j, "note", json_string(p->note));
    if (json_dumpf(j, stderr, JSON_COMPACT | JSON_REAL_PRECISION(9)) == 0)
        fputc('\n', stderr);
    fflush(stderr);
    json_decref(j);
}

void cli_progress_show(void *self, const hone_search_progress *p) {
    cli_progress *me = self;
    double now = hone_now_s(&me->clock);
    if (me->lines)
        show_line(me, p);
    if (!me->live || (me->shown && now - me->last_s < 0.1))
        return;
    me->last_s = now;
    hone_str s;
    hone_str_init(&s, 1024);
    compose(&s, p);
    if (me->more) {
        char text[160];
        me->more(me->more_self, text, sizeof text);
        hone_str_addf(&s, "%s%s", *text ? "  · " : "", text);
    }
    fprintf(stderr, "\r\033[K%s%.*s%s", me->style.dim, (int)cut(s.s, me->width - 1), s.s, me->style.off);
    fflush(stderr);
    me->shown = 1;
    hone_str_free(&s);
}

void cli_progress_end(cli_progress *p) {
    if (p->shown && p->live)
        fprintf(stderr, "\r\033[K");
    p->shown = 0;
}
