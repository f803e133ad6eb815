// report/tables: the tables of report.html. Each appends a heading and a table, or nothing when the document has no rows for it.
#ifndef HONE_REPORT_TABLES_H
#define HONE_REPORT_TABLES_H
#include "report/internal.h"
void hone_table_sizes(const json_t *result, hone_str *out);        // one row per size of the task, when there are several
void hone_table_front(const json_t *result, hone_str *out);        // candidates that none beats in both time and energy
void hone_table_machine(const json_t *result, hone_str *out);      // counters and resources, baseline beside best
void hone_table_checks(const json_t *result, hone_str *out);       // stages the best passed
void hone_table_findings(const json_t *result, hone_str *out);
void hone_table_moves(const json_t *result, hone_str *out);
void hone_table_model(const json_t *result, hone_str *out);         // answers of language models
void hone_table_candidates(const json_t *result, hone_str *out);
void hone_table_provenance(const json_t *result, hone_str *out);
#endif
