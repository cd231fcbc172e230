# SPDX-License-Identifier: Apache-2.0
"""Writes tests/fixtures/sources: small data sets as other tools write them (pyarrow, pandas, Pillow), and what they hold.

make_sources.py [OUT], run by hand; tests/framework/source_test.cpp reads the result.
"""
import base64
import hashlib
import io
import json
import pathlib
import sys

import pandas
import pyarrow
import pyarrow.parquet
from PIL import Image

OUT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent / "fixtures/sources")


def picture(seed, form="PNG", side=8):
    image = Image.new("RGB", (side + seed, side))
    image.putdata([((x * 37 + seed * 11) % 256, (y * 53) % 256, seed * 40 % 256) for y in range(side) for x in range(side + seed)])
    stream = io.BytesIO()
    image.save(stream, form)
    return stream.getvalue()


PICTURES = [picture(i, form) for i, form in enumerate(["PNG", "JPEG", "PNG", "WEBP", "PNG"])]
QUESTIONS = ["What is this?\n<image>", "How many\tcats?", 'Which "bird"\nis it?', "Größe?", "Is it, or not?"]
ANSWERS = ["a cat", "4", "crow", "3 m", "yes"]
OPTIONS = [["dog", "a cat"], ["4", "5", "6"], ["jay", "crow", "wren", "tern"], ["1 m", "3 m"], ["yes", "no"]]


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    # As the hub has them: datasets.Image is {bytes, path}; several row groups, so that a reader has to find the right one.
    table = pyarrow.table({
        "question_id": [11, 12, 13, 14, 15], "question": QUESTIONS, "answer": ANSWERS,
        "answers": [[a] * (i + 1) for i, a in enumerate(ANSWERS)], "options": OPTIONS,
        "index": pyarrow.array([OPTIONS[i].index(ANSWERS[i]) for i in range(5)], pyarrow.int32()),
        "hint": ["look", None, "", "x", None], "score": [0.5, 1.0, 2.0, None, 3.0],
        "kind": pyarrow.array(["a", "b", "a", "b", "a"]).dictionary_encode(),
        "image": [{"bytes": p, "path": f"{i}.png"} for i, p in enumerate(PICTURES)],
        "several": [[{"bytes": p, "path": None}] * (i % 3) for i, p in enumerate(PICTURES)],
        "raw": PICTURES})
    pyarrow.parquet.write_table(table, OUT / "hub.parquet", row_group_size=2, compression="snappy")
    pyarrow.parquet.write_table(table.slice(0, 2), OUT / "shard-00000-of-00002.parquet", compression="zstd")
    pyarrow.parquet.write_table(table.slice(2), OUT / "shard-00001-of-00002.parquet", compression="gzip", use_dictionary=False)
    cut = (OUT / "hub.parquet").read_bytes()
    (OUT / "cut.parquet").write_bytes(cut[: len(cut) // 2])

    # As VLMEvalKit has them: base64, and a later row naming the row whose picture it shares.
    frame = pandas.DataFrame({
        "index": [100, 101, 102, 103, 104], "image": [base64.b64encode(p).decode() for p in PICTURES[:4]] + ["102"],
        "question": QUESTIONS, "A": [o[0] for o in OPTIONS], "B": [o[1] for o in OPTIONS], "C": [(o + ["", ""])[2] for o in OPTIONS],
        "D": [(o + ["", ""])[3] for o in OPTIONS], "answer": ["ABCD"[OPTIONS[i].index(ANSWERS[i])] for i in range(5)],
        "split": ["val", "val", "test", "val", "val"]})
    frame.to_csv(OUT / "table.tsv", sep="\t", index=False)
    frame.drop(columns="image").assign(image_path=[f"classes/{'crow' if i % 2 else 'jay'}/{i}.png" for i in range(5)]).to_csv(OUT / "table.csv", index=False)

    # A folder of pictures by class.
    for i in range(4):
        folder = OUT / "classes" / ("crow" if i % 2 else "jay")
        folder.mkdir(parents=True, exist_ok=True)
        Image.open(io.BytesIO(PICTURES[i])).save(folder / f"{i}.png")
    (OUT / "classes" / "notes.txt").write_text("not a picture\n")

    # LLaVA's mixture, and the plain JSON of a data set's authors.
    for name, ids in (("a", range(4)), ("b", range(4, 10))):
        (OUT / f"{name}.json").write_text(json.dumps([{"id": f"{name}{i}", "conversations": [
            {"from": "human", "value": f"q{i}"}, {"from": "gpt", "value": f"a{i}"}]} for i in ids]))
    (OUT / "mixture.yaml").write_text("datasets:\n  - json_path: a.json\n    sampling_strategy: \"first:50%\"\n"
                                      "  - json_path: b.json\n    sampling_strategy: \"end:2\"\n  - json_path: b.json\n    sampling_strategy: \"random:3\"\n")
    pandas.DataFrame({"question": QUESTIONS[:2], "answer": ANSWERS[:2], "picture": ["classes/jay/0.png", "classes/crow/1.png"]}).to_json(
        OUT / "rows.jsonl", orient="records", lines=True, force_ascii=False)

    expected = {"questions": [q.replace("\n<image>", "") for q in QUESTIONS], "answers": ANSWERS, "options": OPTIONS,
                "sha256": [hashlib.sha256(p).hexdigest() for p in PICTURES],
                "bytes": [base64.b64encode(p).decode() for p in PICTURES],
                "sizes": [list(Image.open(io.BytesIO(p)).size) for p in PICTURES]}
    (OUT / "expected.json").write_text(json.dumps(expected, ensure_ascii=False, indent=1) + "\n")


main()
