// Streams on host memory: on every backend the results of the reference, and nothing else touched.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "error_of.h"
#include "host_calls.h"
#include "targets.h"

namespace lowbit::test {
namespace {

using testing::HasSubstr;

class HostMemoryTest : public testing::TestWithParam<Target> {
 protected:
  void SetUp() override {
    std::string absent;
    device = open(GetParam(), &absent);
    if (!device) GTEST_SKIP() << absent;
    stream.emplace(Stream::on_host_memory(*device));
  }
  std::optional<Device> device;
  std::optional<Stream> stream;
};

TEST_P(HostMemoryTest, EveryOperationGivesTheReferencesBits) {
  const HostCalls calls(*device);
  for (int turn = 0; turn < 2; ++turn) EXPECT_EQ(calls.run(*stream), HostCalls::expected());
  EXPECT_EQ(stream->fallback().reason, LOWBIT_FALLBACK_NONE);
  EXPECT_STREQ(stream->fallback().detail, "");
}

TEST_P(HostMemoryTest, OverlapsAreOfHostMemory) {
  std::vector<float> values(64);
  std::vector<float> scales(2);
  auto* packed = reinterpret_cast<uint8_t*>(values.data()) + 4;
  const Error error = error_of([&] {
    rho_compress(*stream, {.encoding = LOWBIT_INT8,
                           .input = tensor(values.data(), LOWBIT_TYPE_F32, {64}),
                           .packed = tensor(packed, LOWBIT_TYPE_U8, {64}),
                           .scales = tensor(scales.data(), LOWBIT_TYPE_F32, {2})});
  });
  EXPECT_EQ(error.status(), LOWBIT_INVALID_ARGUMENT);
  EXPECT_THAT(error.what(), HasSubstr("packed overlaps input"));
}

TEST_P(HostMemoryTest, RefusedDataIsToldByTheCall) {
  std::vector<uint8_t> packed(8, 0xff);  // ternary code 3
  std::vector<float> scales(1, 1.0f), output(32, 7.0f);
  const Error error = error_of([&] {
    rho_expand(*stream, {.encoding = LOWBIT_TERNARY,
                         .packed = tensor(packed.data(), LOWBIT_TYPE_U8, {8}),
                         .scales = tensor(scales.data(), LOWBIT_TYPE_F32, {1}),
                         .output = tensor(output.data(), LOWBIT_TYPE_F32, {32})});
  });
  EXPECT_EQ(error.status(), LOWBIT_INVALID_ARGUMENT);
  EXPECT_THAT(error.what(), HasSubstr("code 3"));
  EXPECT_EQ(output, std::vector<float>(32, 7.0f));
}

INSTANTIATE_TEST_SUITE_P(Devices, HostMemoryTest, testing::ValuesIn(targets()), name_of_target);

}  // namespace
}  // namespace lowbit::test
