// SPDX-License-Identifier: Apache-2.0
// Byte strings with ids, found in both directions.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace retain::framework {

/// An open-addressing hash table over one arena of bytes; ids may have gaps.
class TokenTable {
 public:
  /// Makes room for `count` tokens.
  void reserve(std::size_t count);
  /// Adds a token; false, and nothing changes, when the id or the bytes are already there.
  bool add(std::string_view bytes, std::int32_t id);
  /// Adds a token that find() does not find; false when the id is already there.
  bool add_hidden(std::string_view bytes, std::int32_t id);
  /// The id of `bytes`, or -1.
  std::int32_t find(std::string_view bytes) const;
  /// The bytes of `id`; empty when there is none (see has()).
  std::string_view bytes_of(std::int64_t id) const;
  bool has(std::int64_t id) const {
    return id >= 0 && id < limit() && spans_[static_cast<std::size_t>(id)].length != kAbsent;
  }
  std::int64_t size() const noexcept { return count_; }
  /// One more than the highest id.
  std::int64_t limit() const noexcept { return static_cast<std::int64_t>(spans_.size()); }

 private:
  static constexpr std::uint32_t kAbsent = 0xFFFFFFFF;
  struct Span {
    std::uint32_t offset = 0;
    std::uint32_t length = kAbsent;
  };
  struct Slot {
    std::uint32_t tag = 0;  ///< upper half of the hash
    std::int32_t id = -1;
  };
  void store(std::string_view bytes, std::int32_t id);
  void grow(std::size_t slots);

  std::string arena_;
  std::vector<Span> spans_;  ///< by id
  std::vector<Slot> slots_;  ///< a power of two, at most half full
  std::size_t used_ = 0;     ///< slots that hold an id
  std::int64_t count_ = 0;
};

}  // namespace retain::framework
