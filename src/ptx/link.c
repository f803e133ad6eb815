// The PTX linker works on text: it cuts each module into its top-level statements, decides by name and linkage (PTX ISA 11.6: .extern, .visible, .weak,
// .common) which of them stay, and writes them in an order in which each name is declared before it is used: directives, variables, function
// declarations, functions. Names without linkage belong to their module: in all but the first they get a suffix. So do the numbers of .file.
#include "ptx/link.h"
#include "base/base.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX ((size_t)256 << 20)
enum { MODULES_MAX = 4096 };
typedef enum item_kind { ITEM_HEADER, ITEM_FILE, ITEM_OTHER, ITEM_VARIABLE, ITEM_FUNCTION } item_kind;
typedef enum item_linkage { LINK_NONE, LINK_EXTERN, LINK_WEAK, LINK_VISIBLE } item_linkage;
typedef struct item {
    item_kind kind;
    item_linkage linkage;
    bool defines, shared;      // shared: .extern .shared, the dynamic shared memory
    bool dropped;
    size_t module;
    hone_span text, name;
} item;
typedef HONE_VEC(item) items;
typedef HONE_VEC(hone_span) names;
typedef struct linker {
    items all;
    names *local;              // (n) names without linkage, sorted
    unsigned *file_base, files; // (n) added to the numbers of .file; how many so far
    unsigned sm;
    double version;
    hone_span target;          // of the header that is kept
    hone_err *e;
} linker;

// ---- tokens

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_' || c == '$' || c == '%' || c == '.'; }

// Behind the token at p: a word with its dots, a string, a comment, or one character.
static const char *token_end(const char *p) {
    if (p[0] == '/' && p[1] == '/')
        return p + strcspn(p, "\n");
    if (p[0] == '/' && p[1] == '*') {
        const char *end = strstr(p + 2, "*/");
        return end ? end + 2 : p + strlen(p);
    }
    if (*p == '"') {
        for (p++; *p && *p != '"'; p++)
            p += *p == '\\' && p[1];
        return *p ? p + 1 : p;
    }
    if (!is_word(*p))
        return p + 1;
    for (p++; is_word(*p) && *p != '.'; p++)   // a dot begins a new word: ".visible.entry"
        ;
    return p;
}
static bool is_blank(const char *p) { return isspace((unsigned char)*p) || (p[0] == '/' && (p[1] == '/' || p[1] == '*')); }
static const char *skip_blank(const char *p) {
    while (*p && is_blank(p))
        p = isspace((unsigned char)*p) ? p + 1 : token_end(p);
    return p;
}

// ---- statements

static item_kind kind_of(hone_span first) {
    static const char *const header[] = {".version", ".target", ".address_size"};
    for (size_t i = 0; i < HONE_COUNT(header); i++)
        if (hone_span_eq(first, header[i]))
            return ITEM_HEADER;
    return hone_span_eq(first, ".file") ? ITEM_FILE : hone_span_eq(first, ".section") || hone_span_eq(first, ".pragma") ? ITEM_OTHER : ITEM_VARIABLE;
}

static void see_word(item *x, hone_span w, int depth) {
    if (hone_span_eq(w, ".func") || hone_span_eq(w, ".entry"))
        x->kind = ITEM_FUNCTION;
    else if (hone_span_eq(w, ".alias"))
        x->kind = ITEM_OTHER;
    else if (hone_span_eq(w, ".extern"))
        x->linkage = LINK_EXTERN;
    else if (hone_span_eq(w, ".visible"))
        x->linkage = LINK_VISIBLE;
    else if (hone_span_eq(w, ".weak") || hone_span_eq(w, ".common"))
        x->linkage = LINK_WEAK;
    else if (hone_span_eq(w, ".shared"))
        x->shared = true;
    else if (!x->name.n && depth == 0 && (isalpha((unsigned char)w.s[0]) || strchr("_$%", w.s[0])))
        x->name = w;
}

// Reads the statement at p; returns what lies behind it, NULL when it does not end.
static const char *read_statement(const char *p, item *x) {
    const char *start = p;
    const char *end = token_end(p);
    x->kind = kind_of((hone_span){p, (size_t)(end - p)});
    if (x->kind == ITEM_HEADER || x->kind == ITEM_FILE) {
        end = p + strcspn(p, "\n");
        x->text = (hone_span){start, (size_t)(end - start)};
        return end;
    }
    bool body = false, initialiser = false;
    for (int depth = 0; *p; p = skip_blank(end)) {
        end = token_end(p);
        if (is_word(*p) && !body && !initialiser)
            see_word(x, (hone_span){p, (size_t)(end - p)}, depth);
        initialiser |= *p == '=' && depth == 0;
        body |= *p == '{' && !initialiser;
        depth += (*p == '{' || *p == '(') - (*p == '}' || *p == ')');
        if (depth < 0)
            return NULL;
        if (depth == 0 && (*p == ';' || (*p == '}' && !initialiser))) {
            x->text = (hone_span){start, (size_t)(end - start)};
            x->defines = x->kind == ITEM_FUNCTION ? body : x->linkage != LINK_EXTERN;
            return end;
        }
    }
    return NULL;
}

static hone_code cut(linker *k, const char *text, size_t module) {
    for (const char *p = skip_blank(text); *p; p = skip_blank(p)) {
        item x = {.module = module};
        const char *start = p;
        p = read_statement(p, &x);
        if (!p)
            return hone_fail(k->e, HONE_E_PARSE, 0, "cannot link module %zu: no end of the statement '%.40s'", module + 1, start);
        if (x.kind >= ITEM_VARIABLE && !x.name.n)
            return hone_fail(k->e, HONE_E_PARSE, 0, "cannot link module %zu: no name in the statement '%.40s'", module + 1, start);
        if (!hone_vec_push(&k->all, x))
            return hone_fail(k->e, HONE_E_NOMEM, 0, "no memory to link");
    }
    return HONE_OK;
}

// ---- headers: the newest version and target win

static void read_header(linker *k, const item *x) {
    const char *p = x->text.s;
    if (strncmp(p, ".version", 8) == 0) {
        const double v = strtod(p + 8, NULL);
        k->version = v > k->version ? v : k->version;
    } else if (strncmp(p, ".target", 7) == 0) {
        const char *sm = strstr(p, "sm_");
        const unsigned n = sm && sm < p + x->text.n ? (unsigned)strtoul(sm + 3, NULL, 10) : 0;
        if (n >= k->sm || !k->target.n) {
            k->sm = n;
            k->target = x->text;
        }
    }
}

static unsigned file_number(const item *x) { return (unsigned)strtoul(x->text.s + strlen(".file"), NULL, 10); }

static int by_name(const void *a, const void *b) {
    const hone_span *x = a, *y = b;
    const int c = memcmp(x->s, y->s, x->n < y->n ? x->n : y->n);
    return c ? c : x->n < y->n ? -1 : x->n > y->n;
}

static hone_code survey(linker *k, size_t n) {
    unsigned most = 0;
    size_t module = 0;
    for (size_t i = 0; i < k->all.n; i++) {
        const item *x = &k->all.v[i];
        if (x->module != module) {
            k->files += most;
            most = 0;
            module = x->module;
        }
        k->file_base[module] = k->files;
        if (x->kind == ITEM_HEADER)
            read_header(k, x);
        if (x->kind == ITEM_FILE && file_number(x) > most)
            most = file_number(x);
        const bool named = x->kind >= ITEM_VARIABLE && x->linkage == LINK_NONE;
        if (named && module && !hone_vec_push(&k->local[module], x->name))
            return hone_fail(k->e, HONE_E_NOMEM, 0, "no memory to link");
    }
    for (size_t i = 0; i < n; i++)
        if (k->local[i].n)
            qsort(k->local[i].v, k->local[i].n, sizeof *k->local[i].v, by_name);
    return HONE_OK;
}

// ---- resolution

static int by_identity(const void *a, const void *b) {   // same names together; the definition to keep first
    const item *x = *(const item *const *)a, *y = *(const item *const *)b;
    const int c = by_name(&x->name, &y->name);
    if (c)
        return c;
    if (x->defines != y->defines)
        return x->defines ? -1 : 1;
    if (x->linkage != y->linkage)
        return x->linkage > y->linkage ? -1 : 1;
    return x < y ? -1 : x > y;
}

static hone_code settle(linker *k, item **group, size_t n) {
    bool declared = false;
    for (size_t i = 0; i < n; i++) {
        item *x = group[i];
        if (x->defines && i && group[0]->linkage != LINK_WEAK && x->linkage != LINK_WEAK)
            return hone_fail(k->e, HONE_E_PARSE, 0, "cannot link: '%.*s' is defined in module %zu and in module %zu", (int)x->name.n, x->name.s,
                             group[0]->module + 1, x->module + 1);
        if (x->defines)
            x->dropped = i > 0;
        else   // one declaration: of a function, and of a variable that nobody defines
            x->dropped = declared || (group[0]->defines && x->kind == ITEM_VARIABLE);
        declared |= !x->defines;
    }
    return HONE_OK;
}

static hone_code resolve(linker *k) {
    item **order = hone_calloc(k->all.n ? k->all.n : 1, sizeof *order);
    if (!order)
        return hone_fail(k->e, HONE_E_NOMEM, 0, "no memory to link");
    size_t n = 0;
    for (size_t i = 0; i < k->all.n; i++)
        if (k->all.v[i].kind >= ITEM_VARIABLE && k->all.v[i].linkage != LINK_NONE)
            order[n++] = &k->all.v[i];
    qsort(order, n, sizeof *order, by_identity);
    hone_code r = HONE_OK;
    for (size_t i = 0, end; i < n && r == HONE_OK; i = end) {
        for (end = i + 1; end < n && by_name(&order[i]->name, &order[end]->name) == 0;)
            end++;
        r = settle(k, order + i, end - i);
    }
    hone_free(order);
    return r;
}

// ---- output

// Writes a statement with local names renamed and file numbers moved. as_visible: a declaration of what another module defines.
static void write_item(const linker *k, const item *x, hone_str *out) {
    const names *local = &k->local[x->module];
    const unsigned base = k->file_base[x->module];
    bool number = false;   // the next word is a number of a .file
    for (const char *p = x->text.s, *stop = p + x->text.n; p < stop;) {
        const char *end = isspace((unsigned char)*p) ? p + 1 : token_end(p);
        const hone_span w = {p, (size_t)(end - p)};
        if (number && isdigit((unsigned char)*p)) {
            hone_str_addf(out, "%lu", strtoul(p, NULL, 10) + base);
            number = false;
        } else {
            hone_str_addn(out, p, w.n);
            if (local->n && is_word(*p) && bsearch(&w, local->v, local->n, sizeof w, by_name))
                hone_str_addf(out, "$m%zu", x->module);
            number = number ? isspace((unsigned char)*p) : base && (hone_span_eq(w, ".file") || hone_span_eq(w, ".loc") || hone_span_eq(w, "inlined_at"));
        }
        p = end;
    }
    hone_str_addc(out, '\n');
}

// A declaration of what another module defines is no longer external.
static void write_declaration(const linker *k, item *x, bool defined, hone_str *out) {
    const size_t extern_bytes = strlen(".extern");
    if (defined && x->text.n > extern_bytes && strncmp(x->text.s, ".extern", extern_bytes) == 0) {
        hone_str_add(out, ".visible");
        x->text = (hone_span){x->text.s + extern_bytes, x->text.n - extern_bytes};
    }
    write_item(k, x, out);
}

static bool is_defined(const linker *k, hone_span name) {
    for (size_t i = 0; i < k->all.n; i++)
        if (k->all.v[i].kind == ITEM_FUNCTION && k->all.v[i].defines && by_name(&k->all.v[i].name, &name) == 0)
            return true;
    return false;
}

static hone_code write_all(linker *k, char **text, size_t *len) {
    hone_str out;
    hone_str_init(&out, TEXT_MAX);
    hone_str_addf(&out, ".version %.1f\n%.*s\n.address_size 64\n", k->version, (int)k->target.n, k->target.s);
    static const struct { item_kind kind; bool defines; } passes[] = {{ITEM_FILE, false}, {ITEM_VARIABLE, false}, {ITEM_FUNCTION, false}, {ITEM_VARIABLE, true},
                                                                      {ITEM_OTHER, false}, {ITEM_OTHER, true}, {ITEM_FUNCTION, true}};
    for (size_t p = 0; p < HONE_COUNT(passes); p++)
        for (size_t i = 0; i < k->all.n; i++) {
            item *x = &k->all.v[i];
            if (x->dropped || x->kind != passes[p].kind || x->defines != passes[p].defines)
                continue;
            if (x->kind == ITEM_FUNCTION && !x->defines)
                write_declaration(k, x, is_defined(k, x->name), &out);
            else
                write_item(k, x, &out);
        }
    const hone_code r = hone_str_check(&out, "linked PTX", k->e);
    if (r == HONE_OK) {
        *len = out.len;
        *text = hone_str_take(&out);
    }
    hone_str_free(&out);
    return r;
}

hone_code ptx_link(const char *const *texts, size_t n, char **out, size_t *len, hone_err *e) {
    if (!n || n > MODULES_MAX)
        return hone_fail(e, HONE_E_LIMIT, 0, "cannot link %zu modules", n);
    linker k = {.e = e, .local = hone_calloc(n, sizeof *k.local), .file_base = hone_calloc(n, sizeof *k.file_base)};
    hone_code r = k.local && k.file_base ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "no memory to link");
    for (size_t i = 0; i < n && r == HONE_OK; i++)
        r = cut(&k, texts[i], i);
    if (r == HONE_OK)
        r = survey(&k, n);
    if (r == HONE_OK)
        r = resolve(&k);
    if (r == HONE_OK)
        r = write_all(&k, out, len);
    for (size_t i = 0; k.local && i < n; i++)
        hone_vec_free(&k.local[i]);
    hone_vec_free(&k.all);
    hone_free(k.local);
    hone_free(k.file_base);
    return r;
}
