// SPDX-License-Identifier: Apache-2.0
// Bucketed gradient reduction and parameter gathering.
#include "parallel/data_parallel.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "framework/base/error.h"

namespace retain::parallel {

namespace {

constexpr int kTiedTag = 2;          // point-to-point tag apart from the pipeline runner's
constexpr std::size_t kInFlight = 2;  // buckets being reduced while the next is filled

/// The parts of a bucket that lie in [begin, end) of its buffer, cut to it.
template <typename Visit>
void for_pieces_in(const Bucket& bucket, std::int64_t begin, std::int64_t end, Visit visit) {
  for (std::size_t k = 0; k < bucket.pieces.size(); ++k) {
    const std::int64_t from = std::max(begin, bucket.offsets[k]);
    const std::int64_t to = std::min(end, bucket.offsets[k] + bucket.pieces[k].size());
    if (from >= to) continue;
    const std::int64_t shift = bucket.pieces[k].begin - bucket.offsets[k];
    visit(ParameterPiece{bucket.pieces[k].parameter, from + shift, to + shift}, from);
  }
}

bool is_tied_apart(const ParameterSpec& spec) {
  return spec.pipeline_stages.size() > 1 && spec.pipeline_stages.front() != spec.pipeline_stages.back();
}

}  // namespace

std::vector<Bucket> plan_buckets(const std::vector<std::int64_t>& sizes, const std::vector<at::ScalarType>& types,
                                 std::int64_t capacity, int shares) {
  std::vector<Bucket> buckets;
  std::int64_t used = 0;
  const auto close = [&] {
    if (!buckets.empty()) buckets.back().padded = (used + shares - 1) / shares * shares;
  };
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    for (std::int64_t begin = 0; begin < sizes[i];) {
      const bool other_type = !buckets.empty() && types[buckets.back().pieces.back().parameter] != types[i];
      if (buckets.empty() || used == capacity || other_type) {
        close();
        buckets.emplace_back();
        used = 0;
      }
      const std::int64_t end = std::min(sizes[i], begin + capacity - used);
      buckets.back().pieces.push_back({i, begin, end});
      buckets.back().offsets.push_back(used);
      used += end - begin;
      begin = end;
    }
  }
  close();
  return buckets;
}

GradientReducer::GradientReducer(Gradients& gradients, const Mesh& mesh, bool shard, std::int64_t bucket_capacity)
    : gradients_(gradients), mesh_(mesh), shard_(shard && mesh.data().size() > 1) {
  std::vector<std::int64_t> sizes;
  std::vector<at::ScalarType> types;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    sizes.push_back(gradients.parameter(i).value.numel());
    types.push_back(gradients.parameter(i).value.scalar_type());
    if (gradients.parameter(i).spec.overlapping() && gradients.parameter(i).spec.cut_dimension != 0)
      throw framework::Error(framework::ErrorKind::internal,
                             "overlapping slices are supported along dimension 0 only: " + gradients.parameter(i).spec.name);
  }
  if (mesh.data().size() == 1) {
    for (std::size_t i = 0; i < sizes.size(); ++i) layout_.push_back({i, 0, sizes[i]});
    return;
  }
  buckets_ = plan_buckets(sizes, types, bucket_capacity, mesh.data().size());
  for (const Bucket& bucket : buckets_) {
    const std::int64_t share = bucket.padded / mesh.data().size();
    const std::int64_t begin = shard_ ? share * mesh.data().rank() : 0;
    const std::int64_t end = shard_ ? begin + share : bucket.padded;
    for_pieces_in(bucket, begin, end, [&](const ParameterPiece& piece, std::int64_t) { layout_.push_back(piece); });
  }
}

ReducedGradients GradientReducer::reduce() {
  const at::NoGradGuard no_gradients;
  for (std::size_t i = 0; i < gradients_.size(); ++i) {
    if (mesh_.tensor().size() > 1 && gradients_.parameter(i).spec.overlapping()) sum_overlapping(i);
    if (mesh_.pipeline().size() > 1 && is_tied_apart(gradients_.parameter(i).spec)) sum_tied(i);
  }
  ReducedGradients reduced;
  reduced.defined = agree_on_defined();
  if (mesh_.data().size() > 1) {
    reduced.pieces = reduce_buckets(reduced.defined);
    return reduced;
  }
  for (const ParameterPiece& where : layout_) {
    at::Tensor gradient = gradients_.get(where.parameter);
    reduced.pieces.push_back({where, gradient.defined() ? gradient.view(-1) : gradient});
    gradients_.set(where.parameter, at::Tensor());
  }
  return reduced;
}

/// Rows held by several tensor ranks have a part of their gradient on each: sum in a buffer of the global shape.
void GradientReducer::sum_overlapping(std::size_t i) {
  const at::Tensor gradient = gradients_.get(i);
  if (!gradient.defined()) return;  // the same on all tensor ranks: they see the same micro-batches
  const ParameterSpec& spec = gradients_.parameter(i).spec;
  const Range own = spec.cuts.at(static_cast<std::size_t>(mesh_.tensor().rank()));
  at::Tensor whole = at::zeros(spec.shape, at::kFloat);
  whole.narrow(0, own.begin, own.size()).copy_(gradient);
  mesh_.tensor().all_reduce(whole);
  gradients_.set(i, whole.narrow(0, own.begin, own.size()).to(gradient.scalar_type(), /*non_blocking=*/false, /*copy=*/true));
}

/// First and last pipeline stage exchange their parts and add them in the same order.
void GradientReducer::sum_tied(std::size_t i) {
  const std::vector<int>& stages = gradients_.parameter(i).spec.pipeline_stages;
  const int first = stages.front(), last = stages.back();
  const int here = mesh_.pipeline().rank();
  const int other = here == first ? last : first;
  at::Tensor own = gradients_.get(i);
  if (!own.defined()) own = at::zeros(gradients_.parameter(i).value.sizes(), gradients_.type(i));
  at::Tensor theirs = at::empty_like(own);
  auto receive = mesh_.pipeline().receive_async(theirs, other, kTiedTag);
  auto send = mesh_.pipeline().send_async(own, other, kTiedTag);
  receive->wait();
  send->wait();
  gradients_.set(i, here == first ? own + theirs : theirs + own);
}

/// A parameter no data rank reached in this step is left alone by the optimizer, as torch does with an absent gradient.
std::vector<bool> GradientReducer::agree_on_defined() {
  at::Tensor flags = at::zeros({static_cast<std::int64_t>(gradients_.size())}, at::kInt);
  for (std::size_t i = 0; i < gradients_.size(); ++i)
    flags.data_ptr<std::int32_t>()[i] = gradients_.get(i).defined() ? 1 : 0;
  if (mesh_.data().size() > 1 && gradients_.size() > 0) mesh_.data().all_reduce(flags, ReduceOp::max);
  std::vector<bool> defined(gradients_.size());
  for (std::size_t i = 0; i < defined.size(); ++i) defined[i] = flags.data_ptr<std::int32_t>()[i] != 0;
  return defined;
}

/// Copies a bucket's gradients into one buffer and frees each gradient with its last piece.
at::Tensor GradientReducer::fill(const Bucket& bucket) {
  at::Tensor buffer = at::empty({bucket.padded}, gradients_.type(bucket.pieces.front().parameter));
  for (std::size_t k = 0; k < bucket.pieces.size(); ++k) {
    const ParameterPiece& piece = bucket.pieces[k];
    const at::Tensor gradient = gradients_.get(piece.parameter);
    at::Tensor part = buffer.narrow(0, bucket.offsets[k], piece.size());
    if (gradient.defined())
      part.copy_(gradient.view(-1).narrow(0, piece.begin, piece.size()));
    else
      part.zero_();
    if (piece.end == gradients_.parameter(piece.parameter).value.numel()) gradients_.set(piece.parameter, at::Tensor());
  }
  const std::int64_t used = bucket.offsets.back() + bucket.pieces.back().size();
  buffer.narrow(0, used, bucket.padded - used).zero_();
  return buffer;
}

std::vector<GradientPiece> GradientReducer::reduce_buckets(const std::vector<bool>& defined) {
  std::vector<GradientPiece> pieces;
  const auto collect = [&](const Bucket& bucket, const at::Tensor& values, std::int64_t begin) {
    for_pieces_in(bucket, begin, begin + values.numel(), [&](const ParameterPiece& piece, std::int64_t offset) {
      pieces.push_back({piece, defined[piece.parameter] ? values.narrow(0, offset - begin, piece.size()) : at::Tensor()});
    });
  };
  std::deque<std::unique_ptr<Work>> in_flight;
  for (const Bucket& bucket : buckets_) {
    at::Tensor buffer = fill(bucket);
    if (shard_) {
      at::Tensor share = at::empty({bucket.padded / mesh_.data().size()}, buffer.options());
      mesh_.data().reduce_scatter(share, buffer);
      collect(bucket, share, share.numel() * mesh_.data().rank());
      continue;
    }
    in_flight.push_back(mesh_.data().all_reduce_async(buffer));
    collect(bucket, buffer, 0);
    if (in_flight.size() > kInFlight) {
      in_flight.front()->wait();
      in_flight.pop_front();
    }
  }
  for (auto& work : in_flight) work->wait();
  return pieces;
}

void GradientReducer::gather_parameters() {
  if (!shard_) return;
  const at::NoGradGuard no_gradients;
  for (const Bucket& bucket : buckets_) {
    const at::TensorOptions options = gradients_.parameter(bucket.pieces.front().parameter).value.options().requires_grad(false);
    const std::int64_t share_size = bucket.padded / mesh_.data().size();
    const std::int64_t begin = share_size * mesh_.data().rank();
    at::Tensor share = at::zeros({share_size}, options);
    at::Tensor whole = at::empty({bucket.padded}, options);
    const auto part_of = [&](const ParameterPiece& piece) {
      return gradients_.parameter(piece.parameter).value.detach().view(-1).narrow(0, piece.begin, piece.size());
    };
    for_pieces_in(bucket, begin, begin + share_size, [&](const ParameterPiece& piece, std::int64_t offset) {
      share.narrow(0, offset - begin, piece.size()).copy_(part_of(piece));
    });
    mesh_.data().all_gather(whole, share);
    for_pieces_in(bucket, 0, bucket.padded, [&](const ParameterPiece& piece, std::int64_t offset) {
      part_of(piece).copy_(whole.narrow(0, offset, piece.size()));
    });
  }
}

}  // namespace retain::parallel
