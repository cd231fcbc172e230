# SPDX-License-Identifier: Apache-2.0
"""Pictures a second of processor time of Pillow and transformers' Pillow processors on the files that bench/images.cpp uses.

Usage: OMP_NUM_THREADS=1 python3 bench/images.py [SECONDS]
"""
import io
import json
import os
import sys
import time

import numpy as np
from PIL import Image
from transformers import (CLIPImageProcessorPil, LlavaImageProcessorPil, LlavaNextImageProcessorPil,
                          LlavaOnevisionImageProcessorPil, Qwen2VLImageProcessorPil)
from transformers.image_transforms import convert_to_rgb

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "fixtures", "images")
SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
PROCESSORS = {"llava_onevision_full": LlavaOnevisionImageProcessorPil, "llava_next_full": LlavaNextImageProcessorPil,
              "llava_padded": LlavaImageProcessorPil, "clip_cropped": CLIPImageProcessorPil,
              "patches_hub": Qwen2VLImageProcessorPil}


def rate(work):
    work()
    times, begin = [], time.process_time()
    while time.process_time() - begin < SECONDS:
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return 1 / float(np.median(times))


def main():
    files = {name: open(os.path.join(FIXTURES, name), "rb").read()
             for name in ("photo.jpg", "wide.jpg", "tall_palette.png", "rgb.png", "photo.webp")}
    for name, data in files.items():
        decode = rate(lambda: convert_to_rgb(Image.open(io.BytesIO(data)), return_numpy=True))
        print(f"decode/{name:40s} {decode:9.1f} images/s")
    for folder, kind in PROCESSORS.items():
        settings = json.load(open(os.path.join(FIXTURES, "processors", folder, "preprocessor_config.json")))
        settings.pop("image_processor_type", None)
        if kind in (LlavaImageProcessorPil, CLIPImageProcessorPil):  # the fixtures of these two are small; LLaVA-1.5's size
            settings.update(size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336})
        processor = kind(**settings)
        for name in list(files)[:4]:
            whole = rate(lambda: processor([Image.open(io.BytesIO(files[name]))], return_tensors="pt"))
            print(f"preprocess/{folder + '/' + name:36s} {whole:9.1f} images/s")


main()
