// lowbit profile: where the time of a model goes, kernel by kernel.
#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "console.h"
#include "options.h"
#include "sampler.h"

namespace cli {
namespace {

struct Options {
  ModelOptions model;
  std::string prompt = "\n";
  int64_t tokens = 200;
  bool json = false;
};

struct Result {
  std::vector<lowbit_profile_entry> kernels;
  std::vector<double> floors;  // the least time for each kernel's launches; 0: not known
  lowbit_memory_info memory;
  double nanoseconds;  // of all steps, by the clock on the wall
  double in_kernels;
};

// Steps of the model, greedy, after one that fills caches and scratch.
Result measure(const lowbit::Device& device, const bdh::Weights& weights, const Options& o) {
  bdh::Hatchling hatchling(weights);
  bdh::Sampler greedy(0, 0, 0);
  std::span<const float> logits;
  for (char byte : o.prompt) logits = hatchling.step(static_cast<uint8_t>(byte));
  device.start_profile();
  device.reset_profile();
  const auto start = std::chrono::steady_clock::now();
  for (int64_t i = 0; i < o.tokens; ++i) logits = hatchling.step(greedy.pick(logits));
  const std::chrono::duration<double, std::nano> wall = std::chrono::steady_clock::now() - start;
  Result result{device.profile(), {}, device.memory(), wall.count(), 0};
  for (const lowbit_profile_entry& k : result.kernels) {
    const auto launches = static_cast<double>(k.count);
    result.floors.push_back(launches * device.floor(k.bytes / launches, k.operations / launches));
    result.in_kernels += k.total;
  }
  return result;
}

nlohmann::json to_json(const Result& r, int64_t tokens) {
  nlohmann::json kernels = nlohmann::json::array();
  for (size_t i = 0; i < r.kernels.size(); ++i) {
    const lowbit_profile_entry& k = r.kernels[i];
    kernels.push_back({{"kernel", k.kernel},
                       {"count", k.count},
                       {"total_ns", k.total},
                       {"minimum_ns", k.minimum},
                       {"median_ns", k.median},
                       {"p99_ns", k.p99},
                       {"bytes", k.bytes},
                       {"operations", k.operations},
                       {"floor_ns", r.floors[i]}});
  }
  return {{"tokens", tokens},
          {"wall_ns", r.nanoseconds},
          {"kernels_ns", r.in_kernels},
          {"memory_in_use", r.memory.in_use},
          {"memory_peak", r.memory.peak},
          {"memory_reserved", r.memory.reserved},
          {"kernels", kernels}};
}

std::string to_text(const Result& r, int64_t tokens) {
  std::string text = fmt::format("{:45} {:>7} {:>9} {:>6} {:>9} {:>9} {:>9} {:>7} {:>7} {:>7}\n", "kernel", "count",
                                 "total ms", "share", "min us", "median us", "p99 us", "GB/s", "Gop/s", "of roof");
  for (size_t i = 0; i < r.kernels.size(); ++i) {
    const lowbit_profile_entry& k = r.kernels[i];
    text += fmt::format("{:45} {:>7} {:>9.2f} {:>4.0f} % {:>9.2f} {:>9.2f} {:>9.2f} {:>7.2f} {:>7.2f} {:>7}\n",
                        k.kernel, k.count, k.total / 1e6, 100 * k.total / r.nanoseconds, k.minimum / 1e3,
                        k.median / 1e3, k.p99 / 1e3, k.bytes / k.total, k.operations / k.total,
                        r.floors[i] == 0 ? "-" : fmt::format("{:.0f} %", 100 * r.floors[i] / k.total));
  }
  text += fmt::format("{:45} {:>7} {:>9.2f} {:>4.0f} %\n", "all kernels", "", r.in_kernels / 1e6,
                      100 * r.in_kernels / r.nanoseconds);
  text += fmt::format("{:45} {:>7} {:>9.2f}        {:.1f} us a token\n", "on the clock", "", r.nanoseconds / 1e6,
                      r.nanoseconds / 1e3 / static_cast<double>(tokens));
  const auto megabytes = [](uint64_t bytes) { return static_cast<double>(bytes) / 1e6; };
  text += fmt::format("device memory: {:.1f} MB in use, {:.1f} MB at most, {:.1f} MB reserved\n",
                      megabytes(r.memory.in_use), megabytes(r.memory.peak), megabytes(r.memory.reserved));
  return text;
}

void run(const Options& o) {
  if (o.prompt.empty()) throw CLI::ValidationError("--prompt is empty, it must have at least one byte");
  const bdh::Model model = o.model.load();
  const bdh::Configuration configuration = o.model.configuration(model);
  const lowbit::Device device = o.model.backend.open();
  const bdh::Weights weights(device, model, configuration);
  const Result result = measure(device, weights, o);
  const lowbit_device_info info = device.info();
  write_out(o.json ? to_json(result, o.tokens).dump() + "\n"
                   : fmt::format("{} ({}, {}): {}\n", info.backend, info.name, info.isa, describe(configuration)) +
                         to_text(result, o.tokens));
}

}  // namespace

void add_profile(CLI::App& program) {
  auto o = std::make_shared<Options>();
  CLI::App* command =
      program.add_subcommand("profile", "Measure where a model's time goes, kernel by kernel, while it writes a text");
  o->model.add(command);
  command->add_option("--prompt", o->prompt, "text to go on from, which is not measured (default a line break)");
  command->add_option("--tokens", o->tokens, "bytes to measure")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40))
      ->capture_default_str();
  command->add_flag("--json", o->json, "the result as JSON, times in nanoseconds");
  command->callback([o] { run(*o); });
}

}  // namespace cli
