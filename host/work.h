// What a kernel has to do at least: the bytes of its operands, each read or written once, and a projection's arithmetic.
#pragma once

#include "operations.h"

namespace lowbit::core {

struct Work {
  double bytes;
  double operations;  // a multiply-add is two; 0 for operations that only move and convert
};

Work work_of(const QuantizePack& op);
Work work_of(const PackWeight& op);
Work work_of(const LowrankProjection& op);
Work work_of(const DecoderTail& op);
Work work_of(const RhoCompress& op);
Work work_of(const RhoExpand& op);

}  // namespace lowbit::core
