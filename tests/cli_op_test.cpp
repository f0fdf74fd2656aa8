// `lowbit op` on arrays that it must refuse. That it computes what it should is golden_test.cpp's.
#include <fmt/format.h>

#include <limits>

#include "command_test.h"
#include "formats/npy.h"

namespace lowbit::test {
namespace {

class CliOpTest : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    put_floats("x", {1, 2, 3, 8});                   // [B, Hi, T, E]
    put_floats("w", {2, 8, 5});                      // [H, E, L]
    put_floats("y", {1, 2, 3, 5});                   // [B, H, T, l]
    put_floats("v", {10, 4});                        // [H*L, D]
    put_bytes("p", std::vector<uint8_t>(40, 0x55));  // 160 ternary codes of 0
    put_floats("s", {5});
    // Neither of these can be an operand.
    put_floats("empty", {1, 0, 3, 8});
    put_floats("scalar", {});
    put("doubles", npy("<f8", {1, 2, 3, 8}, 8 * 48));
    put("text", "no array");
    put("cut", content("x").substr(0, 200));
  }
  void TearDown() override {
    EXPECT_EQ(files(), inputs_) << "a failure left something behind";
    CommandTest::TearDown();
  }

  static std::string npy(const char* dtype, const std::vector<int64_t>& shape, size_t bytes) {
    const std::vector<std::byte> file = formats::npy_bytes(dtype, shape, std::vector<std::byte>(bytes));
    return {reinterpret_cast<const char*>(file.data()), file.size()};
  }

  // The options of a call that works but for these files; every output goes to a file that must not appear.
  Arguments quantize(const std::string& x) const {
    return {"op", "quantize", "--input", path(x), "--packed", path("out1"), "--scales", path("out2")};
  }
  Arguments lowrank(const std::string& x, const std::string& w) const {
    return {"op", "lowrank", "--input", path(x), "--weight", path(w), "--output", path("out1")};
  }
  Arguments tail(const std::string& y, const std::string& v) const {
    return {"op", "tail", "--input", path(y), "--weight", path(v), "--output", path("out1")};
  }
  Arguments compress(const std::string& x) const {
    return {"op", "rho-compress", "--input", path(x), "--packed", path("out1"), "--scales", path("out2")};
  }
  Arguments expand(const std::string& p, const std::string& s, const std::string& shape = "160") const {
    return {"op",       "rho-expand", "--packed", path(p), "--scales",   path(s),
            "--output", path("out1"), "--shape",  shape,   "--encoding", "ternary"};
  }
  // Runs it and removes what it wrote.
  void expect_success(const Arguments& arguments) const {
    EXPECT_EQ(output_of(arguments), "");
    for (const char* name : {"out1", "out2"}) std::filesystem::remove(path(name));
  }

  std::set<std::string> inputs_ = {"tiny", "x", "w", "y", "v", "p", "s", "empty", "scalar", "doubles", "text", "cut"};
};

TEST_F(CliOpTest, TheCallsThatTheFailuresDifferFrom) {
  for (const Arguments& arguments :
       {quantize("x"), lowrank("x", "w"), tail("y", "v"), compress("x"), expand("p", "s")}) {
    expect_success(arguments);
  }
}

TEST_F(CliOpTest, FilesThatAreNoArray) {
  for (const char* bad : {"text", "cut", "none"}) {
    for (const Arguments& arguments : {quantize(bad), lowrank(bad, "w"), lowrank("x", bad), tail(bad, "v"),
                                       tail("y", bad), compress(bad), expand(bad, "s"), expand("p", bad)}) {
      expect_failure(arguments, {path(bad)});
    }
  }
  expect_failure({"op", "quantize", "--input", folder_, "--packed", path("out1"), "--scales", path("out2")},
                 {"Is a directory"});
}

TEST_F(CliOpTest, OtherTypes) {
  for (const Arguments& arguments :
       {quantize("doubles"), lowrank("doubles", "w"), lowrank("x", "doubles"), tail("doubles", "v"),
        tail("y", "doubles"), compress("doubles"), expand("p", "doubles")}) {
    expect_failure(arguments, {path("doubles"), "'<f8'", "'<f4'"});
  }
  expect_failure(expand("x", "s"), {path("x"), "'<f4'", "'|u1'"});
  expect_failure(quantize("p"), {path("p"), "'|u1'", "'<f4'"});
}

TEST_F(CliOpTest, ArraysWithoutItemsOrAxes) {
  for (const Arguments& arguments : {quantize("empty"), lowrank("empty", "w"), lowrank("x", "empty"),
                                     tail("empty", "v"), tail("y", "empty"), compress("empty"), expand("p", "empty")}) {
    expect_failure(arguments, {path("empty"), "[1, 0, 3, 8]"});
  }
  for (const Arguments& arguments :
       {quantize("scalar"), lowrank("scalar", "w"), lowrank("x", "scalar"), tail("scalar", "v"), tail("y", "scalar"),
        compress("scalar"), expand("p", "scalar")}) {
    expect_failure(arguments, {path("scalar"), "[]"});
  }
}

TEST_F(CliOpTest, OtherRanks) {
  expect_failure(lowrank("w", "w"), {path("w"), "[2, 8, 5]", "[B, Hi, T, E]"});
  expect_failure(lowrank("x", "v"), {path("v"), "[10, 4]", "[H, E, L]"});
  expect_failure(tail("v", "v"), {path("v"), "[10, 4]", "[B, H, T, l]"});
  expect_failure(tail("y", "w"), {path("w"), "[2, 8, 5]", "[H*L, D]"});
}

TEST_F(CliOpTest, SizesThatDoNotFit) {
  put_floats("x9", {1, 2, 3, 9});
  put_floats("x3", {1, 3, 3, 8});
  put_floats("y6", {1, 2, 3, 6});
  put_floats("y3", {1, 3, 3, 5});
  inputs_.insert({"x9", "x3", "y6", "y3"});
  expect_failure(lowrank("x9", "w"), {"[1, 2, 3, 9]", "must be 8"});
  expect_failure(lowrank("x3", "w"), {"[1, 3, 3, 8]", "may be 1 or 2"});
  expect_failure(lowrank("x", "w") + Arguments{"--latent", "6"}, {"--latent is 6", "1 to 5"});
  expect_failure(lowrank("x", "w") + Arguments{"--latent", "1099511627776"}, {"1 to 5"});
  for (const char* latent : {"0", "-1", "x"})
    expect_failure(lowrank("x", "w") + Arguments{"--latent", latent}, {"--latent", latent});
  expect_failure(lowrank("x", "w") + Arguments{"--threshold", "x"}, {"--threshold"});
  expect_failure(tail("y6", "v"), {"latent is 6", "1 to 5"});
  expect_failure(tail("y3", "v"), {path("v"), "[10, 4]", "multiple", "3 heads"});
  expect_success(lowrank("x", "w") + Arguments{"--latent", "4", "--threshold", "-inf"});
}

TEST_F(CliOpTest, WeightsThatAreNotFinite) {
  std::vector<float> values(80, 0.5f);
  values[33] = std::numeric_limits<float>::quiet_NaN();
  put_floats("bad", {2, 8, 5}, values);
  inputs_.insert("bad");
  for (const char* format : {"int8", "ternary", "binary"}) {
    expect_failure(lowrank("x", "bad") + Arguments{"--weight-format", format}, {"33"});
  }
}

TEST_F(CliOpTest, CompressedDataThatDoesNotFit) {
  put_bytes("p39", std::vector<uint8_t>(39, 0x55));
  put_bytes("p41", std::vector<uint8_t>(41, 0x55));
  put_floats("s4", {4});
  std::vector<uint8_t> codes(40, 0x55);
  codes[17] |= 0xC0;  // value 71, in block 2
  put_bytes("p3", codes);
  inputs_.insert({"p39", "p41", "s4", "p3"});
  expect_failure(expand("p39", "s"), {"packed", "39", "40", "block 4"});
  expect_failure(expand("p41", "s"), {"packed", "41", "40", "block 5"});
  expect_failure(expand("p", "s4"), {"scales", "4", "5", "block 4"});
  expect_failure(expand("p", "s", "161"), {"block 5"});
  expect_failure(expand("p", "s", "31"), {"block 1"});
  expect_failure(expand("p3", "s"), {"code 3", "block 2", "71"});
  expect_success(expand("p", "s", "1,1,1,1,8,20"));
  put_bytes("p20", std::vector<uint8_t>(20, 0xFF));  // as binary, three in every four of these are none of ternary's
  inputs_.insert("p20");
  expect_failure(expand("p20", "s", "80"), {"scales", "5", "3"});
  put_floats("s3", {3});
  inputs_.insert("s3");
  expect_failure(expand("p20", "s3", "80"), {"code 3", "block 0"});
}

TEST_F(CliOpTest, ShapesThatAreNone) {
  for (const char* shape : {"0", "-1", "160,0", "x", "1e2", "", "1099511627777"})
    expect_failure(expand("p", "s", shape), {"--shape"});
  expect_failure(expand("p", "s", "4294967296,4294967296"), {"[4294967296, 4294967296]"});
  expect_failure(expand("p", "s", "1048576,1048576,1048576,1048576"), {"2^48"});
#if !LOWBIT_SANITIZED  // it says itself that there is not so much memory
  expect_failure(expand("p", "s", "1099511627776"), {});
#endif
}

TEST_F(CliOpTest, NamesThatAreNone) {
  const std::vector<std::pair<Arguments, const char*>> calls = {
      {quantize("x") + Arguments{"--format", "f32"}, "int8, int4, uint8"},
      {quantize("x") + Arguments{"--group", "per_channel"}, "per_tensor, per_token"},
      {lowrank("x", "w") + Arguments{"--format", "ternary"}, "int8, int4, uint8, f32"},
      {lowrank("x", "w") + Arguments{"--weight-format", "uint8"}, "int8, ternary, binary"},
      {tail("y", "v") + Arguments{"--weight-group", "per_token"}, "per_channel, per_tensor"},
      {tail("y", "v") + Arguments{"--rule", "mean"}, "absmax, absmean"},
      {compress("x") + Arguments{"--encoding", "f32"}, "int8, ternary, binary"},
      {compress("x") + Arguments{"--backend", "gpu"}, "cpu, reference"}};
  for (const auto& [arguments, list] : calls) {
    expect_failure(arguments, {fmt::format("'{}'", arguments.back()), list});
  }
}

}  // namespace
}  // namespace lowbit::test
