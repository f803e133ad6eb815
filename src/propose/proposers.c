// propose/proposers: the table of all proposers, in the order of the bandit's arms.
#include "propose/propose.h"

const hone_proposer *const hone_proposers[] = {&hone_proposer_tune, &hone_proposer_rewrite, NULL};
