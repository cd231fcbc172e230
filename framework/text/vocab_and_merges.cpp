// SPDX-License-Identifier: Apache-2.0
// The older pair of files, vocab.json and merges.txt, whose split pattern follows from the tokenizer's class.
#include <string>

#include "framework/base/error.h"
#include "framework/text/tokenizer_parts.h"
#include "framework/text/vocabulary_builder.h"

namespace retain::framework {
namespace {

std::string class_of(const json::value& config) {
  const auto* root = config.if_object();
  const auto* name = root == nullptr ? nullptr : root->if_contains("tokenizer_class");
  std::string text = name == nullptr || !name->is_string() ? "" : std::string(name->get_string());
  if (text.ends_with("Fast")) text.resize(text.size() - 4);
  return text;
}

void add_merge_lines(VocabularyBuilder& builder, std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with("#version")) continue;
    builder.add_merge(line);
  }
}

}  // namespace

std::unique_ptr<TokenizerParts> read_vocab_and_merges(const std::filesystem::path& folder) {
  const auto config_file = folder / "tokenizer_config.json";
  if (!std::filesystem::exists(config_file))
    throw Error(ErrorKind::tokenizer_invalid,
                {folder.string() + " has vocab.json but no tokenizer_config.json to say how text is split",
                 "tokenizer.json, or tokenizer_config.json with `tokenizer_class`",
                 {},
                 "download the missing file"});
  const std::string name = class_of(read_json(config_file, ErrorKind::tokenizer_invalid));
  auto parts = std::make_unique<TokenizerParts>();
  if (name == "Qwen2Tokenizer") {
    parts->normalizer.add(UnicodeForm::nfc);
    parts->pretokenizer.add_split(kQwen2Pattern, false, SplitBehavior::isolated);
  } else if (name == "GPT2Tokenizer") {
    parts->pretokenizer.add_split(kGpt2Pattern, false, SplitBehavior::isolated);
  } else {
    throw Error(
        ErrorKind::tokenizer_unsupported,
        {config_file.string() + ": this tokenizer class needs a tokenizer.json", "Qwen2Tokenizer or GPT2Tokenizer",
         name.empty() ? "none" : name, "save the tokenizer with transformers to get a tokenizer.json"});
  }
  const auto vocab_file = folder / "vocab.json";
  const json::value vocab = read_json(vocab_file, ErrorKind::tokenizer_invalid);
  if (!vocab.is_object())
    throw Error(ErrorKind::tokenizer_invalid,
                {vocab_file.string() + " is not an object of token names and ids", {}, {}, "download the file again"});
  VocabularyBuilder builder(*parts, folder.string());
  builder.add_tokens(vocab.get_object());
  const std::string merges = read_file(folder / "merges.txt");
  builder.start_merges(static_cast<std::size_t>(std::count(merges.begin(), merges.end(), '\n')), {});
  add_merge_lines(builder, merges);
  builder.finish();
  return parts;
}

}  // namespace retain::framework
