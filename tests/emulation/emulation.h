// The tests' hooks into the emulated device: what it claims to be, what it fails at, and what was asked of it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime_api.h"

namespace lowbit::emulation {

// What memory holds before anything is written: device memory, and shared memory before each block. A result that
// differs under two patterns was made of unwritten memory.
void set_fill_pattern(uint8_t pattern);

void set_compute_capability(int major, int minor);  // 9.0 at first
void set_driver(int version);                       // 13000 at first; 0: there is none
void set_device_count(int count);                   // 1 at first

// The next call of that runtime function, "cudaMallocFromPoolAsync" say, returns the error and does nothing else.
void fail_next(const char* function, cudaError_t error);
// As after a fault of a kernel, or when somebody resets the device: whatever needs the context returns the error.
void break_context(cudaError_t error);
void repair_context();

// Since the program started.
size_t allocations();       // of device memory or of pinned memory
size_t synchronizations();  // calls that waited for a stream, an event or the device
size_t launches();          // of kernels, into a stream or into a graph

size_t events();  // that were created and not destroyed

}  // namespace lowbit::emulation
