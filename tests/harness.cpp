#include "harness.h"

#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>

#include "guarded_device.h"
#if LOWBIT_HAVE_VULKAN
#include "vulkan/open_device.h"
#endif

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace lowbit::test {
namespace {

std::mutex reached_mutex;
std::set<std::string>& reached() {
  static std::set<std::string> kernels;
  return kernels;
}

bool is_nan(uint32_t bits) { return (bits & 0x7fffffff) > 0x7f800000; }

}  // namespace

void PrintTo(const DeviceSpec& spec, std::ostream* out) { *out << spec.name; }

std::vector<DeviceSpec> device_specs() {
  constexpr uint64_t kExactF32 = LOWBIT_FEATURE_EXACT_F32, kCoopmat = LOWBIT_FEATURE_COOPMAT_INT8;
#if LOWBIT_X86
  constexpr uint64_t kAvx2 = LOWBIT_FEATURE_AVX2, kAvxVnni = kAvx2 | LOWBIT_FEATURE_AVX_VNNI,
                     kAvx512 = kAvxVnni | LOWBIT_FEATURE_AVX512_VNNI;
#elif LOWBIT_ARM
  constexpr uint64_t kDotprod = LOWBIT_FEATURE_DOTPROD;
#endif
  constexpr DeviceSpec kAll[] = {
    {"reference", "reference", 0},
    {"cpu", "cpu", 0},
    {"cpu_guarded", "cpu", 0, true},
#if LOWBIT_X86
    {"cpu_avx512vnni", "cpu", ~kAvx512, true},
    {"cpu_avxvnni", "cpu", ~kAvxVnni, true},
    {"cpu_avx2", "cpu", ~kAvx2, true},
#elif LOWBIT_ARM
    {"cpu_dotprod", "cpu", ~kDotprod, true},
#endif
    {"cpu_masked", "cpu", ~uint64_t{0}},
    {"cuda", "cuda", 0},
    {"cuda_masked", "cuda", ~uint64_t{0}},
    {"vulkan", "vulkan"},
    {"vulkan_masked", "vulkan", ~uint64_t{0}},
    {.name = "vulkan_float", .backend = "vulkan", .pretended_features = kExactF32},
    {.name = "vulkan_plain_float",
     .backend = "vulkan",
     .disabled_features = ~kExactF32,
     .pretended_features = kExactF32},
    {"vulkan_dot", "vulkan", kCoopmat},
    {"vulkan_integer", "vulkan", kExactF32},
    {"vulkan_dot_integer", "vulkan", kCoopmat | kExactF32},
    {.name = "vulkan_small", .backend = "vulkan", .small_limits = true}
  };
  const char* only = std::getenv("LOWBIT_TEST_BACKEND");
  const auto is_wanted = [&](std::string_view name) {
    return only == nullptr || fmt::format(",{},", only).find(fmt::format(",{},", name)) != std::string::npos;
  };
  std::vector<DeviceSpec> specs;
  lowbit_backend_info info{sizeof(info)};
  for (const DeviceSpec& spec : kAll) {
    for (uint32_t i = 0; lowbit_backend_get_info(i, &info) == LOWBIT_OK; ++i) {
      const bool is_built = std::strncmp(info.reason, "not_built", 9) != 0;
      if (std::strcmp(info.name, spec.backend) != 0 || !is_built) continue;
      if (is_wanted(spec.backend)) specs.push_back(spec);
    }
  }
  return specs;
}

namespace {

// Of the backend's device as it is, if there is one.
std::optional<uint64_t> features_of(const char* backend) {
  const lowbit_device_options options{sizeof(options), backend, nullptr, 0, 0, LOWBIT_GUARD_OFF};
  return remembered(backend, [&]() -> std::optional<uint64_t> {
    lowbit_device* device = nullptr;
    if (lowbit_device_open(&options, &device) != LOWBIT_OK) return {};
    lowbit_device_info info{sizeof(info)};
    lowbit_device_get_info(device, &info);
    lowbit_device_close(device);
    return info.features;
  });
}

// The device of a spec in the place of the plain one that was opened.
core::Status disguise(const DeviceSpec& spec, const lowbit_device_options& options,
                      std::shared_ptr<core::Device>* device) {
  if (spec.guarded_memory) *device = make_guarded_device(**device, options);
#if LOWBIT_HAVE_VULKAN
  if (spec.pretended_features != 0 || spec.small_limits) {
    core::vulkan::Pretence pretence{.features = spec.pretended_features};
    if (spec.small_limits) pretence.limits = {.range = 64 << 10, .alignment = 256, .groups = 3, .work = 1 << 16};
    return core::vulkan::open_device(options, core::kernel_table(), pretence, device);
  }
#endif
  return {};
}

}  // namespace

lowbit_device* open(const DeviceSpec& spec, lowbit_guard guard, std::string* absent) {
  const std::optional<uint64_t> has = features_of(spec.backend);
  if (has && (spec.disabled_features | spec.pretended_features) != 0 &&
      ((*has | spec.pretended_features) & ~spec.disabled_features) == *has) {
    *absent = fmt::format("{} is left out: it has the features that {} has anyway", spec.name, spec.backend);
    return nullptr;
  }
  const lowbit_device_options options{sizeof(options), spec.backend, nullptr, spec.disabled_features, 0, guard};
  lowbit_device* device = nullptr;
  const lowbit_status status = lowbit_device_open(&options, &device);
  if (status == LOWBIT_OK) {
    const core::Status disguised = disguise(spec, options, &device->device);
    EXPECT_TRUE(disguised.ok()) << disguised.sentence();
    return device;
  }
  // A host backend is always there, but for an instruction set that was asked for and is not.
  const bool is_host = std::strcmp(spec.backend, "cpu") == 0 || std::strcmp(spec.backend, "reference") == 0;
  if (status != LOWBIT_UNAVAILABLE || (is_host && std::getenv("LOWBIT_CPU_ISA") == nullptr)) {
    ADD_FAILURE() << spec.name << ": " << lowbit_status_name(status) << ": " << lowbit_last_error();
  }
  *absent = fmt::format("{} is absent: {}", spec.name, lowbit_last_error());
  return nullptr;
}

void ParityTest::make_rig(lowbit_device* device) {
  rig = {device, nullptr};
  ASSERT_EQ(lowbit_stream_create(device, &rig.stream), LOWBIT_OK) << lowbit_last_error();
  lowbit_device_info info{sizeof(info)};
  ASSERT_EQ(lowbit_device_get_info(device, &info), LOWBIT_OK);
  places = info.host_memory != 0 ? std::vector{Place::at_end, Place::at_start} : std::vector{Place::in_buffer};
  float_setting = 0;
}

void ParityTest::SetUp() {
  // Without the guard, which would put a sound kernel in the place of a wrong one.
  const auto open_device = [](std::string* absent) { return open(GetParam(), LOWBIT_GUARD_OFF, absent); };
  std::string absent;
  lowbit_device* const first = open_device(&absent);
  if (first == nullptr) GTEST_SKIP() << absent;
  make_rig(first);
  const char* const threads = std::getenv("LOWBIT_TEST_THREADS");
  const bool is_shared = std::getenv("LOWBIT_TEST_SHARED_DEVICE") != nullptr;
  for (int i = 1; threads != nullptr && i < std::stoi(threads); ++i) {
    others_.emplace_back([=, this] {
      std::string reason;
      make_rig(is_shared ? first : open_device(&reason));
      if (rig.stream != nullptr) TestBody();
      lowbit_stream_destroy(rig.stream);
      if (!is_shared) lowbit_device_close(rig.device);
    });
  }
}

void ParityTest::TearDown() {
  for (std::thread& other : others_) other.join();
  lowbit_stream_destroy(rig.stream);
  lowbit_device_close(rig.device);
  rig = {};
}

namespace {

#if defined(__SSE2__)
constexpr unsigned kFlags = 0x3f;  // exceptions that were raised: any operation may
constexpr unsigned kDefault = 0x1f80, kFlush = 0x8040, kRounding = 0x2000;  // flush to zero, denormals are zero
unsigned float_control() { return _mm_getcsr() & ~kFlags; }
void set_float_control(unsigned setting) { _mm_setcsr(setting); }
#elif defined(__aarch64__)
constexpr unsigned kDefault = 0, kFlush = 0x3000000, kRounding = 0x400000;  // flush to zero, default NaN
unsigned float_control() {
  uint64_t fpcr;
  __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
  return static_cast<unsigned>(fpcr);
}
void set_float_control(unsigned setting) { __asm__ volatile("msr fpcr, %0" : : "r"(uint64_t{setting}) : "memory"); }
#else
constexpr unsigned kDefault = 0, kFlush = 0, kRounding = 0;
unsigned float_control() { return 0; }
void set_float_control(unsigned) {}
#endif

}  // namespace

lowbit_status ParityTest::call(const std::function<lowbit_status()>& body) {
  const unsigned saved = float_control(), setting = float_setting != 0 ? float_setting : saved;
  set_float_control(setting);
  lowbit_status status = body();
  const unsigned after = float_control();
  set_float_control(saved);
  EXPECT_EQ(after, setting) << "the call left another floating-point setting behind";
  if (status == LOWBIT_OK) status = lowbit_stream_synchronize(rig.stream);
  return status;
}

std::vector<unsigned> hostile_float_settings() {
  std::vector<unsigned> settings;
  for (unsigned rounding = 0; kRounding != 0 && rounding < 4; ++rounding) {
    if (rounding != 0) settings.push_back(kDefault | rounding * kRounding);
    settings.push_back(kDefault | rounding * kRounding | kFlush);
  }
  return settings;
}

void ParityTest::count_as_reached() {
  const std::lock_guard lock(reached_mutex);
  reached().insert(lowbit_stream_last_kernel(rig.stream));
}

bool ParityTest::spreads_work() const { return rig.device->device->multiprocessors() > 1; }

void ParityTest::expect_same(const std::string& what, const Words& got, const Words& expected, Match match) {
  const char* kernel = lowbit_stream_last_kernel(rig.stream);
  count_as_reached();
  ASSERT_EQ(got.size(), expected.size()) << what;
  size_t wrong = 0, first = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    if (got[i] == expected[i] || (match == Match::floats && is_nan(got[i]) && is_nan(expected[i]))) continue;
    if (wrong++ == 0) first = i;
  }
  if (wrong == 0) return;
  ADD_FAILURE() << fmt::format("{} on {}: {}: element {}: got 0x{:08x}, expected 0x{:08x} ({} of {} differ)", kernel,
                               GetParam().name, what, first, got[first], expected[first], wrong, got.size());
}

const std::set<std::string>& reached_kernels() { return reached(); }

}  // namespace lowbit::test
