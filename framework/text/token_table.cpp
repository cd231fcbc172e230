// SPDX-License-Identifier: Apache-2.0
// The hash table of a vocabulary.
#include "framework/text/token_table.h"

#include <algorithm>
#include <bit>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace retain::framework {
namespace {

std::uint64_t hash_of(std::string_view bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

}  // namespace

void TokenTable::reserve(std::size_t count) {
  grow(std::bit_ceil(std::max<std::size_t>(2 * count, 16)));
  spans_.reserve(count);
}

void TokenTable::grow(std::size_t slots) {
  if (slots <= slots_.size()) return;
  const std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(slots));
  for (const Slot& slot : old) {
    if (slot.id < 0) continue;
    std::size_t at = hash_of(bytes_of(slot.id)) & (slots - 1);
    while (slots_[at].id >= 0) at = (at + 1) & (slots - 1);
    slots_[at] = slot;
  }
}

void TokenTable::store(std::string_view bytes, std::int32_t id) {
  if (static_cast<std::size_t>(id) >= spans_.size()) spans_.resize(static_cast<std::size_t>(id) + 1);
  spans_[static_cast<std::size_t>(id)] = {static_cast<std::uint32_t>(arena_.size()),
                                          static_cast<std::uint32_t>(bytes.size())};
  arena_ += bytes;
  ++count_;
}

bool TokenTable::add_hidden(std::string_view bytes, std::int32_t id) {
  if (has(id)) return false;
  store(bytes, id);
  return true;
}

bool TokenTable::add(std::string_view bytes, std::int32_t id) {
  if (has(id)) return false;
  if (2 * (used_ + 1) > slots_.size()) grow(std::max<std::size_t>(16, 2 * slots_.size()));
  const std::uint64_t hash = hash_of(bytes);
  const auto tag = static_cast<std::uint32_t>(hash >> 32);
  std::size_t at = hash & (slots_.size() - 1);
  for (; slots_[at].id >= 0; at = (at + 1) & (slots_.size() - 1))
    if (slots_[at].tag == tag && bytes_of(slots_[at].id) == bytes) return false;
  slots_[at] = {tag, id};
  ++used_;
  store(bytes, id);
  return true;
}

std::int32_t TokenTable::find(std::string_view bytes) const {
  if (slots_.empty()) return -1;
  const std::uint64_t hash = hash_of(bytes);
  const auto tag = static_cast<std::uint32_t>(hash >> 32);
  for (std::size_t at = hash & (slots_.size() - 1); slots_[at].id >= 0; at = (at + 1) & (slots_.size() - 1))
    if (slots_[at].tag == tag && bytes_of(slots_[at].id) == bytes) return slots_[at].id;
  return -1;
}

std::string_view TokenTable::bytes_of(std::int64_t id) const {
  if (!has(id)) return {};
  const Span span = spans_[static_cast<std::size_t>(id)];
  return {arena_.data() + span.offset, span.length};
}

}  // namespace retain::framework
