// SPDX-License-Identifier: Apache-2.0
#include "recipes/probes/token_sets.h"

#include <algorithm>
#include <map>
#include <utility>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "framework/text/regex.h"

namespace retain::recipes {
namespace {

using framework::Error;
using framework::ErrorKind;
namespace json = framework::json;
using Counts = std::map<std::int64_t, std::int64_t>;

std::string_view trimmed(std::string_view text) {
  constexpr const char* kSpace = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

/// Counts of all replicas together.
Counts gathered(const parallel::Mesh& mesh, const Counts& mine) {
  json::array pairs;
  for (const auto& [id, count] : mine) pairs.push_back(json::array{id, count});
  Counts all;
  for (const std::string& text : mesh.data().gather_text(json::serialize(pairs))) {
    const json::value share = json::parse(text);
    for (const json::value& pair : share.as_array()) all[pair.at(0).to_number<std::int64_t>()] += pair.at(1).to_number<std::int64_t>();
  }
  return all;
}

double total_of(const Counts& counts) {
  double total = 0;
  for (const auto& [id, count] : counts) total += static_cast<double>(count);
  return std::max(total, 1.0);
}

}  // namespace

std::vector<std::int64_t> tokens_of_words(const framework::Tokenizer& tokenizer, const std::vector<std::string>& words,
                                          const std::string& probe) {
  std::vector<std::int64_t> ids;
  std::vector<bool> found(words.size(), false);
  for (std::int64_t id = 0; id < tokenizer.id_limit(); ++id) {
    if (tokenizer.is_special(id)) continue;
    const std::string_view text = trimmed(tokenizer.bytes_of(id));
    bool held = false;
    for (std::size_t i = 0; i < words.size() && !text.empty(); ++i)
      if (trimmed(words[i]) == text) held = found[i] = true;
    if (held) ids.push_back(id);
  }
  for (std::size_t i = 0; i < words.size(); ++i)
    if (!found[i])
      throw Error(ErrorKind::config_invalid,
                  {"probe " + probe + ": \"" + words[i] + "\" is no token of this model",
                   "words that one token stands for", words[i], "take another word, or a part of it"});
  return ids;
}

std::vector<std::int64_t> tokens_of_pattern(const framework::Tokenizer& tokenizer, const std::string& pattern, const std::string& probe) {
  const framework::Regex regex(pattern);
  std::vector<std::int64_t> ids;
  for (std::int64_t id = 0; id < tokenizer.id_limit(); ++id)
    if (!tokenizer.is_special(id) && !tokenizer.bytes_of(id).empty() && !regex.search(tokenizer.bytes_of(id)).empty()) ids.push_back(id);
  if (ids.empty())
    throw Error(ErrorKind::config_invalid,
                {"probe " + probe + ": the pattern fits no token of this model", "a pattern over token texts", pattern,
                 "mind that most tokens begin with a space"});
  return ids;
}

std::vector<std::int64_t> tokens_of_task(const ProbeInput& base, std::int64_t count, std::int64_t max_new_tokens,
                                         const std::string& probe) {
  const framework::Tokenizer& tokenizer = base.builder.tokenizer();
  Counts taught, said;
  answer_first_questions(base, max_new_tokens, [&](std::int64_t record, const std::vector<std::int64_t>& answer) {
    for (const std::int64_t label : base.samples.sample(record, false).labels)
      if (label >= 0 && !tokenizer.is_special(label)) ++taught[label];
    for (const std::int64_t id : answer)
      if (!tokenizer.is_special(id)) ++said[id];
  });
  taught = gathered(base.model.mesh(), taught);
  said = gathered(base.model.mesh(), said);
  const double all_taught = total_of(taught), all_said = total_of(said);
  std::vector<std::pair<double, std::int64_t>> rises;  // negated, so that the largest comes first and equal ones go by id
  for (const auto& [id, times] : taught) {
    const auto before = said.find(id);
    const double rise = static_cast<double>(times) / all_taught -
                        (before == said.end() ? 0.0 : static_cast<double>(before->second) / all_said);
    if (rise > 0) rises.emplace_back(-rise, id);
  }
  if (rises.empty())
    throw Error(ErrorKind::config_invalid,
                {"probe " + probe + ": no token is more frequent in the task's answers than in the base's",
                 "a task that teaches to say something else", std::to_string(taught.size()) + " tokens, none risen",
                 "name the tokens instead"});
  std::sort(rises.begin(), rises.end());
  if (rises.size() > static_cast<std::size_t>(count)) rises.resize(static_cast<std::size_t>(count));
  std::vector<std::int64_t> ids;
  for (const auto& [rise, id] : rises) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

}  // namespace retain::recipes
