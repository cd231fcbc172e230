// SPDX-License-Identifier: Apache-2.0
// Text with places for columns: "{question}\n{options}\nAnswer with the letter."
#pragma once
#include <string>
#include <vector>

#include "framework/base/json.h"

namespace retain::framework {

/// `{column}` is replaced by the column's text; `{column:capitalize}` has its first letter upper and the rest lower case (Python's
/// str.capitalize), `{column:lower}` and `{column:strip}` as they say. A part in double square brackets is dropped where a
/// column in it is empty: "[[Context: {hint}\n]]". `{{`, `}}` are braces.
class PromptTemplate {
 public:
  /// Throws Error(config_invalid) naming `origin` for a brace or bracket that does not close, or an unknown change.
  PromptTemplate(const std::string& text, const std::string& origin);

  /// Names of the columns, each once.
  const std::vector<std::string>& columns() const noexcept { return columns_; }
  /// `values` holds every column; null is empty, a number or list is its JSON.
  std::string fill(const json::object& values) const;

 private:
  struct Piece {
    std::string text;     ///< as it stands, where `column` is empty
    std::string column;
    std::string change;
    int optional = 0;     ///< number of the bracketed part it belongs to; 0: none
  };
  void add_text(char c, int optional);

  std::vector<Piece> pieces_;
  std::vector<std::string> columns_;
};

/// A column's value as text: null is empty, text itself, anything else its JSON.
std::string text_of(const json::value& value);

}  // namespace retain::framework
