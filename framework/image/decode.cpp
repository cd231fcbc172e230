// SPDX-License-Identifier: Apache-2.0
// Recognises a picture by its first bytes and hands it to its decoder.
#include "framework/image/decode.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <string_view>

#include "framework/image/codecs.h"

namespace retain::framework {
namespace codecs {

void throw_truncated(const std::string& origin, const std::string& detail) {
  throw Error(ErrorKind::image_truncated, {"the picture " + origin + " ends too early", "a complete file", detail,
                                           "fetch the file again, or leave its record out"});
}

void throw_corrupt(const std::string& origin, const std::string& detail) {
  throw Error(ErrorKind::image_corrupt, {"the picture " + origin + " is damaged", "a file its decoder accepts", detail,
                                         "fetch the file again, or leave its record out"});
}

ImageSize checked_size(std::int64_t height, std::int64_t width, const std::string& origin) {
  const std::string found = std::to_string(width) + " x " + std::to_string(height) + " pixels";
  if (height < 1 || width < 1) throw_corrupt(origin, found);
  if (height > max_image_pixels / width)
    throw Error(ErrorKind::image_too_large,
                {"the picture " + origin + " claims too many pixels", "at most " + std::to_string(max_image_pixels),
                 found, "shrink the picture; if its header lies, leave its record out"});
  return {height, width};
}

}  // namespace codecs

namespace {

using codecs::Bytes;

enum class Format { jpeg, png, webp };

/// More than any real picture, and little enough to read into memory.
constexpr std::uintmax_t max_file_bytes = std::uintmax_t{2} << 30;

bool starts_with(Bytes bytes, std::string_view prefix, std::size_t offset = 0) {
  return bytes.size() >= offset + prefix.size() &&
         std::memcmp(bytes.data() + offset, prefix.data(), prefix.size()) == 0;
}

Format recognise(Bytes bytes, const std::string& origin) {
  if (bytes.empty())
    throw Error(ErrorKind::image_empty, {"the picture " + origin + " is empty", "a JPEG, PNG or WebP file", "no bytes",
                                         "fetch the file again, or leave its record out"});
  if (starts_with(bytes, "\xff\xd8\xff")) return Format::jpeg;
  if (starts_with(bytes, "\x89PNG\r\n\x1a\n")) return Format::png;
  if (starts_with(bytes, "RIFF") && starts_with(bytes, "WEBP", 8)) return Format::webp;
  std::string head;
  for (std::size_t i = 0; i < std::min<std::size_t>(bytes.size(), 8); ++i) {
    constexpr char digits[] = "0123456789abcdef";
    head += {digits[bytes[i] >> 4], digits[bytes[i] & 15], ' '};
  }
  throw Error(ErrorKind::image_unrecognised,
              {"the file " + origin + " is no picture Retain can read", "a JPEG, PNG or WebP file",
               "first bytes " + head, "convert it, or leave its record out"});
}

/// The first `limit` bytes of a file, or all of a shorter one.
std::vector<std::uint8_t> read_bytes(const std::filesystem::path& file, std::uintmax_t limit) {
  std::error_code code;
  const bool regular = std::filesystem::is_regular_file(file, code);
  const std::uintmax_t size = regular ? std::filesystem::file_size(file, code) : 0;
  if (!regular || code)
    throw Error(ErrorKind::io, {"the picture " + file.string() + " cannot be opened", "a readable file",
                                code ? code.message() : "something that is not a file", "check the path"});
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(std::min(size, limit)));
  std::ifstream stream(file, std::ios::binary);
  if (!stream.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size())))
    throw Error(ErrorKind::io,
                {"the picture " + file.string() + " cannot be read", std::to_string(bytes.size()) + " bytes",
                 std::to_string(stream.gcount()) + " bytes", "check the file and its permissions"});
  return bytes;
}

}  // namespace

Image decode_image(std::span<const std::uint8_t> bytes, const std::string& origin, AlphaMode alpha) {
  switch (recognise(bytes, origin)) {
    case Format::jpeg:
      return codecs::decode_jpeg(bytes, origin);
    case Format::png:
      return codecs::decode_png(bytes, origin, alpha);
    case Format::webp:
      break;
  }
  return codecs::decode_webp(bytes, origin, alpha);
}

Image load_image(const std::filesystem::path& file, AlphaMode alpha) {
  const std::vector<std::uint8_t> bytes = read_bytes(file, max_file_bytes);
  if (bytes.size() == max_file_bytes)
    throw Error(ErrorKind::image_too_large, {"the picture " + file.string() + " is too large a file", "less than 2 GiB",
                                             "2 GiB or more", "check that it is a picture"});
  return decode_image(bytes, file.string(), alpha);
}

ImageSize read_size(std::span<const std::uint8_t> bytes, const std::string& origin) {
  switch (recognise(bytes, origin)) {
    case Format::jpeg:
      return codecs::jpeg_size(bytes, origin);
    case Format::png:
      return codecs::png_size(bytes, origin);
    case Format::webp:
      break;
  }
  return codecs::webp_size(bytes, origin);
}

ImageSize read_size(const std::filesystem::path& file) {
  // A JPEG header may hide behind megabytes of profile and thumbnail: read more until it is found.
  for (std::uintmax_t limit = 1 << 15;; limit *= 8) {
    const std::vector<std::uint8_t> bytes = read_bytes(file, limit);
    try {
      return read_size(bytes, file.string());
    } catch (const Error& error) {
      const bool whole = bytes.size() < limit || limit >= max_file_bytes;
      if (error.kind() != ErrorKind::image_truncated || whole) throw;
    }
  }
}

}  // namespace retain::framework
