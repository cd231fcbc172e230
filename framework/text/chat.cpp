// SPDX-License-Identifier: Apache-2.0
// The templates of LLaVA's conversation.py and of the hub's Qwen2.5-VL chat template, as data. Which positions they
// supervise: LLaVA's train.py, preprocess_qwen, preprocess_llama3, preprocess_v1 and preprocess_llama_2.
#include "framework/text/chat.h"

#include <algorithm>
#include <array>
#include <utility>

#include "framework/base/error.h"
#include "framework/text/unicode.h"

namespace retain::framework {
namespace {

constexpr std::array<std::string_view, 3> kChatMlStructural{"<|im_start|>", "<|im_end|>", "\n"};
constexpr std::span kChatMlTokens = std::span(kChatMlStructural).first<2>();
// The released code asks for "\n\n" by a name that the vocabulary does not have, so it is no part of this list.
constexpr std::array<std::string_view, 4> kLlama3Structural{"<|begin_of_text|>", "<|start_header_id|>",
                                                            "<|end_header_id|>", "<|eot_id|>"};
constexpr std::array<std::string_view, 2> kLlama2Tokens{"<s>", "</s>"};

constexpr std::array<ChatFormat, 5> kFormats{{
    {.name = "qwen_1_5",
     .begin = "",
     .preamble = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n",
     .user_open = "<|im_start|>user\n",
     .user_close = "<|im_end|>\n",
     .answer_open = "<|im_start|>assistant\n",
     .answer_lead = "",
     .answer_tail = "",
     .end_of_turn = "<|im_end|>",
     .after_answer = "\n",
     .image = kImageToken,
     .video = kVideoToken,
     .moves_image_to_front = true,
     .trims = false,
     .faithful_whole_turns = true,
     .tokens = kChatMlTokens,
     .structural = kChatMlStructural},
    {.name = "llama_3",
     .begin = "<|begin_of_text|>",
     .preamble =
         "<|start_header_id|>system<|end_header_id|>\n\nYou are a helpful language and vision assistant. You are able "
         "to "
         "understand the visual content that the user provides, and assist the user with a variety of tasks using "
         "natural language.<|eot_id|>",
     .user_open = "<|start_header_id|>user<|end_header_id|>\n\n",
     .user_close = "<|eot_id|>",
     .answer_open = "<|start_header_id|>assistant<|end_header_id|>\n\n",
     .answer_lead = "",
     .answer_tail = "",
     .end_of_turn = "<|eot_id|>",
     .after_answer = "",
     .image = kImageToken,
     .video = "",
     .moves_image_to_front = true,
     .trims = true,
     .faithful_whole_turns = true,
     .tokens = kLlama3Structural,
     .structural = kLlama3Structural},
    // conv_vicuna_v1; preprocess_v1 supervises answers and their ends only.
    {.name = "vicuna",
     .begin = "<s>",
     .preamble = "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
                 "detailed, and polite answers to the user's questions. ",
     .user_open = "USER: ",
     .user_close = " ",
     .answer_open = "ASSISTANT:",
     .answer_lead = " ",
     .answer_tail = "",
     .end_of_turn = "</s>",
     .after_answer = "",
     .image = kImageToken,
     .video = "",
     .moves_image_to_front = true,
     .trims = false,
     .faithful_whole_turns = false,
     .tokens = kLlama2Tokens,
     .structural = {}},
    // conv_mistral_instruct, whose system text is empty; preprocess_llama_2 supervises likewise.
    {.name = "mistral",
     .begin = "<s>",
     .preamble = "",
     .user_open = "[INST] ",
     .user_close = " [/INST]",
     .answer_open = "",
     .answer_lead = " ",
     .answer_tail = " ",
     .end_of_turn = "</s>",
     .after_answer = "",
     .image = kImageToken,
     .video = "",
     .moves_image_to_front = true,
     .trims = false,
     .faithful_whole_turns = false,
     .tokens = kLlama2Tokens,
     .structural = {}},
    {.name = "qwen2_5_vl",
     .begin = "",
     .preamble = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n",
     .user_open = "<|im_start|>user\n",
     .user_close = "<|im_end|>\n",
     .answer_open = "<|im_start|>assistant\n",
     .answer_lead = "",
     .answer_tail = "",
     .end_of_turn = "<|im_end|>",
     .after_answer = "\n",
     .image = "<|vision_start|><|image_pad|><|vision_end|>",
     .video = "<|vision_start|><|video_pad|><|vision_end|>",
     .moves_image_to_front = false,
     .trims = false,
     .faithful_whole_turns = true,
     .tokens = kChatMlTokens,
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
  if (!format.video.empty() && format.video != kVideoToken) body = replace_all(body, kVideoToken, format.video);
  return format.trims ? strip(body) : body;
}

/// Ids that the released code unmasks wherever they stand; "\n" is the token of that one byte.
std::vector<std::int64_t> structural_ids(const ChatFormat& format, const Tokenizer& tokenizer) {
  std::vector<std::int64_t> ids;
  for (const std::string_view name : format.structural)
    if (const auto id = name == "\n" ? tokenizer.id_of_byte('\n') : tokenizer.id_of(name)) ids.push_back(*id);
  return ids;
}

/// An answer's bytes in the conversation.
struct Answer {
  std::size_t header;  ///< where its turn begins
  std::size_t text;    ///< where supervision begins in clean mode
  std::size_t end;     ///< after the end-of-turn token
  std::size_t next;    ///< where the next turn begins
};

/// Collects the turns of one conversation.
class Writer {
 public:
  Writer(const ChatFormat& format, const Tokenizer& tokenizer)
      : format_(format), tokenizer_(tokenizer), text_(format.preamble) {
    for (const std::string_view name : format.tokens)
      if (!tokenizer.id_of(name).has_value())
        throw Error(ErrorKind::tokenizer_invalid, {"the tokenizer has no token " + std::string(name) +
                                                       ", which chat template " + std::string(format.name) + " needs",
                                                   std::string(name) + " among the added tokens",
                                                   {},
                                                   "use the tokenizer that belongs to the model"});
  }

  void add_turn(const Turn& turn) {
    const std::string body = body_of(format_, turn.text);
    if (turn.role == Role::user) {
      text_.append(format_.user_open).append(body).append(format_.user_close);
      return;
    }
    Answer answer{.header = text_.size(), .text = 0, .end = 0, .next = 0};
    text_ += format_.answer_open;
    answer.text = text_.size();
    text_.append(format_.answer_lead).append(body).append(format_.answer_tail).append(format_.end_of_turn);
    answer.end = text_.size();
    text_ += format_.after_answer;
    answer.next = text_.size();
    answers_.push_back(answer);
  }

  void open_answer() { text_ += format_.answer_open; }

  EncodedChat finish(LabelMode mode) {
    EncodedChat chat;
    chat.prompt = std::string(format_.begin) + text_;
    if (!format_.begin.empty()) chat.input_ids.push_back(*tokenizer_.id_of(format_.begin));
    chat.labels.resize(chat.input_ids.size(), kIgnoredLabel);
    const Encoding encoding = tokenizer_.encode_with_starts(text_);
    chat.input_ids.insert(chat.input_ids.end(), encoding.ids.begin(), encoding.ids.end());
    const bool whole = mode == LabelMode::faithful && format_.faithful_whole_turns;
    for (std::size_t i = 0; i < encoding.ids.size(); ++i)
      chat.labels.push_back(is_supervised(static_cast<std::size_t>(encoding.starts[i]), whole) ? encoding.ids[i]
                                                                                               : kIgnoredLabel);
    if (mode == LabelMode::faithful) unmask_structure(chat);
    return chat;
  }

 private:
  /// Of a token that starts at byte `start`. One that an answer shares with its header (two line feeds in one) starts
  /// before the answer and stays masked.
  bool is_supervised(std::size_t start, bool whole_turns) const {
    return std::any_of(answers_.begin(), answers_.end(), [&](const Answer& answer) {
      return whole_turns ? start >= answer.header && start < answer.next : start >= answer.text && start < answer.end;
    });
  }

  void unmask_structure(EncodedChat& chat) const {
    const auto unmasked = structural_ids(format_, tokenizer_);
    for (std::size_t i = 0; i < chat.input_ids.size(); ++i)
      if (std::find(unmasked.begin(), unmasked.end(), chat.input_ids[i]) != unmasked.end())
        chat.labels[i] = chat.input_ids[i];
  }

  const ChatFormat& format_;
  const Tokenizer& tokenizer_;
  std::string text_;
  std::vector<Answer> answers_;
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
  for (const Turn& turn : kept(turns)) writer.add_turn(turn);
  return writer.finish(mode);
}

EncodedChat ChatTemplate::encode_for_generation(const Tokenizer& tokenizer, std::span<const Turn> turns) const {
  if (!turns.empty() && turns.back().role == Role::assistant) turns = turns.first(turns.size() - 1);
  Writer writer(*format_, tokenizer);
  for (const Turn& turn : kept(turns)) writer.add_turn(turn);
  writer.open_answer();
  EncodedChat chat = writer.finish(LabelMode::clean);
  std::fill(chat.labels.begin(), chat.labels.end(), kIgnoredLabel);
  return chat;
}

}  // namespace retain::framework
