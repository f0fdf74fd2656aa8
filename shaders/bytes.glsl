// Bytes in buffers of words. A tensor of bytes may start and end anywhere in a word, whose other bytes are somebody
// else's; 8-bit storage is not asked for.
#ifndef LOWBIT_BYTES_GLSL
#define LOWBIT_BYTES_GLSL

// 0xff for each of the bytes first, ..., first + 3 that is one of 0, ..., count - 1.
uint byte_mask(int first, int count) {
  const int from = clamp(-first, 0, 4), to = clamp(count - first, from, 4);
  return (to == 4 ? 0xffffffffu : (1u << 8 * to) - 1u) & ~(from == 4 ? 0xffffffffu : (1u << 8 * from) - 1u);
}

// Writes the bytes of words[at] that `mask` selects. Others may be written by other invocations at the same time.
#define STORE_BYTES(words, at, word, mask)      \
  if ((mask) == 0xffffffffu) {                  \
    words[at] = word;                           \
  } else if ((mask) != 0u) {                    \
    atomicAnd(words[at], ~(mask));              \
    atomicOr(words[at], (word) & (mask));       \
  }

// The word that starts `shift` bytes before the end of `before`, and goes on with `after`.
uint shifted_word(uint before, uint after, uint shift) {
  return shift == 0u ? after : (after << 8u * shift) | (before >> (32u - 8u * shift));
}

#endif
