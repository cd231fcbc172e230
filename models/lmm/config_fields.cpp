// SPDX-License-Identifier: Apache-2.0
#include "models/lmm/config_fields.h"

#include <cmath>
#include <utility>

#include "framework/base/error.h"

namespace retain::models {

namespace json = framework::json;
using framework::Error;
using framework::ErrorKind;

namespace {

/// An integer however JSON spells it (3, 3u, 3.0); empty when it is none.
std::optional<std::int64_t> as_integer(const json::value& value) {
  boost::system::error_code code;
  const std::int64_t number = value.to_number<std::int64_t>(code);
  if (code) return std::nullopt;
  return number;
}

}  // namespace

ConfigFields::ConfigFields(const json::object& object, std::string file, std::string path)
    : object_(&object), file_(std::move(file)), path_(std::move(path)) {}

bool ConfigFields::null(std::string_view key) const {
  const json::value* found = object_->if_contains(key);
  return found && found->is_null();
}

const json::value* ConfigFields::value(std::string_view key) const {
  const json::value* found = object_->if_contains(key);
  return found && !found->is_null() ? found : nullptr;
}

std::optional<ConfigFields> ConfigFields::object(std::string_view key) const {
  const json::value* found = value(key);
  if (!found) return std::nullopt;
  const json::object* object = found->if_object();
  if (!object) refuse(key, "an object");
  return ConfigFields(*object, file_, path_ + std::string(key) + ".");
}

std::int64_t ConfigFields::integer(std::string_view key, std::optional<std::int64_t> fallback, std::int64_t least,
                                   std::int64_t most) const {
  const json::value* found = value(key);
  if (!found && fallback) return *fallback;
  const std::optional<std::int64_t> number = found ? as_integer(*found) : std::nullopt;
  if (!number || *number < least || *number > most)
    refuse(key, "an integer from " + std::to_string(least) + " to " + std::to_string(most));
  return *number;
}

double ConfigFields::positive(std::string_view key, std::optional<double> fallback) const {
  const json::value* found = value(key);
  if (!found && fallback) return *fallback;
  if (!found || !found->is_number()) refuse(key, "a number above 0");
  const double number = found->to_number<double>();
  if (!(number > 0) || !std::isfinite(number)) refuse(key, "a number above 0");
  return number;
}

bool ConfigFields::boolean(std::string_view key, bool fallback) const {
  const json::value* found = value(key);
  if (!found) return fallback;
  if (!found->is_bool()) refuse(key, "true or false");
  return found->get_bool();
}

std::string ConfigFields::text(std::string_view key, std::optional<std::string> fallback) const {
  const json::value* found = value(key);
  if (!found && fallback) return *fallback;
  if (!found || !found->is_string()) refuse(key, "a string");
  return std::string(found->get_string());
}

Activation ConfigFields::activation(std::string_view key, std::string fallback) const {
  const std::string name = text(key, std::move(fallback));
  if (name == "silu" || name == "swish") return Activation::silu;
  if (name == "gelu" || name == "gelu_python") return Activation::gelu_erf;
  if (name == "gelu_pytorch_tanh" || name == "gelu_new" || name == "gelu_fast") return Activation::gelu_tanh;
  if (name == "quick_gelu") return Activation::quick_gelu;
  unsupported(key, "silu, gelu, gelu_pytorch_tanh or quick_gelu");
}

framework::DType ConfigFields::dtype() const {
  const char* key = has("dtype") ? "dtype" : "torch_dtype";
  std::string name = text(key, "float32");
  if (name.starts_with("torch.")) name.erase(0, 6);
  if (name != "float32" && name != "bfloat16" && name != "float16") unsupported(key, "float32, bfloat16 or float16");
  return framework::dtype_from_name(name);
}

std::vector<std::int64_t> ConfigFields::integers(std::string_view key) const {
  std::vector<std::int64_t> numbers;
  const json::value* found = value(key);
  if (!found) return numbers;
  const auto add = [&](const json::value& item) {
    const std::optional<std::int64_t> number = as_integer(item);
    if (!number) refuse(key, "an integer or a list of integers");
    numbers.push_back(*number);
  };
  if (const json::array* list = found->if_array())
    for (const json::value& item : *list) add(item);
  else
    add(*found);
  return numbers;
}

std::string ConfigFields::found_at(std::string_view key) const {
  const json::value* found = object_->if_contains(key);
  if (!found) return "no such field";
  std::string text = json::serialize(*found);
  return text.size() > 120 ? text.substr(0, 120) + "…" : text;
}

void ConfigFields::refuse(std::string_view key, std::string expected, std::string found) const {
  throw Error(ErrorKind::config_invalid,
              {file_ + ": field " + path_ + std::string(key) + " makes no sense", std::move(expected),
               found.empty() ? found_at(key) : std::move(found), "correct the field or download the file again"});
}

void ConfigFields::unsupported(std::string_view key, std::string expected, std::string found) const {
  throw Error(
      ErrorKind::config_unsupported,
      {file_ + ": field " + path_ + std::string(key) + " asks for something Retain does not do", std::move(expected),
       found.empty() ? found_at(key) : std::move(found), "use a model of a supported kind"});
}

}  // namespace retain::models
