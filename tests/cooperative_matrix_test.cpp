// Which of the matrices that a device lists are taken: no device of the tests lists any.
#include "vulkan/cooperative_matrix.h"

#include <gtest/gtest.h>

#include <vector>

namespace lowbit::test {
namespace {

using core::vulkan::choose_matrix;
using core::vulkan::CooperativeMatrix;

constexpr auto S8 = VK_COMPONENT_TYPE_SINT8_NV, U8 = VK_COMPONENT_TYPE_UINT8_NV, S32 = VK_COMPONENT_TYPE_SINT32_NV,
               U32 = VK_COMPONENT_TYPE_UINT32_NV, F16 = VK_COMPONENT_TYPE_FLOAT16_NV;

VkCooperativeMatrixPropertiesNV listed(uint32_t M, uint32_t N, uint32_t K, VkComponentTypeNV operands = S8,
                                       VkComponentTypeNV sums = S32, VkScopeNV scope = VK_SCOPE_SUBGROUP_NV) {
  return {.sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_NV,
          .MSize = M,
          .NSize = N,
          .KSize = K,
          .AType = operands,
          .BType = operands,
          .CType = sums,
          .DType = sums,
          .scope = scope};
}

std::vector<uint32_t> chosen(const std::vector<VkCooperativeMatrixPropertiesNV>& all) {
  const CooperativeMatrix matrix = choose_matrix(all);
  return {matrix.M, matrix.N, matrix.K};
}

const std::vector<uint32_t> kNone = {0, 0, 0};

TEST(CooperativeMatrix, TheFirstOfUseIsTaken) {
  EXPECT_EQ(chosen({}), kNone);
  EXPECT_FALSE(choose_matrix({}).is_there());
  const std::vector<VkCooperativeMatrixPropertiesNV> all = {listed(16, 16, 16, F16, F16), listed(16, 16, 32, U8, U32),
                                                            listed(16, 16, 32), listed(16, 8, 32)};
  EXPECT_EQ(chosen(all), (std::vector<uint32_t>{16, 16, 32}));
  EXPECT_EQ(chosen({all.rbegin(), all.rend()}), (std::vector<uint32_t>{16, 8, 32}));
  EXPECT_TRUE(choose_matrix(all).is_there());
}

TEST(CooperativeMatrix, OthersAreNot) {
  EXPECT_EQ(chosen({listed(16, 16, 32, S8, S32, VK_SCOPE_WORKGROUP_NV)}), kNone);
  EXPECT_EQ(chosen({listed(16, 16, 32, S8, S8)}), kNone);
  for (auto member : {&VkCooperativeMatrixPropertiesNV::AType, &VkCooperativeMatrixPropertiesNV::BType,
                      &VkCooperativeMatrixPropertiesNV::CType, &VkCooperativeMatrixPropertiesNV::DType}) {
    VkCooperativeMatrixPropertiesNV one = listed(16, 16, 32);
    one.*member = U8;
    EXPECT_EQ(chosen({one}), kNone);
  }
  // Larger than the part of a tile has room for, or no whole share of it.
  for (const auto& size : {listed(32, 8, 32), listed(16, 64, 32), listed(16, 16, 128), listed(16, 16, 8),
                           listed(12, 16, 32), listed(16, 24, 32), listed(16, 16, 48), listed(0, 16, 32)}) {
    EXPECT_EQ(chosen({size}), kNone) << size.MSize << ' ' << size.NSize << ' ' << size.KSize;
  }
}

}  // namespace
}  // namespace lowbit::test
