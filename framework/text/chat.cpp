// SPDX-License-Identifier: Apache-2.0
// The templates of LLaVA's conversation.py and of the hub's Qwen2.5-VL chat template, as data.
#include "framework/text/chat.h"

#include <algorithm>
#include <array>
#include <utility>

#include "framework/base/error.h"
#include "framework/text/unicode.h"

namespace retain::framework {
namespace {

constexpr std::array<std::string_view, 3> kChatMlStructural{"<|im_start|>", "<|im_end|>", "\n"};
// The released code asks for "\n\n" by a name that the vocabulary does not have, so it is no part of this list.
constexpr std::array<std::string_view, 4> kLlama3Structural{"<|begin_of_text|>", "<|start_header_id|>",
                                                            "<|end_header_id|>", "<|eot_id|>"};

constexpr std::array<ChatFormat, 3> kFormats{{
    {.name = "qwen_1_5",
     .begin = "",
     .system = "You are a helpful assistant.",
     .header_open = "<|im_start|>",
     .header_close = "\n",
     .end_of_turn = "<|im_end|>",
     .after_turn = "\n",
     .image = kImageToken,
     .moves_image_to_front = true,
     .trims = false,
     .structural = kChatMlStructural},
    {.name = "llama_3",
     .begin = "<|begin_of_text|>",
     .system =
         "You are a helpful language and vision assistant. You are able to understand the visual content that the "
         "user provides, and assist the user with a variety of tasks using natural language.",
     .header_open = "<|start_header_id|>",
     .header_close = "<|end_header_id|>\n\n",
     .end_of_turn = "<|eot_id|>",
     .after_turn = "",
     .image = kImageToken,
     .moves_image_to_front = true,
     .trims = true,
     .structural = kLlama3Structural},
    {.name = "qwen2_5_vl",
     .begin = "",
     .system = "You are a helpful assistant.",
     .header_open = "<|im_start|>",
     .header_close = "\n",
     .end_of_turn = "<|im_end|>",
     .after_turn = "\n",
     .image = "<|vision_start|><|image_pad|><|vision_end|>",
     .moves_image_to_front = false,
     .trims = false,
     .structural = kChatMlStructural},
}};

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  for (std::size_t at = text.find(from); at != std::string_view::npos; at = text.find(from)) {
    result.append(text.substr(0, at)).append(to);
    text.remove_prefix(at + from.size());
  }
  return result.append(text);
}

/// A lone `<image>` that does not begin its turn goes to the front, followed by a line feed and the stripped rest.
std::string image_to_front(const std::string& text) {
  const std::size_t at = text.find(kImageToken);
  if (at == std::string::npos || at == 0 || text.find(kImageToken, at + kImageToken.size()) != std::string::npos)
    return text;
  return strip(std::string(kImageToken) + "\n" + strip(replace_all(text, kImageToken, "")));
}

std::string body_of(const ChatFormat& format, const std::string& text) {
  std::string body = format.moves_image_to_front ? image_to_front(text) : text;
  if (format.image != kImageToken) body = replace_all(body, kImageToken, format.image);
  return format.trims ? strip(body) : body;
}

std::string header_of(const ChatFormat& format, std::string_view role) {
  return std::string(format.header_open).append(role).append(format.header_close);
}

/// Ids that the released code unmasks wherever they stand; "\n" is the token of that one byte.
std::vector<std::int64_t> structural_ids(const ChatFormat& format, const Tokenizer& tokenizer) {
  std::vector<std::int64_t> ids;
  for (const std::string_view name : format.structural)
    if (const auto id = name == "\n" ? tokenizer.id_of_byte('\n') : tokenizer.id_of(name)) ids.push_back(*id);
  return ids;
}

/// Collects the turns of one conversation.
class Writer {
 public:
  Writer(const ChatFormat& format, const Tokenizer& tokenizer) : format_(format), tokenizer_(tokenizer) {
    for (const std::string_view name : {format.header_open, format.end_of_turn})
      if (!tokenizer.id_of(name).has_value())
        throw Error(ErrorKind::tokenizer_invalid, {"the tokenizer has no token " + std::string(name) +
                                                       ", which chat template " + std::string(format.name) + " needs",
                                                   std::string(name) + " among the added tokens",
                                                   {},
                                                   "use the tokenizer that belongs to the model"});
    end_of_turn_ = *tokenizer.id_of(format.end_of_turn);
  }

  void add_system() {
    const std::string text = std::string(format_.begin) + header_of(format_, "system") + std::string(format_.system) +
                             std::string(format_.end_of_turn) + std::string(format_.after_turn);
    append(text, false, 0);
  }

  void add_turn(const Turn& turn) {
    const bool answers = turn.role == Role::assistant;
    const std::string header = header_of(format_, answers ? "assistant" : "user");
    append(header + body_of(format_, turn.text) + std::string(format_.end_of_turn) + std::string(format_.after_turn),
           answers, header.size());
  }

  void open_answer() { append(header_of(format_, "assistant"), false, 0); }

  EncodedChat finish(LabelMode mode) {
    if (mode == LabelMode::faithful) {
      chat_.labels = std::move(whole_turns_);
      const auto unmasked = structural_ids(format_, tokenizer_);
      for (std::size_t i = 0; i < chat_.input_ids.size(); ++i)
        if (std::find(unmasked.begin(), unmasked.end(), chat_.input_ids[i]) != unmasked.end())
          chat_.labels[i] = chat_.input_ids[i];
    }
    return std::move(chat_);
  }

 private:
  /// Supervises, in an answering turn, what starts at byte `begin` or later, up to the last end-of-turn token. A token
  /// that the answer shares with its header (two line feeds in one) starts before it and stays masked.
  void append(const std::string& text, bool answers, std::size_t begin) {
    chat_.prompt += text;
    const Encoding encoding = tokenizer_.encode_with_starts(text);
    std::size_t last = answers ? encoding.ids.size() : 0;
    while (last > 0 && encoding.ids[last - 1] != end_of_turn_) --last;
    for (std::size_t i = 0; i < encoding.ids.size(); ++i) {
      const std::int64_t id = encoding.ids[i];
      const bool supervised = i < last && encoding.starts[i] >= static_cast<std::int64_t>(begin);
      chat_.input_ids.push_back(id);
      chat_.labels.push_back(supervised ? id : kIgnoredLabel);
      whole_turns_.push_back(answers ? id : kIgnoredLabel);
    }
  }

  const ChatFormat& format_;
  const Tokenizer& tokenizer_;
  std::int64_t end_of_turn_ = 0;
  EncodedChat chat_;
  std::vector<std::int64_t> whole_turns_;
};

}  // namespace

LabelMode label_mode_from_name(std::string_view name) {
  if (name == "clean") return LabelMode::clean;
  if (name == "faithful") return LabelMode::faithful;
  throw Error(ErrorKind::config_invalid,
              {"unknown label mode", "clean or faithful", std::string(name), "use one of the two"});
}

ChatTemplate ChatTemplate::named(std::string_view name) {
  std::string known;
  for (const ChatFormat& format : kFormats) {
    if (format.name == name) return ChatTemplate(format);
    known += (known.empty() ? "" : ", ") + std::string(format.name);
  }
  throw Error(ErrorKind::config_unsupported,
              {"unknown chat template", known, std::string(name), "name one of the templates above"});
}

std::span<const Turn> ChatTemplate::kept(std::span<const Turn> turns) {
  return !turns.empty() && turns.front().role != Role::user ? turns.subspan(1) : turns;
}

EncodedChat ChatTemplate::encode(const Tokenizer& tokenizer, std::span<const Turn> turns, LabelMode mode) const {
  Writer writer(*format_, tokenizer);
  writer.add_system();
  for (const Turn& turn : kept(turns)) writer.add_turn(turn);
  return writer.finish(mode);
}

EncodedChat ChatTemplate::encode_for_generation(const Tokenizer& tokenizer, std::span<const Turn> turns) const {
  if (!turns.empty() && turns.back().role == Role::assistant) turns = turns.first(turns.size() - 1);
  Writer writer(*format_, tokenizer);
  writer.add_system();
  for (const Turn& turn : kept(turns)) writer.add_turn(turn);
  writer.open_answer();
  EncodedChat chat = writer.finish(LabelMode::clean);
  std::fill(chat.labels.begin(), chat.labels.end(), kIgnoredLabel);
  return chat;
}

}  // namespace retain::framework
