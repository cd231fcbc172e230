// SPDX-License-Identifier: Apache-2.0
// Records made of a table's rows, as a benchmark's or a task's `source` says.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "framework/data/prompt_template.h"
#include "framework/data/record_source.h"
#include "framework/data/row_table.h"

namespace retain::framework {

/// How the answer stands in its column.
enum class AnswerForm : std::uint8_t {
  text,    ///< the answer itself, or a list of answers
  letter,  ///< an option's letter
  index,   ///< an option's number from 0; becomes its letter
  option,  ///< an option's text; becomes its letter
  most_common,  ///< text; of a list the most frequent one is taught, the earliest of several
};

/// Which columns make a record, and how. Empty names: none.
struct SourceFields {
  std::string prompt = "{question}";   ///< PromptTemplate; `{options}` there stands for "A. text" lines
  std::string reply = "{answer}";      ///< PromptTemplate of what is taught; `{answer}` is the first reference
  std::string id;                      ///< column; without one a record's id is its row
  std::vector<std::string> images = {"image"};
  std::string question = "question";   ///< column, for metrics that read it
  std::string answer = "answer";       ///< column; empty: the filled reply is the one reference
  AnswerForm form = AnswerForm::text;
  std::vector<std::string> options;    ///< one column with a list of texts, or a column an option, those empty left out
  std::string category;                ///< column
  std::map<std::string, std::vector<std::string>> where;  ///< only rows whose column has one of these texts
};

/// A row becomes {"id", "image", "conversations", "references"[, "options", "question", "category"]}, the pictures first in the
/// prompt; placeholders that the texts hold themselves are left out of them.
class RowRecords final : public RecordSource {
 public:
  /// Throws what open_table() and PromptTemplate throw; Error(data_empty) when `where` leaves no row.
  RowRecords(std::filesystem::path file, std::filesystem::path images_root, const SourceFields& fields,
             const std::shared_ptr<PictureCache>& cache);

  std::int64_t size() const override { return static_cast<std::int64_t>(rows_.size()); }
  std::string text(std::int64_t index) const override;
  Record at(std::int64_t index) const override;
  std::string where(std::int64_t index) const override;
  const std::filesystem::path& file() const override { return file_; }
  const std::filesystem::path& images_root() const override { return images_root_; }

 private:
  json::object make(std::int64_t index, const std::vector<Picture>& pictures) const;
  std::vector<std::string> options_of(const json::object& values) const;
  std::vector<std::string> references_of(const json::object& values, const std::vector<std::string>& options, std::int64_t index) const;
  std::string reference_of(const json::value& value, const std::vector<std::string>& options, std::int64_t index) const;
  [[noreturn]] void refuse(std::int64_t index, const std::string& what, const std::string& expected, const std::string& found) const;

  std::filesystem::path file_;
  std::filesystem::path images_root_;
  SourceFields fields_;
  PromptTemplate prompt_;
  PromptTemplate reply_;
  std::shared_ptr<const RowTable> table_;
  std::vector<std::int64_t> rows_;  ///< of the table, those that `where` keeps
};

}  // namespace retain::framework
