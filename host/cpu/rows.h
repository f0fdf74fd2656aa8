// The weights of a decoder tail, as rows64 has them.
#pragma once

#include "cpu/isa.h"
#include "operations.h"
#include "weight.h"

namespace lowbit::core::LOWBIT_ISA {

// Latent i of head h is row h * L + i; step k of a token's sum is latent k % l of head k / l.
struct WeightRows {
  const uint8_t* first;
  int64_t bytes;  // of a row
  int64_t l, L, depth;
  WeightRows(const DecoderTail& op, int64_t block_bytes)
      : first(static_cast<const uint8_t*>(op.weight->packed())),
        bytes(ceil_div(op.D, kPanelColumns) * block_bytes),
        l(op.l),
        L(op.weight->shape().K),
        depth(op.H * op.l) {}
  const uint8_t* row(int64_t index) const { return first + index * bytes; }
  // The rows of steps k..k+3. Past the last any weights do: they meet no activations.
  void four_from(int64_t k, const uint8_t* (&rows)[4]) const {
    for (int i = 0; i < 4; ++i) {
      const int64_t step = k + i < depth ? k + i : depth - 1;
      rows[i] = row(step / l * L + step % l);
    }
  }
};

constexpr int kParts = 16 / kLanes;  // vectors of a row's 64 bytes

// Four rows of 64 columns as words in the order of a panel: words[v] is columns 16v + part * kLanes on. Bytes 0 to 255.
template <lowbit_format W>
void words_of(const uint8_t* const (&rows)[4], int part, Vector (&words)[4]) {
  const Vector codes[4] = {columns<W>(rows[0], part), columns<W>(rows[1], part), columns<W>(rows[2], part),
                           columns<W>(rows[3], part)};
  interleave(codes, words);
}

// The words of four rows and panel p, in `to`.
template <lowbit_format W, typename Convert>
void panel_words(const uint8_t* const (&rows)[4], int64_t p, void* to, Convert convert) {
  const int64_t at = p * rows64_bytes(W);
  const uint8_t* const here[4] = {rows[0] + at, rows[1] + at, rows[2] + at, rows[3] + at};
  for (int part = 0; part < kParts; ++part) {
    Vector words[4];
    words_of<W>(here, part, words);
    for (int v = 0; v < 4; ++v) store(static_cast<uint8_t*>(to) + 4 * (16 * v + part * kLanes), convert(words[v]));
  }
}

// Head 0's row of token b * T + t; the other heads' rows follow T apart.
inline int64_t first_row(const DecoderTail& op, int64_t token) { return token / op.T * op.H * op.T + token % op.T; }

}  // namespace lowbit::core::LOWBIT_ISA
