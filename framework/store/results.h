// SPDX-License-Identifier: Apache-2.0
// Memoised results: results/<key>.json, written once, whole or not at all. The key is made of everything the result
// depends on, so a result that is there need never be computed again.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "framework/base/json.h"
#include "framework/store/store_lock.h"

namespace retain::framework {

/// A digest of a step's inputs as a key: "<prefix>-<32 hex digits>". Equal JSON (whatever the order of keys) gives an
/// equal key.
std::string memo_key(const std::string& prefix, const json::value& inputs);

/// Stores a result durably. The same value again is no error; another value under a key that is taken throws
/// Error(store_invalid): the key does not cover what the result depends on. A damaged one is replaced.
void put_result(const Store& store, const StoreLock& lock, const std::string& key, const json::value& value);

/// Empty when there is none. Throws Error(store_digest) when it is damaged, naming the file to delete.
std::optional<json::value> get_result(const Store& store, const std::string& key);

/// All keys, sorted.
std::vector<std::string> result_keys(const Store& store);

/// Removes a result, so that its step runs again.
void remove_result(const Store& store, const StoreLock& lock, const std::string& key);

}  // namespace retain::framework
