// The safetensors file format: named tensors in one file.
//
//   offset      size  content
//   0           8     n, the length of the header, unsigned, little endian, at most 100,000,000
//   8           n     the header, a JSON object, padded with spaces:
//                     {"__metadata__": {"key": "text", ...},
//                      "w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...}
//   8 + n       ...   the data; tensor w is its bytes [begin, end): dense, row-major, little endian
//
// The tensors cover the data exactly: no byte belongs to two of them or to none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/file.h"

namespace lowbit::formats {

struct SafetensorsEntry {
  std::string name;
  std::string dtype;                 // "F32", "U8", ...: any of the format's whole-byte types
  std::vector<int64_t> shape;        // axes >= 0; empty is one item
  std::span<const std::byte> bytes;  // dense, as long as dtype and shape say, at any alignment
};

// A file in memory. Every fault of a file is a FileError that names the file, the tensor and the fault; what is
// constructed has unique names and entries whose bytes lie in the file. Never laxer than the public reader; stricter in
// that it refuses a name or key that comes twice, a field of a tensor other than the three above, metadata that is
// null, space before the header's '{', and types with items of less than a byte.
// It can be moved, which keeps the spans valid, and not copied, which would not.
class Safetensors {
 public:
  static Safetensors read(const std::string& path);
  static Safetensors parse(std::vector<std::byte> bytes, const std::string& label);  // label names the file in errors

  Safetensors(Safetensors&&) = default;
  Safetensors& operator=(Safetensors&&) = default;

  const std::string& label() const { return label_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::vector<SafetensorsEntry>& tensors() const { return tensors_; }  // in the header's order
  const SafetensorsEntry* find(std::string_view name) const;                 // null if there is none

  // The tensor, checked: throws FileError if it is missing, or its dtype or its number of axes is another.
  // `rank` < 0 takes any number of axes.
  const SafetensorsEntry& expect(std::string_view name, std::string_view dtype, int rank) const;

 private:
  Safetensors() = default;

  std::string label_;
  std::vector<std::byte> file_;
  std::map<std::string, std::string> metadata_;
  std::vector<SafetensorsEntry> tensors_;
  std::vector<size_t> by_name_;  // indices into tensors_
};

// The bytes of a file that holds `tensors` in this order, each right behind the last. The data starts at a multiple of
// 8; a tensor in it is aligned to its items if those before it are multiples of them, so put wide types first.
// Throws FileError for what a reader would refuse: a name twice, one that is not UTF-8, an unknown dtype, bytes that
// are more or fewer than dtype and shape say.
std::vector<std::byte> write_safetensors(const std::map<std::string, std::string>& metadata,
                                         std::span<const SafetensorsEntry> tensors);

// The values of an F32 tensor; FileError for another dtype.
std::vector<float> to_floats(const SafetensorsEntry& tensor);

}  // namespace lowbit::formats
