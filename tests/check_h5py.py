#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Opens a stage of a store with h5py alone and checks that it is the whole model.

usage: check_h5py.py STORE STAGE_ID

Every tensor of the stage's manifest must be reachable under /tensors (through external links where an ancestor holds it)
with the shape and type the manifest states.
Exit status 77 where h5py is not installed (ctest counts that as skipped).
"""
import json
import sys

try:
    import h5py
    import numpy as np
except ImportError:
    sys.exit(77)

TYPES = {"float32": "float32", "float64": "float64", "float16": "float16", "bfloat16": "float32", "int64": "int64",
         "int32": "int32", "int16": "int16", "int8": "int8", "uint8": "uint8", "bool": "bool"}


def bfloat16_bits(raw):
    return (raw.astype(np.uint32) << 16).view(np.float32)


def main(store, stage):
    with h5py.File(f"{store}/stages/{stage}.h5", "r") as file:
        text = file["manifest"][()]
        manifest = json.loads(text.decode() if isinstance(text, bytes) else text)
        links = 0
        for entry in manifest["arrays"]:
            dataset = file[entry["path"]]
            assert list(dataset.shape) == entry["shape"], (entry["path"], dataset.shape)
            assert dataset.dtype == np.dtype(TYPES[entry["dtype"]]), (entry["path"], dataset.dtype)
            digest = dataset.attrs["xxh3_128"]
            assert (digest.decode() if isinstance(digest, bytes) else digest) == entry["digest"], entry["path"]
            linked = isinstance(file.get(entry["path"], getlink=True), h5py.ExternalLink)
            assert linked == ("holder" in entry), entry["path"]
            links += linked
            values = dataset[()]
            if entry["dtype"] == "bfloat16" and dataset.size:
                with open(dataset.file.filename, "rb") as raw:
                    raw.seek(dataset.id.get_offset())
                    bits = np.frombuffer(raw.read(2 * dataset.size), "<u2").reshape(dataset.shape)
                assert np.array_equal(bfloat16_bits(bits), values, equal_nan=True), entry["path"]
        names = list(file["tensors"])
        print(f"{len(manifest['arrays'])} arrays, {links} through links, first {names[0] if names else '-'}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
