// A packed weight in device memory, in the layout that the device's kernel reads.
#pragma once

#include <optional>

#include "device.h"
#include "kernel_table.h"
#include "layout.h"

namespace lowbit::core {

// H * K * N, where each is at least 1 and the product at most 2^48, the most that a weight may have.
std::optional<int64_t> weight_count(int64_t heads, int64_t rows, int64_t columns);

// Channels, each with a scale where the scales are per channel: the outputs. The tail's are summed over the heads.
constexpr int64_t channel_count(lowbit_operation operation, const WeightShape& s) {
  return operation == LOWBIT_DECODER_TAIL ? s.N : s.H * s.N;
}

// The layout that a weight of the operation is prepared in on this device.
Status choose_layout(const Device& device, lowbit_operation operation, lowbit_format format, Layout* layout);

class Weight {
 public:
  // `desc` as validated.
  static Status prepare(std::shared_ptr<Device> device, const lowbit_weight_desc& desc,
                        std::unique_ptr<Weight>* weight);

  // Without checks and guard, in the layout that is named; what prepare() ends in, and what the guard tests with.
  static Status upload(std::shared_ptr<Device> device, const lowbit_weight_desc& desc, Layout layout,
                       std::unique_ptr<Weight>* weight);

  lowbit_operation operation() const { return operation_; }
  lowbit_format format() const { return format_; }
  Layout layout() const { return layout_; }
  const WeightShape& shape() const { return shape_; }
  const Device& device() const { return *device_; }

  const void* packed() const { return packed_.data(); }
  size_t packed_size() const { return packed_.size(); }
  const float* scales() const { return static_cast<const float*>(scales_.data()); }  // [1] or one a channel
  bool per_channel() const { return scale_count_ > 1; }
  size_t size() const { return packed_.size() + scales_.size(); }

  // Host backends only.
  int code(int64_t h, int64_t k, int64_t n) const {
    return layout_code(layout_, format_, static_cast<const uint8_t*>(packed()),
                       layout_index(layout_, format_, shape_, h, k, n));
  }
  float scale(int64_t h, int64_t n) const { return scales()[per_channel() ? h * shape_.N + n : 0]; }

 private:
  std::shared_ptr<Device> device_;
  lowbit_operation operation_;
  lowbit_format format_;
  Layout layout_;
  WeightShape shape_;
  int64_t scale_count_;
  Memory packed_, scales_;
};

}  // namespace lowbit::core

struct lowbit_weight {
  std::shared_ptr<lowbit::core::Device> device;  // that it was prepared for
  std::unique_ptr<lowbit::core::Weight> weight;  // on it; NULL for the reason `failure`
  lowbit::core::Status failure;
  std::unique_ptr<lowbit::core::Weight> fallback;  // on what the device falls back to; NULL where that is nothing

  const lowbit::core::Weight& any() const { return weight ? *weight : *fallback; }
  // Which of the two a stream of `on` reads.
  lowbit::core::Status on(const lowbit::core::Device& stream_device, const lowbit::core::Weight** found) const;
};
