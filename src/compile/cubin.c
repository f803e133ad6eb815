// Reads what a kernel needs from a cubin: an ELF64 file with one .text.NAME per function, .nv.shared.NAME for static shared memory and
// .nv.info with (attribute, symbol, value) records. Section names and attribute numbers as observed in cubins of CUDA 11–13 and shown by
// readelf; tests compare with ptxas -v. Every offset is checked: a cubin is input.
#include "compile/compile.h"
#include <elf.h>
#include <stdio.h>
#include <string.h>

enum { EIATTR_FRAME_SIZE = 0x11, EIATTR_MIN_STACK_SIZE = 0x12, EIATTR_REGCOUNT = 0x2f, EIFMT_SVAL = 4 };

typedef struct elf { const uint8_t *at; size_t len; const Elf64_Shdr *sections; size_t n; const char *names; size_t names_len; } elf;

static bool inside(const elf *f, uint64_t offset, uint64_t size) { return offset <= f->len && size <= f->len - offset; }

static hone_code open_elf(elf *f, const void *p, size_t len, hone_err *e) {
    *f = (elf){.at = p, .len = len};
    Elf64_Ehdr h;
    if (len < sizeof h || memcmp(p, ELFMAG, SELFMAG) != 0 || f->at[EI_CLASS] != ELFCLASS64)
        return hone_fail(e, HONE_E_PARSE, 0, "a cubin of %zu bytes is no 64-bit ELF file", len);
    memcpy(&h, p, sizeof h);
    if (h.e_shentsize != sizeof(Elf64_Shdr) || h.e_shoff % 8 || !inside(f, h.e_shoff, (uint64_t)h.e_shnum * sizeof(Elf64_Shdr)) ||
        h.e_shstrndx >= h.e_shnum)
        return hone_fail(e, HONE_E_PARSE, 0, "the section table of a cubin is damaged");
    f->sections = (const Elf64_Shdr *)(const void *)(f->at + h.e_shoff);
    f->n = h.e_shnum;
    const Elf64_Shdr *s = &f->sections[h.e_shstrndx];
    if (!inside(f, s->sh_offset, s->sh_size) || s->sh_size == 0 || f->at[s->sh_offset + s->sh_size - 1] != 0)
        return hone_fail(e, HONE_E_PARSE, 0, "the section names of a cubin are damaged");
    f->names = (const char *)f->at + s->sh_offset;
    f->names_len = s->sh_size;
    return HONE_OK;
}

static const char *section_name(const elf *f, const Elf64_Shdr *s) { return s->sh_name < f->names_len ? f->names + s->sh_name : ""; }

// Name of symbol `index`, or NULL.
static const char *symbol_name(const elf *f, uint32_t index) {
    for (size_t i = 0; i < f->n; i++) {
        const Elf64_Shdr *s = &f->sections[i];
        if (s->sh_type != SHT_SYMTAB || s->sh_link >= f->n || !inside(f, s->sh_offset, s->sh_size))
            continue;
        const Elf64_Shdr *names = &f->sections[s->sh_link];
        if ((uint64_t)index * sizeof(Elf64_Sym) + sizeof(Elf64_Sym) > s->sh_size || !inside(f, names->sh_offset, names->sh_size) ||
            !names->sh_size)
            return NULL;
        Elf64_Sym sym;
        memcpy(&sym, f->at + s->sh_offset + (size_t)index * sizeof sym, sizeof sym);
        const char *text = (const char *)f->at + names->sh_offset;
        return sym.st_name < names->sh_size && text[names->sh_size - 1] == 0 ? text + sym.st_name : NULL;
    }
    return NULL;
}

static hone_kernel_info *by_name(hone_kernel_info *k, size_t n, const char *name) {
    for (size_t i = 0; name && i < n; i++)
        if (strcmp(k[i].name, name) == 0)
            return &k[i];
    return NULL;
}

// Records: format byte, attribute byte, 16-bit size (EIFMT_SVAL) or value; with SVAL the payload follows.
static void read_info(const elf *f, const Elf64_Shdr *s, hone_kernel_info *k, size_t n) {
    const uint8_t *p = f->at + s->sh_offset, *end = p + s->sh_size;
    while (end - p >= 4) {
        uint8_t format = p[0], attribute = p[1];
        uint16_t size = (uint16_t)(p[2] | p[3] << 8);
        const uint8_t *payload = p + 4;
        if (format != EIFMT_SVAL) {
            p = payload;
            continue;
        }
        if (size > end - payload)
            return;
        if (size >= 8 && (attribute == EIATTR_REGCOUNT || attribute == EIATTR_FRAME_SIZE || attribute == EIATTR_MIN_STACK_SIZE)) {
            uint32_t v[2];
            memcpy(v, payload, sizeof v);
            hone_kernel_info *to = by_name(k, n, symbol_name(f, v[0]));
            if (to && attribute == EIATTR_REGCOUNT)
                to->registers = v[1];
            else if (to && v[1] > to->stack_bytes_per_thread)
                to->stack_bytes_per_thread = v[1];
        }
        p = payload + size;
    }
}

// Kernels have .nv.info.NAME; device functions that are not inlined have .text only.
static size_t list_kernels(const elf *f, hone_kernel_info *out) {
    static const char prefix[] = ".nv.info.";
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++) {
        const char *name = section_name(f, &f->sections[i]);
        char text[300];
        snprintf(text, sizeof text, ".nv.constant0.%s", strncmp(name, prefix, sizeof prefix - 1) == 0 ? name + sizeof prefix - 1 : "\n");
        for (size_t k = 0; k < f->n; k++)
            if (strcmp(section_name(f, &f->sections[k]), text) == 0) {
                if (out)
                    snprintf(out[n].name, sizeof out[n].name, "%s", name + sizeof prefix - 1);
                n++;
                break;
            }
    }
    return n;
}

// From compute capability 9.0 on, .nv.shared.NAME begins with the 1024 bytes that the system reserves per block.
static uint32_t reserved_shared(const elf *f) {
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(section_name(f, &f->sections[i]), ".nv.shared.reserved.0") == 0)
            return 1024;
    return 0;
}

static void read_sections(const elf *f, hone_kernel_info *k, size_t n) {
    static const char shared[] = ".nv.shared.";
    uint32_t reserved = reserved_shared(f);
    for (size_t i = 0; i < f->n; i++) {
        const Elf64_Shdr *s = &f->sections[i];
        const char *name = section_name(f, s);
        if (strncmp(name, shared, sizeof shared - 1) == 0) {
            hone_kernel_info *to = by_name(k, n, name + sizeof shared - 1);
            if (to)
                to->static_shared_bytes = (uint32_t)s->sh_size - (s->sh_size >= reserved ? reserved : 0);
        } else if (strcmp(name, ".nv.info") == 0 && inside(f, s->sh_offset, s->sh_size)) {
            read_info(f, s, k, n);
        }
    }
}

hone_code hone_cubin_kernels(const void *cubin, size_t len, hone_kernel_info **out, size_t *n, hone_err *e) {
    elf f;
    HONE_TRY(open_elf(&f, cubin, len, e));
    *n = list_kernels(&f, NULL);
    *out = hone_calloc(*n ? *n : 1, sizeof **out);
    if (!*out)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for the kernels of a cubin");
    list_kernels(&f, *out);
    read_sections(&f, *out, *n);
    return HONE_OK;
}
