// lowbit eval: how well a configuration predicts a text.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "commands.h"
#include "console.h"
#include "evaluation.h"
#include "formats/file.h"
#include "options.h"

namespace cli {
namespace {

struct Options {
  ModelOptions model;
  std::string text;
  int64_t window = 256;
  std::optional<int64_t> bytes;
  std::optional<lowbit_format> against;
  bool json = false;
};

nlohmann::json to_json(const bdh::Evaluation& e) {
  nlohmann::json json = {
      {"nats_per_byte", e.nats_per_byte}, {"perplexity", e.perplexity}, {"predictions", e.predictions}};
  if (!e.against) return json;
  const bdh::Divergence& d = *e.against;
  json["kl"] = {{"mean", d.mean}, {"median", d.median}, {"p90", d.p90},    {"p95", d.p95},
                {"p99", d.p99},   {"p99.9", d.p999},    {"max", d.largest}};
  json["top1_agreement"] = d.equal_top1;
  json["p_difference"] = {{"mean", d.mean_difference}, {"rms", d.rms_difference}};
  return json;
}

std::string to_text(const bdh::Evaluation& e) {
  std::string text = fmt::format("{:.6f} nats per byte, perplexity {:.4f}, {} predictions\n", e.nats_per_byte,
                                 e.perplexity, e.predictions);
  if (!e.against) return text;
  const bdh::Divergence& d = *e.against;
  text += "against f32, nats per byte of KL divergence:\n";
  text += fmt::format(
      "  mean {:.6f}  median {:.6f}  90 % {:.6f}  95 % {:.6f}  99 % {:.6f}  99.9 % {:.6f}  largest {:.6f}\n", d.mean,
      d.median, d.p90, d.p95, d.p99, d.p999, d.largest);
  text += fmt::format("  equal top-1 {:.2f} %  |p - q| of the next byte: mean {:.6f}  rms {:.6f}\n", 100 * d.equal_top1,
                      d.mean_difference, d.rms_difference);
  return text;
}

void run(const Options& o) {
  const std::vector<std::byte> file = lowbit::formats::read_file(o.text);
  const size_t size = o.bytes ? std::min(file.size(), static_cast<size_t>(*o.bytes)) : file.size();
  const std::span text(reinterpret_cast<const uint8_t*>(file.data()), size);
  if (static_cast<int64_t>(size) < o.window) {
    throw CLI::ValidationError(fmt::format(
        "{} bytes of {} hold no whole window of {}: give more, or a smaller --window", size, o.text, o.window));
  }
  const bdh::Model model = o.model.load();
  const bdh::Configuration configuration = o.model.configuration(model);
  const lowbit::Device device = o.model.backend.open();
  const bdh::Weights weights(device, model, configuration);
  std::optional<bdh::Weights> yardstick;
  if (o.against) {
    if (model.packing.format != LOWBIT_F32) {
      throw CLI::ValidationError(
          fmt::format("--against f32: {} is packed and holds no f32 weights to compare with", o.model.path));
    }
    yardstick.emplace(device, model, bdh::Configuration{});
  }
  bdh::Evaluation result;
  {
    Progress progress("evaluating", static_cast<int64_t>(size));
    result = bdh::evaluate(weights, yardstick ? &*yardstick : nullptr, text, o.window,
                           [&](int64_t done) { progress.update(done); });
  }
  write_out(o.json ? to_json(result).dump() + "\n" : describe(configuration) + "\n" + to_text(result));
}

}  // namespace

void add_eval(CLI::App& program) {
  static constexpr bdh::Name<lowbit_format> kYardsticks[] = {{"f32", LOWBIT_F32}};
  auto o = std::make_shared<Options>();
  CLI::App* command =
      program.add_subcommand("eval", "Measure nats per byte on a text, and how far a configuration strays from f32");
  o->model.add(command);
  command->add_option("--text", o->text, "the text, as bytes")->required();
  command->add_option("--window", o->window, "bytes that share a state; the first of a window is not predicted")
      ->check(CLI::Range(int64_t{2}, int64_t{1} << 40))
      ->capture_default_str();
  command->add_option("--bytes", o->bytes, "take the first so many bytes of the text (default all)")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
  add_choice(command, "--against", o->against, kYardsticks, "run this model beside and add the divergence from it");
  command->add_flag("--json", o->json, "the result as JSON");
  command->callback([o] { run(*o); });
}

}  // namespace cli
