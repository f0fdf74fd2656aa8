// How devices are opened: by name, by environment, with features masked.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cpu/detect.h"
#include "fake_device.h"

namespace lowbit::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

bool has_avx2() { return (core::cpu::detect_features() & LOWBIT_FEATURE_AVX2) != 0; }

struct Opened {
  lowbit_status status;
  std::string says;
  lowbit_device_info info{sizeof(info)};
};

Opened open(lowbit_device_options options) {
  options.struct_size = sizeof(options);
  lowbit_device* device = nullptr;
  Opened opened{lowbit_device_open(&options, &device), ""};
  if (opened.status != LOWBIT_OK) {
    EXPECT_EQ(device, nullptr);
    opened.says = lowbit_last_error();
    return opened;
  }
  EXPECT_EQ(lowbit_device_get_info(device, &opened.info), LOWBIT_OK);
  lowbit_device_close(device);
  return opened;
}
Opened open(const char* backend) { return open(lowbit_device_options{.backend = backend}); }

class DeviceTest : public testing::Test {
  ScopedEnvironment backend_{"LOWBIT_BACKEND", nullptr}, vulkan_{"LOWBIT_VULKAN_DEVICE", nullptr},
      isa_{"LOWBIT_CPU_ISA", nullptr}, threads_{"LOWBIT_THREADS", nullptr};
};

TEST_F(DeviceTest, OpensByName) {
  EXPECT_STREQ(open("cpu").info.backend, "cpu");
  EXPECT_STREQ(open("reference").info.backend, "reference");
  EXPECT_EQ(open("auto").status, LOWBIT_OK);
  lowbit_device* device = nullptr;
  EXPECT_EQ(lowbit_device_open(nullptr, &device), LOWBIT_OK);
  lowbit_device_close(device);
}

TEST_F(DeviceTest, SaysWhatItIs) {
  const Opened cpu = open("cpu"), reference = open("reference");
  EXPECT_EQ(cpu.info.features, core::cpu::detect_features());
  EXPECT_EQ(cpu.info.features == 0, std::string("scalar") == cpu.info.isa);
  EXPECT_STRNE(cpu.info.name, "");
  EXPECT_GT(cpu.info.memory_size, 1u << 20);
  EXPECT_NE(cpu.info.host_memory, 0);
  EXPECT_EQ(reference.info.features, 0u);
  EXPECT_STREQ(reference.info.isa, "scalar");
  EXPECT_NE(reference.info.host_memory, 0);
}

TEST_F(DeviceTest, MasksFeatures) {
  const Opened masked = open({.backend = "cpu", .disabled_features = ~uint64_t{0}});
  EXPECT_EQ(masked.info.features, 0u);
  EXPECT_STREQ(masked.info.isa, "scalar");
}

TEST_F(DeviceTest, AnUnknownNameIsAnError) {
  for (const char* name : {"gpu", "CPU", "", "cpu ", "auto,cpu"}) {
    const Opened opened = open(name);
    EXPECT_EQ(opened.status, LOWBIT_INVALID_ARGUMENT) << name;
    EXPECT_THAT(opened.says, AllOf(HasSubstr("backend is '" + std::string(name) + "'"), HasSubstr("cpu, reference")));
  }
}

// Each known backend opens, or says why it is not here and what is.
TEST_F(DeviceTest, AKnownBackendThatIsAbsent) {
  lowbit_backend_info info{sizeof(info)};
  std::vector<std::string> names;
  for (uint32_t i = 0; lowbit_backend_get_info(i, &info) == LOWBIT_OK; ++i) {
    names.push_back(info.name);
    const Opened opened = open(info.name);
    EXPECT_EQ(opened.status == LOWBIT_OK, info.available != 0) << info.name;
    EXPECT_EQ(std::string(info.reason).empty(), info.available != 0) << info.name;
    if (opened.status == LOWBIT_OK) continue;
    EXPECT_EQ(opened.status, LOWBIT_UNAVAILABLE) << info.name;
    EXPECT_THAT(opened.says, AllOf(HasSubstr("'" + std::string(info.name) + "'"), HasSubstr(info.reason),
                                   HasSubstr("there is"), HasSubstr("cpu, reference")));
  }
  EXPECT_THAT(names, testing::ElementsAre("cuda", "vulkan", "cpu", "reference"));
}

TEST_F(DeviceTest, AnUnknownDeviceIsAbsent) {
  EXPECT_EQ(open({.backend = "cpu", .device = "0"}).status, LOWBIT_OK);
  const Opened opened = open({.backend = "cpu", .device = "1"});
  EXPECT_EQ(opened.status, LOWBIT_UNAVAILABLE);
  EXPECT_THAT(opened.says, HasSubstr("'1'"));
}

TEST_F(DeviceTest, TheEnvironmentFillsInAuto) {
  const ScopedEnvironment backend("LOWBIT_BACKEND", "reference");
  EXPECT_STREQ(open("auto").info.backend, "reference");
  EXPECT_STREQ(open(static_cast<const char*>(nullptr)).info.backend, "reference");
  EXPECT_STREQ(open("cpu").info.backend, "cpu") << "an explicit name wins";
}

TEST_F(DeviceTest, TheEnvironmentMustNameABackend) {
  const ScopedEnvironment backend("LOWBIT_BACKEND", "abacus");
  const Opened opened = open("auto");
  EXPECT_EQ(opened.status, LOWBIT_INVALID_ARGUMENT);
  EXPECT_THAT(opened.says, AllOf(HasSubstr("LOWBIT_BACKEND is 'abacus'"), HasSubstr("cpu, reference")));
  EXPECT_EQ(open("cpu").status, LOWBIT_OK);
  const ScopedEnvironment empty("LOWBIT_BACKEND", "");
  EXPECT_EQ(open("auto").status, LOWBIT_OK);
}

TEST_F(DeviceTest, TheInstructionSetCanBeForced) {
  {
    const ScopedEnvironment isa("LOWBIT_CPU_ISA", "scalar");
    EXPECT_STREQ(open("cpu").info.isa, "scalar");
    EXPECT_EQ(open("cpu").info.features, 0u);
  }
  const ScopedEnvironment isa("LOWBIT_CPU_ISA", "avx2");
  EXPECT_EQ(open("cpu").status, has_avx2() ? LOWBIT_OK : LOWBIT_UNAVAILABLE);
  EXPECT_EQ(open("reference").status, LOWBIT_OK);
}

// Each that the processor has is what the device then is; one that it lacks is an error, and says so.
TEST_F(DeviceTest, EveryInstructionSetCanBeForced) {
  constexpr uint64_t kAvx2 = LOWBIT_FEATURE_AVX2, kAvx512 = LOWBIT_FEATURE_AVX512_VNNI,
                     kDotprod = LOWBIT_FEATURE_DOTPROD;
  const std::pair<const char*, uint64_t> sets[] = {
      {"amx", kAvx2 | kAvx512 | LOWBIT_FEATURE_AMX_INT8}, {"avx512vnni", kAvx2 | kAvx512},
      {"avxvnni", kAvx2 | LOWBIT_FEATURE_AVX_VNNI},       {"avx2", kAvx2},
      {"i8mm", kDotprod | LOWBIT_FEATURE_I8MM},           {"dotprod", kDotprod}};
  for (const auto& [name, features] : sets) {
    const ScopedEnvironment isa("LOWBIT_CPU_ISA", name);
    const Opened opened = open("cpu");
    if ((features & ~core::cpu::detect_features()) == 0) {
      EXPECT_STREQ(opened.info.isa, name);
      EXPECT_EQ(opened.info.features, features);
    } else {
      EXPECT_EQ(opened.status, LOWBIT_UNAVAILABLE) << name;
      EXPECT_THAT(opened.says, HasSubstr(std::string("LOWBIT_CPU_ISA is '") + name + "'"));
    }
  }
}

TEST_F(DeviceTest, TheNumberOfThreadsIsRead) {
  for (const char* text : {"1", "2", "1024", ""}) {
    const ScopedEnvironment threads("LOWBIT_THREADS", text);
    EXPECT_EQ(open("cpu").status, LOWBIT_OK) << text;
  }
  for (const char* text : {"0", "-1", "1025", "two", "2 ", " 2", "2x", "99999999999999999999"}) {
    const ScopedEnvironment threads("LOWBIT_THREADS", text);
    const Opened opened = open("cpu");
    EXPECT_EQ(opened.status, LOWBIT_INVALID_ARGUMENT) << text;
    EXPECT_THAT(opened.says, AllOf(HasSubstr("LOWBIT_THREADS is '" + std::string(text) + "'"), HasSubstr("1 to 1024")));
    EXPECT_EQ(open("reference").status, LOWBIT_OK) << "it has one thread, whatever is asked for";
  }
}

TEST_F(DeviceTest, AForcedInstructionSetThatIsMasked) {
  const ScopedEnvironment isa("LOWBIT_CPU_ISA", "avx2");
  const Opened opened = open({.backend = "cpu", .disabled_features = ~uint64_t{0}});
  EXPECT_EQ(opened.status, LOWBIT_UNAVAILABLE);
  EXPECT_THAT(opened.says, HasSubstr("LOWBIT_CPU_ISA is 'avx2'"));
}

TEST_F(DeviceTest, AnUnknownInstructionSetIsAnError) {
  const ScopedEnvironment isa("LOWBIT_CPU_ISA", "avx1024");
  for (const char* backend : {"cpu", "auto"}) {
    const Opened opened = open(backend);
    EXPECT_EQ(opened.status, LOWBIT_INVALID_ARGUMENT) << backend;
    EXPECT_THAT(opened.says, AllOf(HasSubstr("LOWBIT_CPU_ISA is 'avx1024'"),
                                   HasSubstr("amx, avx512vnni, avxvnni, avx2, i8mm, dotprod, scalar")));
  }
  lowbit_backend_info info{sizeof(info)};
  ASSERT_EQ(lowbit_backend_get_info(2, &info), LOWBIT_OK);
  EXPECT_EQ(info.available, 0);
  EXPECT_THAT(info.reason, HasSubstr("LOWBIT_CPU_ISA"));
}

TEST_F(DeviceTest, FeaturesHaveNames) {
  EXPECT_STREQ(lowbit_feature_name(LOWBIT_FEATURE_AVX2), "avx2");
  EXPECT_STREQ(lowbit_feature_name(LOWBIT_FEATURE_I8MM), "i8mm");
  EXPECT_EQ(lowbit_feature_name(0), nullptr);
  EXPECT_EQ(lowbit_feature_name(uint64_t{1} << 63), nullptr);
  EXPECT_EQ(lowbit_feature_name(3), nullptr);
}

}  // namespace
}  // namespace lowbit::test
