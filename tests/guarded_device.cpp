#include "guarded_device.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>

#include "guarded_pages.h"
#include "kernel_table.h"

namespace lowbit::test {
namespace {

using core::Status;

class GuardedStream final : public core::Stream {
 public:
  using Stream::Stream;
  Status copy_to_device(void* data, uint64_t offset, const void* host, size_t size) override {
    std::memcpy(static_cast<std::byte*>(data) + offset, host, size);
    return {};
  }
  Status copy_to_host(void* host, const void* data, uint64_t offset, size_t size) override {
    std::memcpy(host, static_cast<const std::byte*>(data) + offset, size);
    return {};
  }
  Status flush() override { return {}; }
  Status synchronize() override { return fault(); }
};

class GuardedDevice final : public core::Device {
 public:
  using Device::Device;
  // As near to the end as the promised alignment lets it.
  Status allocate(size_t size, void** memory) override {
    constexpr size_t kAlignment = 64;
    auto pages = std::make_unique<GuardedPages>((size + kAlignment - 1) / kAlignment * kAlignment, true);
    *memory = pages->bytes().data();
    std::memset(*memory, 0xcd, pages->bytes().size());
    const std::lock_guard lock(mutex_);
    memory_[*memory] = std::move(pages);
    return {};
  }
  // Whatever the work is worth.
  int parts(int64_t tasks, double) const override { return static_cast<int>(std::min<int64_t>(tasks, 2)); }
  int64_t most_cached() const override { return 0; }
  void release(void* memory) noexcept override {
    const std::lock_guard lock(mutex_);
    memory_.erase(memory);
  }
  Status create_stream(std::unique_ptr<core::Stream>* stream) override {
    *stream = std::make_unique<GuardedStream>(shared_from_this());
    return {};
  }

 private:
  std::mutex mutex_;
  std::map<void*, std::unique_ptr<GuardedPages>> memory_;
};

}  // namespace

std::shared_ptr<core::Device> make_guarded_device(const core::Device& like, const lowbit_device_options& options) {
  return std::make_shared<GuardedDevice>(like.backend(), like.info(), core::kernel_table(), options);
}

}  // namespace lowbit::test
