// Vulkan through volk: nothing links the loader, so a binary built with Vulkan starts where there is none. volk
// defines a global variable for each function; here all of them bear the prefix lowbit_ (volk_names.h, made when
// configuring), or a program that links the loader, or volk, as well would get two meanings for one name.
#pragma once

#include "volk_names.h"

#include <volk.h>

namespace lowbit::core::vulkan {

static_assert(sizeof(VkBuffer) == sizeof(void*), "a tensor's data is a VkBuffer");

inline VkBuffer buffer_of(void* data) { return reinterpret_cast<VkBuffer>(data); }
inline VkBuffer buffer_of(const void* data) { return buffer_of(const_cast<void*>(data)); }

}  // namespace lowbit::core::vulkan
