// `lowbit` from its command line: what it takes, what it refuses, and what it says.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "command_test.h"
#include "lowbit/lowbit.hpp"

namespace lowbit::test {
namespace {

using nlohmann::json;

class CliTest : public CommandTest {
 protected:
  Arguments generate() const { return {"generate", "--model", tiny(), "--prompt", "ab"}; }
  Arguments eval() const { return {"eval", "--model", tiny(), "--text", path("text")}; }
  // A text of `count` bytes, at path("text").
  void put_text(size_t count) const {
    std::string text;
    for (size_t i = 0; i < count; ++i) text += static_cast<char>(i * i % 251);
    put("text", text);
  }
};

// ---- What it refuses
// -------------------------------------------------------------------------------------------------

TEST_F(CliTest, NoCommandOrAnUnknownOne) {
  expect_failure(Arguments{}, {"a command is missing", "info, generate, eval, pack, op, profile"});
  expect_failure({"bogus"}, {"'bogus'", "info, generate, eval, pack, op, profile"});
  expect_failure({""}, {"''", "info, generate"});
  expect_failure({"--bogus"}, {"'--bogus'", "info, generate"});
  expect_failure({"op"}, {"a command is missing", "quantize, lowrank, tail, rho-compress, rho-expand"});
  expect_failure({"op", "bogus"}, {"'bogus'", "quantize, lowrank, tail, rho-compress, rho-expand"});
}

TEST_F(CliTest, UnknownMissingAndRepeatedOptions) {
  put_text(300);
  expect_failure(generate() + Arguments{"--bogus"}, {"--bogus"});
  expect_failure(generate() + Arguments{"stray"}, {"stray"});
  expect_failure(generate() + Arguments{"--tokens"}, {"--tokens"});
  expect_failure(generate() + Arguments{"--tokens", "3", "--tokens", "4"}, {"--tokens"});
  expect_failure(generate() + Arguments{"--text", path("text")}, {"--text"});  // eval's
  expect_failure({"generate", "--prompt", "a"}, {"--model is required"});
  expect_failure({"generate", "--model", tiny()}, {"--prompt is required"});
  expect_failure({"eval", "--model", tiny()}, {"--text is required"});
  expect_failure({"pack", "--model", tiny(), "--output", path("p")}, {"--weights is required"});
  expect_failure({"pack", "--model", tiny(), "--weights", "int8"}, {"--output is required"});
  expect_failure({"op", "lowrank", "--input", "x", "--output", "y"}, {"--weight is required"});
}

TEST_F(CliTest, NumbersOutOfRange) {
  put_text(300);
  const std::map<std::string, Arguments> of_generate = {
      {"--tokens", {"0", "-1", "1e9x", "1e3", "3.5", "", "x", "99999999999999999999"}},
      {"--temperature", {"-1", "-0.5", "nan", "-nan", "inf", "1e7", "", "hot", "1x"}},
      {"--top-k", {"-1", "257", "1.5", "x", ""}},
      {"--seed", {"-1", "18446744073709551616", "1.5", "x", ""}},
      {"--layers", {"0", "-1", "1025", "4294967297", "x"}},
      {"--rho-chunk", {"0", "-1", "4294967297", "x"}}};
  for (const auto& [option, values] : of_generate) {
    for (const std::string& value : values) expect_failure(generate() + Arguments{option, value}, {option, value});
  }
  const std::map<std::string, Arguments> of_eval = {{"--window", {"1", "0", "-1", "x", "99999999999999999999"}},
                                                    {"--bytes", {"0", "-1", "x"}}};
  for (const auto& [option, values] : of_eval) {
    for (const std::string& value : values) expect_failure(eval() + Arguments{option, value}, {option, value});
  }
}

TEST_F(CliTest, NamesThatAreNone) {
  put_text(300);
  const std::map<std::string, std::pair<const char*, const char*>> options = {
      {"--weights", {"int4", "f32, int8, ternary, binary"}},
      {"--weight-rule", {"mean", "absmax, absmean"}},
      {"--weight-group", {"per_token", "per_channel, per_tensor"}},
      {"--activations", {"ternary", "f32, int8"}},
      {"--rule", {"ABSMAX", "absmax, absmean"}},
      {"--rho", {"uint8", "f32, int8, ternary, binary"}}};
  for (const auto& [option, value_and_list] : options) {
    const auto& [value, list] = value_and_list;
    expect_failure(generate() + Arguments{option, value}, {option, fmt::format("'{}'", value), list});
    expect_failure(eval() + Arguments{option, value}, {option, list});
  }
  expect_failure(eval() + Arguments{"--against", "int8"}, {"--against", "'int8'", "f32"});
}

TEST_F(CliTest, TextsThatHoldNothing) {
  put_text(300);
  expect_failure({"generate", "--model", tiny(), "--prompt", ""}, {"--prompt is empty"});
  expect_failure(eval() + Arguments{"--window", "301"}, {"300 bytes", "301", "--window"});
  expect_failure(eval() + Arguments{"--bytes", "20"}, {"20 bytes", "256"});
  put("text", "");
  expect_failure(eval(), {"0 bytes", path("text")});
  expect_failure({"eval", "--model", tiny(), "--text", path("none")}, {path("none"), "No such file"});
  expect_failure({"eval", "--model", tiny(), "--text", folder_}, {folder_, "Is a directory"});
}

TEST_F(CliTest, ConfigurationsThatContradictThemselves) {
  put_text(300);
  expect_failure(generate() + Arguments{"--activations", "int8"},
                 {"--activations", "f32 weights need f32 activations"});
  expect_failure(generate() + Arguments{"--weights", "f32", "--activations", "int8"}, {"--activations"});
  packed(tiny_model(), {.format = LOWBIT_TERNARY, .group = LOWBIT_PER_TENSOR}).write(path("packed"));
  const Arguments of_packed = {"generate", "--model", path("packed"), "--prompt", "a", "--tokens", "2"};
  for (const char* other : {"f32", "int8", "binary"}) {
    expect_failure(of_packed + Arguments{"--weights", other}, {"--weights", path("packed"), "packed as ternary"});
  }
  expect_failure(of_packed + Arguments{"--weight-group", "per_channel"}, {"--weight-group", "packed as per_tensor"});
  expect_failure({"eval", "--model", path("packed"), "--text", path("text"), "--against", "f32"},
                 {"--against f32", "packed"});
  expect_failure({"pack", "--model", path("packed"), "--weights", "ternary", "--output", path("twice")},
                 {"--model", "packed already"});
  // Saying again what the file says is fine.
  EXPECT_EQ(lowbit(of_packed + Arguments{"--weights", "ternary", "--weight-group", "per_tensor"}).code, 0);
  EXPECT_EQ(files(), (std::set<std::string>{"packed", "text", "tiny"}));
}

TEST_F(CliTest, BackendsAndInstructionSets) {
  const auto is_available = [](const char* name) {
    lowbit_backend_info info{.struct_size = sizeof(info)};
    for (uint32_t i = 0; lowbit_backend_get_info(i, &info) == LOWBIT_OK; ++i) {
      if (std::string(info.name) == name) return info.available != 0;
    }
    return false;
  };
  expect_failure(generate() + Arguments{"--backend", "gpu"},
                 {"'gpu'", "auto, cuda, vulkan, cpu or reference", "there is", "cpu, reference"});
  expect_failure({"info", "--backend", ""}, {"''", "cpu, reference"});
  for (const char* name : {"cuda", "vulkan"}) {
    if (!is_available(name))
      expect_failure(generate() + Arguments{"--backend", name},
                     {fmt::format("'{}'", name), "there is", "cpu, reference"});
  }
  const auto with = [&](const char* variable, const char* value, const Arguments& arguments) {
    Command c = command(arguments);
    c.environment[variable] = value;
    return run(c);
  };
  const Arguments short_text = generate() + Arguments{"--tokens", "2"};
  expect_failure(with("LOWBIT_BACKEND", "gpu", short_text), {"LOWBIT_BACKEND", "'gpu'", "cpu, reference"});
  expect_failure(with("LOWBIT_BACKEND", "gpu", {"info"}), {"LOWBIT_BACKEND", "'gpu'"});
  expect_failure(with("LOWBIT_CPU_ISA", "nonsense", short_text + Arguments{"--backend", "cpu"}),
                 {"LOWBIT_CPU_ISA", "'nonsense'", "scalar"});
  // The variables do not touch what was asked for by name.
  EXPECT_EQ(with("LOWBIT_BACKEND", "gpu", short_text + Arguments{"--backend", "cpu"}).code, 0);
  EXPECT_EQ(with("LOWBIT_CPU_ISA", "nonsense", short_text + Arguments{"--backend", "reference"}).code, 0);
  const Outcome by_variable = with("LOWBIT_BACKEND", "reference", short_text);
  EXPECT_NE(by_variable.err.find(" on reference ("), std::string::npos) << by_variable.err;
}

// Whatever is in a name that a message quotes, the message is one line that leaves a terminal alone.
TEST_F(CliTest, MessagesAreOneLineOfText) {
  expect_failure({"generate", "--model", "two\nlines \x1b[31mred", "--prompt", "a"}, {"two"});
  put("odd\n\x1b[31mname", "no model");
  const Outcome outcome = lowbit({"generate", "--model", path("odd\n\x1b[31mname"), "--prompt", "a"});
  expect_failure(outcome, {"odd"});
  EXPECT_TRUE(
      std::ranges::none_of(outcome.err.substr(0, outcome.err.size() - 1), [](char c) { return c >= 0 && c < ' '; }));
}

// ---- What it writes
// --------------------------------------------------------------------------------------------------

TEST_F(CliTest, HelpNamesEveryOption) {
  const Arguments model = {"--model", "--layers"};
  const Arguments configuration =
      model + Arguments{"--weights", "--weight-rule", "--weight-group", "--activations", "--rule",
                        "--rho",     "--rho-chunk",   "--backend",      "--profile"};
  const Arguments activations = {"--format", "--rule", "--group"},
                  weight = {"--weight", "--weight-format", "--weight-rule", "--weight-group"};
  const std::vector<std::pair<Arguments, Arguments>> commands = {
      {{}, {"--version", "info", "generate", "eval", "pack", "op", "profile"}},
      {{"info"}, {"--backend", "--json"}},
      {{"generate"}, configuration + Arguments{"--prompt", "--tokens", "--temperature", "--top-k", "--seed", "--json"}},
      {{"eval"}, configuration + Arguments{"--text", "--window", "--bytes", "--against", "--json"}},
      {{"profile"}, configuration + Arguments{"--prompt", "--tokens", "--json"}},
      {{"pack"}, model + Arguments{"--weights", "--weight-rule", "--weight-group", "--output", "--json"}},
      {{"op"}, {"quantize", "lowrank", "tail", "rho-compress", "rho-expand"}},
      {{"op", "quantize"}, activations + Arguments{"--backend", "--input", "--packed", "--scales"}},
      {{"op", "lowrank"},
       activations + weight + Arguments{"--backend", "--input", "--output", "--latent", "--threshold"}},
      {{"op", "tail"}, activations + weight + Arguments{"--backend", "--input", "--output"}},
      {{"op", "rho-compress"}, {"--backend", "--input", "--packed", "--scales", "--encoding"}},
      {{"op", "rho-expand"}, {"--backend", "--packed", "--scales", "--output", "--shape", "--encoding"}}};
  for (const auto& [name, options] : commands) {
    const std::string help = output_of(name + Arguments{"--help"});
    for (const std::string& option : options) {
      EXPECT_NE(help.find("\n  " + option + " "), std::string::npos) << option << " in: " << help;
    }
    EXPECT_EQ(output_of(name + Arguments{"-h"}), help);
  }
  EXPECT_EQ(output_of({"--version"}), std::string(lowbit_version()) + "\n");
}

TEST_F(CliTest, GenerateWritesTheBytesAndNothingElse) {
  for (int count : {1, 2, 100}) {
    const Outcome outcome = lowbit(generate() + Arguments{"--tokens", std::to_string(count)});
    EXPECT_EQ(outcome.code, 0);
    EXPECT_EQ(outcome.out.size(), static_cast<size_t>(count));
    const std::string backend = Device::open().info().backend;
    for (const std::string& word :
         {std::string("tokens/s on "), backend, std::string("f32 weights, f32 activations, f32 rho")}) {
      EXPECT_NE(outcome.err.find(word), std::string::npos) << outcome.err;
    }
  }
  EXPECT_EQ(lowbit(generate()).out.size(), 400u);
}

TEST_F(CliTest, GenerateWritesTheBundledModelsText) {
  std::ifstream file(LOWBIT_MODELS_FOLDER "/expected.json");
  const json expected = json::parse(file)["greedy"];
  const std::string prompt = expected["prompt"];
  const Outcome outcome = lowbit({"generate", "--model", LOWBIT_MODELS_FOLDER "/bdh-shakespeare.safetensors",
                                  "--prompt", prompt, "--tokens", std::to_string(expected["tokens"].get<int>())});
  EXPECT_EQ(prompt + outcome.out, expected["text"]) << outcome.err;
}

TEST_F(CliTest, GenerateFiguresAsJson) {
  const Outcome outcome =
      lowbit(generate() + Arguments{"--tokens", "5", "--json", "--weights", "ternary", "--rho", "int8"});
  EXPECT_EQ(outcome.out.size(), 5u);
  const json figures = json::parse(outcome.err);
  EXPECT_EQ(figures["tokens"], 5);
  EXPECT_GT(figures["tokens_per_second"], 0);
  EXPECT_GT(figures["seconds"], 0);
  EXPECT_EQ(figures["backend"], Device::open().info().backend);
  EXPECT_EQ(figures["device"], Device::open().info().name);
  EXPECT_EQ(figures["configuration"],
            "ternary per_channel weights, int8 activations by absmax, int8 rho every 16 tokens");
}

TEST_F(CliTest, ProfileAsJsonAndAsText) {
  const Arguments profile = {"profile", "--model", tiny(), "--weights", "int8", "--backend", "cpu", "--tokens", "5"};
  const json report = json::parse(output_of(profile + Arguments{"--json"}));
  EXPECT_EQ(report["tokens"], 5);
  EXPECT_GT(report["memory_peak"], 0);
  EXPECT_GE(report["memory_reserved"], report["memory_in_use"]);
  double sum = 0;
  std::set<std::string> operations;
  for (const json& kernel : report["kernels"]) {
    sum += kernel["total_ns"].get<double>();
    EXPECT_EQ(kernel["count"].get<int>() % 5, 0);
    EXPECT_GT(kernel["floor_ns"], 0);
    const std::string name = kernel["kernel"];
    operations.insert(name.substr(0, name.find("_a8_")));
  }
  EXPECT_EQ(operations, (std::set<std::string>{"decoder_tail", "lowrank_projection", "quantize_pack"}));
  EXPECT_EQ(report["kernels_ns"], sum);
  EXPECT_LE(report["kernels_ns"], report["wall_ns"]);

  const std::string text = output_of(profile + Arguments{"--profile", path("trace.json")});
  for (const char* word : {"median us", "of roof", "lowrank_projection_a8", "all kernels", "a token", "MB reserved"}) {
    EXPECT_NE(text.find(word), std::string::npos) << word << " in: " << text;
  }
  EXPECT_GT(json::parse(content("trace.json"))["traceEvents"].size(), 5u);
  expect_failure(profile + Arguments{"--profile", path("none/trace.json")}, {"none/trace.json", "No such file"});
  expect_failure(profile + Arguments{"--prompt", ""}, {"--prompt", "empty"});
}

// By the device's clock, its kernels and their calls in lanes of their own.
TEST_F(CliTest, ProfileOfAGpu) {
#if LOWBIT_SANITIZED
  GTEST_SKIP() << "Vulkan's compilers take minutes with sanitizers";
#endif
  Command profile = command({"profile", "--model", tiny(), "--weights", "int8", "--backend", "vulkan", "--tokens", "5",
                             "--json", "--profile", path("trace.json")});
  profile.environment["LOWBIT_VULKAN_DEVICE"] = "llvmpipe";
  const Outcome outcome = run(profile);
  for (const char* reason : {"not_built", "no_driver", "no_device"}) {
    if (outcome.code != 0 && outcome.err.find(reason) != std::string::npos) GTEST_SKIP() << outcome.err;
  }
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json report = json::parse(outcome.out);
  double launches = 0;
  for (const json& kernel : report["kernels"]) {
    EXPECT_NE(kernel["kernel"].get<std::string>().find("_vulkan_"), std::string::npos) << kernel;
    EXPECT_GT(kernel["total_ns"], 0) << kernel;
    launches += kernel["count"].get<double>();
  }
  EXPECT_GT(launches, 0);
  EXPECT_LE(report["kernels_ns"], report["wall_ns"]);
  std::map<std::string, double> bars;
  const json trace = json::parse(content("trace.json"));
  for (const json& event : trace["traceEvents"]) {
    if (event["ph"] == "X") ++bars[event["cat"]];
  }
  EXPECT_EQ(bars["kernel"], launches);
  EXPECT_EQ(bars["call"], launches);
}

TEST_F(CliTest, TheSeedDecidesTheText) {
  const auto text = [&](const Arguments& more) { return lowbit(generate() + Arguments{"--tokens", "80"} + more).out; };
  const Arguments warm = {"--temperature", "0.8", "--top-k", "20"};
  EXPECT_EQ(text(warm + Arguments{"--seed", "5"}), text(warm + Arguments{"--seed", "5"}));
  EXPECT_NE(text(warm + Arguments{"--seed", "5"}), text(warm + Arguments{"--seed", "18446744073709551615"}));
  EXPECT_EQ(text(warm), text(warm + Arguments{"--seed", "0"}));
  EXPECT_EQ(text({}), text({"--seed", "9"}));
  EXPECT_EQ(text({"--temperature", "2", "--top-k", "1"}), text({}));
}

TEST_F(CliTest, EvalAsJsonAndAsText) {
  put_text(600);
  const json result = json::parse(output_of(eval() + Arguments{"--window", "50", "--json"}));
  EXPECT_EQ(result.size(), 3u);
  EXPECT_EQ(result["predictions"], 588);
  EXPECT_NEAR(std::exp(result["nats_per_byte"].get<double>()), result["perplexity"], 1e-9);

  const Arguments against = eval() + Arguments{"--window", "50", "--weights", "ternary", "--against", "f32"};
  const json compared = json::parse(output_of(against + Arguments{"--json"}));
  for (const char* key : {"mean", "median", "p90", "p95", "p99", "p99.9", "max"})
    EXPECT_GE(compared["kl"][key], 0) << key;
  EXPECT_LE(compared["kl"]["median"], compared["kl"]["p90"]);
  EXPECT_LE(compared["kl"]["p99.9"], compared["kl"]["max"]);
  EXPECT_GT(compared["kl"]["mean"], 0);
  EXPECT_GE(compared["top1_agreement"], 0);
  EXPECT_LE(compared["top1_agreement"], 1);
  EXPECT_GE(compared["p_difference"]["rms"], compared["p_difference"]["mean"]);
  const std::string text = output_of(against);
  for (const std::string& word :
       {std::string("ternary per_channel weights"),
        fmt::format("{:.6f} nats per byte", compared["nats_per_byte"].get<double>()), std::string("588 predictions"),
        std::string("KL divergence"), std::string("equal top-1")}) {
    EXPECT_NE(text.find(word), std::string::npos) << word << " in: " << text;
  }

  const json same = json::parse(output_of(eval() + Arguments{"--window", "50", "--against", "f32", "--json"}));
  EXPECT_EQ(same["kl"]["max"], 0);
  EXPECT_EQ(same["nats_per_byte"], result["nats_per_byte"]);
  // --bytes is a shorter text.
  const json part = json::parse(output_of(eval() + Arguments{"--window", "50", "--bytes", "149", "--json"}));
  EXPECT_EQ(part["predictions"], 98);
}

TEST_F(CliTest, InfoAsJsonAndAsText) {
  const json info = json::parse(output_of({"info", "--json"}));
  EXPECT_EQ(info["version"], lowbit_version());
  EXPECT_EQ(info["selected"], Device::open().info().backend);
  Arguments names;
  for (const json& backend : info["backends"]) {
    names.push_back(backend["name"]);
    EXPECT_EQ(backend["available"].get<bool>(), backend["reason"].get<std::string>().empty());
  }
  EXPECT_EQ(names, (Arguments{"cuda", "vulkan", "cpu", "reference"}));
  bool cpu_seen = false;
  for (const json& device : info["devices"]) {
    if (device["backend"] == "cpu") {
      cpu_seen = true;
      EXPECT_EQ(device["isa"], Device::open({.backend = "cpu"}).info().isa);
    }
    std::set<std::string> operations;
    for (const json& operation : device["operations"]) {
      operations.insert(operation["operation"].get<std::string>());
      EXPECT_TRUE(operation["kernel"].get<std::string>().starts_with(operation["operation"].get<std::string>()))
          << operation;
    }
    EXPECT_EQ(operations, (std::set<std::string>{"quantize_pack", "pack_weight", "lowrank_projection", "decoder_tail",
                                                 "rho_compress", "rho_expand"}));
  }
  EXPECT_TRUE(cpu_seen);
  const std::string text = output_of({"info"});
  for (const char* word : {"cpu", "reference", "lowrank_projection_wx_reference", "selected"})
    EXPECT_NE(text.find(word), std::string::npos) << word;
}

TEST_F(CliTest, InfoSaysWhyAKernelIsPassedOver) {
  Command scalar = command({"info", "--backend", "cpu", "--json"});
  scalar.environment["LOWBIT_CPU_ISA"] = "scalar";
  const Outcome outcome = run(scalar);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json devices = json::parse(outcome.out)["devices"];
  ASSERT_EQ(devices.size(), 1u);
  EXPECT_EQ(devices[0]["isa"], "scalar");
  EXPECT_TRUE(devices[0]["features"].empty());
  size_t passed_over = 0;
  for (const json& operation : devices[0]["operations"]) {
    EXPECT_TRUE(operation["kernel"].get<std::string>().ends_with("_cpu_scalar")) << operation;
    for (const json& kernel : operation["passed_over"]) {
      EXPECT_TRUE(kernel["reason"].get<std::string>().starts_with("feature_missing: ")) << kernel;
      ++passed_over;
    }
  }
#if defined(__x86_64__)
  EXPECT_GT(passed_over, 0u);
#endif
}

TEST_F(CliTest, APackedFileServesAsItsFloatsDo) {
  put_text(300);
  for (const char* format : {"int8", "ternary", "binary"}) {
    for (const char* group : {"per_channel", "per_tensor"}) {
      const Arguments packing = {"--weights", format, "--weight-group", group};
      const json sizes =
          json::parse(output_of(Arguments{"pack", "--model", tiny(), "--output", path("packed"), "--json"} + packing));
      EXPECT_EQ(sizes["file_bytes"], std::filesystem::file_size(path("packed")));
      EXPECT_LT(sizes["packed_bytes"], sizes["float_bytes"]);
      const Arguments text = {"generate", "--prompt", "ab", "--tokens", "50"};
      EXPECT_EQ(lowbit(text + Arguments{"--model", path("packed")}).out,
                lowbit(text + Arguments{"--model", tiny()} + packing).out);
      const Arguments measure = {"eval", "--text", path("text"), "--window", "40", "--json"};
      EXPECT_EQ(output_of(measure + Arguments{"--model", path("packed")}),
                output_of(measure + Arguments{"--model", tiny()} + packing));
    }
  }
  EXPECT_NE(
      output_of({"pack", "--model", tiny(), "--weights", "int8", "--output", path("packed")}).find(path("packed")),
      std::string::npos);
}

TEST_F(CliTest, AnyNameOfAFile) {
  const std::string odd = " a 'name' with \"quotes\" and \xc3\xa9\xff; $(x) ";
  put(odd, content("tiny"));
  EXPECT_EQ(lowbit({"generate", "--model", path(odd), "--prompt", "ab", "--tokens", "7"}).out,
            lowbit(generate() + Arguments{"--tokens", "7"}).out);
  const std::string packed_name = "packed" + odd;
  output_of({"pack", "--model", path(odd), "--weights", "int8", "--output", path(packed_name)});
  EXPECT_TRUE(files().contains(packed_name));
  const Arguments as_json = {"pack", "--model",  path(odd),         "--weights",
                             "int8", "--output", path(packed_name), "--json"};
  EXPECT_GT(json::parse(output_of(as_json))["file_bytes"], 0);
  EXPECT_EQ(lowbit({"generate", "--model", path(packed_name), "--prompt", "ab", "--tokens", "7"}).out.size(), 7u);
  put_floats("x" + odd, {2, 8});
  output_of({"op", "quantize", "--input", path("x" + odd), "--packed", path("p" + odd), "--scales", path("s" + odd)});
  expect_failure({"op", "quantize", "--input", path(odd), "--packed", path("q"), "--scales", path("r")},
                 {odd.substr(2, 20)});
  // Prompts are bytes as well.
  EXPECT_EQ(lowbit({"generate", "--model", tiny(), "--prompt", "\xff\x80\n", "--tokens", "7"}).out.size(), 7u);
}

}  // namespace
}  // namespace lowbit::test
