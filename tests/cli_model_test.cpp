// Model files that `lowbit` must refuse, each with a sentence that names the file, the part of it and the fault.
#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <limits>

#include "command_test.h"

namespace lowbit::test {
namespace {

class CliModelTest : public CommandTest {
 protected:
  Arguments generate(const std::string& model) const {
    return {"generate", "--model", model, "--prompt", "ab", "--tokens", "2"};
  }
  // Expects `lowbit generate` and `lowbit pack` to refuse the changed model, and nothing to be written.
  void expect_refused(ModelFile model, const std::function<void(ModelFile&)>& change,
                      const std::vector<std::string>& words, const Arguments& more = {}) const {
    change(model);
    model.write(path("changed"));
    std::vector<std::string> all = words;
    all.push_back(path("changed"));
    expect_failure(generate(path("changed")) + more, all);
    const std::set<std::string> before = files();
    expect_failure({"pack", "--model", path("changed"), "--weights", "int8", "--output", path("out")}, all);
    EXPECT_EQ(files(), before);
  }
  void expect_refused(const std::function<void(ModelFile&)>& change, const std::vector<std::string>& words) const {
    expect_refused(tiny_model(), change, words);
  }
};

TEST_F(CliModelTest, WhatIsNoModel) {
  expect_failure(generate(path("none")), {path("none"), "No such file"});
  expect_failure(generate(folder_), {folder_, "Is a directory"});
  expect_failure(generate(path("tiny/below")), {"Not a directory"});
  expect_failure(generate(""), {"No such file"});
  expect_failure(generate("/dev/null"), {"/dev/null"});
  put("text", "To be, or not to be: that is the question.");
  expect_failure(generate(path("text")), {path("text")});
  put_floats("array.npy", {4, 4});
  expect_failure(generate(path("array.npy")), {path("array.npy")});
}

TEST_F(CliModelTest, Truncations) {
  const std::string whole = content("tiny");
  std::vector<size_t> lengths = {0, 1, 7, 8, 9, 100, whole.size() - 1, whole.size() - 4};
  for (size_t i = 1; i < 16; ++i) lengths.push_back(whole.size() * i / 16);
  for (size_t length : lengths) {
    put("cut", whole.substr(0, length));
    expect_failure(generate(path("cut")), {path("cut")});
    expect_failure({"pack", "--model", path("cut"), "--weights", "int8", "--output", path("out")}, {path("cut")});
  }
  put("cut", whole + "x");
  expect_failure(generate(path("cut")), {path("cut"), "belong to no tensor"});
  EXPECT_EQ(files(), (std::set<std::string>{"tiny", "cut"}));
}

TEST_F(CliModelTest, TensorsThatAreMissing) {
  for (const char* name : {"encoder", "encoder_v", "decoder", "embed.weight", "lm_head"}) {
    expect_refused([&](ModelFile& m) { m.remove(name); }, {fmt::format("tensor '{}' is missing", name)});
  }
}

TEST_F(CliModelTest, TensorsOfAnotherTypeOrRank) {
  for (const char* name : {"encoder", "encoder_v", "decoder", "embed.weight", "lm_head"}) {
    const auto retype = [&](const char* dtype) { return [=](ModelFile& m) { m[name].dtype = dtype; }; };
    expect_refused(retype("I32"), {fmt::format("tensor '{}'", name), "I32", "F32"});
    expect_refused(
        [&](ModelFile& m) {
          m[name].dtype = "BF16";
          m[name].bytes.resize(m[name].bytes.size() / 2);
        },
        {fmt::format("tensor '{}'", name), "BF16", "F32"});
    expect_refused([&](ModelFile& m) { m[name].shape.push_back(1); }, {fmt::format("tensor '{}'", name), "axes"});
  }
}

TEST_F(CliModelTest, TensorsOfAnotherShape) {
  const auto reshape = [](const char* name, std::vector<int64_t> shape) {
    return [=](ModelFile& m) { m.reshape(name, shape); };
  };
  expect_refused(reshape("encoder", {2, 6, 9}), {"tensor 'encoder'", "[2, 6, 9]", "even latent"});
  expect_refused(reshape("encoder", {2, 6, 0}), {"tensor 'encoder'", "[2, 6, 0]"});
  expect_refused(reshape("encoder", {0, 6, 10}), {"tensor 'encoder'", "[0, 6, 10]"});
  expect_refused(reshape("encoder", {2, 0, 10}), {"tensor 'encoder'", "[2, 0, 10]"});
  expect_refused(reshape("encoder_v", {2, 6, 12}), {"tensor 'encoder_v'", "[2, 6, 12]", "[2, 6, 10]"});
  expect_refused(reshape("encoder_v", {6, 2, 10}), {"tensor 'encoder_v'", "[6, 2, 10]"});
  expect_refused(reshape("decoder", {6, 20}), {"tensor 'decoder'", "[6, 20]", "[20, 6]"});
  expect_refused(reshape("decoder", {10, 6}), {"tensor 'decoder'", "[10, 6]", "[20, 6]"});
  expect_refused(reshape("embed.weight", {255, 6}), {"tensor 'embed.weight'", "[255, 6]", "[256, 6]"});
  expect_refused(reshape("embed.weight", {256, 7}), {"tensor 'embed.weight'", "[256, 7]"});
  expect_refused(reshape("lm_head", {256, 6}), {"tensor 'lm_head'", "[256, 6]", "[6, 256]"});
}

TEST_F(CliModelTest, NumbersOfLayers) {
  for (const char* text : {"", " 3", "3 ", "3.0", "0", "-1", "1025", "three", "99999999999999999999", "0x3"}) {
    expect_refused([&](ModelFile& m) { m.metadata["n_layer"] = text; },
                   {"'n_layer'", fmt::format("'{}'", text), "1024"});
  }
  expect_refused([](ModelFile& m) { m.metadata.erase("n_layer"); }, {"'n_layer'", "--layers"});
  ModelFile without = tiny_model();
  without.metadata.clear();
  without.write(path("without"));
  EXPECT_EQ(lowbit(generate(path("without")) + Arguments{"--layers", "3"}).out, lowbit(generate(tiny())).out);
}

TEST_F(CliModelTest, PackedFiles) {
  const ModelFile int8 = packed(tiny_model(), {.format = LOWBIT_INT8});
  const ModelFile ternary = packed(tiny_model(), {.format = LOWBIT_TERNARY});
  const auto refuse = [&](const ModelFile& model, const std::function<void(ModelFile&)>& change,
                          const std::vector<std::string>& words) {
    ModelFile changed = model;
    change(changed);
    changed.write(path("changed"));
    expect_failure(generate(path("changed")), words);
  };
  const auto refuse_metadata = [&](const char* key, const std::string& text, const std::vector<std::string>& words) {
    refuse(
        int8, [&](ModelFile& m) { m.metadata[key] = text; }, words);
  };
  refuse_metadata("lowbit.version", "2", {"lowbit.version", "'2'", "'1'"});
  refuse_metadata("lowbit.version", "", {"lowbit.version", "''"});
  refuse_metadata("lowbit.format", "int4", {"lowbit.format", "'int4'", "int8, ternary, binary"});
  refuse_metadata("lowbit.format", "ternary", {"tensor 'encoder'"});  // then the bytes are too many
  refuse_metadata("lowbit.rule", "mean", {"lowbit.rule", "'mean'", "absmax, absmean"});
  refuse_metadata("lowbit.group", "per_token", {"lowbit.group", "'per_token'", "per_channel, per_tensor"});
  refuse_metadata("lowbit.group", "per_tensor", {"tensor 'encoder.scales'", "[20]", "[1]"});
  for (const char* key : {"lowbit.format", "lowbit.rule", "lowbit.group", "lowbit.shape", "n_layer"}) {
    refuse(int8, [&](ModelFile& m) { m.metadata.erase(key); }, {"metadata lacks", key});
  }
  // A file that hides that it is packed.
  refuse(int8, [](ModelFile& m) { m.metadata.erase("lowbit.version"); }, {"tensor 'encoder'", "U8", "F32"});

  const auto shapes = [](const char* encoder, const char* decoder) {
    return fmt::format(R"({{"encoder":{0},"encoder_v":{0},"decoder":{1}}})", encoder, decoder);
  };
  for (const char* encoder : {"[2,6]", "[2,6,10,1]", "[2,6,\"10\"]", "[2,6,10.5]", "[2,6,-10]", "[0,6,10]",
                              "[2,6,1048578]", "[2,6,18446744073709551616]", "[2,6,null]", "120", "{}", "null"}) {
    refuse_metadata("lowbit.shape", shapes(encoder, "[20,6]"), {"lowbit.shape", "'encoder'"});
  }
  refuse_metadata("lowbit.shape", shapes("[2,6,10]", "[20]"), {"lowbit.shape", "'decoder'"});
  refuse_metadata("lowbit.shape", shapes("[2,6,9]", "[18,6]"), {"tensor 'encoder'", "even latent"});
  refuse_metadata("lowbit.shape", shapes("[2,6,12]", "[24,6]"), {"tensor 'encoder'", "[120]", "[144]"});
  refuse_metadata("lowbit.shape", shapes("[2,6,10]", "[20,7]"), {"tensor 'decoder'", "[20, 7]"});
  refuse_metadata("lowbit.shape", shapes("[1048576,1048576,1048576]", "[1,1]"), {"tensor 'decoder'"});
  for (const char* text : {"", "[", "[]", "7", "null", "{\"encoder\":[2,6,10]}", "\xef\xbb\xbf{}"}) {
    refuse_metadata("lowbit.shape", text, {"lowbit.shape"});
  }
  refuse_metadata("lowbit.shape", std::string(100'000, '['), {"lowbit.shape"});

  for (const char* name : {"encoder", "encoder_v", "decoder"}) {
    const std::string scales = std::string(name) + ".scales";
    refuse(int8, [&](ModelFile& m) { m.remove(name); }, {fmt::format("tensor '{}' is missing", name)});
    refuse(int8, [&](ModelFile& m) { m.remove(scales); }, {fmt::format("tensor '{}' is missing", scales)});
    refuse(int8, [&](ModelFile& m) { m.reshape(name, {119}); }, {fmt::format("tensor '{}'", name), "[119]", "[120]"});
    refuse(int8, [&](ModelFile& m) { m.reshape(scales, {7}); }, {fmt::format("tensor '{}'", scales), "[7]"});
    refuse(int8, [&](ModelFile& m) { m[scales].dtype = "I32"; }, {fmt::format("tensor '{}'", scales), "I32", "F32"});
    // In the last of the codes: 120 of them take 30 bytes.
    refuse(ternary, [&](ModelFile& m) { m[name].bytes[29] |= std::byte{0xC0}; }, {"code 3"});
  }
}

TEST_F(CliModelTest, WeightsThatAreNotFinite) {
  for (const char* name : {"encoder", "encoder_v", "decoder"}) {
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
      ModelFile model = tiny_model();
      model[name].floats()[47] = bad;
      model.write(path("bad"));
      const std::vector<std::string> words = {fmt::format("'{}'", name), "47"};
      for (const char* format : {"int8", "ternary", "binary"}) {
        expect_failure({"pack", "--model", path("bad"), "--weights", format, "--output", path("out")}, words);
      }
      expect_failure(generate(path("bad")) + Arguments{"--weights", "ternary"}, words);
    }
  }
  EXPECT_EQ(files(), (std::set<std::string>{"tiny", "bad"}));
}

}  // namespace
}  // namespace lowbit::test
