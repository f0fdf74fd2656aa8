#include "operand.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstring>

#include "guarded_pages.h"

namespace lowbit::test {

// The bytes that a call may reach, and those around them that it must not.
class Memory {
 public:
  virtual ~Memory() = default;
  virtual void write(std::span<const std::byte> image) = 0;
  virtual std::vector<std::byte> read() const = 0;
  virtual void forbid_writing() {}
};

namespace {

constexpr auto kPattern = std::byte{0xa5};  // what an output holds at first
constexpr auto kJunk = std::byte{0xff};     // around an input's rows: NaN as a float
constexpr size_t kSentinel = 256;           // bytes on each side of an operand in a buffer

class HostMemory final : public Memory {
 public:
  HostMemory(size_t size, Place place) : pages_(size, place == Place::at_end) {}
  std::byte* first() const { return pages_.bytes().data(); }
  void write(std::span<const std::byte> image) override { std::memcpy(first(), image.data(), image.size()); }
  std::vector<std::byte> read() const override { return {pages_.bytes().begin(), pages_.bytes().end()}; }
  void forbid_writing() override { pages_.forbid_writing(); }

 private:
  GuardedPages pages_;
};

class Buffer final : public Memory {
 public:
  Buffer(const Rig& rig, size_t size) : stream_(rig.stream) {
    EXPECT_EQ(lowbit_buffer_create(rig.device, size, &buffer_), LOWBIT_OK) << lowbit_last_error();
  }
  ~Buffer() override { lowbit_buffer_destroy(buffer_); }
  void* data() const { return lowbit_buffer_data(buffer_); }

  void write(std::span<const std::byte> image) override {
    EXPECT_EQ(lowbit_copy_to_device(stream_, data(), 0, image.data(), image.size()), LOWBIT_OK);
    EXPECT_EQ(lowbit_stream_synchronize(stream_), LOWBIT_OK);
  }
  std::vector<std::byte> read() const override {
    std::vector<std::byte> bytes(lowbit_buffer_size(buffer_));
    EXPECT_EQ(lowbit_copy_to_host(stream_, bytes.data(), data(), 0, bytes.size()), LOWBIT_OK);
    EXPECT_EQ(lowbit_stream_synchronize(stream_), LOWBIT_OK);
    return bytes;
  }

 private:
  lowbit_stream* stream_;
  lowbit_buffer* buffer_ = nullptr;
};

}  // namespace

Words bits_of(std::span<const float> values) {
  Words words;
  words.reserve(values.size());
  for (float value : values) words.push_back(std::bit_cast<uint32_t>(value));
  return words;
}

Words bits_of(std::span<const uint8_t> bytes) { return {bytes.begin(), bytes.end()}; }

std::vector<float> floats_of(const Words& words) {
  std::vector<float> values;
  values.reserve(words.size());
  for (uint32_t word : words) values.push_back(std::bit_cast<float>(word));
  return values;
}

void Operand::place_at(const Rig& rig, Place place, lowbit_type type, const std::vector<int64_t>& shape,
                       Spacing spacing) {
  element_size_ = type == LOWBIT_TYPE_U8 ? 1 : 4;
  row_length_ = shape.back();
  row_stride_ = row_length_ + spacing.padding;
  count_ = 1;
  for (int64_t extent : shape) count_ *= extent;
  const size_t offset = static_cast<size_t>(spacing.offset) * element_size_;
  const size_t span = static_cast<size_t>((count_ / row_length_ - 1) * row_stride_ + row_length_) * element_size_;

  tensor_ = {.rank = static_cast<int32_t>(shape.size()), .type = type};
  std::copy(shape.begin(), shape.end(), tensor_.shape);
  tensor_.row_stride = spacing.padding == 0 ? 0 : row_stride_;
  if (place == Place::in_buffer) {
    first_ = kSentinel + offset;
    image_.resize(first_ + span + kSentinel);
    auto buffer = std::make_unique<Buffer>(rig, image_.size());
    tensor_.data = buffer->data();
    tensor_.offset = first_;
    memory_ = std::move(buffer);
  } else {
    image_.resize(span);
    auto memory = std::make_unique<HostMemory>(span, place);
    tensor_.data = memory->first() - offset;  // nobody may look at what is before the offset: it may be the guard
    tensor_.offset = offset;
    memory_ = std::move(memory);
  }
  tensor_.size = tensor_.offset + span;
}

Operand::Operand(const Rig& rig, Place place, lowbit_type type, std::vector<int64_t> shape, const Words& contents,
                 Spacing spacing) {
  place_at(rig, place, type, shape, spacing);
  if (contents.size() != static_cast<size_t>(count_)) throw std::invalid_argument("contents do not fit the shape");
  std::fill(image_.begin(), image_.end(), kJunk);
  for (int64_t i = 0; i < count_; ++i) std::memcpy(&image_[position(i)], &contents[i], element_size_);
  memory_->write(image_);
  memory_->forbid_writing();
}

Operand::Operand(const Rig& rig, Place place, lowbit_type type, std::vector<int64_t> shape, Spacing spacing) {
  place_at(rig, place, type, shape, spacing);
  std::fill(image_.begin(), image_.end(), kPattern);
  memory_->write(image_);
}

Operand::Operand(Operand&&) noexcept = default;
Operand::~Operand() = default;

size_t Operand::position(int64_t element) const {
  return first_ + static_cast<size_t>(element / row_length_ * row_stride_ + element % row_length_) * element_size_;
}

Words Operand::read() const {
  std::vector<std::byte> now = memory_->read();
  Words words(static_cast<size_t>(count_));
  for (int64_t i = 0; i < count_; ++i) {
    std::memcpy(&words[i], &now[position(i)], element_size_);
    std::memcpy(&now[position(i)], &image_[position(i)], element_size_);
  }
  EXPECT_TRUE(now == image_) << "bytes between or around the rows were written";
  return words;
}

void Operand::expect_untouched() const { EXPECT_TRUE(memory_->read() == image_) << "bytes were written"; }

}  // namespace lowbit::test
