// SPDX-License-Identifier: Apache-2.0
// Sets of tokens to probe: words, a pattern over token texts, or what a task teaches to say.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "framework/text/tokenizer.h"
#include "recipes/probes/probe_input.h"

namespace retain::recipes {

/// Ids of all tokens whose text is one of `words`, white space around it ignored, ascending; special tokens never count. Throws
/// Error(config_invalid) naming `probe` for a word that no single token is.
std::vector<std::int64_t> tokens_of_words(const framework::Tokenizer& tokenizer, const std::vector<std::string>& words,
                                          const std::string& probe);

/// Ids of all tokens in whose text the PCRE2 pattern is found, ascending; special tokens never count. Throws
/// Error(config_invalid) where there is none.
std::vector<std::int64_t> tokens_of_pattern(const framework::Tokenizer& tokenizer, const std::string& pattern, const std::string& probe);

/// Collective over the mesh of `base.model`, the base: of the first records of a task, the (at most) `count` tokens whose share of
/// the task's supervised tokens exceeds their share of the base's own greedy answers most, ascending; special tokens never count,
/// equal rises go by id. Throws Error(config_invalid) naming `probe` where no token is more frequent.
std::vector<std::int64_t> tokens_of_task(const ProbeInput& base, std::int64_t count, std::int64_t max_new_tokens, const std::string& probe);

}  // namespace retain::recipes
