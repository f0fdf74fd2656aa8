#include "kernels.h"
#include "rho_blocks.h"
#include "shaders/rho_compress_float.h"
#include "shaders/rho_compress_integer.h"

namespace lowbit::core::vulkan {
namespace {

struct Push {
  RhoPiece piece;
  float factor, last_factor;
};

// Of the maximum, or of the sum, of a block of n values.
float factor_of(lowbit_format encoding, int64_t n) {
  return static_cast<float>(1.0 / static_cast<double>(encoding == LOWBIT_INT8 ? LOWBIT_QMAX_INT8 : n));
}

}  // namespace

template <Arithmetic kArithmetic>
Status rho_compress(Stream& stream, const RhoCompress& op) {
  const Shader shader = LOWBIT_FLOAT_SHADER(rho_compress, kArithmetic);
  Recording record(stream, "rho_compress");
  const RhoTensor values(op.input, op.n);
  return for_each_rho_piece(record, values, op.n, [&](int64_t first, int64_t count) {
    const int64_t block = LOWBIT_RHO_BLOCK, last = values.values_of(first + count - 1, 1);
    const Push push{values.piece(first, count), factor_of(op.encoding, block), factor_of(op.encoding, last)};
    return record.dispatch(shader, {kThreads, rho_bits(op.encoding), values.is_whole()},
                           {values.range(first, count), rho_codes(op.packed, op.encoding, values, first, count),
                            rho_scales(op.scales, first, count)},
                           push, ceil_div(count, kRhoGroupBlocks));
  });
}

template Status rho_compress<Arithmetic::float32>(Stream&, const RhoCompress&);
template Status rho_compress<Arithmetic::integer>(Stream&, const RhoCompress&);

}  // namespace lowbit::core::vulkan
