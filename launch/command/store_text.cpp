// SPDX-License-Identifier: Apache-2.0
#include "launch/command/store_text.h"

#include <cstdio>

#include "framework/store/refs.h"

namespace retain::launch {

namespace json = framework::json;

namespace {

/// `retain store log` and `verify` tell of the others.
std::vector<framework::Ref> intact_refs(const framework::Store& store) {
  std::vector<std::string> damaged;
  return framework::refs_of(store, &damaged);
}

}  // namespace

std::string size_text(std::uint64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto amount = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; amount >= 1024 && unit < 4; ++unit) amount /= 1024;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", amount, kUnits[unit]);
  return text;
}

std::string short_id(const std::string& id) {
  return id.substr(0, 10);
}

std::string title_of(const framework::Manifest& manifest) {
  if (const json::value* name = manifest.info.if_contains("name"); name && name->is_string())
    return std::string(name->get_string());
  std::string title;
  for (const char* key : {"operation", "step", "task", "x"}) {
    const json::value* value = manifest.inputs.if_contains(key);
    if (!value || value->is_object() || value->is_array() || value->is_null()) continue;
    std::string text = value->is_string() ? std::string(value->get_string()) : framework::pretty(*value);
    if (text.ends_with('\n')) text.pop_back();
    const bool bare = std::string_view(key) == "operation" || std::string_view(key) == "step";
    title += (title.empty() ? "" : ", ") + (bare ? text : std::string(key) + " " + text);
  }
  return title.empty() ? "stage" : title;
}

std::string refs_text(const framework::Store& store, const std::string& id) {
  std::string text;
  for (const framework::Ref& ref : intact_refs(store))
    if (ref.stage == id)
      text += (text.empty() ? "" : ", ") + std::string(ref.kind == framework::RefKind::tag ? "tag " : "") + ref.name;
  return text;
}

json::object stage_json(const framework::Store& store, const framework::StageSummary& summary) {
  json::object object;
  object["id"] = summary.id;
  json::array refs;
  for (const framework::Ref& ref : intact_refs(store))
    if (ref.stage == summary.id) refs.emplace_back(ref.name);
  object["refs"] = std::move(refs);
  object["parents"] = json::array(summary.manifest.parents.begin(), summary.manifest.parents.end());
  object["inputs"] = summary.manifest.inputs;
  object["tensors"] = summary.tensors;
  object["own_tensors"] = summary.own_tensors;
  object["own_bytes"] = summary.own_bytes;
  object["shared_bytes"] = summary.shared_bytes;
  object["file_bytes"] = summary.file_bytes;
  json::object shares;
  for (const auto& [holder, share] : summary.shares)
    shares[holder] = {{"tensors", share.tensors}, {"bytes", share.bytes}};
  object["shares"] = std::move(shares);
  return object;
}

}  // namespace retain::launch
