// SPDX-License-Identifier: Apache-2.0
#include "framework/text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "framework/base/error.h"

namespace retain::framework {
namespace {

struct FreeMatchData {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

}  // namespace

struct Regex::Code {
  pcre2_code* code = nullptr;
  ~Code() { pcre2_code_free(code); }
};

Regex::Regex(const std::string& pattern) : code_(std::make_unique<Code>()) {
  int failure = 0;
  PCRE2_SIZE offset = 0;
  code_->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), PCRE2_UTF | PCRE2_UCP,
                              &failure, &offset, nullptr);
  if (!code_->code) {
    PCRE2_UCHAR message[256] = {};
    pcre2_get_error_message(failure, message, sizeof message);
    throw Error(ErrorKind::internal, "pattern \"" + pattern + "\" is not valid at " + std::to_string(offset) + ": " +
                                         reinterpret_cast<const char*>(message));
  }
  pcre2_jit_compile(code_->code, PCRE2_JIT_COMPLETE);
}

Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;

Regex::Match Regex::search(std::string_view subject, std::size_t from) const {
  const std::unique_ptr<pcre2_match_data, FreeMatchData> data(
      pcre2_match_data_create_from_pattern(code_->code, nullptr));
  const int groups = pcre2_match(code_->code, reinterpret_cast<PCRE2_SPTR>(subject.data()), subject.size(), from, 0,
                                 data.get(), nullptr);
  if (groups < 0) return {};
  const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(data.get());
  Match match(pcre2_get_ovector_count(data.get()));
  for (int i = 0; i < groups; ++i)
    if (offsets[2 * i] != PCRE2_UNSET) match[static_cast<std::size_t>(i)] = {offsets[2 * i], offsets[2 * i + 1]};
  return match;
}

std::vector<Regex::Match> Regex::all(std::string_view subject) const {
  std::vector<Match> matches;
  for (std::size_t from = 0; from <= subject.size();) {
    Match match = search(subject, from);
    if (match.empty()) break;
    const bool nothing = match[0].end == match[0].begin;
    from = match[0].end;
    matches.push_back(std::move(match));
    if (!nothing) continue;
    do ++from;  // step over one whole character
    while (from < subject.size() && (static_cast<unsigned char>(subject[from]) & 0xC0) == 0x80);
  }
  return matches;
}

std::string Regex::escape(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (std::string_view("\\^$.[]|()?*+{}-#&~ \t\n\r\v\f").find(c) != std::string_view::npos) escaped += '\\';
    escaped += c;
  }
  return escaped;
}

}  // namespace retain::framework
