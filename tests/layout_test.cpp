// Orders of packed weights: every code is found again, nothing else is in the bytes, and the scalar kernels read all of
// them.
#include "layout.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "fake_device.h"
#include "reference/kernels.h"
#include "values.h"
#include "weight.h"

namespace lowbit::core {
namespace {

using test::make_codes;
using test::pack_bytes;

constexpr Layout kLayouts[] = {Layout::plain, Layout::panel64, Layout::rows64, Layout::panel32};
constexpr lowbit_format kFormats[] = {LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY};

std::vector<WeightShape> shapes() {
  std::vector<WeightShape> shapes;
  for (int64_t H : {1, 2, 3}) {
    for (int64_t K : {1, 3, 4, 5, 7, 8, 9, 17, 65, 129}) {
      for (int64_t N : {1, 2, 7, 8, 9, 16, 17, 33, 64, 65}) shapes.push_back({H, K, N});
    }
  }
  return shapes;
}

TEST(Layout, EveryCodeHasAPlaceOfItsOwn) {
  for (Layout layout : kLayouts) {
    for (lowbit_format format : kFormats) {
      for (const WeightShape& s : shapes()) {
        const int64_t room = layout_size(layout, format, s) * codes_per_byte(format);
        std::set<int64_t> places;
        for (int64_t i = 0; i < s.H * s.K * s.N; ++i) {
          const int64_t at = layout_index(layout, format, s, i / s.N / s.K, i / s.N % s.K, i % s.N);
          EXPECT_TRUE(at >= 0 && at < room && places.insert(at).second)
              << name_of(layout) << " " << name_of(format) << " " << s.H << "x" << s.K << "x" << s.N << " code " << i;
        }
      }
    }
  }
}

TEST(Layout, KeepsTheCodesAndPadsWithZeroBits) {
  for (Layout layout : kLayouts) {
    for (lowbit_format format : kFormats) {
      for (const WeightShape& s : shapes()) {
        const std::vector<int32_t> codes = make_codes(format, s.H * s.K * s.N, 1);
        // Junk that must not survive, and exactly the bytes that there should be.
        std::vector<uint8_t> bytes(static_cast<size_t>(layout_size(layout, format, s)), 0xff);
        apply_layout(layout, format, s, pack_bytes(format, codes).data(), bytes.data());
        std::vector<uint8_t> expected(bytes.size());
        for (int64_t i = 0; i < s.H * s.K * s.N; ++i) {
          const int64_t at = layout_index(layout, format, s, i / s.N / s.K, i / s.N % s.K, i % s.N);
          ASSERT_EQ(layout_code(layout, format, bytes.data(), at), codes[i]);
          put_layout_code(layout, format, expected.data(), at, codes[i]);
        }
        ASSERT_EQ(bytes, expected) << name_of(layout) << " " << name_of(format);
      }
    }
  }
}

// The diagrams of layout.h, by hand.
TEST(Layout, Panel64Diagram) {
  const WeightShape s{2, 37, 65};
  // Head 1, panel 1 of 2, column 64; step 36 is the first of the last word, in its lowest bits.
  EXPECT_EQ(layout_index(Layout::panel64, LOWBIT_INT8, s, 1, 36, 64), (((1 * 2 + 1) * 10 + 9) * 64 + 0) * 4);
  EXPECT_EQ(layout_index(Layout::panel64, LOWBIT_INT8, s, 0, 2, 1), 1 * 4 + 2);
  // Byte 2 of column 1's word has steps 2 and 6; byte 1 of a binary one steps 1, 5, ... 29.
  EXPECT_EQ(layout_index(Layout::panel64, LOWBIT_TERNARY, s, 0, 6, 1), (1 * 4 + 2) * 4 + 1);
  EXPECT_EQ(layout_index(Layout::panel64, LOWBIT_BINARY, s, 0, 29, 3), (3 * 4 + 1) * 8 + 7);
  EXPECT_EQ(layout_size(Layout::panel64, LOWBIT_INT8, s), 2 * 2 * 10 * 256);
  EXPECT_EQ(layout_size(Layout::panel64, LOWBIT_TERNARY, s), 2 * 2 * 3 * 256);
  EXPECT_EQ(layout_size(Layout::panel64, LOWBIT_BINARY, s), 2 * 2 * 2 * 256);
}

TEST(Layout, Rows64Diagram) {
  const WeightShape s{2, 5, 70};
  // Head 1, row 4, the second 64 columns; column 5 of them is v = 0, i = 1, j = 1.
  EXPECT_EQ(layout_index(Layout::rows64, LOWBIT_INT8, s, 1, 4, 69), ((1 * 5 + 4) * 2 + 1) * 64 + 17);
  EXPECT_EQ(layout_index(Layout::rows64, LOWBIT_TERNARY, s, 0, 0, 5), 1 * 4 + 1);  // byte 1, bits 2 and 3
  EXPECT_EQ(layout_index(Layout::rows64, LOWBIT_BINARY, s, 0, 0, 5), 1 * 8 + 2);   // byte 1, bit 2
  EXPECT_EQ(layout_index(Layout::rows64, LOWBIT_INT8, s, 0, 0, 63), 63);           // v = 3, i = 3, j = 3
  EXPECT_EQ(layout_size(Layout::rows64, LOWBIT_INT8, s), 10 * 2 * 64);
  EXPECT_EQ(layout_size(Layout::rows64, LOWBIT_TERNARY, s), 10 * 2 * 16);
  EXPECT_EQ(layout_size(Layout::rows64, LOWBIT_BINARY, s), 10 * 2 * 8);
}

// A weight keeps the layout of the kernel that it was prepared for when that kernel is barred later.
TEST(Layout, TheScalarKernelsReadEveryLayout) {
  const std::shared_ptr<Device> device = test::open_cpu(kernel_table());
  std::unique_ptr<Stream> stream;
  ASSERT_TRUE(device->create_stream(&stream).ok());
  constexpr int64_t H = 2, K = 13, N = 11;
  for (lowbit_format format : kFormats) {
    for (lowbit_operation operation : {LOWBIT_LOWRANK_PROJECTION, LOWBIT_DECODER_TAIL}) {
      const std::vector<uint8_t> packed = pack_bytes(format, make_codes(format, H * K * N, 2));
      const float scale = 0.5f;
      const lowbit_weight_desc desc{sizeof(desc), operation, format, H, K, N, packed.data(), packed.size(), &scale, 1};
      std::vector<std::vector<float>> outputs;
      for (Layout layout : kLayouts) {
        std::unique_ptr<Weight> weight;
        ASSERT_TRUE(Weight::upload(device, desc, layout, &weight).ok());
        EXPECT_EQ(weight->size(), static_cast<size_t>(layout_size(layout, format, {H, K, N})) + sizeof(float));
        std::vector<uint32_t> codes(H * 4);
        for (size_t i = 0; i < codes.size(); ++i) codes[i] = 0x01f3257f + static_cast<uint32_t>(i);
        std::vector<float>& out = outputs.emplace_back(H * N);
        ActivationOperand input{
            {.data = codes.data(), .shape = {1, H, 1, 4}, .row_stride = 4, .rank = 4, .type = LOWBIT_TYPE_I32},
            LOWBIT_INT8,
            {},
            1};
        const auto output = [&](int64_t heads) {
          return Tensor{
              .data = out.data(), .shape = {1, heads, 1, N}, .row_stride = N, .rank = 4, .type = LOWBIT_TYPE_F32};
        };
        const Status status =
            operation == LOWBIT_DECODER_TAIL
                ? reference::decoder_tail(*stream, {input, weight.get(), output(1), 1, H, 1, K, N})
                : reference::lowrank_projection(*stream, {input, weight.get(), output(H), {}, 1, H, H, 1, K, N});
        ASSERT_TRUE(status.ok());
      }
      for (const auto& output : outputs) EXPECT_EQ(output, outputs[0]) << name_of(format) << " " << name_of(operation);
      EXPECT_NE(outputs[0][0], 0.0f);
    }
  }
}

TEST(Sizes, OfPackedData) {
  EXPECT_EQ(lowbit_packed_weight_size(LOWBIT_INT8, 7), 7u);
  EXPECT_EQ(lowbit_packed_weight_size(LOWBIT_TERNARY, 7), 2u);
  EXPECT_EQ(lowbit_packed_weight_size(LOWBIT_BINARY, 7), 1u);
  EXPECT_EQ(lowbit_packed_weight_size(LOWBIT_BINARY, 9), 2u);
  EXPECT_EQ(lowbit_packed_weight_size(LOWBIT_BINARY, UINT64_MAX), (UINT64_MAX >> 3) + 1);
  for (lowbit_format format :
       {LOWBIT_INT4, LOWBIT_UINT8, LOWBIT_F32, static_cast<lowbit_format>(-1), static_cast<lowbit_format>(77)}) {
    EXPECT_EQ(lowbit_packed_weight_size(format, 8), 0u);
    EXPECT_EQ(lowbit_rho_packed_size(format, 8), 0u);
  }
  EXPECT_EQ(lowbit_rho_packed_size(LOWBIT_TERNARY, 33), 9u);
  EXPECT_EQ(lowbit_rho_packed_size(LOWBIT_BINARY, 65), 9u);
  EXPECT_EQ(lowbit_rho_block_count(0), 0u);
  EXPECT_EQ(lowbit_rho_block_count(32), 1u);
  EXPECT_EQ(lowbit_rho_block_count(33), 2u);
  EXPECT_EQ(lowbit_rho_block_count(UINT64_MAX), (UINT64_MAX >> 5) + 1);
}

}  // namespace
}  // namespace lowbit::core
