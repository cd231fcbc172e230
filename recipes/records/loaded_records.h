// SPDX-License-Identifier: Apache-2.0
// Records read and looked at once a run: the source of their samples, and what identifies them in memo keys.
#pragma once
#include <memory>
#include <string>

#include "framework/data/record_set.h"
#include "recipes/records/picture_digests.h"
#include "recipes/records/record_samples.h"
#include "recipes/settings/experiment.h"
#include "recipes/study/model_kit.h"

namespace retain::recipes {

/// What identifies data: digests of the text of its records in order, and of the bytes of their pictures.
struct DataIdentity {
  std::string records;
  std::string pictures;
};

/// Collective over the digests' world.
DataIdentity identity_of(const framework::RecordSet& records, PictureDigests& pictures);

/// Heap-held, because the source points into the records.
struct LoadedRecords {
  std::unique_ptr<framework::RecordSet> records;
  std::unique_ptr<RecordSamples> samples;
  DataIdentity identity;
};

/// Collective over the digests' world. `kit` outlives the result; lengths are kept in the experiment's store (see lengths_file).
LoadedRecords look_at(framework::RecordSet records, const ModelKit& kit, const Experiment& experiment, PictureDigests& pictures);

}  // namespace retain::recipes
