#include "projection.h"
#include "shaders/project_coopmat_float.h"
#include "shaders/project_coopmat_integer.h"

namespace lowbit::core::vulkan {
namespace {

constexpr int64_t kRows = 64, kPanels = 4, kStep = 64;  // of a tile, as in shaders/project_coopmat.comp
constexpr int64_t kLeastSteps = 16;                     // that are worth storing a tile of sums

}  // namespace

template <typename Operation, Arithmetic kArithmetic>
Status project_coopmat(Stream& stream, const Operation& op) {
  Problem problem{};
  LOWBIT_TRY(make_problem(op, &problem));
  const CooperativeMatrix& matrix = static_cast<VulkanStream&>(stream).vulkan_device().matrix();
  const int64_t step_rows = kStep / problem.depth;
  return project(stream, problem,
                 {.shader = LOWBIT_FLOAT_SHADER(project_coopmat, kArithmetic),
                  .arithmetic = kArithmetic,
                  .tile_rows = kRows,
                  .tile_panels = kPanels,
                  .group = matrix.group_size(),
                  .constants = {matrix.M, matrix.N, matrix.K},
                  .most_depth = kNarrowDepth,
                  .step_rows = step_rows,
                  .least_rows = kLeastSteps * step_rows});
}

template Status project_coopmat<LowrankProjection, Arithmetic::float32>(Stream&, const LowrankProjection&);
template Status project_coopmat<LowrankProjection, Arithmetic::integer>(Stream&, const LowrankProjection&);
template Status project_coopmat<DecoderTail, Arithmetic::float32>(Stream&, const DecoderTail&);
template Status project_coopmat<DecoderTail, Arithmetic::integer>(Stream&, const DecoderTail&);

}  // namespace lowbit::core::vulkan
