// SPDX-License-Identifier: Apache-2.0
// Byte-pair merging: a hash table from pairs to ranks, scans for short words, a heap for long ones.
#include "framework/text/byte_pair_encoder.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <queue>
#include <utility>

#include "framework/text/utf8.h"

namespace retain::framework {
namespace {

/// Words up to this many bytes are merged by repeated scans on the stack, longer ones through a heap.
constexpr std::size_t kShortWord = 64;

std::uint64_t pair_of(std::int32_t left, std::int32_t right) {
  return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
}

std::size_t slot_of(std::uint64_t pair, std::size_t slots) {
  return static_cast<std::size_t>((pair * 0x9E3779B97F4A7C15u) >> 20) & (slots - 1);
}

}  // namespace

BytePairEncoder::BytePairEncoder(const TokenTable& tokens, Units units, bool ignore_merges, Unknown unknown)
    : tokens_(&tokens), units_(units), ignore_merges_(ignore_merges), unknown_(unknown), merges_(16) {
  for (int byte = 0; byte < 256; ++byte) {
    const char text = static_cast<char>(byte);
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", static_cast<unsigned>(byte));
    byte_ids_[static_cast<std::size_t>(byte)] = tokens.find({&text, 1});
    byte_names_[static_cast<std::size_t>(byte)] = tokens.find(name);
  }
}

void BytePairEncoder::reserve(std::size_t merges) {
  const std::size_t slots = std::bit_ceil(std::max<std::size_t>(3 * merges, 16));
  if (slots <= merges_.size()) return;
  const std::vector<Merge> old = std::exchange(merges_, std::vector<Merge>(slots));
  for (const Merge& merge : old) {
    if (merge.result < 0) continue;
    std::size_t at = slot_of(merge.pair, slots);
    while (merges_[at].result >= 0) at = (at + 1) & (slots - 1);
    merges_[at] = merge;
  }
}

void BytePairEncoder::add_merge(std::int32_t left, std::int32_t right, std::uint32_t rank, std::int32_t result) {
  if (2 * (merge_count_ + 1) > merges_.size()) reserve(merges_.size());
  const std::uint64_t pair = pair_of(left, right);
  std::size_t at = slot_of(pair, merges_.size());
  while (merges_[at].result >= 0 && merges_[at].pair != pair) at = (at + 1) & (merges_.size() - 1);
  merge_count_ += merges_[at].result < 0;
  merges_[at] = {pair, rank, result};
}

void BytePairEncoder::finish() {
  whole_ = std::make_unique<std::atomic<std::uint8_t>[]>(static_cast<std::size_t>(tokens_->limit()));
}

const BytePairEncoder::Merge* BytePairEncoder::find(std::int32_t left, std::int32_t right) const {
  const std::uint64_t pair = pair_of(left, right);
  for (std::size_t at = slot_of(pair, merges_.size()); merges_[at].result >= 0; at = (at + 1) & (merges_.size() - 1))
    if (merges_[at].pair == pair) return &merges_[at];
  return nullptr;
}

void BytePairEncoder::rate(Symbol& symbol, std::int32_t next) const {
  const Merge* merge = find(symbol.id, next);
  symbol.rank = merge == nullptr ? kNever : merge->rank;
  symbol.merged = merge == nullptr ? -1 : merge->result;
}

std::size_t BytePairEncoder::first_symbols(std::string_view word, Symbol* symbols) const {
  const std::size_t count = units_ == Units::bytes ? first_bytes(word, symbols) : first_characters(word, symbols);
  for (std::size_t i = 0; i + 1 < count; ++i) rate(symbols[i], symbols[i + 1].id);
  return count;
}

std::size_t BytePairEncoder::first_bytes(std::string_view word, Symbol* symbols) const {
  std::size_t count = 0;
  bool after_unknown = false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    std::int32_t id = byte_ids_[static_cast<unsigned char>(word[i])];
    const bool unknown = id < 0;
    if (unknown) id = unknown_.id;
    if (id >= 0 && !(unknown && after_unknown && unknown_.fuse))
      symbols[count++] = {id, static_cast<std::uint32_t>(i), kNever, -1};
    after_unknown = unknown;
  }
  return count;
}

std::size_t BytePairEncoder::first_characters(std::string_view word, Symbol* symbols) const {
  std::size_t count = 0;
  std::int64_t unknown = -1;  // where a run of unknown characters began that is not written yet
  const auto flush = [&] {
    if (unknown >= 0) symbols[count++] = {unknown_.id, static_cast<std::uint32_t>(unknown), kNever, -1};
    unknown = -1;
  };
  for (std::size_t i = 0, next = 0; i < word.size(); i = next) {
    next_code_point(word, next);
    const std::string_view character = word.substr(i, next - i);
    const std::int32_t id =
        character.size() == 1 ? byte_ids_[static_cast<unsigned char>(character[0])] : tokens_->find(character);
    if (id >= 0) {
      flush();
      symbols[count++] = {id, static_cast<std::uint32_t>(i), kNever, -1};
      continue;
    }
    // As in the Hugging Face library, a run of unknown characters that byte tokens follow is written after them.
    if (units_ == Units::characters_or_bytes && push_byte_tokens(character, i, symbols, count)) continue;
    if (unknown_.id < 0) continue;
    if (!unknown_.fuse) flush();
    if (unknown < 0) unknown = static_cast<std::int64_t>(i);
  }
  flush();
  return count;
}

bool BytePairEncoder::push_byte_tokens(std::string_view character, std::size_t start, Symbol* symbols,
                                       std::size_t& count) const {
  for (const char byte : character)
    if (byte_names_[static_cast<unsigned char>(byte)] < 0) return false;
  for (std::size_t i = 0; i < character.size(); ++i)
    symbols[count++] = {byte_names_[static_cast<unsigned char>(character[i])], static_cast<std::uint32_t>(start + i),
                        kNever, -1};
  return true;
}

std::size_t BytePairEncoder::merge_short(Symbol* symbols, std::size_t count) const {
  while (count > 1) {
    std::size_t best = 0;
    for (std::size_t i = 1; i + 1 < count; ++i)
      if (symbols[i].rank < symbols[best].rank) best = i;
    if (symbols[best].rank == kNever) break;
    symbols[best].id = symbols[best].merged;
    std::copy(symbols + best + 2, symbols + count, symbols + best + 1);
    --count;
    if (best > 0) rate(symbols[best - 1], symbols[best].id);
    if (best + 1 < count) {
      rate(symbols[best], symbols[best + 1].id);
    } else {
      symbols[best].rank = kNever;
    }
  }
  return count;
}

std::size_t BytePairEncoder::merge_long(std::vector<Symbol>& symbols) const {
  constexpr std::uint32_t kEnd = 0xFFFFFFFF;
  struct Candidate {
    std::uint32_t rank;
    std::uint32_t left;
    std::int32_t merged;
    std::int32_t right_id;
    std::int32_t left_id;
    bool operator>(const Candidate& other) const { return rank != other.rank ? rank > other.rank : left > other.left; }
  };
  const auto count = static_cast<std::uint32_t>(symbols.size());
  std::vector<std::uint32_t> next(count);
  std::vector<std::uint32_t> previous(count);
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto offer = [&](std::uint32_t left) {
    if (left == kEnd || next[left] == kEnd) return;
    const std::int32_t right_id = symbols[next[left]].id;
    rate(symbols[left], right_id);
    if (symbols[left].rank != kNever)
      queue.push({symbols[left].rank, left, symbols[left].merged, right_id, symbols[left].id});
  };
  for (std::uint32_t i = 0; i < count; ++i) {
    next[i] = i + 1 < count ? i + 1 : kEnd;
    previous[i] = i > 0 ? i - 1 : kEnd;
  }
  for (std::uint32_t i = 0; i < count; ++i) offer(i);
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    const std::uint32_t right = next[best.left];
    // A candidate whose symbols changed since it was offered is out of date.
    if (symbols[best.left].id != best.left_id || right == kEnd || symbols[right].id != best.right_id) continue;
    symbols[best.left].id = best.merged;
    symbols[right].id = -1;
    next[best.left] = next[right];
    if (next[right] != kEnd) previous[next[right]] = best.left;
    offer(previous[best.left]);
    offer(best.left);
  }
  std::erase_if(symbols, [](const Symbol& symbol) { return symbol.id < 0; });
  return symbols.size();
}

bool BytePairEncoder::is_whole(std::int32_t id, std::string_view word) const {
  auto& known = whole_[static_cast<std::size_t>(id)];
  const std::uint8_t state = known.load(std::memory_order_relaxed);
  if (state != 0) return state == 1;
  std::vector<Symbol> symbols(word.size());
  symbols.resize(first_symbols(word, symbols.data()));
  const std::size_t count =
      word.size() <= kShortWord ? merge_short(symbols.data(), symbols.size()) : merge_long(symbols);
  const bool whole = count == 1 && symbols.front().id == id;
  known.store(whole ? 1 : 2, std::memory_order_relaxed);
  return whole;
}

void BytePairEncoder::encode(std::string_view word, std::vector<std::int64_t>& ids, std::vector<std::int64_t>* starts,
                             std::int64_t offset) const {
  const std::int32_t token = tokens_->find(word);
  if (token >= 0 && (ignore_merges_ || is_whole(token, word))) {
    ids.push_back(token);
    if (starts != nullptr) starts->push_back(offset);
    return;
  }
  Symbol stack[kShortWord];
  std::vector<Symbol> heap;
  Symbol* symbols = stack;
  std::size_t count = 0;
  if (word.size() <= kShortWord) {
    count = merge_short(stack, first_symbols(word, stack));
  } else {
    heap.resize(word.size());
    heap.resize(first_symbols(word, heap.data()));
    count = merge_long(heap);
    symbols = heap.data();
  }
  for (std::size_t i = 0; i < count; ++i) {
    ids.push_back(symbols[i].id);
    if (starts != nullptr) starts->push_back(offset + symbols[i].start);
  }
}

}  // namespace retain::framework
