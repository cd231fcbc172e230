// SPDX-License-Identifier: Apache-2.0
#include "framework/report/readings.h"

#include "framework/base/error.h"
#include "framework/store/results.h"

namespace retain::framework {

std::optional<json::object> KeptReadings::find(const std::string& key) const {
  const auto value = store_ ? get_result(*store_, key) : std::nullopt;
  if (!value) return std::nullopt;
  const json::object* reading = value->if_object();
  const json::value* kind = reading ? reading->if_contains("kind") : nullptr;
  if (!kind || !kind->is_string())
    throw Error(ErrorKind::store_invalid,
                {"result " + key + " is no probe reading that this version reads", "an object with its kind",
                 json::serialize(*value).substr(0, 80), "delete the result; the run that made it will make it again"});
  return *reading;
}

}  // namespace retain::framework
