// SPDX-License-Identifier: Apache-2.0
// The bytes of one JSON list or JSONL file, and where each record lies in them.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "framework/data/record_source.h"

namespace retain::framework {

/// Finds records without parsing them, so that opening a large file takes one pass over its bytes.
class RecordFile final : public RecordSource {
 public:
  /// Throws Error(data_invalid) when `file` is neither .json nor .jsonl, or is a list that does not close.
  RecordFile(std::filesystem::path file, std::filesystem::path images_root);

  std::int64_t size() const override { return static_cast<std::int64_t>(spans_.size()); }
  /// The bytes of record `index`.
  std::string_view bytes(std::int64_t index) const;
  std::string text(std::int64_t index) const override { return std::string(bytes(index)); }
  Record at(std::int64_t index) const override;
  std::string where(std::int64_t index) const override;
  const std::filesystem::path& file() const override { return file_; }
  const std::filesystem::path& images_root() const override { return images_root_; }

 private:
  struct Span {
    std::size_t begin;
    std::size_t end;
  };
  void index_lines();
  void index_list();
  std::size_t end_of_value(std::size_t position) const;
  [[noreturn]] void invalid(std::string found, std::size_t position) const;

  std::filesystem::path file_;
  std::filesystem::path images_root_;
  std::string text_;
  std::vector<Span> spans_;
};

}  // namespace retain::framework
