#include "simulation/steps.h"

#include "cpu/floats.h"
#include "cpu/rows.h"
#include "cpu/tile.h"

namespace lowbit::core::LOWBIT_ISA {
namespace {

constexpr int kBytes = sizeof(Vector);

template <lowbit_format W>
void take_steps(const uint8_t* in, uint8_t* out) {
  for (int j = 0; j < codes_per_byte(W); ++j) store(out + j * kBytes, steps<W>(load(in), j));
}

template <lowbit_format W>
void take_words(const uint8_t* in, uint8_t* out) {
  const uint8_t* const rows[4] = {in, in + 64, in + 128, in + 192};
  for (int part = 0; part < kParts; ++part) {
    Vector words[4];
    words_of<W>(rows, part, words);
    for (int v = 0; v < 4; ++v) store(out + (4 * part + v) * kBytes, operand<W, false>(words[v]));
  }
}

// Tiles of every number of rows, on bytes of any value.
template <lowbit_format W, bool kSigned>
void take_tiles(const uint8_t* in, uint8_t* out) {
  using Panel = Unpacked<W, kSigned>;
  constexpr int64_t kPanelBytes = 12288, kStride = 448;
  static_assert(kPanelBytes + kTileRows * kStride <= test::kStepInput);
  [[maybe_unused]] const TileSession session;
  for (int64_t rows = 1; rows <= kTileRows; ++rows) {
    int32_t sums[kTileRows * kPanelColumns] = {};
    tile_panel<Panel>(rows, in, kPanelBytes / Panel::kBytes, in + kPanelBytes, kStride, sums);
    for (int64_t i = 0; i < rows * kPanelColumns; ++i) {
      uint32_t mixed;
      std::memcpy(&mixed, out + 4 * i, sizeof(mixed));
      mixed = mixed * 31 + static_cast<uint32_t>(sums[i]);
      std::memcpy(out + 4 * i, &mixed, sizeof(mixed));
    }
  }
}

#if LOWBIT_AVX2

// Halves of integers up to 2^21.
Float float_of(const uint8_t* in) {
  float lanes[kWidth];
  for (int i = 0; i < kWidth; ++i) {
    int32_t bits;
    std::memcpy(&bits, in + 4 * i, sizeof(bits));
    lanes[i] = static_cast<float>(bits % (1 << 21)) / 2;
  }
  return load(lanes);
}

template <typename T>
void put(const T& value, uint8_t* out) {
  std::memcpy(out, &value, sizeof(value));
}

void take_some(const uint8_t* in, uint8_t* out) {
  float values[2 * kWidth] = {};
  const Float all = float_of(in);
  std::memcpy(values, &all, sizeof(all));
  for (int n = 0; n < kWidth; ++n) put(load_some(values + kWidth - n, n), out + n * kVectorBytes);
}

void take_rounded(const uint8_t* in, uint8_t* out) { put(rounded(float_of(in)), out); }
void take_floats(const uint8_t* in, uint8_t* out) { put(floats_of(in), out); }
void take_bits(const uint8_t* in, uint8_t* out) { put(bits_of(float_of(in) > 0), out); }

void take_chosen(const uint8_t* in, uint8_t* out) {
  Word which;
  std::memcpy(&which, in + 64, sizeof(which));
  put(chosen(float_of(in), which), out);
}

template <bool kSigned>
void take_low_bytes(const uint8_t* in, uint8_t* out) {
  Int v[4];
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < kWidth; ++j) {
      const uint8_t byte = in[i * kWidth + j];
      v[i][j] = kSigned ? static_cast<int8_t>(byte) : byte;
    }
  }
  put(low_bytes<kSigned>(v[0], v[1], v[2], v[3]), out);
}

#endif

constexpr test::Step kAll[] = {
    {"steps of ternary", take_steps<LOWBIT_TERNARY>},
    {"steps of binary", take_steps<LOWBIT_BINARY>},
    {"words of int8", take_words<LOWBIT_INT8>},
    {"words of ternary", take_words<LOWBIT_TERNARY>},
    {"words of binary", take_words<LOWBIT_BINARY>},
    {"tiles of int8, signed", take_tiles<LOWBIT_INT8, true>},
    {"tiles of int8, unsigned", take_tiles<LOWBIT_INT8, false>},
    {"tiles of ternary, signed", take_tiles<LOWBIT_TERNARY, true>},
    {"tiles of ternary, unsigned", take_tiles<LOWBIT_TERNARY, false>},
#if LOWBIT_AVX2
    {"load_some", take_some},
    {"rounded", take_rounded},
    {"floats_of", take_floats},
    {"bits_of", take_bits},
    {"chosen", take_chosen},
    {"low_bytes, signed", take_low_bytes<true>},
    {"low_bytes, unsigned", take_low_bytes<false>},
#endif
};

}  // namespace

const test::Steps kSteps = {kAll, static_cast<int>(std::size(kAll))};

}  // namespace lowbit::core::LOWBIT_ISA
