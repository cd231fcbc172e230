// SPDX-License-Identifier: Apache-2.0
// Added tokens: their place among the ids, and those that only tokenizer_config.json names (as transformers adds them).
#include <algorithm>
#include <charconv>
#include <utility>

#include "framework/base/error.h"
#include "framework/text/tokenizer_parts.h"

namespace retain::framework {
namespace {

constexpr std::int64_t kIdLimit = std::int64_t{1} << 22;

[[noreturn]] void refuse(const std::string& origin, std::string what, std::string expected, std::string found) {
  throw Error(ErrorKind::tokenizer_invalid, {origin + ": " + std::move(what), std::move(expected), std::move(found),
                                             "download the model's tokenizer files again"});
}

bool has_flag(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_bool() && value->get_bool();
}

/// The text of a special token given as a string or as {"content": …}; "" for anything else.
std::string content_of(const json::value& value) {
  if (const auto* text = value.if_string()) return std::string(*text);
  const auto* object = value.if_object();
  const auto* content = object == nullptr ? nullptr : object->if_contains("content");
  return content == nullptr || !content->is_string() ? "" : std::string(content->get_string());
}

void add_named(TokenizerParts& parts, const json::value& value, const std::string& origin) {
  const std::string content = content_of(value);
  const auto same = [&](const AddedToken& token) { return token.content == content; };
  if (content.empty() || std::any_of(parts.added.begin(), parts.added.end(), same)) return;
  put_added_token(parts, {content, parts.names.limit(), true, false, false, false, false}, origin);
}

void add_decoder_entry(TokenizerParts& parts, std::string_view key, const json::value& value,
                       const std::string& origin) {
  std::int64_t id = -1;
  const auto [end, code] = std::from_chars(key.data(), key.data() + key.size(), id);
  const std::string content = content_of(value);
  if (code != std::errc() || end != key.data() + key.size() || !value.is_object() || content.empty())
    refuse(origin, "an entry of `added_tokens_decoder` cannot be read", "\"id\": {\"content\": text, …}",
           std::string(key) + ": " + json::serialize(value).substr(0, 100));
  const auto& object = value.get_object();
  put_added_token(parts,
                  {content, id, has_flag(object, "special"), has_flag(object, "normalized"), has_flag(object, "lstrip"),
                   has_flag(object, "rstrip"), has_flag(object, "single_word")},
                  origin);
}

}  // namespace

void put_added_token(TokenizerParts& parts, AddedToken token, const std::string& origin) {
  if (token.content.empty()) return;
  const std::int32_t known = parts.names.find(token.content);
  if (known >= 0) token.id = known;
  if (token.id < 0 || token.id >= kIdLimit)
    refuse(origin, "added token " + token.content + " has no usable id",
           "a whole number from 0 to " + std::to_string(kIdLimit - 1), std::to_string(token.id));
  if (known < 0) {
    const auto id = static_cast<std::int32_t>(token.id);
    if (!parts.names.add(token.content, id))
      refuse(origin, "two tokens have id " + std::to_string(id), "one token an id",
             std::string(parts.names.bytes_of(id)) + " and " + token.content);
    // A token that is sought in normalised text is also written back in its normalised form.
    TrackedText text(token.content);
    if (token.normalized && !parts.metaspace) parts.normalizer.apply(text);
    const std::string written(text.view());
    parts.bytes.add_hidden(parts.metaspace ? written : parts.alphabet.decode(written).value_or(written), id);
  }
  const auto same = std::find_if(parts.added.begin(), parts.added.end(),
                                 [&](const AddedToken& other) { return other.content == token.content; });
  if (same != parts.added.end()) {
    *same = std::move(token);
  } else {
    parts.added.push_back(std::move(token));
  }
}

void index_added_tokens(TokenizerParts& parts) {
  parts.raw_finder = {};
  parts.normalized_finder = {};
  parts.special.assign(static_cast<std::size_t>(parts.names.limit()), false);
  for (const AddedToken& token : parts.added) {
    if (token.special) parts.special[static_cast<std::size_t>(token.id)] = true;
    if (!token.normalized) {
      parts.raw_finder.add(token.content, token);
      continue;
    }
    TrackedText pattern(token.content);
    parts.normalizer.apply(pattern);
    if (!pattern.view().empty()) parts.normalized_finder.add(std::string(pattern.view()), token);
  }
}

void add_config_tokens(TokenizerParts& parts, const json::value& config, const std::string& origin) {
  const auto* root = config.if_object();
  if (root == nullptr)
    refuse(origin, "the top level is not an object", "an object", json::serialize(config).substr(0, 100));
  if (const auto* decoder = root->if_contains("added_tokens_decoder"); decoder != nullptr && decoder->is_object())
    for (const auto& [key, value] : decoder->get_object()) add_decoder_entry(parts, key, value, origin);
  for (const char* key : {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"})
    if (const auto* value = root->if_contains(key)) add_named(parts, *value, origin);
  for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
    const auto* value = root->if_contains(key);
    if (value == nullptr) continue;
    if (const auto* list = value->if_array())
      for (const auto& item : *list) add_named(parts, item, origin);
    if (const auto* named = value->if_object())
      for (const auto& [name, item] : *named) add_named(parts, item, origin);
  }
}

}  // namespace retain::framework
