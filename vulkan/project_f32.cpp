#include "projection.h"
#include "shaders/project_f32_float.h"
#include "shaders/project_f32_integer.h"

namespace lowbit::core::vulkan {
namespace {

constexpr int64_t kLeastRows = 16;  // of a panel: one for each lane

}  // namespace

template <typename Operation, Arithmetic kArithmetic>
Status project_f32(Stream& stream, const Operation& op) {
  Problem problem{};
  LOWBIT_TRY(make_problem(op, &problem));
  return project(stream, problem,
                 {.shader = LOWBIT_FLOAT_SHADER(project_f32, kArithmetic),
                  .arithmetic = kArithmetic,
                  .tile_rows = 1,
                  .tile_panels = 1,
                  .most_depth = kNarrowDepth,
                  .least_rows = kLeastRows,
                  .cost = kArithmetic == Arithmetic::float32 ? 4 : 64});
}

template Status project_f32<LowrankProjection, Arithmetic::float32>(Stream&, const LowrankProjection&);
template Status project_f32<LowrankProjection, Arithmetic::integer>(Stream&, const LowrankProjection&);
template Status project_f32<DecoderTail, Arithmetic::float32>(Stream&, const DecoderTail&);
template Status project_f32<DecoderTail, Arithmetic::integer>(Stream&, const DecoderTail&);

}  // namespace lowbit::core::vulkan
