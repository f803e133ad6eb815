// ptx support: the table of instruction forms (forms.def) that the documentation lists, and the page made from it. What is supported is asked of
// the caller, who tries each form.
#ifndef HONE_PTX_SUPPORT_H
#define HONE_PTX_SUPPORT_H
#include "ptx/ptx.h"

// Calls `each` for every form of a pattern: "add{.ftz,}.{f32,f64}" stands for four.
void ptx_forms_expand(const char *pattern, void (*each)(void *self, const char *form), void *self);
// Every pattern of the table in order: for tests.
void ptx_forms_each(void (*each)(void *self, const char *form), void *self);
// Appends the Markdown page.
void ptx_support_page(bool (*supported)(void *self, const char *form), void *self, hone_str *out);
#endif
