// SPDX-License-Identifier: Apache-2.0
#include "framework/store/stage_file.h"

#include <fcntl.h>

#include <algorithm>
#include <vector>

namespace retain::framework {
namespace {

constexpr std::uint64_t kLargestManifest = std::uint64_t{1} << 30;
constexpr std::size_t kCopyBytes = std::size_t{1} << 20;

StageHeader read_header(const File& file) {
  std::vector<std::byte> bytes(kHeaderBytes);
  const std::string origin = file.path().string();
  const std::uint64_t found = file.bytes();
  if (found < kHeaderBytes)
    throw Error(ErrorKind::store_invalid,
                {origin + " is too short for a stage file", std::to_string(kHeaderBytes) + " bytes at least",
                 std::to_string(found), "restore the file from a copy"});
  file.read(bytes, 0);
  const StageHeader header = StageHeader::from_bytes(bytes, origin);
  if (header.file_bytes != found)
    throw Error(ErrorKind::store_invalid,
                {origin + " has the wrong length", std::to_string(header.file_bytes) + " bytes", std::to_string(found),
                 "restore the file from a copy"});
  if (header.manifest_bytes > kLargestManifest || header.manifest_offset > found ||
      header.manifest_bytes > found - header.manifest_offset)
    throw Error(ErrorKind::store_invalid, origin + " has its manifest outside the file");
  return header;
}

Manifest read_manifest(const File& file, const StageHeader& header) {
  std::string text(header.manifest_bytes, '\0');
  file.read(std::as_writable_bytes(std::span(text)), header.manifest_offset);
  if (digest_of(std::string_view(text)) != header.manifest)
    throw Error(ErrorKind::store_digest,
                {"the manifest of " + file.path().string() + " is damaged", "digest " + to_hex(header.manifest),
                 to_hex(digest_of(std::string_view(text))), "restore the file from a copy"});
  return manifest_from_text(text, file.path().string(), header.file_bytes);
}

}  // namespace

// Without O_NONBLOCK, opening a named pipe that poses as a stage would hang.
StageFile::StageFile(FileOperations& operations, const std::filesystem::path& path)
    : file_(operations, path, O_RDONLY | O_NONBLOCK),
      header_(read_header(file_)),
      manifest_(read_manifest(file_, header_)),
      id_(id_of(manifest_)) {
  for (std::size_t i = 0; i < manifest_.arrays.size(); ++i) index_.emplace(manifest_.arrays[i].spec.path, i);
  if (header_.file_bytes >= kLargeBytes) direct_.emplace(operations, file_);
}

const ArrayEntry* StageFile::find(std::string_view path) const {
  const auto found = index_.find(path);
  return found == index_.end() ? nullptr : &manifest_.arrays[found->second];
}

void StageFile::read_block(const ArrayEntry& array, std::uint64_t block, std::span<std::byte> whole) const {
  const std::uint64_t offset = array.offset + block * kBlockBytes;
  if (direct_)
    direct_->read(whole, offset);
  else
    file_.read(whole, offset);
  bytes_read_ += whole.size();
  const Digest found = digest_of(std::span<const std::byte>(whole));
  if (found == array.blocks.at(block)) return;
  throw Error(ErrorKind::store_digest, {"block " + std::to_string(block) + " of " + array.spec.path + " in " +
                                            file_.path().string() + " is damaged",
                                        "digest " + to_hex(array.blocks[block]), to_hex(found),
                                        "restore the file from a copy, or roll back to a stage without it"});
}

void StageFile::read(const ArrayEntry& array, std::uint64_t begin, std::span<std::byte> out) const {
  const std::uint64_t bytes = array.spec.bytes();
  if (!array.here() || begin > bytes || out.size() > bytes - begin)
    throw Error(ErrorKind::internal, "a read outside array " + array.spec.path);
  std::vector<std::byte> scratch;
  while (!out.empty()) {
    const std::uint64_t block = begin / kBlockBytes;
    const std::uint64_t start = block * kBlockBytes;
    const std::uint64_t length = std::min(kBlockBytes, bytes - start);
    const std::size_t count = std::min<std::size_t>(out.size(), start + length - begin);
    if (count == length) {
      read_block(array, block, out.first(count));
    } else {
      scratch.resize(length);
      read_block(array, block, scratch);
      std::copy_n(scratch.begin() + static_cast<std::ptrdiff_t>(begin - start), count, out.begin());
    }
    out = out.subspan(count);
    begin += count;
  }
}

void StageFile::check_block(const ArrayEntry& array, std::uint64_t block) const {
  std::vector<std::byte> bytes(std::min(kBlockBytes, array.spec.bytes() - block * kBlockBytes));
  read_block(array, block, bytes);
}

void StageFile::check_skeleton() const {
  DigestStream digest;
  std::vector<std::byte> buffer;
  for (const ByteRange& range : skeleton_ranges(manifest_.arrays, header_.file_bytes)) {
    for (std::uint64_t at = range.begin; at < range.end; at += buffer.size()) {
      buffer.resize(std::min<std::uint64_t>(kCopyBytes, range.end - at));
      file_.read(buffer, at);
      digest.add(buffer);
    }
  }
  if (digest.finish() == header_.skeleton) return;
  throw Error(ErrorKind::store_digest,
              {"the HDF5 structure of " + path().string() + " is damaged", "digest " + to_hex(header_.skeleton),
               to_hex(digest.finish()), "restore the file from a copy"});
}

void StageFile::check_all() const {
  check_skeleton();
  for (const ArrayEntry& array : manifest_.arrays)
    for (std::uint64_t block = 0; array.here() && block < array.spec.blocks(); ++block) check_block(array, block);
}

}  // namespace retain::framework
