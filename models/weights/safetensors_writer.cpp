// SPDX-License-Identifier: Apache-2.0
#include "models/weights/safetensors_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "framework/base/error.h"

namespace retain::models {

using framework::Error;
using framework::ErrorKind;

namespace {

[[noreturn]] void refuse(const char* action, const std::filesystem::path& file) {
  throw Error(ErrorKind::io, {std::string("cannot ") + action + " " + file.string(), "", std::strerror(errno),
                              "check the folder's permissions and the free space on its disk"});
}

/// A rename is durable once its folder is.
void sync_folder(const std::filesystem::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) refuse("open", folder);
  const int status = ::fsync(descriptor);
  ::close(descriptor);
  if (status != 0) refuse("make durable", folder);
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(std::filesystem::path file, const std::vector<framework::TensorInfo>& tensors)
    : file_(std::move(file)), partial_(file_.string() + ".partial") {
  std::vector<const framework::TensorInfo*> order;
  for (const framework::TensorInfo& tensor : tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    const std::int64_t wide_a = framework::size_of(a->dtype), wide_b = framework::size_of(b->dtype);
    return wide_a != wide_b ? wide_a > wide_b : a->name < b->name;
  });
  std::vector<std::pair<std::string, StoredTensor>> entries;
  for (const framework::TensorInfo* tensor : order) {
    const auto bytes = static_cast<std::int64_t>(tensor->bytes());
    StoredTensor entry{tensor->dtype, tensor->shape, expected_, expected_ + bytes};
    expected_ += bytes;
    if (!tensors_.emplace(tensor->name, entry).second)
      throw Error(ErrorKind::internal, "tensor " + tensor->name + " would be written twice");
    entries.emplace_back(tensor->name, std::move(entry));
  }
  const std::string header = compose_safetensors_header(entries, {{"format", "pt"}});
  data_offset_ = static_cast<std::int64_t>(header.size());
  descriptor_ = ::open(partial_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) refuse("create", partial_);
  put(std::as_bytes(std::span(header)), 0);
}

SafetensorsWriter::~SafetensorsWriter() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(partial_.c_str());
}

void SafetensorsWriter::put(std::span<const std::byte> bytes, std::int64_t offset) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(descriptor_, bytes.data(), bytes.size(), offset);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) refuse("write", partial_);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += count;
  }
}

void SafetensorsWriter::write(const std::string& name, std::int64_t first, std::span<const std::byte> bytes) {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) throw Error(ErrorKind::internal, "tensor " + name + " is not one of this file");
  const StoredTensor& tensor = found->second;
  framework::check_range({name, tensor.dtype, tensor.shape}, first, bytes.size());
  put(bytes, data_offset_ + tensor.begin + first * framework::size_of(tensor.dtype));
  written_ += static_cast<std::int64_t>(bytes.size());
}

void SafetensorsWriter::finish() {
  if (written_ != expected_)
    throw Error(ErrorKind::internal, file_.string() + ": " + std::to_string(written_) + " of " +
                                         std::to_string(expected_) + " bytes of tensors were written");
  if (::fsync(descriptor_) != 0) refuse("make durable", partial_);
  if (::close(std::exchange(descriptor_, -1)) != 0) refuse("close", partial_);
  std::error_code code;
  std::filesystem::rename(partial_, file_, code);
  if (code) throw Error(ErrorKind::io, "cannot rename " + partial_.string() + ": " + code.message());
  sync_folder(file_.parent_path().empty() ? "." : file_.parent_path());
}

}  // namespace retain::models
