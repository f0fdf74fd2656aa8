// The header of a safetensors file, read and checked for its form. Only safetensors.cpp needs it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/safetensors.h"

namespace lowbit::formats::detail {

inline constexpr size_t kLengthBytes = 8;
inline constexpr uint64_t kLongestHeader = 100'000'000;  // bytes
inline constexpr std::string_view kMetadata = "__metadata__";

struct Range {
  int64_t begin = 0, end = 0;  // bytes from the start of the data
};

struct Header {
  size_t data_offset = 0;  // bytes from the start of the file
  std::map<std::string, std::string> metadata;
  std::vector<SafetensorsEntry> tensors;  // without bytes; dtypes and shapes as they stand there, numbers >= 0
  std::vector<Range> ranges;              // one a tensor, as it stands there
};

// Throws FileError unless the header is whole and every tensor has the three fields in their types. Whether names are
// unique, and whether the numbers fit together and into the file, is left to the caller. Reads no byte behind the
// header, and its stack does not grow with the input.
Header read_header(std::span<const std::byte> file, const std::string& label);

}  // namespace lowbit::formats::detail
