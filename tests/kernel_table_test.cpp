// Which kernel serves, and why: on devices of any features, whatever the machine has.
#include "kernel_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <set>
#include <utility>

#include "fake_device.h"
#include "reference/kernels.h"

namespace lowbit::core {
namespace {

using test::FakeDevice;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

constexpr uint64_t kAvx2 = LOWBIT_FEATURE_AVX2;
constexpr lowbit_format kCodes[] = {LOWBIT_INT8, LOWBIT_INT4, LOWBIT_UINT8};
constexpr lowbit_format kActivations[] = {LOWBIT_INT8, LOWBIT_INT4, LOWBIT_UINT8, LOWBIT_F32};
constexpr lowbit_format kWeights[] = {LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY};

std::string chosen(const Device& device, const Request& request) {
  const KernelRow* kernel = nullptr;
  const Status status = choose(device, request, &kernel);
  return status.ok() ? kernel->name : std::string(lowbit_status_name(status.code())) + ": " + status.sentence();
}

// Every request that the library makes of a backend.
std::vector<Request> all_requests() {
  std::vector<Request> requests;
  for (lowbit_format codes : kCodes) requests.push_back({LOWBIT_QUANTIZE_PACK, codes, {}, {}});
  for (lowbit_format weights : kWeights) {
    for (lowbit_operation operation : {LOWBIT_PACK_WEIGHT, LOWBIT_RHO_COMPRESS, LOWBIT_RHO_EXPAND})
      requests.push_back({operation, {}, weights, {}});
    for (lowbit_operation operation : {LOWBIT_LOWRANK_PROJECTION, LOWBIT_DECODER_TAIL}) {
      for (lowbit_format activations : kActivations) requests.push_back({operation, activations, weights, {}});
    }
  }
  return requests;
}

// ---- The table ------------------------------------------------------------------------------------------------------

// "_w8" for int8 alone and so on, by the grammar of kernel_table.h; "?" for a set that it has no word for.
std::string part_of(FormatSet set, std::initializer_list<std::pair<const char*, std::vector<lowbit_format>>> words) {
  std::vector<lowbit_format> formats;
  for (int f = 0; f < 32; ++f) {
    if (set.contains(static_cast<lowbit_format>(f))) formats.push_back(static_cast<lowbit_format>(f));
  }
  for (const auto& [word, of] : words) {
    if (formats == of) return word;
  }
  return "?";
}

TEST(KernelTable, NamesSayWhatTheRowsSay) {
  for (const KernelRow& kernel : kernel_table()) {
    constexpr const char* kBackends[] = {"cuda", "vulkan", "cpu", "reference"};
    std::string name = name_of(kernel.operation());
    name += part_of(kernel.activations, {{"", {}},
                                         {"", {LOWBIT_INT8, LOWBIT_INT4, LOWBIT_UINT8, LOWBIT_F32}},
                                         {"_a8", {LOWBIT_INT8, LOWBIT_INT4, LOWBIT_UINT8}},
                                         {"_f32", {LOWBIT_F32}}});
    name += part_of(kernel.weights, {{"", {}},
                                     {"_w8", {LOWBIT_INT8}},
                                     {"_w2", {LOWBIT_TERNARY}},
                                     {"_w1", {LOWBIT_BINARY}},
                                     {"_wx", {LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY}}});
    name += std::string("_") + kBackends[static_cast<int>(kernel.backend)];
    if (kernel.backend == Backend::cuda) {  // its projections go by the way, the others by nothing more
      EXPECT_THAT(kernel.name, StartsWith(name));
      continue;
    }
    if (kernel.backend == Backend::vulkan) {
      const bool has_ways = !kernel.layouts.empty() && kernel.activations.contains(LOWBIT_INT8);
      const char* products = (kernel.features & LOWBIT_FEATURE_DOT_INT8) != 0 ? "_dot" : "_plain";
      const char* arithmetic = (kernel.features & LOWBIT_FEATURE_EXACT_F32) != 0 ? "_float" : "_integer";
      const bool has_matrices = (kernel.features & LOWBIT_FEATURE_COOPMAT_INT8) != 0;
      if (has_ways) name += has_matrices ? "_coopmat" : std::string("_(tiles|rows|sparse)") + products;
      EXPECT_THAT(kernel.name, MatchesRegex(name + arithmetic));
      continue;
    }
    if (kernel.features != 0) {
      name += std::string("_") + lowbit_feature_name(std::bit_floor(kernel.features));
      const bool has_ways = !kernel.layouts.empty() && kernel.activations.contains(LOWBIT_INT8);
      EXPECT_THAT(kernel.name, MatchesRegex(name + (has_ways ? "(|_tiles|_sparse)" : "")));
      continue;
    }
    if (kernel.backend == Backend::cpu) name += "_scalar";
    EXPECT_EQ(kernel.name, name);
  }
}

TEST(KernelTable, NamesAreUnique) {
  std::set<std::string> names;
  for (const KernelRow& kernel : kernel_table()) EXPECT_TRUE(names.insert(kernel.name).second) << kernel.name;
}

// With no feature at all and whatever a weight's layout, each backend still has an answer for everything.
TEST(KernelTable, EveryBackendDoesEverything) {
  for (Backend backend : {Backend::cpu, Backend::reference}) {
    for (uint64_t features : {uint64_t{0}, kAvx2}) {
      const FakeDevice device(backend, features);
      for (Request request : all_requests()) {
        EXPECT_THAT(chosen(device, request), HasSubstr(name_of(request.operation) + "_"));
        if (request.operation != LOWBIT_LOWRANK_PROJECTION && request.operation != LOWBIT_DECODER_TAIL) continue;
        for (Layout layout : {Layout::plain, Layout::panel64, Layout::rows64}) {
          request.layout = layout;
          EXPECT_THAT(chosen(device, request), HasSubstr(name_of(request.operation) + "_"));
        }
      }
    }
  }
}

// ---- Choosing -------------------------------------------------------------------------------------------------------

Status serve(Stream&, const QuantizePack&) { return {}; }
Status serve(Stream&, const LowrankProjection&) { return {}; }

constexpr FormatSet kInt8 = {LOWBIT_INT8};
constexpr LayoutSet kPanel64 = {Layout::panel64}, kAnyLayout = {Layout::plain, Layout::panel64};
constexpr KernelFunction<QuantizePack> kQuantize = &serve;
constexpr KernelFunction<LowrankProjection> kLowrank = &serve;
constexpr KernelRow kRows[] = {
    {"fast", Backend::cpu, kAvx2, kInt8, {}, {}, kQuantize},
    {"second", Backend::cpu, 0, kInt8, {}, {}, kQuantize},
    {"third", Backend::cpu, 0, {LOWBIT_INT8, LOWBIT_INT4}, {}, {}, kQuantize},
    {"fast_panels", Backend::cpu, kAvx2, kInt8, kInt8, kPanel64, kLowrank},
    {"any_layout", Backend::cpu, 0, kInt8, kInt8, kAnyLayout, kLowrank},
    {"definition", Backend::reference, 0, {LOWBIT_INT8, LOWBIT_INT4, LOWBIT_UINT8}, {}, {}, kQuantize},
};
constexpr Request kQuantizeInt8 = {LOWBIT_QUANTIZE_PACK, LOWBIT_INT8, {}, {}};

TEST(Choose, TheFirstRowThatMay) {
  EXPECT_EQ(chosen(FakeDevice(Backend::cpu, kAvx2, kRows), kQuantizeInt8), "fast");
  EXPECT_EQ(chosen(FakeDevice(Backend::cpu, 0, kRows), kQuantizeInt8), "second");
  EXPECT_EQ(chosen(FakeDevice(Backend::cpu, ~kAvx2, kRows), kQuantizeInt8), "second");
  EXPECT_EQ(chosen(FakeDevice(Backend::cpu, ~uint64_t{0}, kRows), kQuantizeInt8), "fast");
  EXPECT_EQ(chosen(FakeDevice(Backend::cpu, kAvx2, kRows), {LOWBIT_QUANTIZE_PACK, LOWBIT_INT4, {}, {}}), "third");
  EXPECT_EQ(chosen(FakeDevice(Backend::reference, kAvx2, kRows), kQuantizeInt8), "definition");
}

TEST(Choose, ByTheLayoutOfTheWeight) {
  const FakeDevice device(Backend::cpu, kAvx2, kRows);
  EXPECT_EQ(chosen(device, {LOWBIT_LOWRANK_PROJECTION, LOWBIT_INT8, LOWBIT_INT8, Layout::panel64}), "fast_panels");
  EXPECT_EQ(chosen(device, {LOWBIT_LOWRANK_PROJECTION, LOWBIT_INT8, LOWBIT_INT8, Layout::plain}), "any_layout");
  EXPECT_EQ(kRows[3].preferred_layout(), Layout::panel64);
  EXPECT_EQ(kRows[4].preferred_layout(), Layout::plain);
}

TEST(Choose, ByTheSize) {
  const KernelRow rows[] = {
      {"many_rows", Backend::cpu, 0, kInt8, kInt8, kPanel64, kLowrank, 33, INT64_MAX, kNarrowDepth},
      {"one_row", Backend::cpu, 0, kInt8, kInt8, kPanel64, kLowrank, 1, 1},
      {"any_size", Backend::cpu, 0, kInt8, kInt8, kPanel64, kLowrank},
  };
  const FakeDevice device(Backend::cpu, 0, rows);
  const auto of_size = [&](int64_t tokens, int64_t depth) {
    return chosen(device,
                  {LOWBIT_LOWRANK_PROJECTION, LOWBIT_INT8, LOWBIT_INT8, Layout::panel64, {{tokens, depth, 1, 0}}});
  };
  EXPECT_EQ(of_size(1, 9), "one_row");
  EXPECT_EQ(of_size(2, 9), "any_size");
  EXPECT_EQ(of_size(32, 9), "any_size");
  EXPECT_EQ(of_size(33, kNarrowDepth), "many_rows");
  EXPECT_EQ(of_size(33, kNarrowDepth + 1), "any_size");
}

TEST(Choose, NoneThatIsBarred) {
  FakeDevice device(Backend::cpu, kAvx2, kRows);
  device.set_state(kRows[0], KernelState::barred);
  EXPECT_EQ(chosen(device, kQuantizeInt8), "second");
  device.set_state(kRows[1], KernelState::passed);
  EXPECT_EQ(chosen(device, kQuantizeInt8), "second");
}

TEST(Choose, UnsupportedSaysWhy) {
  const Request request{LOWBIT_LOWRANK_PROJECTION, LOWBIT_INT8, LOWBIT_TERNARY, {}};
  EXPECT_THAT(chosen(FakeDevice(Backend::cpu, kAvx2, kRows), request), HasSubstr("unsupported: lowrank_projection"));
  const FakeDevice without(Backend::cpu, 0, std::span(kRows).first(1));
  EXPECT_THAT(chosen(without, kQuantizeInt8), HasSubstr("fast (feature_missing: avx2)"));
  EXPECT_EQ(why_not(without, kRows[0]), "feature_missing: avx2");
}

// The guard cannot test in a capture, so what it has not passed may not run there.
TEST(CheckReady, RefusesAnUntestedKernelInACapture) {
  struct CapturingStream final : Stream {
    using Stream::Stream;
    Status copy_to_device(void*, uint64_t, const void*, size_t) override { return {}; }
    Status copy_to_host(void*, const void*, uint64_t, size_t) override { return {}; }
    Status flush() override { return {}; }
    Status synchronize() override { return {}; }
    bool is_capturing() const override { return captures; }
    bool captures = true;
  };
  const auto device = std::make_shared<FakeDevice>(Backend::cpu, kAvx2, kRows);
  CapturingStream stream(device);
  const Status refused = check_ready(stream, kRows[0]);
  EXPECT_EQ(refused.code(), LOWBIT_NOT_READY);
  EXPECT_THAT(refused.sentence(), HasSubstr("the parity guard has not tested fast"));
  stream.captures = false;
  EXPECT_TRUE(check_ready(stream, kRows[0]).ok());
  stream.captures = true;
  device->set_state(kRows[0], KernelState::passed);
  EXPECT_TRUE(check_ready(stream, kRows[0]).ok());
}

// The reference takes over where that was allowed and where it can reach the memory, and only then.
TEST(Choose, FallsBackWhenAllowed) {
  const Request uint8{LOWBIT_QUANTIZE_PACK, LOWBIT_UINT8, {}, {}};
  EXPECT_THAT(chosen(FakeDevice(Backend::cpu, kAvx2, kRows), uint8), HasSubstr("unsupported: quantize_pack"));
  EXPECT_EQ(chosen(FakeDevice(Backend::cpu, kAvx2, kRows, true), uint8), "definition");
  EXPECT_EQ(chosen(FakeDevice(Backend::cpu, kAvx2, kRows, true), kQuantizeInt8), "fast");
  EXPECT_THAT(chosen(FakeDevice(Backend::vulkan, 0, kRows, true, false), uint8), HasSubstr("unsupported"));
}

// ---- lowbit_explain -------------------------------------------------------------------------------------------------

struct Explained {
  std::vector<std::string> kernels, reasons;
  std::string selected;
};

Explained explain(lowbit_device device, lowbit_query query) {
  query.struct_size = sizeof(query);
  size_t count = 0;
  EXPECT_EQ(lowbit_explain(&device, &query, nullptr, &count), LOWBIT_OK) << lowbit_last_error();
  std::vector<lowbit_candidate> candidates(count);
  EXPECT_EQ(lowbit_explain(&device, &query, candidates.data(), &count), LOWBIT_OK);
  EXPECT_EQ(count, candidates.size());
  Explained explained;
  for (const lowbit_candidate& c : candidates) {
    explained.kernels.push_back(c.kernel);
    explained.reasons.push_back(c.reason);
    if (c.selected != 0) explained.selected += c.kernel;
  }
  return explained;
}

TEST(Explain, ListsCandidatesBestFirst) {
  const lowbit_query query{0, LOWBIT_QUANTIZE_PACK, LOWBIT_INT8, LOWBIT_INT8};
  Explained with = explain({std::make_shared<FakeDevice>(Backend::cpu, kAvx2, kRows)}, query);
  EXPECT_THAT(with.kernels, ElementsAre("fast", "second", "third"));
  EXPECT_EQ(with.selected, "fast");
  EXPECT_THAT(with.reasons, ElementsAre("", "", ""));
  Explained without = explain({std::make_shared<FakeDevice>(Backend::cpu, 0, kRows, true)}, query);
  EXPECT_THAT(without.kernels, ElementsAre("fast", "second", "third", "definition"));
  EXPECT_EQ(without.selected, "second");
  EXPECT_THAT(without.reasons, ElementsAre("feature_missing: avx2", "", "", ""));
}

// "" for those behind the selected one, even where they could not serve either.
TEST(Explain, GivesReasonsUpToTheSelectedOne) {
  constexpr KernelRow kReversed[] = {kRows[1], kRows[0]};
  Explained e = explain({std::make_shared<FakeDevice>(Backend::cpu, 0, kReversed)},
                        {0, LOWBIT_QUANTIZE_PACK, LOWBIT_INT8, LOWBIT_INT8});
  EXPECT_EQ(e.selected, "second");
  EXPECT_THAT(e.reasons, ElementsAre("", ""));
}

TEST(Explain, FillsTheRoomThereIs) {
  lowbit_device device{std::make_shared<FakeDevice>(Backend::cpu, 0, kRows)};
  const lowbit_query query{sizeof(query), LOWBIT_QUANTIZE_PACK, LOWBIT_INT8, LOWBIT_INT8};
  lowbit_candidate candidates[3] = {{"a", 7, ""}, {"b", 7, ""}, {"c", 7, ""}};
  size_t count = 2;
  ASSERT_EQ(lowbit_explain(&device, &query, candidates, &count), LOWBIT_OK);
  EXPECT_EQ(count, 3u);
  EXPECT_STREQ(candidates[1].kernel, "second");
  EXPECT_EQ(candidates[1].selected, 1);
  EXPECT_STREQ(candidates[2].kernel, "c");
}

TEST(Explain, AFormatThatIsNoneIsAnError) {
  lowbit_device device{std::make_shared<FakeDevice>(Backend::cpu, kAvx2)};
  size_t count = 0;
  for (int format : {3, 4, 6, 31, 32, 1000, -1}) {
    const lowbit_query activations{sizeof(activations), LOWBIT_QUANTIZE_PACK, static_cast<lowbit_format>(format),
                                   LOWBIT_INT8};
    EXPECT_EQ(lowbit_explain(&device, &activations, nullptr, &count), LOWBIT_INVALID_ARGUMENT);
    EXPECT_THAT(lowbit_last_error(), HasSubstr("query.activations is"));
  }
  for (int format : {1, 2, 5, 6, 1000, -1}) {
    const lowbit_query weights{sizeof(weights), LOWBIT_RHO_EXPAND, LOWBIT_INT8, static_cast<lowbit_format>(format)};
    EXPECT_EQ(lowbit_explain(&device, &weights, nullptr, &count), LOWBIT_INVALID_ARGUMENT);
    EXPECT_THAT(lowbit_last_error(), HasSubstr("query.weights is"));
  }
}

// Rows of one request; each but the last takes some sizes only.
TEST(Explain, SaysWhatSizesAKernelTakes) {
  constexpr FormatSet kCode = {LOWBIT_INT8};
  constexpr LayoutSet kPlain = {Layout::plain};
  const auto row = [&](const char* name, int64_t min_rows, int64_t max_rows, int64_t max_depth, int64_t min_box_rows,
                       int64_t min_outputs) {
    return KernelRow{name,     Backend::cpu, 0,         kCode,        kCode,      kPlain, &reference::decoder_tail,
                     min_rows, max_rows,     max_depth, min_box_rows, min_outputs};
  };
  constexpr int64_t kAny = INT64_MAX;
  const KernelRow limited[] = {row("many", 33, kAny, kAny, 0, 0),    row("one", 1, 1, kAny, 0, 0),
                               row("narrow", 1, kAny, 100, 0, 0),    row("boxes", 1, kAny, kAny, 5, 0),
                               row("large", 1, kAny, kAny, 0, 1000), row("any", 1, kAny, kAny, 0, 0)};
  const auto on = [&](lowbit_operation operation, std::span<const KernelRow> table, int64_t rows, int64_t depth,
                      int64_t outputs) {
    return explain({std::make_shared<FakeDevice>(Backend::cpu, 0, table)},
                   {0, operation, LOWBIT_INT8, LOWBIT_INT8, rows, depth, outputs});
  };
  Explained e = on(LOWBIT_DECODER_TAIL, limited, 4, 101, 999);
  EXPECT_EQ(e.selected, "any");
  EXPECT_THAT(e.reasons, ElementsAre("takes 33 rows and more", "takes no more rows than 1",
                                     "takes sums of no more products than 100",
                                     "takes 5 rows and more that are contiguous and of a multiple of 16 bytes",
                                     "takes 1000 outputs and more", ""));
  EXPECT_EQ(on(LOWBIT_DECODER_TAIL, limited, 33, 101, 999).selected, "many");
  EXPECT_EQ(on(LOWBIT_DECODER_TAIL, limited, 1, 101, 999).selected, "one");
  EXPECT_EQ(on(LOWBIT_DECODER_TAIL, limited, 4, 100, 999).selected, "narrow");
  EXPECT_EQ(on(LOWBIT_DECODER_TAIL, limited, 5, 101, 999).selected, "boxes");
  EXPECT_EQ(on(LOWBIT_DECODER_TAIL, limited, 4, 101, 1000).selected, "large");
  // What is not told rules nothing out.
  const std::span<const KernelRow> all(limited);
  EXPECT_EQ(on(LOWBIT_DECODER_TAIL, all, 0, 0, 0).selected, "many");
  EXPECT_EQ(on(LOWBIT_DECODER_TAIL, all.subspan(1), 0, 101, 1).selected, "one");
  EXPECT_EQ(on(LOWBIT_DECODER_TAIL, all.subspan(2), 2, 0, 1).selected, "narrow");
  EXPECT_EQ(on(LOWBIT_DECODER_TAIL, all.subspan(3), 0, 101, 1).selected, "boxes");
  EXPECT_EQ(on(LOWBIT_DECODER_TAIL, all.subspan(4), 1, 101, 0).selected, "large");
}

// Another operation has no size.
TEST(Explain, SizesAreOfProjections) {
  Explained e = explain({std::make_shared<FakeDevice>(Backend::cpu, kAvx2, kRows)},
                        {0, LOWBIT_QUANTIZE_PACK, LOWBIT_INT8, LOWBIT_INT8, -1, -1, -1});
  EXPECT_EQ(e.selected, "fast");
}

// The true table, as a caller sees it.
TEST(Explain, TheKernelsOfTheCpu) {
  const std::shared_ptr<Device> cpu = std::make_shared<FakeDevice>(Backend::cpu, kAvx2);
  const auto selected = [&](lowbit_operation operation, lowbit_format activations, lowbit_format weights) {
    return explain({cpu}, {0, operation, activations, weights}).selected;
  };
#if LOWBIT_X86
  EXPECT_EQ(selected(LOWBIT_QUANTIZE_PACK, LOWBIT_INT4, LOWBIT_INT8), "quantize_pack_a8_cpu_avx2");
  EXPECT_EQ(selected(LOWBIT_LOWRANK_PROJECTION, LOWBIT_INT8, LOWBIT_INT8), "lowrank_projection_a8_wx_cpu_avx2");
  EXPECT_EQ(selected(LOWBIT_DECODER_TAIL, LOWBIT_INT4, LOWBIT_BINARY), "decoder_tail_a8_wx_cpu_avx2_sparse");
  EXPECT_EQ(selected(LOWBIT_DECODER_TAIL, LOWBIT_F32, LOWBIT_BINARY), "decoder_tail_f32_wx_cpu_avx2");
  EXPECT_EQ(selected(LOWBIT_RHO_EXPAND, LOWBIT_INT8, LOWBIT_TERNARY), "rho_expand_wx_cpu_avx2");
#endif
  EXPECT_EQ(selected(LOWBIT_PACK_WEIGHT, LOWBIT_INT8, LOWBIT_BINARY), "pack_weight_wx_cpu_scalar");
}

}  // namespace
}  // namespace lowbit::core
