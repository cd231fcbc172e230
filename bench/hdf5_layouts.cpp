// SPDX-License-Identifier: Apache-2.0
// HDF5's own ways to let several ranks write one state: hyperslabs of one file through MPI-IO (collective and independent), and a
// file a rank joined by a virtual dataset. 3 GiB in 48 arrays of 64 MiB, cut along rows over the ranks; fsync included, no digests;
// reading from a cold cache into memory that exists. bench_sharded_store is Retain's own way over as many bytes.
//
//     mpirun -np N bench_hdf5_layouts FOLDER [--rounds N]
//
// Prints one JSON object a layout: seconds of every round.
#include <fcntl.h>
#include <mpi.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "framework/store/hdf5_handle.h"

namespace {

using retain::framework::Hdf5Handle;
using retain::framework::hdf5_check;
namespace fs = std::filesystem;
namespace json = retain::framework::json;

constexpr hsize_t kArrays = 48, kRows = 4096, kColumns = 4096;  // float32: 64 MiB an array

struct Ranks {
  int rank = 0, size = 1;
  hsize_t first() const { return kRows * static_cast<hsize_t>(rank) / static_cast<hsize_t>(size); }
  hsize_t rows() const { return kRows * static_cast<hsize_t>(rank + 1) / static_cast<hsize_t>(size) - first(); }
};

std::string array_name(hsize_t number) { return "array" + std::to_string(number); }

void sync_file(const fs::path& path, bool forget) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  ::fsync(file);
  if (forget) ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
  ::close(file);
}

Hdf5Handle plane(hsize_t rows) {
  const hsize_t size[] = {rows, kColumns};
  return {H5Screate_simple(2, size, nullptr), H5Sclose, "make a space"};
}

void select_rows(const Hdf5Handle& space, hsize_t first, hsize_t rows) {
  const hsize_t start[] = {first, 0}, count[] = {rows, kColumns};
  hdf5_check(H5Sselect_hyperslab(space, H5S_SELECT_SET, start, nullptr, count, nullptr), "select rows");
}

/// One way to lay out the arrays; writing and reading are collective.
struct Layout {
  virtual ~Layout() = default;
  virtual std::string name() const = 0;
  virtual void write(const fs::path& folder, const Ranks& ranks, const std::vector<std::vector<float>>& state) = 0;
  virtual void read(const fs::path& folder, const Ranks& ranks, std::vector<std::vector<float>>& state) = 0;
};

struct OneFile : Layout {
  explicit OneFile(bool is_collective) : collective(is_collective) {}
  std::string name() const override { return collective ? "MPI-IO, collective" : "MPI-IO, independent"; }

  Hdf5Handle access() const {
    Hdf5Handle list(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "make access properties");
    hdf5_check(H5Pset_fapl_mpio(list, MPI_COMM_WORLD, MPI_INFO_NULL), "choose MPI-IO");
    return list;
  }
  Hdf5Handle transfer() const {
    Hdf5Handle list(H5Pcreate(H5P_DATASET_XFER), H5Pclose, "make transfer properties");
    hdf5_check(H5Pset_dxpl_mpio(list, collective ? H5FD_MPIO_COLLECTIVE : H5FD_MPIO_INDEPENDENT), "choose the transfer");
    return list;
  }
  void write(const fs::path& folder, const Ranks& ranks, const std::vector<std::vector<float>>& state) override {
    const fs::path path = folder / "one.h5";
    {
      const Hdf5Handle file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access()), H5Fclose, "create a file");
      const Hdf5Handle how = transfer(), memory = plane(ranks.rows());
      for (hsize_t a = 0; a < kArrays; ++a) {
        const Hdf5Handle space = plane(kRows);
        const Hdf5Handle array(H5Dcreate2(file, array_name(a).c_str(), H5T_NATIVE_FLOAT, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                               H5Dclose, "create an array");
        select_rows(space, ranks.first(), ranks.rows());
        hdf5_check(H5Dwrite(array, H5T_NATIVE_FLOAT, memory, space, how, state[a].data()), "write");
      }
    }
    sync_file(path, false);
  }
  void read(const fs::path& folder, const Ranks& ranks, std::vector<std::vector<float>>& state) override {
    const Hdf5Handle file(H5Fopen((folder / "one.h5").c_str(), H5F_ACC_RDONLY, access()), H5Fclose, "open a file");
    const Hdf5Handle how = transfer(), memory = plane(ranks.rows());
    for (hsize_t a = 0; a < kArrays; ++a) {
      const Hdf5Handle array(H5Dopen2(file, array_name(a).c_str(), H5P_DEFAULT), H5Dclose, "open an array");
      const Hdf5Handle space = plane(kRows);
      select_rows(space, ranks.first(), ranks.rows());
      hdf5_check(H5Dread(array, H5T_NATIVE_FLOAT, memory, space, how, state[a].data()), "read");
    }
  }
  bool collective;
};

struct ShardFiles : Layout {
  std::string name() const override { return "a file a rank, virtual datasets"; }
  static std::string shard(int rank) { return "shard" + std::to_string(rank) + ".h5"; }

  void write(const fs::path& folder, const Ranks& ranks, const std::vector<std::vector<float>>& state) override {
    const fs::path path = folder / shard(ranks.rank);
    {
      const Hdf5Handle file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose, "create a shard");
      const Hdf5Handle space = plane(ranks.rows());
      for (hsize_t a = 0; a < kArrays; ++a) {
        const Hdf5Handle array(H5Dcreate2(file, array_name(a).c_str(), H5T_NATIVE_FLOAT, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                               H5Dclose, "create an array");
        hdf5_check(H5Dwrite(array, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, state[a].data()), "write");
      }
    }
    sync_file(path, false);
    if (ranks.rank == 0) join(folder, ranks.size);
    MPI_Barrier(MPI_COMM_WORLD);
  }
  static void join(const fs::path& folder, int size) {
    const fs::path path = folder / "whole.h5";
    {
      const Hdf5Handle file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose, "create the whole");
      for (hsize_t a = 0; a < kArrays; ++a) {
        const Hdf5Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "make properties");
        const Hdf5Handle space = plane(kRows);
        for (int rank = 0; rank < size; ++rank) {
          const Ranks part{rank, size};
          select_rows(space, part.first(), part.rows());
          hdf5_check(H5Pset_virtual(properties, space, shard(rank).c_str(), array_name(a).c_str(), plane(part.rows())), "map a shard");
        }
        const Hdf5Handle whole = plane(kRows);
        const Hdf5Handle array(H5Dcreate2(file, array_name(a).c_str(), H5T_NATIVE_FLOAT, whole, H5P_DEFAULT, properties, H5P_DEFAULT),
                               H5Dclose, "create a virtual array");
      }
    }
    sync_file(path, false);
  }
  void read(const fs::path& folder, const Ranks& ranks, std::vector<std::vector<float>>& state) override {
    const Hdf5Handle file(H5Fopen((folder / "whole.h5").c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose, "open the whole");
    const Hdf5Handle memory = plane(ranks.rows());
    for (hsize_t a = 0; a < kArrays; ++a) {
      const Hdf5Handle array(H5Dopen2(file, array_name(a).c_str(), H5P_DEFAULT), H5Dclose, "open a virtual array");
      const Hdf5Handle space = plane(kRows);
      select_rows(space, ranks.first(), ranks.rows());
      hdf5_check(H5Dread(array, H5T_NATIVE_FLOAT, memory, space, H5P_DEFAULT, state[a].data()), "read");
    }
  }
};

double seconds_of(const std::function<void()>& action) {
  MPI_Barrier(MPI_COMM_WORLD);
  const double start = MPI_Wtime();
  action();
  MPI_Barrier(MPI_COMM_WORLD);
  return MPI_Wtime() - start;
}

void measure(Layout& layout, const fs::path& folder, const Ranks& ranks, int rounds) {
  json::array writing, reading;
  for (int round = 0; round < rounds; ++round) {
    const auto mark = [&](hsize_t a) { return static_cast<float>(a + 1) + static_cast<float>(ranks.rank) / 64; };
    std::vector<std::vector<float>> state(kArrays);
    for (hsize_t a = 0; a < kArrays; ++a) state[a].assign(ranks.rows() * kColumns, mark(a));
    writing.emplace_back(seconds_of([&] { layout.write(folder, ranks, state); }));
    if (ranks.rank == 0)
      for (const fs::directory_entry& entry : fs::directory_iterator(folder)) sync_file(entry.path(), true);
    for (std::vector<float>& values : state) std::fill(values.begin(), values.end(), 0.0F);
    reading.emplace_back(seconds_of([&] { layout.read(folder, ranks, state); }));
    for (hsize_t a = 0; a < kArrays; ++a)
      if (state[a].front() != mark(a) || state[a].back() != mark(a))
        throw retain::framework::Error(retain::framework::ErrorKind::internal, layout.name() + " read other numbers");
    MPI_Barrier(MPI_COMM_WORLD);
    if (ranks.rank == 0)
      for (const fs::directory_entry& entry : fs::directory_iterator(folder)) fs::remove(entry.path());
  }
  const json::object result{{"layout", layout.name()}, {"ranks", ranks.size}, {"save_s", writing}, {"load_s", reading}};
  if (ranks.rank == 0) std::printf("%s\n", json::serialize(result).c_str());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("HDF5's own ways to write one state by all ranks");
  std::string parent;
  int rounds = 3;
  app.add_option("folder", parent, "On the disk to measure")->required();
  app.add_option("--rounds", rounds)->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  MPI_Init(&argc, &argv);
  Ranks ranks;
  MPI_Comm_rank(MPI_COMM_WORLD, &ranks.rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks.size);
  try {
    const fs::path folder = fs::path(parent) / "hdf5_layouts";
    fs::create_directories(folder);
    OneFile collective(true), independent(false);
    ShardFiles shards;
    for (Layout* layout : std::initializer_list<Layout*>{&collective, &independent, &shards}) measure(*layout, folder, ranks, rounds);
    MPI_Barrier(MPI_COMM_WORLD);
    if (ranks.rank == 0) fs::remove(folder);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
  MPI_Finalize();
  return 0;
}
