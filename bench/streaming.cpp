#include "streaming.h"

#include <fmt/format.h>

#include <cstring>
#include <stdexcept>

namespace lowbit::bench {
namespace {

std::vector<void*> pointers(const std::vector<Buffer>& buffers) {
  std::vector<void*> to;
  for (const Buffer& buffer : buffers) to.push_back(buffer.data());
  return to;
}

std::vector<void*> pointers(std::vector<std::vector<uint8_t>>& memory) {
  std::vector<void*> to;
  for (auto& bytes : memory) to.push_back(bytes.data());
  return to;
}

// A set of operands on the device.
struct Set {
  std::vector<Buffer> inputs, outputs;
};

std::vector<std::vector<uint8_t>> expected(const Bench& bench, Streaming& streaming) {
  std::vector<std::vector<uint8_t>> outputs;
  for (uint64_t size : streaming.output_sizes) outputs.emplace_back(size);
  streaming.call(bench.cpu_stream(), pointers(streaming.inputs), pointers(outputs));
  return outputs;
}

void verify(const Bench& bench, const Set& set, const std::vector<std::vector<uint8_t>>& expected) {
  for (size_t i = 0; i < expected.size(); ++i) {
    const auto got = bench.download<uint8_t>(set.outputs[i], 0, static_cast<int64_t>(expected[i].size()));
    const auto [differs, other] = std::mismatch(got.begin(), got.end(), expected[i].begin());
    if (differs == got.end()) continue;
    throw std::runtime_error(fmt::format("output {} differs from the cpu backend: byte {} is {:#04x}, not {:#04x}", i,
                                         differs - got.begin(), *differs, *other));
  }
}

}  // namespace

Subject make_streaming(const Bench& bench, Streaming streaming) {
  double bytes = 0;
  for (const auto& input : streaming.inputs) bytes += static_cast<double>(input.size());
  for (uint64_t size : streaming.output_sizes) bytes += static_cast<double>(size);

  const auto sets = std::make_shared<std::vector<Set>>(static_cast<size_t>(bench.copies_of(bytes)));
  const Stream& stream = bench.stream();
  const auto call = [sets, &stream, run = streaming.call](int copy) {
    const Set& set = sets->at(static_cast<size_t>(copy));
    run(stream, pointers(set.inputs), pointers(set.outputs));
  };
  const auto results = expected(bench, streaming);
  for (size_t copy = 0; copy < sets->size(); ++copy) {
    Set& set = sets->at(copy);
    for (const auto& input : streaming.inputs) set.inputs.push_back(bench.upload(input));
    for (uint64_t size : streaming.output_sizes) set.outputs.emplace_back(bench.gpu(), size);
    call(static_cast<int>(copy));
    verify(bench, set, results);
  }
  return {.label = stream.last_kernel(),
          .bytes = bytes,
          .operations = 0,
          .copies = static_cast<int>(sets->size()),
          .call = call};
}

std::vector<uint8_t> bytes_of(const std::vector<float>& floats) {
  std::vector<uint8_t> bytes(floats.size() * sizeof(float));
  std::memcpy(bytes.data(), floats.data(), bytes.size());
  return bytes;
}

}  // namespace lowbit::bench
