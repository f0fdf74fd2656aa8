// The parity guard on each backend that it guards: a wrong kernel of each operation comes first in the table.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <optional>
#include <set>

#include "fake_device.h"
#include "mix.h"
#include "targets.h"
#include "values.h"
#include "wrong_kernels.h"

namespace lowbit::test {
namespace {

using testing::Not;
using testing::StartsWith;

constexpr int64_t kValues = 1000;
constexpr int64_t kBeyondCases = 8000;  // elements that no output of a built-in case has

std::vector<Target> guarded_targets() {
  std::vector<Target> guarded = unmasked_targets();
  std::erase_if(guarded, [](const Target& target) { return std::string(target.backend) == "reference"; });
  return guarded;
}

class GuardOfBackend : public testing::TestWithParam<Target> {
 protected:
  void SetUp() override {
    std::string absent;
    right = test::open(GetParam(), &absent, LOWBIT_GUARD_OFF);
    if (!right) GTEST_SKIP() << absent;
  }
  core::Backend backend() const { return right->get()->device->backend(); }

  // The same device with another kernel table.
  static Device open(std::span<const core::KernelRow> rows, lowbit_guard guard) {
    std::shared_ptr<core::Device> opened;
    const core::Status status = core::open_device({.backend = GetParam().backend, .guard = guard}, rows, &opened);
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

TEST_P(GuardOfBackend, AWrongKernelIsCaughtAndTheNextServes) {
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
                      begin = fmt::format("parity_mismatch: {} on {} '{}', word {}: ", wrong.kernel, GetParam().backend,
                                          device.info().name, kWord[i]);
    ASSERT_THAT(reason, StartsWith(begin));
    unsigned got = 0, expected = 0;
    int end = 0;
    std::sscanf(wrong.reason + begin.size(), "got 0x%8x, expected 0x%8x%n", &got, &expected, &end);
    EXPECT_EQ(begin.size() + static_cast<size_t>(end), reason.size()) << reason;
    EXPECT_TRUE(std::has_single_bit(got ^ expected)) << reason;
  }

  const Mix mix_of_right(*right, kValues, true);
  const Stream stream(device), stream_of_right(*right);
  mix.clear(stream);
  EXPECT_EQ(kernels_of(mix, stream), kernels_of(mix_of_right, stream_of_right));
  EXPECT_EQ(mix.results(stream), Mix::expected(kValues, true));
}

TEST_P(GuardOfBackend, WithoutItTheWrongBitsAreSeen) {
  const WrongTable<> table(backend(), "unguarded_");
  const Device device = open(table.rows, LOWBIT_GUARD_OFF);
  const Mix mix(device, kValues, true);
  const Stream stream(device);
  mix.clear(stream);
  EXPECT_THAT(kernels_of(mix, stream), testing::Each(StartsWith("unguarded_")));
  EXPECT_NE(mix.results(stream), Mix::expected(kValues, true));
}

// ---- Samples of real calls -------------------------------------------------------------------------------------------

TEST_P(GuardOfBackend, ASampleShowsWhatTheCasesDoNot) {
  constexpr int64_t kManyValues = 40000;
  const WrongTable<kBeyondCases> table(backend(), "sampled_");
  const Device device = open(table.rows, LOWBIT_GUARD_SAMPLE);
  const Mix mix(device, kManyValues, true);
  device.warm_up();
  for (int i = 0; i < core::kOperationCount; ++i)
    EXPECT_EQ(best(device, static_cast<lowbit_operation>(i)).selected, 1) << "it passes the built-in cases";

  std::set<std::string> told;
  for (size_t call = 0; call < mix.size(); ++call) {
    const Stream stream(device);
    mix.run(stream, call);
    if (lowbit_stream_synchronize(stream.get()) == LOWBIT_OK) continue;
    const std::string reason = lowbit_last_error();
    EXPECT_THAT(reason, testing::HasSubstr(fmt::format("on {} '{}', word ", GetParam().backend, device.info().name)));
    EXPECT_TRUE(told.insert(reason.substr(0, reason.find(" on "))).second) << "after it was barred: " << reason;
    EXPECT_EQ(lowbit_stream_synchronize(stream.get()), LOWBIT_OK) << "it is told once";
    const auto operation =
        std::find_if(table.names.begin(), table.names.end(),
                     [&](const std::string& name) { return reason.find(": " + name + " on ") != std::string::npos; }) -
        table.names.begin();
    ASSERT_LT(operation, core::kOperationCount) << reason;
    const lowbit_candidate wrong = best(device, static_cast<lowbit_operation>(operation));
    EXPECT_EQ(wrong.selected, 0);
    EXPECT_EQ(wrong.reason, reason);
  }
  std::set<std::string> wrong;
  for (const std::string& name : table.names) wrong.insert("parity_mismatch: " + name);
  EXPECT_EQ(told, wrong);

  const Stream stream(device);
  mix.clear(stream);
  EXPECT_THAT(kernels_of(mix, stream), testing::Each(Not(StartsWith("sampled_"))));
  stream.synchronize();
  EXPECT_EQ(mix.results(stream), Mix::expected(kManyValues, true));
}

TEST_P(GuardOfBackend, RightKernelsAreNotAccused) {
  constexpr int64_t kFewValues = 300;
  const Device device = open(core::kernel_table(), LOWBIT_GUARD_SAMPLE);
  const Mix mix(device, kFewValues, true), large(device, 10 * kFewValues, true);
  const Stream stream(device);
  mix.clear(stream);
  large.run(stream);
  for (int turn = 0; turn < 130; ++turn) {  // each call is the 64th of its kernel at some turn
    mix.run(stream);
    if (turn % 50 == 0) stream.synchronize();
  }
  EXPECT_EQ(mix.results(stream), Mix::expected(kFewValues, true));
  stream.synchronize();
  for (const core::KernelRow& row : core::kernel_table())
    EXPECT_NE(device.get()->device->state(row), core::KernelState::barred) << row.name;
}

// Calls of every form, rows apart from each other, each the first of its stream and therefore sampled.
class Forms {
 public:
  explicit Forms(const Device& device)
      : device_(device),
        floats_(device, kBytes),
        codes_(device, kBytes),
        outputs_{Buffer(device, kBytes), Buffer(device, kBytes), Buffer(device, kBytes)} {
    const Stream stream(device);
    stream.upload(floats_, make_values(Values::cancelling, kBytes / 4 / 50, 50, 127, 1));
    const std::vector<int32_t> ones(kBytes / 4, 0x01010101);
    stream.upload(codes_, ones);
    stream.synchronize();
  }

  void quantize(lowbit_rule rule, lowbit_group group) const {
    const int64_t scales = group == LOWBIT_PER_TENSOR ? 1 : group == LOWBIT_PER_TOKEN ? B * H * T : B * T;
    sampled([&](const Stream& stream) {
      quantize_pack(stream, {.format = LOWBIT_UINT8,
                             .rule = rule,
                             .group = group,
                             .input = apart(floats_, LOWBIT_TYPE_F32, {B, H, T, E}),
                             .codes = apart(outputs_[0], LOWBIT_TYPE_I32, {B, H, T, (E + 3) / 4}),
                             .scales = tensor(outputs_[1], LOWBIT_TYPE_F32, {scales})});
    });
  }
  void pack(lowbit_format format, lowbit_group group) const {
    const auto size = static_cast<int64_t>(lowbit_packed_weight_size(format, H * E * T));
    sampled([&](const Stream& stream) {
      pack_weight(stream, {.format = format,
                           .group = group,
                           .input = apart(floats_, LOWBIT_TYPE_F32, {H, E, T}),  // a word's codes lie in several rows
                           .packed = tensor(outputs_[0], LOWBIT_TYPE_U8, {size}),
                           .scales = tensor(outputs_[1], LOWBIT_TYPE_F32, {group == LOWBIT_PER_TENSOR ? 1 : H * T})});
    });
  }
  void rho(lowbit_format encoding) const {
    constexpr int64_t kCount = H * E;
    const lowbit_tensor packed =
        tensor(outputs_[0], LOWBIT_TYPE_U8, {static_cast<int64_t>(lowbit_rho_packed_size(encoding, kCount))});
    const lowbit_tensor scales =
        tensor(outputs_[1], LOWBIT_TYPE_F32, {static_cast<int64_t>(lowbit_rho_block_count(kCount))});
    sampled([&](const Stream& stream) {
      rho_compress(
          stream,
          {.encoding = encoding, .input = apart(floats_, LOWBIT_TYPE_F32, {H, E}), .packed = packed, .scales = scales});
      rho_expand(stream, {.encoding = encoding,
                          .packed = packed,
                          .scales = scales,
                          .output = apart(outputs_[2], LOWBIT_TYPE_F32, {H, E})});
    });
  }
  void project(lowbit_format activations, lowbit_format weights, int64_t rows) const {
    const std::vector<uint8_t> packed = pack_bytes(weights, make_codes(weights, H * E * N, 3));
    const std::vector<float> scales = make_values(Values::uniform, H, N, 127, 4);
    lowbit_weight_desc desc{.operation = LOWBIT_LOWRANK_PROJECTION,
                            .format = weights,
                            .heads = H,
                            .rows = E,
                            .columns = N,
                            .packed = packed.data(),
                            .packed_size = packed.size(),
                            .scales = scales.data(),
                            .scale_count = H * N};
    const Weight encoder(device_, desc);
    desc.operation = LOWBIT_DECODER_TAIL;
    desc.scale_count = N;
    const Weight decoder(device_, desc);
    for (int64_t heads : {int64_t{1}, H}) {
      sampled([&](const Stream& stream) {
        lowrank_projection(stream, {.use_threshold = heads == 1,
                                    .threshold = 0.5f,
                                    .input = floats(activations, {B, heads, rows, E}),
                                    .weight = encoder.get(),
                                    .output = apart(outputs_[0], LOWBIT_TYPE_F32, {B, H, rows, N - 3})});
      });
    }
    sampled([&](const Stream& stream) {
      decoder_tail(stream, {.input = floats(activations, {B, H, rows, E - 2}),
                            .weight = decoder.get(),
                            .output = apart(outputs_[0], LOWBIT_TYPE_F32, {B, 1, rows, N})});
    });
    if (activations == LOWBIT_F32) return;
    sampled([&](const Stream& stream) {  // codes, and one scale in the arguments
      decoder_tail(stream, {.input = {.values = apart(codes_, LOWBIT_TYPE_I32, {B, H, rows, (E + 3) / 4}),
                                      .scale = 0.25f,
                                      .format = activations},
                            .weight = decoder.get(),
                            .output = apart(outputs_[0], LOWBIT_TYPE_F32, {B, 1, rows, N})});
    });
  }

 private:
  static constexpr int64_t B = 2, H = 3, T = 5, E = 45, N = 70;
  static constexpr size_t kBytes = 200000;

  static lowbit_tensor apart(const Buffer& buffer, lowbit_type type, std::initializer_list<int64_t> shape) {
    lowbit_tensor spaced = tensor(buffer, type, shape);
    spaced.offset = 8;
    spaced.row_stride = shape.end()[-1] + 3;
    return spaced;
  }
  lowbit_activations floats(lowbit_format format, std::initializer_list<int64_t> shape) const {
    return {.values = apart(floats_, LOWBIT_TYPE_F32, shape), .format = format, .group = LOWBIT_PER_TOKEN};
  }
  template <typename Call>
  void sampled(const Call& call) const {
    const Stream stream(device_);
    call(stream);
    stream.synchronize();
  }

  const Device& device_;
  Buffer floats_, codes_;
  Buffer outputs_[3];
};

TEST_P(GuardOfBackend, RightKernelsAreNotAccusedOfAnyForm) {
  const Device device = open(core::kernel_table(), LOWBIT_GUARD_SAMPLE);
  const Forms forms(device);
  for (lowbit_rule rule : {LOWBIT_ABSMAX, LOWBIT_ABSMEAN}) {
    for (lowbit_group group : {LOWBIT_PER_TENSOR, LOWBIT_PER_TOKEN, LOWBIT_PER_TOKEN_ALL_HEADS})
      forms.quantize(rule, group);
  }
  for (lowbit_format format : {LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY}) {
    for (lowbit_group group : {LOWBIT_PER_TENSOR, LOWBIT_PER_CHANNEL}) forms.pack(format, group);
    forms.rho(format);
    for (lowbit_format activations : {LOWBIT_INT8, LOWBIT_INT4, LOWBIT_UINT8, LOWBIT_F32}) {
      for (int64_t rows : {1, 5}) forms.project(activations, format, rows);
    }
  }
}

// What a call read and wrote may be another's by the time of the synchronize, or gone.
TEST_P(GuardOfBackend, OperandsMayBeOverwrittenAndFreed) {
  constexpr int64_t kRows = 7, kDepth = 45, kColumns = 70;
  const Device device = open(core::kernel_table(), LOWBIT_GUARD_SAMPLE);
  const Stream stream(device);
  const std::vector<float> values = make_values(Values::mixed, kRows, kDepth, 127, 1);
  const std::vector<float> junk(kRows * kColumns, -3.0f);
  const std::vector<uint8_t> packed = pack_bytes(LOWBIT_INT8, make_codes(LOWBIT_INT8, kDepth * kColumns, 3));
  const float scale = 0.25f;
  const auto project = [&](lowbit_format format) {
    const Weight weight(device, {.operation = LOWBIT_LOWRANK_PROJECTION,
                                 .format = LOWBIT_INT8,
                                 .heads = 1,
                                 .rows = kDepth,
                                 .columns = kColumns,
                                 .packed = packed.data(),
                                 .packed_size = packed.size(),
                                 .scales = &scale,
                                 .scale_count = 1});
    const Buffer input(device, values.size() * 4), output(device, junk.size() * 4);
    stream.upload(input, values);
    lowrank_projection(stream,
                       {.input = {.values = tensor(input, LOWBIT_TYPE_F32, {1, 1, kRows, kDepth}), .format = format},
                        .weight = weight.get(),
                        .output = tensor(output, LOWBIT_TYPE_F32, {1, 1, kRows, kColumns})});
    stream.upload(input, std::span(junk).first(values.size()));
    stream.upload(output, junk);
  };
  for (lowbit_format format : {LOWBIT_INT8, LOWBIT_F32}) project(format);
  stream.synchronize();
  project(LOWBIT_UINT8);  // and not waited for at all
}

// A kernel that refuses data may leave anything behind, and is not accused of it.
TEST_P(GuardOfBackend, RefusedDataIsNoMismatch) {
  const Device device = open(core::kernel_table(), LOWBIT_GUARD_SAMPLE);
  const Stream stream(device);
  const std::vector<float> values(32 * 4, std::numeric_limits<float>::infinity());
  const Buffer input(device, values.size() * 4), packed(device, 32), scales(device, 16);
  stream.upload(input, values);
  const lowbit_pack_weight_args args{.struct_size = sizeof(args),
                                     .format = LOWBIT_TERNARY,
                                     .group = LOWBIT_PER_CHANNEL,
                                     .input = tensor(input, LOWBIT_TYPE_F32, {32, 4}),
                                     .packed = tensor(packed, LOWBIT_TYPE_U8, {32}),
                                     .scales = tensor(scales, LOWBIT_TYPE_F32, {4})};
  const lowbit_status called = lowbit_pack_weight(stream.get(), &args);  // host backends refuse at once
  const lowbit_status synchronized = lowbit_stream_synchronize(stream.get());
  EXPECT_TRUE(called == LOWBIT_INVALID_ARGUMENT || synchronized == LOWBIT_INVALID_ARGUMENT) << lowbit_last_error();
  EXPECT_EQ(lowbit_stream_synchronize(stream.get()), LOWBIT_OK) << lowbit_last_error();
  for (const core::KernelRow& row : core::kernel_table())
    EXPECT_NE(device.get()->device->state(row), core::KernelState::barred) << row.name;
}

INSTANTIATE_TEST_SUITE_P(Devices, GuardOfBackend, testing::ValuesIn(guarded_targets()), name_of_target);

}  // namespace
}  // namespace lowbit::test
