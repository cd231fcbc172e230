// SPDX-License-Identifier: Apache-2.0
// Leftmost-longest search for added tokens, by first byte.
#include "framework/text/added_tokens.h"

#include <unicode/uchar.h>

#include <algorithm>
#include <utility>

#include "framework/text/utf8.h"

namespace retain::framework {
namespace {

/// A regular expression's \w in Unicode (UTS 18): letters, marks, decimal digits, connectors, join controls.
bool is_word(char32_t c) {
  const auto point = static_cast<UChar32>(c);
  const auto mask = U_GET_GC_MASK(point);
  return u_hasBinaryProperty(point, UCHAR_ALPHABETIC) || (mask & (U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK)) != 0 ||
         u_hasBinaryProperty(point, UCHAR_JOIN_CONTROL);
}

bool is_space(char32_t c) {
  return u_isUWhiteSpace(static_cast<UChar32>(c)) != 0;
}

bool stands_alone(std::string_view text, std::size_t begin, std::size_t end) {
  if (begin > 0) {
    std::size_t position = begin;
    if (is_word(previous_code_point(text, position))) return false;
  }
  if (end < text.size()) {
    std::size_t position = end;
    if (is_word(next_code_point(text, position))) return false;
  }
  return true;
}

std::size_t spaces_before(std::string_view text, std::size_t position) {
  for (std::size_t previous = position; position > 0; position = previous)
    if (!is_space(previous_code_point(text, previous))) break;
  return position;
}

std::size_t spaces_after(std::string_view text, std::size_t position) {
  for (std::size_t next = position; position < text.size(); position = next)
    if (!is_space(next_code_point(text, next))) break;
  return position;
}

}  // namespace

void AddedTokenFinder::add(std::string pattern, const AddedToken& token) {
  const auto known =
      std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.pattern == pattern; });
  if (known != entries_.end()) return;
  const auto first = static_cast<unsigned char>(pattern.front());
  entries_.push_back({std::move(pattern), token});
  auto& bucket = by_first_[first];
  const auto place = std::find_if(bucket.begin(), bucket.end(), [&](std::uint32_t i) {
    return entries_[i].pattern.size() < entries_.back().pattern.size();
  });
  bucket.insert(place, static_cast<std::uint32_t>(entries_.size() - 1));
  starts_[first] = true;
}

const AddedTokenFinder::Entry* AddedTokenFinder::match_at(std::string_view text, std::size_t position) const {
  for (const std::uint32_t i : by_first_[static_cast<unsigned char>(text[position])])
    if (text.substr(position).starts_with(entries_[i].pattern)) return &entries_[i];
  return nullptr;
}

std::vector<TextSection> AddedTokenFinder::split(std::string_view text) const {
  std::vector<TextSection> sections;
  std::size_t done = 0;
  for (std::size_t position = 0; position < text.size();) {
    if (!starts_[static_cast<unsigned char>(text[position])]) {
      ++position;
      continue;
    }
    const Entry* entry = match_at(text, position);
    if (entry == nullptr) {
      ++position;
      continue;
    }
    std::size_t begin = position;
    std::size_t end = position + entry->pattern.size();
    position = end;
    if (entry->token.single_word && !stands_alone(text, begin, end)) continue;
    if (entry->token.lstrip) begin = std::max(spaces_before(text, begin), done);
    if (entry->token.rstrip) end = spaces_after(text, end);
    if (begin > done) sections.push_back({done, begin, -1});
    sections.push_back({begin, end, entry->token.id});
    done = end;
  }
  if (done < text.size()) sections.push_back({done, text.size(), -1});
  return sections;
}

}  // namespace retain::framework
