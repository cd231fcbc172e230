// SPDX-License-Identifier: Apache-2.0
// A file system that may lose its power: it knows what has been made durable, and shows what a disk may hold of the rest.
#pragma once
#include <fcntl.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "framework/base/json.h"
#include "framework/store/file_ops.h"

namespace retain::framework::testing {

/// Passes every call on to the system, and keeps beside it what POSIX promises: the bytes of a file up to its last fsync are there,
/// and so are the names in a folder up to the folder's last fsync. Of all later ones each may be there or not, in any order, a
/// write by sectors of 512 bytes. Names are durable one by one: a rename may have come as the new name, without the old one gone,
/// or the other way round. Not thread-safe.
class LossyFiles : public FileOperations {
 public:
  /// Thrown where the process is to be killed. No Error: nobody handles it.
  struct Killed {};
  /// Which calls of fsync do nothing, to see that it is noticed.
  enum class Ignored { nothing, files, folders, all };

  /// All that lies under `base` now is durable.
  explicit LossyFiles(Path base, Ignored ignored = Ignored::nothing) : base_(std::move(base)), ignored_(ignored) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(base_)) {
      auto node = std::make_shared<Node>();
      node->is_folder = entry.is_directory();
      if (!node->is_folder) node->durable = read_file(entry.path());
      names_[name_of(entry.path())] = {std::move(node)};
    }
  }

  /// Called after every change.
  std::function<void()> after_each;
  /// The process is killed before the change of that number (from 1): what was written stays in the page cache.
  void kill_at(int change) { kill_at_ = change; }
  /// The next process begins.
  void restart() {
    killed_ = false;
    kill_at_ = 0;
  }
  int changes() const { return changes_; }

  /// What the disk may hold under `base` after the power was lost now, as the new folder `target`. What is not durable is there
  /// with probability `kept`.
  void rebuild(const Path& target, std::mt19937& random, double kept) const {
    std::bernoulli_distribution keeps(kept);
    std::filesystem::remove_all(target);
    std::filesystem::create_directories(target);
    std::map<const Node*, std::string> contents;  // a file under two names is one file
    for (const auto& [name, versions] : names_) {
      const Path path = target / name;
      if (!std::filesystem::is_directory(path.parent_path())) continue;
      const Node* node = versions.front().get();
      for (std::size_t i = 1; i < versions.size(); ++i)
        if (keeps(random)) node = versions[i].get();
      if (!node) continue;
      if (node->is_folder) {
        std::filesystem::create_directory(path);
        continue;
      }
      const auto [content, fresh] = contents.try_emplace(node);
      if (fresh) content->second = torn(*node, [&] { return keeps(random); });
      FileOperations system;
      File(system, path, O_WRONLY | O_CREAT).write(as_bytes(content->second), 0);
    }
  }

  int open(const Path& path, int flags, mode_t mode) override {
    if (!(flags & O_CREAT)) return FileOperations::open(path, flags, mode);
    int descriptor = -1;
    change([&] {
      descriptor = FileOperations::open(path, flags, mode);
      if (!live(path)) point(path, std::make_shared<Node>());
      if (flags & O_TRUNC) live(path)->pending.push_back({0, {}, true});
    });
    return descriptor;
  }
  std::size_t write_at(int descriptor, std::span<const std::byte> bytes, std::uint64_t offset, const Path& path) override {
    return record([&] { return FileOperations::write_at(descriptor, bytes, offset, path); }, bytes, offset, path);
  }
  std::size_t write_direct_at(int descriptor, std::span<const std::byte> bytes, std::uint64_t offset, const Path& path) override {
    return record([&] { return FileOperations::write_direct_at(descriptor, bytes, offset, path); }, bytes, offset, path);
  }
  void resize(int descriptor, std::uint64_t bytes, const Path& path) override {
    change([&] {
      FileOperations::resize(descriptor, bytes, path);
      live(path)->pending.push_back({bytes, {}, true});
    });
  }
  void sync(int /*descriptor*/, const Path& path) override {
    change([&] {
      if (ignored_ == Ignored::files || ignored_ == Ignored::all) return;
      Node& node = *live(path);
      node.durable = torn(node, [] { return true; });
      node.pending.clear();
    });
  }
  void rename(const Path& from, const Path& to) override {
    change([&] {
      FileOperations::rename(from, to);
      point(to, live(from));
      point(from, nullptr);
    });
  }
  void remove(const Path& path) override {
    change([&] {
      FileOperations::remove(path);
      if (live(path)) point(path, nullptr);
    });
  }
  bool make_directory(const Path& path) override {
    bool made = false;
    change([&] {
      made = FileOperations::make_directory(path);
      if (!made) return;
      auto folder = std::make_shared<Node>();
      folder->is_folder = true;
      point(path, std::move(folder));
    });
    return made;
  }
  void remove_directory(const Path& path) override {
    change([&] {
      FileOperations::remove_directory(path);
      if (live(path)) point(path, nullptr);
    });
  }
  void sync_directory(const Path& path) override {
    change([&] {
      if (ignored_ == Ignored::folders || ignored_ == Ignored::all) return;
      const Path folder = name_of(path);
      for (auto& [name, versions] : names_)
        if (Path(name).parent_path() == folder) versions.erase(versions.begin(), versions.end() - 1);
    });
  }

 private:
  static constexpr std::uint64_t kSector = 512;
  struct Change {
    std::uint64_t at;   // offset of a write, or the new length
    std::string bytes;
    bool resizes;
  };
  struct Node {
    bool is_folder = false;
    std::string durable;
    std::vector<Change> pending;
  };

  std::string name_of(const Path& path) const {
    const Path name = path.lexically_normal().lexically_relative(base_);
    return name == "." ? std::string() : name.string();
  }
  /// What the system shows under that path; null where there is nothing.
  std::shared_ptr<Node> live(const Path& path) const {
    const auto found = names_.find(name_of(path));
    return found == names_.end() ? nullptr : found->second.back();
  }

  void point(const Path& path, std::shared_ptr<Node> node) {
    auto& versions = names_[name_of(path)];
    if (versions.empty()) versions.push_back(nullptr);
    versions.push_back(std::move(node));
  }

  void change(const std::function<void()>& action) {
    if (killed_) return;  // destructors of a process that is no more
    if (++changes_ == kill_at_) {
      killed_ = true;
      throw Killed{};
    }
    action();
    if (after_each) after_each();
  }
  std::size_t record(const std::function<std::size_t()>& write, std::span<const std::byte> bytes, std::uint64_t offset, const Path& path) {
    std::size_t moved = 0;
    change([&] {
      moved = write();
      live(path)->pending.push_back({offset, {reinterpret_cast<const char*>(bytes.data()), moved}, false});
    });
    return moved;
  }

  /// The bytes of a file with those sectors and lengths, not yet durable, for which `keeps` says so.
  static std::string torn(const Node& node, const std::function<bool()>& keeps) {
    std::string bytes = node.durable;
    std::uint64_t length = bytes.size(), live_length = bytes.size();
    for (const Change& change : node.pending) {
      const std::uint64_t end = change.at + change.bytes.size();
      live_length = change.resizes ? change.at : std::max(live_length, end);
      if (keeps()) {
        length = live_length;
        if (change.resizes) bytes.resize(std::min<std::uint64_t>(bytes.size(), change.at));
      }
      bytes.resize(std::max<std::uint64_t>(bytes.size(), end));  // what never came reads as zeros
      for (std::uint64_t at = change.at; at < end;) {
        const std::uint64_t next = std::min(end, (at / kSector + 1) * kSector);
        if (keeps()) bytes.replace(at, next - at, change.bytes, at - change.at, next - at);
        at = next;
      }
    }
    bytes.resize(length);
    return bytes;
  }

  Path base_;
  Ignored ignored_;
  std::map<std::string, std::vector<std::shared_ptr<Node>>> names_;  // what a name led to: durably, then one after another
  bool killed_ = false;
  int kill_at_ = 0;
  int changes_ = 0;
};

}  // namespace retain::framework::testing
