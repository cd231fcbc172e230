// SPDX-License-Identifier: Apache-2.0
// tokenizer.json: every field is checked, and what is neither byte-level BPE nor BPE over characters with a mark for
// spaces is refused by name.
#include <algorithm>
#include <limits>
#include <set>

#include "framework/base/error.h"
#include "framework/text/tokenizer_parts.h"
#include "framework/text/vocabulary_builder.h"

namespace retain::framework {
namespace {

/// How SentencePiece's vocabularies write a space: U+2581.
constexpr std::string_view kMark = "\xE2\x96\x81";

/// The `type` of a component; "" for null.
std::string type_of(const json::value* component) {
  const auto* object = component == nullptr ? nullptr : component->if_object();
  const auto* type = object == nullptr ? nullptr : object->if_contains("type");
  return type == nullptr || !type->is_string() ? "" : std::string(type->get_string());
}

const json::value* member(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

bool flag(const json::object& object, std::string_view key, bool otherwise) {
  const auto* value = member(object, key);
  return value != nullptr && value->is_bool() ? value->get_bool() : otherwise;
}

/// Reads the parts of one tokenizer.json, naming it in errors.
class Reader {
 public:
  explicit Reader(const std::string& origin) : origin_(origin), parts_(std::make_unique<TokenizerParts>()) {}

  std::unique_ptr<TokenizerParts> read(const json::value& file) {
    const auto* root = file.if_object();
    if (root == nullptr) invalid("the top level", "an object");
    const auto* model = member(*root, "model");
    if (model == nullptr || !model->is_object()) invalid("`model`", "an object");
    read_normalizer(member(*root, "normalizer"));
    const auto* pretokenizer = member(*root, "pre_tokenizer");
    if (!read_metaspace(pretokenizer)) {
      bool byte_level = false;
      read_pretokenizer(pretokenizer, byte_level);
      if (!byte_level)
        unsupported(
            "pre_tokenizer", type_of(pretokenizer),
            "ByteLevel, alone or last in a Sequence; Metaspace; or none after a normalizer that replaces spaces");
    }
    read_model(model->get_object());
    if (parts_->metaspace) {
      parts_->decoder.emplace();
      read_character_decoder(member(*root, "decoder"));
    } else {
      read_byte_decoder(member(*root, "decoder"));
    }
    read_added(member(*root, "added_tokens"));
    return std::move(parts_);
  }

 private:
  [[noreturn]] void invalid(const std::string& what, const std::string& expected) const {
    throw Error(ErrorKind::tokenizer_invalid, {origin_ + ": " + what + " is absent or of the wrong type",
                                               expected,
                                               {},
                                               "download the model's tokenizer.json again"});
  }
  [[noreturn]] void unsupported(const std::string& part, const std::string& found, const std::string& expected) const {
    throw Error(ErrorKind::tokenizer_unsupported,
                {origin_ + ": this kind of " + part + " is not one that Retain has", expected,
                 found.empty() ? "none" : found, "use a model with a BPE tokenizer (Qwen2, LLaMA, Mistral, GPT-2)"});
  }

  void read_model(const json::object& model) {
    const auto* type = member(model, "type");
    if (type != nullptr && (!type->is_string() || type->get_string() != "BPE"))
      unsupported("model", type->is_string() ? std::string(type->get_string()) : json::serialize(*type), "BPE");
    for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"})
      if (const auto* value = member(model, affix);
          value != nullptr && !(value->is_string() && value->get_string().empty()))
        unsupported(std::string("model (") + affix + ")", json::serialize(*value), "none");
    if (const auto* dropout = member(model, "dropout");
        dropout != nullptr && json::serialize(*dropout) != "0E0" && json::serialize(*dropout) != "0")
      unsupported("model (dropout)", json::serialize(*dropout), "none");
    MergeRules rules;
    rules.byte_fallback = flag(model, "byte_fallback", false);
    if (rules.byte_fallback && !parts_->metaspace) unsupported("byte-level model (byte_fallback)", "true", "false");
    const auto* vocab = member(model, "vocab");
    const auto* merges = member(model, "merges");
    if (vocab == nullptr || !vocab->is_object()) invalid("`model.vocab`", "an object of token names and ids");
    if (merges == nullptr || !merges->is_array()) invalid("`model.merges`", "a list of merges");
    VocabularyBuilder builder(*parts_, origin_);
    builder.add_tokens(vocab->get_object());
    if (const auto* token = member(model, "unk_token")) {
      if (!token->is_string()) invalid("`model.unk_token`", "a string or null");
      rules.unknown = token->get_string();
    }
    rules.ignore_merges = flag(model, "ignore_merges", false);
    rules.fuse_unknown = flag(model, "fuse_unk", false);
    builder.start_merges(merges->get_array().size(), rules);
    for (const auto& merge : merges->get_array()) builder.add_merge(merge);
    builder.finish();
  }

  void read_normalizer(const json::value* normalizer) {
    if (normalizer == nullptr) return;
    const std::string type = type_of(normalizer);
    if (type == "NFC") return parts_->normalizer.add(UnicodeForm::nfc);
    if (type == "NFD") return parts_->normalizer.add(UnicodeForm::nfd);
    if (type == "NFKC") return parts_->normalizer.add(UnicodeForm::nfkc);
    if (type == "NFKD") return parts_->normalizer.add(UnicodeForm::nfkd);
    if (type == "Prepend") return parts_->normalizer.add_prefix(text_at(normalizer->get_object(), "prepend"));
    if (type == "Replace") {
      const auto [from, to] = replacement_of(normalizer->get_object());
      if (from == " " && to == kMark) marks_spaces_ = true;
      return parts_->normalizer.add_replacement(from, to);
    }
    if (type != "Sequence")
      unsupported("normalizer", type, "NFC, NFD, NFKC, NFKD, Prepend, Replace, a Sequence of them, or null");
    for (const auto& item : items(normalizer->get_object(), "normalizers")) read_normalizer(&item);
  }

  void read_pretokenizer(const json::value* pretokenizer, bool& byte_level) {
    if (pretokenizer == nullptr) return;
    const std::string type = type_of(pretokenizer);
    // After ByteLevel the text is in byte characters, which later steps would have to match.
    if (byte_level) unsupported("pre_tokenizer (after ByteLevel)", type, "ByteLevel last");
    if (type == "Sequence") {
      for (const auto& item : items(pretokenizer->get_object(), "pretokenizers")) read_pretokenizer(&item, byte_level);
    } else if (type == "Split") {
      read_split(pretokenizer->get_object());
    } else if (type == "Digits") {
      const bool single = flag(pretokenizer->get_object(), "individual_digits", false);
      parts_->pretokenizer.add_split(single ? R"(\p{N})" : R"(\p{N}+)", false, SplitBehavior::isolated);
    } else if (type == "ByteLevel") {
      byte_level = true;
      if (flag(pretokenizer->get_object(), "add_prefix_space", true)) parts_->pretokenizer.add_prefix_space();
      if (flag(pretokenizer->get_object(), "use_regex", true))
        parts_->pretokenizer.add_split(kGpt2Pattern, false, SplitBehavior::isolated);
    } else {
      unsupported("pre_tokenizer", type, "Split, Digits, ByteLevel, or a Sequence of them");
    }
  }

  void read_split(const json::object& split) {
    const auto* behavior = member(split, "behavior");
    const std::string name = behavior == nullptr || !behavior->is_string() ? "" : std::string(behavior->get_string());
    const bool invert = flag(split, "invert", false);
    if ((name != "Isolated" && name != "Removed") || (invert && name != "Isolated"))
      unsupported("Split", name + (invert ? ", inverted" : ""), "behavior Isolated or Removed, not inverted");
    const auto* pattern = member(split, "pattern");
    const auto* object = pattern == nullptr ? nullptr : pattern->if_object();
    const auto* regex = object == nullptr ? nullptr : object->if_contains("Regex");
    const auto* literal = object == nullptr ? nullptr : object->if_contains("String");
    const auto* text = regex != nullptr ? regex : literal;
    if (text == nullptr || !text->is_string())
      invalid("the `pattern` of a Split", "{\"Regex\": text} or {\"String\": text}");
    parts_->pretokenizer.add_split(text->get_string(), regex == nullptr,
                                   name == "Isolated" ? SplitBehavior::isolated : SplitBehavior::removed);
  }

  /// Words of characters: after a Metaspace pre_tokenizer, or none where the normalizer has written spaces as marks.
  bool read_metaspace(const json::value* pretokenizer) {
    if (pretokenizer == nullptr) {
      if (marks_spaces_) parts_->metaspace.emplace(std::string(kMark), Metaspace::Prefix::never, false);
      return marks_spaces_;
    }
    if (type_of(pretokenizer) == "Sequence") {
      const auto& steps = items(pretokenizer->get_object(), "pretokenizers");
      return steps.size() == 1 && read_metaspace(&steps.front());
    }
    if (type_of(pretokenizer) != "Metaspace") return false;
    const auto& object = pretokenizer->get_object();
    const std::string scheme = prefix_scheme(object);
    const auto prefix = scheme == "always"  ? Metaspace::Prefix::always
                        : scheme == "first" ? Metaspace::Prefix::first
                                            : Metaspace::Prefix::never;
    parts_->metaspace.emplace(text_at(object, "replacement"), prefix, flag(object, "split", true));
    return true;
  }

  /// "always", "first" or "never"; older files have a flag instead.
  std::string prefix_scheme(const json::object& metaspace) const {
    if (member(metaspace, "prepend_scheme") == nullptr)
      return flag(metaspace, "add_prefix_space", true) ? "always" : "never";
    const std::string scheme = text_at(metaspace, "prepend_scheme");
    if (scheme != "always" && scheme != "first" && scheme != "never")
      unsupported("Metaspace (prepend_scheme)", scheme, "always, first or never");
    return scheme;
  }

  void read_byte_decoder(const json::value* decoder) {
    const std::string type = type_of(decoder);
    if (type == "ByteLevel") return;
    if (type == "Sequence") {
      const auto& parts = items(decoder->get_object(), "decoders");
      if (parts.size() == 1 && type_of(&parts.front()) == "ByteLevel") return;
    }
    unsupported("decoder", type, "ByteLevel");
  }

  void read_character_decoder(const json::value* decoder) {
    const std::string type = type_of(decoder);
    TokenDecoder& steps = *parts_->decoder;
    if (type == "Sequence") {
      for (const auto& item : items(decoder->get_object(), "decoders")) read_character_decoder(&item);
    } else if (type == "Replace") {
      const auto [from, to] = replacement_of(decoder->get_object());
      steps.add_replacement(from, to);
    } else if (type == "ByteFallback") {
      steps.add_byte_fallback();
    } else if (type == "Fuse") {
      steps.add_fuse();
    } else if (type == "Strip") {
      const auto& strip = decoder->get_object();
      steps.add_strip(text_at(strip, "content"), count_at(strip, "start"), count_at(strip, "stop"));
    } else if (type == "Metaspace") {
      const auto& metaspace = decoder->get_object();
      steps.add_metaspace(text_at(metaspace, "replacement"), prefix_scheme(metaspace) != "never");
    } else {
      unsupported("decoder", type, "Replace, ByteFallback, Fuse, Strip, Metaspace, or a Sequence of them");
    }
  }

  /// The `pattern`, a literal string, and the `content` of a Replace.
  std::pair<std::string, std::string> replacement_of(const json::object& replace) const {
    const auto* pattern = member(replace, "pattern");
    const auto* object = pattern == nullptr ? nullptr : pattern->if_object();
    if (object == nullptr) invalid("the `pattern` of a Replace", "{\"String\": text}");
    if (object->contains("Regex")) unsupported("Replace", json::serialize(*pattern), "a literal string");
    const auto* content = member(replace, "content");
    if (content == nullptr || !content->is_string()) invalid("the `content` of a Replace", "a string");
    return {text_at(*object, "String"), std::string(content->get_string())};
  }

  std::string text_at(const json::object& object, std::string_view key) const {
    const auto* value = member(object, key);
    if (value == nullptr || !value->is_string() || value->get_string().empty())
      invalid("`" + std::string(key) + "`", "a string that is not empty");
    return std::string(value->get_string());
  }

  std::int64_t count_at(const json::object& object, std::string_view key) const {
    const auto* value = member(object, key);
    if (value == nullptr || !value->is_int64() || value->get_int64() < 0)
      invalid("`" + std::string(key) + "`", "a number from 0");
    return value->get_int64();
  }

  void read_added(const json::value* added) {
    if (added == nullptr) return;
    if (!added->is_array()) invalid("`added_tokens`", "a list");
    for (const auto& item : added->get_array()) {
      const auto* object = item.if_object();
      const auto* content = object == nullptr ? nullptr : object->if_contains("content");
      const auto* id = object == nullptr ? nullptr : object->if_contains("id");
      if (content == nullptr || !content->is_string() || id == nullptr || !id->is_int64() || id->get_int64() < 0 ||
          id->get_int64() > std::numeric_limits<std::int32_t>::max())
        invalid("an entry of `added_tokens`", "an object with `id` (0 to 2147483647) and `content`");
      put_added_token(*parts_,
                      {std::string(content->get_string()), id->get_int64(), flag(*object, "special", false),
                       flag(*object, "normalized", false), flag(*object, "lstrip", false),
                       flag(*object, "rstrip", false), flag(*object, "single_word", false)},
                      origin_);
    }
  }

  const json::array& items(const json::object& sequence, const char* key) const {
    const auto* list = member(sequence, key);
    if (list == nullptr || !list->is_array()) invalid(std::string("`") + key + "` of a Sequence", "a list");
    return list->get_array();
  }

  const std::string& origin_;
  std::unique_ptr<TokenizerParts> parts_;
  bool marks_spaces_ = false;  ///< the normalizer writes spaces as kMark
};

}  // namespace

std::unique_ptr<TokenizerParts> parse_tokenizer_json(const json::value& file, const std::string& origin) {
  return Reader(origin).read(file);
}

}  // namespace retain::framework
