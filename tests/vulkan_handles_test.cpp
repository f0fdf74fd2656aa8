// A VkDevice of the caller's own, handed in.
#include <gmock/gmock.h>

#include <map>
#include <vector>

#include "api.h"
#include "lowbit/lowbit.hpp"
#include "vulkan/vk.h"

namespace lowbit::test {
namespace {

using testing::HasSubstr;

// One of a version for the whole process: a driver that is unloaded leaves memory behind that nobody knows any more.
VkResult instance_of(uint32_t version, VkInstance* instance) {
  static std::map<uint32_t, VkInstance> kept;
  *instance = kept[version];
  if (*instance != VK_NULL_HANDLE) return VK_SUCCESS;
  const VkApplicationInfo application{.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .apiVersion = version};
  const VkInstanceCreateInfo info{.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &application};
  const VkResult result = vkCreateInstance(&info, nullptr, instance);
  kept[version] = *instance;
  return result;
}

// What an engine has: an instance, the software device, and a queue that it guards.
class Engine {
 public:
  // False where there is no Vulkan.
  bool start(uint32_t version = VK_API_VERSION_1_2) {
    if (volkInitialize() != VK_SUCCESS) return false;
    if (instance_of(version, &instance_) != VK_SUCCESS) return false;
    volkLoadInstanceOnly(instance_);
    uint32_t count = 1;
    if (vkEnumeratePhysicalDevices(instance_, &count, &physical_) < 0 || count == 0) return false;
    const float priority = 1;
    const VkDeviceQueueCreateInfo queue{
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueCount = 1, .pQueuePriorities = &priority};
    const VkPhysicalDeviceVulkan12Features features{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
                                                    .timelineSemaphore = VK_TRUE};
    const VkDeviceCreateInfo device{.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                    .pNext = &features,
                                    .queueCreateInfoCount = 1,
                                    .pQueueCreateInfos = &queue};
    if (vkCreateDevice(physical_, &device, nullptr, &device_) != VK_SUCCESS) return false;
    volkLoadDeviceTable(&vk_, device_);
    vk_.vkGetDeviceQueue(device_, 0, 0, &queue_);
    return true;
  }
  ~Engine() {
    if (pool_ != VK_NULL_HANDLE) vk_.vkDestroyCommandPool(device_, pool_, nullptr);
    if (device_ != VK_NULL_HANDLE) vk_.vkDestroyDevice(device_, nullptr);
  }

  lowbit_vulkan_handles handles() {
    return {.struct_size = sizeof(lowbit_vulkan_handles),
            .queue_family = 0,
            .instance = instance_,
            .physical_device = physical_,
            .device = device_,
            .queue = queue_,
            .features = 0,
            .lock_queue = [](void* self) { ++static_cast<Engine*>(self)->locks; },
            .unlock_queue = [](void* self) { ++static_cast<Engine*>(self)->unlocks; },
            .user = this};
  }
  VkResult wait() const { return vk_.vkDeviceWaitIdle(device_); }

  // A command buffer that is being recorded; and running it to its end.
  VkCommandBuffer begin() {
    const VkCommandPoolCreateInfo pool{.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
    EXPECT_EQ(vk_.vkCreateCommandPool(device_, &pool, nullptr, &pool_), VK_SUCCESS);
    const VkCommandBufferAllocateInfo allocate{.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                               .commandPool = pool_,
                                               .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                               .commandBufferCount = 1};
    VkCommandBuffer commands = VK_NULL_HANDLE;
    EXPECT_EQ(vk_.vkAllocateCommandBuffers(device_, &allocate, &commands), VK_SUCCESS);
    const VkCommandBufferBeginInfo info{.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    EXPECT_EQ(vk_.vkBeginCommandBuffer(commands, &info), VK_SUCCESS);
    return commands;
  }
  void run(VkCommandBuffer commands) {
    const VkMemoryBarrier barrier{.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                  .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
                                  .dstAccessMask = VK_ACCESS_HOST_READ_BIT};
    vk_.vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier,
                             0, nullptr, 0, nullptr);
    EXPECT_EQ(vk_.vkEndCommandBuffer(commands), VK_SUCCESS);
    const VkSubmitInfo submit{
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &commands};
    EXPECT_EQ(vk_.vkQueueSubmit(queue_, 1, &submit, VK_NULL_HANDLE), VK_SUCCESS);
    EXPECT_EQ(wait(), VK_SUCCESS);
  }

  int locks = 0, unlocks = 0;

 private:
  VkInstance instance_ = VK_NULL_HANDLE;
  VkPhysicalDevice physical_ = VK_NULL_HANDLE;
  VkDevice device_ = VK_NULL_HANDLE;
  VkQueue queue_ = VK_NULL_HANDLE;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  VolkDeviceTable vk_{};
};

TEST(VulkanHandles, TheCallersDeviceIsUsedAndLeft) {
  Engine engine;
  if (!engine.start()) GTEST_SKIP() << "there is no Vulkan device";
  const lowbit_vulkan_handles handles = engine.handles();
  {
    const Device device = Device::open({.vulkan = &handles});
    EXPECT_STREQ(device.info().backend, "vulkan");
    EXPECT_EQ(device.info().features & LOWBIT_FEATURE_DOT_INT8, 0u) << "it was not enabled";
    const Stream stream(device);
    const std::vector<float> values(64, 0.5f);
    const Buffer input(device, 256), packed(device, 64), scales(device, 8), output(device, 256);
    stream.upload(input, values);
    rho_compress(stream, {.encoding = LOWBIT_INT8,
                          .input = tensor(input, LOWBIT_TYPE_F32, {64}),
                          .packed = tensor(packed, LOWBIT_TYPE_U8, {64}),
                          .scales = tensor(scales, LOWBIT_TYPE_F32, {2})});
    rho_expand(stream, {.encoding = LOWBIT_INT8,
                        .packed = tensor(packed, LOWBIT_TYPE_U8, {64}),
                        .scales = tensor(scales, LOWBIT_TYPE_F32, {2}),
                        .output = tensor(output, LOWBIT_TYPE_F32, {64})});
    std::vector<float> expanded(64);
    stream.download(expanded, output);
    EXPECT_EQ(expanded, values);
  }
  EXPECT_GE(engine.locks, 1);
  EXPECT_EQ(engine.locks, engine.unlocks);
  EXPECT_EQ(engine.wait(), VK_SUCCESS);
}

// Compresses 64 values to ternary and expands them again.
struct RoundTrip {
  explicit RoundTrip(const Device& device)
      : input(device, 256), packed(device, 16), scales(device, 8), output(device, 256) {}
  void record(const Stream& stream) const {
    rho_compress(stream, {.encoding = LOWBIT_TERNARY,
                          .input = tensor(input, LOWBIT_TYPE_F32, {64}),
                          .packed = tensor(packed, LOWBIT_TYPE_U8, {16}),
                          .scales = tensor(scales, LOWBIT_TYPE_F32, {2})});
    expand(stream);
  }
  void expand(const Stream& stream) const {
    rho_expand(stream, {.encoding = LOWBIT_TERNARY,
                        .packed = tensor(packed, LOWBIT_TYPE_U8, {16}),
                        .scales = tensor(scales, LOWBIT_TYPE_F32, {2}),
                        .output = tensor(output, LOWBIT_TYPE_F32, {64})});
  }
  Buffer input, packed, scales, output;
};

TEST(VulkanHandles, TheCallersCommandBufferIsRecordedInto) {
  Engine engine;
  if (!engine.start()) GTEST_SKIP() << "there is no Vulkan device";
  const lowbit_vulkan_handles handles = engine.handles();
  const Device device = Device::open({.guard = LOWBIT_GUARD_SAMPLE, .vulkan = &handles});
  const Stream copies(device);
  const RoundTrip trip(device);
  const std::vector<float> values(64, 0.5f);
  copies.upload(trip.input, values);
  copies.synchronize();
  const VkCommandBuffer commands = engine.begin();
  {
    const Stream stream = Stream::wrap(device, commands);
    EXPECT_EQ(stream.native(), commands);
    const int locks = engine.locks;
    {
      const RoundTrip gone(device);
      gone.record(stream);
    }  // its buffers live until the stream's end
    trip.record(stream);
    stream.flush();
    EXPECT_EQ(engine.locks, locks) << "only the caller submits";
    EXPECT_THROW(stream.upload(trip.input, values), Error);
    stream.synchronize();  // nothing has run yet, so nothing may have been sampled
    engine.run(commands);
    stream.synchronize();
  }
  std::vector<float> expanded(64);
  copies.download(expanded, trip.output);
  EXPECT_EQ(expanded, values);
}

// By its queue's timestamps; what is recorded into a command buffer of the caller's is not.
TEST(VulkanHandles, TheCallersDeviceIsMeasured) {
  Engine engine;
  if (!engine.start()) GTEST_SKIP() << "there is no Vulkan device";
  const lowbit_vulkan_handles handles = engine.handles();
  const Device device = Device::open({.vulkan = &handles});
  const RoundTrip trip(device);
  device.start_profile();
  EXPECT_EQ(engine.locks, engine.unlocks);
  {
    const Stream stream(device);
    trip.record(stream);
    stream.synchronize();
  }
  const auto launches = [&] {
    uint64_t all = 0;
    for (const lowbit_profile_entry& entry : device.profile()) all += entry.count;
    return all;
  };
  EXPECT_EQ(launches(), 2u);
  const VkCommandBuffer commands = engine.begin();
  {
    const Stream stream = Stream::wrap(device, commands);
    trip.record(stream);
    engine.run(commands);
    stream.synchronize();
  }
  EXPECT_EQ(launches(), 2u);
}

TEST(VulkanHandles, DataThatIsRefusedIsToldOnceTheCommandBufferHasRun) {
  Engine engine;
  if (!engine.start()) GTEST_SKIP() << "there is no Vulkan device";
  const lowbit_vulkan_handles handles = engine.handles();
  const Device device = Device::open({.vulkan = &handles});
  const Stream copies(device);
  const RoundTrip trip(device);
  const std::vector<uint8_t> codes(16, 0xff);
  copies.upload(trip.packed, codes);
  copies.synchronize();
  const VkCommandBuffer commands = engine.begin();
  const Stream stream = Stream::wrap(device, commands);
  trip.expand(stream);
  EXPECT_EQ(lowbit_stream_synchronize(stream.get()), LOWBIT_OK) << "nothing has run yet";
  engine.run(commands);
  EXPECT_EQ(lowbit_stream_synchronize(stream.get()), LOWBIT_INVALID_ARGUMENT);
  EXPECT_THAT(lowbit_last_error(), HasSubstr("invalid ternary code 3 in block 0, at value 0"));
  EXPECT_EQ(lowbit_stream_synchronize(stream.get()), LOWBIT_OK);
}

lowbit_status open_with(const lowbit_vulkan_handles& handles) {
  const lowbit_device_options options{.struct_size = sizeof(options), .vulkan = &handles};
  lowbit_device* opened = nullptr;
  const lowbit_status status = lowbit_device_open(&options, &opened);
  lowbit_device_close(opened);
  return status;
}

TEST(VulkanHandles, AnInstanceOfAnOldVersionIsRefused) {
  Engine engine;
  if (!engine.start(VK_API_VERSION_1_1)) GTEST_SKIP() << "there is no Vulkan device";
  EXPECT_EQ(open_with(engine.handles()), LOWBIT_UNAVAILABLE);
  EXPECT_THAT(lowbit_last_error(), HasSubstr("options.vulkan was not made for Vulkan 1.2"));
}

TEST(VulkanHandles, AQueueFamilyThatIsNotThere) {
  Engine engine;
  if (!engine.start()) GTEST_SKIP() << "there is no Vulkan device";
  lowbit_vulkan_handles handles = engine.handles();
  handles.queue_family = 7;
  EXPECT_EQ(open_with(handles), LOWBIT_INVALID_ARGUMENT);
  EXPECT_THAT(lowbit_last_error(), HasSubstr("options.vulkan.queue_family is 7, it may be 0"));
}

TEST(VulkanHandles, APhysicalDeviceOfAnotherInstance) {
  Engine engine;
  if (!engine.start()) GTEST_SKIP() << "there is no Vulkan device";
  lowbit_vulkan_handles handles = engine.handles();
  handles.physical_device = &handles;
  EXPECT_EQ(open_with(handles), LOWBIT_INVALID_ARGUMENT);
  EXPECT_THAT(lowbit_last_error(), HasSubstr("options.vulkan.physical_device is none of options.vulkan.instance"));
}

TEST(VulkanHandles, MistakesAreNamed) {
  int something = 0;
  const lowbit_vulkan_handles whole{.struct_size = sizeof(whole),
                                    .instance = &something,
                                    .physical_device = &something,
                                    .device = &something,
                                    .queue = &something};
  const auto expect_error = [](const lowbit_vulkan_handles& handles, const char* backend, const char* device,
                               const char* sentence) {
    const lowbit_device_options options{
        .struct_size = sizeof(options), .backend = backend, .device = device, .vulkan = &handles};
    lowbit_device* opened = nullptr;
    EXPECT_EQ(lowbit_device_open(&options, &opened), LOWBIT_INVALID_ARGUMENT);
    EXPECT_THAT(lowbit_last_error(), HasSubstr(sentence));
  };
  lowbit_vulkan_handles handles = whole;
  handles.struct_size = 3;
  expect_error(handles, nullptr, nullptr, "options.vulkan.struct_size is 3");
  handles = whole;
  handles.instance = nullptr;
  expect_error(handles, nullptr, nullptr, "options.vulkan.instance is NULL");
  handles = whole;
  handles.queue = nullptr;
  expect_error(handles, "vulkan", nullptr, "options.vulkan.queue is NULL");
  handles = whole;
  handles.lock_queue = [](void*) {};
  expect_error(handles, "auto", nullptr, "lock_queue and unlock_queue");
  expect_error(whole, "cpu", nullptr, "options.backend is 'cpu', it may be NULL, auto or vulkan");
  expect_error(whole, nullptr, "0", "options.device must then be NULL");
}

}  // namespace
}  // namespace lowbit::test
