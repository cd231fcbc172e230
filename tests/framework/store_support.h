// SPDX-License-Identifier: Apache-2.0
// Helpers of the store's tests: a folder of their own, small models with known numbers, whole stages in one call.
#pragma once
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "framework/store/commit.h"
#include "framework/store/refs.h"
#include "framework/store/stage_reader.h"
#include "framework/store/store.h"
#include "tests/support/scratch.h"

namespace retain::framework::testing {

using tests::Scratch;

/// Arrays by path with their bytes.
struct Model {
  std::vector<ArraySpec> specs;
  std::map<std::string, std::vector<std::byte>> bytes;

  /// Adds an array of pseudo-random bytes (of finite small floats for float32 and bfloat16).
  void add(const std::string& path, DType dtype, std::vector<std::int64_t> shape, std::uint64_t seed) {
    ArraySpec spec{path, dtype, std::move(shape)};
    std::vector<std::byte> data(spec.bytes());
    std::uint64_t state = seed * 0x9E3779B97F4A7C15ull + 1;
    const auto next = [&] {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      return static_cast<float>(static_cast<std::int64_t>(state % 20001) - 10000) / 4096.0F;
    };
    const std::size_t element = static_cast<std::size_t>(size_of(dtype));
    for (std::size_t at = 0; at + element <= data.size(); at += element) {
      const float value = next();
      if (dtype == DType::float32) {
        std::memcpy(&data[at], &value, 4);
      } else if (dtype == DType::bfloat16) {
        std::memcpy(&data[at], reinterpret_cast<const char*>(&value) + 2, 2);
      } else {
        data[at] = static_cast<std::byte>(state);
      }
    }
    bytes[path] = std::move(data);
    specs.push_back(std::move(spec));
  }

  std::string commit(const Store& store, const StoreLock& lock, std::vector<std::string> parents, json::object inputs = {}) const {
    StageDraft draft{std::move(parents), std::move(inputs), {}, specs, {}};
    return write_stage(store, lock, std::move(draft), [&](const ArraySpec& spec, std::uint64_t begin, std::span<std::byte> out) {
      std::copy_n(bytes.at(spec.path).begin() + static_cast<std::ptrdiff_t>(begin), out.size(), out.begin());
    });
  }
};

/// A base of four tensors (one of several blocks, one scalar, one empty) and an attached file.
inline Model base_model() {
  Model model;
  model.add("tensors/language.embed_tokens.weight", DType::float32, {1500, 1100}, 1);
  model.add("tensors/language.layers.0.mlp.up_proj.weight", DType::bfloat16, {96, 512}, 2);
  model.add("tensors/language.layers.0.self_attn.q_proj.bias", DType::float32, {7}, 3);
  model.add("tensors/language.norm.weight", DType::float32, {}, 4);
  model.add("tensors/vision.empty", DType::float32, {0, 5}, 5);
  model.add("files/config.json", DType::uint8, {321}, 6);
  return model;
}

/// The kind of the Error that `action` throws; fails the test when it throws none.
template <typename Action>
ErrorKind kind_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "no error was thrown";
  return ErrorKind::internal;
}

}  // namespace retain::framework::testing
