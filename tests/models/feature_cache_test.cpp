// SPDX-License-Identifier: Apache-2.0
// The feature cache: limits, eviction order, the folder, damage, and two processes' worth of writers.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "framework/base/error.h"
#include "models/vision/feature_cache.h"

namespace retain::models {
namespace {

namespace fs = std::filesystem;

/// A folder of its own, removed at the end.
struct Folder {
  Folder() : path(fs::temp_directory_path() / ("retain-features-" + std::to_string(::getpid()))) { fs::remove_all(path); }
  ~Folder() { fs::remove_all(path); }
  fs::path path;
};

at::Tensor features(int value) { return at::full({2, 8, 8}, value, at::kFloat); }  // 512 bytes

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  return files;
}

TEST(FeatureCache, ForgetsTheLeastRecentlyUsedBeyondItsLimit) {
  FeatureCache cache({.memory_bytes = 1024, .folder = {}, .folder_bytes = 0});
  cache.insert("a", features(1));
  cache.insert("b", features(2));
  EXPECT_TRUE(cache.find("a").has_value());
  cache.insert("c", features(3));  // b is the oldest use
  EXPECT_FALSE(cache.find("b").has_value());
  EXPECT_TRUE(at::equal(*cache.find("a"), features(1)));
  EXPECT_TRUE(at::equal(*cache.find("c"), features(3)));
  EXPECT_LE(cache.bytes_in_memory(), 1024);
  EXPECT_EQ(cache.hits(), 3);
  EXPECT_EQ(cache.misses(), 1);
}

TEST(FeatureCache, AnEntryBeyondTheWholeLimitIsNotKept) {
  FeatureCache cache({.memory_bytes = 100, .folder = {}, .folder_bytes = 0});
  cache.insert("a", features(1));
  EXPECT_FALSE(cache.find("a").has_value());
  EXPECT_EQ(cache.bytes_in_memory(), 0);
}

TEST(FeatureCache, WhatLeavesMemoryIsFoundInTheFolder) {
  const Folder folder;
  const FeatureCacheLimits limits{.memory_bytes = 512, .folder = folder.path, .folder_bytes = 1 << 20};
  FeatureCache cache(limits);
  cache.insert("a", features(1).to(at::kBFloat16));
  cache.insert("b", features(2));
  cache.insert("c", features(3));
  const at::Tensor a = cache.find("a").value();
  EXPECT_EQ(a.scalar_type(), at::kBFloat16);
  EXPECT_TRUE(at::equal(a, features(1).to(at::kBFloat16)));
  FeatureCache another(limits);  // as another process would see it
  EXPECT_TRUE(at::equal(another.find("b").value(), features(2)));
  EXPECT_FALSE(another.find("unknown").has_value());
}

TEST(FeatureCache, TheFolderKeepsItsLimit) {
  const Folder folder;
  FeatureCache cache({.memory_bytes = 0, .folder = folder.path, .folder_bytes = 4000});
  for (int i = 0; i < 20; ++i) cache.insert("key " + std::to_string(i), features(i));
  std::int64_t bytes = 0;
  for (const fs::path& file : files_in(folder.path)) bytes += static_cast<std::int64_t>(fs::file_size(file));
  EXPECT_LE(bytes, 4000);
  EXPECT_TRUE(cache.find("key 19").has_value());
  EXPECT_FALSE(cache.find("key 0").has_value());
}

TEST(FeatureCache, ADamagedOrForeignFileCountsAsNone) {
  const Folder folder;
  FeatureCache cache({.memory_bytes = 0, .folder = folder.path, .folder_bytes = 1 << 20});
  const auto damage = [&](const std::function<void(const fs::path&)>& how) {
    cache.insert("a", features(1));
    ASSERT_EQ(files_in(folder.path).size(), 1U);
    how(files_in(folder.path).front());
    EXPECT_FALSE(cache.find("a").has_value());
    EXPECT_TRUE(files_in(folder.path).empty());
  };
  damage([](const fs::path& file) { fs::resize_file(file, fs::file_size(file) - 1); });
  damage([](const fs::path& file) { fs::resize_file(file, 10); });
  damage([](const fs::path& file) { std::ofstream(file) << "{}\n"; });
  damage([](const fs::path& file) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(-3, std::ios::end);
    stream.put('x');
  });
  damage([](const fs::path& file) {
    std::ofstream(file) << R"({"key":"a","dtype":6,"shape":[4611686018427387904,4611686018427387904],"digest":""})" << "\n";
  });
}

TEST(FeatureCache, SaysWhichFolderItCannotMake) {
  const Folder folder;
  std::ofstream(folder.path) << "a file";
  EXPECT_THROW(FeatureCache({.memory_bytes = 0, .folder = folder.path / "inside", .folder_bytes = 1}), framework::Error);
}

}  // namespace
}  // namespace retain::models
