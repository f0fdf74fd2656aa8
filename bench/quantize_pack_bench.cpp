#include <fmt/format.h>

#include "random.h"
#include "streaming.h"

namespace lowbit::bench {
namespace {

Subject make(const Bench& bench, lowbit_group group, int64_t rows, int64_t length) {
  const int64_t scales = group == LOWBIT_PER_TOKEN ? rows : 1;
  return make_streaming(
      bench, {.inputs = {bytes_of(random_floats(rows * length, -1, 1))},
              .output_sizes = {static_cast<uint64_t>(rows * length), static_cast<uint64_t>(scales) * sizeof(float)},
              .call = [=](const Stream& stream, std::span<void* const> inputs, std::span<void* const> outputs) {
                quantize_pack(stream, {.format = LOWBIT_INT8,
                                       .group = group,
                                       .input = tensor(inputs[0], LOWBIT_TYPE_F32, {rows, length}),
                                       .codes = tensor(outputs[0], LOWBIT_TYPE_I32, {rows, length / 4}),
                                       .scales = tensor(outputs[1], LOWBIT_TYPE_F32, {scales})});
              }});
}

}  // namespace

void add_quantize_pack(Bench& bench) {
  const int64_t rows = bench.axis(8192), length = bench.axis(8192);
  for (lowbit_group group : {LOWBIT_PER_TOKEN, LOWBIT_PER_TENSOR}) {
    const char* name = group == LOWBIT_PER_TOKEN ? "token" : "tensor";
    bench.add(fmt::format("quantize_pack/f32_int8/{}x{}_per_{}", rows, length, name), "lowbit",
              {Mode::graph, Mode::eager}, [=, &bench] { return make(bench, group, rows, length); });
  }
}

}  // namespace lowbit::bench
