// SPDX-License-Identifier: Apache-2.0
// The header of a safetensors file: an 8-byte little-endian length, that many bytes of JSON, then the tensors' bytes.
// Rules as in the format's description (github.com/huggingface/safetensors): header of at most 100 MB that begins with
// '{', unique names, every tensor's bytes as long as shape × dtype says, and no byte outside exactly one tensor.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/dtype.h"

namespace retain::models {

/// One tensor of a file; `begin` and `end` count bytes from the start of the file's data part.
struct StoredTensor {
  framework::DType dtype = framework::DType::float32;
  std::vector<std::int64_t> shape;
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

struct SafetensorsHeader {
  std::map<std::string, StoredTensor> tensors;
  std::map<std::string, std::string> metadata;
  std::int64_t data_offset = 0;  ///< bytes before the data part
};

/// Checks every rule above against the whole file's bytes. `origin` names the file in messages.
/// Throws Error: checkpoint_truncated (the file ends early), checkpoint_header_invalid (any other broken rule),
/// config_unsupported (an element type of the format that Retain has no use for).
SafetensorsHeader parse_safetensors_header(std::span<const std::byte> file, const std::string& origin);

/// The header's bytes, length and padding to a multiple of eight included, as Hugging Face's library writes them.
std::string compose_safetensors_header(const std::vector<std::pair<std::string, StoredTensor>>& tensors,
                                       const std::map<std::string, std::string>& metadata);

/// "F32", "BF16", … and back.
std::string_view safetensors_name_of(framework::DType dtype);

}  // namespace retain::models
