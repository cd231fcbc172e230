// SPDX-License-Identifier: Apache-2.0
// A benchmark answered by a model: greedy generation, one metric, every sample's answer kept.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "framework/data/record_set.h"
#include "models/lmm/lmm.h"
#include "models/lmm/sample_builder.h"
#include "recipes/evaluation/evaluation.h"
#include "recipes/settings/experiment.h"

namespace retain::recipes {

/// One question: the record whose last answer is left out, and what counts as right.
struct Question {
  framework::Record record;
  framework::ScoreInput expected;  ///< references, options, question, category; prediction empty
};

/// A benchmark's questions. A line may carry "references", "options", "question" and "category" beside the record;
/// without references the record's last answer is the one reference. Throws Error(data_invalid), Error(data_empty),
/// Error(data_no_answer) naming the line.
std::vector<Question> read_questions(const Benchmark& benchmark);
/// One of them, of the records that load_records() gives.
Question read_question(const framework::RecordSet& records, std::int64_t i, const Benchmark& benchmark);

/// Collective over the model's mesh: replicas share the questions, all ranks get the whole result, in question order.
/// The answers depend neither on `batch` nor on the mesh (float32). `before_batch` is called as often on every rank; what it throws
/// there on all ranks alike ends the evaluation.
Evaluation evaluate(models::Lmm& model, const models::SampleBuilder& builder, const Benchmark& benchmark,
                    const std::vector<Question>& questions, std::int64_t batch, const std::function<void()>& before_batch = {});

}  // namespace retain::recipes
