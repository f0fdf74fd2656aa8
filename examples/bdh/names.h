// Names of formats, rules and groups as options and metadata write them.
#pragma once

#include <string>
#include <utility>

#include "lowbit/lowbit.h"

namespace bdh {

template <typename Enum>
using Name = std::pair<const char*, Enum>;

constexpr Name<lowbit_format> kPackedFormats[] = {
    {"int8", LOWBIT_INT8}, {"ternary", LOWBIT_TERNARY}, {"binary", LOWBIT_BINARY}};
constexpr Name<lowbit_format> kWeightFormats[] = {
    {"f32", LOWBIT_F32}, {"int8", LOWBIT_INT8}, {"ternary", LOWBIT_TERNARY}, {"binary", LOWBIT_BINARY}};
constexpr Name<lowbit_format> kActivationFormats[] = {{"f32", LOWBIT_F32}, {"int8", LOWBIT_INT8}};
constexpr Name<lowbit_rule> kRules[] = {{"absmax", LOWBIT_ABSMAX}, {"absmean", LOWBIT_ABSMEAN}};
constexpr Name<lowbit_group> kWeightGroups[] = {{"per_channel", LOWBIT_PER_CHANNEL}, {"per_tensor", LOWBIT_PER_TENSOR}};

template <typename Enum, size_t N>
std::string name_of(Enum value, const Name<Enum> (&names)[N]) {
  for (const auto& [name, named] : names) {
    if (named == value) return name;
  }
  return "?";
}

// "int8, ternary, binary"
template <typename Enum, size_t N>
std::string list_of(const Name<Enum> (&names)[N]) {
  std::string list;
  for (const auto& [name, value] : names) list += (list.empty() ? "" : ", ") + std::string(name);
  return list;
}

}  // namespace bdh
