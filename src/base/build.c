// Build IDs of what is loaded, read from memory: the note that the linker leaves in a program header (no file is opened, so a contained worker can).
#include "base/build.h"
#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef struct wanted { uintptr_t inside; char *out; } wanted;

static size_t padded(size_t n) { return (n + 3) & ~(size_t)3; }

static void read_notes(const uint8_t *p, size_t n, char out[HONE_BUILD_ID]) {
    while (n >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) h;
        memcpy(&h, p, sizeof h);
        const size_t all = sizeof h + padded(h.n_namesz) + padded(h.n_descsz);
        if (all > n)
            return;
        const uint8_t *id = p + sizeof h + padded(h.n_namesz);
        if (h.n_type == NT_GNU_BUILD_ID && h.n_namesz == 4 && memcmp(p + sizeof h, "GNU", 4) == 0 && h.n_descsz <= HONE_BUILD_ID / 2) {
            for (size_t i = 0; i < h.n_descsz; i++)
                snprintf(out + 2 * i, 3, "%02x", id[i]);
            return;
        }
        p += all;
        n -= all;
    }
}

static int look(struct dl_phdr_info *i, size_t size, void *self) {
    const wanted *w = self;
    bool here = false;
    (void)size;
    for (size_t k = 0; k < i->dlpi_phnum; k++) {
        const ElfW(Phdr) *h = &i->dlpi_phdr[k];
        here |= h->p_type == PT_LOAD && w->inside - (i->dlpi_addr + h->p_vaddr) < h->p_memsz;
    }
    for (size_t k = 0; here && k < i->dlpi_phnum && !*w->out; k++) {
        const ElfW(Phdr) *h = &i->dlpi_phdr[k];
        if (h->p_type == PT_NOTE)
            read_notes((const uint8_t *)(i->dlpi_addr + h->p_vaddr), h->p_memsz, w->out);   // NOLINT(performance-no-int-to-ptr): where it is loaded
    }
    return here;
}

bool hone_build_id(const void *inside, char out[HONE_BUILD_ID]) {
    wanted w = {(uintptr_t)inside, out};
    out[0] = '\0';
    dl_iterate_phdr(look, &w);
    return *out;
}
