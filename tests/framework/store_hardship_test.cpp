// SPDX-License-Identifier: Apache-2.0
// What a store meets in years of service: rotten bits, torn blocks, a full disk, lost permissions, a read-only mount.
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iostream>
#include <random>

#include "framework/store/repair.h"
#include "tests/framework/store_scenarios.h"

namespace retain::framework::testing {
namespace {

namespace fs = std::filesystem;

constexpr int kSkipped = 77;
constexpr uid_t kNobody = 65534;

/// A prepared store and a copy of it to repair from.
class HardshipTest : public ::testing::Test {
 protected:
  void SetUp() override {
    prepare(root);
    put_result(Store::open(root), StoreLock(Store::open(root), "test"), "earlier", {{"value", 0.25}});
    copy_store(root, copy);
    for (const auto& entry : fs::recursive_directory_iterator(root))
      if (entry.is_regular_file() && entry.path().filename() != "lock" && entry.file_size() > 0)
        files.push_back(fs::relative(entry.path(), root));
    std::sort(files.begin(), files.end());
  }

  /// Problems as one text; a store that cannot be opened is a problem.
  std::string problems() const {
    try {
      std::string text;
      for (const std::string& problem : verify(Store::open(root)).problems) text += problem + "\n";
      return text;
    } catch (const Error& error) {
      return error.what();
    }
  }

  /// The word by which messages must name a file of the store.
  static std::string name_of(const fs::path& file) {
    const std::string folder = file.begin()->string();
    if (folder == "stages" || folder == "results") return file.stem().string();
    if (folder == "progress") return "checkpoint run, step 0";
    if (folder == "refs") return "ref";
    return file.filename().string();
  }

  /// The damage is found and named; stages come back from the copy, other files are put back as a user would.
  void expect_found_and_survived(const fs::path& file, const std::string& damage) {
    const std::string found = problems();
    EXPECT_NE(found.find(name_of(file)), std::string::npos) << damage << " gave: " << found;
    if (file.begin()->string() != "stages")
      fs::copy_file(copy / file, root / file, fs::copy_options::overwrite_existing);
    else
      repair(Store::open(root), StoreLock(Store::open(root), "test"), Store::open(copy));
    ASSERT_EQ(problems(), "") << damage;
    expect_intact(Store::open(root), damage);
  }

  Scratch folder;
  fs::path root = folder.path() / "store";
  fs::path copy = folder.path() / "copy";
  std::vector<fs::path> files;
  std::mt19937 random{20};
};

TEST_F(HardshipTest, TwoHundredFlippedBitsAreFoundNamedAndRepaired) {
  ASSERT_EQ(problems(), "");
  ASSERT_GE(files.size(), 9U);
  for (int flip = 0; flip < 200; ++flip) {
    const fs::path& file = files[random() % files.size()];
    const auto at = static_cast<std::streamoff>(random() % fs::file_size(root / file));
    const int bit = static_cast<int>(random() % 8);
    std::fstream stream(root / file, std::ios::in | std::ios::out | std::ios::binary);
    const int old = stream.seekg(at).get();
    stream.seekp(at).put(static_cast<char>(old ^ (1 << bit)));
    stream.close();
    expect_found_and_survived(
        file, "bit " + std::to_string(bit) + " of byte " + std::to_string(at) + " of " + file.string() + " flipped");
  }
}

TEST_F(HardshipTest, FiftyTornBlocksAreFoundNamedAndRepaired) {
  constexpr std::size_t kSector = 512;
  for (int torn = 0; torn < 50;) {
    const fs::path& file = files[random() % files.size()];
    const std::string intact = read_file(root / file);
    const std::size_t first = random() % intact.size() / kSector * kSector;
    const std::size_t bytes = std::min<std::size_t>(kSector << random() % 4, intact.size() - first);
    std::string damaged = intact;
    // What a disk leaves behind: nothing, or what lay elsewhere.
    if (random() % 2)
      std::fill_n(damaged.begin() + static_cast<std::ptrdiff_t>(first), bytes, '\0');
    else
      damaged.replace(first, bytes, intact, random() % (intact.size() - bytes + 1), bytes);
    if (damaged == intact) continue;
    ++torn;
    std::ofstream(root / file, std::ios::binary | std::ios::trunc) << damaged;
    expect_found_and_survived(
        file, std::to_string(bytes) + " bytes from " + std::to_string(first) + " of " + file.string() + " torn");
  }
}

/// Runs `action` in a process of its own, which may change user and mounts: its messages, or nothing when it was well.
/// Skipped: what the machine does not let us do.
std::string in_a_process(const std::function<std::string()>& action) {
  int ends[2];
  if (::pipe(ends) != 0) return "no pipe";
  const pid_t child = ::fork();
  if (child == 0) {
    std::string text;
    try {
      text = action();
    } catch (const std::exception& error) {
      text = error.what();
    }
    const bool written = ::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size());
    ::_exit(!written ? 1 : text == "skip" ? kSkipped : text.empty() ? 0 : 2);
  }
  ::close(ends[1]);
  std::string text;
  char piece[4096];
  for (ssize_t count; (count = ::read(ends[0], piece, sizeof piece)) > 0;)
    text.append(piece, static_cast<std::size_t>(count));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!WIFEXITED(status)) return "the process died";
  return text;
}

/// "" when `action` throws an Error(io) that mentions `expected` and `named`.
std::string expect_io_error(const std::function<void()>& action, const std::string& expected,
                            const std::string& named) {
  try {
    action();
  } catch (const Error& error) {
    const std::string text = error.what();
    if (error.kind() == ErrorKind::io && text.find(expected) != std::string::npos &&
        text.find(named) != std::string::npos)
      return {};
    return "another error: " + text;
  }
  return "no error";
}

void give_to_nobody(const fs::path& folder) {
  fs::permissions(folder, fs::perms::owner_all);
  if (::lchown(folder.c_str(), kNobody, kNobody) != 0) return;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (::lchown(entry.path().c_str(), kNobody, kNobody) != 0) return;
}

bool become_nobody() {
  if (::geteuid() != 0) return true;  // no privileges to begin with
  return ::setgroups(0, nullptr) == 0 && ::setgid(kNobody) == 0 && ::setuid(kNobody) == 0;
}

TEST_F(HardshipTest, LostPermissionsAreNamedAndSurvived) {
  const std::vector<std::pair<std::string, std::size_t>> losses{
      {"temporary", 0},    {"stages", 0},  {"refs/heads", 0}, {"log/refs.jsonl", 2},
      {"progress/run", 4}, {"results", 5}, {"stages", 3},     {"lock", 2}};
  for (const auto& [part, scenario] : losses) {
    copy_store(copy, root);
    if (::geteuid() == 0) give_to_nobody(folder.path());
    const fs::path lost = root / part;
    const fs::perms before = fs::status(lost).permissions();
    fs::permissions(lost, fs::is_directory(lost) ? fs::perms(0555) : fs::perms(0444));
    const auto attempt = [&, scenario = scenario] {
      if (!become_nobody()) return std::string("skip");
      return expect_io_error(
          [&] {
            const Store store = Store::open(root);
            scenarios()[scenario].second(store, StoreLock(store, "test"));
          },
          "Permission denied", lost.string());
    };
    const std::string outcome = in_a_process(attempt);
    if (outcome == "skip") GTEST_SKIP() << "cannot become another user";
    EXPECT_EQ(outcome, "") << scenarios()[scenario].first << " without permission to change " << part;
    fs::permissions(lost, before);
    expect_intact(Store::open(root), part + " lost its permissions");
    const auto again = [&, scenario = scenario]() -> std::string {
      become_nobody();
      const Store store = Store::open(root);
      scenarios()[scenario].second(store, StoreLock(store, "test"));
      return {};
    };
    EXPECT_EQ(in_a_process(again), "") << part << " given back";
    expect_intact(Store::open(root), part + " given back");
  }
}

/// A mount namespace of this process's own, as root or as the root of a user namespace.
bool own_mounts() {
  const auto write_text = [](const char* file, const std::string& text) { std::ofstream(file) << text; };
  const std::string user = std::to_string(::getuid());
  if (::unshare(CLONE_NEWNS) != 0) {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
    write_text("/proc/self/setgroups", "deny");
    write_text("/proc/self/uid_map", "0 " + user + " 1");
  }
  return ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

TEST_F(HardshipTest, AReadOnlyMountServesReadersAndRefusesWriters) {
  const auto attempt = [&]() -> std::string {
    if (!own_mounts() || ::mount(root.c_str(), root.c_str(), nullptr, MS_BIND, nullptr) != 0 ||
        ::mount("none", root.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) != 0)
      return "skip";
    const Store store = Store::open(root);
    if (!verify(store).clean()) return "verify finds problems";
    if (StageReader(store, store.resolve("main")).read_all(kUp.substr(8)) != tuned(10).bytes.at(kUp))
      return "the stage reads differently";
    return expect_io_error([&] { StoreLock(store, "test"); }, "mounted read-only", (root / "lock").string());
  };
  const std::string outcome = in_a_process(attempt);
  if (outcome == "skip") GTEST_SKIP() << "cannot mount here";
  EXPECT_EQ(outcome, "");
}

/// What keeps the store from noticing a full disk beforehand, so that each write meets it.
class BlindFiles : public FileOperations {
 public:
  explicit BlindFiles(int blindness) : blindness_(blindness) {}
  std::uint64_t free_bytes(const Path& path) override {
    return blindness_ > 0 ? ~std::uint64_t{0} : FileOperations::free_bytes(path);
  }
  void reserve(int descriptor, std::uint64_t bytes, const Path& path) override {
    if (blindness_ < 2) FileOperations::reserve(descriptor, bytes, path);
  }

 private:
  int blindness_;
};

/// Leaves `pages` of a file system free.
void fill(const fs::path& mount, int pages) {
  const std::string page(4096, 'x');
  const int filler = ::open((mount / "filler").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  while (::write(filler, page.data(), page.size()) > 0) continue;
  const off_t end = ::lseek(filler, 0, SEEK_END);
  if (::ftruncate(filler, std::max<off_t>(0, end - pages * 4096)) != 0) return;
  ::close(filler);
}

/// One scenario on a real file system with that many free pages: "" when it ended well or was refused for lack of space
/// with the store intact and, given space again, the expected end.
std::string on_a_full_disk(const fs::path& mount, const fs::path& prepared, std::size_t scenario, int blindness,
                           int pages, bool& refused) {
  const fs::path root = mount / "store";
  copy_store(prepared, root);
  fill(mount, pages);
  BlindFiles files(blindness);
  const Store store = Store::open(root, files);
  std::string problem;
  try {
    scenarios()[scenario].second(store, StoreLock(store, "test"));
    refused = false;
  } catch (const Error& error) {
    refused = true;
    const std::string text = error.what();
    if (error.kind() != ErrorKind::io ||
        (text.find("No space left") == std::string::npos && text.find("not enough space") == std::string::npos))
      problem = "another error: " + text;
  }
  const VerifyReport report = verify(Store::open(root));
  if (!report.clean()) return "full: " + report.problems.front();
  fs::remove(mount / "filler");
  const Store after = Store::open(root);
  scenarios()[scenario].second(after, StoreLock(after, "test"));
  if (!verify(after).clean()) return "afterwards: " + verify(after).problems.front();
  const StageReader start(after, after.resolve("start"));
  if (start.read_all(kUp.substr(8)) != tuned(10).bytes.at(kUp)) return "a stage was lost";
  return problem;
}

TEST_F(HardshipTest, AFullDiskAtEveryPageIsNamedAndSurvived) {
  const fs::path mount = folder.path() / "disk";
  fs::create_directory(mount);
  const auto attempt = [&]() -> std::string {
    if (!own_mounts() || ::mount("none", mount.c_str(), "tmpfs", 0, "size=6m") != 0) return "skip";
    int refusals = 0;
    for (std::size_t scenario = 0; scenario < scenarios().size(); ++scenario)
      for (int blindness = 0; blindness < 3; ++blindness)
        for (int pages = 0; pages < 48; pages += 1 + pages / 8) {
          bool refused = false;
          const std::string outcome = on_a_full_disk(mount, root, scenario, blindness, pages, refused);
          if (!outcome.empty())
            return scenarios()[scenario].first + " with " + std::to_string(pages) + " free pages: " + outcome;
          refusals += refused;
        }
    return refusals > 100 ? "" : "the disk was full " + std::to_string(refusals) + " times only";
  };
  const std::string outcome = in_a_process(attempt);
  if (outcome == "skip") GTEST_SKIP() << "cannot mount here";
  EXPECT_EQ(outcome, "");
}

}  // namespace
}  // namespace retain::framework::testing
