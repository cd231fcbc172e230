// SPDX-License-Identifier: Apache-2.0
// Rank r reads every size-th file from the r-th on; a sum over the ranks brings the digests together.
#include "recipes/picture_digests.h"

#include <ATen/ATen.h>

#include <fstream>
#include <unordered_set>

#include "framework/base/error.h"

namespace retain::recipes {
namespace {

namespace fs = std::filesystem;
using framework::Digest;

constexpr std::size_t kPiece = std::size_t{1} << 18;  // bytes of a file read at a time

/// All zero stands for a file that cannot be read.
Digest digest_or_none(const fs::path& file, std::vector<std::byte>& piece) {
  std::error_code code;
  if (!fs::is_regular_file(file, code)) return {};
  std::ifstream stream(file, std::ios::binary);
  framework::DigestStream digest;
  while (stream.good()) {
    stream.read(reinterpret_cast<char*>(piece.data()), static_cast<std::streamsize>(piece.size()));
    digest.add(std::span(piece).first(static_cast<std::size_t>(stream.gcount())));
  }
  return stream.eof() ? digest.finish() : Digest{};
}

/// Every picture once, in order of first use.
std::vector<fs::path> pictures_of(const framework::RecordSet& records) {
  std::vector<fs::path> pictures;
  std::unordered_set<std::string> seen;
  for (std::int64_t i = 0; i < records.size(); ++i) {
    try {
      for (const fs::path& picture : records.at(i).pictures())
        if (seen.insert(picture.native()).second) pictures.push_back(picture);
    } catch (const framework::Error&) {
      continue;
    }
  }
  return pictures;
}

}  // namespace

void PictureDigests::read(const std::vector<fs::path>& fresh) {
  const auto count = static_cast<std::int64_t>(fresh.size());
  at::Tensor halves = at::zeros({count, 2}, at::kLong);
  auto* half = halves.data_ptr<std::int64_t>();
  std::vector<std::byte> piece(kPiece);
  for (std::int64_t i = world_.rank(); i < count; i += world_.size()) {
    const Digest digest = digest_or_none(fresh[static_cast<std::size_t>(i)], piece);
    half[2 * i] = static_cast<std::int64_t>(digest.high);
    half[2 * i + 1] = static_cast<std::int64_t>(digest.low);
  }
  world_.all_reduce(halves);
  for (std::int64_t i = 0; i < count; ++i)
    known_[fresh[static_cast<std::size_t>(i)].native()] = {static_cast<std::uint64_t>(half[2 * i]),
                                                           static_cast<std::uint64_t>(half[2 * i + 1])};
}

std::string PictureDigests::of(const framework::RecordSet& records) {
  const std::vector<fs::path> pictures = pictures_of(records);
  std::vector<fs::path> fresh;
  for (const fs::path& picture : pictures)
    if (!known_.contains(picture.native())) fresh.push_back(picture);
  if (!fresh.empty()) read(fresh);
  std::vector<Digest> digests;
  for (const fs::path& picture : pictures) digests.push_back(known_.at(picture.native()));
  return framework::to_hex(framework::digest_of(std::span<const Digest>(digests)));
}

}  // namespace retain::recipes
