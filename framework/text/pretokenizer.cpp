// SPDX-License-Identifier: Apache-2.0
// Splits text with PCRE2 so that it falls apart as Oniguruma would have it.
#include "framework/text/pretokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <string>

#include "framework/base/error.h"
#include "framework/text/utf8.h"

namespace retain::framework {
namespace {

struct CodeDeleter {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct MatchDeleter {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
using Code = std::unique_ptr<pcre2_code, CodeDeleter>;
using MatchData = std::unique_ptr<pcre2_match_data, MatchDeleter>;

std::string message_of(int code) {
  char text[200] = "";
  pcre2_get_error_message(code, reinterpret_cast<PCRE2_UCHAR*>(text), sizeof text);
  return text;
}

/// Oniguruma's \s is Unicode's White_Space; PCRE2's has U+180E besides. Spelled out, both mean the same. A negated
/// class that holds \S cannot be spelled so, and keeps PCRE2's.
std::string spell_white_space(std::string_view pattern) {
  constexpr std::string_view kSpace = R"(\t-\r\x{85}\p{Z})";
  std::string result;
  bool in_class = false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\' && i + 1 < pattern.size()) {
      const char escaped = pattern[++i];
      if (escaped == 's') {
        result += in_class ? std::string(kSpace) : "[" + std::string(kSpace) + "]";
      } else if (escaped == 'S' && !in_class) {
        result += "[^" + std::string(kSpace) + "]";
      } else {
        result += {c, escaped};
      }
      continue;
    }
    if (c == '[') in_class = true;
    if (c == ']') in_class = false;
    result += c;
  }
  return result;
}

Code compile(std::string_view pattern, bool literal) {
  const std::string text = literal ? std::string(pattern) : spell_white_space(pattern);
  const std::uint32_t flags =
      PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C | (literal ? PCRE2_LITERAL : PCRE2_UCP | PCRE2_MULTILINE);
  int error = 0;
  PCRE2_SIZE offset = 0;
  Code code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                          literal ? flags & ~PCRE2_NEVER_BACKSLASH_C : flags, &error, &offset, nullptr));
  if (code == nullptr)
    throw Error(
        ErrorKind::tokenizer_unsupported,
        {"the tokenizer's split pattern cannot be compiled", "a regular expression that PCRE2 takes",
         message_of(error) + " in " + std::string(pattern.substr(0, 200)), "use the model's original tokenizer.json"});
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
  return code;
}

/// Matches of one pattern in one text, from left to right.
class Matcher {
 public:
  Matcher(const pcre2_code* code, std::string_view text) : code_(code), text_(text) {
    data_.reset(pcre2_match_data_create_from_pattern(code, nullptr));
    if (data_ == nullptr) throw std::bad_alloc();
  }

  /// Moves to the next match that is not empty; false when there is none.
  bool next() {
    for (std::size_t from = end_; from < text_.size();) {
      if (!run(from)) return false;
      const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(data_.get());
      begin_ = bounds[0];
      end_ = bounds[1];
      if (begin_ >= from && end_ > begin_ && end_ <= text_.size()) return true;
      next_code_point(text_, from);
    }
    return false;
  }
  std::size_t begin() const { return begin_; }
  std::size_t end() const { return end_; }

 private:
  bool run(std::size_t from) {
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text_.data());
    int code = pcre2_match(code_, subject, text_.size(), from, PCRE2_NO_UTF_CHECK, data_.get(), nullptr);
    if (code == PCRE2_ERROR_JIT_STACKLIMIT)
      code = pcre2_match(code_, subject, text_.size(), from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data_.get(), nullptr);
    if (code == PCRE2_ERROR_NOMATCH) return false;
    if (code >= 0) return true;
    throw Error(ErrorKind::tokenizer_unsupported,
                {"the tokenizer's split pattern gave up on a text of " + std::to_string(text_.size()) + " bytes",
                 {},
                 message_of(code),
                 "shorten the text, or use the model's original tokenizer.json"});
  }

  const pcre2_code* code_;
  std::string_view text_;
  MatchData data_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace

/// A split when `code` is set, else the prefixing of a space.
struct PreTokenizer::Step {
  Code code;
  SplitBehavior behavior = SplitBehavior::isolated;
};

PreTokenizer::PreTokenizer() = default;
PreTokenizer::PreTokenizer(PreTokenizer&&) noexcept = default;
PreTokenizer& PreTokenizer::operator=(PreTokenizer&&) noexcept = default;
PreTokenizer::~PreTokenizer() = default;

void PreTokenizer::add_split(std::string_view pattern, bool literal, SplitBehavior behavior) {
  steps_.push_back(std::make_unique<Step>(Step{compile(pattern, literal), behavior}));
}

void PreTokenizer::add_prefix_space() {
  steps_.push_back(std::make_unique<Step>());
}

void PreTokenizer::split(std::string_view text, const Sink& sink) const {
  const auto run = [&](const auto& self, std::size_t step, std::string_view piece, std::size_t start) -> void {
    if (piece.empty()) return;
    if (step == steps_.size()) return sink(piece, start);
    if (steps_[step]->code == nullptr) {
      if (piece.front() == ' ') return self(self, step + 1, piece, start);
      return self(self, step + 1, " " + std::string(piece), start == 0 ? 0 : start - 1);
    }
    Matcher matcher(steps_[step]->code.get(), piece);
    std::size_t done = 0;
    while (matcher.next()) {
      self(self, step + 1, piece.substr(done, matcher.begin() - done), start + done);
      done = matcher.end();
      if (steps_[step]->behavior == SplitBehavior::isolated)
        self(self, step + 1, piece.substr(matcher.begin(), done - matcher.begin()), start + matcher.begin());
    }
    self(self, step + 1, piece.substr(done), start + done);
  };
  run(run, 0, text, 0);
}

}  // namespace retain::framework
