// SPDX-License-Identifier: Apache-2.0
// R: ranks of the group.
#include "parallel/tensor/vocab_argmax.h"

namespace retain::parallel {

at::Tensor vocab_argmax(const at::Tensor& logits_BV, Range columns, Communicator& group) {
  const std::int64_t rows = logits_BV.size(0);
  const at::Tensor values_BV = logits_BV.detach().to(at::kDouble);
  const auto [best_B, place_B] = values_BV.max(1);
  // float64 holds every float32 and every id exactly, so both travel in one message.
  const at::Tensor mine_2B = at::stack({best_B, (place_B + columns.begin).to(at::kDouble)});
  if (group.size() == 1) return mine_2B[1].to(at::kLong);
  at::Tensor all_R2B = at::empty({group.size(), 2, rows}, mine_2B.options());
  group.all_gather(all_R2B, mine_2B);
  const at::Tensor winner_B = std::get<1>(all_R2B.select(1, 0).max(0));
  return all_R2B.select(1, 1).gather(0, winner_B.unsqueeze(0)).squeeze(0).to(at::kLong);
}

}  // namespace retain::parallel
