// SPDX-License-Identifier: Apache-2.0
// What `retain doctor` advises, of machines that are not at hand.
#include "launch/command/machine_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace retain::launch {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

SystemFindings sound() { return {.folder = "/store", .free_gib = 100, .shared_memory_gib = 8, .ranks_here = 4, .ranks = 4}; }

std::vector<std::string> advice(const std::function<void(SystemFindings&)>& spoil) {
  SystemFindings found = sound();
  spoil(found);
  return advice_on_system(found);
}

TEST(SystemAdvice, NoneForASoundMachine) { EXPECT_THAT(advice_on_system(sound()), IsEmpty()); }

TEST(SystemAdvice, OneForEachMistake) {
  EXPECT_THAT(advice([](SystemFindings& found) { found.shared_memory_gib = 0.0625; }), ElementsAre(HasSubstr("--shm-size")));
  EXPECT_THAT(advice([](SystemFindings& found) { found.hdf5_with_mpi = false; }), ElementsAre(HasSubstr("without MPI")));
  EXPECT_THAT(advice([](SystemFindings& found) { found.locks = false; }), ElementsAre(HasSubstr("-o flock")));
  EXPECT_THAT(advice([](SystemFindings& found) { found.writable = found.locks = false; }), ElementsAre(HasSubstr("may not write in /store")));
  EXPECT_THAT(advice([](SystemFindings& found) { found.free_gib = 0.5; }), ElementsAre(HasSubstr("less than 1 GiB")));
  const auto alone = [](SystemFindings& found) {
    found.ranks = found.ranks_here = 1;
    found.batch_tasks = 4;
  };
  EXPECT_THAT(advice(alone), ElementsAre(HasSubstr("Slurm gives 4 tasks")));
}

TEST(SystemAdvice, OneRankNeedsNoSharedMemory) {
  EXPECT_THAT(advice([](SystemFindings& found) { found.ranks = found.ranks_here = 1, found.shared_memory_gib = 0; }), IsEmpty());
}

TEST(SystemAdvice, HereHdf5IsFoundWithMpi) { EXPECT_TRUE(look_at_system("/tmp", 1, 1).hdf5_with_mpi); }

TEST(PlacementAdvice, EachHostHasItsOwnProcessors) {
  const RankPlace large{"large", 64, 4, {0, 1, 2, 3}}, small{"small", 4, 4, {0, 1, 2, 3}};
  EXPECT_THAT(advice_on_placement({large, small}), IsEmpty());
  EXPECT_THAT(advice_on_placement({large, small, small}), ElementsAre(HasSubstr("small has 4 processors for 8 threads")));
  EXPECT_THAT(advice_on_placement({large, large}), ElementsAre(HasSubstr("ranks on large are bound to the same processors")));
  const RankPlace tight{"large", 64, 4, {0, 1}};
  EXPECT_THAT(advice_on_placement({tight}), ElementsAre(HasSubstr("rank 0 may use 2 processors but has 4 threads")));
}

TEST(PlacementAdvice, APlaceSurvivesItsText) {
  const RankPlace place{"host", 8, 2, {3, 5}}, again = place_from(to_text(place));
  EXPECT_EQ(again.host, place.host);
  EXPECT_EQ(again.processors, place.processors);
  EXPECT_EQ(again.threads, place.threads);
  EXPECT_EQ(again.cores, place.cores);
}

}  // namespace
}  // namespace retain::launch
