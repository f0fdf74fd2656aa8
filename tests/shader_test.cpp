// The shaders that the build made, and what lowbit reads from SPIR-V. A driver that happens to round as written shows
// no expression that leaves it the choice, so each module is read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "vulkan/shader.h"

namespace lowbit::test {
namespace {

using core::vulkan::binding_count;
using core::vulkan::with_controls;
using testing::HasSubstr;
using testing::IsEmpty;
using Module = std::vector<uint32_t>;

// SPIR-V, sections 3.42, 3.20 and 3.6; GLSL.std.450.
enum Op : uint32_t {
  OpExtension = 10,
  OpExtInstImport = 11,
  OpExtInst = 12,
  OpExecutionMode = 16,
  OpCapability = 17,
  OpTypeFloat = 22,
  OpDecorate = 71,
  OpFAdd = 129,
  OpFSub = 131,
  OpFMul = 133,
  OpFDiv = 136,
  OpVectorTimesScalar = 142,
  OpDot = 148,
};
enum : uint32_t { kNoContraction = 42, kBinding = 33, kDescriptorSet = 34, kFma = 50 };
enum : uint32_t { kDenormPreserve = 4459, kSignedZeroInfNanPreserve = 4461, kRoundingModeRTE = 4462 };

struct Instruction {
  uint32_t op;
  std::vector<uint32_t> operands;
};

std::vector<Instruction> instructions_of(const Module& module) {
  std::vector<Instruction> instructions;
  for (size_t at = 5; at < module.size();) {
    const size_t length = module[at] >> 16;
    if (length == 0 || at + length > module.size()) throw std::runtime_error("no SPIR-V");
    const auto begin = module.begin() + static_cast<std::ptrdiff_t>(at);
    instructions.push_back({module[at] & 0xffff, {begin + 1, begin + static_cast<std::ptrdiff_t>(length)}});
    at += length;
  }
  return instructions;
}

Module module_of(const std::vector<Instruction>& instructions) {
  Module module = {0x07230203, 0x00010500, 0, 100, 0};
  for (const auto& [op, operands] : instructions) {
    module.push_back(static_cast<uint32_t>(operands.size() + 1) << 16 | op);
    module.insert(module.end(), operands.begin(), operands.end());
  }
  return module;
}

// What lets a driver compute as docs/numerics.md does not, in a module of that name; "" if nothing does.
std::string freedom_in(const std::string& name, const Module& module) {
  const std::vector<Instruction> all = instructions_of(module);
  std::set<uint32_t> uncontracted, modes;
  for (const auto& [op, operands] : all) {
    if (op == OpDecorate && operands[1] == kNoContraction) uncontracted.insert(operands[0]);
    if (op == OpExecutionMode) modes.insert(operands[1]);
  }
  std::string freedom;
  for (const auto& [op, operands] : all) {
    const auto found = [&](const char* what) { freedom += std::string(what) + "; "; };
    switch (op) {
      case OpTypeFloat:
        if (name.ends_with("_integer")) found("a float type");
        break;
      case OpFAdd:
      case OpFSub:
      case OpFMul:
      case OpFDiv:
        if (!uncontracted.contains(operands[1])) found("arithmetic without NoContraction");
        break;
      case OpVectorTimesScalar:
      case OpDot:
        found("arithmetic on vectors");
        break;
      case OpExtInst:
        if (operands[3] == kFma) found("a fused multiply-add, which need not be fused");
        break;
      default:
        break;
    }
  }
  if (name.ends_with("_float")) {
    if (!modes.contains(kDenormPreserve)) freedom += "no DenormPreserve; ";
    if (!modes.contains(kSignedZeroInfNanPreserve)) freedom += "no SignedZeroInfNanPreserve; ";
    if (!modes.contains(kRoundingModeRTE)) freedom += "no RoundingModeRTE; ";
  }
  return freedom;
}

TEST(Shader, LeavesNothingToTheDriver) {
  int floats = 0, integers = 0;
  for (const auto& entry : std::filesystem::directory_iterator(LOWBIT_SHADER_DIR)) {
    if (entry.path().extension() != ".spv") continue;
    const std::string name = entry.path().stem();
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    Module module(bytes.size() / sizeof(uint32_t));
    std::memcpy(module.data(), bytes.data(), module.size() * sizeof(uint32_t));
    ASSERT_GT(module.size(), 5u) << name;
    EXPECT_EQ(freedom_in(name, module), "") << name;
    EXPECT_GT(binding_count(module), 0u) << name;
    floats += name.ends_with("_float");
    integers += name.ends_with("_integer");
  }
  EXPECT_GT(floats, 0);
  EXPECT_GT(integers, 0);
}

// Two modules that are in order, for the tests below to spoil.
Module good_float(const std::vector<Instruction>& more = {}) {
  std::vector<Instruction> all = {{OpCapability, {1}},
                                  {OpCapability, {4464}},
                                  {OpCapability, {4466}},
                                  {OpCapability, {4467}},
                                  {OpExecutionMode, {4, kDenormPreserve, 32}},
                                  {OpExecutionMode, {4, kSignedZeroInfNanPreserve, 32}},
                                  {OpExecutionMode, {4, kRoundingModeRTE, 32}},
                                  {OpDecorate, {20, kNoContraction}},
                                  {OpTypeFloat, {6, 32}},
                                  {OpFAdd, {6, 20, 7, 8}}};
  all.insert(all.end(), more.begin(), more.end());
  return module_of(all);
}

TEST(Shader, WhatLeavesSomethingIsFound) {
  EXPECT_EQ(freedom_in("sum_float", good_float()), "");
  EXPECT_EQ(freedom_in("sum", module_of({{OpTypeFloat, {6, 32}}})), "");
  EXPECT_THAT(freedom_in("sum_integer", module_of({{OpTypeFloat, {6, 32}}})), HasSubstr("float type"));
  for (uint32_t op : {OpFAdd, OpFSub, OpFMul, OpFDiv}) {
    EXPECT_THAT(freedom_in("sum_float", good_float({{op, {6, 21, 7, 20}}})), HasSubstr("NoContraction")) << op;
    EXPECT_THAT(freedom_in("sum", good_float({{op, {6, 21, 7, 20}}})), HasSubstr("NoContraction")) << op;
  }
  EXPECT_THAT(freedom_in("sum_float", good_float({{OpDot, {6, 20, 7, 8}}})), HasSubstr("vectors"));
  EXPECT_THAT(freedom_in("sum_float", good_float({{OpVectorTimesScalar, {6, 20, 7, 8}}})), HasSubstr("vectors"));
  EXPECT_THAT(freedom_in("sum_float", good_float({{OpExtInst, {6, 20, 1, kFma, 7, 8, 9}}})), HasSubstr("fused"));
  const std::string nothing = freedom_in("sum_float", module_of({}));
  for (const char* mode : {"DenormPreserve", "SignedZeroInfNanPreserve", "RoundingModeRTE"}) {
    EXPECT_THAT(nothing, HasSubstr(mode));
  }
}

// ---- What lowbit reads ----------------------------------------------------------------------------------------------

TEST(Shader, BindingsAreCounted) {
  EXPECT_EQ(binding_count(module_of({})), 0u);
  EXPECT_EQ(binding_count(module_of({{OpDecorate, {9, kBinding, 0}}})), 1u);
  EXPECT_EQ(binding_count(module_of({{OpDecorate, {9, kBinding, 3}}, {OpDecorate, {8, kBinding, 1}}})), 4u);
  // Neither another decoration nor another instruction with the same words.
  EXPECT_EQ(binding_count(module_of({{OpDecorate, {9, kDescriptorSet, 7}}, {OpDecorate, {kBinding, kNoContraction}}})),
            0u);
  EXPECT_EQ(binding_count(module_of({{OpFAdd, {9, kBinding, 7, 7}}})), 0u);
}

TEST(Shader, ControlsThatAreNotOfferedAreLeftOut) {
  const Module module = good_float();
  EXPECT_EQ(with_controls(module, {true, true, true}), module);
  struct Case {
    core::vulkan::FloatControls offered;
    uint32_t capability, mode;
  };
  const Case cases[] = {{{.keeps_signed_zero_inf_nan = true, .keeps_subnormals = true}, 4467, kRoundingModeRTE},
                        {{.rounds_to_nearest = true, .keeps_subnormals = true}, 4466, kSignedZeroInfNanPreserve},
                        {{.rounds_to_nearest = true, .keeps_signed_zero_inf_nan = true}, 4464, kDenormPreserve}};
  for (const Case& c : cases) {
    std::vector<Instruction> left = instructions_of(module);
    std::erase_if(left, [&](const Instruction& i) {
      return (i.op == OpCapability && i.operands[0] == c.capability) ||
             (i.op == OpExecutionMode && i.operands[1] == c.mode);
    });
    EXPECT_EQ(with_controls(module, c.offered), module_of(left)) << c.mode;
  }
  const Module none = with_controls(module, {});
  EXPECT_EQ(none.size(), module.size() - 3 * 2 - 3 * 4);
  EXPECT_EQ(with_controls(none, {}), none);
}

}  // namespace
}  // namespace lowbit::test
