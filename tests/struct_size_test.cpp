// Structs of lowbit.h that programs of other versions made: how they are read and written, and what their sizes were.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "call.h"
#include "guarded_pages.h"

namespace lowbit::test {
namespace {

// As a struct of lowbit.h that has grown by its last field.
struct Grown {
  uint32_t struct_size;
  int32_t first;
  int64_t added;
};

}  // namespace
}  // namespace lowbit::test

template <>
inline constexpr size_t lowbit::core::kFirstSize<lowbit::test::Grown> = offsetof(lowbit::test::Grown, added);

namespace lowbit::test {
namespace {

using core::kFirstSize;
using testing::HasSubstr;

// In memory of exactly `size` bytes, of which those behind Grown are zero.
class Placed {
 public:
  explicit Placed(uint32_t size) : pages_(size, true) {
    const Grown value{size, 7, 8};
    std::memcpy(pages_.bytes().data(), &value, std::min<size_t>(size, sizeof(value)));
  }
  Grown* get() const { return reinterpret_cast<Grown*>(pages_.bytes().data()); }
  std::byte& byte(size_t index) const { return pages_.bytes()[index]; }

 private:
  GuardedPages pages_;
};

TEST(Abi, StructsOfOtherVersionsAreRead) {
  const core::Validator check("test");
  Grown read{};
  ASSERT_TRUE(core::read_struct(check, "grown", Placed(8).get(), &read).ok());
  EXPECT_EQ(read.first, 7);
  EXPECT_EQ(read.added, 0) << "an earlier version has no such field";
  for (uint32_t size : {16, 24, 4096}) {
    ASSERT_TRUE(core::read_struct(check, "grown", Placed(size).get(), &read).ok()) << size;
    EXPECT_EQ(read.added, 8) << size;
  }
  const Placed later(24);
  later.byte(23) = std::byte{1};
  EXPECT_THAT(core::read_struct(check, "grown", later.get(), &read).sentence(),
              HasSubstr("test: grown was made for a later lowbit than"));
  later.get()->struct_size = 7;
  EXPECT_EQ(core::read_struct(check, "grown", later.get(), &read).sentence(),
            "test: grown.struct_size is 7, it may be 8 to 4096");
}

TEST(Abi, StructsOfOtherVersionsAreWritten) {
  for (uint32_t size : {8, 16, 24}) {
    const Placed placed(size);
    core::write_struct({.first = -1, .added = -1}, placed.get());
    EXPECT_EQ(placed.get()->struct_size, size);
    EXPECT_EQ(placed.get()->first, -1);
    for (size_t i = 8; i < size; ++i) EXPECT_EQ(placed.byte(i), i < 16 ? std::byte{0xff} : std::byte{}) << i;
  }
}

// What programs of lowbit 0.1 say, on 64 bits. A struct that grew has a line in call.h.
TEST(Abi, FirstSizesStay) {
  static_assert(sizeof(void*) == 8);
  EXPECT_EQ(kFirstSize<lowbit_vulkan_handles>, 72u);
  EXPECT_EQ(kFirstSize<lowbit_device_options>, 48u);
  EXPECT_EQ(kFirstSize<lowbit_device_info>, 208u);
  EXPECT_EQ(kFirstSize<lowbit_backend_info>, 280u);
  EXPECT_EQ(kFirstSize<lowbit_query>, 16u);
  EXPECT_EQ(kFirstSize<lowbit_memory_info>, 24u);
  EXPECT_EQ(kFirstSize<lowbit_fallback>, 264u);
  EXPECT_EQ(kFirstSize<lowbit_rho_statistics>, 112u);
  EXPECT_EQ(kFirstSize<lowbit_rho_gate>, 48u);
  EXPECT_EQ(kFirstSize<lowbit_rho_verdict>, 136u);
  EXPECT_EQ(kFirstSize<lowbit_quantize_pack_args>, 232u);
  EXPECT_EQ(kFirstSize<lowbit_pack_weight_args>, 232u);
  EXPECT_EQ(kFirstSize<lowbit_weight_desc>, 72u);
  EXPECT_EQ(kFirstSize<lowbit_lowrank_projection_args>, 256u);
  EXPECT_EQ(kFirstSize<lowbit_decoder_tail_args>, 256u);
  EXPECT_EQ(kFirstSize<lowbit_rho_compress_args>, 224u);
  EXPECT_EQ(kFirstSize<lowbit_rho_expand_args>, 224u);
  EXPECT_EQ(kFirstSize<lowbit_plan_config>, 32u);
  EXPECT_EQ(kFirstSize<lowbit_capabilities>, 12u);
  EXPECT_EQ(kFirstSize<lowbit_plan>, 12u);
  EXPECT_EQ(kFirstSize<lowbit_model>, 72u);
  EXPECT_EQ(kFirstSize<lowbit_memory_estimate>, 104u);
  // Structs that others hold by value, and those that arrays hold.
  EXPECT_EQ(sizeof(lowbit_tensor), 72u);
  EXPECT_EQ(sizeof(lowbit_activations), 160u);
  EXPECT_EQ(sizeof(lowbit_candidate), 336u);
  EXPECT_EQ(sizeof(lowbit_profile_entry), 64u);
  EXPECT_EQ(sizeof(lowbit_memory_bucket), 16u);
}

}  // namespace
}  // namespace lowbit::test
