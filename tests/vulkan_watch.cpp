#include "vulkan_watch.h"

#include <gtest/gtest.h>

#include <cstring>
#include <mutex>
#include <set>
#include <tuple>

namespace lowbit::test {
namespace {

// The functions of the table have no argument of ours, so this is one for the process.
struct Watched {
  std::mutex mutex;
  std::string failing;  // a function
  VkResult result = VK_SUCCESS;
  int until = 0, left = 0;  // calls of it until the first that fails, and how many fail then
  int failed = 0;
  bool is_stopped = false;
  int64_t made = 0;
  std::map<std::string, std::set<uint64_t>> live;  // by their maker
};
Watched watched;

// Whether this call is one that fails.
bool fails(const char* function, VkResult* result) {
  const std::lock_guard lock(watched.mutex);
  if (watched.failing != function || --watched.until >= 0 || watched.left == 0) return false;
  --watched.left;
  ++watched.failed;
  *result = watched.result;
  return true;
}

template <typename Handle>
uint64_t number_of(Handle handle) {
  uint64_t number = 0;
  static_assert(sizeof(handle) <= sizeof(number));
  std::memcpy(&number, &handle, sizeof(handle));
  return number;
}

// A function of the table, replaced: it makes objects that another destroys, or makes something else, or makes nothing.
enum class Kind { object, make, call, destroy };
template <auto kFunction, Kind kKind>
struct Hook;

template <typename... Args, VkResult (*VolkDeviceTable::*kFunction)(Args...), Kind kKind>
struct Hook<kFunction, kKind> {
  static inline VkResult (*real)(Args...) = nullptr;
  static inline const char* name = "";

  static VkResult hook(Args... args) {
    VkResult result = VK_SUCCESS;
    if (fails(name, &result)) return result;
    result = real(args...);
    if (kKind == Kind::call || result != VK_SUCCESS) return result;
    const std::lock_guard lock(watched.mutex);
    watched.made += 1;
    if constexpr (kKind == Kind::object) {  // it is where the last argument points
      const uint64_t made = number_of(*std::get<sizeof...(Args) - 1>(std::tie(args...)));
      EXPECT_TRUE(watched.live[name].insert(made).second) << name;
    }
    return result;
  }
};

// `name` is that of what made the objects.
template <typename Handle, void (*VolkDeviceTable::*kFunction)(VkDevice, Handle, const VkAllocationCallbacks*)>
struct Hook<kFunction, Kind::destroy> {
  static inline void (*real)(VkDevice, Handle, const VkAllocationCallbacks*) = nullptr;
  static inline const char* name = "";

  static void hook(VkDevice device, Handle handle, const VkAllocationCallbacks* allocator) {
    if (handle != VK_NULL_HANDLE) {
      const std::lock_guard lock(watched.mutex);
      EXPECT_EQ(watched.live[name].erase(number_of(handle)), 1u) << "destroyed twice, or never made by " << name;
    }
    real(device, handle, allocator);
  }
};

template <auto kFunction, Kind kKind>
void install(VolkDeviceTable& vk, const char* name) {
  using Hooked = Hook<kFunction, kKind>;
  if (vk.*kFunction == &Hooked::hook) return;
  Hooked::real = vk.*kFunction;
  Hooked::name = name;
  vk.*kFunction = &Hooked::hook;
}

// Instead of a query, which cannot be told from one that a stuck device answers.
PFN_vkGetSemaphoreCounterValue real_counter_value = nullptr;
VkResult counter_value(VkDevice device, VkSemaphore semaphore, uint64_t* value) {
  VkResult result = VK_SUCCESS;
  if (fails("vkGetSemaphoreCounterValue", &result)) return result;
  result = real_counter_value(device, semaphore, value);
  const std::lock_guard lock(watched.mutex);
  if (watched.is_stopped) *value = 0;
  return result;
}

}  // namespace

VulkanWatch::VulkanWatch(core::Device& device) {
  VolkDeviceTable& vk = static_cast<core::vulkan::VulkanDevice&>(device).vk;
// vk.h gives the functions other names, which # must not see.
#define LOWBIT_WATCH(kind, function) install<&VolkDeviceTable::function, Kind::kind>(vk, #function)
#define LOWBIT_WATCH_OBJECTS(maker, destroyer)                \
  install<&VolkDeviceTable::maker, Kind::object>(vk, #maker); \
  install<&VolkDeviceTable::destroyer, Kind::destroy>(vk, #maker)
  LOWBIT_WATCH_OBJECTS(vkCreateBuffer, vkDestroyBuffer);
  LOWBIT_WATCH_OBJECTS(vkAllocateMemory, vkFreeMemory);
  LOWBIT_WATCH_OBJECTS(vkCreateSemaphore, vkDestroySemaphore);
  LOWBIT_WATCH_OBJECTS(vkCreateCommandPool, vkDestroyCommandPool);
  LOWBIT_WATCH_OBJECTS(vkCreateDescriptorPool, vkDestroyDescriptorPool);
  LOWBIT_WATCH_OBJECTS(vkCreateQueryPool, vkDestroyQueryPool);
  LOWBIT_WATCH_OBJECTS(vkCreateShaderModule, vkDestroyShaderModule);
  LOWBIT_WATCH_OBJECTS(vkCreateComputePipelines, vkDestroyPipeline);
  LOWBIT_WATCH(make, vkAllocateDescriptorSets);
  LOWBIT_WATCH(make, vkAllocateCommandBuffers);
  LOWBIT_WATCH(make, vkMapMemory);
  LOWBIT_WATCH(call, vkBindBufferMemory);
  LOWBIT_WATCH(call, vkBeginCommandBuffer);
  LOWBIT_WATCH(call, vkEndCommandBuffer);
  LOWBIT_WATCH(call, vkQueueSubmit);
  LOWBIT_WATCH(call, vkWaitSemaphores);
  if (vk.vkGetSemaphoreCounterValue != &counter_value) {
    real_counter_value = vk.vkGetSemaphoreCounterValue;
    vk.vkGetSemaphoreCounterValue = &counter_value;
  }
  heal();
}

VulkanWatch::~VulkanWatch() { heal(); }

std::vector<std::string> VulkanWatch::makers() {
  return {"vkCreateBuffer",           "vkAllocateMemory",     "vkCreateSemaphore",        "vkCreateCommandPool",
          "vkCreateDescriptorPool",   "vkCreateShaderModule", "vkCreateComputePipelines", "vkAllocateDescriptorSets",
          "vkAllocateCommandBuffers", "vkMapMemory"};
}

void VulkanWatch::fail(const std::string& function, VkResult result, int first, int times) {
  const std::lock_guard lock(watched.mutex);
  watched.failing = function;
  watched.result = result;
  watched.until = first - 1;
  watched.left = times;
  watched.failed = 0;
}

void VulkanWatch::stop_timelines() {
  const std::lock_guard lock(watched.mutex);
  watched.is_stopped = true;
}

int VulkanWatch::heal() {
  const std::lock_guard lock(watched.mutex);
  watched.failing.clear();
  watched.is_stopped = false;
  return watched.failed;
}

int64_t VulkanWatch::live(const std::string& maker) const {
  const std::lock_guard lock(watched.mutex);
  return static_cast<int64_t>(watched.live[maker].size());
}

std::map<std::string, int64_t> VulkanWatch::live() const {
  const std::lock_guard lock(watched.mutex);
  std::map<std::string, int64_t> counts;
  for (const auto& [maker, objects] : watched.live) counts[maker] = static_cast<int64_t>(objects.size());
  return counts;
}

int64_t VulkanWatch::made() const {
  const std::lock_guard lock(watched.mutex);
  return watched.made;
}

}  // namespace lowbit::test
