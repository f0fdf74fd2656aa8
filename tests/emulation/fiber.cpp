#include "fiber.h"

#include <ucontext.h>

#include "sanitizers.h"

namespace lowbit::emulation {
namespace {

// Host threads switch fibres under the emulator's one mutex.
Fiber* left = nullptr;
Fiber* entered = nullptr;

constexpr unsigned kNoSynchronization = 1;

}  // namespace

Fiber::Fiber() : has_started_(true), thread_(thread_sanitizer() ? __tsan_get_current_fiber() : nullptr) {}

Fiber::Fiber(void (*body)())
    : body_(body), has_started_(false), size_(thread_sanitizer() || address_sanitizer() ? 256 << 10 : 64 << 10) {
  stack_.reset(new std::byte[size_]);
  bottom_ = stack_.get();
  if (thread_sanitizer()) thread_ = __tsan_create_fiber(0);
}

// ucontext makes a stack's first frame; from then on setjmp switches ten times faster, since it leaves the signal mask.
[[gnu::noinline]] void Fiber::switch_to(Fiber& next) {
  left = this;
  entered = &next;
  if (address_sanitizer()) __sanitizer_start_switch_fiber(&fake_stack_, next.bottom_, next.size_);
  if (thread_sanitizer()) __tsan_switch_to_fiber(next.thread_, kNoSynchronization);
  if (__builtin_setjmp(registers_) == 0) next.jump();
  entered->arrive();
}

[[gnu::noinline]] void Fiber::jump() {
  if (has_started_) __builtin_longjmp(registers_, 1);
  has_started_ = true;
  static ucontext_t first;  // not on a stack that is left for good in the middle of a frame
  getcontext(&first);
  first.uc_stack.ss_sp = stack_.get();
  first.uc_stack.ss_size = size_;
  makecontext(&first, start, 0);
  setcontext(&first);
  __builtin_unreachable();
}

void Fiber::start() {
  Fiber* const self = entered;
  self->arrive();
  self->body_();
}

void Fiber::arrive() {
  if (address_sanitizer()) __sanitizer_finish_switch_fiber(fake_stack_, &left->bottom_, &left->size_);
}

}  // namespace lowbit::emulation
