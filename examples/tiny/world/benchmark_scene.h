// SPDX-License-Identifier: Apache-2.0
// Scenes of the held-out benchmarks, and what an answer that ignores the question scores on them.
#pragma once
#include "examples/tiny/world/questions.h"

namespace retain::tiny {

/// Shapes, letters, arrows or a mixture, in the proportion of the pretraining scenes.
Theme random_theme(Random& random);

/// A scene of two to four objects about which `kind` can be asked, and whose answers differ.
Scene benchmark_scene(Random& random, const QuestionKind& kind);

/// The highest expected score on `scene` of an answer that sees the picture, the form of the question,
/// but not which object is asked about: the share of the most frequent answer among questions asked again and again.
double question_blind_score(Random& random, const QuestionKind& kind, const Scene& scene);

}  // namespace retain::tiny
