// SPDX-License-Identifier: Apache-2.0
// Executes a 1F1B action list. Shape suffixes: T packed tokens, H hidden.
#include "parallel/pipeline/runner.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/variable.h>

#include <deque>
#include <map>
#include <utility>

#include "framework/base/dtype.h"
#include "framework/base/error.h"
#include "parallel/pipeline/schedule.h"

namespace retain::parallel {

namespace {

using Kind = PipelineActionKind;

constexpr int kActivationTag = 0;
constexpr int kGradientTag = 1;

/// A message under way and the memory it reads or fills.
struct Message {
  at::Tensor tensor;
  std::unique_ptr<Work> work;
  int micro_batch = 0;
};

/// Runs the engine from one root without keeping the root's data alive.
void run_backward(const torch::autograd::Edge& root, const at::Tensor& gradient) {
  torch::autograd::Engine::get_default_engine().execute({root}, {gradient}, /*keep_graph=*/false,
                                                        /*create_graph=*/false, /*accumulate_grad=*/true);
}

/// One run over all micro-batches of one rank.
class Execution {
 public:
  Execution(Communicator& pipeline, PipelineComputation& computation, std::vector<BackwardNeed> needs)
      : pipeline_(pipeline),
        computation_(computation),
        needs_(std::move(needs)),
        actions_(one_forward_one_backward(pipeline.size(), pipeline.rank(), needs_)) {}

  double run() {
    for (std::size_t i = 0; i < actions_.size(); ++i) {
      if (computes(actions_[i].kind)) post_next_receives(i + 1);
      perform(actions_[i]);
    }
    while (!gradient_sends_.empty()) finish_oldest(gradient_sends_);
    while (!activation_sends_.empty()) finish_oldest(activation_sends_);
    return loss_;
  }

 private:
  static bool computes(Kind kind) { return kind == Kind::forward || kind == Kind::backward; }
  bool is_last() const { return pipeline_.rank() == pipeline_.size() - 1; }
  const BackwardNeed& need(int m) const { return needs_[static_cast<std::size_t>(m)]; }

  /// Receives up to the next computation are posted before the current one starts, so that they overlap with it.
  void post_next_receives(std::size_t from) {
    for (std::size_t i = from; i < actions_.size() && !computes(actions_[i].kind); ++i) {
      if (actions_[i].kind == Kind::receive_activation) post(activations_, actions_[i].micro_batch, -1, kActivationTag);
      if (actions_[i].kind == Kind::receive_gradient) post(gradients_, actions_[i].micro_batch, +1, kGradientTag);
    }
  }

  void post(std::map<int, Message>& box, int m, int step, int tag) {
    if (box.contains(m)) return;
    Message message;
    message.tensor =
        at::empty(computation_.activation_shape(m), at::TensorOptions().dtype(computation_.activation_type()));
    message.work = pipeline_.receive_async(message.tensor, pipeline_.rank() + step, tag);
    box.emplace(m, std::move(message));
  }

  void perform(const PipelineAction& action) {
    const int m = action.micro_batch;
    switch (action.kind) {
      case Kind::receive_activation: return receive(activations_, m, -1, kActivationTag);
      case Kind::receive_gradient: return receive(gradients_, m, +1, kGradientTag);
      case Kind::forward: return forward(m);
      case Kind::backward: return backward(m);
      case Kind::send_activation: return send_activation(m);
      case Kind::send_gradient: return send_gradient(m);
    }
  }

  void receive(std::map<int, Message>& box, int m, int step, int tag) {
    post(box, m, step, tag);
    Message& message = box.at(m);
    message.work->wait();
    message.work.reset();
  }

  void forward(int m) {
    at::Tensor input_TH;
    if (auto received = activations_.extract(m)) input_TH = std::move(received.mapped().tensor);
    const at::AutoGradMode gradients(need(m).here);
    if (need(m).below && input_TH.defined()) input_TH.requires_grad_(true);
    at::Tensor output = computation_.forward(m, input_TH);
    if (need(m).here && output.requires_grad()) roots_[m] = torch::autograd::impl::gradient_edge(output);
    if (need(m).below) inputs_[m] = input_TH;
    if (is_last()) {
      loss_ += output.item<double>();
    } else {
      outputs_[m] = output.detach();
    }
  }

  void backward(int m) {
    at::Tensor gradient_TH;
    if (auto received = gradients_.extract(m)) gradient_TH = std::move(received.mapped().tensor);
    // A gradient that came back proves that its activation arrived: that send is over and its memory can go.
    while (!activation_sends_.empty() && activation_sends_.front().micro_batch <= m) finish_oldest(activation_sends_);
    if (is_last()) gradient_TH = at::ones({}, at::kFloat);
    const auto root = roots_.extract(m);
    if (root) run_backward(root.mapped(), gradient_TH);
  }

  void send_activation(int m) {
    Message message;
    message.tensor = outputs_.extract(m).mapped().contiguous();
    check_shape(message.tensor, m);
    message.micro_batch = m;
    message.work = pipeline_.send_async(message.tensor, pipeline_.rank() + 1, kActivationTag);
    activation_sends_.push_back(std::move(message));
    // A forward-only pipeline stage would otherwise run ahead of its successor and hold every activation of the step.
    // With backward passes the same bound follows from 1F1B, and waiting here could deadlock with a gradient under way.
    const std::size_t bound = static_cast<std::size_t>(pipeline_.size() - pipeline_.rank());
    while (!needs_any_backward() && activation_sends_.size() > bound) finish_oldest(activation_sends_);
  }

  bool needs_any_backward() const {
    for (const BackwardNeed& need : needs_)
      if (need.here) return true;
    return false;
  }

  void send_gradient(int m) {
    at::Tensor input_TH = inputs_.extract(m).mapped();
    Message message;
    message.tensor = input_TH.grad().defined() ? input_TH.grad().contiguous() : at::zeros_like(input_TH);
    message.work = pipeline_.send_async(message.tensor, pipeline_.rank() - 1, kGradientTag);
    gradient_sends_.push_back(std::move(message));
    // The previous pipeline stage takes these in order and needs nothing further from here to do so.
    while (gradient_sends_.size() > static_cast<std::size_t>(pipeline_.size())) finish_oldest(gradient_sends_);
  }

  void check_shape(const at::Tensor& output_TH, int m) const {
    const std::vector<std::int64_t> expected = computation_.activation_shape(m);
    if (output_TH.sizes() == at::IntArrayRef(expected) && output_TH.scalar_type() == computation_.activation_type()) return;
    throw framework::Error(framework::ErrorKind::internal,
                           {"a pipeline stage's result has not the shape its successor expects",
                            framework::to_string(expected), framework::to_string(output_TH.sizes().vec()), ""});
  }

  static void finish_oldest(std::deque<Message>& messages) {
    messages.front().work->wait();
    messages.pop_front();
  }

  Communicator& pipeline_;
  PipelineComputation& computation_;
  std::vector<BackwardNeed> needs_;
  std::vector<PipelineAction> actions_;
  std::map<int, Message> activations_, gradients_;    ///< received or being received, by micro-batch
  std::map<int, at::Tensor> inputs_, outputs_;        ///< [T,H]
  std::map<int, torch::autograd::Edge> roots_;        ///< where the backward pass of a micro-batch starts
  std::deque<Message> activation_sends_, gradient_sends_;
  double loss_ = 0;
};

}  // namespace

double PipelineRunner::run(PipelineComputation& computation) {
  savings_ = {};
  std::vector<BackwardNeed> needs(static_cast<std::size_t>(computation.micro_batches()));
  for (int m = 0; m < computation.micro_batches(); ++m) {
    BackwardNeed& need = needs[static_cast<std::size_t>(m)];
    need.below = false;
    for (int p = 0; p < pipeline_.rank(); ++p) need.below = need.below || computation.trains(p, m);
    need.here = need.below || computation.trains(pipeline_.rank(), m);
    savings_.backward_passes += !need.here;
    if (pipeline_.rank() > 0 && !need.below)
      savings_.gradient_bytes += framework::elements_of(computation.activation_shape(m)) *
                                 static_cast<std::int64_t>(c10::elementSize(computation.activation_type()));
  }
  return Execution(pipeline_, computation, std::move(needs)).run();
}

double PipelineRunner::evaluate(PipelineComputation& computation) {
  const std::vector<BackwardNeed> none(static_cast<std::size_t>(computation.micro_batches()), {false, false});
  return Execution(pipeline_, computation, none).run();
}

}  // namespace retain::parallel
