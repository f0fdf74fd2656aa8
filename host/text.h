// Strings in the fixed fields of lowbit.h's structs.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace lowbit::core {

// Copies what fits, and ends with a zero.
template <size_t N>
void copy_text(char (&to)[N], std::string_view text) {
  const size_t length = std::min(text.size(), N - 1);
  std::copy_n(text.data(), length, to);
  to[length] = '\0';
}

}  // namespace lowbit::core
