# SPDX-License-Identifier: Apache-2.0
"""`retain tokenize` gives the ids of the Hugging Face tokenizers library on random text, special tokens in it included.

check_tokenizer.py RETAIN TOKENIZER_DIR [COUNT [SEED]]    (needs tokenizers)
"""
import json
import pathlib
import random
import subprocess
import sys

from tokenizers import Tokenizer

retain, folder = sys.argv[1], pathlib.Path(sys.argv[2])
count = int(sys.argv[3]) if len(sys.argv) > 3 else 3000
generator = random.Random(int(sys.argv[4]) if len(sys.argv) > 4 else 1)
tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
special = [t["content"] for t in json.loads((folder / "tokenizer.json").read_text())["added_tokens"]]
RANGES = [(32, 126), (32, 126), (9, 13), (0xA0, 0x24F), (0x300, 0x36F), (0x370, 0x52F), (0x590, 0x6FF), (0x900, 0xDFF),
          (0x1100, 0x11FF), (0x2000, 0x206F), (0x2460, 0x27BF), (0x3000, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3),
          (0xF900, 0xFAFF), (0xFE00, 0xFFFD), (0x1F300, 0x1FAFF), (0x20000, 0x2A6DF)]
WORDS = ["the ", "don't ", "I'LL ", "  \n", "\r\n", " 12345", "ﬁ", "e\u0301", "\u200d", " \u00a0 ", "'s", "…"]


def text():
    parts = []
    for _ in range(generator.randint(1, 14)):
        kind = generator.random()
        if kind < 0.25:
            parts.append(generator.choice(WORDS))
        elif kind < 0.4:
            parts.append(generator.choice(special))
        else:
            low, high = generator.choice(RANGES)
            parts.append("".join(chr(generator.randint(low, high)) for _ in range(generator.randint(1, 12))))
    return "".join(parts)


texts = [text() for _ in range(count)]
lines = "".join(json.dumps({"text": one}) + "\n" for one in texts)
done = subprocess.run([retain, "tokenize", "--model", folder], input=lines, capture_output=True, text=True, check=True)
wrong = 0
for one, line in zip(texts, done.stdout.split("\n")):
    expected = tokenizer.encode(one, add_special_tokens=False).ids
    if json.loads(line)["ids"] != expected:
        wrong += 1
        print("differs:", json.dumps(one))
print(f"{count - wrong} of {count} texts have equal ids")
sys.exit(1 if wrong else 0)
