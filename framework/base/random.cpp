// SPDX-License-Identifier: Apache-2.0
// Compiled with -ffp-contract=off: a fused multiply-add would change the last bit of normal().
#include "framework/base/random.h"

#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "framework/base/error.h"

namespace retain::framework {
namespace {

__extension__ using Wide = unsigned __int128;

/// Natural logarithm of x > 0 through 2·atanh((m-1)/(m+1)), |z| < 0.172: twelve terms reach double precision.
double portable_log(double x) {
  constexpr double kLog2 = 0.69314718055994530942;
  constexpr double kSqrtHalf = 0.70710678118654752440;
  int exponent = 0;
  double mantissa = std::frexp(x, &exponent);
  if (mantissa < kSqrtHalf) {
    mantissa *= 2.0;
    --exponent;
  }
  const double z = (mantissa - 1.0) / (mantissa + 1.0);
  const double square = z * z;
  double sum = 0.0;
  for (int odd = 23; odd >= 1; odd -= 2) sum = sum * square + 1.0 / odd;
  return exponent * kLog2 + 2.0 * z * sum;
}

}  // namespace

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t first = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t second = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<std::uint32_t>(second >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(second),
               static_cast<std::uint32_t>(first >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(first)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

Random::Random(std::uint64_t seed, std::string_view stream)
    : seed_(seed), stream_(XXH64(stream.data(), stream.size(), 0)) {}

std::uint64_t Random::next() {
  const std::uint64_t block = position_ / 2;
  const bool second = position_++ % 2 != 0;
  const auto low = [](std::uint64_t word) { return static_cast<std::uint32_t>(word); };
  const auto high = [](std::uint64_t word) { return static_cast<std::uint32_t>(word >> 32); };
  const auto words = philox4x32({low(block), high(block), low(stream_), high(stream_)}, {low(seed_), high(seed_)});
  return second ? words[2] | std::uint64_t{words[3]} << 32 : words[0] | std::uint64_t{words[1]} << 32;
}

double Random::uniform() {
  return static_cast<double>(next() >> 11) * 0x1p-53;
}

double Random::normal() {
  while (true) {
    const double u = 2.0 * uniform() - 1.0;
    const double v = 2.0 * uniform() - 1.0;
    const double square = u * u + v * v;
    if (square > 0.0 && square < 1.0) return u * std::sqrt(-2.0 * portable_log(square) / square);
  }
}

void Random::fill_normal(std::span<float> values) {
  const auto low = [](std::uint64_t word) { return static_cast<std::uint32_t>(word); };
  const auto high = [](std::uint64_t word) { return static_cast<std::uint32_t>(word >> 32); };
  const auto centred = [](std::uint32_t word) { return (static_cast<double>(word) + 0.5) * 0x1p-31 - 1.0; };
  position_ += position_ % 2;  // whole blocks only
  std::size_t filled = 0;
  while (filled < values.size()) {
    const std::uint64_t block = position_ / 2;
    position_ += 2;
    const auto words = philox4x32({low(block), high(block), low(stream_), high(stream_)}, {low(seed_), high(seed_)});
    for (std::size_t pair = 0; pair < 2; ++pair) {
      const double u = centred(words[2 * pair]);
      const double v = centred(words[2 * pair + 1]);
      const double square = u * u + v * v;
      if (square >= 1.0) continue;
      const double scale = std::sqrt(-2.0 * portable_log(square) / square);
      if (filled < values.size()) values[filled++] = static_cast<float>(u * scale);
      if (filled < values.size()) values[filled++] = static_cast<float>(v * scale);
    }
  }
}

std::int64_t Random::below(std::int64_t n) {
  if (n <= 0) throw Error(ErrorKind::internal, "a random number below " + std::to_string(n) + " was asked for");
  // Lemire's multiplication; the products whose low half falls under 2^64 mod n would be over-represented.
  const auto range = static_cast<std::uint64_t>(n);
  const std::uint64_t rejected = (0 - range) % range;
  while (true) {
    const Wide product = Wide{next()} * range;
    if (static_cast<std::uint64_t>(product) >= rejected) return static_cast<std::int64_t>(product >> 64);
  }
}

std::vector<std::int64_t> Random::permutation(std::int64_t n) {
  if (n < 0) throw Error(ErrorKind::internal, "a permutation of " + std::to_string(n) + " items was asked for");
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  for (std::int64_t last = n - 1; last > 0; --last)
    std::swap(order[static_cast<std::size_t>(last)], order[static_cast<std::size_t>(below(last + 1))]);
  return order;
}

std::string Random::state() const {
  char text[80];
  std::snprintf(text, sizeof text, "philox4x32-10 %016" PRIx64 " %016" PRIx64 " %016" PRIx64, seed_, stream_,
                position_);
  return text;
}

void Random::restore(std::string_view state) {
  Random parsed(0, "");
  const std::string text(state);
  int used = 0;
  const int fields = std::sscanf(text.c_str(), "philox4x32-10 %" SCNx64 " %" SCNx64 " %" SCNx64 "%n", &parsed.seed_,
                                 &parsed.stream_, &parsed.position_, &used);
  if (fields != 3 || static_cast<std::size_t>(used) != text.size() || parsed.state() != text)
    throw Error(ErrorKind::data_invalid,
                {"the saved state of a random stream cannot be read", "philox4x32-10 and three hexadecimal numbers",
                 text.substr(0, 80), "resume from another checkpoint"});
  *this = parsed;
}

}  // namespace retain::framework
