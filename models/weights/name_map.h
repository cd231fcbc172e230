// SPDX-License-Identifier: Apache-2.0
// Canonical parameter names and those of the files people have: one naming is a list of prefix pairs, used both ways.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/lmm/config.h"

namespace retain::models {

/// A canonical prefix and what stands for it in a file.
struct PrefixPair {
  std::string_view canonical;
  std::string_view stored;
};

/// One way of naming a family's tensors.
struct Naming {
  std::string_view name;
  std::span<const PrefixPair> prefixes;
  bool keeps_unused_layers = false;  ///< the tower's layers past those computed may be stored and are passed over

  /// The name in a file of a canonical name. Throws Error(internal) when no prefix fits.
  std::string stored(std::string_view canonical) const;
  /// The canonical name of a name in a file; empty when no prefix fits.
  std::optional<std::string> canonical(std::string_view stored) const;
};

/// All namings of a family, the hub's first.
std::span<const Naming> namings(const LmmConfig& config);
/// The naming called `name` ("hub", "hf", "v4_52", "memory", "orig"). Throws Error(usage) listing them.
const Naming& naming(const LmmConfig& config, std::string_view name);
/// The naming under which most of `stored` have a name that is among `expected` (canonical); the first of equals.
const Naming& detect_naming(const LmmConfig& config, const std::vector<std::string>& stored,
                            const std::vector<std::string>& expected);

/// The canonical name of a parameter called by its canonical name or by that in any naming; empty when there is none in
/// `expected`.
std::optional<std::string> resolve_name(const LmmConfig& config, const std::vector<std::string>& expected,
                                        std::string_view any);

/// True for stored tensors that carry no weight of the model: rotary frequencies, position ids, the tower's pooling
/// head, the unused layers of the original naming, a copy of a tied head.
bool is_ignorable(const LmmConfig& config, const Naming& naming, std::string_view stored);

}  // namespace retain::models
