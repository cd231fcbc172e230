// SPDX-License-Identifier: Apache-2.0
// Chat templates as data: a conversation becomes a prompt, its token ids and the labels that training uses.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "framework/text/tokenizer.h"
#include "framework/text/turn.h"

namespace retain::framework {

/// Which positions are supervised.
enum class LabelMode : std::uint8_t {
  clean,    ///< every assistant answer and its end-of-turn token; no header, no newline after it
  faithful  ///< as LMM_CL's data_utils.py: whole assistant turns, and every structural token wherever it stands
};

/// "clean" or "faithful". Throws Error(config_invalid) that lists both.
LabelMode label_mode_from_name(std::string_view name);

/// The label of a position that does not enter the loss.
inline constexpr std::int64_t kIgnoredLabel = -100;
/// What marks a picture in a turn's text.
inline constexpr std::string_view kImageToken = "<image>";
/// And a video.
inline constexpr std::string_view kVideoToken = "<video>";

/// A conversation in tokens. `labels` is unshifted: labels[i] is input_ids[i] or kIgnoredLabel.
struct EncodedChat {
  std::string prompt;
  std::vector<std::int64_t> input_ids;
  std::vector<std::int64_t> labels;
};

/// The pieces of a template, written one after another: begin, preamble, then for each turn user_open + text +
/// user_close, or answer_open + answer_lead + text + answer_tail + end_of_turn + after_answer.
struct ChatFormat {
  std::string_view name;
  std::string_view begin;     ///< one token before all else, or none
  std::string_view preamble;  ///< the system's turn
  std::string_view user_open;
  std::string_view user_close;
  std::string_view answer_open;  ///< where generation starts
  std::string_view answer_lead;  ///< supervised with the answer
  std::string_view answer_tail;  ///< likewise
  std::string_view end_of_turn;  ///< one token; supervised after an answer
  std::string_view after_answer;
  std::string_view image;     ///< what `<image>` is written as
  std::string_view video;     ///< and `<video>`; empty where the model takes none
  bool moves_image_to_front;  ///< a lone `<image>` goes before its turn's text (LLaVA preprocess_multimodal)
  bool trims;                 ///< white space around a turn's text is dropped
  bool faithful_whole_turns;  ///< the released code supervises an answer's header and what follows it too
  std::span<const std::string_view> tokens;      ///< names that the tokenizer must have
  std::span<const std::string_view> structural;  ///< token names supervised everywhere in faithful mode
};

/// One template. The whole conversation is tokenised at once; a leading turn that is not the user's is left out.
class ChatTemplate {
 public:
  /// "qwen_1_5" (LLaVA-OneVision), "llama_3", "vicuna" and "mistral" (LLaVA-NeXT; "vicuna" LLaVA-1.5 too),
  /// "qwen2_5_vl". Throws Error(config_unsupported) listing them.
  static ChatTemplate named(std::string_view name);

  /// The whole conversation, for training. An `<image>` is one id here; expanding it to visual tokens comes later.
  EncodedChat encode(const Tokenizer& tokenizer, std::span<const Turn> turns, LabelMode mode) const;
  /// The conversation without its last answer (where it ends with one), and an opened assistant header. No labels are
  /// set.
  EncodedChat encode_for_generation(const Tokenizer& tokenizer, std::span<const Turn> turns) const;

  /// The turns that encode() keeps: all but a leading one that is not the user's.
  static std::span<const Turn> kept(std::span<const Turn> turns);
  /// Name of the token that ends a turn, e.g. "<|im_end|>".
  std::string_view end_of_turn() const noexcept { return format_->end_of_turn; }
  const ChatFormat& format() const noexcept { return *format_; }

 private:
  explicit ChatTemplate(const ChatFormat& format) : format_(&format) {}
  const ChatFormat* format_;
};

}  // namespace retain::framework
