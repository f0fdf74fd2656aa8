// A hazard on purpose: two writes of the same words with no barrier between them. Run under the validation layer with
// its synchronisation checks, it shows that the layer is there and looks; what it prints is for CTest to find.
#include <fmt/format.h>

#include "kernel_table.h"
#include "vulkan/open_device.h"
#include "vulkan/vulkan_stream.h"

using namespace lowbit::core;

int main() {
  std::shared_ptr<Device> device;
  Status status = vulkan::open_device({}, kernel_table(), &device);
  if (!status.ok()) {
    fmt::print("skipped: {}\n", status.sentence());
    return 0;
  }
  Memory memory;
  std::unique_ptr<Stream> stream;
  status = Memory::create(device, 1024, &memory);
  if (status.ok()) status = device->create_stream(&stream);
  if (status.ok()) {
    auto& on = static_cast<vulkan::VulkanStream&>(*stream);
    VkCommandBuffer commands = VK_NULL_HANDLE;
    status = on.commands(&commands);
    for (uint32_t word : {1u, 2u}) {
      if (status.ok()) on.vulkan_device().vk.vkCmdFillBuffer(commands, vulkan::buffer_of(memory.data()), 0, 1024, word);
    }
  }
  if (status.ok()) status = stream->synchronize();
  fmt::print("{}\n", status.ok() ? "both writes have run" : status.sentence());
  return !status.ok();
}
