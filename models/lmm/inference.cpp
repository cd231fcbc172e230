// SPDX-License-Identifier: Apache-2.0
#include "models/lmm/inference.h"

#include <ATen/ATen.h>

namespace retain::models {
namespace {

constexpr int kHiddenTag = 41;

}  // namespace

at::Tensor forward_through_pipeline(Lmm& model, const MicroBatch& batch, KvCache* cache) {
  const at::NoGradGuard no_gradient;
  const parallel::Mesh& mesh = model.mesh();
  const int stage = mesh.position().pipeline;
  at::Tensor hidden_TH;
  if (!mesh.is_first_pipeline_stage()) {
    const at::Tensor& like = model.parameters().all().front().value;
    hidden_TH = at::empty({batch.tokens(), model.config().text.hidden}, like.options().requires_grad(false));
    mesh.pipeline().receive_async(hidden_TH, stage - 1, kHiddenTag)->wait();
  }
  hidden_TH = cache != nullptr ? model.forward_cached(batch, hidden_TH, *cache) : model.forward(batch, hidden_TH);
  if (mesh.is_last_pipeline_stage()) return hidden_TH;
  mesh.pipeline().send_async(hidden_TH.contiguous(), stage + 1, kHiddenTag)->wait();
  return {};
}

}  // namespace retain::models
