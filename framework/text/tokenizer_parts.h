// SPDX-License-Identifier: Apache-2.0
// What a Tokenizer is made of, and the reading of its files.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framework/base/json.h"
#include "framework/text/added_tokens.h"
#include "framework/text/byte_level.h"
#include "framework/text/byte_pair_encoder.h"
#include "framework/text/metaspace.h"
#include "framework/text/normalizer.h"
#include "framework/text/pretokenizer.h"
#include "framework/text/token_decoder.h"
#include "framework/text/token_table.h"

namespace retain::framework {

/// Byte-level BPE writes words in the alphabet of its bytes; the other kind in characters, with spaces as a mark.
struct TokenizerParts {
  ByteLevelAlphabet alphabet;
  TokenTable names;   ///< every token as the file spells it
  TokenTable bytes;   ///< the raw bytes of the same ids; only what byte-level words can become is found
  TokenTable pieces;  ///< the vocabulary as it is spelled, where words are made of characters; else empty
  std::optional<BytePairEncoder> encoder;
  Normalizer normalizer;
  PreTokenizer pretokenizer;            ///< of byte-level words
  std::optional<Metaspace> metaspace;   ///< of the others; set exactly when words are made of characters
  bool cuts_runs = false;               ///< no merge crosses from another character to a mark (Metaspace::cuts)
  std::optional<TokenDecoder> decoder;  ///< absent: tokens are bytes
  std::vector<AddedToken> added;
  AddedTokenFinder raw_finder;         ///< added tokens sought in the text as it is
  AddedTokenFinder normalized_finder;  ///< added tokens sought after normalisation
  std::vector<bool> special;           ///< by id

  bool is_special(std::int64_t id) const {
    return id >= 0 && id < static_cast<std::int64_t>(special.size()) && special[static_cast<std::size_t>(id)];
  }
};

/// Adds `token`, or gives one of the same content its flags. A token that the vocabulary has keeps its id there. Throws
/// Error(tokenizer_invalid) when another token has the id.
void put_added_token(TokenizerParts& parts, AddedToken token, const std::string& origin);
/// Rebuilds both finders and the special flags from `added`.
void index_added_tokens(TokenizerParts& parts);

/// Builds a tokenizer from the JSON of a tokenizer.json.
std::unique_ptr<TokenizerParts> parse_tokenizer_json(const json::value& file, const std::string& origin);
/// Builds a tokenizer from vocab.json and merges.txt; tokenizer_config.json names the class and so the split pattern.
std::unique_ptr<TokenizerParts> read_vocab_and_merges(const std::filesystem::path& folder);
/// Adds the tokens of a tokenizer_config.json that `parts` lacks: added_tokens_decoder and the named special tokens.
void add_config_tokens(TokenizerParts& parts, const json::value& config, const std::string& origin);

}  // namespace retain::framework
