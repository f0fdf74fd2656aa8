// lowbit info: what there is, and which kernel would serve what.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "commands.h"
#include "console.h"
#include "options.h"

namespace cli {
namespace {

// Every call that differs in its kernels.
struct Call {
  lowbit_operation operation;
  const char* name;
  lowbit_format activations, weights;
  const char* formats;
};
constexpr Call kCalls[] = {
    {LOWBIT_QUANTIZE_PACK, "quantize_pack", LOWBIT_INT8, LOWBIT_INT8, "f32 to int8, int4, uint8"},
    {LOWBIT_PACK_WEIGHT, "pack_weight", LOWBIT_INT8, LOWBIT_INT8, "f32 to int8, ternary, binary"},
    {LOWBIT_LOWRANK_PROJECTION, "lowrank_projection", LOWBIT_INT8, LOWBIT_INT8, "codes x int8"},
    {LOWBIT_LOWRANK_PROJECTION, "lowrank_projection", LOWBIT_INT8, LOWBIT_TERNARY, "codes x ternary"},
    {LOWBIT_LOWRANK_PROJECTION, "lowrank_projection", LOWBIT_INT8, LOWBIT_BINARY, "codes x binary"},
    {LOWBIT_LOWRANK_PROJECTION, "lowrank_projection", LOWBIT_F32, LOWBIT_INT8, "f32 x any"},
    {LOWBIT_DECODER_TAIL, "decoder_tail", LOWBIT_UINT8, LOWBIT_INT8, "codes x int8"},
    {LOWBIT_DECODER_TAIL, "decoder_tail", LOWBIT_UINT8, LOWBIT_TERNARY, "codes x ternary"},
    {LOWBIT_DECODER_TAIL, "decoder_tail", LOWBIT_UINT8, LOWBIT_BINARY, "codes x binary"},
    {LOWBIT_DECODER_TAIL, "decoder_tail", LOWBIT_F32, LOWBIT_INT8, "f32 x any"},
    {LOWBIT_RHO_COMPRESS, "rho_compress", LOWBIT_INT8, LOWBIT_INT8, "f32 to int8, ternary, binary"},
    {LOWBIT_RHO_EXPAND, "rho_expand", LOWBIT_INT8, LOWBIT_INT8, "int8, ternary, binary to f32"},
};

nlohmann::json kernels_of(const lowbit::Device& device, const Call& call) {
  nlohmann::json json = {{"operation", call.name}, {"formats", call.formats}, {"passed_over", nlohmann::json::array()}};
  for (const lowbit_candidate& candidate :
       device.explain({.operation = call.operation, .activations = call.activations, .weights = call.weights})) {
    if (candidate.selected != 0) json["kernel"] = candidate.kernel;
    if (candidate.reason[0] != '\0')
      json["passed_over"].push_back({{"kernel", candidate.kernel}, {"reason", candidate.reason}});
  }
  return json;
}

nlohmann::json device_json(const lowbit::Device& device) {
  const lowbit_device_info info = device.info();
  nlohmann::json features = nlohmann::json::array();
  for (uint64_t bit = 1; bit != 0; bit <<= 1) {
    if ((info.features & bit) != 0) features.push_back(lowbit_feature_name(bit));
  }
  nlohmann::json json = {
      {"backend", info.backend}, {"name", info.name},          {"isa", info.isa},
      {"features", features},    {"memory", info.memory_size}, {"operations", nlohmann::json::array()}};
  for (const Call& call : kCalls) json["operations"].push_back(kernels_of(device, call));
  return json;
}

nlohmann::json everything(const std::string& backend) {
  nlohmann::json json = {
      {"version", lowbit_version()}, {"backends", nlohmann::json::array()}, {"devices", nlohmann::json::array()}};
  // What a command without --backend would take; also tells whether the one that was asked for exists.
  json["selected"] = lowbit::Device::open({.backend = backend.c_str()}).info().backend;
  lowbit_backend_info info{.struct_size = sizeof(info)};
  for (uint32_t i = 0; lowbit_backend_get_info(i, &info) == LOWBIT_OK; ++i) {
    json["backends"].push_back({{"name", info.name}, {"available", info.available != 0}, {"reason", info.reason}});
    if (info.available == 0 || (backend != "auto" && backend != info.name)) continue;
    const lowbit::Device device = lowbit::Device::open({.backend = info.name});
    device.warm_up();
    json["devices"].push_back(device_json(device));
  }
  return json;
}

std::string to_text(const nlohmann::json& json) {
  std::string text = fmt::format("lowbit {}\n", json["version"].get<std::string>());
  for (const auto& backend : json["backends"]) {
    const std::string name = backend["name"], reason = backend["reason"];
    text += fmt::format("  {:10} {}{}\n", name, reason.empty() ? "available" : reason,
                        name == json["selected"] ? ", selected" : "");
  }
  for (const auto& device : json["devices"]) {
    text += fmt::format("\n{}: {}, {}, {:.1f} GiB\n", device["backend"].get<std::string>(),
                        device["name"].get<std::string>(), device["isa"].get<std::string>(),
                        device["memory"].get<double>() / (1 << 30));
    for (const auto& operation : device["operations"]) {
      text += fmt::format("  {:19} {:29} {}\n", operation["operation"].get<std::string>(),
                          operation["formats"].get<std::string>(), operation.value("kernel", "none"));
      for (const auto& passed : operation["passed_over"]) {
        text += fmt::format("  {:50}not {}: {}\n", "", passed["kernel"].get<std::string>(),
                            passed["reason"].get<std::string>());
      }
    }
  }
  return text;
}

}  // namespace

void add_info(CLI::App& program) {
  struct Options {
    BackendOption backend;
    bool json = false;
  };
  auto o = std::make_shared<Options>();
  CLI::App* command = program.add_subcommand(
      "info", "Show backends and devices, the kernel each operation would use, and why not a better one");
  o->backend.add(command);
  command->add_flag("--json", o->json, "the same as JSON");
  command->callback([o] {
    const nlohmann::json json = everything(o->backend.name);
    write_out(o->json ? json.dump(2) + "\n" : to_text(json));
  });
}

}  // namespace cli
