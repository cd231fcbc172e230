# SPDX-License-Identifier: Apache-2.0
"""Megabytes of text a second of processor time of the Hugging Face tokenizers library, on what bench/tokenizer.cpp reads.

Usage: RETAIN_TOKENIZER=folder RETAIN_TEXTS=texts.jsonl python3 bench/tokenizer.py
"""
import json
import os
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import Tokenizer  # noqa: E402  (reads the variable when it is imported)

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "fixtures", "tokenizers", "qwen")


def texts():
    file = os.environ.get("RETAIN_TEXTS")
    if file:
        return [json.loads(line)["text"] for line in open(file, encoding="utf-8")]
    return [case["text"] for case in json.load(open(os.path.join(FIXTURES, "cases.json"), encoding="utf-8"))]


def seconds(work, rounds=5):
    work()
    times = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return sorted(times)[rounds // 2]


def main():
    file = os.path.join(os.environ.get("RETAIN_TOKENIZER", FIXTURES), "tokenizer.json")
    tokenizer = Tokenizer.from_file(file)
    documents = texts()
    megabytes = sum(len(text.encode()) for text in documents) / 1e6
    encode = seconds(lambda: [tokenizer.encode(text, add_special_tokens=False) for text in documents])
    batch = seconds(lambda: tokenizer.encode_batch_fast(documents, add_special_tokens=False))
    ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in documents]
    decode = seconds(lambda: [tokenizer.decode(list_, skip_special_tokens=False) for list_ in ids])
    print(f"load    {1e3 * seconds(lambda: Tokenizer.from_file(file), 3):8.1f} ms")
    print(f"encode  {megabytes / encode:8.2f} MB/s one by one, {megabytes / batch:.2f} MB/s as a batch")
    print(f"decode  {megabytes / decode:8.2f} MB/s")


main()
