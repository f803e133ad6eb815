// propose/llm, inside. llm.c asks and learns; llm_prompt.c renders templates; llm_words.c puts candidates, facts and findings into words; llm_pick.c chooses
// exemplars; llm_reply.c takes the file out of a reply.
#ifndef HONE_PROPOSE_LLM_INTERNAL_H
#define HONE_PROPOSE_LLM_INTERNAL_H
#include "propose/llm.h"

enum { HONE_PROMPT_MAX = 512 << 10, HONE_SHOWN_MAX = 48 << 10 /* bytes of one text shown */, HONE_REPLY_FILE_MAX = 256 << 10, HONE_EXEMPLARS_MAX = 4 };

// ---- llm_prompt.c
typedef struct hone_place { const char *name; const char *text; } hone_place;
// Replaces {{name}} once; what is put in is not looked at again. errors: HONE_E_PARSE for a place without text.
hone_code hone_prompt_render(const hone_prompts *p, const char *name, const hone_place *places, size_t n, hone_str *out, hone_err *e);
const char *hone_prompt_text(const hone_prompts *p, const char *name);   // NULL when there is none
// Text as data: between marks whose tag is drawn from the text itself, so that no text can hold its own closing mark. Made valid UTF-8.
void hone_prompt_data(hone_str *out, const char *title, const char *text, size_t len);

// ---- llm_words.c
typedef struct hone_scale_words { const hone_candidate *baseline; double flops, bytes, bandwidth_gbs; } hone_scale_words;   // 0: unknown
double hone_score(const hone_candidate *baseline, const hone_candidate *c);   // baseline ÷ c, to two decimals towards 1
void hone_words_candidate(const hone_scale_words *s, const hone_candidate *c, hone_str *out);   // score, limits, text
void hone_words_finding(const hone_candidate *c, hone_str *out);   // evidence as data; never what was expected
void hone_words_contract(const hone_task *t, hone_str *out);

// ---- llm_pick.c
typedef enum hone_exemplars { HONE_EXEMPLARS_CONTRAST, HONE_EXEMPLARS_BEST, HONE_EXEMPLARS_COUNT } hone_exemplars;
extern const char *const hone_exemplar_names[HONE_EXEMPLARS_COUNT];
// Up to HONE_EXEMPLARS_MAX candidates of distinct texts, worst to best.
hone_code hone_pick_exemplars(const hone_context *ctx, const hone_candidate *baseline, hone_exemplars policy, const hone_candidate **out, size_t *n, hone_err *e);

// ---- llm_reply.c
// The one fenced block of a reply, in *file (points into text). Otherwise *why is its name ("reply.no-block" …) and *words a sentence.
bool hone_reply_file(const char *text, size_t len, hone_span *file, const char **why, const char **words);
#endif
