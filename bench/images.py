# SPDX-License-Identifier: Apache-2.0
"""Pictures a second of processor time of Pillow and transformers' Pillow processor on the files that bench/images.cpp uses.

Usage: OMP_NUM_THREADS=1 python3 bench/images.py [SECONDS]
"""
import io
import json
import os
import sys
import time

import numpy as np
from PIL import Image
from transformers import LlavaOnevisionImageProcessorPil
from transformers.image_transforms import convert_to_rgb

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "fixtures", "images")
SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0


def rate(work):
    work()
    times, begin = [], time.process_time()
    while time.process_time() - begin < SECONDS:
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return 1 / float(np.median(times))


def main():
    settings = json.load(open(os.path.join(FIXTURES, "processors", "llava_onevision_full", "preprocessor_config.json")))
    settings.pop("image_processor_type")
    processor = LlavaOnevisionImageProcessorPil(**settings)
    for name in ("photo.jpg", "wide.jpg", "tall_palette.png", "photo.webp", "rgb.png"):
        data = open(os.path.join(FIXTURES, name), "rb").read()
        decode = rate(lambda: convert_to_rgb(Image.open(io.BytesIO(data)), return_numpy=True))
        whole = rate(lambda: processor([Image.open(io.BytesIO(data))], return_tensors="pt"))
        print(f"{name:20s} decode {decode:9.1f} images/s   preprocess {whole:8.2f} images/s")


main()
