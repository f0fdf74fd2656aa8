// rho_compress and rho_expand, whose operands are each other's results.
#include <fmt/format.h>

#include "random.h"
#include "streaming.h"

namespace lowbit::bench {
namespace {

uint64_t packed_size(lowbit_format encoding, int64_t n) {
  return lowbit_rho_packed_size(encoding, static_cast<uint64_t>(n));
}
int64_t blocks(int64_t n) { return static_cast<int64_t>(lowbit_rho_block_count(static_cast<uint64_t>(n))); }

lowbit_tensor packed_tensor(void* data, lowbit_format encoding, int64_t n) {
  return tensor(data, LOWBIT_TYPE_U8, {static_cast<int64_t>(packed_size(encoding, n))});
}

Subject make_compress(const Bench& bench, lowbit_format encoding, int64_t n) {
  return make_streaming(
      bench, {.inputs = {bytes_of(random_floats(n, -1, 1))},
              .output_sizes = {packed_size(encoding, n), static_cast<uint64_t>(blocks(n)) * sizeof(float)},
              .call = [=](const Stream& stream, std::span<void* const> inputs, std::span<void* const> outputs) {
                rho_compress(stream, {.encoding = encoding,
                                      .input = tensor(inputs[0], LOWBIT_TYPE_F32, {n}),
                                      .packed = packed_tensor(outputs[0], encoding, n),
                                      .scales = tensor(outputs[1], LOWBIT_TYPE_F32, {blocks(n)})});
              }});
}

// n is a multiple of 32: blocks are whole, so their codes lie as those of a weight do.
Subject make_expand(const Bench& bench, lowbit_format encoding, int64_t n) {
  return make_streaming(
      bench, {.inputs = {random_codes(encoding, n), bytes_of(random_floats(blocks(n), 0.5f, 1.5f))},
              .output_sizes = {static_cast<uint64_t>(n) * sizeof(float)},
              .call = [=](const Stream& stream, std::span<void* const> inputs, std::span<void* const> outputs) {
                rho_expand(stream, {.encoding = encoding,
                                    .packed = packed_tensor(inputs[0], encoding, n),
                                    .scales = tensor(inputs[1], LOWBIT_TYPE_F32, {blocks(n)}),
                                    .output = tensor(outputs[0], LOWBIT_TYPE_F32, {n})});
              }});
}

}  // namespace

void add_rho(Bench& bench) {
  // The state of the bundled Hatchling at 8 sequences; and 256 MB.
  for (int64_t n : {bench.axis(8 * 4) * bench.axis(128) * bench.axis(128), bench.axis(8192) * bench.axis(8192)}) {
    for (lowbit_format encoding : {LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY}) {
      const std::string shape = fmt::format("f32_{}/{}values", name_of(encoding), n);
      bench.add("rho_compress/" + shape, "lowbit", {Mode::graph, Mode::eager},
                [=, &bench] { return make_compress(bench, encoding, n); });
      bench.add("rho_expand/" + shape, "lowbit", {Mode::graph, Mode::eager},
                [=, &bench] { return make_expand(bench, encoding, n); });
    }
  }
}

}  // namespace lowbit::bench
