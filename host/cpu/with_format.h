// From a weight's or an encoding's format to a template's argument.
#pragma once

#include "codes.h"
#include "status.h"

namespace lowbit::core::LOWBIT_ISA {

// Calls `body.operator()<W>()`.
template <typename Body>
Status with_format(lowbit_format format, Body body) {
  switch (format) {
    case LOWBIT_TERNARY:
      return body.template operator()<LOWBIT_TERNARY>();
    case LOWBIT_BINARY:
      return body.template operator()<LOWBIT_BINARY>();
    default:
      return body.template operator()<LOWBIT_INT8>();
  }
}

}  // namespace lowbit::core::LOWBIT_ISA
