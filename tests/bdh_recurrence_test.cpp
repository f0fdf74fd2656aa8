// The Hatchling's forward pass against a second one, in float64 and straight from the formulas atop hatchling.h: a
// small random model whose sizes divide nothing, in every way of computing it.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numbers>

#include "hatchling.h"
#include "model_file.h"
#include "names.h"
#include "oracle.h"
#include "targets.h"

namespace lowbit::test {
namespace {

namespace fs = std::filesystem;
using Vector = std::vector<double>;

constexpr int kTokens = 48;
// A rounding of 2^-24 that passes a layer norm of a near-constant vector grows by 1/sqrt(1e-5) = 316; fifty such make
// this. Anything that the model does wrongly moves a logit, which is about 1, by far more.
constexpr double kBound = 50 * 316 * 0x1p-24;
uint8_t token_at(int i) { return static_cast<uint8_t>(i * i * 7 + i / 5); }

std::vector<float> to_float(const Vector& x) { return {x.begin(), x.end()}; }

Vector layer_norm(const Vector& x) {
  double mean = 0, variance = 0;
  for (double value : x) mean += value / static_cast<double>(x.size());
  for (double value : x) variance += (value - mean) * (value - mean) / static_cast<double>(x.size());
  Vector result;
  for (double value : x) result.push_back((value - mean) / std::sqrt(variance + 1e-5));
  return result;
}

// What codes stand for: the codes of each group times its scale.
Vector dequantised(const oracle::Codes& codes) {
  const size_t group = codes.codes.size() / codes.scales.size();
  Vector result;
  for (size_t i = 0; i < codes.codes.size(); ++i) result.push_back(codes.codes[i] * double{codes.scales[i / group]});
  return result;
}

class Recurrence {
 public:
  Recurrence(ModelFile file, TinySizes sizes, const bdh::Configuration& configuration)
      : s_(sizes), c_(configuration), rho_(static_cast<size_t>(s_.layers * s_.H), Vector(size(s_.N * s_.D))) {
    const auto floats = [&](const char* name) {
      const std::span<float> values = file[name].floats();
      return std::vector<float>(values.begin(), values.end());
    };
    encoder_ = weights(floats("encoder"), {s_.H, s_.D, s_.N});
    encoder_v_ = weights(floats("encoder_v"), {s_.H, s_.D, s_.N});
    decoder_ = weights(floats("decoder"), {s_.H * s_.N, s_.D});
    embedding_ = floats("embed.weight");
    lm_head_ = floats("lm_head");
  }

  Vector step(uint8_t token) {
    Vector x = layer_norm({embedding_.begin() + token * s_.D, embedding_.begin() + (token + 1) * s_.D});
    for (int64_t l = 0; l < s_.layers; ++l) {
      const Vector x_in = quantised(x, {s_.D}, "int8", "per_token");
      Vector xs, a;
      for (int64_t h = 0; h < s_.H; ++h) {
        const Vector xs_h = relu(times(x_in, encoder_, h * s_.D * s_.N, s_.N));
        const Vector q = rope(xs_h);
        Vector& rho = rho_[size(l * s_.H + h)];
        const Vector a_h = layer_norm(times(q, rho, 0, s_.D));
        for (int64_t n = 0; n < s_.N; ++n) {
          for (int64_t d = 0; d < s_.D; ++d) rho[size(n * s_.D + d)] += q[size(n)] * x[size(d)];
        }
        xs.insert(xs.end(), xs_h.begin(), xs_h.end());
        a.insert(a.end(), a_h.begin(), a_h.end());
      }
      const Vector a_in = quantised(a, {s_.H, s_.D}, "int8", "per_token");
      Vector product;
      for (int64_t h = 0; h < s_.H; ++h) {
        const Vector a_h(a_in.begin() + h * s_.D, a_in.begin() + (h + 1) * s_.D);
        for (double y : relu(times(a_h, encoder_v_, h * s_.D * s_.N, s_.N))) product.push_back(y * xs[product.size()]);
      }
      const Vector update =
          layer_norm(times(quantised(product, {s_.H * s_.N}, "uint8", "per_token"), decoder_, 0, s_.D));
      for (size_t d = 0; d < x.size(); ++d) x[d] += update[d];
      x = layer_norm(x);
    }
    ++position_;
    if (c_.rho != LOWBIT_F32 && position_ % c_.rho_chunk == 0) recompress();
    return times(x, Vector(lm_head_.begin(), lm_head_.end()), 0, bdh::kVocabulary);
  }

 private:
  static size_t size(int64_t n) { return static_cast<size_t>(n); }

  // The weights as their codes stand for them.
  Vector weights(const std::vector<float>& floats, const std::vector<int64_t>& shape) const {
    if (c_.weights.format == LOWBIT_F32) return {floats.begin(), floats.end()};
    const oracle::Weight w = oracle::pack_weight(floats, shape, bdh::name_of(c_.weights.format, bdh::kPackedFormats),
                                                 bdh::name_of(c_.weights.rule, bdh::kRules),
                                                 bdh::name_of(c_.weights.group, bdh::kWeightGroups));
    const size_t columns = size(shape.back()), matrix = columns * size(shape[shape.size() - 2]);
    Vector result;
    for (size_t i = 0; i < floats.size(); ++i) {
      const size_t channel = w.scales.size() == 1 ? 0 : i / matrix * columns + i % columns;
      result.push_back(w.codes[i] * double{w.scales[channel]});
    }
    return result;
  }
  Vector quantised(const Vector& x, const std::vector<int64_t>& shape, const char* format, const char* group) const {
    if (c_.activations == LOWBIT_F32) return x;
    return dequantised(oracle::quantize(to_float(x), shape, format, bdh::name_of(c_.rule, bdh::kRules), group));
  }
  // x [K] times the K x n matrix that starts at w[first].
  static Vector times(const Vector& x, const Vector& w, int64_t first, int64_t n) {
    Vector out(size(n));
    for (size_t k = 0; k < x.size(); ++k) {
      for (size_t i = 0; i < out.size(); ++i) out[i] += x[k] * w[size(first) + k * out.size() + i];
    }
    return out;
  }
  static Vector relu(Vector x) {
    for (double& value : x) value = std::max(value, 0.0);
    return x;
  }
  // The pair (2j, 2j+1) as a complex number, turned by position * 65536^(-2j/N).
  Vector rope(const Vector& x) const {
    Vector out(x.size());
    for (size_t j = 0; j < x.size() / 2; ++j) {
      const double exponent = -2.0 * static_cast<double>(j) / static_cast<double>(x.size());
      const double angle = static_cast<double>(position_) * std::pow(65536.0, exponent);
      out[2 * j] = x[2 * j] * std::cos(angle) - x[2 * j + 1] * std::sin(angle);
      out[2 * j + 1] = x[2 * j] * std::sin(angle) + x[2 * j + 1] * std::cos(angle);
    }
    return out;
  }
  void recompress() {
    const std::string encoding = bdh::name_of(c_.rho, bdh::kPackedFormats);
    for (Vector& rho : rho_) {
      const std::vector<float> expanded =
          oracle::rho_expand(oracle::rho_compress(to_float(rho), encoding), static_cast<int64_t>(rho.size()), encoding);
      rho.assign(expanded.begin(), expanded.end());
    }
  }

  TinySizes s_;
  bdh::Configuration c_;
  Vector encoder_, encoder_v_, decoder_;
  std::vector<float> embedding_, lm_head_;
  std::vector<Vector> rho_;  // [layers * H] of [N, D]
  int64_t position_ = 0;
};

class RecurrenceTest : public testing::TestWithParam<Target> {
 protected:
  void SetUp() override {
    std::string absent;
    device_ = open(GetParam(), &absent);
    if (!device_) GTEST_SKIP() << absent;
    std::string name = (fs::temp_directory_path() / "lowbit_recurrence_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override {
    if (!folder_.empty()) fs::remove_all(folder_);
  }

  // The largest difference of any logit over the text.
  double difference(TinySizes sizes, const bdh::Configuration& configuration) {
    const ModelFile file = tiny_model(sizes);
    file.write(folder_ / "tiny");
    const bdh::Model model = bdh::load_model(folder_ / "tiny");
    const bdh::Weights weights(*device_, model, configuration);
    bdh::Hatchling hatchling(weights);
    Recurrence recurrence(file, sizes, configuration);
    double largest = 0;
    for (int i = 0; i < kTokens; ++i) {
      const std::span<const float> got = hatchling.step(token_at(i));
      const Vector expected = recurrence.step(token_at(i));
      for (size_t v = 0; v < got.size(); ++v) largest = std::max(largest, std::fabs(got[v] - expected[v]));
    }
    return largest;
  }

  std::optional<Device> device_;
  fs::path folder_;
};
INSTANTIATE_TEST_SUITE_P(Devices, RecurrenceTest, testing::ValuesIn(targets()), name_of_target);

TEST_P(RecurrenceTest, Floats) {
  EXPECT_LT(difference({}, {}), kBound);
  EXPECT_LT(difference({.D = 2, .H = 1, .N = 2, .layers = 1}, {}), kBound);
  EXPECT_LT(difference({.D = 33, .H = 3, .N = 26, .layers = 2}, {}), kBound);
}

TEST_P(RecurrenceTest, PackedWeights) {
  for (const auto& [format_name, format] : bdh::kPackedFormats) {
    for (const auto& [group_name, group] : bdh::kWeightGroups) {
      for (const auto& [rule_name, rule] : bdh::kRules) {
        SCOPED_TRACE(fmt::format("{} {} {}", format_name, group_name, rule_name));
        EXPECT_LT(difference({}, {.weights = {format, rule, group}}), kBound);
      }
    }
  }
}

TEST_P(RecurrenceTest, CompressedRho) {
  for (const auto& [name, encoding] : bdh::kPackedFormats) {
    for (int64_t chunk : {1, 3, 16}) {
      SCOPED_TRACE(fmt::format("{} every {}", name, chunk));
      EXPECT_LT(difference({}, {.rho = encoding, .rho_chunk = chunk}), kBound);
    }
  }
}

TEST_P(RecurrenceTest, Activations) {
  for (const auto& [format_name, format] : bdh::kPackedFormats) {
    for (const auto& [rule_name, rule] : bdh::kRules) {
      SCOPED_TRACE(fmt::format("{} {}", format_name, rule_name));
      EXPECT_LT(
          difference(
              {}, {.weights = {format, LOWBIT_ABSMAX, LOWBIT_PER_CHANNEL}, .activations = LOWBIT_INT8, .rule = rule}),
          kBound);
    }
  }
}

}  // namespace
}  // namespace lowbit::test
