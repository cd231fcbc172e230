// SPDX-License-Identifier: Apache-2.0
// Text through added tokens, normaliser, split and merges; ids back to text.
#include "framework/text/tokenizer.h"

#include <utility>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "framework/text/tokenizer_parts.h"
#include "framework/text/utf8.h"

namespace retain::framework {

Tokenizer::Tokenizer(std::unique_ptr<TokenizerParts> parts) : parts_(std::move(parts)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Tokenizer Tokenizer::load(const std::filesystem::path& path) {
  namespace fs = std::filesystem;
  const bool is_folder = fs::is_directory(path);
  const fs::path file = is_folder ? path / "tokenizer.json" : path;
  const fs::path folder = is_folder ? path : path.parent_path();
  std::unique_ptr<TokenizerParts> parts;
  if (fs::exists(file)) {
    parts = parse_tokenizer_json(read_json(file, ErrorKind::tokenizer_invalid), file.string());
  } else if (is_folder && fs::exists(folder / "vocab.json") && fs::exists(folder / "merges.txt")) {
    parts = read_vocab_and_merges(folder);
  } else {
    throw Error(ErrorKind::tokenizer_invalid,
                {"no tokenizer in " + path.string(), "tokenizer.json, or vocab.json and merges.txt",
                 fs::exists(path) ? "neither" : "no such file or folder", "name a model's folder or a tokenizer.json"});
  }
  const fs::path config = folder / "tokenizer_config.json";
  if (is_folder && fs::exists(config))
    add_config_tokens(*parts, read_json(config, ErrorKind::tokenizer_invalid), config.string());
  index_added_tokens(*parts);
  return Tokenizer(std::move(parts));
}

void Tokenizer::encode_section(std::string_view text, std::size_t offset, Encoding& encoding, bool with_starts) const {
  TrackedText normal(text, with_starts);
  parts_->normalizer.apply(normal);
  for (const TextSection& section : parts_->normalized_finder.split(normal.view())) {
    const std::size_t known = encoding.starts.size();
    if (section.id >= 0) {
      encoding.ids.push_back(section.id);
      if (with_starts) encoding.starts.push_back(0);
    } else {
      const std::string_view words = normal.view().substr(section.begin, section.end - section.begin);
      encode_words(words, offset + section.begin == 0, encoding, with_starts);
    }
    for (std::size_t i = known; i < encoding.starts.size(); ++i) {
      const std::size_t place = section.begin + static_cast<std::size_t>(encoding.starts[i]);
      encoding.starts[i] = static_cast<std::int64_t>(offset + normal.origin(place));
    }
  }
}

void Tokenizer::encode_words(std::string_view text, bool at_beginning, Encoding& encoding, bool with_starts) const {
  auto* starts = with_starts ? &encoding.starts : nullptr;
  if (!parts_->metaspace) {
    parts_->pretokenizer.split(text, [&](std::string_view word, std::size_t start) {
      parts_->encoder->encode(word, encoding.ids, starts, static_cast<std::int64_t>(start));
    });
    return;
  }
  TrackedText marked(text, with_starts);
  parts_->metaspace->apply(marked, at_beginning);
  const std::vector<std::size_t> cuts = parts_->metaspace->cuts(marked.view(), parts_->cuts_runs);
  const std::size_t known = encoding.starts.size();
  for (std::size_t i = 0; i + 1 < cuts.size(); ++i)
    parts_->encoder->encode(marked.view().substr(cuts[i], cuts[i + 1] - cuts[i]), encoding.ids, starts,
                            static_cast<std::int64_t>(cuts[i]));
  for (std::size_t i = known; i < encoding.starts.size(); ++i)
    encoding.starts[i] = static_cast<std::int64_t>(marked.origin(static_cast<std::size_t>(encoding.starts[i])));
}

void Tokenizer::encode_into(std::string_view text, Encoding& encoding, bool with_starts) const {
  if (const auto bad = find_ill_formed_utf8(text))
    throw Error(ErrorKind::data_invalid,
                {"text to tokenize is not UTF-8", "well-formed UTF-8",
                 "byte " + std::to_string(*bad) + " of " + std::to_string(text.size()) + " begins no character",
                 "convert the text to UTF-8"});
  for (const TextSection& section : parts_->raw_finder.split(text)) {
    if (section.id < 0) {
      encode_section(text.substr(section.begin, section.end - section.begin), section.begin, encoding, with_starts);
      continue;
    }
    encoding.ids.push_back(section.id);
    if (with_starts) encoding.starts.push_back(static_cast<std::int64_t>(section.begin));
  }
}

std::vector<std::int64_t> Tokenizer::encode(std::string_view text) const {
  Encoding encoding;
  encoding.ids.reserve(text.size() / 3 + 8);
  encode_into(text, encoding, false);
  return std::move(encoding.ids);
}

Encoding Tokenizer::encode_with_starts(std::string_view text) const {
  Encoding encoding;
  encode_into(text, encoding, true);
  return encoding;
}

std::string Tokenizer::decode(std::span<const std::int64_t> ids, bool skip_special) const {
  if (parts_->decoder) {
    std::vector<std::string> tokens;
    for (const std::int64_t id : ids)
      if (parts_->names.has(id) && (!skip_special || !parts_->is_special(id)))
        tokens.emplace_back(parts_->names.bytes_of(id));
    return parts_->decoder->decode(std::move(tokens));
  }
  std::string bytes;
  for (const std::int64_t id : ids)
    if (!skip_special || !parts_->is_special(id)) bytes += parts_->bytes.bytes_of(id);
  return repair_utf8(bytes);
}

std::optional<std::int64_t> Tokenizer::id_of(std::string_view token) const {
  const std::int32_t id = parts_->names.find(token);
  if (id < 0) return std::nullopt;
  return id;
}

std::optional<std::int64_t> Tokenizer::id_of_byte(unsigned char byte) const {
  const std::int32_t id = parts_->encoder->id_of_byte(byte);
  if (id < 0) return std::nullopt;
  return id;
}

std::string_view Tokenizer::token_of(std::int64_t id) const {
  return parts_->names.bytes_of(id);
}
std::string_view Tokenizer::bytes_of(std::int64_t id) const {
  return parts_->bytes.bytes_of(id);
}
bool Tokenizer::is_special(std::int64_t id) const {
  return parts_->is_special(id);
}
std::int64_t Tokenizer::size() const {
  return parts_->names.size();
}
std::int64_t Tokenizer::id_limit() const {
  return parts_->names.limit();
}

std::vector<std::int64_t> Tokenizer::special_ids() const {
  std::vector<std::int64_t> ids;
  for (std::int64_t id = 0; id < id_limit(); ++id)
    if (is_special(id)) ids.push_back(id);
  return ids;
}

std::int64_t Tokenizer::add_special(std::string_view content) {
  if (const auto id = id_of(content); id.has_value() && is_special(*id)) return *id;
  put_added_token(*parts_, {std::string(content), id_limit(), true, false, false, false, false}, "the tokenizer");
  index_added_tokens(*parts_);
  return *id_of(content);
}

}  // namespace retain::framework
