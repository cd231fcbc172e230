// SPDX-License-Identifier: Apache-2.0
// Files of the tiny world: LLaVA-format JSON lines with their pictures.
#pragma once
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "examples/tiny/world/picture.h"
#include "examples/tiny/world/questions.h"

namespace retain::tiny {

/// Writes a whole text file. Throws Error(io).
void write_text(const std::filesystem::path& file, std::string_view text);

/// One JSONL file of conversations about pictures, FOLDER/NAME.jsonl with FOLDER/pictures/NAME/…png.
class RecordWriter {
 public:
  /// Throws Error(io) when the files cannot be made.
  explicit RecordWriter(std::filesystem::path file);

  /// Adds a picture with its questions and answers, in order; the first question is preceded by the picture. Throws
  /// Error(io).
  void add(const Picture& picture, const std::vector<Exchange>& exchanges);

  /// Closes the file. Throws Error(io) when not everything was written.
  void finish();

 private:
  std::filesystem::path file_;
  std::ofstream lines_;
  std::int64_t count_ = 0;
};

}  // namespace retain::tiny
