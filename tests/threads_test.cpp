// The cpu backend's threads: every task is done once, results do not depend on how many there are, and callers do not
// disturb each other.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "cpu/machine.h"
#include "fake_device.h"
#include "lowbit/lowbit.hpp"
#include "values.h"

namespace lowbit::test {
namespace {

TEST(Threads, EveryTaskIsDoneOnce) {
  for (int parts = 1; parts <= 5; ++parts) {
    for (int64_t tasks : {0, 1, 2, 3, 7, 64}) {
      std::vector<std::atomic<int>> done(static_cast<size_t>(tasks));
      std::vector<std::atomic<int>> calls(static_cast<size_t>(parts));
      core::cpu::for_parts(parts, tasks, [&](int part, int64_t first, int64_t last) {
        ++calls[static_cast<size_t>(part)];
        for (int64_t task = first; task < last; ++task) ++done[static_cast<size_t>(task)];
      });
      for (const auto& count : done) EXPECT_EQ(count, 1);
      for (const auto& count : calls) EXPECT_EQ(count, 1);
    }
  }
}

TEST(Threads, AreStartedWhereTheWorkIsWorthIt) {
  using core::cpu::worthwhile_parts;
  constexpr int64_t kTasks = 1000;
  EXPECT_EQ(worthwhile_parts(8, kTasks, 0), 1);
  EXPECT_EQ(worthwhile_parts(8, kTasks, 19'999), 1);
  EXPECT_EQ(worthwhile_parts(8, kTasks, 20'000), 2);
  EXPECT_EQ(worthwhile_parts(8, kTasks, 1e6), 8);
  EXPECT_EQ(worthwhile_parts(8, kTasks, 1e30), 8);
  EXPECT_EQ(worthwhile_parts(8, 3, 1e6), 3);
  EXPECT_EQ(worthwhile_parts(8, 0, 1e6), 1);
  EXPECT_EQ(worthwhile_parts(1, kTasks, 1e6), 1);
}

// A projection large enough for several threads, on a device that may use `threads`.
class Work {
 public:
  explicit Work(const char* threads)
      : threads_("LOWBIT_THREADS", threads),
        device_(Device::open({.backend = "cpu"})),
        weight_(device_, {.operation = LOWBIT_LOWRANK_PROJECTION,
                          .format = LOWBIT_TERNARY,
                          .heads = 1,
                          .rows = kDepth,
                          .columns = kColumns,
                          .packed = codes_.data(),
                          .packed_size = codes_.size(),
                          .scales = &scale_,
                          .scale_count = 1}) {}

  // Of a caller of its own.
  std::vector<float> outputs(int32_t seed) const {
    const Stream stream(device_);
    std::vector<int32_t> input(kRows * kDepth / 4);
    for (size_t i = 0; i < input.size(); ++i)
      input[i] = static_cast<int32_t>(0x9e3779b9u * (i + 1)) ^ seed * 0x01010101;
    std::vector<float> output(kRows * kColumns);
    lowrank_projection(stream, {.input = {.values = tensor(input.data(), LOWBIT_TYPE_I32, {1, 1, kRows, kDepth / 4}),
                                          .scale = 0.5f,
                                          .format = LOWBIT_INT8},
                                .weight = weight_.get(),
                                .output = tensor(output.data(), LOWBIT_TYPE_F32, {1, 1, kRows, kColumns})});
    return output;
  }

 private:
  static constexpr int64_t kRows = 40, kDepth = 256, kColumns = 1024;
  const std::vector<uint8_t> codes_ = pack_bytes(LOWBIT_TERNARY, make_codes(LOWBIT_TERNARY, kDepth* kColumns, 1));
  const float scale_ = 0.25f;
  ScopedEnvironment threads_;
  Device device_;
  Weight weight_;
};

TEST(Threads, GiveTheSameBitsHoweverMany) {
  const std::vector<float> alone = Work("1").outputs(1);
  for (const char* threads : {"2", "3", "7"}) EXPECT_EQ(Work(threads).outputs(1), alone) << threads;
}

TEST(Threads, SeveralCallersAtOnce) {
  constexpr int kCallers = 4, kCalls = 3;
  const Work alone("1"), shared("3");
  std::vector<std::thread> callers;
  std::atomic<int> wrong = 0;
  for (int caller = 0; caller < kCallers; ++caller) {
    callers.emplace_back([&, expected = alone.outputs(caller), caller] {
      for (int i = 0; i < kCalls; ++i) wrong += shared.outputs(caller) != expected;
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace lowbit::test
