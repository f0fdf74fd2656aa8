// Memory between two pages that fault.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <new>
#include <span>

namespace lowbit::test {

// Bytes flush against the page behind them, or against the page before them.
class GuardedPages {
 public:
  GuardedPages(size_t size, bool at_end) : page_(static_cast<size_t>(sysconf(_SC_PAGESIZE))), size_(size) {
    mapped_ = (size + page_ - 1) / page_ * page_;
    void* mapped = mmap(nullptr, mapped_ + 2 * page_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) throw std::bad_alloc();
    base_ = static_cast<std::byte*>(mapped);
    first_ = base_ + page_ + (at_end ? mapped_ - size : 0);
    mprotect(base_ + page_, mapped_, PROT_READ | PROT_WRITE);
  }
  ~GuardedPages() { munmap(base_, mapped_ + 2 * page_); }
  GuardedPages(const GuardedPages&) = delete;
  GuardedPages& operator=(const GuardedPages&) = delete;

  std::span<std::byte> bytes() const { return {first_, size_}; }
  void forbid_writing() { mprotect(base_ + page_, mapped_, PROT_READ); }

 private:
  size_t page_, size_, mapped_ = 0;
  std::byte *base_ = nullptr, *first_ = nullptr;
};

}  // namespace lowbit::test
