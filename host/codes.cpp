#include "codes.h"

#include <fmt/format.h>

#include <iterator>

namespace lowbit::core {
namespace {

template <typename Enum, size_t N>
std::string name_in(const char* const (&names)[N], Enum value, const char* kind) {
  const auto index = static_cast<size_t>(value);
  return index < N ? names[index] : fmt::format("{} {}", kind, static_cast<int32_t>(value));
}

constexpr const char* kFormats[] = {"int8", "int4", "uint8", "ternary", "binary", "f32"};
constexpr const char* kRules[] = {"absmax", "absmean"};
constexpr const char* kGroups[] = {"per_tensor", "per_token", "per_token_all_heads", "per_channel"};
constexpr const char* kTypes[] = {"f32", "f16", "bf16", "i32", "u8"};
constexpr const char* kOperations[] = {"quantize_pack", "pack_weight",  "lowrank_projection",
                                       "decoder_tail",  "rho_compress", "rho_expand"};
constexpr const char* kGuards[] = {"first_use", "off", "sample"};
static_assert(std::size(kOperations) == kOperationCount);

}  // namespace

std::string name_of(lowbit_format format) { return name_in(kFormats, format, "format"); }
std::string name_of(lowbit_rule rule) { return name_in(kRules, rule, "rule"); }
std::string name_of(lowbit_group group) { return name_in(kGroups, group, "group"); }
std::string name_of(lowbit_type type) { return name_in(kTypes, type, "type"); }
std::string name_of(lowbit_operation operation) { return name_in(kOperations, operation, "operation"); }
std::string name_of(lowbit_guard guard) { return name_in(kGuards, guard, "guard"); }

}  // namespace lowbit::core

uint64_t lowbit_packed_weight_size(lowbit_format format, uint64_t count) {
  if (format != LOWBIT_INT8 && format != LOWBIT_TERNARY && format != LOWBIT_BINARY) return 0;
  const auto per_byte = static_cast<uint64_t>(lowbit::core::codes_per_byte(format));
  return count / per_byte + (count % per_byte != 0);
}

// Full blocks take a whole number of bytes in every format, so only the last one can round up.
uint64_t lowbit_rho_packed_size(lowbit_format encoding, uint64_t count) {
  return lowbit_packed_weight_size(encoding, count);
}

uint64_t lowbit_rho_block_count(uint64_t count) { return count / LOWBIT_RHO_BLOCK + (count % LOWBIT_RHO_BLOCK != 0); }
