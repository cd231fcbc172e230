// SPDX-License-Identifier: Apache-2.0
// The header of a weights file.
#include "fuzz.h"
#include "models/weights/safetensors_header.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return retain::fuzz::expect_error_or_success([&] {
    const std::span file(reinterpret_cast<const std::byte*>(data), size);
    const auto header = retain::models::parse_safetensors_header(file, "input");
    // What was accepted lies inside the file.
    for (const auto& [name, tensor] : header.tensors)
      if (tensor.begin < 0 || tensor.end < tensor.begin || header.data_offset + tensor.end > static_cast<std::int64_t>(size)) __builtin_trap();
  });
}
