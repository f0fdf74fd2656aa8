// A host device like the cpu's, but for its memory, which lies between guard pages and is full of junk: kernels that
// read past the end of a weight or of their scratch die, and those that read what they never wrote go wrong. Small as they
// are, its tasks are done in two parts and its outputs written around the caches.
#pragma once

#include <memory>

#include "device.h"

namespace lowbit::test {

std::shared_ptr<core::Device> make_guarded_device(const core::Device& like, const lowbit_device_options& options);

}  // namespace lowbit::test
