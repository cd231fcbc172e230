// SPDX-License-Identifier: Apache-2.0
#include "framework/base/error.h"

#include <utility>

namespace retain::framework {
namespace {

std::string compose(ErrorKind kind, const ErrorParts& parts) {
  std::string text = "[" + std::string(name_of(kind)) + "] " + parts.what;
  if (!parts.expected.empty()) text += "\n  expected: " + parts.expected;
  if (!parts.found.empty()) text += "\n  found:    " + parts.found;
  if (!parts.remedy.empty()) text += "\n  remedy:   " + parts.remedy;
  return text;
}

}  // namespace

std::string_view name_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::config_invalid: return "config_invalid";
    case ErrorKind::config_unsupported: return "config_unsupported";
    case ErrorKind::checkpoint_truncated: return "checkpoint_truncated";
    case ErrorKind::checkpoint_header_invalid: return "checkpoint_header_invalid";
    case ErrorKind::checkpoint_missing_shard: return "checkpoint_missing_shard";
    case ErrorKind::checkpoint_missing_tensor: return "checkpoint_missing_tensor";
    case ErrorKind::checkpoint_surplus_tensor: return "checkpoint_surplus_tensor";
    case ErrorKind::checkpoint_shape_mismatch: return "checkpoint_shape_mismatch";
    case ErrorKind::checkpoint_non_finite: return "checkpoint_non_finite";
    case ErrorKind::tokenizer_invalid: return "tokenizer_invalid";
    case ErrorKind::tokenizer_unsupported: return "tokenizer_unsupported";
    case ErrorKind::image_empty: return "image_empty";
    case ErrorKind::image_truncated: return "image_truncated";
    case ErrorKind::image_corrupt: return "image_corrupt";
    case ErrorKind::image_unrecognised: return "image_unrecognised";
    case ErrorKind::image_too_large: return "image_too_large";
    case ErrorKind::image_aspect_ratio: return "image_aspect_ratio";
    case ErrorKind::data_invalid: return "data_invalid";
    case ErrorKind::data_empty: return "data_empty";
    case ErrorKind::data_missing_image: return "data_missing_image";
    case ErrorKind::data_no_answer: return "data_no_answer";
    case ErrorKind::data_image_count: return "data_image_count";
    case ErrorKind::data_unknown_role: return "data_unknown_role";
    case ErrorKind::recipe_matches_nothing: return "recipe_matches_nothing";
    case ErrorKind::mesh_invalid: return "mesh_invalid";
    case ErrorKind::store_locked: return "store_locked";
    case ErrorKind::store_invalid: return "store_invalid";
    case ErrorKind::store_digest: return "store_digest";
    case ErrorKind::store_unknown_stage: return "store_unknown_stage";
    case ErrorKind::training_non_finite: return "training_non_finite";
    case ErrorKind::communication: return "communication";
    case ErrorKind::io: return "io";
    case ErrorKind::usage: return "usage";
    case ErrorKind::internal: return "internal";
  }
  return "unknown";
}

Error::Error(ErrorKind kind, ErrorParts parts)
    : std::runtime_error(compose(kind, parts)), kind_(kind), parts_(std::move(parts)) {}

}  // namespace retain::framework
