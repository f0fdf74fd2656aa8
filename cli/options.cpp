#include "options.h"

#include <fmt/format.h>

#include <cstdlib>

namespace cli {

void BackendOption::add(CLI::App* command) {
  command
      ->add_option("--backend", name,
                   "auto, cuda, vulkan, cpu or reference; auto takes the first that works (LOWBIT_BACKEND names it)")
      ->capture_default_str();
  command->add_option("--profile", profile, "write a trace of the kernels to this file, as LOWBIT_PROFILE does");
}

lowbit::Device BackendOption::open() const {
  if (!profile.empty()) ::setenv("LOWBIT_PROFILE", profile.c_str(), 1);
  return lowbit::Device::open({.backend = name.c_str()});
}

void add_model_file(CLI::App* command, std::string& path, std::optional<int64_t>& layers) {
  command->add_option("--model", path, "safetensors file of a Dragon Hatchling: floats, or packed by `lowbit pack`")
      ->required();
  command->add_option("--layers", layers, "number of layers, where the file's metadata has no n_layer")
      ->check(CLI::Range(1, 1024));
}

void add_weight_rules(CLI::App* command, std::optional<lowbit_rule>& rule, std::optional<lowbit_group>& group) {
  add_choice(command, "--weight-rule", rule, bdh::kRules, "scale of int8 weights (default absmax)");
  add_choice(command, "--weight-group", group, bdh::kWeightGroups, "what shares a weight scale (default per_channel)");
}

void ModelOptions::add(CLI::App* command) {
  add_model_file(command, path, layers);
  add_choice(command, "--weights", weights, bdh::kWeightFormats,
             "format of the projections' weights (default: as the file)");
  add_weight_rules(command, weight_rule, weight_group);
  add_choice(command, "--activations", activations, bdh::kActivationFormats,
             "x and ln(a) as int8 and xs*ys as uint8, a scale a token; or floats (default int8, with f32 weights f32)");
  add_choice(command, "--rule", rule, bdh::kRules, "scale of the activations (default absmax)");
  add_choice(command, "--rho", rho, bdh::kWeightFormats, "how the recurrent state is compressed (default f32: not)");
  command->add_option("--rho-chunk", rho_chunk, "compress it after every so many tokens")
      ->check(CLI::Range(1, 1 << 30))
      ->capture_default_str();
  backend.add(command);
}

bdh::Configuration ModelOptions::configuration(const bdh::Model& model) const {
  bdh::Configuration c;
  c.weights = model.packing;
  if (model.packing.format == LOWBIT_F32) {
    c.weights.format = weights.value_or(LOWBIT_F32);
    c.weights.rule = weight_rule.value_or(LOWBIT_ABSMAX);
    c.weights.group = weight_group.value_or(LOWBIT_PER_CHANNEL);
  }
  // A packed file has settled these; saying them again is fine, saying something else is not.
  const auto agree = [&](const char* flag, bool same, const std::string& held) {
    if (!same) throw CLI::ValidationError(fmt::format("{}: {} is packed as {}", flag, path, held));
  };
  agree("--weights", weights.value_or(c.weights.format) == c.weights.format,
        bdh::name_of(c.weights.format, bdh::kWeightFormats));
  if (c.weights.format == LOWBIT_INT8) {
    agree("--weight-rule", weight_rule.value_or(c.weights.rule) == c.weights.rule,
          bdh::name_of(c.weights.rule, bdh::kRules));
  }
  agree("--weight-group", weight_group.value_or(c.weights.group) == c.weights.group,
        bdh::name_of(c.weights.group, bdh::kWeightGroups));

  const bool floats = c.weights.format == LOWBIT_F32;
  c.activations = activations.value_or(floats ? LOWBIT_F32 : LOWBIT_INT8);
  if (floats && c.activations != LOWBIT_F32) {
    throw CLI::ValidationError("--activations is int8, but --weights is f32: f32 weights need f32 activations");
  }
  c.rule = rule;
  c.rho = rho;
  c.rho_chunk = rho_chunk;
  return c;
}

std::string describe(const bdh::Configuration& c) {
  std::string text = bdh::name_of(c.weights.format, bdh::kWeightFormats);
  if (c.weights.format != LOWBIT_F32) text += " " + bdh::name_of(c.weights.group, bdh::kWeightGroups);
  if (c.weights.format == LOWBIT_INT8) text += " " + bdh::name_of(c.weights.rule, bdh::kRules);
  text += " weights, " + bdh::name_of(c.activations, bdh::kActivationFormats) + " activations";
  if (c.activations != LOWBIT_F32) text += " by " + bdh::name_of(c.rule, bdh::kRules);
  text += ", " + bdh::name_of(c.rho, bdh::kWeightFormats) + " rho";
  if (c.rho != LOWBIT_F32) text += fmt::format(" every {} tokens", c.rho_chunk);
  return text;
}

}  // namespace cli
