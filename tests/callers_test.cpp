// Eight threads that call at once, with a device each and on one that they share: opening, the parity guard, weights,
// buffers, streams, questions about the device, profiles, closing. The operations in all their forms are run so by the
// parity suite (harness.h).
#include <gtest/gtest.h>

#include <functional>
#include <latch>
#include <memory>
#include <thread>

#include "mix.h"
#include "targets.h"
#include "values.h"

namespace lowbit::test {
namespace {

constexpr int kCallers = 8, kRounds = LOWBIT_SANITIZED ? 3 : 10;
using Bytes = std::vector<uint8_t>;

void in_threads(const std::function<void(size_t caller)>& body) {
  std::latch all_are_there(kCallers);
  std::vector<std::thread> threads;
  for (size_t caller = 0; caller < kCallers; ++caller) {
    threads.emplace_back([&, caller] {
      all_are_there.arrive_and_wait();
      try {
        body(caller);
      } catch (const Error& error) {
        ADD_FAILURE() << "caller " << caller << ": " << error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Each has another size.
int64_t values_of(size_t caller) { return 20 * (3 + 4 * static_cast<int64_t>(caller)); }

// One weight that all of them multiply with.
class SharedWeight {
 public:
  explicit SharedWeight(const Device& device)
      : weight_(device, {.operation = LOWBIT_DECODER_TAIL,
                         .format = LOWBIT_TERNARY,
                         .heads = kHeads,
                         .rows = kRows,
                         .columns = kColumns,
                         .packed = packed_.data(),
                         .packed_size = packed_.size(),
                         .scales = &kScale,
                         .scale_count = 1}) {}

  std::vector<float> outputs(const Device& device, const Stream& stream, int64_t rows) const {
    const std::vector<float> values = make_values(Values::uniform, kHeads * rows, kRows, 127, 3);
    std::vector<float> outputs(static_cast<size_t>(rows * kColumns));
    const Buffer input(device, values.size() * sizeof(float)), output(device, outputs.size() * sizeof(float));
    stream.upload(input, values);
    decoder_tail(stream, {.input = {.values = tensor(input, LOWBIT_TYPE_F32, {1, kHeads, rows, kRows}),
                                    .group = LOWBIT_PER_TOKEN},
                          .weight = weight_.get(),
                          .output = tensor(output, LOWBIT_TYPE_F32, {1, 1, rows, kColumns})});
    stream.download(outputs, output);
    return outputs;
  }

 private:
  static constexpr int64_t kHeads = 2, kRows = 37, kColumns = 29;
  static constexpr float kScale = 0.25f;
  const Bytes packed_ = pack_bytes(LOWBIT_TERNARY, make_codes(LOWBIT_TERNARY, kHeads* kRows* kColumns, 1));
  Weight weight_;
};

// The questions that a device answers while others work on it.
void ask(const Device& device, size_t caller) {
  int selected = 0;
  for (const lowbit_candidate& candidate :
       device.explain({.operation = LOWBIT_DECODER_TAIL, .activations = LOWBIT_INT8, .weights = LOWBIT_TERNARY})) {
    selected += candidate.selected;
  }
  EXPECT_EQ(selected, 1);
  const lowbit_memory_info memory = device.memory();
  EXPECT_GT(memory.in_use, 0u);
  EXPECT_LE(memory.in_use, device.memory().peak);
  EXPECT_GT(memory.reserved, 0u);
  EXPECT_EQ(device.floor(4096, 0), device.floor(4096, 0));
  device.warm_up(1u << caller % 6);
  lowbit_backend_info info{.struct_size = sizeof(info)};
  EXPECT_EQ(lowbit_backend_get_info(static_cast<uint32_t>(caller % 4), &info), LOWBIT_OK);
}

void look_at_profile(const Device& device, size_t caller) {
  for (const lowbit_profile_entry& entry : device.profile()) {
    EXPECT_GE(entry.count, 1u) << entry.kernel;
    EXPECT_LE(entry.minimum, entry.total) << entry.kernel;
  }
  device.write_trace("/dev/null");
  caller % 2 == 0 ? device.stop_profile() : device.reset_profile();
}

class CallersTest : public testing::TestWithParam<Target> {
 protected:
  void SetUp() override {
    std::string absent;
    if (!open(GetParam(), &absent)) GTEST_SKIP() << absent;
    for (size_t caller = 0; caller < kCallers; ++caller) expected.push_back(Mix::expected(values_of(caller)));
  }
  Device open_device() const {
    std::string absent;
    return std::move(*open(GetParam(), &absent));
  }

  // All that a caller does with a device.
  void use(const Device& device, size_t caller) const {
    device.start_profile();
    const Stream stream(device);
    const Mix mix(device, values_of(caller));
    mix.clear(stream);
    mix.run(stream);
    ask(device, caller);
    look_at_profile(device, caller);
    EXPECT_EQ(mix.results(stream), expected[caller]) << "caller " << caller;
  }

  std::vector<Bytes> expected;
};
INSTANTIATE_TEST_SUITE_P(Targets, CallersTest, testing::ValuesIn(targets()), name_of_target);

TEST_P(CallersTest, WithADeviceEach) {
  in_threads([&](size_t caller) {
    for (int round = 0; round < kRounds; ++round) use(open_device(), caller);
  });
}

TEST_P(CallersTest, OnOneDevice) {
  const Device device = open_device();
  in_threads([&](size_t caller) {
    for (int round = 0; round < kRounds; ++round) use(device, caller);
  });
  EXPECT_EQ(device.memory().in_use, 0u);
}

TEST_P(CallersTest, WithOneWeight) {
  const Device device = open_device();
  const SharedWeight weight(device);
  std::vector<std::vector<float>> alone;
  for (int64_t rows = 1; rows <= kCallers; ++rows) alone.push_back(weight.outputs(device, Stream(device), rows));
  in_threads([&](size_t caller) {
    const Stream stream(device);
    for (int round = 0; round < kRounds; ++round) {
      EXPECT_EQ(weight.outputs(device, stream, static_cast<int64_t>(caller) + 1), alone[caller]) << "caller " << caller;
    }
  });
}

// The last that goes ends the device, whichever thread that is.
TEST_P(CallersTest, OutliveTheHandleOfTheirDevice) {
  struct Caller {
    Caller(const Device& device, size_t number) : stream(device), mix(device, values_of(number)) {}
    const Stream stream;
    const Mix mix;
  };
  std::vector<std::unique_ptr<Caller>> callers(kCallers);
  {
    const Device device = open_device();
    in_threads([&](size_t caller) { callers[caller] = std::make_unique<Caller>(device, caller); });
  }
  in_threads([&](size_t caller) {
    const std::unique_ptr<Caller> self = std::move(callers[caller]);
    self->mix.clear(self->stream);
    self->mix.run(self->stream);
    EXPECT_EQ(self->mix.results(self->stream), expected[caller]) << "caller " << caller;
  });
}

}  // namespace
}  // namespace lowbit::test
