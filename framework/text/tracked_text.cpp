// SPDX-License-Identifier: Apache-2.0
#include "framework/text/tracked_text.h"

#include <algorithm>
#include <utility>

namespace retain::framework {

void TrackedText::rewrite(std::string text, const std::vector<std::uint32_t>& sources) {
  if (tracks_) {
    std::vector<std::uint32_t> origins;
    origins.reserve(sources.size());
    for (const std::uint32_t source : sources) origins.push_back(static_cast<std::uint32_t>(origin(source)));
    origins_ = std::move(origins);
  }
  text_ = std::move(text);
  view_ = text_;
}

void TrackedText::prepend(std::string_view prefix) {
  std::string text(prefix);
  text += view_;
  std::vector<std::uint32_t> sources;
  if (tracks_) {
    sources.resize(text.size(), 0);
    for (std::size_t i = prefix.size(); i < text.size(); ++i)
      sources[i] = static_cast<std::uint32_t>(i - prefix.size());
  }
  rewrite(std::move(text), sources);
}

void TrackedText::replace_all(std::string_view from, std::string_view to) {
  if (view_.find(from) == std::string_view::npos) return;
  std::string text;
  std::vector<std::uint32_t> sources;
  text.reserve(view_.size() + view_.size() / 2);
  for (std::size_t done = 0; done < view_.size();) {
    const std::size_t at = std::min(view_.find(from, done), view_.size());
    text += view_.substr(done, at - done);
    for (std::size_t i = done; tracks_ && i < at; ++i) sources.push_back(static_cast<std::uint32_t>(i));
    if (at == view_.size()) break;
    text += to;
    if (tracks_) sources.insert(sources.end(), to.size(), static_cast<std::uint32_t>(at));
    done = at + from.size();
  }
  rewrite(std::move(text), sources);
}

}  // namespace retain::framework
