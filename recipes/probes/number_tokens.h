// SPDX-License-Identifier: Apache-2.0
// The tokens that mean a number: the vocabulary of the counting-bias probe (arXiv 2510.08564; released code's
// scripts/analysis/output_logit_single_model_inference.py).
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "framework/text/tokenizer.h"

namespace retain::recipes {

/// True for the text of one token, white space around it ignored: ASCII digits, ordinals (1st), decimals and comma numbers
/// held by one token, and in any case the words zero to twenty, the tens, hundred, thousand, million, billion.
bool is_number_text(std::string_view text);

/// Ids of all number tokens, ascending; special tokens never count.
std::vector<std::int64_t> number_tokens(const framework::Tokenizer& tokenizer);

}  // namespace retain::recipes
