// Roofs as subjects.
#pragma once

#include "cpu_harness.h"

namespace lowbit::bench {

// Multiply-adds of the contestant's instruction set by one thread; one is two operations.
Subject make_registers(const Contestant& contestant);
// Every byte of `copies` buffers of about so many bytes, read by the contestant's threads.
Subject make_read(const Contestant& contestant, double bytes, int copies);
// memcpy by the contestant's threads that reads and writes about so many bytes together.
Subject make_copy(const Contestant& contestant, double bytes);

}  // namespace lowbit::bench
