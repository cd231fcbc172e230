// SPDX-License-Identifier: Apache-2.0
// Named random streams that give the same values on every platform, rank count and order of use.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace retain::framework {

/// Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): the key is the seed, the
/// upper half of the counter is the hash of the stream's name, the lower half counts blocks. Streams of different names
/// never overlap, and any position is reached at once. Not for secrets.
class Random {
 public:
  /// The stream called `stream` (e.g. "data/epoch=3", "init/language.norm.weight") of the run's `seed`.
  Random(std::uint64_t seed, std::string_view stream);

  /// 64 uniform bits.
  std::uint64_t next();
  /// Uniform in [0, 1), a multiple of 2^-53.
  double uniform();
  /// Standard normal (polar method). Only exact and correctly rounded operations, so equal on every IEEE machine.
  double normal();
  /// Standard normals by the same method, both values of each pair kept; several times faster than normal() one by one.
  void fill_normal(std::span<float> values);
  /// Uniform in [0, n) without bias. Throws Error(internal) unless n > 0.
  std::int64_t below(std::int64_t n);
  /// A uniform order of 0 … n-1 (Fisher-Yates). Throws Error(internal) when n < 0.
  std::vector<std::int64_t> permutation(std::int64_t n);

  /// Number of 64-bit values drawn so far.
  std::uint64_t position() const noexcept { return position_; }
  /// Goes to a position directly, at constant cost.
  void seek(std::uint64_t position) noexcept { position_ = position; }

  /// "philox4x32-10 <seed> <stream hash> <position>" in hexadecimal: everything that restore() needs.
  std::string state() const;
  /// Continues from a state(). Throws Error(data_invalid) when the text is none.
  void restore(std::string_view state);

 private:
  std::uint64_t seed_;
  std::uint64_t stream_;
  std::uint64_t position_ = 0;
};

/// One Philox 4x32-10 block: four words of `counter` encrypted under `key`.
std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

}  // namespace retain::framework
