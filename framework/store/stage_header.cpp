// SPDX-License-Identifier: Apache-2.0
#include "framework/store/stage_header.h"

#include "framework/base/json.h"
#include "framework/store/file_ops.h"
#include "framework/store/hdf5_skeleton.h"

namespace retain::framework {
namespace {

constexpr std::string_view kFormat = "retain stage file 1";
constexpr std::size_t kSealed = kHeaderBytes - 33;

std::uint64_t natural(const json::object& object, std::string_view key, const std::string& origin) {
  const json::value* value = object.if_contains(key);
  if (value && value->is_int64() && value->get_int64() >= 0) return static_cast<std::uint64_t>(value->get_int64());
  throw Error(ErrorKind::store_invalid,
              {origin + " has a malformed header", "a natural number \"" + std::string(key) + "\"", {}, {}});
}

Digest digest(const json::object& object, std::string_view key, const std::string& origin) {
  const json::value* value = object.if_contains(key);
  return digest_from_hex(value && value->is_string() ? std::string_view(value->get_string()) : std::string_view(),
                         origin);
}

}  // namespace

std::string StageHeader::to_bytes() const {
  json::object object;
  object["format"] = kFormat;
  object["file_bytes"] = file_bytes;
  object["manifest_offset"] = manifest_offset;
  object["manifest_bytes"] = manifest_bytes;
  object["manifest"] = to_hex(manifest);
  object["skeleton"] = to_hex(skeleton);
  std::string bytes = json::serialize(object) + "\n";
  bytes.resize(kSealed, ' ');
  return bytes + to_hex(digest_of(std::string_view(bytes))) + "\n";
}

StageHeader StageHeader::from_bytes(std::span<const std::byte> bytes, const std::string& origin) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.size() != kHeaderBytes || !text.starts_with("{\"format\":\"retain"))
    throw Error(ErrorKind::store_invalid,
                {origin + " is not a stage file", "a header of " + std::to_string(kHeaderBytes) + " bytes",
                 "something else", "restore the file from a copy"});
  const std::string_view sealed = text.substr(0, kSealed);
  if (text.substr(kSealed) != to_hex(digest_of(sealed)) + "\n")
    throw Error(ErrorKind::store_digest,
                {"the header of " + origin + " is damaged", "digest " + std::string(text.substr(kSealed, 32)),
                 to_hex(digest_of(sealed)), "restore the file from a copy"});
  const json::value value = parse_json(sealed, origin, ErrorKind::store_invalid);
  const json::object* object = value.if_object();
  if (!object || !object->contains("format") || object->at("format") != json::value(kFormat))
    throw Error(ErrorKind::store_invalid, {origin + " has a format this version does not know", std::string(kFormat),
                                           json::serialize(value).substr(0, 60), "use a newer Retain"});
  StageHeader header;
  header.file_bytes = natural(*object, "file_bytes", origin);
  header.manifest_offset = natural(*object, "manifest_offset", origin);
  header.manifest_bytes = natural(*object, "manifest_bytes", origin);
  header.manifest = digest(*object, "manifest", origin);
  header.skeleton = digest(*object, "skeleton", origin);
  return header;
}

}  // namespace retain::framework
