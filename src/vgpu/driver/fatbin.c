// What image a load call was given, and the PTX of a fat binary (ptx/fatbin.h) that suits the modelled device.
#include "vgpu/driver/fatbin.h"
#include "ptx/fatbin.h"
#include <string.h>

#define WRAPPER_MAGIC 0x466243b1u
enum { WRAPPER_IMAGE_AT = 8 };   // what __cudaRegisterFatBinary receives: magic, version, address of the container

// Byte by byte: a text may end before its fourth byte.
static bool begins_with(const uint8_t *image, uint32_t magic) {
    for (unsigned i = 0; i < 4; i++)
        if (image[i] != (uint8_t)(magic >> (8 * i)))
            return false;
    return true;
}

vg_image_kind vg_image_kind_of(const void *image) {
    enum { ELF_MAGIC = 0x464c457f };
    return begins_with(image, WRAPPER_MAGIC) ? VG_IMAGE_WRAPPER : begins_with(image, PTX_FATBIN_MAGIC) ? VG_IMAGE_FATBIN
           : begins_with(image, ELF_MAGIC) ? VG_IMAGE_ELF : VG_IMAGE_TEXT;
}

hone_code vg_fatbin_ptx(const void *image, unsigned cc, char **text, size_t *len, hone_err *e) {
    size_t bytes = 0;
    ptx_fat_entry entry;
    if (vg_image_kind_of(image) == VG_IMAGE_WRAPPER)
        memcpy(&image, (const uint8_t *)image + WRAPPER_IMAGE_AT, sizeof image);
    if (!image || vg_image_kind_of(image) != VG_IMAGE_FATBIN)
        return hone_fail(e, HONE_E_PARSE, 0, "not a fat binary");
    HONE_TRY(ptx_fatbin_bytes(image, SIZE_MAX, &bytes, e));   // a driver is not told how much of it is readable
    HONE_TRY(ptx_fatbin_choose(image, bytes, cc, &entry, e));
    return ptx_fatbin_text(&entry, text, len, e);
}
