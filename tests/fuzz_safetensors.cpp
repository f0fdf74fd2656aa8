// libFuzzer on the safetensors reader. Only FileError may come out, and what is read must survive a round trip.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "formats/safetensors.h"

namespace {

using namespace lowbit::formats;

void check(const std::vector<std::byte>& input) {
  try {
    const Safetensors file = Safetensors::parse(input, "input");
    const Safetensors again = Safetensors::parse(write_safetensors(file.metadata(), file.tensors()), "written");
    for (const SafetensorsEntry& tensor : file.tensors()) {
      const SafetensorsEntry* other = again.find(tensor.name);
      if (other == nullptr || other->shape != tensor.shape || !std::ranges::equal(other->bytes, tensor.bytes)) abort();
      if (tensor.dtype == "F32") to_floats(tensor);
    }
  } catch (const FileError& error) {
    if (!std::string_view(error.what()).starts_with("input: ")) abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  std::vector<std::byte> input(bytes.begin(), bytes.end());
  check(input);
  // A fuzzer seldom guesses the header's length, so once more with one that ends at the last '}'.
  const auto last = std::find(input.rbegin(), input.rend(), std::byte{'}'});
  const auto end = static_cast<size_t>(input.rend() - last);
  if (end > 8) {
    for (size_t i = 0; i < 8; ++i) input[i] = static_cast<std::byte>((end - 8) >> (8 * i) & 0xFF);
    check(input);
  }
  return 0;
}
