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
    *p = (cli_progress){.live = isatty(STDERR_FILENO) && !o->quiet, .clock = hone_clock_monotonic(), .style = cli_style_for(o, stderr)};
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

void cli_progress_show(void *self, const hone_search_progress *p) {
    cli_progress *me = self;
    double now = hone_now_s(&me->clock);
    if (!me->live || (me->shown && now - me->last_s < 0.1))
        return;
    me->last_s = now;
    hone_str s;
    hone_str_init(&s, 1024);
    compose(&s, p);
    fprintf(stderr, "\r\033[K%s%.*s%s", me->style.dim, (int)cut(s.s, me->width - 1), s.s, me->style.off);
    fflush(stderr);
    me->shown = 1;
    hone_str_free(&s);
}

void cli_progress_end(cli_progress *p) {
    if (p->shown)
        fprintf(stderr, "\r\033[K");
    p->shown = 0;
}
