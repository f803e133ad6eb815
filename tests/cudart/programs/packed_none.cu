// nvcc: --compress-mode=none
// As vector_add, its PTX packed in another way.
#include "check.h"
#include "vector_add.cu"
