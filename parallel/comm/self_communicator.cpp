// SPDX-License-Identifier: Apache-2.0
// A group of one rank.
#include "parallel/comm/self_communicator.h"

#include <utility>

#include "framework/base/error.h"

namespace retain::parallel {
namespace {

using framework::Error;
using framework::ErrorKind;

class FinishedWork final : public Work {
 public:
  void wait() override {}
};

class SelfCommunicator final : public Communicator {
 public:
  SelfCommunicator(std::string name, int world_rank, std::function<void(std::string_view)> describe)
      : Communicator(0, 1, std::move(name), {world_rank}), describe_(std::move(describe)) {}

  void all_reduce(at::Tensor&, ReduceOp) override {}
  std::unique_ptr<Work> all_reduce_async(at::Tensor, ReduceOp) override { return std::make_unique<FinishedWork>(); }
  void all_gather(at::Tensor& gathered, const at::Tensor& input) override { copy_flat(gathered, input); }
  void reduce_scatter(at::Tensor& output, const at::Tensor& input, ReduceOp) override { copy_flat(output, input); }
  void broadcast(at::Tensor&, int root) override { check_member(root); }
  void barrier() override {}
  std::unique_ptr<Work> send_async(at::Tensor, int to, int) override { return no_peer(to); }
  std::unique_ptr<Work> receive_async(at::Tensor, int from, int) override { return no_peer(from); }
  std::unique_ptr<Communicator> split(int, int, std::string name) override {
    return make_self_communicator(std::move(name), world_rank(0), describe_);
  }
  std::vector<std::string> gather_text(const std::string& text) override { return {text}; }
  std::string broadcast_text(std::string text, int root) override {
    check_member(root);
    return text;
  }
  void describe_activity(std::string_view text) override {
    if (describe_) describe_(text);
  }

 private:
  /// The two may have different shapes of the same number of elements, or be the same memory.
  static void copy_flat(at::Tensor& to, const at::Tensor& from) {
    if (to.numel() != from.numel() || to.scalar_type() != from.scalar_type()) {
      throw Error(ErrorKind::communication,
                  {"a collective's output does not fit its input",
                   std::to_string(from.numel()) + " elements of " + std::string(c10::toString(from.scalar_type())),
                   std::to_string(to.numel()) + " elements of " + std::string(c10::toString(to.scalar_type())),
                   {}});
    }
    if (to.data_ptr() != from.data_ptr()) to.view(-1).copy_(from.view(-1));
  }

  void check_member(int member) const {
    if (member == 0) return;
    throw Error(ErrorKind::communication, {"group '" + name() + "' has no member " + std::to_string(member),
                                           "member 0 of a group of one rank",
                                           std::to_string(member),
                                           {}});
  }

  std::unique_ptr<Work> no_peer(int member) const {
    throw Error(ErrorKind::communication,
                {"a message in group '" + name() + "', which has one rank", "a peer",
                 "member " + std::to_string(member), "send only where the group has more than one rank"});
  }

  std::function<void(std::string_view)> describe_;
};

}  // namespace

std::unique_ptr<Communicator> make_self_communicator(std::string name, int world_rank,
                                                     std::function<void(std::string_view)> describe) {
  return std::make_unique<SelfCommunicator>(std::move(name), world_rank, std::move(describe));
}

}  // namespace retain::parallel
