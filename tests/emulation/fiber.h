// Contexts of execution that take turns on a host thread.
#pragma once

#include <cstddef>
#include <memory>

namespace lowbit::emulation {

class Fiber {
 public:
  Fiber();                         // the host thread that calls
  explicit Fiber(void (*body)());  // starts when it is first switched to; body() never returns
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Goes on with `next` until somebody switches to this fibre, the one that runs.
  void switch_to(Fiber& next);

 private:
  static void start();
  void arrive();
  [[noreturn]] void jump();

  void (*body_)() = nullptr;
  bool has_started_;
  std::unique_ptr<std::byte[]> stack_;
  void* registers_[5];  // of __builtin_setjmp
  // For the sanitizers.
  void* thread_ = nullptr;
  void* fake_stack_ = nullptr;
  const void* bottom_ = nullptr;
  size_t size_ = 0;
};

}  // namespace lowbit::emulation
