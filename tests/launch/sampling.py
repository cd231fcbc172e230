# SPDX-License-Identifier: Apache-2.0
"""`retain generate` with a temperature: the same draws whatever the batch and the mesh; stop strings: sampling.py RETAIN."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness

RETAIN = sys.argv[1]
RECORDS = harness.FIXTURES / "run" / "records.jsonl"


def answers(*options, ranks=1):
    done = harness.run(RETAIN, "generate", "--model", harness.MODEL / "hub", "--input", RECORDS, "--max-new-tokens", 12,
                       "--ignore-eos", *options, ranks=ranks)
    return [json.loads(line) for line in done.stdout.splitlines()]


def ids(lines):
    return [line["ids"] for line in lines]


def main():
    report = harness.Report()
    sampled = ["--temperature", 0.9, "--top-p", 0.95, "--seed", 7]
    first = ids(answers(*sampled))
    report.check(first == ids(answers(*sampled, "--batch", 1)), "the batch does not change the draws")
    report.check(first == ids(answers(*sampled, "--tensor", 2, "--pipeline", 1, ranks=2)), "tensor ranks do not change the draws")
    report.check(first == ids(answers(*sampled, "--tensor", 1, "--pipeline", 2, ranks=2)), "pipeline ranks do not change the draws")
    report.check(first != ids(answers(*sampled[:-1], 8)), "another seed draws otherwise")
    greedy = answers()
    report.check(ids(greedy) == ids(answers("--temperature", 0.9, "--top-k", 1)), "the most likely token alone is greedy")
    text = greedy[0]["text"]
    stop = text[len(text) // 2:len(text) // 2 + 2]
    stopped = answers("--stop", stop)
    report.check(stopped[0]["text"] == text[:text.find(stop)], f"the text ends before the stop string {stop!r}: {stopped[0]['text']!r}")
    report.check(len(stopped[0]["ids"]) < len(greedy[0]["ids"]), "and nothing is generated after it")
    report.end()


main()
