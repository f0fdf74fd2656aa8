#include <algorithm>
#include <bit>

#include "projection.h"
#include "shaders/project_rows_dot_float.h"
#include "shaders/project_rows_dot_integer.h"
#include "shaders/project_rows_plain_float.h"
#include "shaders/project_rows_plain_integer.h"

namespace lowbit::core::vulkan {
namespace {

constexpr int64_t kMostRows = 8;            // of activations, in a workgroup
constexpr int64_t kLanes = 16, kBatch = 4;  // as in shaders/rows.glsl

}  // namespace

template <typename Operation, Products kProducts, Arithmetic kArithmetic>
Status project_rows(Stream& stream, const Operation& op) {
  Problem problem{};
  LOWBIT_TRY(make_problem(op, &problem));
  const int64_t rows = std::min(static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(problem.M))), kMostRows);
  return project(stream, problem,
                 {.shader = LOWBIT_PRODUCTS_SHADER(project_rows, kProducts, kArithmetic),
                  .arithmetic = kArithmetic,
                  .tile_rows = rows,
                  .tile_panels = 1,
                  .constants = {static_cast<uint32_t>(rows)},
                  .most_depth = kNarrowDepth,
                  .least_rows = kLanes * kBatch});
}

template Status project_rows<LowrankProjection, Products::dot, Arithmetic::float32>(Stream&, const LowrankProjection&);
template Status project_rows<LowrankProjection, Products::dot, Arithmetic::integer>(Stream&, const LowrankProjection&);
template Status project_rows<LowrankProjection, Products::plain, Arithmetic::float32>(Stream&,
                                                                                      const LowrankProjection&);
template Status project_rows<LowrankProjection, Products::plain, Arithmetic::integer>(Stream&,
                                                                                      const LowrankProjection&);
template Status project_rows<DecoderTail, Products::dot, Arithmetic::float32>(Stream&, const DecoderTail&);
template Status project_rows<DecoderTail, Products::dot, Arithmetic::integer>(Stream&, const DecoderTail&);
template Status project_rows<DecoderTail, Products::plain, Arithmetic::float32>(Stream&, const DecoderTail&);
template Status project_rows<DecoderTail, Products::plain, Arithmetic::integer>(Stream&, const DecoderTail&);

}  // namespace lowbit::core::vulkan
