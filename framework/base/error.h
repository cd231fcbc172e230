// SPDX-License-Identifier: Apache-2.0
// Every refusal of Retain is one of these: what went wrong, what was expected, what was found, what to change.
#pragma once
#include <stdexcept>
#include <string>
#include <string_view>

namespace retain::framework {

/// The class of a failure; printed in brackets before the message so that scripts and tests can tell them apart.
enum class ErrorKind {
  config_invalid,            ///< a TOML or JSON configuration: unknown key, wrong type, impossible value
  config_unsupported,        ///< a valid file that asks for something Retain does not do
  checkpoint_truncated,      ///< a weight file ends before its data
  checkpoint_header_invalid, ///< a weight file whose header lies or cannot be parsed
  checkpoint_missing_shard,
  checkpoint_missing_tensor,
  checkpoint_surplus_tensor,
  checkpoint_shape_mismatch,
  checkpoint_non_finite,     ///< NaN or infinity among the weights
  tokenizer_invalid,
  tokenizer_unsupported,
  image_empty,
  image_truncated,
  image_corrupt,
  image_unrecognised,
  image_too_large,
  image_aspect_ratio,
  data_invalid,
  data_empty,
  data_missing_image,
  data_no_answer,
  data_image_count,          ///< image placeholders and images differ in number
  data_unknown_role,
  recipe_matches_nothing,    ///< a parameter pattern that selects no tensor
  mesh_invalid,              ///< a layout that the ranks or the model cannot have
  store_locked,
  store_invalid,             ///< not a store, or one damaged beyond a digest
  store_digest,              ///< stored bytes differ from their digest
  store_unknown_stage,
  training_non_finite,       ///< NaN or infinity in a loss or gradient
  communication,             ///< an MPI or NCCL call failed or a peer did not arrive
  io,                        ///< an operating-system call on a file failed
  usage,                     ///< a command line that cannot be understood
  internal,                  ///< a broken promise inside Retain
};

/// snake_case name of a kind, e.g. "checkpoint_truncated".
std::string_view name_of(ErrorKind kind);

/// The parts of a message. `what` is required; the rest are left out when empty.
struct ErrorParts {
  std::string what;      ///< the failure, naming file, key, tensor or record
  std::string expected;
  std::string found;
  std::string remedy;    ///< what the user can change
};

/// The one exception type thrown on purpose by Retain. what() is a readable block of up to four lines.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, ErrorParts parts);
  Error(ErrorKind kind, std::string what) : Error(kind, ErrorParts{std::move(what), {}, {}, {}}) {}

  ErrorKind kind() const noexcept { return kind_; }
  const ErrorParts& parts() const noexcept { return parts_; }

 private:
  ErrorKind kind_;
  ErrorParts parts_;
};

}  // namespace retain::framework
