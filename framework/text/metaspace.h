// SPDX-License-Identifier: Apache-2.0
// Spaces written as a mark, as SentencePiece's vocabularies have it (Kudo and Richardson 2018), and words cut at the
// mark.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "framework/text/tracked_text.h"

namespace retain::framework {

class Metaspace {
 public:
  /// Where a mark is put before text that does not begin with one.
  enum class Prefix { never, first, always };

  /// `splits`: every mark begins a word. Otherwise a whole stretch of text is one.
  Metaspace(std::string mark, Prefix prefix, bool splits);

  /// Writes spaces as marks; `at_beginning`: the stretch begins the text.
  void apply(TrackedText& text, bool at_beginning) const;

  /// The offsets where words begin, and the end of the text. With `cuts_runs` (no token holds a mark after another
  /// character, so that no merge crosses such a place) runs of marks begin words too, which changes no result.
  std::vector<std::size_t> cuts(std::string_view text, bool cuts_runs) const;

  std::string_view mark() const noexcept { return mark_; }

 private:
  std::string mark_;
  Prefix prefix_;
  bool splits_;
};

}  // namespace retain::framework
