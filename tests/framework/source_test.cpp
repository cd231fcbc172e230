// SPDX-License-Identifier: Apache-2.0
// Data sets as pyarrow, pandas and Pillow wrote them (tests/reference/make_sources.py), read into records.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "framework/base/json.h"
#include "framework/base/random.h"
#include "framework/data/base64.h"
#include "framework/data/prompt_template.h"
#include "framework/data/record_set.h"
#include "framework/data/row_records.h"
#include "tests/support/scratch.h"

namespace retain::framework {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

const fs::path kSources = fs::path(RETAIN_FIXTURES) / "sources";

json::value expected(const char* key) { return read_json(kSources / "expected.json").at(key); }
std::string expected_text(const char* key, std::size_t i) { return std::string(expected(key).as_array().at(i).as_string()); }
std::string expected_bytes(std::size_t i) { return from_base64(expected_text("bytes", i)).value(); }

RecordSet load(const fs::path& file, const SourceFields& fields) {
  return RecordSet::load(file, {.images = {}, .fields = std::make_shared<const SourceFields>(fields)});
}

Error fault_of(const fs::path& file, const SourceFields& fields) {
  try {
    const RecordSet records = load(file, fields);
    for (std::int64_t i = 0; i < records.size(); ++i)
      for (const Picture& picture : records.at(i).images) picture.bytes();
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorKind::internal, "no fault");
}

json::object line(const RecordSet& records, std::int64_t i) { return records.json_at(i).as_object(); }

SourceFields with_options() {
  SourceFields fields;
  fields.prompt = "{question}\n{options}\nAnswer with the letter.";
  return fields;
}

class Parquet : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_parquet()) GTEST_SKIP() << "built without Arrow";
  }
};

class Rows : public testing::Test {
 protected:
  Error fault(const std::string& name, const std::string& text, const SourceFields& fields) const {
    std::ofstream(scratch_ / name, std::ios::binary) << text;
    return fault_of(scratch_ / name, fields);
  }
  static SourceFields plain() {
    SourceFields fields;
    fields.images = {};
    return fields;
  }
  tests::Scratch scratch_;
};

TEST(Sources, WithoutArrowTheErrorSaysHowToGetIt) {
  if (has_parquet()) GTEST_SKIP() << "built with Arrow";
  const Error error = fault_of(kSources / "hub.parquet", {});
  EXPECT_EQ(error.kind(), ErrorKind::config_unsupported);
  EXPECT_THAT(error.what(), HasSubstr("RETAIN_ARROW"));
}

TEST_F(Parquet, RowsBecomeRecordsWithTheirPictures) {
  SourceFields fields = with_options();
  fields.id = "question_id";
  fields.options = {"options"};
  fields.form = AnswerForm::index;
  fields.answer = "index";
  fields.category = "kind";
  const RecordSet records = load(kSources / "hub.parquet", fields);
  ASSERT_EQ(records.size(), 5);
  for (const std::size_t i : {4U, 0U, 2U, 1U, 3U}) {  // out of order: every row group is found again
    const Record record = records.at(static_cast<std::int64_t>(i));
    EXPECT_EQ(record.id, std::to_string(11 + i));
    ASSERT_EQ(record.images.size(), 1U);
    EXPECT_EQ(record.images[0].bytes(), expected_bytes(i));
    const ImageSize size = read_size(record.images[0]);
    EXPECT_EQ(size.width, expected("sizes").as_array()[i].as_array()[0].as_int64());
    EXPECT_EQ(load_image(record.images[0]).width, size.width);
  }
  const Record bird = records.at(2);
  EXPECT_EQ(bird.turns.at(0).text, "<image>\nWhich \"bird\"\nis it?\nA. jay\nB. crow\nC. wren\nD. tern\nAnswer with the letter.");
  EXPECT_EQ(bird.turns.at(1).text, "B");
  const json::object row = line(records, 2);
  EXPECT_EQ(row.at("category").as_string(), "a");
  EXPECT_EQ(row.at("question").as_string(), "Which \"bird\"\nis it?");
  EXPECT_EQ(json::serialize(row.at("references")), R"(["B"])");
  EXPECT_EQ(json::serialize(row.at("options")), R"(["jay","crow","wren","tern"])");
  EXPECT_THAT(records.at(0).turns.at(0).text, testing::StartsWith("<image>\nWhat is this?\nA. dog"));  // its own <image> is gone
}

TEST_F(Parquet, ListsOfAnswersAndOfPictures) {
  SourceFields fields;
  fields.answer = "answers";
  fields.images = {"several"};
  const RecordSet records = load(kSources / "hub.parquet", fields);
  EXPECT_EQ(line(records, 3).at("references").as_array().size(), 4U);
  EXPECT_EQ(records.at(0).images.size(), 0U);
  ASSERT_EQ(records.at(2).images.size(), 2U);
  EXPECT_EQ(records.at(2).images[1].bytes(), expected_bytes(2));
  EXPECT_THAT(records.at(2).turns.at(0).text, testing::StartsWith("<image> <image>\nWhich"));
  EXPECT_FALSE(records.at(2).images[0] == records.at(2).images[1]);
  fields.images = {"raw"};
  EXPECT_EQ(load(kSources / "hub.parquet", fields).at(3).images.at(0).bytes(), expected_bytes(3));
}

TEST_F(Parquet, ShardsAreOneSetAndOtherCompressionsRead) {
  const RecordSet whole = load(kSources / "hub.parquet", {});
  const RecordSet shards = load(kSources / "shard-*.parquet", {});
  ASSERT_EQ(shards.size(), 5);
  for (std::int64_t i = 0; i < 5; ++i) {
    EXPECT_EQ(shards.at(i).turns.at(0).text, whole.at(i).turns.at(0).text);
    EXPECT_EQ(shards.at(i).images.at(0).bytes(), whole.at(i).images.at(0).bytes());
  }
  EXPECT_THAT(shards.where(3), HasSubstr("shard-00001-of-00002.parquet, row 1"));
}

TEST_F(Parquet, PicturesOutliveTheSetAndManyThreadsMayRead) {
  std::vector<Picture> pictures;
  {
    const RecordSet records = load(kSources / "hub.parquet", {});
    for (std::int64_t i = 0; i < 5; ++i) pictures.push_back(records.at(i).images.at(0));
  }
  std::vector<std::jthread> threads;
  std::atomic<int> wrong = 0;
  for (std::size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (std::size_t i = 0; i < 50; ++i) wrong += pictures[(i + t) % 5].bytes() != expected_bytes((i + t) % 5);
    });
  threads.clear();
  EXPECT_EQ(wrong, 0);
}

TEST_F(Parquet, WrongFilesAndColumnsAreRefused) {
  SourceFields fields;
  EXPECT_EQ(fault_of(kSources / "cut.parquet", fields).kind(), ErrorKind::data_invalid);
  EXPECT_EQ(fault_of(kSources / "absent.parquet", fields).kind(), ErrorKind::io);
  fields.answer = "answr";
  const Error near = fault_of(kSources / "hub.parquet", fields);
  EXPECT_EQ(near.kind(), ErrorKind::data_invalid);
  EXPECT_THAT(near.what(), HasSubstr("did you mean \"answer\"?"));
  fields = {};
  fields.images = {"score"};
  EXPECT_THAT(fault_of(kSources / "hub.parquet", fields).what(), HasSubstr("holds no pictures"));
  const tests::Scratch scratch;
  const std::string good = read_file(kSources / "hub.parquet");
  Random random(7, "parquet");
  for (int round = 0; round < 200; ++round) {  // only errors leave damaged files
    std::string bytes = good;
    for (int edit = 0; edit < 3; ++edit) bytes[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(bytes.size())))] = static_cast<char>(random.next());
    std::ofstream(scratch / "damaged.parquet", std::ios::binary) << bytes;
    fault_of(scratch / "damaged.parquet", {});
  }
}

TEST(Sources, TablesOfPandasWithBase64Pictures) {
  SourceFields fields = with_options();
  fields.id = "index";
  fields.options = {"A", "B", "C", "D"};
  fields.form = AnswerForm::letter;
  const RecordSet records = load(kSources / "table.tsv", fields);
  ASSERT_EQ(records.size(), 5);
  EXPECT_EQ(records.at(4).id, "104");
  EXPECT_EQ(records.at(2).turns.at(0).text, "<image>\nWhich \"bird\"\nis it?\nA. jay\nB. crow\nC. wren\nD. tern\nAnswer with the letter.");
  EXPECT_EQ(records.at(1).turns.at(0).text, "<image>\nHow many\tcats?\nA. 4\nB. 5\nC. 6\nAnswer with the letter.");
  EXPECT_EQ(records.at(2).turns.at(1).text, "B");
  for (const std::size_t i : {3U, 1U, 0U, 2U}) EXPECT_EQ(records.at(static_cast<std::int64_t>(i)).images.at(0).bytes(), expected_bytes(i));
  EXPECT_EQ(records.at(4).images.at(0).bytes(), expected_bytes(2)) << "the row it names";
  EXPECT_TRUE(records.at(4).images.at(0) == records.at(2).images.at(0));
  fields.where = {{"split", {"test", "dev"}}};
  const RecordSet test = load(kSources / "table.tsv", fields);
  ASSERT_EQ(test.size(), 1);
  EXPECT_THAT(test.where(0), HasSubstr("row 2"));
  fields.where = {{"split", {"none"}}};
  EXPECT_EQ(fault_of(kSources / "table.tsv", fields).kind(), ErrorKind::data_empty);
}

TEST(Sources, CommaSeparatedTablesNamePictureFiles) {
  SourceFields fields;
  fields.images = {"image_path"};
  const RecordSet records = load(kSources / "table.csv", fields);
  EXPECT_EQ(*records.at(1).images.at(0).file(), kSources / "classes/crow/1.png");
  EXPECT_EQ(records.at(1).turns.at(1).text, "A");
}

TEST(Sources, FoldersNameTheClassesOfTheirPictures) {
  SourceFields fields;
  fields.prompt = "Which bird is this?\n{options}";
  fields.options = {"classes"};
  fields.answer = "class";
  fields.form = AnswerForm::option;
  fields.id = "file";
  fields.question = "";
  const RecordSet records = load(kSources / "classes", fields);
  ASSERT_EQ(records.size(), 4);
  EXPECT_EQ(records.at(3).id, "jay/2.png");
  EXPECT_EQ(records.at(3).turns.at(0).text, "<image>\nWhich bird is this?\nA. crow\nB. jay");
  EXPECT_EQ(records.at(3).turns.at(1).text, "B");
  EXPECT_EQ(load_image(records.at(0).images.at(0)).height, 8);
}

TEST(Sources, PlainJsonLinesOfAnyKeys) {
  SourceFields fields;
  fields.images = {"picture"};
  fields.reply = "It is {answer}.";
  const RecordSet records = load(kSources / "rows.jsonl", fields);
  EXPECT_EQ(records.at(1).turns.at(1).text, "It is 4.");
  EXPECT_EQ(*records.at(1).images.at(0).file(), kSources / "classes/crow/1.png");
  EXPECT_TRUE(records.at(1).images.at(0).exists());
  fields.answer = "reply";
  EXPECT_THAT(fault_of(kSources / "rows.jsonl", fields).what(), HasSubstr("no column \"reply\""));
}

TEST_F(Rows, TheMostCommonAnswerIsTaughtAndEveryOneCounts) {
  std::ofstream(scratch_ / "a.jsonl") << R"({"question":"q","answers":["x","y","z","y","z"],"hour":3})";
  SourceFields fields = plain();
  fields.answer = "answers";
  fields.form = AnswerForm::most_common;
  const RecordSet records = load(scratch_ / "a.jsonl", fields);
  EXPECT_EQ(records.at(0).turns.at(1).text, "y");
  EXPECT_EQ(line(records, 0).at("references").as_array().size(), 5U);
  fields.answer = "";
  fields.reply = "{hour} o'clock";
  EXPECT_EQ(json::serialize(line(load(scratch_ / "a.jsonl", fields), 0).at("references")), R"(["3 o'clock"])");
}

TEST(Sources, AMixtureWrittenForLlava) {
  const RecordSet records = RecordSet::load(kSources / "mixture.yaml", {.images = {}, .seed = 3});
  ASSERT_EQ(records.size(), 7);
  EXPECT_EQ(records.at(1).id, "a1");
  EXPECT_EQ(records.at(2).id, "b8");
  EXPECT_EQ(records.at(3).id, "b9");
}

TEST(Sources, DigestsFollowTheRecordsNotTheFolder) {
  const tests::Scratch scratch;
  fs::copy(kSources / "table.tsv", scratch / "table.tsv");
  SourceFields fields;
  const std::string digest = load(kSources / "table.tsv", fields).digest();
  EXPECT_EQ(load(scratch / "table.tsv", fields).digest(), digest);
  fields.prompt = "{question}!";
  EXPECT_NE(load(scratch / "table.tsv", fields).digest(), digest);
}

TEST(Sources, ATableNeedsToBeToldHow) {
  try {
    RecordSet::load(kSources / "table.tsv");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data_invalid);
    EXPECT_THAT(error.what(), HasSubstr("[source]"));
  }
}

TEST_F(Rows, WrongAnswersNameTheRow) {
  SourceFields fields = plain();
  fields.options = {"choices"};
  const auto with = [&](AnswerForm form, const std::string& answer) {
    fields.form = form;
    return fault("a.jsonl", R"({"question":"q","choices":["x","y"],"answer":)" + answer + "}", fields);
  };
  EXPECT_EQ(with(AnswerForm::index, "1").kind(), ErrorKind::internal);
  EXPECT_THAT(with(AnswerForm::index, "2").what(), HasSubstr("a.jsonl, row 0"));
  EXPECT_EQ(with(AnswerForm::index, "-1").kind(), ErrorKind::data_invalid);
  EXPECT_EQ(with(AnswerForm::index, "\"x\"").kind(), ErrorKind::data_invalid);
  EXPECT_EQ(with(AnswerForm::letter, "\"B\"").kind(), ErrorKind::internal);
  EXPECT_EQ(with(AnswerForm::letter, "\"C\"").kind(), ErrorKind::data_invalid);
  EXPECT_EQ(with(AnswerForm::letter, "\"\"").kind(), ErrorKind::data_invalid);
  EXPECT_EQ(with(AnswerForm::option, "\"y\"").kind(), ErrorKind::internal);
  EXPECT_EQ(with(AnswerForm::option, "\"z\"").kind(), ErrorKind::data_invalid);
  EXPECT_EQ(with(AnswerForm::text, "null").kind(), ErrorKind::data_invalid);
  EXPECT_EQ(with(AnswerForm::text, "[]").kind(), ErrorKind::data_invalid);
}

TEST_F(Rows, WrongTablesAreRefused) {
  EXPECT_EQ(fault("a.tsv", "", plain()).kind(), ErrorKind::data_invalid);
  EXPECT_EQ(fault("a.tsv", "question\tanswer\n", plain()).kind(), ErrorKind::data_empty);
  EXPECT_THAT(fault("a.tsv", "question\tanswer\nq\n", plain()).what(), HasSubstr("row 0"));
  EXPECT_THAT(fault("a.tsv", "question\tanswer\n\"q\ta\n", plain()).what(), HasSubstr("quotes"));
  EXPECT_EQ(fault("a.tsv", "question\tanswer\nq\xFF\ta\n", plain()).kind(), ErrorKind::data_invalid);
  EXPECT_EQ(fault("a.tsv", "\xEF\xBB\xBFquestion\tanswer\r\n\r\nq 5\" nail\ta\r\n", plain()).kind(), ErrorKind::internal);
  EXPECT_EQ(fault("a.txt", "question", plain()).kind(), ErrorKind::data_invalid);
  SourceFields pictured;
  EXPECT_THAT(fault("a.tsv", "question\tanswer\timage\nq\ta\t***\n", pictured).what(), HasSubstr("base64"));
  EXPECT_EQ(fault("a.jsonl", "[1]", plain()).kind(), ErrorKind::data_invalid);
  EXPECT_EQ(fault("a-*.jsonl", "", plain()).kind(), ErrorKind::data_empty) << "the file of that very name fits";
  EXPECT_EQ(fault_of(scratch_ / "b-*.jsonl", plain()).kind(), ErrorKind::io);
}

TEST(Templates, PlacesChangesAndParts) {
  const json::object values{{"q", "WHAT is Élan?"}, {"hint", ""}, {"n", 3}, {"x", 2.5}, {"gone", nullptr}};
  const auto fill = [&](const std::string& text) { return PromptTemplate(text, "t").fill(values); };
  EXPECT_EQ(fill("{q:capitalize} {n} {x} {gone}."), "What is élan? 3 2.5 .");
  EXPECT_EQ(fill("{{'a': [1]}} [[Context: {hint}\n]]{q:lower}"), "{'a': [1]} what is élan?");
  EXPECT_EQ(fill("[[n={n}]] [[no column]]"), "n=3 no column");
  EXPECT_THAT(PromptTemplate("{a}{b}{a:strip}", "t").columns(), ElementsAre("a", "b"));
  for (const char* wrong : {"{a", "a}", "[[a", "a]]", "[[a[[b]]]]", "{}", "{a:shout}"}) EXPECT_THROW(PromptTemplate(wrong, "t"), Error) << wrong;
}

TEST(PictureCache, KeepsWhatWasUsedLastWithinItsBytes) {
  PictureCache cache(100);
  const auto part = std::make_shared<int>(1);
  cache.keep("a", part, 40);
  cache.keep("b", part, 40);
  EXPECT_EQ(cache.find("a"), part);
  cache.keep("c", part, 40);
  EXPECT_EQ(cache.bytes(), 80);
  EXPECT_EQ(cache.find("b"), nullptr) << "used longest ago";
  EXPECT_NE(cache.find("a"), nullptr);
  cache.keep("large", part, 1000);
  EXPECT_EQ(cache.bytes(), 1000);
  EXPECT_NE(cache.find("large"), nullptr);
  cache.keep("d", part, 10);
  EXPECT_EQ(cache.bytes(), 10);
}

TEST(Base64, ReadsWhatOthersWriteAndNothingElse) {
  EXPECT_EQ(from_base64("aGk="), "hi");
  EXPECT_EQ(from_base64("aGk"), "hi");
  EXPECT_EQ(from_base64("aGkh\n"), "hi!");
  EXPECT_EQ(from_base64(""), "");
  for (const char* wrong : {"a", "aGk=a", "a$==", "aGk==", "====", "a==="}) EXPECT_FALSE(from_base64(wrong)) << wrong;
}

}  // namespace
}  // namespace retain::framework
