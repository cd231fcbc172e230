// SPDX-License-Identifier: Apache-2.0
// Regular expressions over UTF-8 with Unicode classes (PCRE2, just-in-time compiled).
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace retain::framework {

class Regex {
 public:
  /// Byte offsets of a match and its groups in the subject; unset groups have begin == npos.
  struct Span {
    std::size_t begin = std::string_view::npos;
    std::size_t end = std::string_view::npos;
    bool set() const { return begin != std::string_view::npos; }
    std::string_view of(std::string_view subject) const {
      return set() ? subject.substr(begin, end - begin) : std::string_view();
    }
  };
  using Match = std::vector<Span>;  ///< [0] the whole match, then the groups

  /// Throws Error(internal) when the pattern is not valid PCRE2.
  explicit Regex(const std::string& pattern);
  ~Regex();
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;

  /// The first match at or after `from`; empty when there is none or the subject is not UTF-8. Thread-safe.
  Match search(std::string_view subject, std::size_t from = 0) const;
  /// All matches, left to right, not overlapping.
  std::vector<Match> all(std::string_view subject) const;

  /// `text` with every character that has a meaning in a pattern escaped.
  static std::string escape(std::string_view text);

 private:
  struct Code;
  std::unique_ptr<Code> code_;
};

}  // namespace retain::framework
