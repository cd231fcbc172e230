// SPDX-License-Identifier: Apache-2.0
// Element types of tensors on disk and in memory, without torch.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace retain::framework {

enum class DType : std::uint8_t { float32, bfloat16, float16, float64, int64, int32, int16, int8, uint8, boolean };

/// Bytes of one element.
std::int64_t size_of(DType dtype);
/// "float32", "bfloat16", … as torch and Retain's TOML spell them.
std::string_view name_of(DType dtype);
/// The inverse of name_of. Throws Error(config_invalid) that lists the valid names.
DType dtype_from_name(std::string_view name);
/// Product of the sizes of `shape`; 1 for a scalar. Throws Error(internal) on overflow or a negative size.
std::int64_t elements_of(const std::vector<std::int64_t>& shape);
/// "[2,3]".
std::string to_string(const std::vector<std::int64_t>& shape);

}  // namespace retain::framework
