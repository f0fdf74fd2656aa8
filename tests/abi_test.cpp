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
#include <tuple>
#include <type_traits>
#include <vector>

#include "call.h"
#include "dlpack.h"
#include "fake_device.h"
#include "guarded_pages.h"

namespace lowbit::test {
namespace {

// As a struct of lowbit.h that has grown by its last field.
struct Grown {
  uint32_t struct_size;
  int32_t first;
  int64_t added;
};

}  // namespace
}  // namespace lowbit::test

template <>
inline constexpr size_t lowbit::core::kFirstSize<lowbit::test::Grown> = offsetof(lowbit::test::Grown, added);

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

// What a call may write: the bytes behind its pointers to what is not const.
template <typename T>
std::string written_through(T* pointer) {
  if constexpr (Writable<T>) {
    if (pointer == nullptr) return {};
    size_t size = sizeof(T);
    if constexpr (Sized<T>) size = std::min<size_t>(size, pointer->struct_size);
    return {reinterpret_cast<const char*>(pointer), size};
  }
  return {};
}
template <typename Number>
std::string written_through(Number) {
  return {};
}

// What a call that succeeded has written is as before again; a handle that it made goes.
template <typename T>
void restore(T* pointer, const std::string& before) {
  if constexpr (Writable<T>) {
    if (before.empty() || std::memcmp(pointer, before.data(), before.size()) == 0) return;
    if constexpr (requires { destroy(*pointer); }) destroy(*pointer);
    if constexpr (Sized<T>) {
      EXPECT_EQ(std::memcmp(pointer, before.data(), sizeof(pointer->struct_size)), 0) << "struct_size was written";
    }
    std::memcpy(pointer, before.data(), before.size());
  }
}
template <typename Number>
void restore(Number, const std::string&) {}

class Entries {
 public:
  // Calls `function` as it should be, which must return `expected`, or any status where that is left open; then wrong in
  // one argument after the other. Handles go to places that are to hold something else than NULL.
  template <typename Result, typename... Parameters>
  void call(const char* name, std::optional<lowbit_status> expected, Result (*function)(Parameters...),
            std::type_identity_t<Parameters>... valid) {
    SCOPED_TRACE(name);
    called_.insert(name);
    const auto declared = declared_.find(name);
    ASSERT_TRUE(declared != declared_.end()) << "lowbit.h does not declare it";
    ASSERT_EQ(declared->second.size(), sizeof...(Parameters)) << "of those that lowbit.h declares";
    const Entry<Result, Parameters...> entry{name, expected, function, declared->second, {valid...}};
    entry.accepts(entry.valid);
    [&]<size_t... I>(std::index_sequence<I...>) { (entry.template spoil<I>(), ...); }
    (std::index_sequence_for<Parameters...>());
  }

  void expect_all() const {
    for (const auto& [name, parameters] : declared_) EXPECT_TRUE(called_.count(name)) << name << " is not called here";
    EXPECT_GT(declared_.size(), 40u);
  }

 private:
  template <typename Result, typename... Parameters>
  struct Entry {
    using Arguments = std::tuple<Parameters...>;
    static constexpr bool kFails = std::is_same_v<Result, lowbit_status>;
    const char* name;
    std::optional<lowbit_status> expected;
    Result (*function)(Parameters...);
    const std::vector<std::string>& parameters;
    Arguments valid;

    std::vector<std::string> written(const Arguments& arguments) const {
      return std::apply([](auto... each) { return std::vector<std::string>{written_through(each)...}; }, arguments);
    }

    void accepts(const Arguments& arguments) const {
      if constexpr (kFails) {
        const std::vector<std::string> before = written(arguments);
        const lowbit_status status = std::apply(function, arguments);
        if (expected) {
          EXPECT_EQ(status, *expected) << lowbit_last_error();
        }
        EXPECT_NE(status, LOWBIT_INTERNAL) << lowbit_last_error();
        size_t i = 0;
        std::apply([&](auto... each) { (restore(each, before[i++]), ...); }, arguments);
      } else {
        std::apply(function, arguments);
      }
    }

    void refuses(const Arguments& arguments, const std::string& says) const {
      if constexpr (kFails) {
        const std::vector<std::string> before = written(arguments);
        EXPECT_EQ(std::apply(function, arguments), LOWBIT_INVALID_ARGUMENT) << says;
        const std::string from = std::string(name).substr(std::strlen("lowbit_")) + ": ";
        EXPECT_THAT(lowbit_last_error(), testing::AllOf(testing::StartsWith(from), HasSubstr(says)));
        EXPECT_TRUE(written(arguments) == before) << "it has written: " << says;
      }
    }

    template <size_t I>
    void spoil() const {
      using Parameter = std::tuple_element_t<I, Arguments>;
      if constexpr (std::is_pointer_v<Parameter>) {
        Arguments without = valid;
        std::get<I>(without) = nullptr;
        if (!kFails || kOptional.count(fmt::format("{}.{}", name, parameters[I])) != 0) {
          accepts(without);
        } else {
          refuses(without, fmt::format("{} is NULL", parameters[I]));
        }
        if constexpr (Sized<std::remove_pointer_t<Parameter>>) resize<I>();
      }
    }

    // The struct in memory of exactly `room` bytes, as long as it goes, and zeros behind.
    template <size_t I>
    void resize() const {
      using Struct = std::remove_const_t<std::remove_pointer_t<std::tuple_element_t<I, Arguments>>>;
      constexpr size_t kSize = sizeof(Struct), kFirst = kFirstSize<Struct>;
      const auto with = [&](size_t room, size_t struct_size, auto&& test) {
        const GuardedPages pages(room, true);
        Struct* const moved = reinterpret_cast<Struct*>(pages.bytes().data());
        std::memcpy(pages.bytes().data(), std::get<I>(valid), std::min(room, kSize));
        moved->struct_size = static_cast<uint32_t>(struct_size);
        Arguments arguments = valid;
        std::get<I>(arguments) = moved;
        test(arguments, pages.bytes());
      };
      for (size_t size : {size_t{0}, size_t{1}, size_t{4}, kFirst - 1, kMostStructSize + 1, size_t{UINT32_MAX}}) {
        with(kSize, size, [&](const Arguments& arguments, std::span<std::byte> bytes) {
          const std::vector<std::byte> before(bytes.begin(), bytes.end());
          refuses(arguments, fmt::format("{}.struct_size is {}, it may be {} to 4096", parameters[I], size, kFirst));
          EXPECT_TRUE(std::ranges::equal(bytes, before)) << "it was written";
        });
      }
      with(kSize + 8, kSize + 8, [&](const Arguments& arguments, std::span<std::byte> bytes) {
        bytes.back() = std::byte{1};
        refuses(arguments,
                fmt::format("{} was made for a later lowbit than {}: its byte {} is not zero, and here it has {}",
                            parameters[I], lowbit_version(), kSize + 7, kSize));
        bytes.back() = {};
        accepts(arguments);
        EXPECT_THAT(bytes.subspan(kSize), testing::Each(std::byte{})) << "it was written";
      });
      with(kFirst, kFirst, [&](const Arguments& arguments, auto) { accepts(arguments); });
    }
  };

  const std::map<std::string, std::vector<std::string>> declared_ = declared_entries();
  std::set<std::string> called_;
};

// ---- The calls ------------------------------------------------------------------------------------------------------

#define ENTRY(function) #function, LOWBIT_OK, &function
#define ENTRY_THAT_MAY_FAIL(function) #function, std::nullopt, &function  // on some backend, for a reason of its own

class AbiTest : public testing::TestWithParam<const char*> {
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
    return {.struct_size = sizeof(lowbit_device_options), .backend = GetParam(), .guard = LOWBIT_GUARD_OFF};
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
  if (std::string(GetParam()) == "cuda" || std::string(GetParam()) == "vulkan") {
    EXPECT_GE(kernels.size(), 5u) << "sizes tell kernels apart";
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, AbiTest, testing::Values(LOWBIT_TEST_BACKENDS),
                         [](const auto& of) { return std::string(of.param); });

// ---- Structs that grow ----------------------------------------------------------------------------------------------

// In memory of exactly `size` bytes, of which those behind Grown are zero.
class Placed {
 public:
  explicit Placed(uint32_t size) : pages_(size, true) {
    const Grown value{size, 7, 8};
    std::memcpy(pages_.bytes().data(), &value, std::min<size_t>(size, sizeof(value)));
  }
  Grown* get() const { return reinterpret_cast<Grown*>(pages_.bytes().data()); }
  std::byte& byte(size_t index) const { return pages_.bytes()[index]; }

 private:
  GuardedPages pages_;
};

TEST(Abi, StructsOfOtherVersionsAreRead) {
  const core::Validator check("test");
  Grown read{};
  ASSERT_TRUE(core::read_struct(check, "grown", Placed(8).get(), &read).ok());
  EXPECT_EQ(read.first, 7);
  EXPECT_EQ(read.added, 0) << "an earlier version has no such field";
  for (uint32_t size : {16, 24, 4096}) {
    ASSERT_TRUE(core::read_struct(check, "grown", Placed(size).get(), &read).ok()) << size;
    EXPECT_EQ(read.added, 8) << size;
  }
  const Placed later(24);
  later.byte(23) = std::byte{1};
  EXPECT_THAT(core::read_struct(check, "grown", later.get(), &read).sentence(),
              HasSubstr("test: grown was made for a later lowbit than"));
  later.get()->struct_size = 7;
  EXPECT_EQ(core::read_struct(check, "grown", later.get(), &read).sentence(),
            "test: grown.struct_size is 7, it may be 8 to 4096");
}

TEST(Abi, StructsOfOtherVersionsAreWritten) {
  for (uint32_t size : {8, 16, 24}) {
    const Placed placed(size);
    core::write_struct({.first = -1, .added = -1}, placed.get());
    EXPECT_EQ(placed.get()->struct_size, size);
    EXPECT_EQ(placed.get()->first, -1);
    for (size_t i = 8; i < size; ++i) EXPECT_EQ(placed.byte(i), i < 16 ? std::byte{0xff} : std::byte{}) << i;
  }
}

// What programs of lowbit 0.1 say, on 64 bits. A struct that grew has a line in call.h.
TEST(Abi, FirstSizesStay) {
  static_assert(sizeof(void*) == 8);
  EXPECT_EQ(kFirstSize<lowbit_vulkan_handles>, 72u);
  EXPECT_EQ(kFirstSize<lowbit_device_options>, 48u);
  EXPECT_EQ(kFirstSize<lowbit_device_info>, 208u);
  EXPECT_EQ(kFirstSize<lowbit_backend_info>, 280u);
  EXPECT_EQ(kFirstSize<lowbit_query>, 16u);
  EXPECT_EQ(kFirstSize<lowbit_memory_info>, 24u);
  EXPECT_EQ(kFirstSize<lowbit_fallback>, 264u);
  EXPECT_EQ(kFirstSize<lowbit_rho_statistics>, 112u);
  EXPECT_EQ(kFirstSize<lowbit_rho_gate>, 48u);
  EXPECT_EQ(kFirstSize<lowbit_rho_verdict>, 136u);
  EXPECT_EQ(kFirstSize<lowbit_quantize_pack_args>, 232u);
  EXPECT_EQ(kFirstSize<lowbit_pack_weight_args>, 232u);
  EXPECT_EQ(kFirstSize<lowbit_weight_desc>, 72u);
  EXPECT_EQ(kFirstSize<lowbit_lowrank_projection_args>, 256u);
  EXPECT_EQ(kFirstSize<lowbit_decoder_tail_args>, 256u);
  EXPECT_EQ(kFirstSize<lowbit_rho_compress_args>, 224u);
  EXPECT_EQ(kFirstSize<lowbit_rho_expand_args>, 224u);
  EXPECT_EQ(kFirstSize<lowbit_plan_config>, 32u);
  EXPECT_EQ(kFirstSize<lowbit_capabilities>, 12u);
  EXPECT_EQ(kFirstSize<lowbit_plan>, 12u);
  EXPECT_EQ(kFirstSize<lowbit_model>, 72u);
  EXPECT_EQ(kFirstSize<lowbit_memory_estimate>, 104u);
  // Structs that others hold by value, and those that arrays hold.
  EXPECT_EQ(sizeof(lowbit_tensor), 72u);
  EXPECT_EQ(sizeof(lowbit_activations), 160u);
  EXPECT_EQ(sizeof(lowbit_candidate), 336u);
  EXPECT_EQ(sizeof(lowbit_profile_entry), 64u);
  EXPECT_EQ(sizeof(lowbit_memory_bucket), 16u);
}

}  // namespace
}  // namespace lowbit::test
