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

bool is_tied_apart(const ParameterSpec& spec) {
  return spec.pipeline_stages.size() > 1 && spec.pipeline_stages.front() != spec.pipeline_stages.back();
}

}  // namespace

Range data_share(std::int64_t slice_elements, int shares, int rank) {
  const std::int64_t share = (slice_elements + shares - 1) / shares;
  return {std::min(slice_elements, share * rank), std::min(slice_elements, share * (rank + 1))};
}

std::vector<Bucket> plan_buckets(const std::vector<std::int64_t>& share_sizes, const std::vector<at::ScalarType>& types,
                                 std::int64_t capacity) {
  std::vector<Bucket> buckets;
  for (std::size_t i = 0; i < share_sizes.size(); ++i) {
    for (std::int64_t begin = 0; begin < share_sizes[i];) {
      if (buckets.empty() || buckets.back().width == capacity ||
          types[buckets.back().stretches.back().parameter] != types[i])
        buckets.emplace_back();
      Bucket& bucket = buckets.back();
      const std::int64_t end = std::min(share_sizes[i], begin + capacity - bucket.width);
      bucket.stretches.push_back({i, begin, end});
      bucket.offsets.push_back(bucket.width);
      bucket.width += end - begin;
      begin = end;
    }
  }
  return buckets;
}

GradientReducer::GradientReducer(Gradients& gradients, const Mesh& mesh, bool shard, std::int64_t bucket_capacity)
    : gradients_(gradients), mesh_(mesh), shard_(shard && mesh.data().size() > 1) {
  std::vector<std::int64_t> share_sizes;
  std::vector<at::ScalarType> types;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const Parameter& parameter = gradients.parameter(i);
    share_sizes.push_back(data_share(parameter.value.numel(), shares(), 0).size());
    types.push_back(parameter.value.scalar_type());
    if (parameter.spec.overlapping() && parameter.spec.cut_dimension != 0)
      throw framework::Error(framework::ErrorKind::internal,
                             "overlapping slices are supported along dimension 0 only: " + parameter.spec.name);
  }
  if (mesh.data().size() == 1) {
    for (std::size_t i = 0; i < share_sizes.size(); ++i) layout_.push_back({i, 0, share_sizes[i]});
    return;
  }
  buckets_ = plan_buckets(share_sizes, types, std::max<std::int64_t>(1, bucket_capacity / shares()));
  for (const Bucket& bucket : buckets_)
    for (const ParameterPiece& stretch : bucket.stretches)
      layout_.push_back(piece_of(stretch, shard_ ? mesh.data().rank() : 0));
}

Range GradientReducer::share(std::size_t i) const {
  return data_share(gradients_.parameter(i).value.numel(), shares(), shard_ ? mesh_.data().rank() : 0);
}

/// The part of a parameter's slice that a stretch means in row `row`; possibly empty.
ParameterPiece GradientReducer::piece_of(const ParameterPiece& stretch, int row) const {
  const Range share = data_share(gradients_.parameter(stretch.parameter).value.numel(), shares(), row);
  return {stretch.parameter, std::min(share.end, share.begin + stretch.begin),
          std::min(share.end, share.begin + stretch.end)};
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

/// Copies a bucket's gradients into one buffer and frees each gradient with its last stretch.
at::Tensor GradientReducer::fill(const Bucket& bucket) {
  at::Tensor buffer = at::zeros({shares() * bucket.width}, gradients_.type(bucket.stretches.front().parameter));
  for (std::size_t k = 0; k < bucket.stretches.size(); ++k) {
    const std::size_t i = bucket.stretches[k].parameter;
    const at::Tensor gradient = gradients_.get(i);
    for (int row = 0; row < shares() && gradient.defined(); ++row) {
      const ParameterPiece piece = piece_of(bucket.stretches[k], row);
      buffer.narrow(0, row * bucket.width + bucket.offsets[k], piece.size())
          .copy_(gradient.view(-1).narrow(0, piece.begin, piece.size()));
    }
    const bool last = bucket.stretches[k].end == data_share(gradients_.parameter(i).value.numel(), shares(), 0).size();
    if (last) gradients_.set(i, at::Tensor());
  }
  return buffer;
}

std::vector<GradientPiece> GradientReducer::reduce_buckets(const std::vector<bool>& defined) {
  std::vector<GradientPiece> pieces;
  const auto collect = [&](const Bucket& bucket, const at::Tensor& row) {
    for (std::size_t k = 0; k < bucket.stretches.size(); ++k) {
      const ParameterPiece piece = piece_of(bucket.stretches[k], shard_ ? mesh_.data().rank() : 0);
      pieces.push_back({piece, defined[piece.parameter] ? row.narrow(0, bucket.offsets[k], piece.size()) : at::Tensor()});
    }
  };
  std::deque<std::unique_ptr<Work>> in_flight;
  for (const Bucket& bucket : buckets_) {
    at::Tensor buffer = fill(bucket);
    if (shard_) {
      at::Tensor row = at::empty({bucket.width}, buffer.options());
      mesh_.data().reduce_scatter(row, buffer);
      collect(bucket, row);
      continue;
    }
    in_flight.push_back(mesh_.data().all_reduce_async(buffer));
    collect(bucket, buffer);
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
  const auto part_of = [&](const ParameterPiece& piece) {
    return gradients_.parameter(piece.parameter).value.detach().view(-1).narrow(0, piece.begin, piece.size());
  };
  for (const Bucket& bucket : buckets_) {
    const at::Tensor& sample = gradients_.parameter(bucket.stretches.front().parameter).value;
    at::Tensor own = at::zeros({bucket.width}, sample.scalar_type());
    at::Tensor all = at::empty({shares() * bucket.width}, sample.scalar_type());
    for (std::size_t k = 0; k < bucket.stretches.size(); ++k) {
      const ParameterPiece piece = piece_of(bucket.stretches[k], mesh_.data().rank());
      own.narrow(0, bucket.offsets[k], piece.size()).copy_(part_of(piece));
    }
    mesh_.data().all_gather(all, own);
    for (int row = 0; row < shares(); ++row)
      for (std::size_t k = 0; k < bucket.stretches.size(); ++k) {
        const ParameterPiece piece = piece_of(bucket.stretches[k], row);
        part_of(piece).copy_(all.narrow(0, row * bucket.width + bucket.offsets[k], piece.size()));
      }
  }
}

}  // namespace retain::parallel
