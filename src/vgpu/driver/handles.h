// Which handles are alive. Callers pass any pointer; none is followed before this registry knows it, so that foreign and destroyed handles are
// refused instead of read. threads: any.
#ifndef HONE_VGPU_HANDLES_H
#define HONE_VGPU_HANDLES_H
#include <stdbool.h>
#include <stdint.h>

bool vg_handle_add(const void *p, uint32_t kind);    // false: out of memory
void vg_handle_drop(const void *p);
void vg_handles_free(void);                         // the table itself, when the library goes
bool vg_handle_is(const void *p, uint32_t kind);
#endif
