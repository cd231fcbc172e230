// SPDX-License-Identifier: Apache-2.0
#include "models/vision/feature_files.h"

#include <unistd.h>

#include <fstream>
#include <system_error>

#include "framework/store/digest.h"
#include "framework/base/error.h"
#include "framework/base/json.h"

namespace retain::models {
namespace {

namespace fs = std::filesystem;
namespace json = framework::json;

constexpr const char* extension = ".features";
constexpr std::size_t longest_header = 65536;

struct StoredFile {
  fs::path path;
  fs::file_time_type used;
  std::int64_t bytes = 0;
};

std::vector<StoredFile> list_files(const fs::path& folder) {
  std::vector<StoredFile> files;
  std::error_code failed;
  for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end; entry.increment(failed)) {
    std::error_code gone;  // another process may remove it meanwhile
    const auto bytes = static_cast<std::int64_t>(entry->file_size(gone));
    const auto used = entry->last_write_time(gone);
    if (!gone && entry->path().extension() == extension) files.push_back({entry->path(), used, bytes});
  }
  return files;
}

std::string digest_of(const at::Tensor& tensor) {
  return to_hex(framework::digest_of(std::span(static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes())));
}

std::string header_of(const std::string& key, const at::Tensor& tensor) {
  json::array shape(tensor.sizes().begin(), tensor.sizes().end());
  const json::object header{{"key", key},
                            {"dtype", static_cast<int>(tensor.scalar_type())},
                            {"shape", shape},
                            {"digest", digest_of(tensor)}};
  return json::serialize(header) + "\n";
}

/// The tensor a header describes, when it can be one of `key` with exactly `bytes` of data.
std::optional<at::Tensor> allocate(const json::object& header, const std::string& key, std::int64_t bytes) {
  if (header.at("key").as_string() != key) return std::nullopt;
  const auto type = static_cast<at::ScalarType>(header.at("dtype").to_number<int>());
  if (type != at::kFloat && type != at::kBFloat16) return std::nullopt;
  std::vector<std::int64_t> shape;
  std::int64_t expected = type == at::kFloat ? 4 : 2;
  for (const json::value& size : header.at("shape").as_array()) {
    shape.push_back(size.to_number<std::int64_t>());
    if (shape.back() < 1 || __builtin_mul_overflow(expected, shape.back(), &expected)) return std::nullopt;
  }
  if (expected != bytes) return std::nullopt;
  return at::empty(shape, type);
}

std::optional<at::Tensor> parse(std::ifstream& file, const std::string& key, std::int64_t file_bytes) {
  std::string line(longest_header, '\0');
  file.getline(line.data(), static_cast<std::streamsize>(line.size()));
  if (!file) return std::nullopt;
  const std::int64_t header_bytes = file.gcount();
  boost::system::error_code bad;
  const json::value header = json::parse(std::string_view(line.data(), static_cast<std::size_t>(header_bytes) - 1), bad);
  if (bad || !header.is_object()) return std::nullopt;
  std::optional<at::Tensor> tensor = allocate(header.as_object(), key, file_bytes - header_bytes);
  if (!tensor) return std::nullopt;
  file.read(static_cast<char*>(tensor->mutable_data_ptr()), static_cast<std::streamsize>(tensor->nbytes()));
  const std::string found = digest_of(*tensor);
  if (!file || header.as_object().at("digest").as_string() != found) return std::nullopt;
  return tensor;
}

}  // namespace

FeatureFiles::FeatureFiles(fs::path folder, std::int64_t limit_bytes)
    : folder_(std::move(folder)), limit_bytes_(limit_bytes) {
  std::error_code failed;
  fs::create_directories(folder_, failed);
  if (failed)
    throw framework::Error(framework::ErrorKind::io,
                           {"cannot make the folder of the feature cache " + folder_.string(), "", failed.message(),
                            "name a folder that can be written, or leave the feature cache in memory"});
  for (const StoredFile& file : list_files(folder_)) bytes_ += file.bytes;
}

fs::path FeatureFiles::file_of(const std::string& key) const {
  return folder_ / (framework::to_hex(framework::digest_of(key)) + extension);
}

std::optional<at::Tensor> FeatureFiles::read(const std::string& key) {
  const fs::path path = file_of(key);
  std::ifstream file(path, std::ios::binary);
  std::error_code failed;
  const auto bytes = static_cast<std::int64_t>(fs::file_size(path, failed));
  if (!file || failed) return std::nullopt;
  std::optional<at::Tensor> tensor;
  try {
    tensor = parse(file, key, bytes);
  } catch (const std::exception&) {
    tensor.reset();  // a header with other fields than ours: as good as no file
  }
  if (tensor)
    fs::last_write_time(path, fs::file_time_type::clock::now(), failed);
  else
    fs::remove(path, failed);
  return tensor;
}

void FeatureFiles::write(const std::string& key, const at::Tensor& tensor) {
  const fs::path path = file_of(key);
  std::error_code failed;
  if (fs::exists(path, failed)) return;
  const std::string header = header_of(key, tensor);
  const auto bytes = static_cast<std::int64_t>(header.size() + tensor.nbytes());
  if (bytes > limit_bytes_) return;
  make_room(bytes);
  const fs::path draft = path.string() + "." + std::to_string(::getpid()) + "." + std::to_string(written_++);
  std::ofstream file(draft, std::ios::binary);
  file << header;
  file.write(static_cast<const char*>(tensor.const_data_ptr()), static_cast<std::streamsize>(tensor.nbytes()));
  file.close();
  if (file) fs::rename(draft, path, failed);
  if (!file || failed)
    fs::remove(draft, failed);
  else
    bytes_ += bytes;
}

void FeatureFiles::make_room(std::int64_t wanted) {
  if (bytes_ + wanted <= limit_bytes_) return;
  std::vector<StoredFile> files = list_files(folder_);
  std::sort(files.begin(), files.end(), [](const StoredFile& a, const StoredFile& b) { return a.used < b.used; });
  bytes_ = 0;
  for (const StoredFile& file : files) bytes_ += file.bytes;
  // A tenth more than needed, so that the folder is not listed for every file.
  const std::int64_t target = std::max<std::int64_t>(0, limit_bytes_ - wanted - limit_bytes_ / 10);
  for (const StoredFile& file : files) {
    if (bytes_ <= target) break;
    std::error_code gone;
    fs::remove(file.path, gone);
    bytes_ -= file.bytes;
  }
}

}  // namespace retain::models
