// SPDX-License-Identifier: Apache-2.0
// Every record of a task is looked at before training, so that a bad one is named at once and not after hours.
#include <string>
#include <unordered_map>
#include <utility>

#include "framework/data/record_set.h"

namespace retain::framework {
namespace {

/// Finds each distinct image once.
class ImageCheck {
 public:
  explicit ImageCheck(const CheckOptions& options) : options_(options) {}

  void check(const Record& record) {
    for (const auto& image : record.pictures()) {
      auto known = faults_.find(image.name());
      if (known == faults_.end()) known = faults_.emplace(image.name(), look_at(image)).first;
      if (!known->second.has_value()) continue;
      ErrorParts parts = known->second->parts();
      parts.what = record.where() + ": " + parts.what;
      throw Error(known->second->kind(), std::move(parts));
    }
  }

 private:
  std::optional<Error> look_at(const Picture& image) const {
    if (!image.exists())
      return Error(ErrorKind::data_missing_image, {"image " + image.name() + " is not there",
                                                   "an image file",
                                                   {},
                                                   "correct the record, or name the root of the images in `images`"});
    return options_.probe_image ? options_.probe_image(image) : std::nullopt;
  }

  const CheckOptions& options_;
  std::unordered_map<std::string, std::optional<Error>> faults_;
};

}  // namespace

CheckReport check_records(const RecordSet& records, const CheckOptions& options) {
  CheckReport report;
  ImageCheck images(options);
  for (std::int64_t i = 0; i < records.size(); ++i) {
    try {
      const Record record = records.at(i);
      validate_record(record, options.needs_answer);
      images.check(record);
      report.usable.push_back(i);
    } catch (const Error& error) {
      if (options.policy == BadRecordPolicy::fatal) throw;
      report.faults.push_back({i, error});
    }
  }
  if (report.usable.empty())
    throw Error(ErrorKind::data_empty,
                {"no record can be used; the first fault: " + report.faults.front().error.parts().what,
                 "at least one usable record", "none of " + std::to_string(records.size()), "correct the records"});
  return report;
}

}  // namespace retain::framework
