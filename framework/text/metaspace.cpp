// SPDX-License-Identifier: Apache-2.0
#include "framework/text/metaspace.h"

#include <utility>

namespace retain::framework {

Metaspace::Metaspace(std::string mark, Prefix prefix, bool splits)
    : mark_(std::move(mark)), prefix_(prefix), splits_(splits) {}

void Metaspace::apply(TrackedText& text, bool at_beginning) const {
  text.replace_all(" ", mark_);
  const bool wanted = prefix_ == Prefix::always || (prefix_ == Prefix::first && at_beginning);
  if (wanted && !text.view().starts_with(mark_)) text.prepend(mark_);
}

std::vector<std::size_t> Metaspace::cuts(std::string_view text, bool cuts_runs) const {
  std::vector<std::size_t> places{0};
  std::size_t after_mark = std::string_view::npos;
  for (std::size_t at = text.find(mark_); (splits_ || cuts_runs) && at != std::string_view::npos;
       at = text.find(mark_, after_mark)) {
    if (at > 0 && (splits_ || at != after_mark)) places.push_back(at);
    after_mark = at + mark_.size();
  }
  places.push_back(text.size());
  return places;
}

}  // namespace retain::framework
