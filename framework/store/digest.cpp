// SPDX-License-Identifier: Apache-2.0
#include "framework/store/digest.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <new>

#include "framework/base/error.h"

namespace retain::framework {
namespace {

Digest from_hash(XXH128_hash_t hash) {
  return {hash.high64, hash.low64};
}

int nibble(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  return -1;
}

void append_big_endian(std::vector<std::byte>& bytes, std::uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) bytes.push_back(static_cast<std::byte>(value >> shift));
}

}  // namespace

std::string to_hex(const Digest& digest) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex(32, '0');
  for (int i = 0; i < 16; ++i) {
    hex[static_cast<std::size_t>(15 - i)] = kDigits[(digest.high >> (4 * i)) & 15];
    hex[static_cast<std::size_t>(31 - i)] = kDigits[(digest.low >> (4 * i)) & 15];
  }
  return hex;
}

bool is_digest(std::string_view text) {
  if (text.size() != 32) return false;
  for (const char digit : text)
    if (nibble(digit) < 0) return false;
  return true;
}

Digest digest_from_hex(std::string_view hex, const std::string& origin) {
  if (!is_digest(hex))
    throw Error(
        ErrorKind::store_invalid,
        {origin + " holds a malformed digest", "32 lower-case hexadecimal digits", std::string(hex.substr(0, 64)), {}});
  Digest digest;
  for (std::size_t i = 0; i < 16; ++i) {
    digest.high = digest.high << 4 | static_cast<std::uint64_t>(nibble(hex[i]));
    digest.low = digest.low << 4 | static_cast<std::uint64_t>(nibble(hex[16 + i]));
  }
  return digest;
}

Digest digest_of(std::span<const std::byte> bytes) {
  return from_hash(XXH3_128bits(bytes.data(), bytes.size()));
}

Digest digest_of(std::string_view text) {
  return from_hash(XXH3_128bits(text.data(), text.size()));
}

Digest digest_of(std::span<const Digest> parts) {
  std::vector<std::byte> bytes;
  bytes.reserve(16 * parts.size());
  for (const Digest& part : parts) {
    append_big_endian(bytes, part.high);
    append_big_endian(bytes, part.low);
  }
  return digest_of(std::span<const std::byte>(bytes));
}

struct DigestStream::State {
  XXH3_state_t hash;
};

DigestStream::DigestStream() : state_(new State) {
  XXH3_128bits_reset(&state_->hash);
}
DigestStream::~DigestStream() = default;

void DigestStream::add(std::span<const std::byte> bytes) {
  XXH3_128bits_update(&state_->hash, bytes.data(), bytes.size());
}

Digest DigestStream::finish() const {
  return from_hash(XXH3_128bits_digest(&state_->hash));
}

}  // namespace retain::framework
