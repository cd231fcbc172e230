// SPDX-License-Identifier: Apache-2.0
#include "framework/base/dtype.h"

#include <array>
#include <utility>

#include "framework/base/error.h"

namespace retain::framework {
namespace {

constexpr std::array<std::pair<DType, std::string_view>, 10> kNames{{{DType::float32, "float32"},
                                                                     {DType::bfloat16, "bfloat16"},
                                                                     {DType::float16, "float16"},
                                                                     {DType::float64, "float64"},
                                                                     {DType::int64, "int64"},
                                                                     {DType::int32, "int32"},
                                                                     {DType::int16, "int16"},
                                                                     {DType::int8, "int8"},
                                                                     {DType::uint8, "uint8"},
                                                                     {DType::boolean, "bool"}}};

}  // namespace

std::int64_t size_of(DType dtype) {
  switch (dtype) {
    case DType::float64:
    case DType::int64: return 8;
    case DType::float32:
    case DType::int32: return 4;
    case DType::bfloat16:
    case DType::float16:
    case DType::int16: return 2;
    case DType::int8:
    case DType::uint8:
    case DType::boolean: return 1;
  }
  throw Error(ErrorKind::internal, "an element type outside its enumeration");
}

std::string_view name_of(DType dtype) {
  for (const auto& [value, name] : kNames)
    if (value == dtype) return name;
  return "unknown";
}

DType dtype_from_name(std::string_view name) {
  std::string known;
  for (const auto& [value, spelling] : kNames) {
    if (spelling == name) return value;
    known += (known.empty() ? "" : ", ") + std::string(spelling);
  }
  throw Error(ErrorKind::config_invalid, {"unknown element type", known, std::string(name), "use one of the names above"});
}

std::int64_t elements_of(const std::vector<std::int64_t>& shape) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape)
    if (size < 0 || __builtin_mul_overflow(count, size, &count))
      throw Error(ErrorKind::internal, "shape " + to_string(shape) + " has no element count in 64 bits");
  return count;
}

std::string to_string(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? "," : "") + std::to_string(shape[i]);
  return text + "]";
}

}  // namespace retain::framework
