// SPDX-License-Identifier: Apache-2.0
// A job that goes wrong on purpose; watchdog_test starts it under mpirun. Its argument says how.
#include <ATen/ATen.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "framework/base/error.h"
#include "parallel/comm/mpi_session.h"

namespace {

using retain::parallel::Communicator;

constexpr auto for_ever = std::chrono::minutes(5);

void fail_as(const std::string& fault, Communicator& world) {
  const bool last = world.rank() == world.size() - 1;
  at::Tensor x = at::ones({1000});
  world.all_reduce(x);
  world.describe_activity("task counting, step 12");
  if (last && fault == "sleep") std::this_thread::sleep_for(for_ever);
  if (last && fault == "throw")
    throw retain::framework::Error(retain::framework::ErrorKind::data_invalid, "record 7 has no answer");
  if (fault == "throw_everywhere")
    throw retain::framework::Error(retain::framework::ErrorKind::config_invalid, "unknown key tensr");
  if (last && fault == "standard_exception") throw std::out_of_range("index 9 of 4");
  if (last && fault == "kill") ::kill(::getpid(), SIGKILL);
  if (last && fault == "exit") ::_exit(3);
  at::Tensor y = at::ones({last && fault == "other_size" ? 17 : 5000});
  if (last && fault == "other_operation") {
    world.barrier();
  } else if (last && fault == "other_dtype") {
    at::Tensor halves = y.to(at::kBFloat16);
    world.all_reduce(halves);
  } else if (fault == "no_receiver") {
    at::Tensor never = at::ones({4});
    if (world.rank() == 0) world.receive_async(never, 1, 0)->wait();
    std::this_thread::sleep_for(for_ever);
  } else if (fault == "message_size") {
    at::Tensor message = at::ones({world.rank() == 0 ? 10000 : 5000});
    if (world.rank() == 0) world.send_async(message, 1, 0)->wait();
    if (world.rank() == 1) world.receive_async(message, 0, 0)->wait();
    world.barrier();
  } else if (fault == "chain") {
    // 0 waits for 1, which comes to wait for 2 a second later, which comes to wait for 3 after another.
    std::vector<std::unique_ptr<Communicator>> pairs;
    for (const int first : {0, 1, 2}) {
      const bool within = world.rank() == first || world.rank() == first + 1;
      pairs.push_back(world.split(within ? 0 : 1 + world.rank(), world.rank(), "pair " + std::to_string(first)));
    }
    if (last) std::this_thread::sleep_for(for_ever);
    std::this_thread::sleep_for(std::chrono::seconds(world.rank()));
    pairs.at(static_cast<std::size_t>(world.rank()))->barrier();
  } else if (fault == "abandoned_work") {
    auto work = world.all_reduce_async(y);
    if (world.rank() == 0) throw std::runtime_error("rank 0 leaves its work");
    work->wait();
    world.barrier();
    std::this_thread::sleep_for(for_ever);
  } else {
    world.all_reduce(y);
    world.barrier();
  }
}

}  // namespace

int main(int argc, char** argv) {
  retain::parallel::MpiSession session(&argc, &argv);
  const std::string fault = argc > 1 ? argv[1] : "";
  const bool shared_memory = argc < 3 || std::string(argv[2]) != "messages";
  try {
    const auto world = session.open_world({.timeout = std::chrono::seconds(3), .shared_memory = shared_memory});
    fail_as(fault, *world);
    if (world->rank() == 0) std::cout << "done on " << world->size() << std::endl;
  } catch (const std::exception& error) {
    session.abort_all(error.what());
  }
  return 0;
}
