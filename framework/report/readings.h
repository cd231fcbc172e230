// SPDX-License-Identifier: Apache-2.0
// The probe readings that a run has kept in its store's results, as the report needs them.
#pragma once
#include <optional>
#include <string>

#include "framework/base/json.h"
#include "framework/store/store.h"

namespace retain::framework {

class KeptReadings {
 public:
  /// Nothing kept.
  KeptReadings() = default;
  explicit KeptReadings(const Store& store) : store_(store) {}

  /// The whole reading under a key of StudyPoint::readings or StudyStep::readings; nothing where the store does not keep it. Throws
  /// Error(store_digest) for a damaged one, Error(store_invalid) for what is no reading.
  std::optional<json::object> find(const std::string& key) const;

 private:
  std::optional<Store> store_;
};

}  // namespace retain::framework
