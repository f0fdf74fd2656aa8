// The memory estimate against what devices allocate, and the computed buckets against sums written out.
#include <string>
#include <vector>

#include "api.h"
#include "fake_device.h"
#include "lowbit/lowbit.hpp"

namespace lowbit::test {
namespace {

constexpr lowbit_format kFormats[] = {LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY};
// No size is a multiple of a panel, a word or a block.
constexpr lowbit_model kModel{.layers = 3,
                              .embedding = 37,
                              .heads = 5,
                              .latent = 131,
                              .vocabulary = 256,
                              .batch = 2,
                              .tokens = 7,
                              .rho = LOWBIT_TERNARY,
                              .weight_group = LOWBIT_PER_CHANNEL};
constexpr lowbit_plan_config kConfig{
    .enabled = 1, .x = LOWBIT_INT8, .y = LOWBIT_TERNARY, .residual = LOWBIT_BINARY, .packed = 7};

uint64_t product(std::initializer_list<int64_t> factors) {
  uint64_t result = 1;
  for (int64_t factor : factors) result *= static_cast<uint64_t>(factor);
  return result;
}

class MemoryEstimateTest : public testing::TestWithParam<const char*> {
 protected:
  MemoryEstimateTest() : device(Device::open({.backend = GetParam()})), stream(device) {}

  // A module's weight, of codes 0 or -1 and scales 1.
  Weight weight(const lowbit_model& m, lowbit_module module, lowbit_format format) {
    const bool is_tail = module == LOWBIT_MODULE_RESIDUAL;
    const int64_t scale_count = m.weight_group == LOWBIT_PER_TENSOR ? 1 : is_tail ? m.embedding : m.heads * m.latent;
    const std::vector<float> scales(static_cast<size_t>(scale_count), 1);
    const std::vector<uint8_t> packed(lowbit_packed_weight_size(format, product({m.heads, m.embedding, m.latent})));
    return Weight(device, {.operation = is_tail ? LOWBIT_DECODER_TAIL : LOWBIT_LOWRANK_PROJECTION,
                           .format = format,
                           .heads = m.heads,
                           .rows = is_tail ? m.latent : m.embedding,
                           .columns = is_tail ? m.embedding : m.latent,
                           .packed = packed.data(),
                           .packed_size = packed.size(),
                           .scales = scales.data(),
                           .scale_count = scales.size()});
  }

  lowbit_tensor floats(std::vector<Buffer>& memory, std::initializer_list<int64_t> shape) {
    memory.emplace_back(device, product(shape) * sizeof(float));
    const std::vector<float> ones(product(shape), 1);
    stream.upload(memory.back(), ones);
    return tensor(memory.back(), LOWBIT_TYPE_F32, shape);
  }

  // The packed modules' projections of one layer, on `on`.
  void run_layer(const Stream& on, const lowbit_model& m, const lowbit_plan_config& c) {
    std::vector<Buffer> memory;
    const auto input = [&](int64_t heads, int64_t n) {
      return lowbit_activations{
          .values = floats(memory, {m.batch, heads, m.tokens, n}), .format = c.activations, .group = LOWBIT_PER_TOKEN};
    };
    const auto project = [&](lowbit_module module, lowbit_format format, int64_t heads) {
      if ((c.packed & static_cast<uint32_t>(module)) == 0) return;
      const Weight w = weight(m, module, format);
      lowrank_projection(on, {.input = input(heads, m.embedding),
                              .weight = w.get(),
                              .output = floats(memory, {m.batch, m.heads, m.tokens, m.latent})});
    };
    project(LOWBIT_MODULE_X, c.x, 1);
    project(LOWBIT_MODULE_Y, c.y, m.heads);
    if ((c.packed & LOWBIT_MODULE_RESIDUAL) == 0) return;
    const Weight w = weight(m, LOWBIT_MODULE_RESIDUAL, c.residual);
    decoder_tail(on, {.input = input(m.heads, m.latent),
                      .weight = w.get(),
                      .output = floats(memory, {m.batch, 1, m.tokens, m.embedding})});
  }

  Device device;
  Stream stream;
};

// In the device's layout, scales included.
TEST_P(MemoryEstimateTest, PackedWeights) {
  for (lowbit_format format : kFormats) {
    for (lowbit_group group : {LOWBIT_PER_TENSOR, LOWBIT_PER_CHANNEL}) {
      lowbit_model m = kModel;
      m.weight_group = group;
      uint64_t all = 0;
      for (lowbit_module module : {LOWBIT_MODULE_X, LOWBIT_MODULE_Y, LOWBIT_MODULE_RESIDUAL}) {
        lowbit_plan_config c{.enabled = 1, .x = format, .y = format, .residual = format};
        c.packed = static_cast<uint32_t>(module);
        const lowbit_memory_bucket bucket = device.estimate_memory(m, c).packed_weights;
        EXPECT_EQ(bucket.size, weight(m, module, format).size()) << format << " " << group << " " << module;
        EXPECT_EQ(bucket.basis, LOWBIT_MEMORY_ALLOCATED);
        all += bucket.size;
      }
      const lowbit_plan_config c{.enabled = 1, .x = format, .y = format, .residual = format, .packed = 7};
      EXPECT_EQ(device.estimate_memory(m, c).packed_weights.size, all);
    }
  }
}

// Buffers that rho_compress takes, one pair for each state.
TEST_P(MemoryEstimateTest, Rho) {
  for (lowbit_format encoding : kFormats) {
    lowbit_model m = kModel;
    m.rho = encoding;
    const auto count = product({m.latent, m.embedding});
    const Buffer packed(device, lowbit_rho_packed_size(encoding, count));
    const Buffer scales(device, lowbit_rho_block_count(count) * sizeof(float));
    std::vector<Buffer> memory;
    rho_compress(stream, {.encoding = encoding,
                          .input = floats(memory, {m.latent, m.embedding}),
                          .packed = tensor(packed, LOWBIT_TYPE_U8, {static_cast<int64_t>(packed.size())}),
                          .scales = tensor(scales, LOWBIT_TYPE_F32, {static_cast<int64_t>(scales.size() / 4)})});
    const lowbit_memory_bucket bucket = device.estimate_memory(m, kConfig).rho;
    EXPECT_EQ(bucket.size, 3u * 2 * 5 * (packed.size() + scales.size()));
    EXPECT_EQ(bucket.basis, LOWBIT_MEMORY_ALLOCATED);
  }
  lowbit_model m = kModel;
  m.rho = LOWBIT_F32;
  const lowbit_memory_bucket bucket = device.estimate_memory(m, kConfig).rho;
  EXPECT_EQ(bucket.size, 3u * 2 * 5 * 131 * 37 * 4);
  EXPECT_EQ(bucket.basis, LOWBIT_MEMORY_COMPUTED);
}

// Reserved, it is enough on the reference, and 64 bytes less are not; the others take no less.
TEST_P(MemoryEstimateTest, Workspace) {
  const bool is_reference = std::string(GetParam()) == "reference";
  const lowbit_model few{.layers = 1,
                         .embedding = 5,
                         .heads = 40,
                         .latent = 3,
                         .vocabulary = 2,
                         .batch = 3,
                         .tokens = 1,
                         .weight_group = LOWBIT_PER_CHANNEL};  // where y takes the most
  for (const lowbit_model& m : {kModel, few}) {
    for (lowbit_format activations : {LOWBIT_INT8, LOWBIT_INT4, LOWBIT_UINT8, LOWBIT_F32}) {
      for (uint32_t packed = 0; packed < 8; ++packed) {
        lowbit_plan_config c = kConfig;
        c.activations = activations;
        c.packed = packed;
        const lowbit_memory_bucket bucket = device.estimate_memory(m, c).workspace;
        EXPECT_EQ(bucket.basis, is_reference ? LOWBIT_MEMORY_ALLOCATED : LOWBIT_MEMORY_AT_LEAST);
        EXPECT_EQ(bucket.size == 0, packed == 0 || activations == LOWBIT_F32);

        const Stream reserved(device);
        check(lowbit_stream_reserve_scratch(reserved.get(), bucket.size));
        run_layer(reserved, m, c);
        const uint64_t taken = lowbit_stream_scratch_size(reserved.get());
        if (!is_reference) {
          EXPECT_GE(taken, bucket.size);
          continue;
        }
        EXPECT_EQ(taken, bucket.size) << packed << " " << activations;
        if (bucket.size == 0) continue;
        const Stream scarce(device);
        check(lowbit_stream_reserve_scratch(scarce.get(), bucket.size - 64));
        run_layer(scarce, m, c);
        EXPECT_GT(lowbit_stream_scratch_size(scarce.get()), bucket.size - 64);
      }
    }
  }
}

// A stream of its own that runs the one projection alone takes just that.
TEST_P(MemoryEstimateTest, WorkspaceOfOneProjection) {
  for (uint32_t module : {LOWBIT_MODULE_X, LOWBIT_MODULE_Y, LOWBIT_MODULE_RESIDUAL}) {
    lowbit_plan_config c = kConfig;
    c.packed = module;
    const Stream fresh(device);
    run_layer(fresh, kModel, c);
    const uint64_t estimated = device.estimate_memory(kModel, c).workspace.size;
    if (std::string(GetParam()) == "reference") {
      EXPECT_EQ(lowbit_stream_scratch_size(fresh.get()), estimated);
    } else {
      EXPECT_GE(lowbit_stream_scratch_size(fresh.get()), estimated);
    }
  }
}

TEST_P(MemoryEstimateTest, ComputedBuckets) {
  constexpr uint64_t kEnds = 4 * 2 * 256 * 37, kModule = 4 * 5 * 131 * 37;
  lowbit_model m = kModel;
  lowbit_plan_config c = kConfig;
  lowbit_memory_estimate e = device.estimate_memory(m, c);
  EXPECT_EQ(e.master_weights.size, kEnds);
  EXPECT_EQ(e.activations.size, 4u * 2 * 7 * (2 * 37 + 5 * 37 + 3 * 5 * 131 + 256));
  EXPECT_EQ(e.saved_activations.size, 0u);
  for (const lowbit_memory_bucket& bucket : {e.master_weights, e.activations, e.saved_activations}) {
    EXPECT_EQ(bucket.basis, LOWBIT_MEMORY_COMPUTED);
  }
  c.packed = LOWBIT_MODULE_Y;
  EXPECT_EQ(device.estimate_memory(m, c).master_weights.size, kEnds + 2 * kModule);
  c.y = LOWBIT_F32;  // packed, but no target
  e = device.estimate_memory(m, c);
  EXPECT_EQ(e.master_weights.size, kEnds + 3 * kModule);
  EXPECT_EQ(e.packed_weights.size, 0u);
  EXPECT_EQ(e.workspace.size, 0u);

  m.training = 1;
  e = device.estimate_memory(m, kConfig);
  EXPECT_EQ(e.master_weights.size, kEnds + 3 * kModule);
  EXPECT_EQ(e.saved_activations.size, 4u * 3 * 2 * 7 * (37 + 5 * 37 + 5 * 131));
  EXPECT_EQ(e.packed_weights.size, device.estimate_memory(kModel, kConfig).packed_weights.size);

  c = kConfig;
  c.enabled = 0;
  e = device.estimate_memory(kModel, c);
  EXPECT_EQ(e.master_weights.size, kEnds + 3 * kModule);
  EXPECT_EQ(e.packed_weights.size, 0u);
  EXPECT_EQ(e.workspace.size, 0u);
}

INSTANTIATE_TEST_SUITE_P(Devices, MemoryEstimateTest, testing::Values("reference", "cpu"),
                         [](const auto& test) { return std::string(test.param); });

// The estimate follows the layout that the device's features call for.
TEST(MemoryEstimate, TheCpuPadsItsLayouts) {
  const ScopedEnvironment any_isa("LOWBIT_CPU_ISA", nullptr);
  const auto size_on = [](const char* backend, uint64_t disabled) {
    return Device::open({.backend = backend, .disabled_features = disabled})
        .estimate_memory(kModel, kConfig)
        .packed_weights.size;
  };
  EXPECT_EQ(size_on("cpu", ~uint64_t{0}), size_on("reference", 0));
  if (Device::open({.backend = "cpu"}).info().features == 0) GTEST_SKIP() << "the cpu has scalar kernels only";
  EXPECT_GT(size_on("cpu", 0), size_on("reference", 0));
}

// ---- Refusals -------------------------------------------------------------------------------------------------------

TEST_F(ApiTest, EstimateMemoryRefuses) {
  lowbit_model valid = kModel;
  valid.struct_size = sizeof(valid);
  lowbit_plan_config config = kConfig;
  config.struct_size = sizeof(config);
  lowbit_memory_estimate estimate{.struct_size = sizeof(estimate), .rho = {17, LOWBIT_MEMORY_AT_LEAST}};
  lowbit_plan_config wrong = config;
  wrong.residual = LOWBIT_UINT8;
  expect_refused(lowbit_estimate_memory(device, &valid, &wrong, &estimate), "config.residual is uint8");

  using Model = lowbit_model;
  const auto refuse = [&](const char* says, auto spoil) {
    Model model = valid;
    spoil(model);
    expect_refused(lowbit_estimate_memory(device, &model, &config, &estimate), says);
  };
  refuse("model.layers is 0, it must be at least 1", [](Model& m) { m.layers = 0; });
  refuse("model.embedding is -1", [](Model& m) { m.embedding = -1; });
  refuse("model.heads is 0", [](Model& m) { m.heads = 0; });
  refuse("model.latent is -9223372036854775808", [](Model& m) { m.latent = INT64_MIN; });
  refuse("model.vocabulary is 0", [](Model& m) { m.vocabulary = 0; });
  refuse("model.batch is 0", [](Model& m) { m.batch = 0; });
  refuse("model.tokens is -7", [](Model& m) { m.tokens = -7; });
  refuse("model.heads x latent x embedding is 5 x 131 x 1099511627776",
         [](Model& m) { m.embedding = int64_t{1} << 40; });
  refuse("model.heads x latent x embedding", [](Model& m) { m.heads = m.latent = INT64_MAX; });
  for (int format : {-1, 1, 2, 6, 32}) {
    refuse("model.rho is ", [&](Model& m) { m.rho = static_cast<lowbit_format>(format); });
  }
  for (int group : {-1, 1, 2, 4}) {
    refuse("model.weight_group is ", [&](Model& m) { m.weight_group = static_cast<lowbit_group>(group); });
  }
  // Sizes that wrap around in 64 bits are not small ones.
  for (int shift : {32, 58, 62}) {
    const int64_t many = int64_t{1} << shift;
    refuse("its activations may be less than 2^62 bytes", [&](Model& m) { m.batch = m.tokens = many; });
    refuse("its rho may be less than 2^62 bytes", [&](Model& m) { m.layers = many << (shift == 32 ? 28 : 0); });
  }
  refuse("its master_weights may be less than 2^62 bytes", [](Model& m) { m.vocabulary = INT64_MAX; });
  refuse("its saved_activations may be",
         [](Model& m) { m.training = 1, m.tokens = int64_t{1} << 40, m.layers = int64_t{1} << 20; });
  EXPECT_EQ(estimate.rho.size, 17u);
}

// The largest sizes: none wraps around, and a huge model costs no time.
TEST_F(ApiTest, EstimateMemoryOfTheLargest) {
  lowbit_plan_config config = kConfig;
  config.struct_size = sizeof(config);
  lowbit_memory_estimate estimate{.struct_size = sizeof(estimate)};
  for (int axis = 0; axis < 3; ++axis) {
    lowbit_model m{.struct_size = sizeof(m),
                   .layers = 1,
                   .embedding = 1,
                   .heads = 1,
                   .latent = 1,
                   .vocabulary = 1,
                   .batch = 1,
                   .tokens = 1,
                   .weight_group = LOWBIT_PER_CHANNEL};
    (axis == 0 ? m.embedding : axis == 1 ? m.heads : m.latent) = int64_t{1} << 48;
    ASSERT_EQ(lowbit_estimate_memory(device, &m, &config, &estimate), LOWBIT_OK) << lowbit_last_error();
    EXPECT_GE(estimate.packed_weights.size, uint64_t{1} << 48);
    EXPECT_LT(estimate.packed_weights.size, uint64_t{1} << 62);
    EXPECT_GE(estimate.workspace.size, uint64_t{1} << 48);
  }
}

}  // namespace
}  // namespace lowbit::test
