// SPDX-License-Identifier: Apache-2.0
#include "parallel/scalar_type.h"

#include <array>
#include <utility>

#include "framework/base/error.h"

namespace retain::parallel {
namespace {

using framework::DType;

constexpr std::array<std::pair<DType, at::ScalarType>, 10> kTypes{{{DType::float32, at::kFloat},
                                                                   {DType::bfloat16, at::kBFloat16},
                                                                   {DType::float16, at::kHalf},
                                                                   {DType::float64, at::kDouble},
                                                                   {DType::int64, at::kLong},
                                                                   {DType::int32, at::kInt},
                                                                   {DType::int16, at::kShort},
                                                                   {DType::int8, at::kChar},
                                                                   {DType::uint8, at::kByte},
                                                                   {DType::boolean, at::kBool}}};

}  // namespace

at::ScalarType scalar_type(DType dtype) {
  for (const auto& [ours, theirs] : kTypes)
    if (ours == dtype) return theirs;
  throw framework::Error(framework::ErrorKind::internal, "an element type outside its enumeration");
}

DType dtype_of(at::ScalarType type) {
  for (const auto& [ours, theirs] : kTypes)
    if (theirs == type) return ours;
  throw framework::Error(framework::ErrorKind::internal, std::string("no stored element type for torch's ") + c10::toString(type));
}

}  // namespace retain::parallel
