// SPDX-License-Identifier: Apache-2.0
// Pictures as a model is given them, in one safetensors file under the names of transformers' image processors.
#pragma once
#include <string>
#include <vector>

#include "framework/image/patches.h"
#include "framework/image/processor.h"

namespace retain::launch {

/// "pixel_values" [pictures, most tiles, 3, side, side], zeros where a picture has fewer, "image_sizes" [pictures, 2],
/// and "batch_num_images" where the class returns it.
void write_tiles(const std::string& file, const std::vector<std::string>& images,
                 const framework::ProcessorSettings& settings);

/// "pixel_values" [patches of all pictures, values of a patch] and "image_grid_thw" [pictures, 3].
void write_patches(const std::string& file, const std::vector<std::string>& images,
                   const framework::PatchSettings& settings);

}  // namespace retain::launch
