// The parity guard on the backend LOWBIT_GUARDED_BACKEND: a wrong kernel of each operation comes first in the table.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cstdlib>
#include <optional>
#include <regex>

#include "fake_device.h"
#include "mix.h"
#include "wrong_kernels.h"

namespace lowbit::test {
namespace {

using testing::StartsWith;

constexpr int64_t kValues = 1000;

class GuardOfBackend : public testing::Test {
 protected:
  void SetUp() override {
    try {
      right.emplace(Device::open({.backend = LOWBIT_GUARDED_BACKEND, .guard = LOWBIT_GUARD_OFF}));
    } catch (const Error& error) {
      if (error.status() != LOWBIT_UNAVAILABLE) throw;
      GTEST_SKIP() << error.what();
    }
  }
  core::Backend backend() const { return right->get()->device->backend(); }

  // The same device with another kernel table.
  static Device open(std::span<const core::KernelRow> rows, lowbit_guard guard) {
    std::shared_ptr<core::Device> opened;
    const core::Status status = core::open_device({.backend = LOWBIT_GUARDED_BACKEND, .guard = guard}, rows, &opened);
    if (!status.ok()) throw std::runtime_error(status.sentence());
    Device device = Device::open({.backend = "reference"});
    device.get()->device = opened;
    return device;
  }
  // The kernel behind each call of the mix.
  static std::vector<std::string> kernels_of(const Mix& mix, const Stream& stream) {
    std::vector<std::string> kernels;
    for (size_t call = 0; call < mix.size(); ++call) {
      mix.run(stream, call);
      kernels.push_back(stream.last_kernel());
    }
    return kernels;
  }

  std::optional<Device> right;

 private:
  const ScopedEnvironment no_cache_{"LOWBIT_PIPELINE_CACHE", "off"};
};

lowbit_candidate best(const Device& device, lowbit_operation operation) {
  return device.explain({.operation = operation, .activations = LOWBIT_INT8, .weights = LOWBIT_INT8}).at(0);
}

TEST_F(GuardOfBackend, AWrongKernelIsCaughtAndTheNextServes) {
  // The last words of what run_guard_case() reads first.
  constexpr int64_t kWord[] = {179, 1721, 152, 50, 573, 2294};
  const WrongTable<> table(backend(), "caught_");
  const Device device = open(table.rows, LOWBIT_GUARD_FIRST_USE);
  const Mix mix(device, kValues, true);
  device.warm_up();
  for (int i = 0; i < core::kOperationCount; ++i) {
    const auto operation = static_cast<lowbit_operation>(i);
    const lowbit_candidate wrong = best(device, operation);
    EXPECT_EQ(wrong.kernel, table.names[static_cast<size_t>(i)]);
    EXPECT_EQ(wrong.selected, 0);
    const std::string reason = wrong.reason,
                      begin = fmt::format("parity_mismatch: {} on {} '{}', word {}: got 0x", wrong.kernel,
                                          LOWBIT_GUARDED_BACKEND, device.info().name, kWord[i]);
    EXPECT_THAT(reason, StartsWith(begin));
    std::smatch words;
    ASSERT_TRUE(std::regex_search(reason, words, std::regex(": got 0x([0-9a-f]{8}), expected 0x([0-9a-f]{8})$")))
        << reason;
    const uint64_t got = std::stoull(words[1], nullptr, 16), expected = std::stoull(words[2], nullptr, 16);
    EXPECT_TRUE(std::has_single_bit(got ^ expected)) << reason;
  }

  const Mix mix_of_right(*right, kValues, true);
  const Stream stream(device), stream_of_right(*right);
  mix.clear(stream);
  EXPECT_EQ(kernels_of(mix, stream), kernels_of(mix_of_right, stream_of_right));
  EXPECT_EQ(mix.results(stream), Mix::expected(kValues, true));
}

TEST_F(GuardOfBackend, WithoutItTheWrongBitsAreSeen) {
  const WrongTable<> table(backend(), "unguarded_");
  const Device device = open(table.rows, LOWBIT_GUARD_OFF);
  const Mix mix(device, kValues, true);
  const Stream stream(device);
  mix.clear(stream);
  EXPECT_THAT(kernels_of(mix, stream), testing::Each(StartsWith("unguarded_")));
  EXPECT_NE(mix.results(stream), Mix::expected(kValues, true));
}

}  // namespace
}  // namespace lowbit::test
