// SPDX-License-Identifier: Apache-2.0
#include "framework/store/stage_writer.h"

#include <fcntl.h>

#include <algorithm>
#include <utility>

#include "framework/store/stage_header.h"

namespace retain::framework {
namespace {

constexpr std::size_t kCopyBytes = std::size_t{1} << 20;
// Beyond numbers and manifest: structure, inputs and info, and the other files of the commit.
constexpr std::uint64_t kSpareBytes = std::uint64_t{1} << 20;

std::vector<ArrayEntry> held_here(const std::vector<ArrayEntry>& arrays) {
  std::vector<ArrayEntry> here;
  std::copy_if(arrays.begin(), arrays.end(), std::back_inserter(here), [](const ArrayEntry& a) { return a.here(); });
  return here;
}

/// A bound on the manifest's text: a line an array, 35 characters a block.
std::uint64_t manifest_estimate(const std::vector<ArrayEntry>& arrays) {
  std::uint64_t bytes = 0;
  for (const ArrayEntry& array : arrays) bytes += 1024 + (array.here() ? 35 * array.spec.blocks() : 0);
  return bytes;
}

void require_space(FileOperations& operations, const std::filesystem::path& root, std::uint64_t needed) {
  const std::uint64_t free = operations.free_bytes(root);
  if (free >= needed) return;
  throw Error(ErrorKind::io,
              {"there is not enough space for a stage in " + root.string(), std::to_string(needed) + " bytes free",
               std::to_string(free) + " bytes", "free space (retain store gc), or name a store elsewhere"});
}

}  // namespace

std::string StageLayout::to_text() const {
  json::array list;
  for (const ArrayEntry& array : arrays) {
    json::array shape;
    for (const std::int64_t size : array.spec.shape) shape.emplace_back(size);
    list.push_back(json::array{json::string(array.spec.path), json::string(name_of(array.spec.dtype)), std::move(shape),
                               json::value(array.offset)});
  }
  return json::serialize(json::object{{"file", file}, {"arrays", std::move(list)}});
}

StageLayout StageLayout::from_text(const std::string& text) {
  const json::value value = parse_json(text, "the layout of a stage", ErrorKind::internal);
  StageLayout layout;
  layout.file = std::string(value.at("file").as_string());
  for (const json::value& item : value.at("arrays").as_array()) {
    ArrayEntry array;
    array.spec.path = std::string(item.at(0).as_string());
    array.spec.dtype = dtype_from_name(item.at(1).as_string());
    for (const json::value& size : item.at(2).as_array()) array.spec.shape.push_back(size.as_int64());
    array.offset = item.at(3).to_number<std::uint64_t>();
    layout.arrays.push_back(std::move(array));
  }
  return layout;
}

ExtentWriter::ExtentWriter(FileOperations& operations, const std::filesystem::path& root, StageLayout layout)
    : layout_(std::move(layout)), file_(operations, root / layout_.file, O_WRONLY) {
  direct_.emplace(operations, file_);
}

std::vector<Digest> block_digests(std::span<const std::byte> bytes) {
  std::vector<Digest> digests;
  for (std::size_t at = 0; at < bytes.size(); at += kBlockBytes)
    digests.push_back(digest_of(bytes.subspan(at, std::min<std::size_t>(kBlockBytes, bytes.size() - at))));
  return digests;
}

const ArrayEntry& ExtentWriter::checked(std::size_t array, std::uint64_t first_block, std::size_t bytes) const {
  const ArrayEntry& entry = layout_.arrays.at(array);
  const std::uint64_t begin = first_block * kBlockBytes;
  if (begin > entry.spec.bytes() || bytes > entry.spec.bytes() - begin ||
      (bytes % kBlockBytes != 0 && begin + bytes != entry.spec.bytes()))
    throw Error(ErrorKind::internal, "a write of " + std::to_string(bytes) + " bytes at block " +
                                         std::to_string(first_block) + " is not whole blocks of " + entry.spec.path);
  return entry;
}

void ExtentWriter::put_block(const ArrayEntry& entry, std::uint64_t begin, std::span<const std::byte> block) {
  if (entry.spec.bytes() >= kPagedBytes)
    direct_->write(block, entry.offset + begin);
  else
    file_.write(block, entry.offset + begin);
  bytes_written_ += block.size();
}

std::vector<Digest> ExtentWriter::write(std::size_t array, std::uint64_t first_block,
                                        std::span<const std::byte> bytes) {
  const ArrayEntry& entry = checked(array, first_block, bytes.size());
  std::vector<Digest> digests;
  for (std::size_t at = 0; at < bytes.size(); at += kBlockBytes) {
    const auto block = bytes.subspan(at, std::min<std::size_t>(kBlockBytes, bytes.size() - at));
    // Hashed just before: still in the processor's cache.
    digests.push_back(digest_of(block));
    put_block(entry, first_block * kBlockBytes + at, block);
  }
  return digests;
}

void ExtentWriter::put(std::size_t array, std::uint64_t first_block, std::span<const std::byte> bytes) {
  const ArrayEntry& entry = checked(array, first_block, bytes.size());
  for (std::size_t at = 0; at < bytes.size(); at += kBlockBytes)
    put_block(entry, first_block * kBlockBytes + at,
              bytes.subspan(at, std::min<std::size_t>(kBlockBytes, bytes.size() - at)));
}

void ExtentWriter::finish() {
  direct_->close();
  file_.sync();
  file_.close();
}

StageFileWriter::StageFileWriter(FileOperations& operations, const std::filesystem::path& root, std::string file,
                                 Manifest manifest)
    : operations_(operations), path_(root / file), manifest_(std::move(manifest)), skeleton_(manifest_.arrays) {
  for (std::size_t i = 0; i < manifest_.arrays.size(); ++i) manifest_.arrays[i].offset = skeleton_.offsets()[i];
  layout_ = {std::move(file), held_here(manifest_.arrays)};
  require_space(operations_, root, skeleton_.file_bytes() + manifest_estimate(manifest_.arrays) + kSpareBytes);
  file_ = std::make_unique<File>(operations_, path_, O_RDWR | O_CREAT | O_EXCL);
  try {
    file_->resize(skeleton_.file_bytes());
    file_->reserve(skeleton_.file_bytes());
  } catch (const Error&) {
    operations_.remove(path_);
    throw;
  }
}

StageFileWriter::~StageFileWriter() {
  if (finished_) return;
  try {
    operations_.remove(path_);
  } catch (const Error&) {
    // Left for gc: a stray temporary file harms nothing, and a destructor cannot report it.
  }
}

std::string StageFileWriter::id(const std::vector<std::vector<Digest>>& blocks) {
  std::size_t next = 0;
  for (ArrayEntry& array : manifest_.arrays) {
    if (!array.here()) continue;
    array.blocks = blocks.at(next++);
    if (array.blocks.size() != array.spec.blocks())
      throw Error(ErrorKind::internal, "array " + array.spec.path +
                                           " was not written completely: " + std::to_string(array.blocks.size()) +
                                           " of " + std::to_string(array.spec.blocks()) + " blocks");
    array.digest = digest_of(std::span<const Digest>(array.blocks));
  }
  return id_of(manifest_);
}

std::string StageFileWriter::finish(const std::vector<std::vector<Digest>>& blocks) {
  const std::string id = this->id(blocks);
  const std::string text = retain::framework::to_text(manifest_);
  skeleton_.finish(manifest_.arrays, text);
  write_header(text);
  file_->sync();
  file_->close();
  finished_ = true;
  return id;
}

void StageFileWriter::write_header(const std::string& text) {
  StageHeader header;
  header.file_bytes = skeleton_.file_bytes();
  header.manifest_offset = skeleton_.manifest_offset();
  header.manifest_bytes = text.size();
  header.manifest = digest_of(std::string_view(text));
  file_->resize(header.file_bytes);
  DigestStream digest;
  std::vector<std::byte> buffer;
  for (const ByteRange& range : skeleton_ranges(manifest_.arrays, header.file_bytes)) {
    for (std::uint64_t at = range.begin; at < range.end; at += buffer.size()) {
      buffer.resize(std::min<std::uint64_t>(kCopyBytes, range.end - at));
      skeleton_.read(at, buffer);
      digest.add(buffer);
      file_->write(buffer, at);
    }
  }
  header.skeleton = digest.finish();
  file_->write(as_bytes(header.to_bytes()), 0);
}

}  // namespace retain::framework
