// models: the language models of one run, ready for a search: joins llm/ (the wire) to propose/ (what is asked). The program and the library open them here.
#ifndef HONE_MODELS_MODELS_H
#define HONE_MODELS_MODELS_H
#include "llm/llm.h"
#include "propose/llm.h"

typedef struct hone_authors_config {
    const char *const *models;     // "provider:name[@url]", or one "replay:DIR"
    size_t n_models;
    const char *config_path;       // prices, key files, limits; NULL: models.json of the user's configuration, when there is one
    const char *prompts;           // folder of templates; NULL: the user's own, when there is one
    const char *folder;            // of results; exchanges are kept in its folder "exchanges". NULL: they are not kept
    hone_llm_budget budget;
    uint64_t seed;
    const volatile int *interrupt;
    void (*progress)(void *self, const hone_llm_progress *p);   // from the thread that waits for the endpoint
    void *progress_self;
} hone_authors_config;

typedef struct hone_authors hone_authors;
// Task and what the configuration points to are borrowed. device: as hone_pool_device describes it.
// errors: as hone_llm_open and hone_prompts_load; HONE_E_USAGE: `prompts` is no folder.
hone_code hone_authors_open(const hone_authors_config *c, const hone_task *task, const json_t *device, hone_authors **out, hone_err *e);
void hone_authors_close(hone_authors *a);
hone_writer *hone_authors_writer(const hone_authors *a);         // for hone_search_config
const char *hone_authors_identity(const hone_authors *a);        // models and templates, likewise
// The search is over: the request under way is cancelled, or its answer waited for and kept.
void hone_authors_finish(hone_authors *a, bool cancel);
json_t *hone_authors_json(const hone_authors *a);                // member `model` of a result; new reference
// ~/.config/hone/NAME, under XDG_CONFIG_HOME when set; NULL when there is none. owns: the caller.
char *hone_user_file(const char *name);
#endif
