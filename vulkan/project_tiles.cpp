#include "projection.h"
#include "shaders/project_tiles_dot_float.h"
#include "shaders/project_tiles_dot_integer.h"
#include "shaders/project_tiles_plain_float.h"
#include "shaders/project_tiles_plain_integer.h"

namespace lowbit::core::vulkan {
namespace {

constexpr int64_t kRows = 64, kPanels = 2;  // of a tile, as in shaders/project_tiles.comp
constexpr int64_t kMostDepth = 8192;        // so that an invocation makes fewer than 32,768 turns of loops
constexpr int64_t kLeastSteps = 8;          // that are worth storing a tile of sums

}  // namespace

template <typename Operation, Products kProducts, Arithmetic kArithmetic>
Status project_tiles(Stream& stream, const Operation& op) {
  Problem problem{};
  LOWBIT_TRY(make_problem(op, &problem));
  const int64_t step_rows = panel32_step(op.weight->format()) / problem.depth;
  return project(stream, problem,
                 {.shader = LOWBIT_PRODUCTS_SHADER(project_tiles, kProducts, kArithmetic),
                  .arithmetic = kArithmetic,
                  .tile_rows = kRows,
                  .tile_panels = kPanels,
                  .most_depth = kMostDepth,
                  .step_rows = step_rows,
                  .least_rows = kLeastSteps * step_rows});
}

template Status project_tiles<LowrankProjection, Products::dot, Arithmetic::float32>(Stream&, const LowrankProjection&);
template Status project_tiles<LowrankProjection, Products::dot, Arithmetic::integer>(Stream&, const LowrankProjection&);
template Status project_tiles<LowrankProjection, Products::plain, Arithmetic::float32>(Stream&,
                                                                                       const LowrankProjection&);
template Status project_tiles<LowrankProjection, Products::plain, Arithmetic::integer>(Stream&,
                                                                                       const LowrankProjection&);
template Status project_tiles<DecoderTail, Products::dot, Arithmetic::float32>(Stream&, const DecoderTail&);
template Status project_tiles<DecoderTail, Products::dot, Arithmetic::integer>(Stream&, const DecoderTail&);
template Status project_tiles<DecoderTail, Products::plain, Arithmetic::float32>(Stream&, const DecoderTail&);
template Status project_tiles<DecoderTail, Products::plain, Arithmetic::integer>(Stream&, const DecoderTail&);

}  // namespace lowbit::core::vulkan
