// SPDX-License-Identifier: Apache-2.0
// Reads sampling strategies such as "first:10%" and "end:100-end:50".
#include "framework/data/mixture.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <optional>
#include <string>

#include "framework/base/error.h"
#include "framework/base/random.h"
#include "framework/text/unicode.h"

namespace retain::framework {
namespace {

template <class Number>
std::optional<Number> number_from(std::string_view text) {
  Number value{};
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// P % of `records`, rounded up. What binary fractions add to an exact share is no record: 7 / 100 · 100 is a little above 7, as
/// is 1.1 · 3000 / 100 above 33. The released code rounds that up too.
double share_of(double percent, std::int64_t records, MixtureMode mode) {
  const auto whole = static_cast<double>(records);
  if (mode == MixtureMode::faithful) return std::ceil(percent / 100.0 * whole);
  constexpr double kRounding = 1e-12;  // relative; a double's own is 1e-16 an operation
  return std::ceil(percent * whole / 100.0 * (1 - kRounding));
}

/// A count, or a percentage of `records` rounded up, limited to 0 … records; nothing when it cannot be read.
std::optional<std::int64_t> limit_from(std::string_view text, std::int64_t records, MixtureMode mode) {
  const std::string trimmed = strip(text);
  text = trimmed;
  if (text.find('%') == std::string_view::npos) {
    const auto count = number_from<std::int64_t>(text);
    if (!count.has_value()) return std::nullopt;
    return std::clamp<std::int64_t>(*count, 0, records);
  }
  text.remove_suffix(text.ends_with('%') ? 1 : 0);
  const auto percent = number_from<double>(text);
  if (!percent.has_value() || !std::isfinite(*percent)) return std::nullopt;
  return static_cast<std::int64_t>(std::clamp(share_of(*percent, records, mode), 0.0, static_cast<double>(records)));
}

/// "first:10": a lower-case name and its limit.
struct Bound {
  std::string name;
  std::int64_t limit;
};

std::optional<Bound> bound_from(std::string_view text, std::int64_t records, MixtureMode mode) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto limit = limit_from(text.substr(colon + 1), records, mode);
  if (!limit.has_value()) return std::nullopt;
  return Bound{strip(to_lower(text.substr(0, colon))), *limit};
}

std::vector<std::int64_t> range(std::int64_t begin, std::int64_t end) {
  std::vector<std::int64_t> indices(static_cast<std::size_t>(std::max<std::int64_t>(0, end - begin)));
  std::iota(indices.begin(), indices.end(), begin);
  return indices;
}

bool is_range(std::string_view strategy) { return strategy.find('-') != std::string_view::npos; }

/// The indices of a well-formed strategy; nothing for any other.
std::optional<std::vector<std::int64_t>> interpret(std::string_view strategy, std::int64_t records, MixtureMode mode,
                                                   std::uint64_t seed, std::string_view stream) {
  if (strategy == "all") return range(0, records);
  if (strategy == "random") return Random(seed, stream).permutation(records);
  if (const std::size_t dash = strategy.find('-'); dash != std::string_view::npos) {
    const auto from = bound_from(strategy.substr(0, dash), records, mode);
    const auto to = bound_from(strategy.substr(dash + 1), records, mode);
    if (!from.has_value() || !to.has_value()) return std::nullopt;
    const bool known = (from->name == "first" && (to->name == "first" || to->name == "end")) ||
                       (from->name == "end" && to->name == "end");
    if (!known) return std::nullopt;
    const std::int64_t begin = from->name == "first" ? from->limit : records - from->limit;
    const std::int64_t end = to->name == "first" ? to->limit : records - to->limit;
    if (begin > end) return std::nullopt;
    return range(begin, end);
  }
  const auto bound = bound_from(strategy, records, mode);
  if (!bound.has_value()) return std::nullopt;
  if (bound->name == "first") return range(0, bound->limit);
  if (bound->name == "end") return range(mode == MixtureMode::faithful && bound->limit == 0 ? 0 : records - bound->limit, records);
  if (bound->name != "random") return std::nullopt;
  auto order = Random(seed, stream).permutation(records);
  order.resize(static_cast<std::size_t>(bound->limit));
  return order;
}

}  // namespace

std::vector<std::int64_t> sample_records(std::string_view strategy, std::int64_t records, MixtureMode mode,
                                         std::uint64_t seed, std::string_view stream) {
  const auto indices = interpret(strategy, records, mode, seed, stream);
  if (indices.has_value()) return *indices;
  if (mode == MixtureMode::faithful && is_range(strategy)) return range(0, records);
  throw Error(
      ErrorKind::data_invalid,
      {"a sampling strategy cannot be read, or its range is crossed",
       "all, random, first:N, end:N, random:N, first:A-first:B, end:A-end:B or first:A-end:B; N a count or P%",
       std::string(strategy.substr(0, 100)), "correct `sampling_strategy`"});
}

}  // namespace retain::framework
