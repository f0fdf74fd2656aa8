// A plan's configuration, read and checked, and its modules.
#pragma once

#include <array>

#include "validate.h"

namespace lowbit::core {

// One of the three weights that may be low-bit.
struct Module {
  lowbit_module bit;
  lowbit_operation operation;  // that it is the weight of
  lowbit_format format;
  bool is_target;  // it is to be low-bit
  bool is_packed;  // it is a target, and there in packed form
};

// x, y, residual.
std::array<Module, 3> modules(const lowbit_plan_config& config);

// Copies the caller's configuration and checks every field.
Status read_config(const Validator& check, const lowbit_plan_config* from, lowbit_plan_config* to);

}  // namespace lowbit::core
