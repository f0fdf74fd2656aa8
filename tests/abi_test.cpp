// Every entry of lowbit.h, whatever it does: without each of its pointers, and with structs of every size.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <sstream>
#include <type_traits>
#include <utility>
#include <vector>

#include "call.h"
#include "dlpack.h"
#include "fake_device.h"
#include "guarded_pages.h"
#include "targets.h"

namespace lowbit::test {
namespace {

using core::kFirstSize;
using core::kMostStructSize;
using testing::HasSubstr;

// ---- What lowbit.h declares -----------------------------------------------------------------------------------------

// The word that `text` ends in.
std::string last_word(const std::string& text) {
  const size_t end = text.find_last_not_of(' ') + 1;
  size_t begin = end;
  while (begin > 0 && (std::isalnum(static_cast<unsigned char>(text[begin - 1])) || text[begin - 1] == '_')) --begin;
  return text.substr(begin, end - begin);
}

// Each function's parameters by name.
std::map<std::string, std::vector<std::string>> declared_entries() {
  std::ifstream file(LOWBIT_HEADER);
  std::map<std::string, std::vector<std::string>> entries;
  for (std::string line, declaration; std::getline(file, line);) {
    if (line.starts_with("LOWBIT_API "))
      declaration = line;
    else if (!declaration.empty())
      declaration += " " + line;
    if (declaration.empty() || !declaration.ends_with(");")) continue;
    const size_t open = declaration.find('(');
    std::vector<std::string>& parameters = entries[last_word(declaration.substr(0, open))];
    std::istringstream list(declaration.substr(open + 1, declaration.size() - open - 3));
    for (std::string each; std::getline(list, each, ',');) parameters.push_back(last_word(each));
    if (parameters == std::vector<std::string>{"void"}) parameters.clear();
    declaration.clear();
  }
  return entries;
}

// Pointers that may be NULL where the call returns a status.
const std::set<std::string> kOptional = {"lowbit_device_open.options", "lowbit_rho_gate_check.gate",
                                         "lowbit_stream_wrap.native"};

// ---- Calls that are right but for one thing -------------------------------------------------------------------------

template <typename T>
concept Writable = !std::is_const_v<T> && !std::is_void_v<T> && requires {
  sizeof(T);
  requires std::is_trivially_copyable_v<T>;
};
template <typename T>
concept Sized = requires(T value) {
  value.struct_size;
};

void destroy(lowbit_device* handle) { lowbit_device_close(handle); }
void destroy(lowbit_stream* handle) { lowbit_stream_destroy(handle); }
void destroy(lowbit_buffer* handle) { lowbit_buffer_destroy(handle); }
void destroy(lowbit_weight* handle) { lowbit_weight_destroy(handle); }
void destroy(DLManagedTensorVersioned* handle) {
  auto* managed = reinterpret_cast<core::dlpack::DLManagedTensorVersioned*>(handle);
  managed->deleter(managed);
}

// What a call may write: the bytes behind a pointer to what is not const.
struct Place {
  void* bytes = nullptr;
  size_t size = 0;
  bool is_sized = false;             // it begins with a struct_size
  void (*destroy)(void*) = nullptr;  // of the handle that lies there
};

template <typename T>
Place place_behind(T* pointer) {
  if constexpr (Writable<T>) {
    if (pointer == nullptr) return {};
    Place place{pointer, sizeof(T)};
    if constexpr (Sized<T>) place.size = std::min<size_t>(sizeof(T), pointer->struct_size), place.is_sized = true;
    if constexpr (requires { destroy(*pointer); }) place.destroy = [](void* at) { destroy(*static_cast<T*>(at)); };
    return place;
  }
  return {};
}
template <typename Number>
Place place_behind(Number) {
  return {};
}

std::vector<std::string> contents(const std::vector<Place>& places) {
  std::vector<std::string> all;
  for (const Place& place : places) all.emplace_back(static_cast<const char*>(place.bytes), place.size);
  return all;
}

// A function, and arguments that change.
struct Entry {
  std::string name;
  bool returns_status;
  std::optional<lowbit_status> expected;               // of calls that are right; any where that is left open
  std::function<std::optional<lowbit_status>()> call;  // nothing where it returns something else
  std::function<std::vector<Place>()> places;          // behind the arguments

  // What it has written is as before again; a handle that it made goes.
  void accepts() const {
    const std::vector<Place> written = places();
    const std::vector<std::string> before = contents(written);
    const std::optional<lowbit_status> status = call();
    if (!status) return;
    EXPECT_EQ(*status, expected.value_or(*status)) << lowbit_last_error();
    EXPECT_NE(*status, LOWBIT_INTERNAL) << lowbit_last_error();
    const std::vector<std::string> after = contents(written);
    for (size_t i = 0; i < written.size(); ++i) {
      if (after[i] == before[i]) continue;
      const Place& place = written[i];
      if (place.is_sized) {
        EXPECT_EQ(after[i].substr(0, 4), before[i].substr(0, 4)) << "struct_size was written";
      }
      if (place.destroy != nullptr) place.destroy(place.bytes);
      std::memcpy(place.bytes, before[i].data(), place.size);
    }
  }

  void refuses(const std::string& says) const {
    const std::vector<Place> written = places();
    const std::vector<std::string> before = contents(written);
    EXPECT_EQ(call(), LOWBIT_INVALID_ARGUMENT) << says;
    const std::string from = name.substr(std::strlen("lowbit_")) + ": ";
    EXPECT_THAT(lowbit_last_error(), testing::AllOf(testing::StartsWith(from), HasSubstr(says)));
    EXPECT_TRUE(contents(written) == before) << "it has written: " << says;
  }

  // The struct of `size` bytes, `first` in lowbit 0.1, at `valid`: in memory of exactly `room` bytes, as long as it goes,
  // and zeros behind. place(struct) makes it the argument.
  void resize(const std::string& parameter, const void* valid, size_t size, size_t first,
              const std::function<void(void*)>& place) const {
    const auto with = [&](size_t room, size_t struct_size, auto&& test) {
      const GuardedPages pages(room, true);
      const auto size_written = static_cast<uint32_t>(struct_size);
      std::memcpy(pages.bytes().data(), valid, std::min(room, size));
      std::memcpy(pages.bytes().data(), &size_written, sizeof(size_written));
      place(pages.bytes().data());
      test(pages.bytes());
    };
    for (size_t wrong : {size_t{0}, size_t{1}, size_t{4}, first - 1, kMostStructSize + 1, size_t{UINT32_MAX}}) {
      with(size, wrong, [&](std::span<std::byte> bytes) {
        const std::vector<std::byte> before(bytes.begin(), bytes.end());
        refuses(fmt::format("{}.struct_size is {}, it may be {} to 4096", parameter, wrong, first));
        EXPECT_TRUE(std::ranges::equal(bytes, before)) << "it was written";
      });
    }
    with(size + 8, size + 8, [&](std::span<std::byte> bytes) {
      bytes.back() = std::byte{1};
      refuses(fmt::format("{} was made for a later lowbit than {}: its byte {} is not zero, and here it has {}",
                          parameter, lowbit_version(), size + 7, size));
      bytes.back() = {};
      accepts();
      EXPECT_THAT(bytes.subspan(size), testing::Each(std::byte{})) << "it was written";
    });
    with(first, first, [&](auto) { accepts(); });
  }
};

// Makes one argument wrong in every way, and right again.
template <typename T>
void spoil(const Entry& entry, const std::string& parameter, T*& argument) {
  T* const valid = std::exchange(argument, nullptr);
  const bool refuses_null = entry.returns_status && kOptional.count(fmt::format("{}.{}", entry.name, parameter)) == 0;
  refuses_null ? entry.refuses(parameter + " is NULL") : entry.accepts();
  if constexpr (Sized<T>) {
    entry.resize(parameter, valid, sizeof(T), kFirstSize<std::remove_const_t<T>>,
                 [&](void* moved) { argument = static_cast<T*>(moved); });
  }
  argument = valid;
}
template <typename Number>
void spoil(const Entry&, const std::string&, Number) {}

class Entries {
 public:
  // Calls `function` as it should be, which must return `expected`, or any status where that is left open; then wrong in
  // one argument after the other. Handles go to places that are to hold something else than NULL.
  template <typename Result, typename... Parameters>
  void call(const char* name, std::optional<lowbit_status> expected, Result (*function)(Parameters...),
            std::type_identity_t<Parameters>... arguments) {
    SCOPED_TRACE(name);
    called_.insert(name);
    const auto declared = declared_.find(name);
    ASSERT_TRUE(declared != declared_.end()) << "lowbit.h does not declare it";
    ASSERT_EQ(declared->second.size(), sizeof...(Parameters)) << "of those that lowbit.h declares";
    constexpr bool kReturnsStatus = std::is_same_v<Result, lowbit_status>;
    const Entry entry{name, kReturnsStatus, expected,
                      [&] {
                        if constexpr (kReturnsStatus) return std::optional(function(arguments...));
                        function(arguments...);
                        return std::optional<lowbit_status>();
                      },
                      [&] { return std::vector<Place>{place_behind(arguments)...}; }};
    entry.accepts();
    [[maybe_unused]] auto parameter = declared->second.begin();
    (spoil(entry, *parameter++, arguments), ...);
  }

  void expect_all() const {
    for (const auto& [name, parameters] : declared_) EXPECT_TRUE(called_.count(name)) << name << " is not called here";
    EXPECT_GT(declared_.size(), 40u);
  }

 private:
  const std::map<std::string, std::vector<std::string>> declared_ = declared_entries();
  std::set<std::string> called_;
};

// ---- The calls ------------------------------------------------------------------------------------------------------

#define ENTRY(function) #function, LOWBIT_OK, &function
#define ENTRY_THAT_MAY_FAIL(function) #function, std::nullopt, &function  // on some backend, for a reason of its own

class AbiTest : public testing::TestWithParam<Target> {
 protected:
  void SetUp() override {
    const lowbit_device_options options = device_options();
    const lowbit_status status = lowbit_device_open(&options, &device);
    if (status == LOWBIT_UNAVAILABLE) GTEST_SKIP() << lowbit_last_error();
    ASSERT_EQ(status, LOWBIT_OK) << lowbit_last_error();
    ASSERT_EQ(lowbit_stream_create(device, &stream), LOWBIT_OK) << lowbit_last_error();
    ASSERT_EQ(lowbit_buffer_create(device, kBytes, &buffer), LOWBIT_OK) << lowbit_last_error();
    const std::vector<uint8_t> zeros(kBytes);
    ASSERT_EQ(lowbit_copy_to_device(stream, lowbit_buffer_data(buffer), 0, zeros.data(), kBytes), LOWBIT_OK);
  }
  void TearDown() override {
    lowbit_buffer_destroy(buffer);
    lowbit_stream_destroy(stream);
    lowbit_device_close(device);
  }
  static lowbit_device_options device_options() {
    return {.struct_size = sizeof(lowbit_device_options), .backend = GetParam().backend, .guard = LOWBIT_GUARD_OFF};
  }
  // A piece of the buffer that no other tensor has.
  lowbit_tensor tensor(lowbit_type type, std::initializer_list<int64_t> shape) {
    lowbit_tensor t{.data = lowbit_buffer_data(buffer),
                    .offset = used_ += 256,
                    .size = kBytes,
                    .rank = static_cast<int32_t>(shape.size()),
                    .type = type};
    std::copy(shape.begin(), shape.end(), t.shape);
    return t;
  }

  static constexpr uint64_t kBytes = 1 << 14;
  lowbit_device* device = nullptr;
  lowbit_stream* stream = nullptr;
  lowbit_buffer* buffer = nullptr;

 private:
  const ScopedEnvironment no_cache_{"LOWBIT_PIPELINE_CACHE", "off"};
  uint64_t used_ = 0;
};

TEST_P(AbiTest, EveryEntry) {
  Entries entries;
  entries.call(ENTRY(lowbit_version));
  entries.call(ENTRY(lowbit_last_error));
  entries.call(ENTRY(lowbit_last_native_code));
  entries.call(ENTRY(lowbit_status_name), LOWBIT_OK);
  entries.call(ENTRY(lowbit_feature_name), 1);
  entries.call(ENTRY(lowbit_runtime_name), LOWBIT_PACKED_REFERENCE);
  entries.call(ENTRY(lowbit_fallback_reason_name), LOWBIT_FALLBACK_NONE);
  entries.call(ENTRY(lowbit_packed_weight_size), LOWBIT_INT8, 1);
  entries.call(ENTRY(lowbit_rho_packed_size), LOWBIT_INT8, 1);
  entries.call(ENTRY(lowbit_rho_block_count), 1);

  // Where handles that are made go.
  int elsewhere = 0;
  auto* made_device = reinterpret_cast<lowbit_device*>(&elsewhere);
  auto* made_buffer = reinterpret_cast<lowbit_buffer*>(&elsewhere);
  auto* made_stream = reinterpret_cast<lowbit_stream*>(&elsewhere);
  auto* made_weight = reinterpret_cast<lowbit_weight*>(&elsewhere);
  const lowbit_device_options options = device_options();
  entries.call(ENTRY(lowbit_device_open), &options, &made_device);
  entries.call(ENTRY(lowbit_device_close), nullptr);
  entries.call(ENTRY(lowbit_device_warm_up), device, 0);
  lowbit_device_info info{.struct_size = sizeof(info)};
  entries.call(ENTRY(lowbit_device_get_info), device, &info);
  lowbit_memory_info memory{.struct_size = sizeof(memory)};
  entries.call(ENTRY(lowbit_device_get_memory), device, &memory);
  double floor = 0;
  entries.call(ENTRY(lowbit_device_get_floor), device, 1e4, 1e4, &floor);
  lowbit_fallback fallback{.struct_size = sizeof(fallback)};
  entries.call(ENTRY(lowbit_device_get_fallback), device, &fallback);
  lowbit_backend_info backend{.struct_size = sizeof(backend)};
  entries.call(ENTRY(lowbit_backend_get_info), 0, &backend);

  const lowbit_query query{.struct_size = sizeof(query), .operation = LOWBIT_RHO_EXPAND};
  lowbit_candidate candidates[40] = {};
  size_t count = std::size(candidates);
  entries.call(ENTRY(lowbit_explain), device, &query, candidates, &count);
  lowbit_profile_entry profile[40] = {};
  count = std::size(profile);
  entries.call(ENTRY(lowbit_profile_get_entries), device, profile, &count);
  entries.call(ENTRY(lowbit_profile_start), device);
  entries.call(ENTRY(lowbit_profile_write_trace), device, "/dev/null");
  entries.call(ENTRY(lowbit_profile_stop), device);
  entries.call(ENTRY(lowbit_profile_reset), device);

  entries.call(ENTRY(lowbit_buffer_create), device, 64, &made_buffer);
  entries.call(ENTRY(lowbit_buffer_destroy), nullptr);
  entries.call(ENTRY(lowbit_buffer_data), buffer);
  entries.call(ENTRY(lowbit_buffer_size), buffer);
  EXPECT_EQ(lowbit_buffer_data(nullptr), nullptr);
  EXPECT_EQ(lowbit_buffer_size(nullptr), 0u);

  const lowbit_tensor view = tensor(LOWBIT_TYPE_F32, {2, 5});
  auto* made_tensor = reinterpret_cast<DLManagedTensorVersioned*>(&elsewhere);
  entries.call(ENTRY(lowbit_buffer_to_dlpack), buffer, &view, &made_tensor);
  DLManagedTensorVersioned* managed = nullptr;
  ASSERT_EQ(lowbit_buffer_to_dlpack(buffer, &view, &managed), LOWBIT_OK) << lowbit_last_error();
  lowbit_tensor viewed{};
  entries.call(ENTRY(lowbit_tensor_from_dlpack), stream, managed, 0, &viewed);
  destroy(managed);

  entries.call(ENTRY(lowbit_stream_create), device, &made_stream);
  entries.call(ENTRY(lowbit_stream_create_on_host_memory), device, &made_stream);
  entries.call(ENTRY(lowbit_stream_get_fallback), stream, &fallback);
  lowbit_rho_statistics statistics{.struct_size = sizeof(statistics)};
  entries.call(ENTRY(lowbit_rho_statistics_start), stream);
  entries.call(ENTRY(lowbit_rho_statistics_get), stream, &statistics);
  entries.call(ENTRY(lowbit_rho_statistics_stop), stream);
  const lowbit_rho_gate gate{.struct_size = sizeof(gate)};
  lowbit_rho_verdict verdict{.struct_size = sizeof(verdict)};
  entries.call(ENTRY(lowbit_rho_gate_check), &statistics, &gate, &verdict);
  entries.call(ENTRY_THAT_MAY_FAIL(lowbit_stream_wrap), device, nullptr, &made_stream);
  entries.call(ENTRY(lowbit_stream_destroy), nullptr);
  entries.call(ENTRY(lowbit_stream_native), stream);
  entries.call(ENTRY(lowbit_stream_flush), stream);
  entries.call(ENTRY(lowbit_stream_synchronize), stream);
  entries.call(ENTRY(lowbit_stream_reserve_scratch), stream, 64);
  entries.call(ENTRY(lowbit_stream_scratch_size), stream);
  entries.call(ENTRY(lowbit_stream_last_kernel), stream);
  EXPECT_EQ(lowbit_stream_native(nullptr), nullptr);
  EXPECT_EQ(lowbit_stream_scratch_size(nullptr), 0u);
  EXPECT_STREQ(lowbit_stream_last_kernel(nullptr), "");
  std::byte host[8] = {};
  entries.call(ENTRY(lowbit_copy_to_device), stream, lowbit_buffer_data(buffer), 0, host, 8);
  entries.call(ENTRY(lowbit_copy_to_host), stream, host, lowbit_buffer_data(buffer), 0, 8);

  const lowbit_quantize_pack_args quantize_pack{.struct_size = sizeof(quantize_pack),
                                                .group = LOWBIT_PER_TOKEN,
                                                .input = tensor(LOWBIT_TYPE_F32, {2, 5}),
                                                .codes = tensor(LOWBIT_TYPE_I32, {2, 2}),
                                                .scales = tensor(LOWBIT_TYPE_F32, {2})};
  entries.call(ENTRY(lowbit_quantize_pack), stream, &quantize_pack);
  const lowbit_pack_weight_args pack_weight{.struct_size = sizeof(pack_weight),
                                            .input = tensor(LOWBIT_TYPE_F32, {3, 5}),
                                            .packed = tensor(LOWBIT_TYPE_U8, {15}),
                                            .scales = tensor(LOWBIT_TYPE_F32, {1})};
  entries.call(ENTRY(lowbit_pack_weight), stream, &pack_weight);
  const std::vector<uint8_t> packed(30);
  const float scale = 1;
  lowbit_weight* weights[2] = {};
  const lowbit_operation projections[2] = {LOWBIT_LOWRANK_PROJECTION, LOWBIT_DECODER_TAIL};
  for (int i = 0; i < 2; ++i) {
    const lowbit_weight_desc desc{sizeof(desc),  projections[i], LOWBIT_INT8, 2, 3, 5,
                                  packed.data(), packed.size(),  &scale,      1};
    entries.call(ENTRY(lowbit_weight_prepare), device, &desc, &made_weight);
    ASSERT_EQ(lowbit_weight_prepare(device, &desc, &weights[i]), LOWBIT_OK) << lowbit_last_error();
  }
  entries.call(ENTRY(lowbit_weight_destroy), nullptr);
  entries.call(ENTRY(lowbit_weight_size), weights[0]);
  EXPECT_EQ(lowbit_weight_size(nullptr), 0u);
  const lowbit_lowrank_projection_args lowrank_projection{.struct_size = sizeof(lowrank_projection),
                                                          .input = {.values = tensor(LOWBIT_TYPE_F32, {1, 1, 4, 3})},
                                                          .weight = weights[0],
                                                          .output = tensor(LOWBIT_TYPE_F32, {1, 2, 4, 5})};
  entries.call(ENTRY(lowbit_lowrank_projection), stream, &lowrank_projection);
  const lowbit_decoder_tail_args decoder_tail{.struct_size = sizeof(decoder_tail),
                                              .input = {.values = tensor(LOWBIT_TYPE_F32, {1, 2, 4, 3})},
                                              .weight = weights[1],
                                              .output = tensor(LOWBIT_TYPE_F32, {1, 1, 4, 5})};
  entries.call(ENTRY(lowbit_decoder_tail), stream, &decoder_tail);
  for (lowbit_weight* weight : weights) lowbit_weight_destroy(weight);
  const lowbit_rho_compress_args rho_compress{.struct_size = sizeof(rho_compress),
                                              .input = tensor(LOWBIT_TYPE_F32, {5, 7}),
                                              .packed = tensor(LOWBIT_TYPE_U8, {35}),
                                              .scales = tensor(LOWBIT_TYPE_F32, {2})};
  entries.call(ENTRY(lowbit_rho_compress), stream, &rho_compress);
  const lowbit_rho_expand_args rho_expand{.struct_size = sizeof(rho_expand),
                                          .packed = rho_compress.packed,
                                          .scales = rho_compress.scales,
                                          .output = rho_compress.input};
  entries.call(ENTRY(lowbit_rho_expand), stream, &rho_expand);

  const lowbit_plan_config config{.struct_size = sizeof(config), .enabled = 1};
  lowbit_capabilities capabilities{.struct_size = sizeof(capabilities)};
  entries.call(ENTRY(lowbit_device_get_capabilities), device, &config, &capabilities);
  lowbit_plan plan{.struct_size = sizeof(plan)};
  entries.call(ENTRY(lowbit_plan_choose), &config, &capabilities, &plan);
  const lowbit_model model{sizeof(model), 0, 1, 2, 3, 4, 5, 6, 7, LOWBIT_INT8, LOWBIT_PER_TENSOR};
  lowbit_memory_estimate estimate{.struct_size = sizeof(estimate)};
  entries.call(ENTRY(lowbit_estimate_memory), device, &model, &config, &estimate);

  entries.expect_all();
}

// What lowbit_explain() selects for a size is what a call of that size runs.
TEST_P(AbiTest, ExplainNamesTheKernelOfACall) {
  constexpr int64_t H = 2, kMost = 4 << 20;
  const std::vector<uint8_t> zeros(kMost);
  lowbit_buffer* memory[2] = {};
  for (lowbit_buffer*& piece : memory) ASSERT_EQ(lowbit_buffer_create(device, kMost, &piece), LOWBIT_OK);
  ASSERT_EQ(lowbit_copy_to_device(stream, lowbit_buffer_data(memory[0]), 0, zeros.data(), kMost), LOWBIT_OK);
  const auto on = [&](lowbit_buffer* piece, std::initializer_list<int64_t> shape) {
    lowbit_tensor t{.data = lowbit_buffer_data(piece), .size = kMost, .rank = 4, .type = LOWBIT_TYPE_F32};
    std::copy(shape.begin(), shape.end(), t.shape);
    return t;
  };
  const float scale = 1;
  std::set<std::string> kernels;
  for (lowbit_operation operation : {LOWBIT_LOWRANK_PROJECTION, LOWBIT_DECODER_TAIL}) {
    for (int64_t K : {64, 70}) {
      constexpr int64_t N = 260;
      const lowbit_weight_desc desc{
          sizeof(desc), operation, LOWBIT_INT8, H, K, N, zeros.data(), static_cast<uint64_t>(H * K * N), &scale, 1};
      lowbit_weight* weight = nullptr;
      ASSERT_EQ(lowbit_weight_prepare(device, &desc, &weight), LOWBIT_OK) << lowbit_last_error();
      for (int64_t T : {1, 2, 8, 9, 16, 17, 32, 33, 64, 65, 300}) {
        const bool is_tail = operation == LOWBIT_DECODER_TAIL;
        if (is_tail && K % 16 != 0 && T > 64) continue;  // lowbit.h says what explain takes it to be
        const lowbit_query query{
            sizeof(query), operation, LOWBIT_INT8, LOWBIT_INT8, T, is_tail ? H * K : K, is_tail ? T * N : H * T * N};
        lowbit_candidate candidates[40] = {};
        size_t count = std::size(candidates);
        ASSERT_EQ(lowbit_explain(device, &query, candidates, &count), LOWBIT_OK) << lowbit_last_error();
        const auto selected =
            std::find_if(candidates, candidates + count, [](const auto& c) { return c.selected != 0; });
        ASSERT_NE(selected, candidates + count);
        if (is_tail) {
          const lowbit_decoder_tail_args args{.struct_size = sizeof(args),
                                              .input = {.values = on(memory[0], {1, H, T, K})},
                                              .weight = weight,
                                              .output = on(memory[1], {1, 1, T, N})};
          ASSERT_EQ(lowbit_decoder_tail(stream, &args), LOWBIT_OK) << lowbit_last_error();
        } else {
          const lowbit_lowrank_projection_args args{.struct_size = sizeof(args),
                                                    .input = {.values = on(memory[0], {1, 1, T, K})},
                                                    .weight = weight,
                                                    .output = on(memory[1], {1, H, T, N})};
          ASSERT_EQ(lowbit_lowrank_projection(stream, &args), LOWBIT_OK) << lowbit_last_error();
        }
        EXPECT_STREQ(lowbit_stream_last_kernel(stream), selected->kernel) << "K " << K << ", T " << T;
        kernels.insert(selected->kernel);
      }
      EXPECT_EQ(lowbit_stream_synchronize(stream), LOWBIT_OK) << lowbit_last_error();
      lowbit_weight_destroy(weight);
    }
  }
  for (lowbit_buffer* piece : memory) lowbit_buffer_destroy(piece);
  const std::string backend = GetParam().backend;
  if (backend == "cuda" || backend == "vulkan") {
    EXPECT_GE(kernels.size(), 5u) << "sizes tell kernels apart";
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, AbiTest, testing::ValuesIn(unmasked_targets()), name_of_target);

}  // namespace
}  // namespace lowbit::test
