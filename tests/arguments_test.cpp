// What the operations refuse: a call that is wrong in one thing is answered with a sentence that names it, and writes
// nothing.
#include "arguments.h"

namespace lowbit::test {
namespace {

TEST_P(ArgumentsTest, QuantizePack) {
  using Args = lowbit_quantize_pack_args;
  const Args valid{sizeof(Args),
                   LOWBIT_INT8,
                   LOWBIT_ABSMAX,
                   LOWBIT_PER_TOKEN,
                   tensor(LOWBIT_TYPE_F32, {2, 3, 5}),
                   tensor(LOWBIT_TYPE_I32, {2, 3, 2}),
                   tensor(LOWBIT_TYPE_F32, {6})};
  const auto call = &lowbit_quantize_pack;
  const auto input = NAMED(Args, input), codes = NAMED(Args, codes), scales = NAMED(Args, scales);
  expect_common_refused<Args>(call, valid, {input, codes, scales});
  expect_overlap_refused<Args>(call, valid, codes, input);
  expect_overlap_refused<Args>(call, valid, scales, input);
  expect_overlap_refused<Args>(call, valid, scales, codes);
  expect_enum_refused<Args>(call, valid, ENUM(Args, format), {-1, 3, 4, 5, 6, 1 << 20});
  expect_enum_refused<Args>(call, valid, ENUM(Args, rule), {-1, 2});
  expect_enum_refused<Args>(call, valid, ENUM(Args, group), {-1, 3, 4});
  Args args = valid;
  args.group = LOWBIT_PER_TOKEN_ALL_HEADS;
  expect_refused<Args>(call, args, "input.rank is 3, it may be 4 to 4");
  args = valid;
  args.group = LOWBIT_PER_TENSOR;
  expect_refused<Args>(call, args, "scales has shape [6] with 6 elements, it must have 1");
  args = valid;
  args.codes.shape[0] = 3, args.codes.shape[1] = 2;
  expect_refused<Args>(call, args, "codes has shape [3, 2, 2], its axis 0");
}

TEST_P(ArgumentsTest, PackWeight) {
  using Args = lowbit_pack_weight_args;
  const Args valid{sizeof(Args),
                   LOWBIT_TERNARY,
                   LOWBIT_ABSMAX,
                   LOWBIT_PER_CHANNEL,
                   tensor(LOWBIT_TYPE_F32, {2, 3, 5}),
                   tensor(LOWBIT_TYPE_U8, {8}),
                   tensor(LOWBIT_TYPE_F32, {10})};
  const auto call = &lowbit_pack_weight;
  const auto input = NAMED(Args, input), packed = NAMED(Args, packed), scales = NAMED(Args, scales);
  expect_common_refused<Args>(call, valid, {input, packed, scales});
  expect_overlap_refused<Args>(call, valid, packed, input);
  expect_overlap_refused<Args>(call, valid, scales, packed);
  expect_enum_refused<Args>(call, valid, ENUM(Args, format), {-1, 1, 2, 5, 6});
  expect_enum_refused<Args>(call, valid, ENUM(Args, rule), {-1, 2});
  expect_enum_refused<Args>(call, valid, ENUM(Args, group), {-1, 1, 2, 4});
  Args args = valid;
  args.input.rank = 1;
  expect_refused<Args>(call, args, "input.rank is 1, it may be 2 to 4");
}

TEST_P(ArgumentsTest, LowrankProjection) {
  using Args = lowbit_lowrank_projection_args;
  lowbit_weight* made = weight(device, LOWBIT_LOWRANK_PROJECTION);
  const Args valid{.struct_size = sizeof(Args),
                   .input = {.values = tensor(LOWBIT_TYPE_I32, {3, 2, 4, 2}), .scales = tensor(LOWBIT_TYPE_F32, {24})},
                   .weight = made,
                   .output = tensor(LOWBIT_TYPE_F32, {3, 2, 4, 5})};
  const auto call = &lowbit_lowrank_projection;
  const auto values = NAMED(Args, input.values), scales = NAMED(Args, input.scales), output = NAMED(Args, output);
  expect_common_refused<Args>(call, valid, {values, scales, output}, "input.scales");
  expect_overlap_refused<Args>(call, valid, output, values);
  expect_overlap_refused<Args>(call, valid, output, scales);
  expect_enum_refused<Args>(call, valid, ENUM(Args, input.format), {-1, 3, 4, 5, 6});

  Args args = valid;
  args.input.values = tensor(LOWBIT_TYPE_F32, {3, 2, 4, 6});
  expect_refused<Args>(call, args, "input.scales is given, but float values");
  args.input.scales = {};
  ASSERT_EQ(call(stream, &args), LOWBIT_OK);
  expect_enum_refused<Args>(call, args, ENUM(Args, input.format), {-1, 3, 4, 6});
  expect_enum_refused<Args>(call, args, ENUM(Args, input.rule), {-1, 2});
  expect_enum_refused<Args>(call, args, ENUM(Args, input.group), {-1, 2, 3, 4});

  for (int axis : {0, 1, 2, 3}) {
    args = valid;
    args.output.shape[axis] += 1, args.output.size = 0;
    expect_refused<Args>(call, args, fmt::format("its axis {}", axis));
  }
  args = valid;
  args.input.values.shape[1] = 3, args.input.values.shape[0] = 2;
  expect_refused<Args>(call, args, "input.values has shape [2, 3, 4, 2], its axis 1 (heads) may be 1 or 2");

  lowbit_device* elsewhere = open();
  lowbit_weight* strange[] = {weight(device, LOWBIT_DECODER_TAIL), weight(elsewhere, LOWBIT_LOWRANK_PROJECTION),
                              nullptr};
  const char* says[] = {"weight was prepared for decoder_tail", "weight was prepared on another device",
                        "weight is NULL"};
  for (int i = 0; i < 3; ++i) {
    args = valid;
    args.weight = strange[i];
    expect_refused<Args>(call, args, says[i]);
    lowbit_weight_destroy(strange[i]);
  }
  lowbit_device_close(elsewhere);
  lowbit_weight_destroy(made);
}

TEST_P(ArgumentsTest, DecoderTail) {
  using Args = lowbit_decoder_tail_args;
  lowbit_weight* made = weight(device, LOWBIT_DECODER_TAIL);
  const Args valid{.struct_size = sizeof(Args),
                   .input = {.values = tensor(LOWBIT_TYPE_I32, {3, 2, 4, 2}), .scales = tensor(LOWBIT_TYPE_F32, {12})},
                   .weight = made,
                   .output = tensor(LOWBIT_TYPE_F32, {3, 1, 4, 5})};
  const auto call = &lowbit_decoder_tail;
  const auto values = NAMED(Args, input.values), scales = NAMED(Args, input.scales), output = NAMED(Args, output);
  expect_common_refused<Args>(call, valid, {values, scales, output}, "input.scales");
  expect_overlap_refused<Args>(call, valid, output, values);
  expect_overlap_refused<Args>(call, valid, output, scales);
  expect_enum_refused<Args>(call, valid, ENUM(Args, input.format), {-1, 3, 4, 5, 6});
  for (int axis : {0, 1, 2, 3}) {
    Args args = valid;
    args.output.shape[axis] += 1, args.output.size = 0;
    expect_refused<Args>(call, args, fmt::format("its axis {}", axis));
  }
  for (int64_t latent : {-1, 7, 100}) {
    Args args = valid;
    args.latent = latent;
    expect_refused<Args>(call, args, fmt::format("latent is {}, it may be 1 to 6", latent));
  }
  Args args = valid;
  args.latent = 4;  // one word
  expect_refused<Args>(call, args, "input.values has shape [3, 2, 4, 2], its axis 3");
  args = valid;
  args.input.values.shape[1] = 1;
  expect_refused<Args>(call, args, "input.values has shape [3, 1, 4, 2], its axis 1 (heads) must be 2");
  args = valid;
  args.weight = nullptr;
  expect_refused<Args>(call, args, "weight is NULL");
  lowbit_weight* strange = weight(device, LOWBIT_LOWRANK_PROJECTION);
  args.weight = strange;
  expect_refused<Args>(call, args, "weight was prepared for lowrank_projection");
  lowbit_weight_destroy(strange);
  lowbit_weight_destroy(made);
}

TEST_P(ArgumentsTest, RhoCompress) {
  using Args = lowbit_rho_compress_args;
  const Args valid{sizeof(Args), LOWBIT_BINARY, tensor(LOWBIT_TYPE_F32, {5, 7}), tensor(LOWBIT_TYPE_U8, {5}),
                   tensor(LOWBIT_TYPE_F32, {2})};
  const auto call = &lowbit_rho_compress;
  const auto input = NAMED(Args, input), packed = NAMED(Args, packed), scales = NAMED(Args, scales);
  expect_common_refused<Args>(call, valid, {input, packed, scales});
  expect_overlap_refused<Args>(call, valid, packed, input);
  expect_overlap_refused<Args>(call, valid, scales, packed);
  expect_enum_refused<Args>(call, valid, ENUM(Args, encoding), {-1, 1, 2, 5, 6});
}

TEST_P(ArgumentsTest, RhoExpand) {
  using Args = lowbit_rho_expand_args;
  const Args valid{sizeof(Args), LOWBIT_BINARY, tensor(LOWBIT_TYPE_U8, {5}), tensor(LOWBIT_TYPE_F32, {2}),
                   tensor(LOWBIT_TYPE_F32, {5, 7})};
  const auto call = &lowbit_rho_expand;
  const auto packed = NAMED(Args, packed), scales = NAMED(Args, scales), output = NAMED(Args, output);
  expect_common_refused<Args>(call, valid, {packed, scales});
  expect_overlap_refused<Args>(call, valid, output, packed);
  expect_overlap_refused<Args>(call, valid, output, scales);
  expect_enum_refused<Args>(call, valid, ENUM(Args, encoding), {-1, 1, 2, 5, 6});
}

INSTANTIATE_TEST_SUITE_P(Devices, ArgumentsTest, testing::ValuesIn(unmasked_targets()), name_of_target);

}  // namespace
}  // namespace lowbit::test
