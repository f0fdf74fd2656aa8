// Options that several subcommands share.
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <optional>
#include <string>

#include "hatchling.h"
#include "names.h"

namespace cli {

// An option whose value is one of the names.
template <typename Value, typename Enum, size_t N>
CLI::Option* add_choice(CLI::App* command, const std::string& flag, Value& value, const bdh::Name<Enum> (&names)[N],
                        const std::string& help) {
  const std::map<std::string, Enum> choices(std::begin(names), std::end(names));
  return command
      ->add_option_function<std::string>(
          flag,
          [&value, choices, flag, list = bdh::list_of(names)](const std::string& text) {
            const auto choice = choices.find(text);
            if (choice == choices.end()) throw CLI::ValidationError(flag + " is '" + text + "', it may be " + list);
            value = choice->second;
          },
          help + ": " + bdh::list_of(names))
      ->type_name("NAME");
}

struct BackendOption {
  std::string name = "auto";
  std::string profile;  // the trace's file; empty: none
  void add(CLI::App* command);
  lowbit::Device open() const;
};

// Which model, and how it computes.
struct ModelOptions {
  std::string path;
  std::optional<int64_t> layers;
  std::optional<lowbit_format> weights, activations;
  std::optional<lowbit_rule> weight_rule;
  std::optional<lowbit_group> weight_group;
  lowbit_rule rule = LOWBIT_ABSMAX;
  lowbit_format rho = LOWBIT_F32;
  int64_t rho_chunk = 16;
  BackendOption backend;

  void add(CLI::App* command);
  bdh::Model load() const { return bdh::load_model(path, layers); }
  // Settles what was left open by what the file holds; throws CLI::ValidationError where the two disagree.
  bdh::Configuration configuration(const bdh::Model& model) const;
};

// --model, --layers, and the options of packing: also `pack` has them.
void add_model_file(CLI::App* command, std::string& path, std::optional<int64_t>& layers);
void add_weight_rules(CLI::App* command, std::optional<lowbit_rule>& rule, std::optional<lowbit_group>& group);

// "int8 per_channel absmax weights, int8 activations by absmax, f32 rho"
std::string describe(const bdh::Configuration& configuration);

}  // namespace cli
