// Errors of lowbit.hpp in tests.
#pragma once

#include <gtest/gtest.h>

#include <functional>

#include "lowbit/lowbit.hpp"

namespace lowbit::test {

// What `body` throws.
inline Error error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Error(LOWBIT_OK);
}

}  // namespace lowbit::test
