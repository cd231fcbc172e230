// SPDX-License-Identifier: Apache-2.0
#include "recipes/training/step_log.h"

#include <fstream>
#include <memory>

#include "framework/base/json.h"

namespace retain::recipes {
namespace {

using framework::Error;
using framework::ErrorKind;
namespace json = framework::json;
namespace fs = std::filesystem;

/// True when a line belongs to (recipe, task) at `first_step` or later, or is torn.
bool superseded(const std::string& line, const std::string& recipe, const std::string& task, std::int64_t first_step) {
  boost::system::error_code code;
  const json::value value = json::parse(line, code);
  const json::object* record = code ? nullptr : value.if_object();
  if (!record) return true;
  const auto is = [&](const char* key, const std::string& text) {
    const json::value* field = record->if_contains(key);
    return field && field->is_string() && field->as_string() == text;
  };
  const json::value* step = record->if_contains("step");
  return is("recipe", recipe) && is("task", task) && step && step->is_int64() && step->as_int64() >= first_step;
}

std::unique_ptr<framework::StoreTurn> turn_of(const framework::StoreLock* lock) {
  return lock ? std::make_unique<framework::StoreTurn>(*lock) : nullptr;
}

}  // namespace

void StepLog::begin_stage(const std::string& recipe, const std::string& task, std::int64_t first_step) {
  recipe_ = recipe;
  task_ = task;
  if (file_.empty()) return;
  const std::unique_ptr<framework::StoreTurn> turn = turn_of(lock_);
  if (file_.has_parent_path()) fs::create_directories(file_.parent_path());
  std::string kept;
  if (std::ifstream old(file_); old)
    for (std::string line; std::getline(old, line);)
      if (!superseded(line, recipe, task, first_step)) kept += line + "\n";
  const fs::path fresh = file_.string() + ".new";
  std::ofstream rewritten(fresh, std::ios::binary);
  rewritten << kept << std::flush;
  if (!rewritten)
    throw Error(ErrorKind::io,
                {"cannot write the log " + fresh.string(), {}, {}, "free space there, or choose another with --log"});
  fs::rename(fresh, file_);
}

void StepLog::append(const StepRecord& record) {
  if (file_.empty()) return;
  const std::unique_ptr<framework::StoreTurn> turn = turn_of(lock_);
  std::ofstream stream(file_, std::ios::app | std::ios::binary);  // anew: another process may have put another file there
  if (!stream)
    throw Error(ErrorKind::io, {"cannot write the log " + file_.string(), "a writable file", "an error on opening it",
                                "choose another with --log"});
  stream << json::serialize(json::object{{"recipe", recipe_}, {"task", task_}, {"step", record.step}, {"loss", record.loss},
                                         {"grad_norm", record.grad_norm}, {"learning_rate", record.learning_rate},
                                         {"tokens", record.tokens}, {"seconds", record.seconds}})
         << '\n'
         << std::flush;
  if (!stream) throw Error(ErrorKind::io, "cannot append to the log " + file_.string());
}

}  // namespace retain::recipes
