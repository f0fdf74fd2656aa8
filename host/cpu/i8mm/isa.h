// Arm's products of 2 x 8 by 8 x 2 matrices of bytes. usmmla multiplies unsigned by signed, ummla unsigned by unsigned,
// and neither saturates: every activation meets the weights' bytes as they are. Few rows are left to dotprod.
#pragma once

#include "cpu/neon.h"

#define LOWBIT_OWN_TILES "cpu/i8mm/tile.h"

namespace lowbit::core::LOWBIT_ISA {

constexpr int kTileRows = 6;

template <lowbit_format W, bool kSigned>
constexpr int kOffset = W == LOWBIT_INT8 ? 128 : 1;

template <lowbit_format W, bool kSigned>
Vector operand(Vector codes) {
  return codes;
}

}  // namespace lowbit::core::LOWBIT_ISA
