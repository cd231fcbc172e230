// SPDX-License-Identifier: Apache-2.0
// L: length of a sequence; B: sequences of one length that stand side by side; G: query heads of a key-value head.
#include "models/layers/attention.h"

namespace retain::models {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

/// A block of the packed tensors that one kernel call takes: `count` sequences of `length` tokens from `begin` on.
struct Block {
  std::int64_t begin = 0;
  std::int64_t length = 0;
  std::int64_t count = 1;
};

/// With one key-value head per query head, neighbours of equal length go through the kernel together.
std::vector<Block> blocks_of(const std::vector<std::int64_t>& starts, bool batch) {
  std::vector<Block> blocks;
  for (std::size_t i = 0; i + 1 < starts.size(); ++i) {
    const std::int64_t length = starts[i + 1] - starts[i];
    if (length == 0) continue;
    if (batch && !blocks.empty() && blocks.back().length == length)
      ++blocks.back().count;
    else
      blocks.push_back({starts[i], length, 1});
  }
  return blocks;
}

/// Query heads of a run as the kernel's [batch, heads, L, D]: key-value heads are its batch, their group its heads.
at::Tensor query_view(const at::Tensor& x_TND, const Block& block, const HeadRun& run) {
  const at::Tensor part = x_TND.narrow(0, block.begin, block.length * block.count)
                              .narrow(1, run.query_begin, run.keys * run.group);
  if (run.group == 1) return part.unflatten(0, {block.count, block.length}).transpose(1, 2);  // B,K,L,D
  return part.unflatten(1, {run.keys, run.group}).permute({1, 2, 0, 3});                      // K,G,L,D
}

/// Key-value heads of a run, each seen `group` times without a copy.
at::Tensor key_view(const at::Tensor& x_TKD, const Block& block, const HeadRun& run) {
  const at::Tensor part =
      x_TKD.narrow(0, block.begin, block.length * block.count).narrow(1, run.key_begin, run.keys);
  if (run.group == 1) return part.unflatten(0, {block.count, block.length}).transpose(1, 2);
  return part.permute({1, 0, 2}).unsqueeze(1).expand({run.keys, run.group, block.length, x_TKD.size(2)});
}

/// Adds the gradient of key_view to its place in the packed gradient.
void add_key_gradient(at::Tensor& packed_TKD, const at::Tensor& gradient, const Block& block, const HeadRun& run) {
  at::Tensor place = packed_TKD.narrow(0, block.begin, block.length * block.count).narrow(1, run.key_begin, run.keys);
  if (run.group == 1)
    place.unflatten(0, {block.count, block.length}).transpose(1, 2).add_(gradient);
  else
    place.permute({1, 0, 2}).add_(gradient.sum(1, false, at::kFloat));
}

bool has_group(const std::vector<HeadRun>& runs) {
  return std::any_of(runs.begin(), runs.end(), [](const HeadRun& run) { return run.group != 1; });
}

struct PackedAttentionFunction : torch::autograd::Function<PackedAttentionFunction> {
  static Variable forward(AutogradContext* context, const Variable& q_in, const Variable& k_in, const Variable& v_in,
                          const std::vector<HeadRun>* runs_in, const std::vector<std::int64_t>& starts, bool causal) {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    const std::vector<HeadRun> runs = *runs_in;
    const at::Tensor q_TND = q_in.contiguous(), k_TKD = k_in.contiguous(), v_TKD = v_in.contiguous();
    at::Tensor out_TND = at::empty_like(q_TND);
    variable_list saved = {q_TND, k_TKD, v_TKD, out_TND};
    for (const Block& block : blocks_of(starts, !has_group(runs)))
      for (const HeadRun& run : runs) {
        auto [out, log_sums] = at::_scaled_dot_product_flash_attention_for_cpu(
            query_view(q_TND, block, run), key_view(k_TKD, block, run), key_view(v_TKD, block, run), 0.0, causal);
        query_view(out_TND, block, run).copy_(out);
        saved.push_back(log_sums);
      }
    context->save_for_backward(saved);
    context->saved_data["starts"] = starts;
    context->saved_data["causal"] = causal;
    context->saved_data["runs"] = flatten(runs);
    return out_TND;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &q_TND = saved[0], &k_TKD = saved[1], &v_TKD = saved[2], &out_TND = saved[3];
    const std::vector<HeadRun> runs = unflatten(context->saved_data["runs"].toIntVector());
    const bool causal = context->saved_data["causal"].toBool();
    const at::Tensor dout_TND = gradients[0].contiguous();
    at::Tensor dq_TND = at::empty_like(q_TND), dk_TKD = at::zeros_like(k_TKD), dv_TKD = at::zeros_like(v_TKD);
    std::size_t next = 4;
    for (const Block& block : blocks_of(context->saved_data["starts"].toIntVector(), !has_group(runs)))
      for (const HeadRun& run : runs) {
        auto [dq, dk, dv] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
            query_view(dout_TND, block, run), query_view(q_TND, block, run), key_view(k_TKD, block, run),
            key_view(v_TKD, block, run), query_view(out_TND, block, run), saved[next++], 0.0, causal);
        query_view(dq_TND, block, run).copy_(dq);
        add_key_gradient(dk_TKD, dk, block, run);
        add_key_gradient(dv_TKD, dv, block, run);
      }
    return {dq_TND, dk_TKD, dv_TKD, {}, {}, {}};
  }

  static std::vector<std::int64_t> flatten(const std::vector<HeadRun>& runs) {
    std::vector<std::int64_t> flat;
    for (const HeadRun& run : runs) flat.insert(flat.end(), {run.query_begin, run.key_begin, run.keys, run.group});
    return flat;
  }
  static std::vector<HeadRun> unflatten(const std::vector<std::int64_t>& flat) {
    std::vector<HeadRun> runs;
    for (std::size_t i = 0; i + 3 < flat.size(); i += 4) runs.push_back({flat[i], flat[i + 1], flat[i + 2], flat[i + 3]});
    return runs;
  }
};

/// For devices without the CPU kernel.
at::Tensor attention_with_aten(const at::Tensor& q_TND, const at::Tensor& k_TKD, const at::Tensor& v_TKD,
                               const std::vector<HeadRun>& runs, const std::vector<std::int64_t>& starts, bool causal) {
  std::vector<at::Tensor> sequences;
  for (const Block& block : blocks_of(starts, false)) {
    std::vector<at::Tensor> heads;
    for (const HeadRun& run : runs) {
      const at::Tensor out = at::scaled_dot_product_attention(query_view(q_TND, block, run), key_view(k_TKD, block, run),
                                                              key_view(v_TKD, block, run), std::nullopt, 0.0, causal);
      heads.push_back(run.group == 1 ? out.transpose(1, 2).flatten(0, 1) : out.permute({2, 0, 1, 3}).flatten(1, 2));
    }
    sequences.push_back(at::cat(heads, 1));
  }
  return at::cat(sequences, 0);
}

}  // namespace

LocalHeads local_heads(std::int64_t query_heads, std::int64_t key_value_heads, int parts, int part) {
  const std::int64_t group = query_heads / key_value_heads;
  LocalHeads share;
  share.query = parallel::even_share(query_heads, parts, part);
  const auto [begin, end] = share.query;
  share.key_value = {begin / group, begin == end ? begin / group : (end + group - 1) / group};
  std::int64_t head = begin;
  while (head < end) {
    const std::int64_t key = head / group;
    const std::int64_t whole = head % group == 0 ? (end - head) / group : 0;
    HeadRun run{head - begin, key - share.key_value.begin, std::max<std::int64_t>(whole, 1), group};
    if (whole == 0) run.group = std::min(end, (key + 1) * group) - head;
    head += run.keys * run.group;
    share.runs.push_back(run);
  }
  return share;
}

at::Tensor packed_attention(const at::Tensor& q_TND, const at::Tensor& k_TKD, const at::Tensor& v_TKD,
                            const std::vector<HeadRun>& runs, const std::vector<std::int64_t>& starts, bool causal) {
  // A rank without heads still takes its place in the graph, so that all tensor ranks run the same collectives.
  if (runs.empty()) return q_TND + 0 * (k_TKD.sum() + v_TKD.sum());
  if (q_TND.is_cpu()) return PackedAttentionFunction::apply(q_TND, k_TKD, v_TKD, &runs, starts, causal);
  return attention_with_aten(q_TND, k_TKD, v_TKD, runs, starts, causal);
}

at::Tensor last_token_attention(const at::Tensor& q_BND, const at::Tensor& k_BSKD, const at::Tensor& v_BSKD,
                                const std::vector<HeadRun>& runs, const at::Tensor& filled) {
  if (runs.empty()) return q_BND;
  at::Tensor out_BND = at::empty_like(q_BND);
  const std::optional<at::Tensor> mask = filled.defined() ? std::optional(filled) : std::nullopt;
  for (const HeadRun& run : runs) {
    // The heads of a group ask the same keys and values: to the kernel they are one head's queries.
    const auto queries = [&](const at::Tensor& x_BND) {
      return x_BND.narrow(1, run.query_begin, run.keys * run.group).unflatten(1, {run.keys, run.group});  // B,K,G,D
    };
    const auto keys = [&](const at::Tensor& x_BSKD) { return x_BSKD.narrow(2, run.key_begin, run.keys).transpose(1, 2); };
    queries(out_BND).copy_(at::scaled_dot_product_attention(queries(q_BND), keys(k_BSKD), keys(v_BSKD), mask));
  }
  return out_BND;
}

}  // namespace retain::models
