// Which build of a library is this? Versions are names that many builds share; the linker's build ID is made from what was linked.
#ifndef HONE_BASE_BUILD_H
#define HONE_BASE_BUILD_H
#include <stdbool.h>
enum { HONE_BUILD_ID = 65 };
// The GNU build ID, in hexadecimal, of the loaded program or library that this address lies in. false, and "", when it has none.
bool hone_build_id(const void *inside, char out[HONE_BUILD_ID]);
// The same for a function, which C does not let one treat as an object.
#define HONE_BUILD_ID_OF(function, out)                  \
    do {                                                 \
        const void *inside_;                             \
        memcpy(&inside_, &(function), sizeof inside_);   \
        hone_build_id(inside_, out);                     \
    } while (0)
#endif
