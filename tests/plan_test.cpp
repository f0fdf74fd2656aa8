// Plans: the decision over every input, and what devices can do.
#include <string>

#include "api.h"
#include "error_of.h"
#include "fake_device.h"

namespace lowbit::test {
namespace {

using core::Backend;
using core::KernelRow;
using testing::HasSubstr;

constexpr lowbit_format kTargets[] = {LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY};
constexpr lowbit_format kWeights[] = {LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY, LOWBIT_F32};
constexpr lowbit_format kActivations[] = {LOWBIT_INT8, LOWBIT_INT4, LOWBIT_UINT8, LOWBIT_F32};

std::string names_of(const lowbit_plan& plan) {
  return std::string(lowbit_runtime_name(plan.runtime)) + ", " + lowbit_fallback_reason_name(plan.fallback_reason);
}

std::string chosen(const lowbit_plan_config& config, int native, int training) {
  return names_of(choose_plan(config, {.native_projections = native, .training_kernels = training}));
}

TEST(Plan, Names) {
  EXPECT_STREQ(lowbit_runtime_name(LOWBIT_FAKE_QUANT_REFERENCE), "fake_quant_reference");
  EXPECT_STREQ(lowbit_runtime_name(LOWBIT_PACKED_REFERENCE), "packed_reference");
  EXPECT_STREQ(lowbit_runtime_name(LOWBIT_PACKED_NATIVE_INFERENCE), "packed_native_inference");
  EXPECT_STREQ(lowbit_runtime_name(LOWBIT_PACKED_NATIVE_TRAINING_FORWARD), "packed_native_training_forward");
  EXPECT_STREQ(lowbit_fallback_reason_name(LOWBIT_FALLBACK_NONE), "none");
  EXPECT_STREQ(lowbit_fallback_reason_name(LOWBIT_FALLBACK_QUANT_DISABLED), "quant_disabled");
  EXPECT_STREQ(lowbit_fallback_reason_name(LOWBIT_FALLBACK_MISSING_PACKED_ARTIFACTS), "missing_packed_artifacts");
  EXPECT_STREQ(lowbit_fallback_reason_name(LOWBIT_FALLBACK_NATIVE_LOW_BIT_UNAVAILABLE), "native_low_bit_unavailable");
  for (int none : {-1, 4, 1 << 30}) EXPECT_EQ(lowbit_runtime_name(static_cast<lowbit_runtime>(none)), nullptr);
  const char* const of_devices[] = {"not_built",       "no_driver",       "driver_too_old", "no_device",
                                    "feature_missing", "parity_mismatch", "device_lost",    "out_of_memory"};
  for (int i = 0; i < 8; ++i) {
    const auto reason = static_cast<lowbit_fallback_reason>(LOWBIT_FALLBACK_NOT_BUILT + i);
    EXPECT_STREQ(lowbit_fallback_reason_name(reason), of_devices[i]);
  }
  for (int none : {-1, 12, 1 << 30}) {
    EXPECT_EQ(lowbit_fallback_reason_name(static_cast<lowbit_fallback_reason>(none)), nullptr);
  }
}

// One example a row of the table in lowbit.h, written out.
TEST(Plan, Rows) {
  const lowbit_plan_config all{.enabled = 1, .packed = 7};
  lowbit_plan_config config = all;
  EXPECT_EQ(chosen(config, 1, 1), "packed_native_inference, none");
  EXPECT_EQ(chosen(config, 0, 1), "packed_reference, native_low_bit_unavailable");
  config.packed = 0;
  EXPECT_EQ(chosen(config, 1, 1), "fake_quant_reference, missing_packed_artifacts");
  config.training_kernels = 1;
  EXPECT_EQ(chosen(config, 0, 1), "packed_native_training_forward, none");
  EXPECT_EQ(chosen(config, 1, 0), "fake_quant_reference, missing_packed_artifacts");
  config.x = LOWBIT_TERNARY;
  EXPECT_EQ(chosen(config, 1, 1), "fake_quant_reference, missing_packed_artifacts");
  config.packed = LOWBIT_MODULE_Y;
  EXPECT_EQ(chosen(config, 1, 1), "packed_native_inference, none");
  config.x = LOWBIT_F32;
  EXPECT_EQ(chosen(config, 1, 1), "packed_native_training_forward, none");
  config.enabled = 0;
  EXPECT_EQ(chosen(config, 1, 1), "fake_quant_reference, quant_disabled");
}

// Every configuration with every capability, against sets of conditions instead of an order: each plan by what must
// hold for it, exactly one of which does.
TEST(Plan, EveryInput) {
  struct Outcome {
    bool holds;
    const char* plan;
  };
  int seen = 0;
  for (unsigned bits = 0; bits < 1u << 7; ++bits) {
    const bool enabled = bits & 1, wants = bits & 2, native = bits & 4, trains = bits & 8;
    const unsigned packed = bits >> 4;
    for (lowbit_format x : kWeights) {
      for (lowbit_format y : kWeights) {
        for (lowbit_format residual : kWeights) {
          if (enabled && x == LOWBIT_F32 && y == LOWBIT_F32 && residual == LOWBIT_F32) continue;  // refused
          bool usable = false, trainable = true;
          const lowbit_format formats[] = {x, y, residual};
          for (unsigned m = 0; m < 3; ++m) {
            if (formats[m] == LOWBIT_F32) continue;
            usable = usable || (packed & (1u << m));
            if (m == 0) trainable = formats[m] == LOWBIT_INT8 || formats[m] == LOWBIT_BINARY;
          }
          const bool training = wants && trains && trainable;
          const Outcome outcomes[] = {
              {!enabled, "fake_quant_reference, quant_disabled"},
              {enabled && training, "packed_native_training_forward, none"},
              {enabled && !training && !usable, "fake_quant_reference, missing_packed_artifacts"},
              {enabled && !training && usable && native, "packed_native_inference, none"},
              {enabled && !training && usable && !native, "packed_reference, native_low_bit_unavailable"}};
          std::string expected;
          for (const Outcome& outcome : outcomes) expected += outcome.holds ? outcome.plan : "";
          for (lowbit_format activations : kActivations) {
            const lowbit_plan_config config{.enabled = enabled ? -3 : 0,  // any number but 0
                                            .x = x,
                                            .y = y,
                                            .residual = residual,
                                            .activations = activations,
                                            .training_kernels = wants,
                                            .packed = packed};
            ASSERT_EQ(chosen(config, native, trains), expected)
                << "bits " << bits << ", formats " << x << " " << y << " " << residual;
            ++seen;
          }
        }
      }
    }
  }
  EXPECT_EQ(seen, 4 * (64 * 64 + 64 * 63));
}

// ---- What a device can do -------------------------------------------------------------------------------------------

bool has_native(const core::Device& on, const lowbit_plan_config& config) {
  lowbit_device device{const_cast<core::Device&>(on).shared_from_this()};
  lowbit_plan_config copy = config;
  copy.struct_size = sizeof(copy);
  lowbit_capabilities found{sizeof(found), 7, 7};
  EXPECT_EQ(lowbit_device_get_capabilities(&device, &copy, &found), LOWBIT_OK) << lowbit_last_error();
  EXPECT_EQ(found.training_kernels, 0);
  EXPECT_TRUE(found.native_projections == 0 || found.native_projections == 1);
  return found.native_projections != 0;
}

TEST(Capabilities, OfEveryBackendAndFormat) {
  const auto cpu = std::make_shared<FakeDevice>(Backend::cpu, 0),
             reference = std::make_shared<FakeDevice>(Backend::reference, ~uint64_t{0});
  for (lowbit_format weights : kTargets) {
    for (lowbit_format activations : kActivations) {
      lowbit_plan_config config{
          .enabled = 1, .x = weights, .y = weights, .residual = weights, .activations = activations};
      EXPECT_TRUE(has_native(*cpu, config));
      EXPECT_FALSE(has_native(*reference, config));
      config.enabled = 0;
      EXPECT_FALSE(has_native(*cpu, config));
    }
  }
}

core::Status serve(core::Stream&, const core::LowrankProjection&) { return {}; }
core::Status serve_tail(core::Stream&, const core::DecoderTail&) { return {}; }
constexpr core::FormatSet kInt8 = {LOWBIT_INT8}, kAll = {LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY};
constexpr core::FormatSet kFloats = {LOWBIT_F32};
constexpr core::LayoutSet kPlain = {core::Layout::plain};
constexpr core::KernelFunction<core::LowrankProjection> kLowrank = &serve;
constexpr core::KernelFunction<core::DecoderTail> kTail = &serve_tail;
// int8 and floats by a feature, the tail of any weights without one; the reference has it all.
constexpr KernelRow kRows[] = {
    {"lowrank_fast", Backend::cpu, LOWBIT_FEATURE_AVX2, kInt8, kInt8, kPlain, kLowrank},
    {"lowrank_floats", Backend::cpu, LOWBIT_FEATURE_AVX2, kFloats, kAll, kPlain, kLowrank},
    {"tail", Backend::cpu, 0, kInt8, kAll, kPlain, kTail},
    {"lowrank_reference", Backend::reference, 0, kInt8, kAll, kPlain, kLowrank},
    {"tail_reference", Backend::reference, 0, kInt8, kAll, kPlain, kTail},
};

TEST(Capabilities, NeedARowForEveryTarget) {
  const auto fast = std::make_shared<FakeDevice>(Backend::cpu, LOWBIT_FEATURE_AVX2, kRows);
  const lowbit_plan_config int8{.enabled = 1};
  EXPECT_TRUE(has_native(*fast, int8));
  const auto changed = [&](auto change) {
    lowbit_plan_config config = int8;
    change(config);
    return has_native(*fast, config);
  };
  using Config = lowbit_plan_config;
  EXPECT_TRUE(changed([](Config& c) { c.residual = LOWBIT_TERNARY; }));
  EXPECT_FALSE(changed([](Config& c) { c.x = LOWBIT_TERNARY; }));
  EXPECT_FALSE(changed([](Config& c) { c.y = LOWBIT_BINARY; }));
  EXPECT_FALSE(changed([](Config& c) { c.activations = LOWBIT_UINT8; }));
  EXPECT_FALSE(changed([](Config& c) { c.activations = LOWBIT_F32; }));  // the tail has none
  EXPECT_TRUE(changed([](Config& c) { c.activations = LOWBIT_F32, c.residual = LOWBIT_F32, c.x = LOWBIT_BINARY; }));
}

TEST(Capabilities, NeedItsFeaturesAndThatItIsNotBarred) {
  const lowbit_plan_config int8{.enabled = 1};
  lowbit_plan_config tail{.enabled = 1, .x = LOWBIT_F32, .y = LOWBIT_F32};
  const auto plain = std::make_shared<FakeDevice>(Backend::cpu, 0, kRows);
  EXPECT_FALSE(has_native(*plain, int8));
  EXPECT_TRUE(has_native(*plain, tail));
  plain->set_state(kRows[2], core::KernelState::barred);
  EXPECT_FALSE(has_native(*plain, tail));
}

// What serves by falling back is no kernel of the device's own.
TEST(Capabilities, AFallbackIsNotNative) {
  const auto device = std::make_shared<FakeDevice>(Backend::cpu, 0, kRows, true);
  const core::KernelRow* kernel = nullptr;
  ASSERT_TRUE(choose(*device, {LOWBIT_LOWRANK_PROJECTION, LOWBIT_INT8, LOWBIT_INT8, {}}, &kernel).ok());
  ASSERT_STREQ(kernel->name, "lowrank_reference");
  EXPECT_FALSE(has_native(*device, {.enabled = 1}));
}

TEST(Capabilities, OfDevicesAreWhatPlansAreMadeFrom) {
  const lowbit_plan_config config{.enabled = 1, .x = LOWBIT_BINARY, .training_kernels = 1, .packed = 7};
  const auto plan_on = [&](const char* backend) {
    return names_of(choose_plan(config, Device::open({.backend = backend}).capabilities(config)));
  };
  EXPECT_EQ(plan_on("cpu"), "packed_native_inference, none");
  EXPECT_EQ(plan_on("reference"), "packed_reference, native_low_bit_unavailable");
}

// ---- Refusals -------------------------------------------------------------------------------------------------------

TEST_F(ApiTest, PlansRefuse) {
  const lowbit_plan_config valid{.struct_size = sizeof(valid), .enabled = 1};
  const lowbit_capabilities capabilities{.struct_size = sizeof(capabilities)};
  lowbit_capabilities found{sizeof(found), 7, 7};
  lowbit_plan plan{sizeof(plan), LOWBIT_PACKED_REFERENCE, LOWBIT_FALLBACK_QUANT_DISABLED};

  const auto refuse = [&](const std::string& says, auto spoil) {
    lowbit_plan_config config = valid;
    spoil(config);
    expect_refused(lowbit_plan_choose(&config, &capabilities, &plan), ("plan_choose: config." + says).c_str());
    expect_refused(lowbit_device_get_capabilities(device, &config, &found),
                   ("device_get_capabilities: config." + says).c_str());
  };
  using Config = lowbit_plan_config;
  constexpr const char* kMay = ", it may be int8, ternary, binary, f32";
  for (int format : {-1, 1, 2, 6, 32, 1 << 30}) {
    const auto wrong = static_cast<lowbit_format>(format);
    refuse("x is ", [&](Config& c) { c.x = wrong; });
    refuse("y is ", [&](Config& c) { c.y = wrong; });
    refuse("residual is ", [&](Config& c) { c.residual = wrong; });
    refuse("x is ", [&](Config& c) { c.x = wrong, c.enabled = 0; });  // not only where it counts
  }
  refuse(std::string("x is int4") + kMay, [](Config& c) { c.x = LOWBIT_INT4; });
  refuse(std::string("y is format 77") + kMay, [](Config& c) { c.y = static_cast<lowbit_format>(77); });
  for (int format : {-1, 3, 4, 6, 32}) {
    refuse("activations is ", [&](Config& c) { c.activations = static_cast<lowbit_format>(format); });
  }
  refuse("packed is 0x8, it may have the bits 0 to 2", [](Config& c) { c.packed = 8; });
  refuse("packed is 0x80000007", [](Config& c) { c.packed = 0x80000007u; });
  refuse("enabled is 1, but config.x, .y and .residual are all f32",
         [](Config& c) { c.x = c.y = c.residual = LOWBIT_F32; });

  EXPECT_EQ(found.native_projections, 7);
  EXPECT_EQ(plan.runtime, LOWBIT_PACKED_REFERENCE);
  EXPECT_EQ(plan.fallback_reason, LOWBIT_FALLBACK_QUANT_DISABLED);
}

TEST(Plan, ErrorsAreThrown) {
  EXPECT_THAT(error_of([] { choose_plan({.packed = 9}, {}); }).what(), HasSubstr("config.packed is 0x9"));
  const Device device = Device::open({.backend = "reference"});
  EXPECT_THAT(error_of([&] { device.capabilities({.x = LOWBIT_INT4}); }).what(), HasSubstr("config.x is int4"));
}

}  // namespace
}  // namespace lowbit::test
