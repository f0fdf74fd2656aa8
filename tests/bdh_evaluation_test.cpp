// What is measured on a model, and how the next byte is drawn: on a small random one, where everything can be worked
// out a second time.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>

#include "evaluation.h"
#include "hatchling.h"
#include "model_file.h"
#include "sampler.h"

namespace lowbit::test {
namespace {

namespace fs = std::filesystem;
using Vector = std::vector<double>;

// ---- Evaluation
// ------------------------------------------------------------------------------------------------------

class EvaluationTest : public testing::Test {
 protected:
  EvaluationTest() {
    for (int i = 0; i < 1500; ++i) text_.push_back(static_cast<uint8_t>(i * i * 31 + i / 7));
  }
  ~EvaluationTest() override { fs::remove_all(folder_); }

  static fs::path make_folder() {
    std::string name = (fs::temp_directory_path() / "lowbit_evaluation_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    return name;
  }
  static bdh::Model make_model(const fs::path& path) {
    tiny_model().write(path);
    return bdh::load_model(path);
  }
  bdh::Evaluation evaluate(const bdh::Weights& weights, const bdh::Weights* against, size_t first, size_t count,
                           int64_t window) const {
    return bdh::evaluate(weights, against, std::span(text_).subspan(first, count), window, [](int64_t) {});
  }

  fs::path folder_ = make_folder();
  bdh::Model model_ = make_model(folder_ / "tiny");
  Device device_ = Device::open({.backend = "cpu"});
  bdh::Weights floats_{device_, model_, {}};
  bdh::Weights ternary_{device_, model_, {.weights = {LOWBIT_TERNARY, LOWBIT_ABSMAX, LOWBIT_PER_TENSOR}}};
  std::vector<uint8_t> text_;
};

Vector probabilities(std::span<const float> logits) {
  const double top = *std::ranges::max_element(logits);
  Vector p;
  double total = 0;
  for (float logit : logits) total += p.emplace_back(std::exp(double{logit} - top));
  for (double& value : p) value /= total;
  return p;
}

// As numpy.quantile does: between two values in proportion.
double quantile(Vector values, double q) {
  std::ranges::sort(values);
  const double at = q * static_cast<double>(values.size() - 1), below = std::floor(at);
  const double low = values[static_cast<size_t>(below)], high = values[static_cast<size_t>(std::ceil(at))];
  return low + (high - low) * (at - below);
}

TEST_F(EvaluationTest, DivergenceIsWorkedOutFromTheSameSteps) {
  constexpr size_t kWindow = 23, kWindows = 5;
  Vector kl, difference;
  double nats = 0, equal = 0;
  for (size_t w = 0; w < kWindows; ++w) {
    bdh::Hatchling truth(floats_), model(ternary_);
    for (size_t i = w * kWindow; i + 1 < (w + 1) * kWindow; ++i) {
      const Vector p = probabilities(truth.step(text_[i])), q = probabilities(model.step(text_[i]));
      double divergence = 0;
      for (size_t v = 0; v < p.size(); ++v) divergence += p[v] * std::log(p[v] / q[v]);
      kl.push_back(divergence);
      const uint8_t next = text_[i + 1];
      difference.push_back(std::fabs(p[next] - q[next]));
      nats -= std::log(q[next]);
      equal += std::ranges::max_element(p) - p.begin() == std::ranges::max_element(q) - q.begin();
    }
  }
  const auto n = static_cast<double>(kl.size());
  double sum = 0, difference_sum = 0, square_sum = 0;
  for (double value : kl) sum += value;
  for (double value : difference) difference_sum += value, square_sum += value * value;

  // Seven bytes more than whole windows: they are left out.
  const bdh::Evaluation e = evaluate(ternary_, &floats_, 0, kWindows * kWindow + 7, kWindow);
  ASSERT_TRUE(e.against.has_value());
  EXPECT_EQ(e.predictions, static_cast<int64_t>(kl.size()));
  EXPECT_NEAR(e.nats_per_byte, nats / n, 1e-12);
  EXPECT_NEAR(e.perplexity, std::exp(nats / n), 1e-9);
  EXPECT_NEAR(e.against->mean, sum / n, 1e-12);
  EXPECT_NEAR(e.against->median, quantile(kl, 0.5), 1e-12);
  EXPECT_NEAR(e.against->p90, quantile(kl, 0.9), 1e-12);
  EXPECT_NEAR(e.against->p95, quantile(kl, 0.95), 1e-12);
  EXPECT_NEAR(e.against->p99, quantile(kl, 0.99), 1e-12);
  EXPECT_NEAR(e.against->p999, quantile(kl, 0.999), 1e-12);
  EXPECT_NEAR(e.against->largest, std::ranges::max(kl), 1e-12);
  EXPECT_NEAR(e.against->equal_top1, equal / n, 1e-12);
  EXPECT_NEAR(e.against->mean_difference, difference_sum / n, 1e-12);
  EXPECT_NEAR(e.against->rms_difference, std::sqrt(square_sum / n), 1e-12);
  // The other direction would be another number: this test sees it.
  EXPECT_GT(std::fabs(evaluate(floats_, &ternary_, 0, kWindows * kWindow, kWindow).against->mean - sum / n), 1e-6);
}

TEST_F(EvaluationTest, AModelDoesNotDivergeFromItself) {
  const bdh::Evaluation e = evaluate(floats_, &floats_, 0, 300, 50);
  const bdh::Divergence& d = e.against.value();
  for (double zero : {d.mean, d.median, d.p90, d.p95, d.p99, d.p999, d.largest, d.mean_difference, d.rms_difference}) {
    EXPECT_EQ(zero, 0);
  }
  EXPECT_EQ(d.equal_top1, 1);
  EXPECT_FALSE(evaluate(floats_, nullptr, 0, 300, 50).against.has_value());
}

// A window alone is computed by one thread, all of them by as many as there are.
TEST_F(EvaluationTest, IsTheSumOfItsWindowsWhateverThreadRunsThem) {
  constexpr size_t kWindow = 30, kWindows = 50;
  const bdh::Evaluation all = evaluate(ternary_, &floats_, 0, kWindows * kWindow, kWindow);
  double nats = 0, divergence = 0, largest = 0;
  for (size_t w = 0; w < kWindows; ++w) {
    const bdh::Evaluation one = evaluate(ternary_, &floats_, w * kWindow, kWindow, kWindow);
    nats += one.nats_per_byte / kWindows;
    divergence += one.against->mean / kWindows;
    largest = std::max(largest, one.against->largest);
  }
  EXPECT_NEAR(all.nats_per_byte, nats, 1e-12);
  EXPECT_NEAR(all.against->mean, divergence, 1e-12);
  EXPECT_EQ(all.against->largest, largest);
  for (int again = 0; again < 5; ++again) {
    const bdh::Evaluation e = evaluate(ternary_, &floats_, 0, kWindows * kWindow, kWindow);
    EXPECT_EQ(e.nats_per_byte, all.nats_per_byte);
    EXPECT_EQ(e.against->mean, all.against->mean);
    EXPECT_EQ(e.against->p999, all.against->p999);
  }
}

TEST_F(EvaluationTest, ReportsProgressAndRefusesLessThanAWindow) {
  std::vector<int64_t> steps;
  bdh::evaluate(floats_, nullptr, std::span(text_).first(105), 10, [&](int64_t done) { steps.push_back(done); });
  EXPECT_EQ(steps, (std::vector<int64_t>{10, 20, 30, 40, 50, 60, 70, 80, 90, 100}));
  EXPECT_THROW(evaluate(floats_, nullptr, 0, 9, 10), std::invalid_argument);
}

TEST_F(EvaluationTest, ResetStartsANewText) {
  bdh::Hatchling used(floats_), fresh(floats_);
  for (uint8_t byte : std::span(text_).first(20)) used.step(byte);
  used.reset();
  for (uint8_t byte : std::span(text_).subspan(40, 20)) {
    const std::span<const float> a = used.step(byte), b = fresh.step(byte);
    EXPECT_TRUE(std::ranges::equal(a, b));
  }
}

// ---- The model's file
// ------------------------------------------------------------------------------------------------

TEST_F(EvaluationTest, SizesComeFromShapesAndLayersFromMetadataOrCaller) {
  EXPECT_EQ(model_.D, 6);
  EXPECT_EQ(model_.H, 2);
  EXPECT_EQ(model_.N, 10);
  EXPECT_EQ(model_.layers, 3);
  const std::string path = folder_ / "other";
  ModelFile file = tiny_model();
  file.write(path);
  EXPECT_EQ(bdh::load_model(path, 5).layers, 5);
  file.metadata.erase("n_layer");
  file.write(path);
  EXPECT_EQ(bdh::load_model(path, 2).layers, 2);
  try {
    bdh::load_model(path);
    ADD_FAILURE() << "loaded without a number of layers";
  } catch (const formats::FileError& error) {
    EXPECT_NE(std::string(error.what()).find("the metadata lacks 'n_layer': give --layers"), std::string::npos);
  }
}

TEST_F(EvaluationTest, EveryTruncationIsAFault) {
  const std::string path = folder_ / "truncated";
  for (const ModelFile& whole : {tiny_model(), packed(tiny_model(), {.format = LOWBIT_TERNARY})}) {
    const std::vector<std::byte> bytes = whole.bytes();
    for (size_t length = 0; length < bytes.size(); length += length < 1000 ? 7 : 97) {
      std::ofstream(path, std::ios::binary)
          .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(length));
      EXPECT_THROW(bdh::load_model(path), formats::FileError) << length;
    }
  }
}

// ---- Drawing the next byte
// -------------------------------------------------------------------------------------------

std::vector<float> some_logits() {
  std::vector<float> logits(256);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(i * 97 % 256) / 64;
  return logits;
}

std::vector<uint8_t> draw(bdh::Sampler sampler, std::span<const float> logits, int count) {
  std::vector<uint8_t> bytes;
  for (int i = 0; i < count; ++i) bytes.push_back(sampler.pick(logits));
  return bytes;
}

TEST(Sampler, TakesTheFirstMaximum) {
  std::vector<float> logits(256, 1.0f);
  EXPECT_EQ(bdh::first_maximum(logits), 0u);
  EXPECT_EQ(bdh::Sampler(0, 0, 1).pick(logits), 0);
  logits[7] = logits[200] = logits[255] = 2.0f;
  EXPECT_EQ(bdh::first_maximum(logits), 7u);
  EXPECT_EQ(bdh::Sampler(0, 0, 1).pick(logits), 7);
  // Among equals the k first are kept.
  EXPECT_EQ(draw(bdh::Sampler(5, 1, 3), logits, 50), std::vector<uint8_t>(50, 7));
  for (uint8_t byte : draw(bdh::Sampler(5, 2, 3), logits, 50)) EXPECT_TRUE(byte == 7 || byte == 200);
}

TEST(Sampler, OneOfTheBestIsGreedyWhateverTheTemperature) {
  const std::vector<float> logits = some_logits();
  const std::vector<uint8_t> greedy(30, static_cast<uint8_t>(bdh::first_maximum(logits)));
  for (double temperature : {0.0, 1e-320, 0.01, 1.0, 1e6}) {
    for (uint64_t seed : {0u, 1u, 99u}) EXPECT_EQ(draw({temperature, 1, seed}, logits, 30), greedy);
  }
  EXPECT_EQ(draw({1e-300, 0, 4}, logits, 30), greedy);  // so cold that nothing else has any weight
}

TEST(Sampler, TheSeedDecides) {
  const std::vector<float> logits = some_logits();
  EXPECT_EQ(draw({0.8, 20, 5}, logits, 100), draw({0.8, 20, 5}, logits, 100));
  EXPECT_NE(draw({0.8, 20, 5}, logits, 100), draw({0.8, 20, 6}, logits, 100));
  EXPECT_EQ(draw({0.8, 0, 5}, logits, 100), draw({0.8, 256, 5}, logits, 100));
}

// 20,000 draws of four bytes: each frequency is within five standard deviations, 5 * sqrt(p (1 - p) / n).
TEST(Sampler, DrawsAsOftenAsTheSoftmaxSays) {
  constexpr int kDraws = 20000;
  std::vector<float> logits(256, -100.0f);
  const std::map<uint8_t, double> shown = {{3, 2.0}, {40, 1.0}, {41, 1.0}, {255, -0.5}};
  for (const auto& [byte, logit] : shown) logits[byte] = static_cast<float>(logit);
  const double temperature = 0.7;
  double total = 0;
  for (const auto& [byte, logit] : shown) total += std::exp(logit / temperature);
  std::map<uint8_t, int> counts;
  for (uint8_t byte : draw({temperature, 0, 11}, logits, kDraws)) ++counts[byte];
  EXPECT_EQ(counts.size(), shown.size());
  for (const auto& [byte, logit] : shown) {
    const double p = std::exp(logit / temperature) / total;
    EXPECT_NEAR(static_cast<double>(counts[byte]) / kDraws, p, 5 * std::sqrt(p * (1 - p) / kDraws)) << int{byte};
  }
}

}  // namespace
}  // namespace lowbit::test
