// report/html: placeholder page
#include "report/internal.h"
hone_code hone_report_html(const json_t *result, hone_str *out, hone_err *e) {
    HONE_TRY(hone_doc_check(result, e));
    hone_str_add(out, "<!doctype html>");
    return hone_str_check(out, "report", e);
}
