// SPDX-License-Identifier: Apache-2.0
// Jobs that go wrong on one rank must end on all, in seconds, with one message that names the culprit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

struct Outcome {
  std::string output;  // both streams
  int exit_code = -1;
  double seconds = 0;
};

Outcome run(const std::string& command) {
  const auto start = std::chrono::steady_clock::now();
  Outcome outcome;
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  std::array<char, 4096> buffer{};
  while (const std::size_t bytes = std::fread(buffer.data(), 1, buffer.size(), pipe))
    outcome.output.append(buffer.data(), bytes);
  const int status = ::pclose(pipe);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return outcome;
}

/// Where Open MPI puts the memory that its ranks share, so that other jobs' files are not taken for these; Retain's has no name.
std::filesystem::path shared_memory_folder() {
  const auto folder = std::filesystem::path(::testing::TempDir()) / ("watchdog-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  return folder;
}

Outcome run_job(int ranks, const std::string& arguments) {
  return run(std::string("env OMP_NUM_THREADS=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 "
                         "OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_btl_vader_backing_directory=") +
             shared_memory_folder().string() + " " + RETAIN_MPIEXEC + " --oversubscribe -np " + std::to_string(ranks) + " " + RETAIN_WATCHDOG_JOB + " " +
             arguments);
}

int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

std::vector<std::string> shared_memory_files() {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(shared_memory_folder())) files.push_back(entry.path().filename());
  return files;
}

/// The job failed in time and left no process.
void expect_end(const Outcome& outcome, double seconds) {
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_LT(outcome.seconds, seconds) << outcome.output;
  EXPECT_EQ(run(std::string("pgrep -f ^") + RETAIN_WATCHDOG_JOB).output, "") << "processes are left";
}

/// The same for a job that ended itself: its exit code is a program's, not a signal's.
void expect_clean_end(const Outcome& outcome, double seconds) {
  expect_end(outcome, seconds);
  EXPECT_LE(outcome.exit_code, 127) << outcome.output;
}

class Watchdog : public ::testing::TestWithParam<const char*> {
 protected:
  Outcome fail(const std::string& fault, int ranks = 4) { return run_job(ranks, fault + " " + GetParam()); }
};

TEST_P(Watchdog, AHealthyJobEndsWell) {
  const Outcome outcome = fail("nothing");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("done on 4"));
}

TEST_P(Watchdog, ASleepingRankIsNamedWithWhatItDidLast) {
  const Outcome outcome = fail("sleep");
  expect_clean_end(outcome, 20);
  EXPECT_THAT(outcome.output,
              AllOf(HasSubstr("[communication] all_reduce(sum) #2 of 5000 Float"), HasSubstr("group 'world'"),
                    HasSubstr("rank 3 did not arrive"), HasSubstr("since all_reduce(sum) #1 of 1000"),
                    HasSubstr("task counting, step 12"), HasSubstr("3 s")));
  EXPECT_EQ(count(outcome.output, "retain: rank"), 1) << outcome.output;
  EXPECT_EQ(count(outcome.output, "did not arrive"), 1) << outcome.output;
}

TEST_P(Watchdog, TheRankAtTheEndOfAChainIsNamed) {
  const Outcome outcome = fail("chain");
  expect_clean_end(outcome, 20);
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("rank 0 of 4: [communication] barrier #1 in group 'pair 0'"),
                                    HasSubstr("rank 1 did not arrive: waiting in barrier #1 of group 'pair 1'"),
                                    HasSubstr("rank 2 did not arrive: waiting in barrier #1 of group 'pair 2'"),
                                    HasSubstr("rank 3 did not arrive: computing for")));
  EXPECT_EQ(count(outcome.output, "retain: rank"), 1) << outcome.output;
}

TEST_P(Watchdog, ADifferentOperationIsNamedAtOnce) {
  const Outcome outcome = fail("other_operation");
  expect_clean_end(outcome, 15);
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("called different operations"), HasSubstr("barrier #2"),
                                    HasSubstr("all_reduce(sum) #2 of 5000"), HasSubstr("rank 3")));
  EXPECT_EQ(count(outcome.output, "retain: rank"), 1) << outcome.output;
}

TEST_P(Watchdog, ADifferentSizeOrDtypeIsNamedAtOnce) {
  const Outcome size = fail("other_size");
  expect_clean_end(size, 15);
  EXPECT_THAT(size.output, AllOf(HasSubstr("of 17 Float"), HasSubstr("of 5000 Float")));
  const Outcome dtype = fail("other_dtype");
  expect_clean_end(dtype, 15);
  EXPECT_THAT(dtype.output, AllOf(HasSubstr("of 5000 BFloat16"), HasSubstr("of 5000 Float")));
}

TEST_P(Watchdog, AnExceptionOnOneRankEndsAll) {
  const Outcome outcome = fail("throw");
  expect_clean_end(outcome, 15);
  EXPECT_THAT(outcome.output, HasSubstr("retain: rank 3 of 4: [data_invalid] record 7 has no answer"));
  EXPECT_EQ(count(outcome.output, "retain: rank"), 1) << outcome.output;
  EXPECT_THAT(fail("standard_exception").output, HasSubstr("rank 3 of 4: "));
}

TEST_P(Watchdog, TheSameExceptionOnAllRanksIsPrintedOnce) {
  const Outcome outcome = fail("throw_everywhere");
  expect_clean_end(outcome, 15);
  EXPECT_EQ(count(outcome.output, "unknown key tensr"), 1) << outcome.output;
}

TEST_P(Watchdog, WorkLeftByAnExceptionDoesNotHoldTheJob) {
  const Outcome outcome = fail("abandoned_work");
  expect_clean_end(outcome, 15);
  EXPECT_THAT(outcome.output, HasSubstr("rank 0 of 4: rank 0 leaves its work"));
  EXPECT_EQ(count(outcome.output, "retain: rank"), 1) << outcome.output;
}

TEST_P(Watchdog, AMessageThatNeverComesNamesItsSender) {
  const Outcome outcome = fail("no_receiver", 2);
  expect_clean_end(outcome, 20);
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("receive from member 1"), HasSubstr("rank 1 did not arrive")));
}

TEST_P(Watchdog, AMessageOfAnotherSizeIsNamed) {
  const Outcome outcome = fail("message_size", 2);
  expect_clean_end(outcome, 15);
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("another size"), HasSubstr("expected: 20000 bytes"), HasSubstr("40000 bytes")));
}

TEST_P(Watchdog, ADeadRankIsNamedWithWhatItDidLastAndLeavesNothingBehind) {
  for (const std::string fault : {"kill", "exit"}) {
    const Outcome outcome = fail(fault);
    expect_end(outcome, 15);  // the status is mpirun's: the signal, or what the rank ended with
    EXPECT_THAT(outcome.output, AllOf(HasSubstr("the process of rank 3 has ended, seen in all_reduce(sum) #2 of 5000 Float"),
                                      HasSubstr("since all_reduce(sum) #1 of 1000"), HasSubstr("task counting, step 12")));
    EXPECT_EQ(count(outcome.output, "retain: rank"), 1) << outcome.output;
  }
  EXPECT_THAT(shared_memory_files(), ::testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Channels, Watchdog, ::testing::Values("shared", "messages"),
                         [](const auto& info) { return std::string(info.param); });

TEST(WithoutMpirun, AFailureExitsWithItsMessage) {
  const Outcome outcome = run(std::string(RETAIN_WATCHDOG_JOB) + " throw");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(outcome.output, "retain: [data_invalid] record 7 has no answer\n");
  EXPECT_EQ(run(std::string(RETAIN_WATCHDOG_JOB) + " nothing").output, "done on 1\n");
}

}  // namespace
