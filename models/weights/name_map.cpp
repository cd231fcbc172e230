// SPDX-License-Identifier: Apache-2.0
#include "models/weights/name_map.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "framework/base/error.h"
#include "models/lmm/family.h"

namespace retain::models {

using framework::Error;
using framework::ErrorKind;

std::string Naming::stored(std::string_view canonical) const {
  for (const PrefixPair& pair : prefixes)
    if (canonical.starts_with(pair.canonical))
      return std::string(pair.stored) + std::string(canonical.substr(pair.canonical.size()));
  throw Error(ErrorKind::internal, "no prefix of naming " + std::string(name) + " fits " + std::string(canonical));
}

std::optional<std::string> Naming::canonical(std::string_view stored) const {
  for (const PrefixPair& pair : prefixes)
    if (stored.starts_with(pair.stored))
      return std::string(pair.canonical) + std::string(stored.substr(pair.stored.size()));
  return std::nullopt;
}

std::span<const Naming> namings(const LmmConfig& config) {
  return family_of(config).namings;
}

const Naming& naming(const LmmConfig& config, std::string_view name) {
  std::string known;
  for (const Naming& candidate : namings(config)) {
    if (candidate.name == name) return candidate;
    known += (known.empty() ? "" : ", ") + std::string(candidate.name);
  }
  throw Error(ErrorKind::usage, {"unknown naming of tensors", known, std::string(name), "use one of these"});
}

const Naming& detect_naming(const LmmConfig& config, const std::vector<std::string>& stored,
                            const std::vector<std::string>& expected) {
  const std::set<std::string> wanted(expected.begin(), expected.end());
  const Naming* best = nullptr;
  std::ptrdiff_t most = -1;
  for (const Naming& candidate : namings(config)) {
    const std::ptrdiff_t matches = std::count_if(stored.begin(), stored.end(), [&](const std::string& name) {
      const std::optional<std::string> canonical = candidate.canonical(name);
      return canonical && wanted.contains(*canonical);
    });
    if (matches > most) {
      best = &candidate;
      most = matches;
    }
  }
  return *best;
}

std::optional<std::string> resolve_name(const LmmConfig& config, const std::vector<std::string>& expected,
                                        std::string_view any) {
  const auto known = [&](std::string_view name) {
    return std::find(expected.begin(), expected.end(), name) != expected.end();
  };
  if (known(any)) return std::string(any);
  for (const Naming& candidate : namings(config))
    if (const std::optional<std::string> name = candidate.canonical(any); name && known(*name)) return name;
  return std::nullopt;
}

bool is_ignorable(const LmmConfig& config, const Naming& naming, std::string_view stored) {
  if (stored.ends_with(".rotary_emb.inv_freq") || stored.ends_with(".position_ids")) return true;
  const std::optional<std::string> name = naming.canonical(stored);
  if (!name) return false;
  if (name->starts_with("vision.head.")) return true;
  if (config.text.tied_head && *name == "language.lm_head.weight") return true;
  constexpr std::string_view layers = "vision.encoder.layers.";
  if (!naming.keeps_unused_layers || !name->starts_with(layers)) return false;
  std::int64_t layer = -1;
  std::from_chars(name->data() + layers.size(), name->data() + name->size(), layer);
  return layer >= config.vision.layers;
}

}  // namespace retain::models
