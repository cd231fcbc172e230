// SPDX-License-Identifier: Apache-2.0
// tokenizer.json: every field is checked, and what is not byte-level BPE is refused by name.
#include <algorithm>
#include <set>

#include "framework/base/error.h"
#include "framework/text/tokenizer_parts.h"
#include "framework/text/vocabulary_builder.h"

namespace retain::framework {
namespace {

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
    read_model(model->get_object());
    read_normalizer(member(*root, "normalizer"));
    bool byte_level = false;
    read_pretokenizer(member(*root, "pre_tokenizer"), byte_level);
    if (!byte_level)
      unsupported("pre_tokenizer", type_of(member(*root, "pre_tokenizer")), "ByteLevel, alone or last in a Sequence");
    read_decoder(member(*root, "decoder"));
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
    throw Error(
        ErrorKind::tokenizer_unsupported,
        {origin_ + ": this kind of " + part + " is not one that Retain has", expected, found.empty() ? "none" : found,
         "use a model with a byte-level BPE tokenizer (Qwen2, LLaMA-3, GPT-2)"});
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
    if (flag(model, "byte_fallback", false)) unsupported("model (byte_fallback)", "true", "false");
    const auto* vocab = member(model, "vocab");
    const auto* merges = member(model, "merges");
    if (vocab == nullptr || !vocab->is_object()) invalid("`model.vocab`", "an object of token names and ids");
    if (merges == nullptr || !merges->is_array()) invalid("`model.merges`", "a list of merges");
    VocabularyBuilder builder(*parts_, origin_);
    builder.add_tokens(vocab->get_object());
    std::optional<std::string_view> unknown;
    if (const auto* token = member(model, "unk_token")) {
      if (!token->is_string()) invalid("`model.unk_token`", "a string or null");
      unknown = token->get_string();
    }
    builder.start_merges(merges->get_array().size(), flag(model, "ignore_merges", false), unknown,
                         flag(model, "fuse_unk", false));
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
    if (type != "Sequence") unsupported("normalizer", type, "NFC, NFD, NFKC, NFKD, a Sequence of them, or null");
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

  void read_decoder(const json::value* decoder) {
    const std::string type = type_of(decoder);
    if (type == "ByteLevel") return;
    if (type == "Sequence") {
      const auto& parts = items(decoder->get_object(), "decoders");
      if (parts.size() == 1 && type_of(&parts.front()) == "ByteLevel") return;
    }
    unsupported("decoder", type, "ByteLevel");
  }

  void read_added(const json::value* added) {
    if (added == nullptr) return;
    if (!added->is_array()) invalid("`added_tokens`", "a list");
    for (const auto& item : added->get_array()) {
      const auto* object = item.if_object();
      const auto* content = object == nullptr ? nullptr : object->if_contains("content");
      const auto* id = object == nullptr ? nullptr : object->if_contains("id");
      if (content == nullptr || !content->is_string() || id == nullptr || !id->is_int64())
        invalid("an entry of `added_tokens`", "an object with `id` and `content`");
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
};

}  // namespace

std::unique_ptr<TokenizerParts> parse_tokenizer_json(const json::value& file, const std::string& origin) {
  return Reader(origin).read(file);
}

}  // namespace retain::framework
