#include "weight.h"

#include <vector>

#include "call.h"
#include "guard.h"

namespace lowbit::core {
namespace {

Status check_desc(const Validator& check, const lowbit_weight_desc& d) {
  LOWBIT_TRY(check.member("operation", d.operation, {LOWBIT_LOWRANK_PROJECTION, LOWBIT_DECODER_TAIL}));
  LOWBIT_TRY(check.member("format", d.format, {LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY}));
  const std::optional<int64_t> valid_count = weight_count(d.heads, d.rows, d.columns);
  if (!valid_count) {
    return check.fail("heads x rows x columns is {} x {} x {}, each must be at least 1 and the product at most 2^48",
                      d.heads, d.rows, d.columns);
  }
  const int64_t count = *valid_count;
  if (d.packed == nullptr) return check.fail("packed is NULL");
  if (d.scales == nullptr) return check.fail("scales is NULL");
  const auto needed = static_cast<uint64_t>(packed_size(d.format, count));
  if (d.packed_size != needed) {
    return check.fail("packed_size is {}, {} weights in {} take {} bytes", d.packed_size, count, name_of(d.format),
                      needed);
  }
  const int64_t channels = channel_count(d.operation, {d.heads, d.rows, d.columns});
  if (d.scale_count != 1 && d.scale_count != static_cast<uint64_t>(channels)) {
    return check.fail("scale_count is {}, it may be 1 or {}", d.scale_count, channels);
  }
  if (d.format == LOWBIT_TERNARY) {
    const auto* bytes = static_cast<const uint8_t*>(d.packed);
    for (int64_t i = 0; i < count; ++i) {
      if (packed_code(bytes, d.format, i) == 2)
        return check.fail("packed holds the invalid ternary code 3 at weight {}", i);
    }
  }
  return {};
}

}  // namespace

std::optional<int64_t> weight_count(int64_t heads, int64_t rows, int64_t columns) {
  int64_t count = 0;
  if (heads < 1 || rows < 1 || columns < 1 || __builtin_mul_overflow(heads, rows, &count) ||
      __builtin_mul_overflow(count, columns, &count) || count > int64_t{1} << 48) {
    return {};
  }
  return count;
}

// The best kernel for codes decides; those for other activations read its layout too.
Status choose_layout(const Device& device, lowbit_operation operation, lowbit_format format, Layout* layout) {
  const KernelRow* kernel = nullptr;
  LOWBIT_TRY(choose(device, {operation, {}, format, {}}, &kernel));
  *layout = kernel->preferred_layout();
  return {};
}

Status Weight::upload(std::shared_ptr<Device> device, const lowbit_weight_desc& d, Layout layout,
                      std::unique_ptr<Weight>* weight) {
  auto made = std::make_unique<Weight>();
  made->operation_ = d.operation;
  made->format_ = d.format;
  made->layout_ = layout;
  made->shape_ = {d.heads, d.rows, d.columns};
  made->scale_count_ = static_cast<int64_t>(d.scale_count);
  std::vector<uint8_t> bytes(static_cast<size_t>(layout_size(layout, d.format, made->shape_)));
  apply_layout(layout, d.format, made->shape_, static_cast<const uint8_t*>(d.packed), bytes.data());

  const size_t scale_bytes = d.scale_count * sizeof(float);
  LOWBIT_TRY(Memory::create(device, bytes.size(), &made->packed_));
  LOWBIT_TRY(Memory::create(device, scale_bytes, &made->scales_));
  std::unique_ptr<Stream> stream;
  LOWBIT_TRY(device->create_stream(&stream));
  LOWBIT_TRY(stream->copy_to_device(made->packed_.data(), 0, bytes.data(), bytes.size()));
  LOWBIT_TRY(stream->copy_to_device(made->scales_.data(), 0, d.scales, scale_bytes));
  LOWBIT_TRY(stream->synchronize());
  made->device_ = std::move(device);
  *weight = std::move(made);
  return {};
}

Status Weight::prepare(std::shared_ptr<Device> device, const lowbit_weight_desc& desc,
                       std::unique_ptr<Weight>* weight) {
  LOWBIT_TRY(guard(device, {desc.operation, {}, desc.format, {}}));
  LOWBIT_TRY(guard(device, {LOWBIT_QUANTIZE_PACK, {}, {}, {}}));  // of float activations
  Layout layout;
  LOWBIT_TRY(choose_layout(*device, desc.operation, desc.format, &layout));
  return upload(std::move(device), desc, layout, weight);
}

}  // namespace lowbit::core

using namespace lowbit::core;

Status lowbit_weight::on(const Device& stream_device, const Weight** found) const {
  const bool is_own = &stream_device == device.get();
  if (is_own) LOWBIT_TRY(failure);
  *found = is_own ? weight.get() : fallback.get();
  return {};
}

lowbit_status lowbit_weight_prepare(lowbit_device* device, const lowbit_weight_desc* desc, lowbit_weight** weight) {
  return boundary([&]() -> Status {
    const Validator check("weight_prepare");
    if (device == nullptr) return check.fail("device is NULL");
    if (weight == nullptr) return check.fail("weight is NULL");
    lowbit_weight_desc copy{};
    LOWBIT_TRY(read_struct(check, "desc", desc, &copy));
    LOWBIT_TRY(check_desc(check, copy));
    auto handle = std::make_unique<lowbit_weight>();
    handle->device = device->device;
    handle->failure = Weight::prepare(device->device, copy, &handle->weight);
    Device* const fallback = device->device->fallback();
    if (fallback == nullptr || handle->failure.fallback_reason() == LOWBIT_FALLBACK_NONE) LOWBIT_TRY(handle->failure);
    if (fallback != nullptr) LOWBIT_TRY(Weight::prepare(fallback->shared_from_this(), copy, &handle->fallback));
    *weight = handle.release();
    return {};
  });
}

void lowbit_weight_destroy(lowbit_weight* weight) { delete weight; }

uint64_t lowbit_weight_size(const lowbit_weight* weight) {
  return weight == nullptr || weight->weight == nullptr ? 0 : weight->weight->size();
}
