// The golden data: cases whose results come from the NumPy statement of docs/numerics.md. Every case runs through
// lowbit.h in this process, on every device, and through `lowbit op` as its users run it.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "formats/npy.h"
#include "process.h"
#include "targets.h"

namespace lowbit::test {
namespace {

namespace fs = std::filesystem;
using formats::Npy;
using nlohmann::json;

// What the archive holds. A case that is lost on the way must not pass for one that went well.
const std::map<std::string, int> kCases = {
    {"quantize", 68}, {"lowrank", 36}, {"tail", 27}, {"rho-compress", 33}, {"rho-expand", 36}};
constexpr int kAllCases = 200;

const fs::path kFolder = LOWBIT_GOLDEN_FOLDER;

struct Case {
  std::string name, operation;
  json arguments;
  std::vector<std::string> inputs, outputs;

  Npy array(const std::string& file) const {
    return formats::read_npy((kFolder / name / (file + ".npy")).string(), "");
  }
  std::string text(const char* key) const { return arguments.value(key, ""); }
};

std::vector<Case> read_cases() {
  std::ifstream file(kFolder / "manifest.json");
  std::vector<Case> cases;
  for (const json& entry : json::parse(file)) {
    cases.push_back({entry["name"], entry["op"], entry["args"], entry["inputs"], entry["outputs"]});
  }
  return cases;
}

// Runs `body` for every case and sees to it that there were as many as there must be.
void for_every_case(const std::function<void(const Case&)>& body) {
  std::map<std::string, int> seen;
  int all = 0;
  for (const Case& golden : read_cases()) {
    SCOPED_TRACE(golden.name);
    body(golden);
    ++seen[golden.operation];
    ++all;
  }
  EXPECT_EQ(seen, kCases);
  EXPECT_EQ(all, kAllCases);
}

bool is_nan(uint32_t bits) { return (bits & 0x7fffffff) > 0x7f800000; }

// Bit for bit. A NaN of an `output` is like every other; a scale's has one pattern.
void expect_same(const std::string& file, const Npy& got, const Npy& expected) {
  EXPECT_EQ(got.dtype, expected.dtype) << file;
  ASSERT_EQ(got.shape, expected.shape) << file;
  ASSERT_EQ(got.bytes.size(), expected.bytes.size()) << file;
  const size_t item = expected.dtype == "|u1" ? 1 : 4;
  size_t wrong = 0;
  std::string first;
  for (size_t i = 0; i < expected.bytes.size(); i += item) {
    uint32_t a = 0, b = 0;
    std::memcpy(&a, got.bytes.data() + i, item);
    std::memcpy(&b, expected.bytes.data() + i, item);
    if (a == b || (file == "output" && is_nan(a) && is_nan(b))) continue;
    if (wrong++ == 0) first = fmt::format("item {}: got 0x{:x}, expected 0x{:x}", i / item, a, b);
  }
  if (wrong > 0) ADD_FAILURE() << fmt::format("{}: {} ({} of {} differ)", file, first, wrong, expected.count());
}

// ---- Through lowbit.h
// ------------------------------------------------------------------------------------------------

template <typename Enum>
Enum value_of(const Case& golden, const char* key, const std::map<std::string, Enum>& names) {
  return names.at(golden.text(key));
}
const std::map<std::string, lowbit_format> kFormats = {{"int8", LOWBIT_INT8},
                                                       {"int4", LOWBIT_INT4},
                                                       {"uint8", LOWBIT_UINT8},
                                                       {"ternary", LOWBIT_TERNARY},
                                                       {"binary", LOWBIT_BINARY}};
const std::map<std::string, lowbit_rule> kRules = {
    {"absmax", LOWBIT_ABSMAX}, {"absmean", LOWBIT_ABSMEAN}, {"", LOWBIT_ABSMAX}};
const std::map<std::string, lowbit_group> kGroups = {
    {"per_tensor", LOWBIT_PER_TENSOR}, {"per_token", LOWBIT_PER_TOKEN}, {"per_channel", LOWBIT_PER_CHANNEL}};

lowbit_type type_of(const std::string& dtype) {
  return dtype == "|u1" ? LOWBIT_TYPE_U8 : dtype == "<i4" ? LOWBIT_TYPE_I32 : LOWBIT_TYPE_F32;
}

// An array in the memory of a device.
class Operand {
 public:
  Operand(const Device& device, const Stream& stream, Npy array)
      : Operand(device, std::move(array.dtype), array.shape) {
    stream.upload(buffer_, std::span<const std::byte>(array.bytes));
    stream.synchronize();
  }
  Operand(const Device& device, std::string dtype, std::vector<int64_t> shape)
      : npy_{std::move(dtype), std::move(shape), {}},
        buffer_(device, static_cast<uint64_t>(npy_.count()) * (npy_.dtype == "|u1" ? 1 : 4)) {}

  const std::vector<int64_t>& shape() const { return npy_.shape; }
  lowbit_tensor tensor() const {
    lowbit_tensor tensor = lowbit::tensor(buffer_.data(), type_of(npy_.dtype), npy_.shape);
    tensor.size = buffer_.size();
    return tensor;
  }
  Npy read(const Stream& stream) const {
    Npy array = npy_;
    array.bytes.resize(buffer_.size());
    stream.download(std::span(array.bytes), buffer_);
    return array;
  }

 private:
  Npy npy_;  // without bytes
  Buffer buffer_;
};

// H matrices of K x N, packed by the reference.
Weight prepare(const Device& device, const Case& golden, lowbit_operation operation, int64_t H, int64_t K, int64_t N) {
  const Device reference = Device::open({.backend = "reference"});
  const Stream stream(reference);
  const Operand floats(reference, stream, golden.array("weight"));
  const lowbit_format format = value_of(golden, "weight-format", kFormats);
  const lowbit_group group = value_of(golden, "weight-group", kGroups);
  const int64_t channels = operation == LOWBIT_DECODER_TAIL ? N : H * N;
  const auto size = static_cast<int64_t>(lowbit_packed_weight_size(format, static_cast<uint64_t>(H * K * N)));
  const Operand packed(reference, "|u1", {size}), scales(reference, "<f4", {group == LOWBIT_PER_TENSOR ? 1 : channels});
  pack_weight(stream, {.format = format,
                       .rule = value_of(golden, "weight-rule", kRules),
                       .group = group,
                       .input = floats.tensor(),
                       .packed = packed.tensor(),
                       .scales = scales.tensor()});
  const std::vector<std::byte> bytes = packed.read(stream).bytes, scale_bytes = scales.read(stream).bytes;
  return {device,
          {.operation = operation,
           .format = format,
           .heads = H,
           .rows = K,
           .columns = N,
           .packed = bytes.data(),
           .packed_size = bytes.size(),
           .scales = reinterpret_cast<const float*>(scale_bytes.data()),
           .scale_count = scale_bytes.size() / sizeof(float)}};
}

// The outputs of the case, named as its files.
std::map<std::string, Npy> compute(const Device& device, const Case& golden) {
  const Stream stream(device);
  const auto input = [&](const char* file) { return Operand(device, stream, golden.array(file)); };
  // Outputs have the shapes that are expected: another one is the call's error.
  const auto output = [&](const char* file) {
    const Npy expected = golden.array(file);
    return Operand(device, expected.dtype, expected.shape);
  };
  const auto activations = [&](const Operand& values) {
    return lowbit_activations{.values = values.tensor(),
                              .format = value_of(golden, "format", kFormats),
                              .rule = value_of(golden, "rule", kRules),
                              .group = value_of(golden, "group", kGroups)};
  };
  if (golden.operation == "quantize") {
    const Operand x = input("input"), packed = output("packed"), scales = output("scales");
    quantize_pack(stream, {.format = value_of(golden, "format", kFormats),
                           .rule = value_of(golden, "rule", kRules),
                           .group = value_of(golden, "group", kGroups),
                           .input = x.tensor(),
                           .codes = packed.tensor(),
                           .scales = scales.tensor()});
    return {{"packed", packed.read(stream)}, {"scales", scales.read(stream)}};
  }
  if (golden.operation == "lowrank") {
    const Operand x = input("input"), out = output("output");
    const std::vector<int64_t> shape = golden.array("weight").shape;  // [H, E, L]
    const Weight weight = prepare(device, golden, LOWBIT_LOWRANK_PROJECTION, shape[0], shape[1], shape[2]);
    lowrank_projection(stream, {.use_threshold = golden.arguments.contains("threshold"),
                                .threshold = golden.arguments.value("threshold", 0.0f),
                                .input = activations(x),
                                .weight = weight.get(),
                                .output = out.tensor()});
    return {{"output", out.read(stream)}};
  }
  if (golden.operation == "tail") {
    const Operand y = input("input"), out = output("output");
    const std::vector<int64_t> shape = golden.array("weight").shape;  // [H*L, D]
    const int64_t H = y.shape()[1];
    const Weight weight = prepare(device, golden, LOWBIT_DECODER_TAIL, H, shape[0] / H, shape[1]);
    decoder_tail(stream, {.input = activations(y), .weight = weight.get(), .output = out.tensor()});
    return {{"output", out.read(stream)}};
  }
  const lowbit_format encoding = value_of(golden, "encoding", kFormats);
  if (golden.operation == "rho-compress") {
    const Operand x = input("input"), packed = output("packed"), scales = output("scales");
    rho_compress(stream,
                 {.encoding = encoding, .input = x.tensor(), .packed = packed.tensor(), .scales = scales.tensor()});
    return {{"packed", packed.read(stream)}, {"scales", scales.read(stream)}};
  }
  const Operand packed = input("packed"), scales = input("scales"), out = output("output");
  rho_expand(stream,
             {.encoding = encoding, .packed = packed.tensor(), .scales = scales.tensor(), .output = out.tensor()});
  return {{"output", out.read(stream)}};
}

class GoldenLibraryTest : public testing::TestWithParam<Target> {};
INSTANTIATE_TEST_SUITE_P(Devices, GoldenLibraryTest, testing::ValuesIn(targets()), name_of_target);

TEST(Golden, TheHostBackendsAreAlwaysThere) {
  std::set<std::string> names;
  for (const Target& target : targets()) names.insert(target.name);
  for (const char* name : {"reference", "cpu", "cpu_masked"}) EXPECT_TRUE(names.contains(name)) << name;
}

TEST_P(GoldenLibraryTest, AllOperations) {
  std::string absent;
  const std::optional<Device> device = open(GetParam(), &absent);
  if (!device) GTEST_SKIP() << absent;
  for_every_case([&](const Case& golden) {
    for (const auto& [file, got] : compute(*device, golden)) expect_same(file, got, golden.array(file));
  });
}

// ---- Through `lowbit op` --------------------------------------------------------------------------------------------

// How the command works does not change with an instruction set that is masked, nor on a GPU, which takes a process
// longer to open than a case to compute.
std::vector<Target> host_targets() {
  std::vector<Target> host = targets();
  std::erase_if(host, [](const Target& target) {
    const bool is_host = std::strcmp(target.backend, "cpu") == 0 || std::strcmp(target.backend, "reference") == 0;
    return target.disabled_features != 0 || !is_host;
  });
  return host;
}

class GoldenCommandTest : public testing::TestWithParam<Target> {};
INSTANTIATE_TEST_SUITE_P(Devices, GoldenCommandTest, testing::ValuesIn(host_targets()), name_of_target);

TEST_P(GoldenCommandTest, Op) {
  std::string absent;
  if (!open(GetParam(), &absent)) GTEST_SKIP() << absent;
  std::string name = (fs::temp_directory_path() / "lowbit_golden_XXXXXX").string();
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  const fs::path folder = name;
  for_every_case([&](const Case& golden) {
    Command command{{LOWBIT_COMMAND, "op", golden.operation, "--backend", GetParam().backend}};
    for (const auto& [key, value] : golden.arguments.items()) {
      command.arguments.push_back("--" + key);
      command.arguments.push_back(value.is_string() ? value.get<std::string>() : value.dump());
    }
    for (const std::string& file : golden.inputs) {
      command.arguments.insert(command.arguments.end(), {"--" + file, kFolder / golden.name / (file + ".npy")});
    }
    for (const std::string& file : golden.outputs) {
      command.arguments.insert(command.arguments.end(), {"--" + file, folder / file});
    }
    const Outcome outcome = run(command);
    EXPECT_EQ(outcome.code, 0);
    EXPECT_EQ(outcome.out + outcome.err, "");
    for (const std::string& file : golden.outputs) {
      ASSERT_TRUE(fs::exists(folder / file)) << file;
      expect_same(file, formats::read_npy(folder / file, ""), golden.array(file));
      fs::remove(folder / file);
    }
  });
  fs::remove_all(folder);
}

}  // namespace
}  // namespace lowbit::test
