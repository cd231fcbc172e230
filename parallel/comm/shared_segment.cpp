// SPDX-License-Identifier: Apache-2.0
// Anonymous shared memory: a memfd of rank 0 that the others open through /proc.
#include "parallel/comm/shared_segment.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "parallel/comm/mpi_check.h"

namespace retain::parallel {
namespace {

/// A file descriptor that is closed when it goes.
class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int value() const { return value_; }

 private:
  int value_;
};

int create_file(std::size_t bytes) {
  const int file = ::memfd_create("retain", MFD_CLOEXEC);
  if (file < 0) return -1;
  if (::ftruncate(file, static_cast<off_t>(bytes)) == 0) return file;
  ::close(file);
  return -1;
}

std::byte* map(int file, std::size_t bytes) {
  if (file < 0) return nullptr;
  void* address = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (address == MAP_FAILED) return nullptr;
  ::madvise(address, bytes, MADV_HUGEPAGE);
  return static_cast<std::byte*>(address);
}

}  // namespace

std::unique_ptr<SharedSegment> SharedSegment::create(MPI_Comm comm, std::size_t bytes) {
  int rank = 0;
  check_mpi(MPI_Comm_rank(comm, &rank), "MPI_Comm_rank");
  std::array<long long, 2> origin = {0, -1};  // process and descriptor of rank 0
  const Descriptor own(rank == 0 ? create_file(bytes) : -1);
  if (rank == 0) origin = {::getpid(), own.value()};
  check_mpi(MPI_Bcast(origin.data(), 2, MPI_LONG_LONG, 0, comm), "MPI_Bcast of a shared segment");

  std::byte* data = nullptr;
  if (rank == 0) {
    data = map(own.value(), bytes);
  } else if (origin[1] >= 0) {
    std::array<char, 64> path{};
    std::snprintf(path.data(), path.size(), "/proc/%lld/fd/%lld", origin[0], origin[1]);
    const Descriptor opened(::open(path.data(), O_RDWR | O_CLOEXEC));
    data = map(opened.value(), bytes);
  }
  int mapped = data != nullptr ? 1 : 0;
  int all_mapped = 0;
  check_mpi(MPI_Allreduce(&mapped, &all_mapped, 1, MPI_INT, MPI_MIN, comm), "MPI_Allreduce of a shared segment");
  if (all_mapped == 1) return std::unique_ptr<SharedSegment>(new SharedSegment(data, bytes));
  if (data != nullptr) ::munmap(data, bytes);
  return nullptr;
}

SharedSegment::~SharedSegment() {
  ::munmap(data_, bytes_);
}

}  // namespace retain::parallel
