// The parity guard against kernels that are wrong in one bit of a rare case, put first in a table.
#include "guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "fake_device.h"
#include "guard_samples.h"
#include "host_memory.h"
#include "reference/kernels.h"
#include "wrong_kernels.h"

namespace lowbit::core {
namespace {

using test::open_cpu;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

int launches = 0;  // of kernels of this file

// Each is the reference's function, but for the lowest bit of one element where a tail is short.
template <typename T>
void flip(const Tensor& tensor, int64_t row_index, int64_t element) {
  T* at = row<T>(tensor, row_index) + element;
  uint8_t byte;
  std::memcpy(&byte, at, 1);
  byte ^= 1;
  std::memcpy(at, &byte, 1);
}
Status wrong_quantize_pack(Stream& stream, const QuantizePack& op) {
  ++launches;
  LOWBIT_TRY(reference::quantize_pack(stream, op));
  if (op.format == LOWBIT_UINT8 && row_length(op.input) % 4 != 0)
    flip<uint32_t>(op.codes, row_count(op.codes) - 1, row_length(op.codes) - 1);
  return {};
}
Status wrong_pack_weight(Stream& stream, const PackWeight& op) {
  ++launches;
  LOWBIT_TRY(reference::pack_weight(stream, op));
  if (op.format == LOWBIT_BINARY && op.matrices > 1) flip<uint8_t>(op.packed, 0, row_length(op.packed) - 1);
  return {};
}
Status wrong_lowrank_projection(Stream& stream, const LowrankProjection& op) {
  ++launches;
  LOWBIT_TRY(reference::lowrank_projection(stream, op));
  if (op.input.format != LOWBIT_INT8 && op.Lo % 8 != 0) flip<float>(op.output, row_count(op.output) - 1, op.Lo - 1);
  return {};
}
Status wrong_decoder_tail(Stream& stream, const DecoderTail& op) {
  ++launches;
  LOWBIT_TRY(reference::decoder_tail(stream, op));
  if (op.H > 1 && op.l % 4 != 0) flip<float>(op.output, row_count(op.output) - 1, op.D - 1);
  return {};
}
Status wrong_rho_compress(Stream& stream, const RhoCompress& op) {
  ++launches;
  LOWBIT_TRY(reference::rho_compress(stream, op));
  if (op.n % LOWBIT_RHO_BLOCK != 0) flip<float>(op.scales, 0, row_length(op.scales) - 1);
  return {};
}
Status wrong_rho_expand(Stream& stream, const RhoExpand& op) {
  ++launches;
  LOWBIT_TRY(reference::rho_expand(stream, op));
  if (op.n % LOWBIT_RHO_BLOCK != 0) flip<float>(op.output, row_count(op.output) - 1, row_length(op.output) - 1);
  return {};
}
Status failing_rho_expand(Stream&, const RhoExpand&) { return {LOWBIT_DRIVER_ERROR, "the driver said no"}; }
Status throwing_rho_expand(Stream&, const RhoExpand&) {
  ++launches;
  throw std::runtime_error("thrown");
}

constexpr FormatSet kCodes = {LOWBIT_INT8, LOWBIT_INT4, LOWBIT_UINT8};
constexpr FormatSet kWeights = {LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY};
constexpr LayoutSet kLayouts = {Layout::plain, Layout::panel64};

// A wrong kernel of each operation above the right ones. Names are new for each table: a verdict outlives its device.
struct Table {
  explicit Table(const std::string& prefix) {
    const Launch wrong[] = {&wrong_quantize_pack, &wrong_pack_weight,  &wrong_lowrank_projection,
                            &wrong_decoder_tail,  &wrong_rho_compress, &wrong_rho_expand};
    for (int i = 0; i < kOperationCount; ++i) {
      const auto operation = static_cast<lowbit_operation>(i);
      const bool is_projection = operation == LOWBIT_LOWRANK_PROJECTION || operation == LOWBIT_DECODER_TAIL;
      names[i] = prefix + name_of(operation);
      rows.push_back({names[i].c_str(), Backend::cpu, 0,
                      is_projection || operation == LOWBIT_QUANTIZE_PACK ? kCodes : FormatSet{},
                      operation == LOWBIT_QUANTIZE_PACK ? FormatSet{} : kWeights,
                      is_projection ? kLayouts : LayoutSet{}, wrong[i]});
    }
    for (const KernelRow& row : kernel_table()) {
      if (row.features == 0) rows.push_back(row);
    }
  }
  std::string names[kOperationCount];
  std::vector<KernelRow> rows;
};

lowbit_candidate best(lowbit_device& device, lowbit_operation operation) {
  const lowbit_query query{sizeof(query), operation, LOWBIT_UINT8, LOWBIT_BINARY};
  lowbit_candidate candidates[4] = {};
  size_t count = 4;
  EXPECT_EQ(lowbit_explain(&device, &query, candidates, &count), LOWBIT_OK) << lowbit_last_error();
  return candidates[0];
}

class GuardOfOperation : public testing::TestWithParam<int> {};

TEST_P(GuardOfOperation, BarsAWrongKernel) {
  const auto operation = static_cast<lowbit_operation>(GetParam());
  const Table table("bars_");
  const std::string name = table.names[operation];
  lowbit_device device{open_cpu(table.rows)};
  EXPECT_EQ(best(device, operation).selected, 1) << "it was not tested yet";
  ASSERT_EQ(lowbit_device_warm_up(&device, 1u << operation), LOWBIT_OK) << lowbit_last_error();
  const lowbit_candidate wrong = best(device, operation);
  EXPECT_EQ(wrong.selected, 0);
  EXPECT_THAT(wrong.reason, AllOf(HasSubstr("parity_mismatch: " + name + " on cpu"), HasSubstr("word "),
                                  HasSubstr("got 0x"), HasSubstr("expected 0x")));
  // The kernels behind it passed, and those of other operations were left alone.
  for (const KernelRow& row : table.rows) {
    const KernelState expected = row.operation() != operation || row.backend != Backend::cpu ? KernelState::untested
                                 : row.name == name                                          ? KernelState::barred
                                                                                             : KernelState::passed;
    EXPECT_EQ(device.device->state(row), expected) << row.name;
  }
}

TEST_P(GuardOfOperation, LetsItThroughWhenOff) {
  const auto operation = static_cast<lowbit_operation>(GetParam());
  const Table table("off_");
  lowbit_device device{open_cpu(table.rows, {.guard = LOWBIT_GUARD_OFF})};
  launches = 0;
  ASSERT_EQ(lowbit_device_warm_up(&device, 0), LOWBIT_OK);
  EXPECT_EQ(launches, 0);
  EXPECT_EQ(best(device, operation).selected, 1);
}

INSTANTIATE_TEST_SUITE_P(Operations, GuardOfOperation, testing::Range(0, kOperationCount),
                         [](const auto& of) { return name_of(static_cast<lowbit_operation>(of.param)); });

// A projection of ones through the C API: 5 of them, times 1.
struct Result {
  std::string kernel;
  std::vector<float> values;
};
Result project(std::span<const KernelRow> rows, lowbit_guard guard) {
  lowbit_device device{open_cpu(rows, {.guard = guard})};
  const std::vector<uint8_t> packed(5 * 3, 1);
  const float scale = 1;
  const lowbit_weight_desc desc{
      sizeof(desc), LOWBIT_LOWRANK_PROJECTION, LOWBIT_INT8, 1, 5, 3, packed.data(), packed.size(), &scale, 1};
  lowbit_weight* weight = nullptr;
  lowbit_stream* stream = nullptr;
  EXPECT_EQ(lowbit_weight_prepare(&device, &desc, &weight), LOWBIT_OK) << lowbit_last_error();
  EXPECT_EQ(lowbit_stream_create(&device, &stream), LOWBIT_OK);
  uint32_t codes[2] = {0x01010101, 1};
  Result result{"", std::vector<float>(3)};
  const lowbit_lowrank_projection_args args{
      .struct_size = sizeof(args),
      .input = {.values = {.data = codes, .shape = {1, 1, 1, 2}, .rank = 4, .type = LOWBIT_TYPE_I32},
                .scale = 1,
                .format = LOWBIT_UINT8},
      .weight = weight,
      .output = {.data = result.values.data(), .shape = {1, 1, 1, 3}, .rank = 4, .type = LOWBIT_TYPE_F32}};
  launches = 0;
  EXPECT_EQ(lowbit_lowrank_projection(stream, &args), LOWBIT_OK) << lowbit_last_error();
  result.kernel = lowbit_stream_last_kernel(stream);
  lowbit_stream_destroy(stream);
  lowbit_weight_destroy(weight);
  return result;
}

TEST(Guard, TheNextKernelServes) {
  const Table table("serves_");
  const Result result = project(table.rows, LOWBIT_GUARD_FIRST_USE);
  EXPECT_EQ(result.kernel, "lowrank_projection_wx_cpu_scalar");
  EXPECT_EQ(result.values, std::vector<float>(3, 5.0f));
  EXPECT_EQ(launches, 0);
}

// A projection quantises floats, so preparing its weight tests that kernel too.
TEST(Guard, PreparingAWeightTestsTheQuantiser) {
  const Table table("quantiser_");
  lowbit_device device{open_cpu(table.rows)};
  const uint8_t packed = 1;
  const float scale = 1;
  const lowbit_weight_desc desc{sizeof(desc), LOWBIT_DECODER_TAIL, LOWBIT_INT8, 1, 1, 1, &packed, 1, &scale, 1};
  lowbit_weight* weight = nullptr;
  ASSERT_EQ(lowbit_weight_prepare(&device, &desc, &weight), LOWBIT_OK) << lowbit_last_error();
  lowbit_weight_destroy(weight);
  for (lowbit_operation operation : {LOWBIT_QUANTIZE_PACK, LOWBIT_DECODER_TAIL})
    EXPECT_EQ(device.device->state(table.rows[operation]), KernelState::barred) << name_of(operation);
}

TEST(Guard, WithoutItTheWrongBitIsSeen) {
  const Table table("unguarded_");
  const Result result = project(table.rows, LOWBIT_GUARD_OFF);
  EXPECT_EQ(result.kernel, "unguarded_lowrank_projection");
  EXPECT_NE(result.values, std::vector<float>(3, 5.0f));
}

TEST(Guard, AVerdictOutlivesItsDevice) {
  const Table table("outlives_");
  for (int opening = 0; opening < 2; ++opening) {
    lowbit_device device{open_cpu(table.rows)};
    launches = 0;
    ASSERT_EQ(lowbit_device_warm_up(&device, 0), LOWBIT_OK);
    EXPECT_EQ(launches != 0, opening == 0);
    for (int operation = 0; operation < kOperationCount; ++operation)
      EXPECT_EQ(best(device, static_cast<lowbit_operation>(operation)).selected, 0);
  }
}

TEST(Guard, UnsupportedWhenNoKernelIsLeft) {
  const Table table("nothing_left_");
  const auto only_wrong = std::span(table.rows).first(kOperationCount);
  lowbit_device device{open_cpu(only_wrong)};
  const uint8_t packed = 0;
  const float scale = 1;
  const lowbit_weight_desc desc{sizeof(desc), LOWBIT_DECODER_TAIL, LOWBIT_INT8, 1, 1, 1, &packed, 1, &scale, 1};
  lowbit_weight* weight = nullptr;
  EXPECT_EQ(lowbit_weight_prepare(&device, &desc, &weight), LOWBIT_UNSUPPORTED);
  EXPECT_THAT(lowbit_last_error(), AllOf(HasSubstr("nothing_left_decoder_tail"), HasSubstr("parity_mismatch")));
  EXPECT_EQ(weight, nullptr);
}

TEST(Guard, AKernelThatFailsIsBarred) {
  const KernelRow rows[] = {{"fails", Backend::cpu, 0, {}, kWeights, {}, &failing_rho_expand}};
  lowbit_device device{open_cpu(rows)};
  ASSERT_EQ(lowbit_device_warm_up(&device, 0), LOWBIT_OK);
  EXPECT_THAT(best(device, LOWBIT_RHO_EXPAND).reason,
              AllOf(HasSubstr("parity_mismatch"), HasSubstr("the driver said no")));
}

// A test that could not run to its end found nothing out: it is run again.
TEST(Guard, AnExceptionIsNoVerdict) {
  const KernelRow rows[] = {{"throws", Backend::cpu, 0, {}, kWeights, {}, &throwing_rho_expand}};
  lowbit_device device{open_cpu(rows)};
  launches = 0;
  EXPECT_EQ(lowbit_device_warm_up(&device, 0), LOWBIT_INTERNAL);
  EXPECT_EQ(lowbit_device_warm_up(&device, 0), LOWBIT_INTERNAL);
  EXPECT_EQ(launches, 2);
  EXPECT_EQ(device.device->state(rows[0]), KernelState::untested);
}

// It may be wrong for any other count.
TEST(Guard, AProjectionIsTestedWithRowsItTakes) {
  static std::set<int64_t> rows_seen;
  const auto only_twos_and_threes = [](Stream& stream, const DecoderTail& op) -> Status {
    rows_seen.insert(op.B * op.T);
    return op.B * op.T == 2 || op.B * op.T == 3 ? reference::decoder_tail(stream, op) : Status();
  };
  const KernelRow rows[] = {{"two_or_three_rows", Backend::cpu, 0, kCodes, kWeights, kLayouts,
                             KernelFunction<DecoderTail>(only_twos_and_threes), 2, 3}};
  lowbit_device device{open_cpu(rows)};
  ASSERT_EQ(lowbit_device_warm_up(&device, 0), LOWBIT_OK) << lowbit_last_error();
  EXPECT_EQ(device.device->state(rows[0]), KernelState::passed) << guard_report(*device.device, rows[0]);
  EXPECT_THAT(rows_seen, ElementsAre(2, 3));
}

TEST(Guard, AReasonHoldsAWholeMismatch) {
  const test::FakeDevice device(Backend::cpu, 0, kernel_table(), false, true, std::string(200, 'x'));
  EXPECT_EQ(std::strlen(device.info().name), 127u);
  for (const KernelRow& row : kernel_table()) {
    const std::string text = mismatch_text(device, row, INT64_MAX, 1, 2);
    EXPECT_LT(text.size() + sizeof(device.info().backend), sizeof(lowbit_candidate::reason)) << text;
  }
}

TEST(Guard, EveryKernelOfThisBuildPasses) {
  for (uint64_t disabled : {uint64_t{0}, ~uint64_t{0}}) {
    lowbit_device device{open_cpu(kernel_table(), {.disabled_features = disabled})};
    ASSERT_EQ(lowbit_device_warm_up(&device, 0), LOWBIT_OK) << lowbit_last_error();
    for (const KernelRow& row : kernel_table()) {
      const bool is_tested = row.backend == Backend::cpu && (row.features & ~device.device->info().features) == 0;
      EXPECT_EQ(device.device->state(row), is_tested ? KernelState::passed : KernelState::untested)
          << row.name << ": " << guard_report(*device.device, row);
    }
  }
}

// ---- When samples are taken, and of what -----------------------------------------------------------------------------

// Of host memory, but it counts the copies that another would make.
class CountingStream final : public Stream {
 public:
  using Stream::Stream;
  Status copy_to_device(void*, uint64_t, const void*, size_t) override { return {}; }
  Status copy_to_host(void*, const void*, uint64_t, size_t) override { return {}; }
  Status flush() override { return {}; }
  Status synchronize() override { return {}; }
  bool is_capturing() const override { return captures; }
  Status fetch(size_t, MemoryRows*) override {
    ++fetched;
    return {};
  }
  bool captures = false;
  int fetched = 0;
};

class GuardSamples : public testing::Test {
 protected:
  GuardSamples() { stream.samples = std::make_shared<Samples>(stream); }
  // Expands `n` binary values by the scalar kernel: how many copies were made for it.
  int expand(int64_t n) {
    std::vector<uint8_t> packed(static_cast<size_t>(ceil_div(n, 8)));
    std::vector<float> scales(static_cast<size_t>(ceil_div(n, LOWBIT_RHO_BLOCK)), 1.0f);
    std::vector<float> output(static_cast<size_t>(n));
    const auto flat = [](lowbit_type type, void* data, size_t count) {
      const auto length = static_cast<int64_t>(count);
      return Tensor{.data = data, .shape = {length}, .row_stride = length, .rank = 1, .type = type};
    };
    stream.fetched = 0;
    EXPECT_TRUE(launch(stream, test::plainest_kernel(Backend::cpu, LOWBIT_RHO_EXPAND),
                       RhoExpand{flat(LOWBIT_TYPE_U8, packed.data(), packed.size()),
                                 flat(LOWBIT_TYPE_F32, scales.data(), scales.size()),
                                 flat(LOWBIT_TYPE_F32, output.data(), output.size()), LOWBIT_BINARY, n})
                    .ok());
    return stream.fetched;
  }
  static constexpr int kOne = 3;  // copies for one block: codes, scale, values
  const std::shared_ptr<Device> device = open_cpu(kernel_table(), {.guard = LOWBIT_GUARD_SAMPLE});
  CountingStream stream{device};
};

TEST_F(GuardSamples, TheFirstCallAndEvery64th) {
  for (int call = 0; call < 200; ++call) EXPECT_EQ(expand(96), call % 64 == 0 ? 3 * kOne : 0) << call;
}

TEST_F(GuardSamples, AsManyOutputsAsThereAre) {
  EXPECT_EQ(expand(1), kOne);
  stream.samples = std::make_shared<Samples>(stream);
  EXPECT_EQ(expand(33), 2 * kOne);
}

// A row's scale needs all of it, the code of a tensor's does not.
TEST_F(GuardSamples, NoneThatNeedsTooMuch) {
  constexpr int64_t kRow = 600000;  // 2.4 MB
  std::vector<float> values(kRow, 1.0f);
  std::vector<uint32_t> codes(kRow / 4);
  float scales[2];
  const Tensor input{.data = values.data(), .shape = {2, kRow}, .row_stride = 0, .rank = 2};  // both rows are one
  const Tensor words{.data = codes.data(), .shape = {2, kRow / 4}, .row_stride = 0, .rank = 2, .type = LOWBIT_TYPE_I32};
  const auto copies_of = [&](const RowGroups& groups) {
    stream.fetched = 0;
    stream.samples = std::make_shared<Samples>(stream);
    const Tensor made{.data = scales, .shape = {groups.count}, .row_stride = groups.count, .rank = 1};
    EXPECT_TRUE(launch(stream, test::plainest_kernel(Backend::cpu, LOWBIT_QUANTIZE_PACK),
                       QuantizePack{input, words, made, LOWBIT_INT8, LOWBIT_ABSMAX, groups})
                    .ok());
    return stream.fetched;
  };
  EXPECT_EQ(copies_of({.count = 2, .rows = 1, .tokens = 2}), 0);
  EXPECT_EQ(copies_of({.count = 1, .rows = 2, .tokens = 1}), 3 * kOne);
}

TEST_F(GuardSamples, NoneUnderCapture) {
  device->set_state(test::plainest_kernel(Backend::cpu, LOWBIT_RHO_EXPAND), KernelState::passed);
  stream.captures = true;
  EXPECT_EQ(expand(96), 0);
  stream.captures = false;
  EXPECT_EQ(expand(96), 3 * kOne) << "the first outside of it";
}

TEST_F(GuardSamples, OnlyOfStreamsOfTheCallers) {
  for (lowbit_guard guard : {LOWBIT_GUARD_FIRST_USE, LOWBIT_GUARD_OFF, LOWBIT_GUARD_SAMPLE}) {
    lowbit_device opened{open_cpu(kernel_table(), {.guard = guard})};
    lowbit_stream* made = nullptr;
    ASSERT_EQ(lowbit_stream_create(&opened, &made), LOWBIT_OK);
    EXPECT_EQ(made->stream->samples != nullptr, guard == LOWBIT_GUARD_SAMPLE) << name_of(guard);
    lowbit_stream_destroy(made);
    std::unique_ptr<Stream> internal;
    ASSERT_TRUE(opened.device->create_stream(&internal).ok());
    EXPECT_EQ(internal->samples, nullptr);
  }
}

}  // namespace
}  // namespace lowbit::core
