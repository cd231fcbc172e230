// SPDX-License-Identifier: Apache-2.0
#include "framework/text/token_decoder.h"

#include <charconv>
#include <utility>

#include "framework/text/utf8.h"

namespace retain::framework {
namespace {

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  for (std::size_t at = text.find(from); at != std::string_view::npos; at = text.find(from)) {
    result.append(text.substr(0, at)).append(to);
    text.remove_prefix(at + from.size());
  }
  return result.append(text);
}

std::string stripped(std::string_view text, std::string_view character, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = 0; i < begin && text.starts_with(character); ++i) text.remove_prefix(character.size());
  for (std::int64_t i = 0; i < end && text.ends_with(character); ++i) text.remove_suffix(character.size());
  return std::string(text);
}

std::vector<std::string> without_byte_tokens(std::vector<std::string> tokens) {
  std::vector<std::string> result;
  std::string bytes;
  const auto flush = [&] {
    if (bytes.empty()) return;
    if (!find_ill_formed_utf8(bytes))
      result.push_back(std::move(bytes));
    else
      result.insert(result.end(), bytes.size(), "\xEF\xBF\xBD");
    bytes.clear();
  };
  for (std::string& token : tokens) {
    if (const int byte = byte_of_token(token); byte >= 0) {
      bytes += static_cast<char>(byte);
      continue;
    }
    flush();
    result.push_back(std::move(token));
  }
  flush();
  return result;
}

}  // namespace

int byte_of_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || !token.ends_with('>')) return -1;
  int byte = -1;
  const auto [end, code] = std::from_chars(token.data() + 3, token.data() + 5, byte, 16);
  return code == std::errc() && end == token.data() + 5 ? byte : -1;
}

void TokenDecoder::add_replacement(std::string from, std::string to) {
  steps_.push_back({.kind = Kind::replacement, .from = std::move(from), .to = std::move(to)});
}
void TokenDecoder::add_byte_fallback() {
  steps_.push_back({.kind = Kind::byte_fallback, .from = {}, .to = {}});
}
void TokenDecoder::add_fuse() {
  steps_.push_back({.kind = Kind::fuse, .from = {}, .to = {}});
}
void TokenDecoder::add_strip(std::string character, std::int64_t begin, std::int64_t end) {
  steps_.push_back({.kind = Kind::strip, .from = std::move(character), .to = {}, .begin = begin, .end = end});
}
void TokenDecoder::add_metaspace(std::string mark, bool drops_first) {
  steps_.push_back({.kind = Kind::metaspace, .from = std::move(mark), .to = " ", .drops_first = drops_first});
}

void TokenDecoder::apply(const Step& step, std::vector<std::string>& tokens) {
  switch (step.kind) {
    case Kind::byte_fallback:
      tokens = without_byte_tokens(std::move(tokens));
      return;
    case Kind::fuse: {
      std::string whole;
      for (const std::string& token : tokens) whole += token;
      tokens = {std::move(whole)};
      return;
    }
    case Kind::strip:
      for (std::string& token : tokens) token = stripped(token, step.from, step.begin, step.end);
      return;
    case Kind::replacement:
    case Kind::metaspace:
      for (std::size_t i = 0; i < tokens.size(); ++i)
        tokens[i] = replaced(tokens[i], step.from, step.drops_first && i == 0 ? "" : step.to);
      return;
  }
}

std::string TokenDecoder::decode(std::vector<std::string> tokens) const {
  for (const Step& step : steps_) apply(step, tokens);
  std::string text;
  for (const std::string& token : tokens) text += token;
  return text;
}

}  // namespace retain::framework
