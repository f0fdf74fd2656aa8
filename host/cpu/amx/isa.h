// AMX: tiles of 16 rows of 64 bytes, multiplied as bytes of either sign and summed in 32 bits. So weights stay the bytes
// 0 to 255 that they are stored as, whatever the activations are. For many rows only: amx/tile.h.
#pragma once

#include "cpu/vector512.h"

#define LOWBIT_OWN_TILES "cpu/amx/tile.h"

namespace lowbit::core::LOWBIT_ISA {

constexpr int kTileRows = 32;

template <lowbit_format W, bool kSigned>
constexpr int kOffset = W == LOWBIT_INT8 ? 128 : 1;

template <lowbit_format W, bool kSigned>
Vector operand(Vector codes) {
  return codes;
}

template <lowbit_format W>
constexpr int kFold = 16;  // a tile's rows of weights
template <lowbit_format W>
constexpr int kActivationBytes = 1;

}  // namespace lowbit::core::LOWBIT_ISA
