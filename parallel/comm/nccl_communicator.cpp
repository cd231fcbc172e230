// SPDX-License-Identifier: Apache-2.0
// The NCCL back end.
#include "parallel/comm/nccl_communicator.h"

#include <ATen/ATen.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAStream.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <utility>

#include "framework/base/error.h"
#include "parallel/comm/nccl_handle.h"
#include "parallel/comm/nccl_work.h"
#include "parallel/comm/self_communicator.h"
#include "parallel/comm/tensor_check.h"

namespace retain::parallel {
namespace {

using framework::Error;
using framework::ErrorKind;

ncclDataType_t nccl_type(c10::ScalarType dtype) {
  switch (dtype) {
    case c10::ScalarType::Float:
      return ncclFloat32;
    case c10::ScalarType::BFloat16:
      return ncclBfloat16;
    case c10::ScalarType::Double:
      return ncclFloat64;
    case c10::ScalarType::Long:
      return ncclInt64;
    case c10::ScalarType::Int:
      return ncclInt32;
    default:
      return ncclUint8;
  }
}

ncclRedOp_t nccl_op(ReduceOp op) {
  return op == ReduceOp::sum ? ncclSum : op == ReduceOp::max ? ncclMax : ncclMin;
}

/// Makes the group's NCCL communicator: the id is made by the first member and travels as text.
std::shared_ptr<NcclHandle> connect(Communicator& control, const WatchdogSettings& settings) {
  ncclUniqueId id{};
  if (control.rank() == 0) check_nccl(ncclGetUniqueId(&id), "ncclGetUniqueId");
  const std::string text = control.broadcast_text(std::string(id.internal, sizeof(id.internal)), 0);
  std::memcpy(id.internal, text.data(), std::min(text.size(), sizeof(id.internal)));
  return std::make_shared<NcclHandle>(id, control.rank(), control.size(), settings.timeout,
                                      "group '" + control.name() + "'");
}

std::vector<int> world_ranks_of(const Communicator& control) {
  std::vector<int> ranks;
  for (int member = 0; member < control.size(); ++member) ranks.push_back(control.world_rank(member));
  return ranks;
}

class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(std::shared_ptr<Communicator> control, const WatchdogSettings& settings)
      : Communicator(control->rank(), control->size(), control->name(), world_ranks_of(*control)),
        control_(std::move(control)),
        settings_(settings),
        collectives_(connect(*control_, settings)),
        upward_{connect(*control_, settings), c10::cuda::getStreamFromPool()},
        downward_{connect(*control_, settings), c10::cuda::getStreamFromPool()} {}

  void all_reduce(at::Tensor& tensor, ReduceOp op) override { all_reduce_async(tensor, op)->wait(); }

  std::unique_ptr<Work> all_reduce_async(at::Tensor tensor, ReduceOp op) override {
    check_tensor(tensor, "all_reduce", name(), c10::DeviceType::CUDA);
    count_bytes(static_cast<std::int64_t>(tensor.nbytes()));
    if (op == ReduceOp::sum && at::isFloatingType(tensor.scalar_type())) {
      const at::Tensor flat = tensor.view(-1);
      std::vector<at::Tensor> shares = shares_of(flat);
      at::Tensor own = shares[static_cast<std::size_t>(rank())];
      add_in_order(own, shares);
      return enqueue("all_reduce", {tensor}, [&](ncclComm_t comm, cudaStream_t stream) {
        for (int peer = 0; peer < size(); ++peer) {
          if (peer == rank()) continue;
          send(own, peer, comm, stream);
          receive(shares[static_cast<std::size_t>(peer)], peer, comm, stream);
        }
      });
    }
    return enqueue("all_reduce", {tensor}, [&](ncclComm_t comm, cudaStream_t stream) {
      check_nccl(ncclAllReduce(tensor.data_ptr(), tensor.data_ptr(), elements(tensor), nccl_type(tensor.scalar_type()),
                               nccl_op(op), comm, stream),
                 "ncclAllReduce");
    });
  }

  void all_gather(at::Tensor& gathered, const at::Tensor& input) override {
    check_blocks(gathered, input, size(), "all_gather", name(), c10::DeviceType::CUDA);
    count_bytes(static_cast<std::int64_t>(input.nbytes()));
    enqueue("all_gather", {gathered, input}, [&](ncclComm_t comm, cudaStream_t stream) {
      check_nccl(ncclAllGather(input.data_ptr(), gathered.data_ptr(), elements(input), nccl_type(input.scalar_type()),
                               comm, stream),
                 "ncclAllGather");
    })->wait();
  }

  void reduce_scatter(at::Tensor& output, const at::Tensor& input, ReduceOp op) override {
    check_blocks(input, output, size(), "reduce_scatter", name(), c10::DeviceType::CUDA);
    count_bytes(static_cast<std::int64_t>(input.nbytes()));
    if (op == ReduceOp::sum && at::isFloatingType(input.scalar_type())) {
      const at::Tensor flat = input.view(-1);
      std::vector<at::Tensor> blocks;
      for (int member = 0; member < size(); ++member) {
        blocks.push_back(flat.narrow(0, member * output.numel(), output.numel()));
      }
      at::Tensor target = output.view(-1);
      add_in_order(target, blocks);
      return enqueue("reduce_scatter", {output}, [](ncclComm_t, cudaStream_t) {})->wait();
    }
    enqueue("reduce_scatter", {output, input}, [&](ncclComm_t comm, cudaStream_t stream) {
      check_nccl(ncclReduceScatter(input.data_ptr(), output.data_ptr(), elements(output),
                                   nccl_type(input.scalar_type()), nccl_op(op), comm, stream),
                 "ncclReduceScatter");
    })->wait();
  }

  void broadcast(at::Tensor& tensor, int root) override {
    check_tensor(tensor, "broadcast", name(), c10::DeviceType::CUDA);
    check_member(root, size(), name());
    if (rank() == root) count_bytes(static_cast<std::int64_t>(tensor.nbytes()));
    enqueue("broadcast", {tensor}, [&](ncclComm_t comm, cudaStream_t stream) {
      check_nccl(ncclBroadcast(tensor.data_ptr(), tensor.data_ptr(), elements(tensor), nccl_type(tensor.scalar_type()),
                               root, comm, stream),
                 "ncclBroadcast");
    })->wait();
  }

  void barrier() override {
    enqueue("barrier", {}, [](ncclComm_t, cudaStream_t) {})->wait();
    control_->barrier();
  }

  std::unique_ptr<Work> send_async(at::Tensor tensor, int to, int) override {
    check_tensor(tensor, "send", name(), c10::DeviceType::CUDA);
    check_member(to, size(), name());
    count_bytes(static_cast<std::int64_t>(tensor.nbytes()));
    return message("send to member " + std::to_string(to), to > rank() ? upward_ : downward_, tensor,
                   [&](ncclComm_t comm, cudaStream_t stream) { send(tensor, to, comm, stream); });
  }

  std::unique_ptr<Work> receive_async(at::Tensor tensor, int from, int) override {
    check_tensor(tensor, "receive", name(), c10::DeviceType::CUDA);
    check_member(from, size(), name());
    return message("receive from member " + std::to_string(from), from < rank() ? upward_ : downward_, tensor,
                   [&](ncclComm_t comm, cudaStream_t stream) { receive(tensor, from, comm, stream); });
  }

  std::unique_ptr<Communicator> split(int color, int key, std::string name) override {
    std::shared_ptr<Communicator> control = control_->split(color, key, std::move(name));
    if (control->size() == 1)
      return make_self_communicator(control->name(), control->world_rank(0),
                                    [control](std::string_view text) { control->describe_activity(text); });
    return std::make_unique<NcclCommunicator>(std::move(control), settings_);
  }

  std::vector<std::string> gather_text(const std::string& text) override { return control_->gather_text(text); }
  std::string broadcast_text(std::string text, int root) override {
    return control_->broadcast_text(std::move(text), root);
  }
  void describe_activity(std::string_view text) override { control_->describe_activity(text); }

 private:
  using Calls = std::function<void(ncclComm_t, cudaStream_t)>;

  /// Messages of one direction have a communicator and a stream of their own: a rank that sends up before it receives
  /// from above cannot block its peer that does the same.
  struct Lane {
    std::shared_ptr<NcclHandle> comm;
    c10::cuda::CUDAStream stream;
  };

  static std::size_t elements(const at::Tensor& tensor) { return static_cast<std::size_t>(tensor.numel()); }

  static void send(const at::Tensor& tensor, int to, ncclComm_t comm, cudaStream_t stream) {
    if (tensor.numel() == 0) return;
    check_nccl(ncclSend(tensor.data_ptr(), elements(tensor), nccl_type(tensor.scalar_type()), to, comm, stream),
               "ncclSend");
  }
  static void receive(const at::Tensor& tensor, int from, ncclComm_t comm, cudaStream_t stream) {
    if (tensor.numel() == 0) return;
    check_nccl(ncclRecv(tensor.data_ptr(), elements(tensor), nccl_type(tensor.scalar_type()), from, comm, stream),
               "ncclRecv");
  }

  std::string operation_name(const std::string& operation) const { return operation + " in group '" + name() + "'"; }

  /// Runs the calls as one NCCL group on the current stream.
  std::unique_ptr<Work> enqueue(const std::string& operation, std::vector<at::Tensor> kept, const Calls& calls) const {
    const cudaStream_t stream = c10::cuda::getCurrentCUDAStream().stream();
    run_group(*collectives_, operation, stream, calls);
    return std::make_unique<NcclWork>(collectives_, stream, std::move(kept), operation_name(operation),
                                      settings_.timeout);
  }

  std::unique_ptr<Work> message(const std::string& operation, const Lane& lane, at::Tensor tensor,
                                const Calls& calls) const {
    CudaEvent ready;  // the lane starts after what the current stream has computed so far
    check_cuda(cudaEventRecord(ready.get(), c10::cuda::getCurrentCUDAStream().stream()), "cudaEventRecord");
    check_cuda(cudaStreamWaitEvent(lane.stream.stream(), ready.get(), 0), "cudaStreamWaitEvent");
    c10::cuda::CUDACachingAllocator::recordStream(tensor.storage().data_ptr(), lane.stream);
    run_group(*lane.comm, operation, lane.stream.stream(), calls);
    return std::make_unique<NcclWork>(lane.comm, lane.stream.stream(), std::vector<at::Tensor>{std::move(tensor)},
                                      operation_name(operation), settings_.timeout);
  }

  void run_group(const NcclHandle& comm, const std::string& operation, cudaStream_t stream, const Calls& calls) const {
    check_nccl(ncclGroupStart(), "ncclGroupStart");
    calls(comm.get(), stream);
    check_nccl(ncclGroupEnd(), "ncclGroupEnd");
    comm.settle(operation_name(operation));
  }

  std::vector<at::Tensor> shares_of(const at::Tensor& flat) const {
    const std::int64_t each = (flat.numel() + size() - 1) / size();
    std::vector<at::Tensor> shares;
    for (int member = 0; member < size(); ++member) {
      const std::int64_t start = std::min(flat.numel(), member * each);
      shares.push_back(flat.narrow(0, start, std::min(each, flat.numel() - start)));
    }
    return shares;
  }

  /// target = Σ over members, left to right, of what they hold as blocks[this rank]; bfloat16 in float32, rounded once.
  void add_in_order(at::Tensor& target, const std::vector<at::Tensor>& blocks) const {
    const at::Tensor& own = blocks[static_cast<std::size_t>(rank())];
    std::vector<at::Tensor> pieces;
    for (int member = 0; member < size(); ++member) pieces.push_back(member == rank() ? own : at::empty_like(own));
    enqueue("the exchange of a reduction", pieces, [&](ncclComm_t comm, cudaStream_t stream) {
      for (int peer = 0; peer < size(); ++peer) {
        if (peer == rank()) continue;
        send(blocks[static_cast<std::size_t>(peer)], peer, comm, stream);
        receive(pieces[static_cast<std::size_t>(peer)], peer, comm, stream);
      }
    })->wait();
    const c10::ScalarType wide = own.scalar_type() == at::kBFloat16 ? at::kFloat : own.scalar_type();
    at::Tensor sum = pieces.front().to(wide, /*non_blocking=*/false, /*copy=*/true);
    for (std::size_t member = 1; member < pieces.size(); ++member) sum.add_(pieces[member].to(wide));
    target.copy_(sum);
  }

  std::shared_ptr<Communicator> control_;
  WatchdogSettings settings_;
  std::shared_ptr<NcclHandle> collectives_;
  Lane upward_;
  Lane downward_;
};

/// This rank's place among the ranks of its host.
int place_on_host(Communicator& control) {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  const std::vector<std::string> hosts = control.gather_text(host.data());
  return static_cast<int>(
      std::count(hosts.begin(), hosts.begin() + control.rank(), hosts[static_cast<std::size_t>(control.rank())]));
}

}  // namespace

int nccl_devices() {
  int devices = 0;
  return cudaGetDeviceCount(&devices) == cudaSuccess ? devices : 0;
}

std::shared_ptr<Communicator> open_nccl_world(std::shared_ptr<Communicator> control, const WatchdogSettings& settings) {
  const int device = place_on_host(*control);
  if (device >= nccl_devices()) {
    throw Error(
        ErrorKind::mesh_invalid,
        {"this host has more ranks than CUDA devices", "at most " + std::to_string(nccl_devices()) + " ranks on it",
         "rank " + std::to_string(control->rank()) + " is number " + std::to_string(device + 1),
         "start one rank per device"});
  }
  check_cuda(cudaSetDevice(device), "cudaSetDevice");
  if (control->size() == 1) return control;
  return std::make_shared<NcclCommunicator>(std::move(control), settings);
}

}  // namespace retain::parallel
