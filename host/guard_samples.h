// The parity guard's mode `sample`: of real calls, a few outputs and what the reference needs to compute them are
// looked at by the host.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "device.h"
#include "operations.h"

namespace lowbit::core {

struct KernelRow;

// Words are counted through the outputs, one behind the other, as mismatch_text() has them.
struct Mismatch {
  int64_t word;
  uint32_t got, expected;
};

// An output of a call, with the operands it comes from.
struct Sample {
  std::vector<MemoryRows> operands;
  // Computes the output by the reference's definition from `operands`, which the host can read by then.
  std::function<std::optional<Mismatch>(Stream&, const std::vector<MemoryRows>& operands)> compare;
};

// What was sampled on a stream and not yet told. The stream of a device whose guard samples has one.
class Samples {
 public:
  explicit Samples(Stream& stream) : stream_(stream) {}

  // For an operation that was just enqueued. The copies stand directly behind it, so whatever becomes of its operands
  // afterwards, they hold what the kernel read and wrote.
  template <typename Operation>
  Status take(const KernelRow& kernel, const Operation& op);

  // All work has run: compares, and bars the kernels that differ. LOWBIT_INTERNAL with the first difference since the
  // last time.
  Status tell();
  // Without comparing: a kernel that refused data leaves any outputs.
  void drop();

 private:
  // Three outputs take some 15 copies. At 2 us each that is half a microsecond a call, a part of what a launch takes.
  static constexpr uint64_t kEvery = 64;
  static constexpr size_t kMostBytes = Stream::kSampleRoom / 4;  // that a sample may take

  bool is_due(const KernelRow& kernel);
  Status add(const KernelRow& kernel, Sample sample);
  void settle();

  struct Taken {
    const KernelRow* kernel;
    Sample sample;
  };
  Stream& stream_;
  std::map<const KernelRow*, uint64_t> calls_;
  std::vector<Taken> taken_;
  size_t used_ = 0;  // of the stream's room
  std::string first_difference_;
};

}  // namespace lowbit::core
