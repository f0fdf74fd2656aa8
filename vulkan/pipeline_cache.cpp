#include "pipeline_cache.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <new>
#include <string_view>

namespace lowbit::core::vulkan {
namespace {

namespace fs = std::filesystem;

// In front of the driver's bytes: what tells a whole file from one that was cut, damaged or is something else. Drivers
// check who made their bytes, not that all of them are there.
struct Header {
  char magic[8] = {'l', 'o', 'w', 'b', 'i', 't', 'p', 'c'};
  uint64_t size = 0, hash = 0;
};

// FNV-1a.
uint64_t hash_of(const std::byte* bytes, size_t size) {
  uint64_t hash = 0xcbf29ce484222325;
  for (size_t i = 0; i < size; ++i) hash = (hash ^ static_cast<uint64_t>(bytes[i])) * 0x100000001b3;
  return hash;
}

// Empty where it is turned off or there is no folder for it.
fs::path path_of(const VkPhysicalDeviceProperties& device) {
  const char *off = std::getenv("LOWBIT_PIPELINE_CACHE"), *cache = std::getenv("XDG_CACHE_HOME"),
             *home = std::getenv("HOME");
  if (off != nullptr && std::string_view(off) == "off") return {};
  fs::path folder;
  if (cache != nullptr && *cache == '/') {
    folder = cache;
  } else if (home != nullptr && *home == '/') {
    folder = fs::path(home) / ".cache";
  } else {
    return {};
  }
  std::string name = fmt::format("vulkan-{:x}-{:x}-{:x}-", device.vendorID, device.deviceID, device.driverVersion);
  for (uint8_t byte : device.pipelineCacheUUID) name += fmt::format("{:02x}", byte);
  return folder / "lowbit" / (name + ".bin");
}

}  // namespace

std::vector<std::byte> read_pipeline_cache(const VkPhysicalDeviceProperties& device) {
  std::ifstream file(path_of(device), std::ios::binary);
  std::vector<char> bytes;
  char part[1 << 12];
  while (file.read(part, sizeof(part)), file.gcount() > 0) {  // throws nothing, of a folder either
    bytes.insert(bytes.end(), part, part + file.gcount());
  }
  Header header;
  if (bytes.size() < sizeof(header) || std::memcmp(bytes.data(), header.magic, sizeof(header.magic)) != 0) return {};
  std::memcpy(&header, bytes.data(), sizeof(header));
  const auto* data = reinterpret_cast<const std::byte*>(bytes.data()) + sizeof(header);
  const size_t size = bytes.size() - sizeof(header);
  if (header.size != size || header.hash != hash_of(data, size)) return {};
  return {data, data + size};
}

void write_pipeline_cache(const VolkDeviceTable& vk, VkDevice handle, VkPipelineCache cache, size_t size_read,
                          const VkPhysicalDeviceProperties& device) noexcept try {
  const fs::path path = path_of(device);
  size_t size = 0;
  if (path.empty() || vk.vkGetPipelineCacheData(handle, cache, &size, nullptr) != VK_SUCCESS || size <= size_read)
    return;
  std::vector<std::byte> data(size);
  if (vk.vkGetPipelineCacheData(handle, cache, &size, data.data()) != VK_SUCCESS) return;
  Header header;
  header.size = size;
  header.hash = hash_of(data.data(), size);
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  fs::path written = path;
  written += fmt::format(".{}", getpid());
  std::ofstream file(written, std::ios::binary);
  file.write(reinterpret_cast<const char*>(&header), sizeof(header));
  file.write(reinterpret_cast<const char*>(data.data()), static_cast<std::streamsize>(size));
  file.close();
  if (file) fs::rename(written, path, error);
  if (!file || error) fs::remove(written, error);
} catch (const std::bad_alloc&) {  // the next run compiles again
}

}  // namespace lowbit::core::vulkan
