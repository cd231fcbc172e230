// SPDX-License-Identifier: Apache-2.0
#include "framework/image/picture.h"

#include <span>
#include <utility>

#include "framework/base/json.h"

namespace retain::framework {
namespace {

std::span<const std::uint8_t> as_bytes(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

Picture::Picture(std::filesystem::path file) : name_(file.native()), file_(std::move(file)) {}

Picture::Picture(std::string name, Reader reader)
    : name_(std::move(name)), reader_(std::make_shared<const Reader>(std::move(reader))) {}

bool Picture::exists() const {
  std::error_code code;
  return reader_ || std::filesystem::is_regular_file(file_, code);
}

std::string Picture::bytes() const { return reader_ ? (*reader_)() : read_file(file_); }

Image load_image(const Picture& picture, AlphaMode alpha) {
  if (picture.file()) return load_image(*picture.file(), alpha);
  const std::string bytes = picture.bytes();
  return decode_image(as_bytes(bytes), picture.name(), alpha);
}

ImageSize read_size(const Picture& picture) {
  if (picture.file()) return read_size(*picture.file());
  const std::string bytes = picture.bytes();
  return read_size(as_bytes(bytes), picture.name());
}

}  // namespace retain::framework
