// SPDX-License-Identifier: Apache-2.0
// Unicode normalisation of text before it is split (ICU).
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace retain::framework {

enum class UnicodeForm : std::uint8_t { nfc, nfd, nfkc, nfkd };

/// A list of Unicode forms applied one after another; often one, often none.
class Normalizer {
 public:
  void add(UnicodeForm form) { forms_.push_back(form); }
  /// The normalised text: `text` itself where nothing changes, else a view of `buffer`.
  std::string_view apply(std::string_view text, std::string& buffer) const;

 private:
  std::vector<UnicodeForm> forms_;
};

}  // namespace retain::framework
