// SPDX-License-Identifier: Apache-2.0
// "Did you mean …": the valid word nearest to a mistyped one.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace retain::framework {

/// Number of single-character insertions, deletions, substitutions and swaps of neighbours between two words.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate nearest to `word`, or empty when none is near (distance above a third of the longer word plus one).
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

/// `did you mean "…"?` of the nearest candidate, or `otherwise` when none is near: a remedy for an error's text.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates, const std::string& otherwise = "");

}  // namespace retain::framework
