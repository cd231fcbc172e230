// SPDX-License-Identifier: Apache-2.0
// Text to token ids and back, exactly as the Hugging Face tokenizers library does it for BPE.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace retain::framework {

struct TokenizerParts;

/// Ids with the place each came from.
struct Encoding {
  std::vector<std::int64_t> ids;
  /// For each id the byte of the text where it starts; what a normaliser changed starts where the change does.
  std::vector<std::int64_t> starts;
};

/// BPE tokenizer of a model directory: byte-level (Qwen2, LLaMA-3, GPT-2), or over characters with spaces as a mark and
/// bytes for the rest (LLaMA-2, Vicuna, Mistral). All const members may be called from several threads at once.
class Tokenizer {
 public:
  /// Loads `path`: a tokenizer.json, or a folder holding tokenizer.json, or vocab.json with merges.txt (Qwen2 and GPT-2
  /// classes). Tokens that only tokenizer_config.json names are added. Throws Error(tokenizer_invalid) on a file that
  /// is absent or contradicts itself, Error(tokenizer_unsupported) on a kind of tokenizer that this class does not
  /// have.
  static Tokenizer load(const std::filesystem::path& path);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  /// Ids of UTF-8 `text`: special tokens written in it are recognised, none is added. Throws Error(data_invalid) when
  /// the text is not UTF-8.
  std::vector<std::int64_t> encode(std::string_view text) const;
  /// encode() with the start of every token.
  Encoding encode_with_starts(std::string_view text) const;
  /// Text of `ids`; unknown ids give nothing, bytes that are no UTF-8 give U+FFFD (one per maximal ill-formed part).
  std::string decode(std::span<const std::int64_t> ids, bool skip_special) const;

  /// Id of a token by its name in the file: "<|im_end|>", "Ġthe" (a byte-level name, where "Ċ" is a line feed).
  std::optional<std::int64_t> id_of(std::string_view token) const;
  /// Id of the token that stands for one raw byte, e.g. id_of_byte('\n').
  std::optional<std::int64_t> id_of_byte(unsigned char byte) const;
  /// Name of a token in the file; empty for an id that no token has.
  std::string_view token_of(std::int64_t id) const;
  /// The raw bytes that a token stands for; empty for an id that no token has.
  std::string_view bytes_of(std::int64_t id) const;
  bool is_special(std::int64_t id) const;
  /// Ids of all special tokens, ascending.
  std::vector<std::int64_t> special_ids() const;

  /// Number of tokens, added ones included.
  std::int64_t size() const;
  /// One more than the highest id: the least number of embedding rows a model needs.
  std::int64_t id_limit() const;

  /// Id of a special token called `content`; when there is none, it is added at id_limit().
  std::int64_t add_special(std::string_view content);

 private:
  explicit Tokenizer(std::unique_ptr<TokenizerParts> parts);
  void encode_section(std::string_view text, std::size_t offset, Encoding& encoding, bool with_starts) const;
  void encode_words(std::string_view text, bool at_beginning, Encoding& encoding, bool with_starts) const;
  void encode_into(std::string_view text, Encoding& encoding, bool with_starts) const;
  std::unique_ptr<TokenizerParts> parts_;
};

}  // namespace retain::framework
