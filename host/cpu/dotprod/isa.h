// Arm's dot products. sdot and udot add the four products of a lane's bytes, both signed or both unsigned, and saturate
// nowhere: int8 activations meet signed weights, uint8 activations unsigned ones. The activations of a product are a lane
// of a vector, so four words share a load.
#pragma once

#include "cpu/neon.h"

namespace lowbit::core::LOWBIT_ISA {

constexpr int kTileRows = 5, kTileVectors[] = {16, 8, 4, 4, 4};  // 20 sums, 4 words, 5 vectors of activations

template <lowbit_format W, bool kSigned>
constexpr int kOffset = W == LOWBIT_INT8 ? (kSigned ? 0 : 128) : 1;

template <lowbit_format W, bool kSigned>
Vector operand(Vector codes) {
  return W == LOWBIT_INT8 && kSigned ? codes ^ vdupq_n_u8(128) : codes;
}

// Adds the products with the activations of lane kLane.
template <bool kSigned, int kLane>
Vector dot_lane(Vector sums, Vector words, Vector activations) {
  if constexpr (kSigned) {
    return vreinterpretq_u8_s32(vdotq_laneq_s32(vreinterpretq_s32_u8(sums), vreinterpretq_s8_u8(words),
                                                vreinterpretq_s8_u8(activations), kLane));
  } else {
    return vreinterpretq_u8_u32(vdotq_laneq_u32(vreinterpretq_u32_u8(sums), words, activations, kLane));
  }
}

template <lowbit_format W, bool kSigned, int N>
Vector dot(Vector sums, const Vector (&words)[N], const uint8_t* activations) {
  if constexpr (N == 1) {
    uint32_t four;
    std::memcpy(&four, activations, sizeof(four));
    return dot_lane<kSigned, 0>(sums, words[0], vreinterpretq_u8_u32(vdupq_n_u32(four)));
  } else {
    static_assert(N % 4 == 0);
    for (int i = 0; i < N; i += 4) {
      const Vector a = load(activations + 4 * i);
      sums = dot_lane<kSigned, 0>(sums, words[i], a);
      sums = dot_lane<kSigned, 1>(sums, words[i + 1], a);
      sums = dot_lane<kSigned, 2>(sums, words[i + 2], a);
      sums = dot_lane<kSigned, 3>(sums, words[i + 3], a);
    }
    return sums;
  }
}

}  // namespace lowbit::core::LOWBIT_ISA
