// SPDX-License-Identifier: Apache-2.0
// XXH3-128 digests, in hexadecimal.
#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace retain::framework {

/// A digest built piece by piece; the pieces' boundaries do not matter.
class Digest {
 public:
  Digest();
  ~Digest();
  Digest(Digest&&) noexcept;
  Digest& operator=(Digest&&) noexcept;

  void add(const void* data, std::size_t bytes);
  void add(std::string_view text) { add(text.data(), text.size()); }
  /// 32 lower-case hexadecimal digits of everything added so far.
  std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The digest of one run of bytes.
std::string digest_of(const void* data, std::size_t bytes);
inline std::string digest_of(std::string_view text) { return digest_of(text.data(), text.size()); }

}  // namespace retain::framework
