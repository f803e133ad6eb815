// What image a load call was given, and the PTX in it: fat binaries are what nvcc embeds in host programs. Machine code (ELF entries) is skipped.
#ifndef HONE_VGPU_FATBIN_H
#define HONE_VGPU_FATBIN_H
#include "base/base.h"

// What an image handed to a load call is, by its first bytes. A wrapper (what __cudaRegisterFatBinary receives) points to a fat binary.
typedef enum vg_image_kind { VG_IMAGE_TEXT, VG_IMAGE_FATBIN, VG_IMAGE_WRAPPER, VG_IMAGE_ELF } vg_image_kind;
vg_image_kind vg_image_kind_of(const void *image);

// The PTX of a fat binary (or wrapper) that suits compute capability cc (90) best: the newest target that is not newer than the device.
// *text is NUL-terminated. owns: hone_free(*text). errors: HONE_E_UNSUPPORTED no PTX for the device, or a compression that is not known;
// HONE_E_PARSE a damaged container; HONE_E_NOMEM.
hone_code vg_fatbin_ptx(const void *image, unsigned cc, char **text, size_t *len, hone_err *e);
#endif
