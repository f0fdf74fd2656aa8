// Statistics of rho_compress, and the gate over them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "error_of.h"
#include "lowbit/lowbit.hpp"
#include "targets.h"
#include "values.h"

namespace lowbit::test {
namespace {

using testing::HasSubstr;
using testing::StrEq;

class RhoStatisticsTest : public testing::TestWithParam<Target> {
 protected:
  void SetUp() override {
    std::string absent;
    device = open(GetParam(), &absent);
    if (!device) GTEST_SKIP() << absent;
    stream.emplace(*device);
  }
  // Compresses rows that lie apart, and returns what expanding gives.
  std::vector<float> compress(lowbit_format encoding, const std::vector<float>& values) const {
    constexpr int64_t kLength = 50, kStride = 60;
    const int64_t rows = std::ssize(values) / kLength, n = rows * kLength;
    std::vector<float> apart(static_cast<size_t>(rows * kStride), 1e30f);
    for (int64_t i = 0; i < n; ++i)
      apart[static_cast<size_t>(i / kLength * kStride + i % kLength)] = values[static_cast<size_t>(i)];
    const Buffer input(*device, apart.size() * 4),
        packed(*device, lowbit_rho_packed_size(encoding, static_cast<uint64_t>(n))),
        scales(*device, lowbit_rho_block_count(static_cast<uint64_t>(n)) * 4),
        output(*device, static_cast<uint64_t>(n) * 4);
    stream->upload(input, apart);
    lowbit_tensor from = tensor(input, LOWBIT_TYPE_F32, {rows, kLength});
    from.row_stride = kStride;
    const lowbit_tensor codes = tensor(packed, LOWBIT_TYPE_U8, {static_cast<int64_t>(packed.size())}),
                        blocks = tensor(scales, LOWBIT_TYPE_F32, {static_cast<int64_t>(scales.size() / 4)});
    rho_compress(*stream, {.encoding = encoding, .input = from, .packed = codes, .scales = blocks});
    rho_expand(
        *stream,
        {.encoding = encoding, .packed = codes, .scales = blocks, .output = tensor(output, LOWBIT_TYPE_F32, {n})});
    std::vector<float> expanded(static_cast<size_t>(n));
    stream->download(expanded, output);
    return expanded;
  }
  std::optional<Device> device;
  std::optional<Stream> stream;
};

// By the words of lowbit.h, over two calls of different sizes and magnitudes.
TEST_P(RhoStatisticsTest, AreWhatTheyAreCalled) {
  for (lowbit_format encoding : {LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY}) {
    SCOPED_TRACE(name_of(encoding));
    stream->start_rho_statistics();
    std::vector<double> ratios, relative;
    double squares = 0, squares_after = 0, errors = 0, largest = 0;
    uint64_t bytes_after = 0;
    for (const auto& [rows, scale] : {std::pair{3, 1.0f}, std::pair{8, 100.0f}}) {
      std::vector<float> values = make_values(Values::uniform, rows, 50, 127, 1);
      for (float& value : values) value *= scale;
      const std::vector<float> after = compress(encoding, values);
      double before_of_call = 0, after_of_call = 0;
      for (size_t i = 0; i < values.size(); ++i) {
        before_of_call += static_cast<double>(values[i]) * values[i];
        after_of_call += static_cast<double>(after[i]) * after[i];
      }
      const double rms = std::sqrt(before_of_call / static_cast<double>(values.size()));
      for (size_t i = 0; i < values.size(); ++i) {
        const double error = std::abs(static_cast<double>(after[i]) - values[i]);
        errors += error;
        largest = std::max(largest, error);
        relative.push_back(error / rms);
      }
      squares += before_of_call;
      squares_after += after_of_call;
      ratios.push_back(std::sqrt(after_of_call / before_of_call));
      bytes_after += lowbit_rho_packed_size(encoding, values.size()) + 4 * lowbit_rho_block_count(values.size());
    }
    const lowbit_rho_statistics s = stream->rho_statistics();
    double relative_sum = 0;
    for (double one : relative) relative_sum += one;
    EXPECT_EQ(s.calls, 2u);
    EXPECT_EQ(s.values, 550u);
    EXPECT_EQ(s.non_finite, 0u);
    EXPECT_EQ(s.bytes_before, 2200u);
    EXPECT_EQ(s.bytes_after, bytes_after);
    EXPECT_DOUBLE_EQ(s.rms_before, std::sqrt(squares / 550));
    EXPECT_DOUBLE_EQ(s.rms_after, std::sqrt(squares_after / 550));
    EXPECT_DOUBLE_EQ(s.mean_error, errors / 550);
    EXPECT_DOUBLE_EQ(s.largest_error, largest);
    EXPECT_NEAR(s.mean_relative_error, relative_sum / 550, 1e-12);
    EXPECT_DOUBLE_EQ(s.largest_relative_error, *std::max_element(relative.begin(), relative.end()));
    EXPECT_DOUBLE_EQ(s.smallest_rms_ratio, *std::min_element(ratios.begin(), ratios.end()));
    EXPECT_DOUBLE_EQ(s.largest_rms_ratio, *std::max_element(ratios.begin(), ratios.end()));
    const lowbit_rho_verdict verdict = check_rho(s);
    EXPECT_EQ(verdict.passed != 0, encoding == LOWBIT_INT8) << verdict.reason;
  }
}

TEST_P(RhoStatisticsTest, ABlockThatIsNotFiniteIsCountedWhole) {
  std::vector<float> values(100, 1.0f);
  values[40] = INFINITY;
  stream->start_rho_statistics();
  compress(LOWBIT_INT8, values);
  const lowbit_rho_statistics s = stream->rho_statistics();
  EXPECT_EQ(s.non_finite, 32u);
  EXPECT_EQ(s.values, 68u);
  EXPECT_DOUBLE_EQ(s.rms_before, 1);
  EXPECT_THAT(check_rho(s).reason, StrEq("32 values are not finite"));
}

TEST_P(RhoStatisticsTest, ZerosLoseNothing) {
  stream->start_rho_statistics();
  compress(LOWBIT_INT8, std::vector<float>(100));
  const lowbit_rho_statistics s = stream->rho_statistics();
  EXPECT_EQ(s.mean_relative_error, 0);
  EXPECT_EQ(s.smallest_rms_ratio, 1);
  EXPECT_NE(check_rho(s).passed, 0);
}

TEST_P(RhoStatisticsTest, AreKeptOnlyWhileAsked) {
  EXPECT_THAT(error_of([&] { stream->rho_statistics(); }).what(), HasSubstr("start them before"));
  stream->start_rho_statistics();
  compress(LOWBIT_INT8, std::vector<float>(100, 1.0f));
  stream->start_rho_statistics();
  const lowbit_rho_statistics none = stream->rho_statistics();
  EXPECT_EQ(none.calls, 0u);
  EXPECT_THAT(check_rho(none).reason, StrEq("nothing was compressed"));
  stream->stop_rho_statistics();
  compress(LOWBIT_INT8, std::vector<float>(100, 1.0f));
  EXPECT_EQ(error_of([&] { stream->rho_statistics(); }).status(), LOWBIT_INVALID_ARGUMENT);
}

INSTANTIATE_TEST_SUITE_P(Devices, RhoStatisticsTest, testing::ValuesIn(targets()), name_of_target);

// Each limit by itself: at it all is well, just past it nothing is.
TEST(RhoGate, EachLimitCounts) {
  const lowbit_rho_statistics at = {.struct_size = sizeof(at),
                                    .calls = 1,
                                    .values = 32,
                                    .bytes_before = 128,
                                    .bytes_after = 64,
                                    .mean_relative_error = 0.02,
                                    .largest_relative_error = 0.05,
                                    .smallest_rms_ratio = 0.95,
                                    .largest_rms_ratio = 1.05};
  EXPECT_NE(check_rho(at).passed, 0) << check_rho(at).reason;
  const auto fails = [&](auto change, const char* reason) {
    lowbit_rho_statistics past = at;
    change(past);
    const lowbit_rho_verdict verdict = check_rho(past);
    EXPECT_EQ(verdict.passed, 0);
    EXPECT_THAT(verdict.reason, HasSubstr(reason));
  };
  fails([](auto& s) { s.mean_relative_error = 0.0201; }, "mean_relative_error is 0.0201, the gate has 0.02");
  fails([](auto& s) { s.largest_relative_error = 0.0501; }, "largest_relative_error is 0.0501, the gate has 0.05");
  fails([](auto& s) { s.smallest_rms_ratio = 0.9499; }, "smallest_rms_ratio is 0.9499, the gate has 0.95");
  fails([](auto& s) { s.largest_rms_ratio = 1.051; }, "largest_rms_ratio is 1.051, the gate has 1.05");
  fails([](auto& s) { s.bytes_after = 65; }, "bytes_ratio is 0.5078, the gate has 0.5");
  fails([](auto& s) { s.mean_relative_error = NAN; }, "mean_relative_error is nan");
  fails([](auto& s) { s.non_finite = 1; }, "1 values are not finite");
  const lowbit_rho_gate wide = {.mean_relative_error = 1,
                                .largest_relative_error = 4,
                                .smallest_rms_ratio = 0,
                                .largest_rms_ratio = 2,
                                .bytes_ratio = 1};
  lowbit_rho_statistics coarse = at;
  coarse.largest_relative_error = 3;
  EXPECT_NE(check_rho(coarse, wide).passed, 0) << check_rho(coarse, wide).reason;
}

}  // namespace
}  // namespace lowbit::test
