// The bundled Hatchling: what float64 says it computes (models/expected.json), what low-bit configurations cost, and
// that they write the same text everywhere.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "evaluation.h"
#include "formats/npy.h"
#include "hatchling.h"
#include "model_file.h"
#include "names.h"
#include "sampler.h"
#include "targets.h"

namespace lowbit::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Then everything takes long.
constexpr bool kSanitized = LOWBIT_SANITIZED != 0;

const fs::path kModels = LOWBIT_MODELS_FOLDER;

const bdh::Model& bundled() {
  static const bdh::Model model = bdh::load_model(kModels / "bdh-shakespeare.safetensors");
  return model;
}

std::span<const uint8_t> text(size_t first, size_t count) {
  static const std::vector<std::byte> bytes = formats::read_file(kModels / "shakespeare-val.txt");
  return std::span(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()).subspan(first, count);
}

const json& expected() {
  static const json contents = [] {
    std::ifstream file(kModels / "expected.json");
    return json::parse(file);
  }();
  return contents;
}

bdh::Evaluation evaluate(const bdh::Weights& weights, std::span<const uint8_t> bytes, int64_t window) {
  return bdh::evaluate(weights, nullptr, bytes, window, [](int64_t) {});
}

double nats(const Device& device, const bdh::Configuration& configuration, size_t bytes, int64_t window) {
  return evaluate({device, bundled(), configuration}, text(0, bytes), window).nats_per_byte;
}

std::string greedy(const bdh::Weights& weights, const std::string& prompt, int tokens) {
  bdh::Hatchling hatchling(weights);
  std::string written = prompt;
  std::span<const float> logits;
  for (char byte : prompt) logits = hatchling.step(static_cast<uint8_t>(byte));
  for (int i = 0; i < tokens; ++i) {
    written += static_cast<char>(bdh::first_maximum(logits));
    logits = hatchling.step(static_cast<uint8_t>(written.back()));
  }
  return written;
}

class BundledTest : public testing::Test {
 protected:
  Device device_ = Device::open({.backend = "cpu"});
};

// ---- Floats, against float64
// -----------------------------------------------------------------------------------------

TEST_F(BundledTest, NatsPerByteOfFloats) {
  int windows = 0;
  for (const json& row : expected()["eval"]) {
    const size_t bytes = row["bytes"];
    if (kSanitized && bytes > 4000) continue;
    const bdh::Evaluation e = evaluate({device_, bundled(), {}}, text(0, bytes), row["window"]);
    EXPECT_NEAR(e.nats_per_byte, row["nats_per_byte"], 1e-4);
    EXPECT_EQ(e.predictions, row["predictions"]);
    ++windows;
  }
  EXPECT_EQ(windows, kSanitized ? 1 : 3);
}

TEST_F(BundledTest, LogitsOfFloats) {
  const formats::Npy logits = formats::read_npy(kModels / "expected-logits.npy", "<f4");
  ASSERT_EQ(logits.shape, (std::vector<int64_t>{64, 256}));
  const auto* row = reinterpret_cast<const float*>(logits.bytes.data());
  const bdh::Weights weights(device_, bundled(), {});
  bdh::Hatchling hatchling(weights);
  float largest = 0;
  for (uint8_t byte : text(0, 64)) {
    for (float logit : hatchling.step(byte)) largest = std::max(largest, std::fabs(logit - *row++));
  }
  EXPECT_LT(largest, 1e-3);
}

TEST_F(BundledTest, GreedyTextOfFloats) {
  const json& greedy_row = expected()["greedy"];
  const bdh::Weights weights(device_, bundled(), {});
  EXPECT_EQ(greedy(weights, greedy_row["prompt"], greedy_row["tokens"]), greedy_row["text"]);
}

// ---- What low bits cost
// ----------------------------------------------------------------------------------------------

constexpr bdh::Packing kInt8 = {LOWBIT_INT8, LOWBIT_ABSMAX, LOWBIT_PER_CHANNEL};

TEST_F(BundledTest, Int8CostsNothing) {
  const size_t bytes = kSanitized ? 300 : 3000;
  const double floats = nats(device_, {}, bytes, 100);
  EXPECT_NEAR(nats(device_, {.weights = kInt8, .activations = LOWBIT_INT8}, bytes, 100), floats, 0.003);
  EXPECT_NEAR(nats(device_, {.weights = kInt8}, 300, 100), nats(device_, {}, 300, 100), 0.003);
}

// docs/numerics.md has, over f32 on 8192 bytes in windows of 256: weights per tensor ternary 0.287, binary 1.236, and a
// scale a channel about 0.21 and 0.85. On fewer bytes it is about that.
TEST_F(BundledTest, FewerBitsOfWeightsCostWhatIsDocumented) {
  if (kSanitized) GTEST_SKIP() << "takes long with sanitizers";
  constexpr size_t kBytes = 2048;
  const double floats = nats(device_, {}, kBytes, 256);
  const auto cost = [&](lowbit_format format, lowbit_group group) {
    return nats(device_, {.weights = {format, LOWBIT_ABSMAX, group}, .activations = LOWBIT_INT8}, kBytes, 256) - floats;
  };
  EXPECT_NEAR(cost(LOWBIT_TERNARY, LOWBIT_PER_TENSOR), 0.287, 0.1);
  EXPECT_NEAR(cost(LOWBIT_BINARY, LOWBIT_PER_TENSOR), 1.236, 0.3);
  EXPECT_NEAR(cost(LOWBIT_TERNARY, LOWBIT_PER_CHANNEL), 0.21, 0.1);
  EXPECT_NEAR(cost(LOWBIT_BINARY, LOWBIT_PER_CHANNEL), 0.85, 0.3);
}

// Documented likewise: int8 -0.0001, ternary 0.016, binary 0.053.
TEST_F(BundledTest, CompressedRhoCostsWhatIsDocumented) {
  if (kSanitized) GTEST_SKIP() << "takes long with sanitizers";
  constexpr size_t kBytes = 1024;
  const double floats = nats(device_, {}, kBytes, 256);
  const auto cost = [&](lowbit_format encoding) { return nats(device_, {.rho = encoding}, kBytes, 256) - floats; };
  EXPECT_NEAR(cost(LOWBIT_INT8), 0, 0.001);
  const double ternary = cost(LOWBIT_TERNARY), binary = cost(LOWBIT_BINARY);
  EXPECT_GT(ternary, 0.001);
  EXPECT_LT(ternary, 0.04);
  EXPECT_GT(binary, ternary);
  EXPECT_LT(binary, 0.1);
}

// ---- The packed file
// -------------------------------------------------------------------------------------------------

TEST_F(BundledTest, PackedFileIsTheSameModel) {
  std::string name = (fs::temp_directory_path() / "lowbit_packed_XXXXXX").string();
  const int fd = ::mkstemp(name.data());
  ASSERT_GE(fd, 0);
  ::close(fd);
  const size_t bytes = kSanitized ? 50 : 200;
  const int tokens = kSanitized ? 5 : 20;
  for (lowbit_format format : {LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY}) {
    for (lowbit_group group : {LOWBIT_PER_CHANNEL, LOWBIT_PER_TENSOR}) {
      SCOPED_TRACE(
          fmt::format("{} {}", bdh::name_of(format, bdh::kPackedFormats), bdh::name_of(group, bdh::kWeightGroups)));
      const bdh::Packing packing{format, LOWBIT_ABSMAX, group};
      formats::AtomicFiles files;
      files.add(name, bdh::packed_file(bdh::pack_model(bundled(), packing)));
      files.commit();
      const bdh::Model file = bdh::load_model(name);
      EXPECT_EQ(file.packing.format, format);
      EXPECT_EQ(file.packing.group, group);
      EXPECT_EQ(file.layers, bundled().layers);
      EXPECT_TRUE(file.encoder.values.empty());
      const bdh::Configuration configuration{.weights = packing, .activations = LOWBIT_INT8};
      const bdh::Weights from_file(device_, file, configuration), from_floats(device_, bundled(), configuration);
      EXPECT_EQ(evaluate(from_file, text(500, bytes), 25).nats_per_byte,
                evaluate(from_floats, text(500, bytes), 25).nats_per_byte);
      EXPECT_EQ(greedy(from_file, "KING ", tokens), greedy(from_floats, "KING ", tokens));
    }
  }
  fs::remove(name);
}

// ---- The same text everywhere
// ----------------------------------------------------------------------------------------

TEST(Bundled, LowBitTextIsTheSameOnEveryDevice) {
  const bdh::Configuration configurations[] = {
      {.weights = {LOWBIT_INT8, LOWBIT_ABSMAX, LOWBIT_PER_CHANNEL}, .activations = LOWBIT_INT8},
      {.weights = {LOWBIT_INT8, LOWBIT_ABSMEAN, LOWBIT_PER_TENSOR},
       .activations = LOWBIT_INT8,
       .rho = LOWBIT_INT8,
       .rho_chunk = 4},
      {.weights = {LOWBIT_TERNARY, LOWBIT_ABSMAX, LOWBIT_PER_CHANNEL},
       .activations = LOWBIT_INT8,
       .rule = LOWBIT_ABSMEAN},
      {.weights = {LOWBIT_TERNARY, LOWBIT_ABSMAX, LOWBIT_PER_TENSOR},
       .activations = LOWBIT_INT8,
       .rho = LOWBIT_TERNARY},
      {.weights = {LOWBIT_BINARY, LOWBIT_ABSMAX, LOWBIT_PER_CHANNEL}, .activations = LOWBIT_INT8, .rho = LOWBIT_BINARY},
      {.weights = {LOWBIT_BINARY, LOWBIT_ABSMAX, LOWBIT_PER_TENSOR}, .activations = LOWBIT_INT8},
      {.weights = {LOWBIT_INT8, LOWBIT_ABSMAX, LOWBIT_PER_CHANNEL}, .activations = LOWBIT_F32},
      {.weights = {LOWBIT_TERNARY, LOWBIT_ABSMAX, LOWBIT_PER_CHANNEL}, .activations = LOWBIT_F32, .rho = LOWBIT_INT8},
  };
  int compared = 0;
  for (const bdh::Configuration& configuration : configurations) {
    std::optional<std::string> first;
    for (const Target& target : targets()) {
      std::string absent;
      const std::optional<Device> device = open(target, &absent);
      if (!device) continue;
      const bdh::Weights weights(*device, bundled(), configuration);
      const std::string written = greedy(weights, "ROMEO:\n", kSanitized ? 12 : 40);
      if (!first) first = written;
      EXPECT_EQ(written, *first) << "configuration " << &configuration - configurations << " on " << target.name;
      ++compared;
    }
  }
  EXPECT_GE(compared, 3 * static_cast<int>(std::size(configurations)));
}

}  // namespace
}  // namespace lowbit::test
