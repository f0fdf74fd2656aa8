#include "projection.h"
#include "shaders/project_sparse_dot_float.h"
#include "shaders/project_sparse_dot_integer.h"
#include "shaders/project_sparse_plain_float.h"
#include "shaders/project_sparse_plain_integer.h"

namespace lowbit::core::vulkan {
namespace {

constexpr int64_t kMostListed = 2048;  // rows of a panel, as in shaders/project_sparse.comp
constexpr int64_t kLeastListed = 256;  // that are worth a list

}  // namespace

template <typename Operation, Products kProducts, Arithmetic kArithmetic>
Status project_sparse(Stream& stream, const Operation& op) {
  Problem problem{};
  LOWBIT_TRY(make_problem(op, &problem));
  return project(stream, problem,
                 {.shader = LOWBIT_PRODUCTS_SHADER(project_sparse, kProducts, kArithmetic),
                  .arithmetic = kArithmetic,
                  .tile_rows = 1,
                  .tile_panels = 1,
                  .constants = {1},
                  .most_depth = kNarrowDepth,
                  .most_rows = kMostListed,
                  .least_rows = kLeastListed});
}

template Status project_sparse<DecoderTail, Products::dot, Arithmetic::float32>(Stream&, const DecoderTail&);
template Status project_sparse<DecoderTail, Products::dot, Arithmetic::integer>(Stream&, const DecoderTail&);
template Status project_sparse<DecoderTail, Products::plain, Arithmetic::float32>(Stream&, const DecoderTail&);
template Status project_sparse<DecoderTail, Products::plain, Arithmetic::integer>(Stream&, const DecoderTail&);

}  // namespace lowbit::core::vulkan
