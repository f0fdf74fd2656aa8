// lowbit pack: float weights into the packed file.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "commands.h"
#include "console.h"
#include "formats/file.h"
#include "options.h"

namespace cli {
namespace {

struct Options {
  std::string path, output;
  std::optional<int64_t> layers;
  lowbit_format weights = LOWBIT_INT8;
  std::optional<lowbit_rule> rule;
  std::optional<lowbit_group> group;
  bool json = false;
};

void run(const Options& o) {
  const bdh::Model model = bdh::load_model(o.path, o.layers);
  if (model.packing.format != LOWBIT_F32)
    throw CLI::ValidationError(fmt::format("--model: {} is packed already", o.path));
  const bdh::Packing packing{o.weights, o.rule.value_or(LOWBIT_ABSMAX), o.group.value_or(LOWBIT_PER_CHANNEL)};
  const bdh::Model packed = bdh::pack_model(model, packing);
  const std::vector<std::byte> bytes = bdh::packed_file(packed);
  lowbit::formats::AtomicFiles files;
  files.add(o.output, bytes);
  files.commit();

  if (is_stdout(o.output)) return;  // the model is all it may hold
  const size_t floats =
      (model.encoder.values.size() + model.encoder_v.values.size() + model.decoder.values.size()) * sizeof(float);
  const size_t codes = packed.encoder.packed.size() + packed.encoder_v.packed.size() + packed.decoder.packed.size();
  if (o.json) {
    const nlohmann::json sizes = {
        {"output", o.output}, {"file_bytes", bytes.size()}, {"float_bytes", floats}, {"packed_bytes", codes}};
    // The name of a file may be any bytes, JSON only UTF-8.
    write_out(sizes.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  } else {
    write_out(fmt::format("{}: {} bytes; the projections take {} of the {} they took as floats\n", o.output,
                          bytes.size(), codes, floats));
  }
}

}  // namespace

void add_pack(CLI::App& program) {
  auto o = std::make_shared<Options>();
  CLI::App* command =
      program.add_subcommand("pack", "Pack a model's float weights into a file that generate and eval take as well");
  add_model_file(command, o->path, o->layers);
  add_choice(command, "--weights", o->weights, bdh::kPackedFormats, "format to pack into")->required();
  add_weight_rules(command, o->rule, o->group);
  command->add_option("--output", o->output, "file to write; it appears whole or not at all")->required();
  command->add_flag("--json", o->json, "the sizes as JSON");
  command->callback([o] { run(*o); });
}

}  // namespace cli
