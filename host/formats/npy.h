// NumPy's .npy file format: one array in one file.
//
//   offset    size    content
//   0         6       0x93 'N' 'U' 'M' 'P' 'Y'
//   6         2       the version: 1 0, 2 0 or 3 0
//   8         2 or 4  n, the length of the header, unsigned, little endian (4 bytes from version 2.0)
//   10 or 12  n       a Python dict: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }, padded with spaces
//   ...       ...     the items
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/file.h"

namespace lowbit::formats {

struct Npy {
  std::string dtype;             // "<f4", "<i4", "|u1": kind and bytes of an item, '<' for little endian
  std::vector<int64_t> shape;    // axes >= 0; empty is one item
  std::vector<std::byte> bytes;  // dense, row-major, as long as dtype and shape say

  int64_t count() const;  // items
};

// The array, checked: a FileError names the file and the fault if it is not a whole .npy file, holds more bytes than
// its array, is in Fortran order (which an array with at most one axis > 1 is not), or has another dtype than
// `expected_dtype`. An empty `expected_dtype` takes every plain integer, float or bool in little endian.
Npy read_npy(const std::string& path, std::string_view expected_dtype);
Npy parse_npy(std::vector<std::byte> file, std::string_view expected_dtype, const std::string& label);

// The file of a row-major array, byte for byte as NumPy writes it (version 1.0; the items start at a multiple of 64).
// Throws FileError if the dtype is unknown or `data` is not as long as dtype and shape say.
std::vector<std::byte> npy_bytes(std::string_view dtype, std::span<const int64_t> shape,
                                 std::span<const std::byte> data);

}  // namespace lowbit::formats
