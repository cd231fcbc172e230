// SPDX-License-Identifier: Apache-2.0
// LLaVA JSON, JSONL and mixtures: good ones read in order, bad ones named with file, record and id.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "framework/base/random.h"
#include "framework/data/mixture.h"
#include "framework/data/record_set.h"
#include "tests/support/scratch.h"

namespace retain::framework {
namespace {

namespace fs = std::filesystem;
const fs::path kRecords = fs::path(RETAIN_FIXTURES) / "records";

/// A folder of its own for each test.
class RecordTest : public testing::Test {
 protected:
  fs::path write(const std::string& name, const std::string& text) const {
    fs::remove(folder_ / name);  // truncating a file makes some file systems write it to the disk at once
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }
  /// A JSONL file of `count` text records with ids "<prefix>0", "<prefix>1", …
  fs::path write_many(const std::string& name, const std::string& prefix, int count) const {
    std::string text;
    for (int i = 0; i < count; ++i)
      text += R"({"id":")" + prefix + std::to_string(i) +
              R"(","conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"a"}]})" + "\n";
    return write(name, text);
  }

  tests::Scratch scratch_;
  fs::path folder_ = scratch_.path();
};

std::vector<std::string> ids_of(const RecordSet& records) {
  std::vector<std::string> ids;
  for (std::int64_t i = 0; i < records.size(); ++i) ids.push_back(records.at(i).id);
  return ids;
}

/// Loads and checks; the error that comes out, or kind `internal` when none does.
Error fault_of(const fs::path& file, CheckOptions options = {}) {
  try {
    check_records(RecordSet::load(file), options);
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorKind::internal, "no fault");
}

TEST_F(RecordTest, EveryKindOfFaultIsNamed) {
  const std::map<std::string, ErrorKind> expected{{"missing_image", ErrorKind::data_missing_image},
                                                  {"no_answer", ErrorKind::data_no_answer},
                                                  {"empty_conversation", ErrorKind::data_no_answer},
                                                  {"image_token_without_image", ErrorKind::data_image_count},
                                                  {"image_without_token", ErrorKind::data_image_count},
                                                  {"unknown_role", ErrorKind::data_unknown_role},
                                                  {"value_not_string", ErrorKind::data_invalid},
                                                  {"not_a_list", ErrorKind::data_invalid},
                                                  {"empty_list", ErrorKind::data_empty},
                                                  {"cut", ErrorKind::data_invalid},
                                                  {"bad_utf8", ErrorKind::data_invalid}};
  for (const auto& [name, kind] : expected) {
    const Error error = fault_of(kRecords / (name + ".json"));
    EXPECT_EQ(name_of(error.kind()), name_of(kind)) << name;
    EXPECT_THAT(error.what(), testing::HasSubstr(name + ".json"));
  }
  EXPECT_THAT(fault_of(kRecords / "missing_image.json").what(), testing::HasSubstr("record 1 (id x)"));
  EXPECT_STREQ(fault_of(kRecords / "ok.json").what(), Error(ErrorKind::internal, "no fault").what());
}

TEST_F(RecordTest, ImagesAreFoundBesideTheFileOrUnderTheRoot) {
  const auto records = RecordSet::load(kRecords / "ok.json");
  EXPECT_EQ(records.at(0).images.at(0), kRecords / "images/good.png");
  EXPECT_EQ(records.at(0).image_names.at(0), "images/good.png");
  const auto moved = RecordSet::load(kRecords / "ok.json", {.images = "/elsewhere"});
  EXPECT_EQ(moved.at(0).images.at(0), fs::path("/elsewhere/images/good.png"));
  const auto file = write("a.json", R"([{"image":["/x.png","y.png"],"conversations":[]}])");
  EXPECT_THAT(RecordSet::load(file).at(0).images, testing::ElementsAre(fs::path("/x.png"), folder_ / "y.png"));
}

TEST_F(RecordTest, ProbesEachImageOnce) {
  const auto file =
      write("a.jsonl",
            R"({"id":1,"image":"p.png","conversations":[{"from":"human","value":"<image>"},{"from":"gpt","value":"a"}]}
{"id":2,"image":"p.png","conversations":[{"from":"human","value":"<image>"},{"from":"gpt","value":"b"}]}

{"id":3,"conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"c"}]}
)");
  write("p.png", "not a picture");
  int probes = 0;
  CheckOptions options{.policy = BadRecordPolicy::skip, .needs_answer = true, .probe_image = [&](const Picture&) {
                         ++probes;
                         return std::optional<Error>(Error(ErrorKind::image_unrecognised, "p.png is no picture"));
                       }};
  const auto report = check_records(RecordSet::load(file), options);
  EXPECT_EQ(probes, 1);
  EXPECT_THAT(report.usable, testing::ElementsAre(2));
  ASSERT_EQ(report.faults.size(), 2u);
  EXPECT_EQ(report.faults[1].record, 1);
  EXPECT_EQ(report.faults[1].error.kind(), ErrorKind::image_unrecognised);
  EXPECT_THAT(report.faults[1].error.what(), testing::HasSubstr("record 1 (id 2)"));
}

TEST_F(RecordTest, SkippingEverythingIsAnError) {
  CheckOptions options{.policy = BadRecordPolicy::skip, .needs_answer = true, .probe_image = {}};
  const Error error = fault_of(kRecords / "empty_conversation.json", options);
  EXPECT_EQ(error.kind(), ErrorKind::data_empty);
}

TEST_F(RecordTest, GenerationNeedsNoAnswer) {
  const auto file = write("q.json", R"([{"conversations":[{"from":"human","value":"q"}]}])");
  EXPECT_EQ(fault_of(file).kind(), ErrorKind::data_no_answer);
  CheckOptions options;
  options.needs_answer = false;
  EXPECT_EQ(fault_of(file, options).kind(), ErrorKind::internal);
  const auto leading =
      write("l.json", R"([{"conversations":[{"from":"gpt","value":"<image>"},{"from":"human","value":"q"}]}])");
  EXPECT_EQ(fault_of(leading).kind(), ErrorKind::data_no_answer) << "a leading answer is left out";
  EXPECT_EQ(fault_of(leading, options).kind(), ErrorKind::internal) << "and so is its placeholder";
}

TEST_F(RecordTest, ListsThatDoNotCloseAreRefused) {
  const std::string good = R"({"conversations":[{"from":"human","value":"]}\"[{"},{"from":"gpt","value":"\\"}]})";
  EXPECT_EQ(RecordSet::load(write("a.json", "\xEF\xBB\xBF [" + good + "," + good + "\n] \n")).size(), 2);
  EXPECT_EQ(RecordSet::load(write("a.json", "[" + good + "]")).at(0).turns.at(0).text, "]}\"[{");
  for (const std::string& bad : {std::string(), std::string(" "), "[" + good, "[" + good + ",]", "[," + good + "]",
                                 "[" + good + "] x", "[" + good + "}", "\"" + good + "\"", std::string("[\"")})
    EXPECT_EQ(fault_of(write("b.json", bad)).kind(), ErrorKind::data_invalid) << bad;
  EXPECT_EQ(fault_of(write("c.txt", "[]")).kind(), ErrorKind::data_invalid);
  EXPECT_EQ(fault_of(folder_ / "absent.json").kind(), ErrorKind::io);
}

TEST_F(RecordTest, WrongMembersAreRefused) {
  for (const char* record :
       {"3", "{}", R"({"conversations":{}})", R"({"conversations":[3]})", R"({"conversations":[{"from":"human"}]})",
        R"({"image":3,"conversations":[]})", R"({"image":[null],"conversations":[]})",
        R"({"image":"","conversations":[]})", R"({"image":"a\u0000b","conversations":[]})",
        R"({"video":"v.mp4","conversations":[]})", R"({"video":[],"conversations":[]})",
        R"({"video":[["a.png"],"b.png"],"conversations":[]})", R"({"video":["a.png",3],"conversations":[]})",
        R"({"video":["a.png"],"fps":0,"conversations":[]})", R"({"video":["a.png"],"fps":[1,2],"conversations":[]})",
        R"({"id":[],"conversations":[]})"})
    EXPECT_EQ(fault_of(write("a.json", std::string("[") + record + "]")).kind(), ErrorKind::data_invalid) << record;
}

TEST_F(RecordTest, VideosAreListsOfFrames) {
  const std::string turns =
      R"("conversations":[{"from":"human","value":"<video> or <video>?"},{"from":"gpt","value":"a"}])";
  const auto two =
      RecordSet::load(write("a.json", R"([{"video":[["a.png","b.png"],["c.png"]],"fps":[2,0.5],)" + turns + "}]"))
          .at(0);
  ASSERT_EQ(two.videos.size(), 2U);
  EXPECT_THAT(two.videos[0].frames, testing::ElementsAre(folder_ / "a.png", folder_ / "b.png"));
  EXPECT_EQ(two.videos[0].per_second, 2);
  EXPECT_EQ(two.videos[1].per_second, 0.5);
  EXPECT_THAT(two.pictures(), testing::ElementsAre(folder_ / "a.png", folder_ / "b.png", folder_ / "c.png"));
  EXPECT_NO_THROW(validate_record(two, true));
  const auto one = RecordSet::load(write("b.json", R"([{"video":["a.png","b.png"],)" + turns + "}]")).at(0);
  EXPECT_EQ(one.videos.at(0).per_second, 24);
  EXPECT_THROW(validate_record(one, true), Error) << "two placeholders, one video";
  const auto none = RecordSet::load(write("c.json", "[{" + turns + "}]")).at(0);
  EXPECT_NO_THROW(validate_record(none, true)) << "without videos the word is text";
  try {
    check_records(RecordSet::load(write("d.json", R"([{"video":[["a.png"],["c.png"]],)" + turns + "}]")), {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data_missing_image);
  }
}

TEST_F(RecordTest, MixturesDrawFromSeveralFiles) {
  write_many("a.jsonl", "a", 5);
  write_many("b.jsonl", "b", 4);
  const auto path = write("m.yaml", R"(datasets:
  - json_path: a.jsonl
    sampling_strategy: first:2
  - {json_path: b.jsonl, sampling_strategy: "end:50%", name: bees}
  - json_path: a.jsonl
    sampling_strategy: first:3-end:1
)");
  const auto records = RecordSet::load(path);
  EXPECT_THAT(ids_of(records), testing::ElementsAre("a0", "a1", "b2", "b3", "a3"));
  EXPECT_THAT(records.files(), testing::ElementsAre(folder_ / "a.jsonl", folder_ / "b.jsonl"));
  EXPECT_THAT(records.where(3), testing::HasSubstr("b.jsonl, record 3"));
}

TEST_F(RecordTest, RandomStrategiesDependOnTheSeedAlone) {
  write_many("a.jsonl", "a", 50);
  const auto path = write("m.yml", "datasets: [{json_path: a.jsonl, sampling_strategy: 'random:20'}]");
  const auto first = ids_of(RecordSet::load(path, {.images = {}, .mixture = MixtureMode::clean, .seed = 1}));
  EXPECT_EQ(first, ids_of(RecordSet::load(path, {.images = {}, .mixture = MixtureMode::clean, .seed = 1})));
  EXPECT_NE(first, ids_of(RecordSet::load(path, {.images = {}, .mixture = MixtureMode::clean, .seed = 2})));
  EXPECT_EQ(first.size(), 20u);
  EXPECT_EQ(std::set<std::string>(first.begin(), first.end()).size(), 20u);
}

TEST_F(RecordTest, WrongMixturesAreRefused) {
  write_many("a.jsonl", "a", 5);
  for (const char* text :
       {"", "datasets: 3", "- a", "datasets: [3]", "datasets: [{}]", "datasets: [{json_path: [a]}]",
        "datasets: [{json_path: a.jsonl, colour: red}]", "datasets: [{json_path: a.jsonl, sampling_strategy: some}]",
        "datasets: [", "\t- x: [}", "datasets: [{json_path: m.yaml}]", "datasets: [{[a]: b}]"})
    EXPECT_EQ(fault_of(write("m.yaml", text)).kind(), ErrorKind::data_invalid) << text;
  EXPECT_EQ(fault_of(write("m.yaml", "datasets: []")).kind(), ErrorKind::data_empty);
  EXPECT_EQ(fault_of(write("m.yaml", "datasets: [{json_path: a.jsonl, sampling_strategy: 'end:0'}]")).kind(),
            ErrorKind::data_empty);
}

TEST_F(RecordTest, DigestsFollowTextAndOrder) {
  const auto a = RecordSet::load(write_many("a.jsonl", "a", 3)).digest();
  EXPECT_EQ(a, RecordSet::load(write_many("b.jsonl", "a", 3)).digest());
  EXPECT_NE(a, RecordSet::load(write_many("c.jsonl", "c", 3)).digest());
  const auto reversed = write("m.yaml",
                              "datasets: [{json_path: a.jsonl, sampling_strategy: 'end:1'}, {json_path: a.jsonl, "
                              "sampling_strategy: 'first:2'}]");
  EXPECT_NE(a, RecordSet::load(reversed).digest());
  EXPECT_EQ(a.size(), 32u);
}

TEST_F(RecordTest, OnlyErrorsLeaveDamagedFiles) {
  write_many("a.jsonl", "a", 2);
  const std::string list = read_file(kRecords / "missing_image.json");
  const std::string mixture =
      "datasets:\n  - json_path: a.jsonl\n    sampling_strategy: first:1\n  - {json_path: a.jsonl, sampling_strategy: "
      "\"end:50%\"}\n";
  Random random(5, "fuzz");
  int usable = 0;
  for (int round = 0; round < 1500; ++round) {
    std::string text = round % 2 == 0 ? list : mixture;
    for (std::int64_t edits = 1 + random.below(4); edits > 0 && !text.empty(); --edits) {
      const auto at = static_cast<std::size_t>(random.below(static_cast<std::int64_t>(text.size())));
      const auto kind = random.below(4);
      if (kind == 0) text[at] = static_cast<char>(random.next());
      if (kind == 1) text.erase(at, static_cast<std::size_t>(random.below(20)));
      if (kind == 2) text.insert(at, text.substr(at / 2, 12));
      if (kind == 3) text[at] = "{}[]\",:0-%&*|>\n\\"[random.below(17)];
    }
    try {
      CheckOptions options;
      options.policy = BadRecordPolicy::skip;
      usable += !check_records(RecordSet::load(write(round % 2 == 0 ? "f.json" : "f.yaml", text), {.images = kRecords}),
                               options)
                     .usable.empty();
    } catch (const Error&) {
    }
  }
  EXPECT_GT(usable, 15);
  EXPECT_LT(usable, 1485);
}

TEST(Mixture, StrategiesOfTheReleasedCode) {
  using testing::ElementsAre;
  const auto take = [](std::string_view text, MixtureMode mode = MixtureMode::clean) {
    return sample_records(text, 10, mode, 1, "s");
  };
  EXPECT_EQ(take("all").size(), 10u);
  EXPECT_THAT(take("first:3"), ElementsAre(0, 1, 2));
  EXPECT_THAT(take("end:3"), ElementsAre(7, 8, 9));
  EXPECT_THAT(take("first:21%"), ElementsAre(0, 1, 2)) << "rounded up";
  EXPECT_THAT(take(" First : 2 "), ElementsAre(0, 1));
  EXPECT_EQ(take("first:99").size(), 10u);
  EXPECT_EQ(take("first:0").size(), 0u);
  EXPECT_THAT(take("first:20%-first:4"), ElementsAre(2, 3));
  EXPECT_THAT(take("end:4-end:1"), ElementsAre(6, 7, 8));
  EXPECT_THAT(take("first:3-end:5"), ElementsAre(3, 4));
  EXPECT_EQ(take("random:4").size(), 4u);
  auto shuffled = take("random");
  EXPECT_NE(shuffled, take("all"));
  std::sort(shuffled.begin(), shuffled.end());
  EXPECT_EQ(shuffled, take("all"));
}

TEST(Mixture, PercentagesTakeNoRecordForABinaryFraction) {
  const auto count = [](std::string_view text, std::int64_t records, MixtureMode mode) { return sample_records(text, records, mode, 1, "s").size(); };
  for (const int percent : {7, 14, 28, 55}) {
    const std::string text = "first:" + std::to_string(percent) + "%";
    EXPECT_EQ(count(text, 100, MixtureMode::clean), static_cast<std::size_t>(percent));
    EXPECT_EQ(count(text, 100, MixtureMode::faithful), static_cast<std::size_t>(percent + 1)) << "as Python's ceil(P / 100 * n)";
  }
  for (std::int64_t percent = 0; percent <= 100; ++percent)
    EXPECT_EQ(count("end:" + std::to_string(percent) + "%", 1000, MixtureMode::clean), static_cast<std::size_t>(10 * percent));
  EXPECT_EQ(count("first:1.1%", 3000, MixtureMode::clean), 33u);
  EXPECT_EQ(count("first:1.1%", 3001, MixtureMode::clean), 34u);
  EXPECT_EQ(count("first:0.0001%", 3, MixtureMode::clean), 1u);
}

TEST(Mixture, RangesFallBackToAllRecordsOnlyWhenFaithful) {
  const auto faithful = [](std::string_view text) { return sample_records(text, 10, MixtureMode::faithful, 1, "s").size(); };
  for (const char* text : {"first:3-", "end:3-first:5", "first:1-first", "first:nan%-first:5", "first:7-first:2", "end:2-end:7", "first:8-end:5"}) {
    EXPECT_EQ(faithful(text), 10u) << text;
    EXPECT_THROW(sample_records(text, 10, MixtureMode::clean, 1, "s"), Error) << text;
  }
  EXPECT_EQ(faithful("end:0"), 10u);
  EXPECT_EQ(sample_records("end:0", 10, MixtureMode::clean, 1, "s").size(), 0u);
  for (const char* text : {"", "first", "first:x", "middle:3", "random:", "first:%", "first:nan%", "first:1e999%"})
    for (const MixtureMode mode : {MixtureMode::clean, MixtureMode::faithful})
      EXPECT_THROW(sample_records(text, 10, mode, 1, "s"), Error) << text << ": the released code raises too";
}

}  // namespace
}  // namespace retain::framework
