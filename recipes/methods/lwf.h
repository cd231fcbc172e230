// SPDX-License-Identifier: Apache-2.0
// Learning without forgetting (Li and Hoiem 2016, arXiv 1606.09282) as the paper uses it (arXiv 2510.08564): beside
// cross-entropy, λ·T²·KL(teacher ‖ student) on the stage's own batches, with the previous stage as the teacher.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "recipes/methods/registry.h"

namespace retain::recipes {

class Lwf final : public Method {
 public:
  /// Where teacher and student are compared.
  enum class Positions {
    answers,   ///< where a supervised token is predicted; weighted as its cross-entropy is
    released,  ///< as the paper's released code does whatever its labels say: see released_rows()
  };

  /// Keys: lambda (1), temperature (2), teacher ("previous"), positions ("answers"; "released" in faithful mode).
  explicit Lwf(MethodSetup setup);

  framework::json::object describe() const override;
  std::string reference() const override { return teacher_; }
  std::unique_ptr<MethodRun> begin(const MethodStart& start) const override;
  /// The teacher's own copy of what is trained; it shares everything else with the student.
  std::int64_t bytes_beside(std::int64_t trained_bytes) const override { return trained_bytes; }

 private:
  double lambda_;
  double temperature_;
  std::string teacher_;
  Positions positions_;
};

/// The positions of a sequence that the released code distils, ascending: K = min(20 % of them, 1000), 40 % of K from its
/// start, 40 % from its end, the rest spread evenly between; where two float32 tensors of K times the vocabulary exceed 1 GiB,
/// as many of them as fit, drawn by seed and sample number. A sequence of less than five positions gives its last one.
std::vector<std::int64_t> released_rows(std::int64_t positions, std::int64_t vocabulary, std::uint64_t seed, std::int64_t number);

}  // namespace retain::recipes
