// The commonest error, with its sentence formatted. Apart from status.h, so that the files of an instruction set
// include no library whose inline functions the linker could take from them.
#pragma once

#include <fmt/format.h>

#include "status.h"

namespace lowbit::core {

template <typename... Args>
Status invalid_argument(fmt::format_string<Args...> format, Args&&... args) {
  return {LOWBIT_INVALID_ARGUMENT, fmt::format(format, std::forward<Args>(args)...)};
}

}  // namespace lowbit::core
