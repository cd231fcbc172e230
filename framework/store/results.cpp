// SPDX-License-Identifier: Apache-2.0
#include "framework/store/results.h"

#include <fcntl.h>

#include "framework/store/digest.h"
#include "framework/store/manifest.h"

namespace retain::framework {
namespace {

// The file is one JSON object whose digest covers the text of "value" as it stands.
constexpr std::string_view kBegin = "{\"xxh3_128\":\"";
constexpr std::string_view kMiddle = "\",\"value\":";
constexpr std::string_view kEnd = "}\n";
constexpr std::uint64_t kLargest = std::uint64_t{1} << 31;

std::filesystem::path path_of(const Store& store, const std::string& key) {
  require_plain_name(key, "result key");
  return store.root() / "results" / (key + ".json");
}

std::string to_text(const json::value& value) {
  const std::string text = json::serialize(value);
  return std::string(kBegin) + to_hex(digest_of(std::string_view(text))) + std::string(kMiddle) + text +
         std::string(kEnd);
}

std::string checked_value(const std::string& text, const std::filesystem::path& path) {
  const std::size_t head = kBegin.size() + 32 + kMiddle.size();
  const bool framed = text.size() >= head + kEnd.size() && text.starts_with(kBegin) && text.ends_with(kEnd) &&
                      text.compare(kBegin.size() + 32, kMiddle.size(), kMiddle) == 0;
  const std::string value = framed ? text.substr(head, text.size() - head - kEnd.size()) : std::string();
  if (framed && text.substr(kBegin.size(), 32) == to_hex(digest_of(std::string_view(value)))) return value;
  throw Error(ErrorKind::store_digest, {"the stored result " + path.string() + " is damaged",
                                        "text that matches its digest",
                                        {},
                                        "delete the file; the step that made it will run again"});
}

}  // namespace

std::string memo_key(const std::string& prefix, const json::value& inputs) {
  require_plain_name(prefix, "result prefix");
  return prefix + "-" + to_hex(digest_of(std::string_view(json::serialize(sorted(inputs)))));
}

void put_result(const Store& store, const StoreLock& lock, const std::string& key, const json::value& value) {
  lock.check(store);
  const std::filesystem::path path = path_of(store, key);
  try {
    if (const auto present = get_result(store, key)) {
      if (json::serialize(*present) == json::serialize(value)) return;
      throw Error(ErrorKind::store_invalid,
                  {"result " + key + " is stored already with another value", "one value for one key", path.string(),
                   "delete the file to compute it anew"});
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::store_digest) throw;
  }
  write_atomically(store.operations(), store.root() / store.temporary_name("result"), path, to_text(value));
}

std::optional<json::value> get_result(const Store& store, const std::string& key) {
  const std::filesystem::path path = path_of(store, key);
  std::error_code code;
  if (!std::filesystem::exists(std::filesystem::symlink_status(path, code))) return std::nullopt;
  const File file(store.operations(), path, O_RDONLY | O_NONBLOCK);
  if (file.bytes() > kLargest)
    throw Error(ErrorKind::store_invalid, "the stored result " + path.string() + " is larger than 2 GiB");
  std::string text(file.bytes(), '\0');
  file.read(std::as_writable_bytes(std::span(text)), 0);
  return parse_json(checked_value(text, path), path.string(), ErrorKind::store_invalid);
}

std::vector<std::string> result_keys(const Store& store) {
  std::vector<std::string> keys;
  for (const std::string& file : files_in(store.root() / "results"))
    if (file.ends_with(".json") && is_plain_name(file)) keys.push_back(file.substr(0, file.size() - 5));
  return keys;
}

void remove_result(const Store& store, const StoreLock& lock, const std::string& key) {
  lock.check(store);
  store.operations().remove(path_of(store, key));
  store.operations().sync_directory(store.root() / "results");
}

}  // namespace retain::framework
