// Eight floats as int8 codes, on whatever device there is.
#include <cstdio>

#include "lowbit/lowbit.hpp"

int main() {
  const lowbit::Device device = lowbit::Device::open();
  const lowbit::Stream stream(device);
  const float x[8] = {0.5f, -1.0f, 0.25f, 2.0f, 0.0f, 1.5f, -0.125f, 1.0f};
  const lowbit::Buffer input(device, sizeof(x)), codes(device, 8), scale(device, sizeof(float));
  stream.upload(input, x);
  lowbit::quantize_pack(stream, {.input = tensor(input, LOWBIT_TYPE_F32, {1, 8}),
                                 .codes = tensor(codes, LOWBIT_TYPE_I32, {1, 2}),
                                 .scales = tensor(scale, LOWBIT_TYPE_F32, {1})});
  int8_t c[8];
  float s[1];
  stream.download(c, codes);
  stream.download(s, scale);
  std::printf("scale %.6f, codes %d %d %d %d %d %d %d %d, by %s\n", s[0], c[0], c[1], c[2], c[3], c[4], c[5], c[6],
              c[7], stream.last_kernel());
}
