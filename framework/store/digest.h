// SPDX-License-Identifier: Apache-2.0
// Content digests: XXH3-128 (fast, not cryptographic: it finds damage, not forgery).
#pragma once
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace retain::framework {

/// A 128-bit digest. Ordered so that it can be a key.
struct Digest {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  auto operator<=>(const Digest&) const = default;
};

/// 32 lower-case hexadecimal digits, the high half first (xxh128sum's order).
std::string to_hex(const Digest& digest);
/// The inverse. Throws Error(store_invalid) naming `origin` when `hex` is not 32 hexadecimal digits.
Digest digest_from_hex(std::string_view hex, const std::string& origin);
/// True for 32 lower-case hexadecimal digits.
bool is_digest(std::string_view text);

Digest digest_of(std::span<const std::byte> bytes);
Digest digest_of(std::string_view text);
/// Of the digests' 16 bytes each (big-endian) in order: how a tensor's digest is made of its blocks'.
Digest digest_of(std::span<const Digest> parts);

/// A digest of bytes that arrive in pieces; equal to digest_of of their concatenation.
class DigestStream {
 public:
  DigestStream();
  ~DigestStream();
  DigestStream(const DigestStream&) = delete;
  DigestStream& operator=(const DigestStream&) = delete;
  void add(std::span<const std::byte> bytes);
  Digest finish() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace retain::framework
