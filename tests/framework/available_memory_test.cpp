// SPDX-License-Identifier: Apache-2.0
// What a machine and the control groups of a process leave, as their files tell.
#include "framework/base/available_memory.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "tests/support/scratch.h"

namespace retain::framework {
namespace {

constexpr std::int64_t kGiB = 1LL << 30;

class AvailableMemory : public testing::Test {
 protected:
  AvailableMemory() { write("proc/meminfo", "MemTotal:       67108864 kB\nMemFree: 1 kB\nMemAvailable:   33554432 kB\n"); }

  void write(const std::string& name, const std::string& text) {
    std::filesystem::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << text;
  }
  /// A group of version 2: gibibytes, of which `cached` are files'.
  void group(const std::string& path, const std::string& limit, int used, int cached = 0) {
    write(path + "/memory.max", limit + "\n");
    write(path + "/memory.current", std::to_string(used * kGiB) + "\n");
    write(path + "/memory.stat", "anon 1\ninactive_file " + std::to_string(cached * kGiB) + "\nactive_file 0\n");
  }
  std::int64_t gibibytes() const { return available_bytes(root_.path()) / kGiB; }

  tests::Scratch root_;
};

TEST_F(AvailableMemory, IsTheMachinesWithoutALimit) {
  EXPECT_EQ(gibibytes(), 32);
  write("proc/self/cgroup", "0::/user.slice/job\n");
  group("sys/fs/cgroup/user.slice/job", "max", 3);
  EXPECT_EQ(gibibytes(), 32);
}

TEST_F(AvailableMemory, IsWhatTheGroupLeavesAndNotItsCache) {
  write("proc/self/cgroup", "0::/user.slice/job\n");
  group("sys/fs/cgroup/user.slice/job", std::to_string(16 * kGiB), 15, 9);
  EXPECT_EQ(gibibytes(), 10);
}

TEST_F(AvailableMemory, ALimitAboveTheGroupCounts) {
  write("proc/self/cgroup", "0::/slurm/job_7/step_0\n");
  group("sys/fs/cgroup/slurm/job_7/step_0", "max", 1);
  group("sys/fs/cgroup/slurm/job_7", std::to_string(8 * kGiB), 3);
  EXPECT_EQ(gibibytes(), 5);
  group("sys/fs/cgroup/slurm", std::to_string(100 * kGiB), 99);
  EXPECT_EQ(gibibytes(), 1);
}

TEST_F(AvailableMemory, AContainerSeesItsOwnGroupAsTheMount) {
  write("proc/self/cgroup", "0::/kubepods/pod1/of-the-host\n");
  group("sys/fs/cgroup", std::to_string(4 * kGiB), 1);
  EXPECT_EQ(gibibytes(), 3);
}

TEST_F(AvailableMemory, Version1IsReadToo) {
  write("proc/self/cgroup", "9:name=systemd:/\n4:cpu,memory:/batch/job\n0::/\n");
  const std::string folder = "sys/fs/cgroup/memory/batch/job/";
  write(folder + "memory.limit_in_bytes", std::to_string(6 * kGiB));
  write(folder + "memory.usage_in_bytes", std::to_string(5 * kGiB));
  write(folder + "memory.stat", "inactive_file 1\ntotal_inactive_file " + std::to_string(kGiB) + "\ntotal_active_file " + std::to_string(2 * kGiB) + "\n");
  EXPECT_EQ(gibibytes(), 4);
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712");  // version 1's word for none
  write("sys/fs/cgroup/memory/memory.usage_in_bytes", std::to_string(60 * kGiB));
  EXPECT_EQ(gibibytes(), 4);
}

TEST_F(AvailableMemory, AFullGroupLeavesNothing) {
  write("proc/self/cgroup", "0::/job\n");
  group("sys/fs/cgroup/job", std::to_string(2 * kGiB), 3);
  EXPECT_EQ(gibibytes(), 0);
}

TEST(AvailableMemoryHere, IsSomething) {
  EXPECT_GT(available_bytes(), 0);
  EXPECT_LT(available_bytes(), 1LL << 50);
}

}  // namespace
}  // namespace retain::framework
