// Operands of the tests: tensors in memory of a device, with guards around them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "lowbit/lowbit.h"

namespace lowbit::test {

struct Rig {
  lowbit_device* device = nullptr;
  lowbit_stream* stream = nullptr;
};

// The elements of a tensor as bits: an f32 or a word of codes each, or a byte.
using Words = std::vector<uint32_t>;
Words bits_of(std::span<const float> values);
Words bits_of(std::span<const uint8_t> bytes);
std::vector<float> floats_of(const Words& words);

// Where an operand lies. Host memory stands flush against an inaccessible page, behind its end or before its start, so
// that a kernel which strays outside dies there; a buffer has sentinels on both sides.
enum class Place { at_end, at_start, in_buffer };

// How its rows lie: elements between the rows, and elements from `data` to the first.
struct Spacing {
  int64_t padding = 0, offset = 0;
};

class Memory;

class Operand {
 public:
  // An input: `contents`, with junk between the rows. Host memory cannot be written.
  Operand(const Rig& rig, Place place, lowbit_type type, std::vector<int64_t> shape, const Words& contents,
          Spacing spacing = {});
  // An output, filled with a pattern.
  Operand(const Rig& rig, Place place, lowbit_type type, std::vector<int64_t> shape, Spacing spacing = {});
  Operand(Operand&&) noexcept;
  ~Operand();

  const lowbit_tensor& tensor() const { return tensor_; }
  // The elements. Expects that nothing around the rows was written.
  Words read() const;
  // Expects that nothing at all was written.
  void expect_untouched() const;

 private:
  void place_at(const Rig& rig, Place place, lowbit_type type, const std::vector<int64_t>& shape, Spacing spacing);
  size_t position(int64_t element) const;  // in image_

  lowbit_tensor tensor_{};
  int64_t count_ = 0, row_length_ = 0, row_stride_ = 0;
  size_t element_size_ = 0;
  size_t first_ = 0;              // where the first element is in image_
  std::vector<std::byte> image_;  // what the memory held before the call
  std::unique_ptr<Memory> memory_;
};

}  // namespace lowbit::test
