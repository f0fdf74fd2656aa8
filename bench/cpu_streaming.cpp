// quantize_pack, rho_compress and rho_expand, which read their operands once and write their results once: by two
// threads, beside a copy that moves as many bytes.
#include <fmt/format.h>

#include <cstring>
#include <stdexcept>

#include "cpu_harness.h"
#include "cpu_roofs.h"
#include "random.h"

namespace lowbit::bench {
namespace {

using Inputs = std::vector<std::vector<uint8_t>>;
using Pointers = std::vector<std::byte*>;

// Work in units, which do not depend on each other: rows, or blocks of 32 values.
struct Streaming {
  std::string name;
  int64_t units;
  std::vector<size_t> input_sizes, output_sizes;  // bytes a unit
  std::function<Inputs()> make_inputs;
  std::function<void(const Stream&, const Pointers& inputs, const Pointers& outputs, int64_t units)> call;

  double bytes() const {
    size_t unit = 0;
    for (size_t size : input_sizes) unit += size;
    for (size_t size : output_sizes) unit += size;
    return static_cast<double>(units) * static_cast<double>(unit);
  }
};

struct Set {
  std::vector<Buffer> inputs, outputs;
};

Pointers pointers(const std::vector<Buffer>& buffers, const std::vector<size_t>& sizes, int64_t first) {
  Pointers to;
  for (size_t i = 0; i < buffers.size(); ++i) {
    to.push_back(static_cast<std::byte*>(buffers[i].data()) + static_cast<size_t>(first) * sizes[i]);
  }
  return to;
}

// Some units at both ends and in the middle, against the reference.
void verify(const Bench& bench, const Streaming& s, const Set& set) {
  const int64_t count = std::max<int64_t>(1, s.units / 256);
  for (int64_t first : {int64_t{0}, s.units / 2, s.units - count}) {
    Set right;
    for (size_t size : s.output_sizes) right.outputs.emplace_back(bench.reference(), size * static_cast<size_t>(count));
    const Pointers expected = pointers(right.outputs, s.output_sizes, 0);
    const Pointers got = pointers(set.outputs, s.output_sizes, first);
    s.call(bench.reference_stream(), pointers(set.inputs, s.input_sizes, first), expected, count);
    for (size_t i = 0; i < got.size(); ++i) {
      if (std::memcmp(got[i], expected[i], right.outputs[i].size()) == 0) continue;
      throw std::runtime_error(
          fmt::format("output {} differs from the reference in units {} to {}", i, first, first + count - 1));
    }
  }
}

Subject make_lowbit(const Bench& bench, const Contestant& contestant, const Streaming& s) {
  const auto set = std::make_shared<Set>();
  for (const auto& input : s.make_inputs()) set->inputs.push_back(upload(contestant, input));
  for (size_t size : s.output_sizes) set->outputs.emplace_back(contestant.device, size * static_cast<size_t>(s.units));
  const auto call = [=, &stream = contestant.stream](int) {
    s.call(stream, pointers(set->inputs, s.input_sizes, 0), pointers(set->outputs, s.output_sizes, 0), s.units);
  };
  call(0);
  verify(bench, s, *set);
  return {.label = contestant.stream.last_kernel(), .bytes = s.bytes(), .operations = 0, .copies = 1, .call = call};
}

void add(Bench& bench, const Streaming& streaming) {
  const auto group = bench.make_group();
  const Contestant& best = bench.two_threads().back();
  const std::string name = "streaming/" + streaming.name + "/";
  const size_t copy = group->add(name + best.name + "/copy", [=, &best] { return make_copy(best, streaming.bytes()); });
  for (const Contestant& contestant : bench.two_threads()) {
    group->add(
        name + contestant.name + "/lowbit",
        [=, &bench, &contestant] { return make_lowbit(bench, contestant, streaming); }, Roof{copy, Quantity::bytes});
  }
  bench.add(group);
}

std::vector<uint8_t> float_bytes(int64_t count, float low, float high) {
  const std::vector<float> floats = random_floats(count, low, high);
  const auto* bytes = reinterpret_cast<const uint8_t*>(floats.data());
  return {bytes, bytes + floats.size() * sizeof(float)};
}

// ---- The operations --------------------------------------------------------------------------------------------------

Streaming quantize(int64_t rows, int64_t length) {
  const auto n = static_cast<size_t>(length);
  return {.name = fmt::format("quantize_pack/f32_int8/{}x{}_per_token", rows, length),
          .units = rows,
          .input_sizes = {n * sizeof(float)},
          .output_sizes = {n, sizeof(float)},
          .make_inputs = [=] { return Inputs{float_bytes(rows * length, -1, 1)}; },
          .call =
              [=](const Stream& stream, const Pointers& inputs, const Pointers& outputs, int64_t units) {
                quantize_pack(stream, {.format = LOWBIT_INT8,
                                       .group = LOWBIT_PER_TOKEN,
                                       .input = tensor(inputs[0], LOWBIT_TYPE_F32, {units, length}),
                                       .codes = tensor(outputs[0], LOWBIT_TYPE_I32, {units, length / 4}),
                                       .scales = tensor(outputs[1], LOWBIT_TYPE_F32, {units})});
              }};
}

constexpr int64_t kBlock = 32;

lowbit_tensor packed_tensor(std::byte* data, lowbit_format encoding, int64_t blocks) {
  const uint64_t size = lowbit_rho_packed_size(encoding, static_cast<uint64_t>(blocks * kBlock));
  return tensor(data, LOWBIT_TYPE_U8, {static_cast<int64_t>(size)});
}

Streaming compress(lowbit_format encoding, int64_t blocks) {
  return {.name = fmt::format("rho_compress/f32_{}/{}values", name_of(encoding), blocks * kBlock),
          .units = blocks,
          .input_sizes = {kBlock * sizeof(float)},
          .output_sizes = {lowbit_rho_packed_size(encoding, kBlock), sizeof(float)},
          .make_inputs = [=] { return Inputs{float_bytes(blocks * kBlock, -1, 1)}; },
          .call =
              [=](const Stream& stream, const Pointers& inputs, const Pointers& outputs, int64_t units) {
                rho_compress(stream, {.encoding = encoding,
                                      .input = tensor(inputs[0], LOWBIT_TYPE_F32, {units * kBlock}),
                                      .packed = packed_tensor(outputs[0], encoding, units),
                                      .scales = tensor(outputs[1], LOWBIT_TYPE_F32, {units})});
              }};
}

// A whole block's codes lie as those of a weight do.
Streaming expand(lowbit_format encoding, int64_t blocks) {
  return {.name = fmt::format("rho_expand/f32_{}/{}values", name_of(encoding), blocks * kBlock),
          .units = blocks,
          .input_sizes = {lowbit_rho_packed_size(encoding, kBlock), sizeof(float)},
          .output_sizes = {kBlock * sizeof(float)},
          .make_inputs =
              [=] {
                return Inputs{random_codes(encoding, blocks * kBlock), float_bytes(blocks, 0.5f, 1.5f)};
              },
          .call =
              [=](const Stream& stream, const Pointers& inputs, const Pointers& outputs, int64_t units) {
                rho_expand(stream, {.encoding = encoding,
                                    .packed = packed_tensor(inputs[0], encoding, units),
                                    .scales = tensor(inputs[1], LOWBIT_TYPE_F32, {units}),
                                    .output = tensor(outputs[0], LOWBIT_TYPE_F32, {units * kBlock})});
              }};
}

}  // namespace

void add_streaming(Bench& bench) {
  const int64_t rows = bench.axis(8192), length = bench.axis(8192), blocks = rows * length / kBlock;  // 256 MB
  add(bench, quantize(rows, length));
  for (lowbit_format encoding : {LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY}) {
    add(bench, compress(encoding, blocks));
    add(bench, expand(encoding, blocks));
  }
}

}  // namespace lowbit::bench
