// SPDX-License-Identifier: Apache-2.0
// Every rank reads an even share in order, so that pictures inside one data file are read as they lie; a sum over the ranks
// brings the digests together.
#include "recipes/records/picture_digests.h"

#include <ATen/ATen.h>

#include <fstream>
#include <unordered_set>

#include "framework/base/error.h"
#include "parallel/parameter.h"

namespace retain::recipes {
namespace {

namespace fs = std::filesystem;
using framework::Digest;

constexpr std::size_t kPiece = std::size_t{1} << 18;  // bytes of a file read at a time

Digest digest_inside(const framework::Picture& picture) {
  try {
    return framework::digest_of(std::string_view(picture.bytes()));
  } catch (const framework::Error&) {
    return {};
  }
}

/// All zero stands for a picture that cannot be read.
Digest digest_or_none(const framework::Picture& picture, std::vector<std::byte>& piece) {
  if (!picture.file()) return digest_inside(picture);
  const fs::path& file = *picture.file();
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
std::vector<framework::Picture> pictures_of(const framework::RecordSet& records) {
  std::vector<framework::Picture> pictures;
  std::unordered_set<std::string> seen;
  for (std::int64_t i = 0; i < records.size(); ++i) {
    try {
      for (const framework::Picture& picture : records.at(i).pictures())
        if (seen.insert(picture.name()).second) pictures.push_back(picture);
    } catch (const framework::Error&) {
      continue;
    }
  }
  return pictures;
}

}  // namespace

void PictureDigests::read(const std::vector<framework::Picture>& fresh) {
  const auto count = static_cast<std::int64_t>(fresh.size());
  at::Tensor halves = at::zeros({count, 2}, at::kLong);
  auto* half = halves.data_ptr<std::int64_t>();
  std::vector<std::byte> piece(kPiece);
  const parallel::Range share = parallel::even_share(count, world_.size(), world_.rank());
  for (std::int64_t i = share.begin; i < share.end; ++i) {
    const Digest digest = digest_or_none(fresh[static_cast<std::size_t>(i)], piece);
    half[2 * i] = static_cast<std::int64_t>(digest.high);
    half[2 * i + 1] = static_cast<std::int64_t>(digest.low);
  }
  world_.all_reduce(halves);
  for (std::int64_t i = 0; i < count; ++i)
    known_[fresh[static_cast<std::size_t>(i)].name()] = {static_cast<std::uint64_t>(half[2 * i]),
                                                           static_cast<std::uint64_t>(half[2 * i + 1])};
}

std::string PictureDigests::of(const framework::RecordSet& records) {
  const std::vector<framework::Picture> pictures = pictures_of(records);
  std::vector<framework::Picture> fresh;
  for (const framework::Picture& picture : pictures)
    if (!known_.contains(picture.name())) fresh.push_back(picture);
  if (!fresh.empty()) read(fresh);
  std::vector<Digest> digests;
  for (const framework::Picture& picture : pictures) digests.push_back(known_.at(picture.name()));
  return framework::to_hex(framework::digest_of(std::span<const Digest>(digests)));
}

}  // namespace retain::recipes
