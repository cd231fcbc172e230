// SPDX-License-Identifier: Apache-2.0
// The one interface through which ranks talk. Back ends: MPI (CPU tensors; shared memory inside a node) and NCCL (CUDA
// tensors), chosen as whole source files by CMake. A group of size one is the identity: nothing is sent or copied.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace retain::parallel {

enum class ReduceOp { sum, max, min };

/// A started operation. wait() returns when the tensors it names may be read and reused; it must be called exactly
/// once. Destroying a Work that was not waited for waits for it.
class Work {
 public:
  virtual ~Work() = default;
  virtual void wait() = 0;
};

/// A group of ranks. All members call the same operations in the same order (point-to-point excepted).
/// Tensors must be contiguous and on the back end's device; dtypes float32, bfloat16, float64, int64, int32, uint8.
/// Reductions of bfloat16 accumulate in float32 and round once. Results are bitwise identical on all ranks and from run
/// to run (ranks are added in rank order). Errors: Error(communication) naming the operation, this rank, and the ranks
/// that did not arrive within the watchdog's time, or that called a different operation.
class Communicator {
 public:
  virtual ~Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  int rank() const noexcept { return rank_; }
  int size() const noexcept { return size_; }
  /// What this group is for ("world", "data", "pipeline", "tensor"); named in messages.
  const std::string& name() const noexcept { return name_; }
  /// Rank in MPI_COMM_WORLD of a member of this group.
  int world_rank(int member) const { return world_ranks_.at(static_cast<std::size_t>(member)); }

  /// In place: every rank ends with the reduction of all ranks' tensors.
  virtual void all_reduce(at::Tensor& tensor, ReduceOp op = ReduceOp::sum) = 0;
  virtual std::unique_ptr<Work> all_reduce_async(at::Tensor tensor, ReduceOp op = ReduceOp::sum) = 0;
  /// `gathered` has size() × input.numel() elements; the block of rank r is r-th.
  virtual void all_gather(at::Tensor& gathered, const at::Tensor& input) = 0;
  /// `input` has size() × output.numel() elements; rank r gets the reduced r-th block.
  virtual void reduce_scatter(at::Tensor& output, const at::Tensor& input, ReduceOp op = ReduceOp::sum) = 0;
  virtual void broadcast(at::Tensor& tensor, int root) = 0;
  virtual void barrier() = 0;

  /// Point to point; sends and receives between a pair with the same tag match in order.
  virtual std::unique_ptr<Work> send_async(at::Tensor tensor, int to, int tag) = 0;
  virtual std::unique_ptr<Work> receive_async(at::Tensor tensor, int from, int tag) = 0;

  /// Collective: members with the same `color` form a new group, ordered by `key` then rank.
  virtual std::unique_ptr<Communicator> split(int color, int key, std::string name) = 0;

  /// Small host values, used for control: text of every rank in rank order, and text of `root` on all.
  virtual std::vector<std::string> gather_text(const std::string& text) = 0;
  virtual std::string broadcast_text(std::string text, int root) = 0;

  /// What this rank is about to do ("recipe sa_proj, task counting, step 12"); peers that wait for it name this text.
  virtual void describe_activity(std::string_view text) { static_cast<void>(text); }

  /// Bytes this rank has handed to the operations above since the start (the log and tests read it).
  std::int64_t bytes_sent() const noexcept { return bytes_sent_; }

 protected:
  Communicator(int rank, int size, std::string name, std::vector<int> world_ranks)
      : rank_(rank), size_(size), name_(std::move(name)), world_ranks_(std::move(world_ranks)) {}
  void count_bytes(std::int64_t bytes) noexcept { bytes_sent_ += bytes; }

 private:
  int rank_;
  int size_;
  std::string name_;
  std::vector<int> world_ranks_;
  std::int64_t bytes_sent_ = 0;
};

}  // namespace retain::parallel
