// A mix of calls over buffers of one device, and what the reference makes of the same.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "lowbit/lowbit.hpp"

namespace lowbit::test {

class Mix {
 public:
  // `values` floats, a multiple of 20, go into each operation. Inputs are on the device when this returns.
  // `with_tail`: a decoder_tail too. It is the third to take scratch, and so releases what the first two had: tests that
  // pretend a loss while the driver goes on go without.
  Mix(const Device& device, int64_t values, bool with_tail = false);

  // One call, or all: each writes outputs of its own, which clear() fills with zeros.
  size_t size() const { return calls_.size(); }
  void run(const Stream& stream, size_t call) const { calls_[call](stream); }
  void run(const Stream& stream) const {
    for (const auto& call : calls_) call(stream);
  }
  void clear(const Stream& stream) const;
  // The bytes of all outputs; waits for them.
  std::vector<uint8_t> results(const Stream& stream) const;

  // What they hold after clear() and run(), by the reference.
  static std::vector<uint8_t> expected(int64_t values, bool with_tail = false);

 private:
  // Each adds its calls, and what they need.
  void add_rho(lowbit_format encoding);
  void add_quantize_pack(lowbit_rule rule, lowbit_group group);
  void add_pack_weight(lowbit_format format);
  void add_projection(lowbit_format format, int64_t rows);
  void add_tail(lowbit_format format);

  const lowbit_weight* prepare(lowbit_operation operation, lowbit_format format);
  std::unique_ptr<Buffer> upload(const std::vector<float>& values) const;
  void* output(int64_t size);

  const Device& device_;
  int64_t values_;
  std::unique_ptr<Buffer> input_, weights_;
  std::vector<std::unique_ptr<Weight>> prepared_;
  std::vector<std::unique_ptr<Buffer>> outputs_;
  std::vector<std::function<void(const Stream&)>> calls_;
};

}  // namespace lowbit::test
