// SPDX-License-Identifier: Apache-2.0
// What is done to text before it is split: Unicode normal forms (ICU), prefixes and replacements.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "framework/text/tracked_text.h"

namespace retain::framework {

enum class UnicodeForm : std::uint8_t { nfc, nfd, nfkc, nfkd };

/// Steps applied one after another; often one, often none.
class Normalizer {
 public:
  void add(UnicodeForm form);
  /// `prefix` before every text that is not empty.
  void add_prefix(std::string prefix);
  /// Every `from` (not empty) becomes `to`.
  void add_replacement(std::string from, std::string to);

  void apply(TrackedText& text) const;

 private:
  enum class Kind : std::uint8_t { form, prefix, replacement };
  struct Step {
    Kind kind;
    UnicodeForm form = UnicodeForm::nfc;
    std::string from;
    std::string to;
  };
  std::vector<Step> steps_;
};

}  // namespace retain::framework
