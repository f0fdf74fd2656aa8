// What the sanitizers want to be told; each function is null where its sanitizer is not linked. The emulator itself is
// built without them: they watch the kernels, not the bookkeeping.
#pragma once

#include <cstddef>

extern "C" {
[[gnu::weak]] void __sanitizer_start_switch_fiber(void** leaving_fake_stack, const void* bottom, size_t size);
[[gnu::weak]] void __sanitizer_finish_switch_fiber(void* fake_stack, const void** left_bottom, size_t* left_size);
[[gnu::weak]] void* __tsan_get_current_fiber();
[[gnu::weak]] void* __tsan_create_fiber(unsigned flags);
[[gnu::weak]] void __tsan_switch_to_fiber(void* fiber, unsigned flags);
[[gnu::weak]] void __tsan_acquire(void* object);
[[gnu::weak]] void __tsan_release(void* object);
[[gnu::weak]] void AnnotateIgnoreReadsBegin(const char* file, int line);
[[gnu::weak]] void AnnotateIgnoreReadsEnd(const char* file, int line);
[[gnu::weak]] void AnnotateIgnoreWritesBegin(const char* file, int line);
[[gnu::weak]] void AnnotateIgnoreWritesEnd(const char* file, int line);
}

namespace lowbit::emulation {

inline bool thread_sanitizer() { return __tsan_create_fiber != nullptr; }
inline bool address_sanitizer() { return __sanitizer_start_switch_fiber != nullptr; }

// Whoever acquires an object sees what others did before they released it.
struct SyncObject {
  void acquire() {
    if (thread_sanitizer()) __tsan_acquire(this);
  }
  void release() {
    if (thread_sanitizer()) __tsan_release(this);
  }
  char address;
};

// For a scope, this thread's writes are no accesses; memory that it allocates has no past.
class UnseenWrites {
 public:
  UnseenWrites() {
    if (thread_sanitizer()) AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
  }
  ~UnseenWrites() {
    if (thread_sanitizer()) AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
  }
  UnseenWrites(const UnseenWrites&) = delete;
  UnseenWrites& operator=(const UnseenWrites&) = delete;
};

// For a scope, this thread's reads are none either: what the threads of a block share of the emulator's own.
class Unseen {
 public:
  Unseen() {
    if (thread_sanitizer()) AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
  }
  ~Unseen() {
    if (thread_sanitizer()) AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  }
  Unseen(const Unseen&) = delete;
  Unseen& operator=(const Unseen&) = delete;

 private:
  UnseenWrites writes_;
};

}  // namespace lowbit::emulation
