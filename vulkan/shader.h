// A compute shader as the build embeds it (cmake/shaders.cmake), and what is read from its SPIR-V.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace lowbit::core::vulkan {

// How a kernel computes with floats: in f32, on devices that promise to round as docs/numerics.md does, or by integers,
// on every device (shaders/float32.glsl).
enum class Arithmetic { float32, integer };
// How it multiplies codes: four at a time by OpSDot, or one by one.
enum class Products { dot, plain };

struct Shader {
  const char* name;  // "rho_expand_float"
  std::span<const uint32_t> code;
};

// The shader NAME of the build, whose words stand in "shaders/NAME.h".
#define LOWBIT_SHADER(name) (::lowbit::core::vulkan::Shader{#name, name})
// One that is built for either arithmetic.
#define LOWBIT_FLOAT_SHADER(name, arithmetic)                                                \
  ((arithmetic) == ::lowbit::core::vulkan::Arithmetic::float32 ? LOWBIT_SHADER(name##_float) \
                                                               : LOWBIT_SHADER(name##_integer))

// Values of the specialisation constants 0, 1, ...; those that are not given are 0.
using Constants = std::array<uint32_t, 8>;

// How many storage buffers it binds: the highest binding decorated, and one.
uint32_t binding_count(std::span<const uint32_t> code);

// The code without those of the float controls (SPIR-V execution modes with the capabilities of the same name) that are
// not in `offered`: a device may be made to run a shader that asks for more than it promises.
struct FloatControls {
  bool rounds_to_nearest = false, keeps_signed_zero_inf_nan = false, keeps_subnormals = false;
  bool all() const { return rounds_to_nearest && keeps_signed_zero_inf_nan && keeps_subnormals; }
};
std::vector<uint32_t> with_controls(std::span<const uint32_t> code, const FloatControls& offered);

}  // namespace lowbit::core::vulkan
