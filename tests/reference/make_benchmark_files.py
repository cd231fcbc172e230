# SPDX-License-Identifier: Apache-2.0
"""Writes tests/fixtures/benchmarks: for each of examples/benchmarks three made-up rows in the columns the real set has, as pyarrow
writes them, and expected.json: the prompts in both modes and the scores of given answers, from the released evaluation's description.

make_benchmark_files.py [OUT], run by hand; tests/recipes/benchmark_files_test.cpp reads the result.
"""
import io
import json
import pathlib
import sys

import pyarrow
import pyarrow.parquet
from PIL import Image

OUT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent / "fixtures/benchmarks")
LETTER = "Answer with the option's letter from the given choices directly."
PHRASE = "\nAnswer the question using a single word or phrase."


def picture(shade):
    stream = io.BytesIO()
    Image.new("RGB", (6, 4), (shade, 90, 30)).save(stream, "PNG")
    return {"bytes": stream.getvalue(), "path": f"{shade}.png"}


PICTURES = [picture(20), picture(120), picture(220)]
SETS = {}


def benchmark(name, columns, prompts, predictions, scores, faithful_prompts=None, faithful_scores=None, score=None, tokens=16, images=PICTURES):
    OUT.mkdir(parents=True, exist_ok=True)
    table = pyarrow.table({**columns, "image": images})
    pyarrow.parquet.write_table(table, OUT / f"{name}.parquet", compression="zstd", write_statistics=False, store_schema=False)
    SETS[name] = {"max_new_tokens": tokens, "prompts": prompts, "faithful_prompts": faithful_prompts or prompts, "predictions": predictions,
                  "scores": scores, "faithful_scores": faithful_scores or scores, "score": sum(scores) / len(scores) if score is None else score}


def unprompted(name, columns, suffix, *rest, **more):
    """The sets whose settings were printed in front of the question, and whose suffix was lost."""
    questions = [q.replace("\n<image>", "").replace("<image>", "") for q in columns["question"]]
    settings = {"default": {"pre_prompt": "", "post_prompt": suffix}, "pre_prompt": "", "post_prompt": suffix}
    benchmark(name, columns, [q + suffix for q in questions], *rest, faithful_prompts=[f"{settings}{q}" for q in questions], **more)


def lettered(options):
    return "".join(f"\n{'ABCDEF'[i]}. {option}" for i, option in enumerate(options))


def main():
    birds = "Which bird is it?\n" + "\n".join(f"{chr(65 + i)}. bird {i}" for i in range(26)) + "\n"
    unprompted("cub200", {"question": [birds + "<image>", "<image>" + birds, birds], "answer": ["B", "Q", "A"]}, LETTER,
               ["B", "The answer is Q.", "It is a bird"], [1, 1, 0], faithful_scores=[1, 1, 1])
    unprompted("pixmocount", {"question": [f"How many {x} are in this image?\n<image>" for x in ("cats", "cars", "cups")],
                              "answer": ["There are 4 cats in this image.", "There is 1 cars in this image.", "There are 14 cups in this image."]},
               "\nAnswer with integer and nothing else. For example, if the answer is 1, you should output 1.",
               ["four", "Someone saw 1", "fourteen"], [1, 1, 1], faithful_scores=[1, 1, 0])
    clock = ["What time does the clock show in this image?\n<image>"] * 3
    for name, example in (("timeclock", "3:45, output 3:45"), ("cococlock", "3:5, output 03:05"), ("openimgclock", "3:45, output 3:45")):
        unprompted(name, {"question": clock, "answer": ["03:45", "12:59", "07:05"]},
                   f"\nAnswer with the time in HH:MM format. For example, if it's {example}.", ["3:46", "12:00", "7:10"], [1, 1, 0], tokens=32)
    unprompted("countbench", {"question": ["How many eggs are there in the image?"] * 3, "number": [3, 10, 7], "text": ["caption"] * 3},
               "\nAnswer the question with number only.", ["three", "ten", "seventeen"], [1, 1, 0], faithful_scores=[1, 1, 1])
    asked = ["Is it benign?", "What is shown?", "Where is it?"]
    benchmark("pathvqa", {"question": asked, "answer": ["yes", "fibrous tissue", "liver"]},
              [f"Look at the medical image and answer the following question: {q}\nFor questions that can be answered with a yes or no, just "
               "answer yes or no. Otherwise, provide an answer in the medical domain." for q in asked],
              ["Yes.", "the fibrous tissue", "in the liver"], [1, 0, 0], faithful_scores=[1, 2 / 3, 1 / 3], tokens=64)
    asked = ["what does the SIGN say?", "Which brand, IBM?", "who?"]
    benchmark("textvqa", {"question_id": [1, 2, 3], "question": asked, "answers": [["stop"] * 9 + ["Stop!"], ["ibm", "ibm", "hp"] + ["dell"] * 7,
                                                                                  ["one"] * 10]},
              [q + PHRASE for q in asked], ["Stop.", "IBM", "two"], [1, (2 / 3 * 8 + 1 / 3 * 2) / 10, 0],
              faithful_prompts=[q.capitalize() + PHRASE for q in asked], tokens=64)
    asked = ["What is the date?", "Who signed?", "How much?"]
    for name in ("docvqa", "infovqa"):
        benchmark(name, {"questionId": ["7", "8", "9"], "question": asked, "answers": [["12 May", "May 12"], ["A. Smith"], ["$ 5"]]},
                  [q + PHRASE for q in asked], ["12 may", "A. Smit", "ten"], [1, 7 / 8, 0], tokens=32)
    benchmark("chartqa", {"type": ["human_test", "augmented_test", "human_test"], "question": asked, "answer": ["100", "5%", "Yes"]},
              [q + "\nAnswer the question with a single word." for q in asked], ["104", "0.06", "yes "], [1, 0, 1], faithful_scores=[1, 0, 0])
    options = [["cat", "dog"], ["1", "2", "3"], ["sun", "moon", "star", "none"]]
    benchmark("ai2d", {"question": asked, "options": options, "answer": ["1", "0", "3"]},
              [q + lettered(o) + "\n" + LETTER for q, o in zip(asked, options)], ["B", "A. 1", "d, none"], [1, 1, 0])
    hints = ["Look closely.", "", ""]
    benchmark("scienceqa", {"question": asked, "choices": options, "answer": pyarrow.array([1, 0, 3], pyarrow.int8()), "hint": hints},
              [(f"Context: {h}\n" if h else "") + q + lettered(o) + "\n" + LETTER for q, o, h in zip(asked, options, hints)],
              ["b", "A. 1", "C"], [1, 1, 0], faithful_scores=[1, 0, 0])
    four = [["a", "b", "c", "d"], ["1", "2", "3", "4"], ["w", "x", "y", "z"]]
    benchmark("seedbench", {"question": asked, "question_id": ["1_1", "1_2", "2"], "data_type": ["image", "image", "video"], "answer": ["A", "D", "C"],
                            **{f"choice_{letter}": [o[i] for o in four] for i, letter in enumerate("abcd")}},
              [q + lettered(o) + "\n" + LETTER for q, o in zip(asked, four)], ["A. a", "Dog", "The answer is C"], [1, 1, 0],
              images=[[PICTURES[0]], [PICTURES[1]], PICTURES])
    posed = [f" {q}\nOptions: A: x, B: y, C: z " for q in asked]
    benchmark("mmstar", {"index": [0, 1, 2], "question": posed, "answer": ["A", "B", "C"], "category": ["math", "math", "logical reasoning"],
                         "l2_category": ["geometry", "geometry", "common reasoning"]},
              [q.strip() + "\nAnswer with the option's letter from the given choices directly" for q in posed],
              ["A", "I say B", "the answer is c"], [1, 0, 1], score=0.75, tokens=32)
    asked = ["Which way?\nA. Left\nB. Right\nPlease answer directly with only the letter of the correct option and nothing else.",
             "How many cars?\nPlease answer directly with a single word or number.", " Is it red? "]
    benchmark("realworldqa", {"question": asked, "answer": ["B", "2", "Yes"]}, [q.strip() for q in asked], ["Right", "Two", "no"], [1, 1, 0])
    asked = ["what is written in the image?", "Please write the formula in LaTeX.", " total? "]
    benchmark("ocrbench", {"dataset": ["IIIT5K", "HME100k", "SROIE"], "question": asked, "answer": [["STOP"], [r"\frac { X } { 2 }"], ["9.00", "9"]],
                           "question_type": ["Regular Text Recognition", "Handwritten Mathematical Expression Recognition", "Key Information Extraction"]},
              [q.strip() for q in asked], ["It says stop", r"\frac{X}{2}", "8.50"], [1, 1, 0], faithful_scores=[1, 0, 0], tokens=64)
    (OUT / "expected.json").write_text(json.dumps(SETS, ensure_ascii=False, indent=1) + "\n")


main()
