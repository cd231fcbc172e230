// SPDX-License-Identifier: Apache-2.0
// The files of the tiny world: what each holds, and writing them.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "examples/tiny/world/questions.h"
#include "examples/tiny/world/skills.h"
#include "examples/tiny/world/tokenizer_file.h"

namespace retain::tiny {

/// A picture with a conversation about it.
struct Conversation {
  Picture picture;
  std::vector<Exchange> exchanges;
};

/// One JSONL file: record i is made from its own random stream, so files of different lengths share a beginning.
struct RecordSetPlan {
  std::string name;  ///< "train/sight": file and stream name
  std::int64_t count = 0;
  std::function<Conversation(Random&)> make;
};

/// Numbers of records.
struct Sizes {
  std::int64_t sight = 13000;      ///< pretraining: pictures of one look, and pictures of objects listed
  std::int64_t questions = 24000;  ///< pretraining: conversations of several questions
  std::int64_t skill = 6000;       ///< training records of each new skill
  std::int64_t test = 200;         ///< records of each benchmark
};

/// Training files of the base.
std::vector<RecordSetPlan> pretraining_sets(const Sizes& sizes);
/// Training files of the new skills. `digits` must outlive the plans.
std::vector<RecordSetPlan> skill_sets(const Sizes& sizes, const std::vector<Digit>& digits);
/// Training files and benchmarks of the two skills that only the study teaches. Their words are made of smaller tokens: the
/// tokenizer, and with it the base, is older than they are.
std::vector<RecordSetPlan> study_sets(const Sizes& sizes);
/// Benchmarks: of the base's skills, of the new skills, and captions for the probe.
std::vector<RecordSetPlan> test_sets(const Sizes& sizes, const std::vector<Digit>& digits);

/// Score, from 0 to 1, of answers to each held-out benchmark that ignore which object is asked about.
std::map<std::string, double> question_blind_levels(const Sizes& sizes, std::uint64_t seed);

/// Writes a set under `root`. Throws Error(io).
void write_set(const std::filesystem::path& root, const RecordSetPlan& plan, std::uint64_t seed);

/// Every sentence form and word of the world, so that each word becomes one token.
TokenizerBuilder world_tokenizer(const std::vector<Digit>& digits);

}  // namespace retain::tiny
