// propose/proposers: the table of all proposers, in the order of the bandit's arms.
#include "propose/llm.h"

const hone_proposer *const hone_proposers[] = {&hone_proposer_tune, &hone_proposer_rewrite, NULL};
const hone_proposer *const hone_proposers_with_model[] = {&hone_proposer_llm, &hone_proposer_tune, &hone_proposer_rewrite, NULL};
