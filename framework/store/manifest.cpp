// SPDX-License-Identifier: Apache-2.0
#include "framework/store/manifest.h"

#include <algorithm>
#include <set>
#include <utility>

namespace retain::framework {
namespace {

// Bounds on what a file may claim, far above any real model.
constexpr std::size_t kMostArrays = 1'000'000;
constexpr std::size_t kMostParents = 64;
constexpr std::size_t kMostDimensions = 8;
constexpr std::int64_t kLargestDimension = std::int64_t{1} << 48;

/// Reads fields of one JSON object and names them in errors.
class Fields {
 public:
  Fields(const json::value& value, std::string origin) : origin_(std::move(origin)) {
    object_ = value.if_object();
    if (!object_) fail("an object", value);
  }
  const json::value& at(std::string_view key) const {
    const json::value* value = object_->if_contains(key);
    if (!value) throw Error(ErrorKind::store_invalid, origin_ + " lacks \"" + std::string(key) + "\"");
    return *value;
  }
  std::string text(std::string_view key) const {
    const json::value& value = at(key);
    if (!value.is_string()) fail("text in \"" + std::string(key) + "\"", value);
    return std::string(value.get_string());
  }
  std::uint64_t natural(std::string_view key) const {
    const json::value& value = at(key);
    if (value.is_int64() && value.get_int64() >= 0) return static_cast<std::uint64_t>(value.get_int64());
    fail("a natural number in \"" + std::string(key) + "\"", value);
  }
  const json::array& list(std::string_view key, std::size_t most) const {
    const json::value& value = at(key);
    if (!value.is_array() || value.get_array().size() > most)
      fail("a list of at most " + std::to_string(most) + " in \"" + std::string(key) + "\"", value);
    return value.get_array();
  }
  const json::object& object(std::string_view key) const {
    const json::value& value = at(key);
    if (!value.is_object()) fail("an object in \"" + std::string(key) + "\"", value);
    return value.get_object();
  }
  bool has(std::string_view key) const { return object_->contains(key); }
  const std::string& origin() const { return origin_; }
  [[noreturn]] void fail(const std::string& expected, const json::value& found) const {
    throw Error(ErrorKind::store_invalid,
                {origin_ + " is malformed", expected, json::serialize(found).substr(0, 120), {}});
  }

 private:
  std::string origin_;
  const json::object* object_ = nullptr;
};

json::array hex_list(const std::vector<Digest>& digests) {
  json::array list;
  for (const Digest& digest : digests) list.emplace_back(to_hex(digest));
  return list;
}

std::vector<std::string> read_parents(const Fields& fields) {
  std::vector<std::string> parents;
  for (const json::value& parent : fields.list("parents", kMostParents)) {
    if (!parent.is_string() || !is_digest(parent.get_string())) fields.fail("a stage id among the parents", parent);
    parents.emplace_back(parent.get_string());
  }
  return parents;
}

ArraySpec read_spec(const Fields& fields) {
  ArraySpec spec;
  spec.path = fields.text("path");
  if (!is_array_path(spec.path)) fields.fail("a path inside the file", fields.at("path"));
  try {
    spec.dtype = dtype_from_name(fields.text("dtype"));
  } catch (const Error&) {
    fields.fail("an element type", fields.at("dtype"));
  }
  std::int64_t elements = 1;
  for (const json::value& size : fields.list("shape", kMostDimensions)) {
    const std::int64_t length = size.is_int64() ? size.get_int64() : -1;
    if (length < 0 || length > kLargestDimension || __builtin_mul_overflow(elements, length, &elements) ||
        elements > kLargestDimension)
      fields.fail("sizes of which the product is below 2^48 in \"shape\"", fields.at("shape"));
    spec.shape.push_back(length);
  }
  return spec;
}

ArrayEntry read_entry(const json::value& value, const std::string& origin, std::uint64_t file_bytes) {
  const Fields fields(value, origin + ", array entry");
  ArrayEntry entry;
  entry.spec = read_spec(fields);
  const std::string where = origin + ", array " + entry.spec.path;
  entry.digest = digest_from_hex(fields.text("digest"), where);
  if (fields.has("holder")) {
    entry.holder = fields.text("holder");
    if (!is_digest(entry.holder)) fields.fail("a stage id in \"holder\"", fields.at("holder"));
    return entry;
  }
  entry.offset = fields.natural("offset");
  const std::uint64_t bytes = entry.spec.bytes();
  if (entry.offset > file_bytes || bytes > file_bytes - entry.offset)
    throw Error(ErrorKind::store_invalid, {where + " lies outside its file",
                                           std::to_string(file_bytes) + " bytes at most",
                                           std::to_string(bytes) + " bytes at " + std::to_string(entry.offset),
                                           {}});
  const json::array& blocks = fields.list("blocks", static_cast<std::size_t>(entry.spec.blocks()));
  for (const json::value& block : blocks) {
    if (!block.is_string()) fields.fail("digests in \"blocks\"", block);
    entry.blocks.push_back(digest_from_hex(block.get_string(), where));
  }
  if (entry.blocks.size() != entry.spec.blocks() || digest_of(std::span<const Digest>(entry.blocks)) != entry.digest)
    throw Error(ErrorKind::store_invalid, {where + " has a digest that does not follow from its blocks'",
                                           std::to_string(entry.spec.blocks()) + " block digests",
                                           std::to_string(entry.blocks.size()),
                                           {}});
  return entry;
}

void check_extents(const Manifest& manifest, const std::string& origin) {
  std::set<std::string_view> paths;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> extents;
  for (const ArrayEntry& entry : manifest.arrays) {
    if (!paths.insert(entry.spec.path).second)
      throw Error(ErrorKind::store_invalid, origin + " names array " + entry.spec.path + " twice");
    if (entry.here() && entry.spec.bytes() > 0) extents.emplace_back(entry.offset, entry.offset + entry.spec.bytes());
  }
  std::sort(extents.begin(), extents.end());
  for (std::size_t i = 1; i < extents.size(); ++i)
    if (extents[i].first < extents[i - 1].second)
      throw Error(ErrorKind::store_invalid, origin + " has overlapping arrays");
}

json::array shape_json(const ArraySpec& spec) {
  json::array shape;
  for (const std::int64_t size : spec.shape) shape.emplace_back(size);
  return shape;
}

}  // namespace

const ArrayEntry* Manifest::find(std::string_view path) const {
  for (const ArrayEntry& entry : arrays)
    if (entry.spec.path == path) return &entry;
  return nullptr;
}

std::string id_of(const Manifest& manifest) {
  json::array arrays;
  for (const ArrayEntry& entry : manifest.arrays)
    arrays.push_back(json::array{json::string(entry.spec.path), json::string(name_of(entry.spec.dtype)),
                                 shape_json(entry.spec), json::string(to_hex(entry.digest))});
  json::array parents;
  for (const std::string& parent : manifest.parents) parents.emplace_back(parent);
  const json::value whole =
      json::array{json::string(manifest.kind), parents, sorted(manifest.inputs), std::move(arrays)};
  return to_hex(digest_of(std::string_view(json::serialize(whole))));
}

std::string to_text(const Manifest& manifest) {
  json::array arrays;
  for (const ArrayEntry& entry : manifest.arrays) {
    json::object item;
    item["path"] = entry.spec.path;
    item["dtype"] = name_of(entry.spec.dtype);
    item["shape"] = shape_json(entry.spec);
    item["digest"] = to_hex(entry.digest);
    if (entry.here()) {
      item["offset"] = entry.offset;
      item["blocks"] = hex_list(entry.blocks);
    } else {
      item["holder"] = entry.holder;
    }
    arrays.push_back(std::move(item));
  }
  json::array parents;
  for (const std::string& parent : manifest.parents) parents.emplace_back(parent);
  json::object whole;
  whole["kind"] = manifest.kind;
  whole["parents"] = std::move(parents);
  whole["inputs"] = sorted(manifest.inputs);
  whole["info"] = manifest.info;
  whole["block_bytes"] = kBlockBytes;
  whole["arrays"] = std::move(arrays);
  return json::serialize(whole);
}

Manifest manifest_from_text(std::string_view text, const std::string& origin, std::uint64_t file_bytes) {
  const json::value value = parse_json(text, origin, ErrorKind::store_invalid);
  const Fields fields(value, origin);
  if (fields.natural("block_bytes") != kBlockBytes)
    fields.fail("\"block_bytes\" " + std::to_string(kBlockBytes), fields.at("block_bytes"));
  Manifest manifest;
  manifest.kind = fields.text("kind");
  manifest.parents = read_parents(fields);
  manifest.inputs = fields.object("inputs");
  manifest.info = fields.object("info");
  for (const json::value& item : fields.list("arrays", kMostArrays))
    manifest.arrays.push_back(read_entry(item, origin, file_bytes));
  check_extents(manifest, origin);
  return manifest;
}

bool is_array_path(std::string_view path) {
  if (path.empty() || path.size() > 400) return false;
  std::size_t segments = 0;
  for (std::size_t begin = 0; begin <= path.size(); ++segments) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view segment = path.substr(begin, end - begin);
    if (segment.empty() || segment == "." || segment == "..") return false;
    for (const char letter : segment)
      if (!std::isalnum(static_cast<unsigned char>(letter)) &&
          std::string_view("._-").find(letter) == std::string_view::npos)
        return false;
    begin = end + 1;
  }
  return segments <= 8;
}

json::value sorted(const json::value& value) {
  if (const auto* array = value.if_array()) {
    json::array out;
    for (const json::value& item : *array) out.push_back(sorted(item));
    return out;
  }
  const auto* object = value.if_object();
  if (!object) return value;
  std::vector<std::string> keys;
  for (const auto& item : *object) keys.emplace_back(item.key());
  std::sort(keys.begin(), keys.end());
  json::object out;
  for (const std::string& key : keys) out[key] = sorted(object->at(key));
  return out;
}

}  // namespace retain::framework
