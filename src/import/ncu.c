// Reading `ncu --csv`: see ncu.h. Lines before the header (progress that starts with "==", the program's own output) are skipped. Numbers may carry
// thousands separators; "n/a" and empty cells are absent values.
#include "import/ncu.h"
#include "import/csv.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_KERNELS = 4096 };
typedef enum kind { TIME, BYTES, RATE, PERCENT, COUNT, CLOCK } kind;

// ---- tables

static const struct metric { const char *id, *words; kind kind; } metrics[] = {
#define NCU(id, kind, words) {#id, words, kind},
#include "import/ncu_metrics.def"
};
static const struct name { hone_ncu_metric metric; const char *section, *name; } names[] = {
#define NCU_NAME(id, section, name) {HONE_NCU_##id, section, name},
#include "import/ncu_metrics.def"
};

const char *hone_ncu_id(hone_ncu_metric m) { return metrics[m].id; }
const char *hone_ncu_words(hone_ncu_metric m) { return metrics[m].words; }

// section NULL: a name of the raw page.
static int find_metric(const char *section, const char *name) {
    for (size_t i = 0; i < HONE_COUNT(names); i++) {
        const struct name *x = &names[i];
        bool here = section ? *x->section && (!strcmp(x->section, "*") || !strcmp(x->section, section)) : !*x->section;
        if (here && !strcmp(x->name, name))
            return (int)x->metric;
        if (section && !*x->section && !strcmp(x->name, name))
            return (int)x->metric;   // --metrics on the details page: "Command line profiler metrics" under their own names
    }
    return -1;
}

// Units as ncu prints them, before and after 2024 (usecond, us); a decimal prefix may stand before those that take one.
static const struct unit { kind kind; const char *text; double factor; bool prefix; } units[] = {
    {TIME, "nsecond", 1e-3, false}, {TIME, "ns", 1e-3, false}, {TIME, "usecond", 1, false}, {TIME, "us", 1, false}, {TIME, "msecond", 1e3, false},
    {TIME, "ms", 1e3, false}, {TIME, "second", 1e6, false}, {TIME, "s", 1e6, false},
    {BYTES, "byte", 1, true}, {BYTES, "byte/block", 1, true},
    {RATE, "byte/second", 1e-9, true}, {RATE, "byte/s", 1e-9, true},
    {PERCENT, "%", 0.01, false},
    {CLOCK, "hz", 1e-6, true}, {CLOCK, "Hz", 1e-6, true}, {CLOCK, "cycle/second", 1e-6, true}, {CLOCK, "cycle/nsecond", 1e3, false},
    {CLOCK, "cycle/usecond", 1, false}, {CLOCK, "cycle/ns", 1e3, false}, {CLOCK, "cycle/us", 1, false}, {CLOCK, "cycle/s", 1e-6, true},
    {COUNT, "", 1, false}, {COUNT, "inst", 1, true}, {COUNT, "sector", 1, true}, {COUNT, "request", 1, true}, {COUNT, "cycle", 1, true},
    {COUNT, "warp", 1, true}, {COUNT, "thread", 1, true}, {COUNT, "block", 1, true}, {COUNT, "register/thread", 1, false}, {COUNT, "ratio", 1, false},
};

static double prefix_factor(char c) {
    static const char letters[] = "KMGT";
    const char *at = c ? strchr(letters, c) : NULL;
    return at ? pow(1000, (double)(at - letters) + 1) : 0;
}

static bool unit_factor(kind k, const char *unit, double *factor) {
    for (size_t i = 0; i < HONE_COUNT(units); i++) {
        if (units[i].kind != k)
            continue;
        double scale = prefix_factor(*unit);
        if (!strcmp(unit, units[i].text))
            return *factor = units[i].factor, true;
        if (units[i].prefix && scale > 0 && !strcmp(unit + 1, units[i].text))
            return *factor = units[i].factor * scale, true;
    }
    return false;
}

// ---- cells

// "1,234.5" → 1234.5. Separators stand between digits in threes; anything else is no number.
static bool parse_number(const char *s, double *out) {
    char digits[64];
    size_t n = 0, since = 0;
    bool grouped = false, fraction = false;
    for (; *s; s++) {
        if (*s == ',') {
            if (fraction || since == 0 || since > 3 || (grouped && since != 3))
                return false;
            grouped = true;
            since = 0;
            continue;
        }
        if (*s < '0' || *s > '9') {
            if (grouped && !fraction && since != 3)
                return false;
            fraction = true;
        }
        since++;
        if (n + 1 >= sizeof digits || !strchr("0123456789.eE+-", *s))
            return false;
        digits[n++] = *s;
    }
    digits[n] = 0;
    char *end;
    *out = strtod(digits, &end);
    return n && !*end && isfinite(*out) && (!grouped || fraction || since == 3);
}

static bool is_absent(const char *s) { return !*s || !strcmp(s, "n/a") || !strncmp(s, "(!)", 3) || !strcmp(s, "nan") || !strcmp(s, "-nan"); }

// "(128, 64, 1)"
static void parse_shape(const char *s, uint32_t out[3]) {
    unsigned v[3];
    if (sscanf(s, " ( %u , %u , %u )", &v[0], &v[1], &v[2]) == 3)
        for (int i = 0; i < 3; i++)
            out[i] = v[i];
}

// "void ns::reduce<float, 256>(const float *, float *)" → "reduce"
static void plain_name(const char *s, char *out, size_t cap) {
    size_t end = strcspn(s, "(");
    if (!strncmp(s, "(anonymous namespace)::", 23))
        return plain_name(s + 23, out, cap);
    size_t less = strcspn(s, "<");
    if (less < end)
        end = less;
    while (end && s[end - 1] == ' ')
        end--;
    size_t from = end;
    while (from && s[from - 1] != ' ' && s[from - 1] != ':' && s[from - 1] != '*')
        from--;
    snprintf(out, cap, "%.*s", (int)(end - from), s + from);
}

// ---- columns

typedef struct columns { int id, kernel, grid, block, device, section, metric, unit, value; } columns;
typedef struct reader {
    hone_csv csv;
    columns c;
    size_t n_columns;
    int *metric_of;              // raw: per column, -1 for what is no metric of ours
    double *factor_of;
    HONE_VEC(hone_ncu_kernel) kernels;
    char last_id[32];
    size_t last_kernel;
    hone_ncu *out;
} reader;

static int column(const reader *r, const char *name) {
    for (size_t i = 0; i < hone_csv_count(&r->csv); i++)
        if (!strcmp(hone_csv_field(&r->csv, i), name))
            return (int)i;
    return -1;
}

static const char *cell(const reader *r, int c) { return c < 0 ? "" : hone_csv_field(&r->csv, (size_t)c); }

static hone_code read_header(reader *r, hone_err *e) {
    bool more = true;
    while (r->csv.at < r->csv.len && strncmp(r->csv.text + r->csv.at, "\"ID\",", r->csv.len - r->csv.at < 5 ? r->csv.len - r->csv.at : 5) &&
           strncmp(r->csv.text + r->csv.at, "ID,", r->csv.len - r->csv.at < 3 ? r->csv.len - r->csv.at : 3))
        hone_csv_skip_line(&r->csv);
    HONE_TRY(hone_csv_next(&r->csv, &more, e));
    if (!more) {
        hone_fail(e, HONE_E_PARSE, 0, "%s:%u: no header with a column \"ID\": not a table of ncu", r->csv.path, r->csv.line);
        return hone_hint(e, "ncu --csv --page raw --set full PROGRAM > FILE");
    }
    r->n_columns = hone_csv_count(&r->csv);
    r->c = (columns){.id = column(r, "ID"), .kernel = column(r, "Kernel Name"), .grid = column(r, "Grid Size"), .block = column(r, "Block Size"),
                     .device = column(r, "Device"), .section = column(r, "Section Name"), .metric = column(r, "Metric Name"),
                     .unit = column(r, "Metric Unit"), .value = column(r, "Metric Value")};
    if (r->c.kernel < 0)
        return hone_fail(e, HONE_E_PARSE, 0, "%s:%u: no column \"Kernel Name\"", r->csv.path, r->csv.record_line);
    r->out->details = r->c.metric >= 0;
    if (r->out->details && (r->c.unit < 0 || r->c.value < 0))
        return hone_fail(e, HONE_E_PARSE, 0, "%s:%u: a column \"Metric Name\" without \"Metric Unit\" and \"Metric Value\"", r->csv.path, r->csv.record_line);
    return HONE_OK;
}

// A record of the table's width; lines of progress in between are passed over.
static hone_code next_row(reader *r, bool *more, hone_err *e) {
    do {
        while (r->csv.at + 1 < r->csv.len && r->csv.text[r->csv.at] == '=' && r->csv.text[r->csv.at + 1] == '=')
            hone_csv_skip_line(&r->csv);
        HONE_TRY(hone_csv_next(&r->csv, more, e));
    } while (*more && hone_csv_count(&r->csv) == 1 && !*hone_csv_field(&r->csv, 0));
    if (*more && hone_csv_count(&r->csv) != r->n_columns)
        return hone_fail(e, HONE_E_PARSE, 0, "%s:%u: %zu fields where the header has %zu", r->csv.path, r->csv.record_line, hone_csv_count(&r->csv),
                         r->n_columns);
    return HONE_OK;
}

static hone_code bad_unit(const reader *r, int metric, const char *unit, hone_err *e) {
    return hone_fail(e, HONE_E_PARSE, 0, "%s:%u: unit '%.40s' of %s is not known", r->csv.path, r->csv.record_line, unit, metrics[metric].id);
}

// The raw page: which columns are metrics of ours, and the factors that the units row gives them.
static hone_code read_raw_columns(reader *r, hone_err *e) {
    r->metric_of = hone_calloc(r->n_columns, sizeof *r->metric_of);
    r->factor_of = hone_calloc(r->n_columns, sizeof *r->factor_of);
    if (!r->metric_of || !r->factor_of)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory reading '%s'", r->csv.path);
    for (size_t i = 0; i < r->n_columns; i++) {
        const char *name = hone_csv_field(&r->csv, i);
        r->metric_of[i] = find_metric(NULL, name);
        r->out->known += r->metric_of[i] >= 0;
        r->out->unknown += r->metric_of[i] < 0 && strstr(name, "__") != NULL;
    }
    bool more;
    HONE_TRY(next_row(r, &more, e));
    if (!more || *cell(r, r->c.id))
        return hone_fail(e, HONE_E_PARSE, 0, "%s:%u: a row of units is missing below the header", r->csv.path, r->csv.record_line);
    for (size_t i = 0; i < r->n_columns; i++) {
        const char *unit = hone_csv_field(&r->csv, i);
        if (r->metric_of[i] >= 0 && !unit_factor(metrics[r->metric_of[i]].kind, unit, &r->factor_of[i]))
            return bad_unit(r, r->metric_of[i], unit, e);
    }
    return HONE_OK;
}

// ---- rows

static bool same_shape(const uint32_t a[3], const uint32_t b[3]) { return !memcmp(a, b, 3 * sizeof *a); }

// The kernel that this row speaks of; counts an invocation when its ID is new.
// Newer versions put a number there; it tells nothing.
static void put_device(reader *r) {
    const char *name = cell(r, r->c.device);
    bool number = name[strspn(name, "0123456789")] == 0;
    snprintf(r->out->device, sizeof r->out->device, "%s", number ? "" : name);
}

static hone_code row_kernel(reader *r, hone_ncu_kernel **out, hone_err *e) {
    hone_ncu_kernel k = {.invocations = 0};
    plain_name(cell(r, r->c.kernel), k.name, sizeof k.name);
    parse_shape(cell(r, r->c.grid), k.grid);
    parse_shape(cell(r, r->c.block), k.block);
    if (!*k.name)
        return hone_fail(e, HONE_E_PARSE, 0, "%s:%u: no kernel name", r->csv.path, r->csv.record_line);
    size_t i = 0;
    while (i < r->kernels.n && (strcmp(r->kernels.v[i].name, k.name) || !same_shape(r->kernels.v[i].grid, k.grid) || !same_shape(r->kernels.v[i].block, k.block)))
        i++;
    if (i == r->kernels.n && (i == MAX_KERNELS || !hone_vec_push(&r->kernels, k)))
        return hone_fail(e, i == MAX_KERNELS ? HONE_E_LIMIT : HONE_E_NOMEM, 0, "%s:%u: too many kernels", r->csv.path, r->csv.record_line);
    const char *id = cell(r, r->c.id);
    if (!r->out->details || i != r->last_kernel || strcmp(id, r->last_id))   // the raw page has a row per launch
        r->kernels.v[i].invocations++;
    r->last_kernel = i;
    snprintf(r->last_id, sizeof r->last_id, "%s", id);
    if (r->c.device >= 0)
        put_device(r);
    *out = &r->kernels.v[i];
    return HONE_OK;
}

static hone_code add_value(reader *r, hone_ncu_kernel *k, int metric, const char *text, double factor, hone_err *e) {
    double v;
    if (is_absent(text))
        return HONE_OK;
    if (!parse_number(text, &v))
        return hone_fail(e, HONE_E_PARSE, 0, "%s:%u: '%.40s' of %s is no number", r->csv.path, r->csv.record_line, text, metrics[metric].id);
    k->sum[metric] += v * factor;
    k->n[metric]++;
    return HONE_OK;
}

static hone_code raw_row(reader *r, hone_err *e) {
    hone_ncu_kernel *k;
    HONE_TRY(row_kernel(r, &k, e));
    bool seen[HONE_NCU_COUNT] = {false};   // two names of one metric count once
    for (size_t i = 0; i < r->n_columns; i++) {
        int m = r->metric_of[i];
        if (m < 0 || seen[m])
            continue;
        seen[m] = !is_absent(hone_csv_field(&r->csv, i));
        HONE_TRY(add_value(r, k, m, hone_csv_field(&r->csv, i), r->factor_of[i], e));
    }
    return HONE_OK;
}

static hone_code details_row(reader *r, hone_err *e) {
    hone_ncu_kernel *k;
    double factor;
    const char *name = cell(r, r->c.metric), *unit = cell(r, r->c.unit);
    HONE_TRY(row_kernel(r, &k, e));
    int m = find_metric(cell(r, r->c.section), name);
    if (!*name)
        return HONE_OK;   // a rule's message
    *(m < 0 ? &r->out->unknown : &r->out->known) += 1;
    if (m < 0)
        return HONE_OK;
    if (!unit_factor(metrics[m].kind, unit, &factor))
        return bad_unit(r, m, unit, e);
    if (k->n[m] >= k->invocations)
        return HONE_OK;   // the same metric in another section
    return add_value(r, k, m, cell(r, r->c.value), factor, e);
}

static hone_code read_all(reader *r, hone_err *e) {
    HONE_TRY(read_header(r, e));
    if (!r->out->details)
        HONE_TRY(read_raw_columns(r, e));
    for (;;) {
        bool more;
        HONE_TRY(next_row(r, &more, e));
        if (!more)
            break;
        HONE_TRY(r->out->details ? details_row(r, e) : raw_row(r, e));
    }
    if (!r->kernels.n)
        return hone_fail(e, HONE_E_PARSE, 0, "%s:%u: the table has no kernels", r->csv.path, r->csv.line);
    return HONE_OK;
}

hone_code hone_ncu_parse(const char *path, const char *text, size_t len, hone_ncu *out, hone_err *e) {
    memset(out, 0, sizeof *out);
    reader r = {.out = out, .last_kernel = SIZE_MAX};
    if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
        text += 3, len -= 3;
    hone_csv_init(&r.csv, path, text, len);
    hone_code code = read_all(&r, e);
    out->kernels = r.kernels.v;
    out->n = r.kernels.n;
    hone_free(r.metric_of);
    hone_free(r.factor_of);
    hone_csv_free(&r.csv);
    return code;
}

void hone_ncu_free(hone_ncu *x) {
    hone_free(x->kernels);
    memset(x, 0, sizeof *x);
}

const hone_ncu_kernel *hone_ncu_find(const hone_ncu *x, const char *name, const uint32_t grid[3], const uint32_t block[3]) {
    const hone_ncu_kernel *found = NULL;
    for (size_t i = 0; i < x->n; i++) {
        const hone_ncu_kernel *k = &x->kernels[i];
        if (strcmp(k->name, name))
            continue;
        if (same_shape(k->grid, grid) && same_shape(k->block, block))
            return k;
        found = found ? found : k;
    }
    return found;
}
