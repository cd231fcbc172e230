// SPDX-License-Identifier: Apache-2.0
// Products of ever new shapes do not fill the memory. A program of its own: the limit counts before the first product.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "framework/base/memory.h"
#include "parallel/tensor/gemm.h"
#include "tests/support/heap.h"

namespace retain::parallel {
namespace {

void multiply_rows(std::int64_t first, std::int64_t end) {
  const at::Tensor weight_OI = at::ones({128, 128});
  for (std::int64_t rows = first; rows < end; ++rows) {
    const at::Tensor y_TO = multiply_transposed(at::ones({rows, 128}), weight_OI, {});
    ASSERT_EQ(y_TO[0][0].item<float>(), 128);
  }
}

TEST(KeptProducts, AreFew) {
  if (!tests::is_glibc_heap()) GTEST_SKIP() << "not glibc's heap";
  constexpr std::int64_t kMiB = 1 << 20;
  limit_kept_products();
  multiply_rows(2, 202);
  const std::int64_t before = framework::anonymous_bytes();
  multiply_rows(202, 602);  // 0.2 GB where all are kept
  EXPECT_LT(framework::anonymous_bytes() - before, 24 * kMiB);
}

}  // namespace
}  // namespace retain::parallel
