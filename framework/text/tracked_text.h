// SPDX-License-Identifier: Apache-2.0
// Text that steps before tokenization rewrite, and where each of its bytes comes from.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace retain::framework {

class TrackedText {
 public:
  /// `text` must outlive this. Without `tracks` origins are not kept.
  explicit TrackedText(std::string_view text, bool tracks = false) : view_(text), tracks_(tracks) {}
  TrackedText(const TrackedText&) = delete;
  TrackedText& operator=(const TrackedText&) = delete;

  /// The text as it is now: the original itself while nothing has changed it.
  std::string_view view() const noexcept { return view_; }
  bool tracks() const noexcept { return tracks_; }
  /// The byte of the original that byte `i` comes from; i itself where nothing changed or nothing is tracked.
  std::size_t origin(std::size_t i) const { return i < origins_.size() ? origins_[i] : i; }

  /// Takes another text, whose byte i comes from byte sources[i] of the present one (`sources` only where it tracks).
  void rewrite(std::string text, const std::vector<std::uint32_t>& sources);
  /// `prefix` before the text.
  void prepend(std::string_view prefix);
  /// Every `from` (not empty), from the left, becomes `to`.
  void replace_all(std::string_view from, std::string_view to);

 private:
  std::string_view view_;
  bool tracks_;
  std::string text_;
  std::vector<std::uint32_t> origins_;
};

}  // namespace retain::framework
