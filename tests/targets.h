// The devices that whole programs are tried on.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "lowbit/lowbit.hpp"

namespace lowbit::test {

struct Target {
  const char* name;  // in the names of tests
  const char* backend;
  uint64_t disabled_features;
};
inline void PrintTo(const Target& target, std::ostream* out) { *out << target.name; }

// Every backend of this build; the cpu also with all its features masked.
inline std::vector<Target> targets() {
  constexpr Target kAll[] = {{"reference", "reference", 0},         {"cpu", "cpu", 0},
                             {"cpu_masked", "cpu", ~uint64_t{0}},   {"cuda", "cuda", 0},
                             {"cuda_masked", "cuda", ~uint64_t{0}}, {"vulkan", "vulkan", 0}};
  std::vector<Target> built;
  lowbit_backend_info info{.struct_size = sizeof(info)};
  for (const Target& target : kAll) {
    for (uint32_t i = 0; lowbit_backend_get_info(i, &info) == LOWBIT_OK; ++i) {
      if (std::strcmp(info.name, target.backend) == 0 && std::strncmp(info.reason, "not_built", 9) != 0) {
        built.push_back(target);
      }
    }
  }
  return built;
}

// Those with all that they have.
inline std::vector<Target> unmasked_targets() {
  std::vector<Target> unmasked = targets();
  std::erase_if(unmasked, [](const Target& target) { return target.disabled_features != 0; });
  return unmasked;
}

// For INSTANTIATE_TEST_SUITE_P.
inline std::string name_of_target(const testing::TestParamInfo<Target>& of) { return of.param.name; }

// Nothing, and the reason, where a GPU is absent; a host backend always opens.
inline std::optional<Device> open(const Target& target, std::string* absent,
                                  lowbit_guard guard = LOWBIT_GUARD_FIRST_USE) {
  try {
    return Device::open({.backend = target.backend, .disabled_features = target.disabled_features, .guard = guard});
  } catch (const Error& error) {
    const bool is_host = std::strcmp(target.backend, "cpu") == 0 || std::strcmp(target.backend, "reference") == 0;
    if (is_host || error.status() != LOWBIT_UNAVAILABLE) throw;
    *absent = error.what();
    return std::nullopt;
  }
}

}  // namespace lowbit::test
