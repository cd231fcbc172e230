// SPDX-License-Identifier: Apache-2.0
// The records of a task or benchmark: LLaVA JSON or JSONL, tables whose rows become records, or a mixture YAML that draws from
// several of them.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framework/base/error.h"
#include "framework/data/mixture.h"
#include "framework/data/picture_cache.h"
#include "framework/data/record.h"

namespace retain::framework {

/// Of pictures inside data files, kept in memory for each set.
inline constexpr std::int64_t kept_picture_bytes = std::int64_t{1} << 26;

class RecordSource;
struct SourceFields;

struct RecordSetOptions {
  std::filesystem::path images;  ///< root of relative image names; empty: the folder of each data file
  MixtureMode mixture = MixtureMode::clean;
  std::uint64_t seed = 0;  ///< of `random` sampling strategies
  std::shared_ptr<const SourceFields> fields = nullptr;  ///< how rows become records; null: the files hold LLaVA records
};

/// Records read on demand: the files' bytes are kept, a record is parsed when asked for. Const members are thread-safe.
class RecordSet {
 public:
  /// Opens .json, .jsonl, .yaml or .yml; with `fields` also .tsv, .csv, .parquet and folders of pictures (row_table.h).
  /// The last part of `path` may hold `*`: all files that fit, sorted by name. Throws Error(data_invalid) on a file of
  /// another form or JSON that is cut or not UTF-8, Error(data_empty) when there is no record, Error(io) when it cannot
  /// be read.
  static RecordSet load(const std::filesystem::path& path, const RecordSetOptions& options = {});

  std::int64_t size() const noexcept { return static_cast<std::int64_t>(entries_.size()); }
  /// Record `i`, parsed. Throws what parse_record() throws.
  Record at(std::int64_t i) const;
  /// The same as JSON, with whatever keys the file has. Throws Error(data_invalid).
  json::value json_at(std::int64_t i) const;
  /// "train.json, record 3", without parsing.
  std::string where(std::int64_t i) const;
  /// XXH3-128 of the record bytes in order, in hexadecimal: equal text and order, equal digest.
  std::string digest() const;
  /// Every data file, in order of first use.
  std::vector<std::filesystem::path> files() const;

 private:
  struct Entry {
    std::int32_t file;
    std::int64_t index;  ///< record within the file
  };
  /// Index in files_ of an opened file; one that is named twice is read once.
  std::int32_t open(const std::filesystem::path& file, const RecordSetOptions& options, const std::filesystem::path& images_root);
  void append_mixture(const std::filesystem::path& path, const RecordSetOptions& options);

  std::vector<std::shared_ptr<const RecordSource>> files_;
  std::shared_ptr<PictureCache> cache_ = std::make_shared<PictureCache>(kept_picture_bytes);  ///< of all files together
  std::vector<Entry> entries_;
};

/// One record that cannot be used.
struct RecordFault {
  std::int64_t record = 0;  ///< index in the RecordSet
  Error error;
};

enum class BadRecordPolicy : std::uint8_t {
  fatal,  ///< the first bad record stops
  skip    ///< bad records are left out and counted
};

struct CheckOptions {
  BadRecordPolicy policy = BadRecordPolicy::fatal;
  bool needs_answer = true;
  /// Called once per distinct image that exists; returns the error of an image that cannot be used.
  std::function<std::optional<Error>(const Picture&)> probe_image;
};

struct CheckReport {
  std::vector<std::int64_t> usable;  ///< indices in the RecordSet, ascending
  std::vector<RecordFault> faults;   ///< only with `skip`
};

/// Parses and validates every record, and looks for its images. With `fatal` throws the first fault (its kind, with
/// file, record and id); with `skip` throws Error(data_empty) only when nothing is usable.
CheckReport check_records(const RecordSet& records, const CheckOptions& options = {});

}  // namespace retain::framework
