// Takes the place of CUDA's header of this name where a host compiler builds the CUDA sources (LOWBIT_EMULATION): the
// slice of CUDA that lowbit uses, with CUDA's names, values and refusals. Kernels run on fibres (block.h), streams are
// queues that run when something waits for them (emulated_stream.h), and tests have hooks (emulation.h).
#pragma once

#include "intrinsics.h"
#include "runtime_api.h"
#include "vectors.h"
