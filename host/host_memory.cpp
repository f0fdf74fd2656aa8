#include "host_memory.h"

#include <cstring>
#include <vector>

namespace lowbit::core {
namespace {

size_t row_bytes(const Tensor& t) { return static_cast<size_t>(row_length(t) * element_size(t.type)); }
size_t packed_bytes(const Tensor& t) { return static_cast<size_t>(row_count(t)) * row_bytes(t); }

// A tensor of host memory, and its rows one behind the other in device memory.
class Moved {
 public:
  Moved(const Operand& operand, size_t offset)
      : tensor_(*operand.tensor), host_(*operand.tensor), offset_(offset), is_output_(operand.written) {
    if (host_.row_stride != row_length(host_)) rows_.resize(packed_bytes(host_));
  }
  // From here on the operation's tensor is the device's; put_back() is called once.
  void move_to(void* device_memory) {
    tensor_.data = device_memory;
    tensor_.offset = offset_;
    tensor_.size = 0;
    tensor_.row_stride = row_length(tensor_);
  }
  void put_back() { tensor_ = host_; }

  Status upload(Stream& stream) {
    if (is_output_) return {};
    for_each_row([&](std::byte* row, std::byte* packed) { std::memcpy(packed, row, row_bytes(host_)); });
    return stream.copy_to_device(tensor_.data, offset_, contiguous(), packed_bytes(host_));
  }
  Status download(Stream& stream) {
    if (!is_output_) return {};
    return stream.copy_to_host(contiguous(), tensor_.data, offset_, packed_bytes(host_));
  }
  // What was downloaded goes to rows that do not touch.
  void spread() {
    if (!is_output_) return;
    for_each_row([&](std::byte* row, std::byte* packed) { std::memcpy(row, packed, row_bytes(host_)); });
  }

 private:
  // Host memory where the rows touch.
  std::byte* contiguous() { return rows_.empty() ? row<std::byte>(host_, 0) : rows_.data(); }
  template <typename Copy>
  void for_each_row(const Copy& copy) {
    if (rows_.empty()) return;
    const auto stride = static_cast<size_t>(host_.row_stride * element_size(host_.type));
    std::byte* const first = row<std::byte>(host_, 0);
    for (size_t i = 0; i < static_cast<size_t>(row_count(host_)); ++i) {
      copy(first + i * stride, rows_.data() + i * row_bytes(host_));
    }
  }

  Tensor& tensor_;
  const Tensor host_;
  const size_t offset_;
  const bool is_output_;
  std::vector<std::byte> rows_;  // empty where the host's rows touch
};

}  // namespace

Status HostMemory::create(const Stream& stream, std::unique_ptr<HostMemory>* made) {
  auto memory = std::make_unique<HostMemory>();
  if (Device* fallback = stream.device().fallback()) LOWBIT_TRY(fallback->create_stream(&memory->fallback_));
  *made = std::move(memory);
  return {};
}

Status HostMemory::call(Stream& stream, std::span<const Operand> operands,
                        const std::function<Status(Stream&)>& enqueue) {
  if (stream.is_capturing())
    return {LOWBIT_NOT_READY, "a call over host memory waits, and the stream is being captured"};
  const Status status = run_on_device(stream, operands, enqueue);
  if (fallback_ == nullptr || status.fallback_reason() == LOWBIT_FALLBACK_NONE) return status;
  LOWBIT_TRY(fallback_->begin());
  fallback_->rho_statistics = stream.rho_statistics;
  LOWBIT_TRY(enqueue(*fallback_));
  stream.last_kernel = fallback_->last_kernel;
  stream.fallback = {status.fallback_reason(), status.sentence()};
  return {};
}

Status HostMemory::run_on_device(Stream& stream, std::span<const Operand> operands,
                                 const std::function<Status(Stream&)>& enqueue) {
  LOWBIT_TRY(stream.begin());
  std::vector<Moved> moved;
  moved.reserve(operands.size());
  size_t size = 0;
  for (const Operand& operand : operands) {
    if (operand.tensor->data == nullptr) continue;
    moved.emplace_back(operand, size);
    size += scratch_piece(packed_bytes(*operand.tensor));
  }
  if (operands_.size() < size) {
    operands_ = {};
    LOWBIT_TRY(Memory::create(stream.device().shared_from_this(), size, &operands_));
  }
  for (Moved& m : moved) m.move_to(operands_.data());
  const auto run = [&]() -> Status {
    for (Moved& m : moved) LOWBIT_TRY(m.upload(stream));
    LOWBIT_TRY(enqueue(stream));
    LOWBIT_TRY(stream.synchronize());  // refused data shows before anything is written
    for (Moved& m : moved) LOWBIT_TRY(m.download(stream));
    return stream.synchronize();
  };
  const Status status = run();
  for (Moved& m : moved) m.put_back();
  if (!status.ok()) {
    // Copies that were enqueued may still read what is about to go. What else fails is told by the next call.
    (void)stream.synchronize();
    return status;
  }
  for (Moved& m : moved) m.spread();
  return {};
}

}  // namespace lowbit::core
