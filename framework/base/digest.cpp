// SPDX-License-Identifier: Apache-2.0
#define XXH_INLINE_ALL
#include "framework/base/digest.h"

#include <xxhash.h>

#include <cinttypes>
#include <cstdio>

namespace retain::framework {
namespace {

std::string to_hex(XXH128_hash_t hash) {
  char text[33];
  std::snprintf(text, sizeof text, "%016" PRIx64 "%016" PRIx64, static_cast<std::uint64_t>(hash.high64),
                static_cast<std::uint64_t>(hash.low64));
  return text;
}

}  // namespace

struct Digest::State {
  XXH3_state_t state;
};

Digest::Digest() : state_(std::make_unique<State>()) { XXH3_128bits_reset(&state_->state); }
Digest::~Digest() = default;
Digest::Digest(Digest&&) noexcept = default;
Digest& Digest::operator=(Digest&&) noexcept = default;

void Digest::add(const void* data, std::size_t bytes) {
  if (bytes > 0) XXH3_128bits_update(&state_->state, data, bytes);
}

std::string Digest::hex() const { return to_hex(XXH3_128bits_digest(&state_->state)); }

std::string digest_of(const void* data, std::size_t bytes) { return to_hex(XXH3_128bits(data, bytes)); }

}  // namespace retain::framework
