// The functions of api.def that are not implemented: each exists, so that every program loads, and returns cudaErrorNotSupported. Their parameters are
// not looked at (a caller's arguments lie in registers and on its own stack).
#include "cudart/internal.h"

#define STUB_plain(name) RT_API cudaError_t name(void) { return rt_record(cudaErrorNotSupported); }
#define STUB_stream(name) STUB_plain(name) STUB_plain(name##_ptsz)
#define STUB_default(name) STUB_plain(name) STUB_plain(name##_ptds)
#define STUB_in_both(forms, name) STUB_##forms(name)
#if HONE_CUDART_MAJOR >= 13
#define STUB_in_12(forms, name)
#define STUB_in_13(forms, name) STUB_##forms(name)
#else
#define STUB_in_12(forms, name) STUB_##forms(name)
#define STUB_in_13(forms, name)
#endif
#define API_yes(versions, forms, name)
#define API_no(versions, forms, name) STUB_in_##versions(forms, name)
#define API(status, versions, forms, name, note) API_##status(versions, forms, name)
#include "cudart/api.def"
