#include "shader.h"

#include <algorithm>

namespace lowbit::core::vulkan {
namespace {

// SPIR-V, section 2.3: five words of header, then instructions whose first word has their length and opcode.
constexpr size_t kHeaderWords = 5;
constexpr uint32_t kOpExecutionMode = 16, kOpCapability = 17, kOpDecorate = 71, kDecorationBinding = 33;

template <typename Visit>
void for_each_instruction(std::span<const uint32_t> code, Visit visit) {
  for (size_t at = kHeaderWords; at < code.size();) {
    const uint32_t length = code[at] >> 16;
    visit(code[at] & 0xffff, code.subspan(at, length));
    at += length;
  }
}

}  // namespace

uint32_t binding_count(std::span<const uint32_t> code) {
  uint32_t count = 0;
  for_each_instruction(code, [&](uint32_t opcode, std::span<const uint32_t> words) {
    if (opcode == kOpDecorate && words[2] == kDecorationBinding) count = std::max(count, words[3] + 1);
  });
  return count;
}

std::vector<uint32_t> with_controls(std::span<const uint32_t> code, const FloatControls& offered) {
  struct Control {
    uint32_t capability, mode;
    bool is_offered;
  };
  const Control controls[] = {
      {4464, 4459, offered.keeps_subnormals},           // DenormPreserve
      {4466, 4461, offered.keeps_signed_zero_inf_nan},  // SignedZeroInfNanPreserve
      {4467, 4462, offered.rounds_to_nearest},          // RoundingModeRTE
  };
  std::vector<uint32_t> kept(code.begin(), code.begin() + kHeaderWords);
  for_each_instruction(code, [&](uint32_t opcode, std::span<const uint32_t> words) {
    for (const Control& control : controls) {
      if (control.is_offered) continue;
      if (opcode == kOpCapability && words[1] == control.capability) return;
      if (opcode == kOpExecutionMode && words[2] == control.mode) return;
    }
    kept.insert(kept.end(), words.begin(), words.end());
  });
  return kept;
}

}  // namespace lowbit::core::vulkan
