#include <fmt/format.h>

#include "kernels.h"
#include "rho_blocks.h"
#include "shaders/rho_expand_float.h"
#include "shaders/rho_expand_integer.h"

namespace lowbit::core::vulkan {
namespace {

struct Push {
  RhoPiece piece;
  uint32_t first;
};

std::string ternary_code_sentence(int, uint32_t index) {
  return fmt::format("rho_expand: packed holds the invalid ternary code 3 in block {}, at value {}",
                     index / LOWBIT_RHO_BLOCK, index);
}

}  // namespace

template <Arithmetic kArithmetic>
Status rho_expand(Stream& stream, const RhoExpand& op) {
  const Shader shader = LOWBIT_FLOAT_SHADER(rho_expand, kArithmetic);
  Recording record(stream, "rho_expand");
  const RhoTensor values(op.output, op.n);
  Range refused = rho_scales(op.scales, 0, 1);  // where nothing can be refused, a binding all the same
  if (op.encoding == LOWBIT_TERNARY) LOWBIT_TRY(record.stream().refusals().watch(ternary_code_sentence, &refused));
  return for_each_rho_piece(record, values, op.n, [&](int64_t first, int64_t count) {
    const Push push{values.piece(first, count), static_cast<uint32_t>(first * LOWBIT_RHO_BLOCK)};
    return record.dispatch(shader, {kThreads, rho_bits(op.encoding), values.is_whole()},
                           {rho_codes(op.packed, op.encoding, values, first, count),
                            rho_scales(op.scales, first, count), values.range(first, count), refused},
                           push, ceil_div(count, kRhoGroupBlocks));
  });
}

template Status rho_expand<Arithmetic::float32>(Stream&, const RhoExpand&);
template Status rho_expand<Arithmetic::integer>(Stream&, const RhoExpand&);

}  // namespace lowbit::core::vulkan
