// lowbit generate: a text, byte by byte.
#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "console.h"
#include "options.h"
#include "sampler.h"

namespace cli {
namespace {

struct Options {
  ModelOptions model;
  std::string prompt;
  int64_t tokens = 400, top_k = 0;
  double temperature = 0;
  uint64_t seed = 0;
  bool json = false;
};

// CLI11 takes -1 and 2^64 for a seed, and lets nan through any range.
std::string check_seed(const std::string& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return "";
  return fmt::format("Value {} not in range 0 to {}", text, std::numeric_limits<uint64_t>::max());
}
std::string check_temperature(const std::string& text) {
  return std::isnan(std::strtod(text.c_str(), nullptr)) ? "Value " + text + " is no number" : "";
}

void run(const Options& o) {
  if (o.prompt.empty()) throw CLI::ValidationError("--prompt is empty, it must have at least one byte");
  const bdh::Model model = o.model.load();
  const bdh::Configuration configuration = o.model.configuration(model);
  const lowbit::Device device = o.model.backend.open();
  const bdh::Weights weights(device, model, configuration);
  bdh::Hatchling hatchling(weights);
  bdh::Sampler sampler(o.temperature, o.top_k, o.seed);

  const auto start = std::chrono::steady_clock::now();
  std::span<const float> logits;
  for (char byte : o.prompt) logits = hatchling.step(static_cast<uint8_t>(byte));
  for (int64_t i = 0; i < o.tokens; ++i) {
    const uint8_t byte = sampler.pick(logits);
    write_out({reinterpret_cast<const char*>(&byte), 1});
    if (i + 1 < o.tokens) logits = hatchling.step(byte);
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

  const lowbit_device_info info = device.info();
  // Bytes read count like bytes written: each is one step, and the last byte written needs none.
  const size_t steps = o.prompt.size() + static_cast<size_t>(o.tokens) - 1;
  const double rate = static_cast<double>(steps) / seconds;
  if (o.json) {
    const nlohmann::json report = {{"tokens", o.tokens},
                                   {"steps", steps},
                                   {"seconds", seconds},
                                   {"tokens_per_second", rate},
                                   {"backend", info.backend},
                                   {"device", info.name},
                                   {"configuration", describe(configuration)}};
    fmt::print(stderr, "{}\n", report.dump());
  } else {
    fmt::print(stderr, "\n{:.0f} tokens/s on {} ({}, {}): {}\n", rate, info.backend, info.name, info.isa,
               describe(configuration));
  }
}

}  // namespace

void add_generate(CLI::App& program) {
  auto o = std::make_shared<Options>();
  CLI::App* command =
      program.add_subcommand("generate", "Write a text: the new bytes to stdout as they come, figures to stderr");
  o->model.add(command);
  command->add_option("--prompt", o->prompt, "text to go on from")->required();
  command->add_option("--tokens", o->tokens, "bytes to write")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40))
      ->capture_default_str();
  command->add_option("--temperature", o->temperature, "0 is greedy, the first maximum")
      ->check(CLI::Range(0.0, 1e6))
      ->check(check_temperature)
      ->capture_default_str();
  command->add_option("--top-k", o->top_k, "draw from the k most likely bytes only; 0 is all")
      ->check(CLI::Range(0, 256))
      ->capture_default_str();
  command->add_option("--seed", o->seed, "the same seed writes the same text")
      ->check(check_seed)
      ->capture_default_str();
  command->add_flag("--json", o->json, "figures as a line of JSON");
  command->callback([o] { run(*o); });
}

}  // namespace cli
