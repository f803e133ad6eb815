// mbarrier: what asynchronous copies (bulk.c) need of the mbarrier objects that mbarrier.c implements. `word` is the object's 8 bytes in host memory.
#ifndef HONE_VGPU_MBARRIER_H
#define HONE_VGPU_MBARRIER_H
#include <stdbool.h>
#include <stdint.h>

uint32_t vg_mbarrier_phase(const void *word);                      // parity of the phase that has not completed yet
bool vg_mbarrier_complete_tx(void *word, uint32_t bytes);          // false: the tx-count would leave its range; nothing happened
#endif
