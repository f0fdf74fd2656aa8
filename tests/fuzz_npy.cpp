// libFuzzer on the .npy reader. Only FileError may come out, and what is read must survive a round trip.
#include <cstdint>
#include <cstdlib>

#include "formats/npy.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lowbit::formats;
  const auto input = std::as_bytes(std::span(data, size));
  try {
    const Npy array = parse_npy({input.begin(), input.end()}, "", "input");
    if (array.count() < 0 || (array.count() == 0) != array.bytes.empty()) abort();
    if (array.shape.size() > 1000) return 0;  // version 1.0 has no room for them
    const Npy again = parse_npy(npy_bytes(array.dtype, array.shape, array.bytes), array.dtype, "written");
    if (again.shape != array.shape || again.bytes != array.bytes) abort();
  } catch (const FileError& error) {
    if (!std::string_view(error.what()).starts_with("input: ")) abort();
  }
  return 0;
}
