# SPDX-License-Identifier: Apache-2.0
"""`retain forward`, `retain generate` and `retain run` against the reference's figures:

    parity.py RETAIN RANKS TENSOR PIPELINE
    parity.py RETAIN --table        every model, naming and mesh, as the table of docs/models.md

Fixtures: every folder of tests/fixtures/models (logits, losses, gradients, greedy tokens; ids and pixels of the processor) and
tests/fixtures/run (eight optimizer steps under every recipe), made with transformers 5.23 in float32. Bounds are those measured
for that reference. The last lines are a table of the largest differences of each model.
"""
import json
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness

TABLE = sys.argv[2] == "--table"
RETAIN, RANKS, TENSOR, PIPELINE = sys.argv[1], *((1, "1", "1") if TABLE else (int(sys.argv[2]), sys.argv[3], sys.argv[4]))
MESH = ["--tensor", TENSOR, "--pipeline", PIPELINE]
MESHES = [(1, 1, 1), (1, 1, 2), (1, 2, 1), (1, 2, 2), (2, 2, 2)]  # data, pipeline, tensor


class Family:
    """One folder of reference figures: hub/, hf/ or orig/ with weights, cases/, manifest.json and key_names.json."""

    def __init__(self, folder):
        self.folder, self.name = folder, folder.name
        self.cases = json.loads((folder / "manifest.json").read_text())["cases"]
        self.key_names = json.loads((folder / "key_names.json").read_text())
        self.namings = [n for n in ("hub", "hf", "orig") if list((folder / n).glob("*.safetensors"))]

    def tensors(self, case, what):
        entry = self.cases[case][what]
        return harness.read_safetensors(self.folder / "cases" / (entry["file"] if isinstance(entry, dict) else entry))


def write_records(case, folder):
    lines = []
    for index, (turns, images) in enumerate(zip(case["conversations"], case["images"])):
        record = {"id": str(index), "conversations": turns}
        if images:
            record["image"] = str(harness.IMAGES / images[0])
        lines.append(json.dumps(record))
    path = pathlib.Path(folder) / "records.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def check_logits(report, family, name, found, first=0):
    """Rows of the reference are [sample, position] pairs of a right-padded batch, flattened; its samples are found from `first` on."""
    expected = family.tensors(name, "expected")
    (_, rows), (shape, logits) = expected["logits_row_index"], expected["logits_rows"]
    width = expected["logits_logsumexp"][0][1]
    for i, row in enumerate(rows):
        sample, position = divmod(row, width)
        size, values = found[f"{first + sample}.logits"]
        if position >= size[0]:
            continue  # padding
        for column in range(shape[1]):
            report.near(f"{family.name}: logits", values[position * size[1] + column], logits[i * shape[1] + column], 5e-5,
                        f"{name} row {row}")


def forward_case(report, family, name, naming, folder):
    case = family.cases[name]
    out = pathlib.Path(folder) / "forward.safetensors"
    names = case["grad_names"] if case["grads"] else []
    asked = {memory: family.key_names[memory][naming] for memory in names}
    gradients = ["--gradients", ",".join(asked.values())] if asked else []
    harness.run(RETAIN, "forward", "--model", family.folder / naming, "--input", write_records(case, folder), "--out", out,
                *MESH, *gradients, ranks=RANKS)
    found = harness.read_safetensors(out)
    check_logits(report, family, name, found)
    if len(case["conversations"]) == 1:
        report.near(f"{family.name}: loss", found["loss"][1][0], case["loss"], 1e-5, name)
    if not asked:
        return
    expected = family.tensors(name, "grads")
    for memory, stored in asked.items():
        values = found["gradients." + stored][1]
        sampled = "sample1024." + memory in expected
        reference = expected["sample1024." + memory if sampled else memory][1]
        picked = [values[i * len(values) // 1024] for i in range(1024)] if sampled else values
        largest = max(map(abs, reference)) or 1.0
        for got, want in zip(picked, reference):
            report.near(f"{family.name}: gradients, relative", got / largest, want / largest, 5e-5, f"{name} {memory}")
        norm = sum(v * v for v in values) ** 0.5
        report.near(f"{family.name}: gradient norms, relative", norm / case["grad_l2_all_parameters"][memory], 1.0, 5e-5,
                    f"{name} {memory}")


def generate_case(report, family, name, folder):
    done = harness.run(RETAIN, "generate", "--model", family.folder / family.namings[0], "--input", write_records(family.cases[name], folder),
                       "--max-new-tokens", 20, "--ignore-eos", *MESH, ranks=RANKS)
    shape, tokens = family.tensors(name, "generate")["new_tokens"]
    for index, line in enumerate(done.stdout.splitlines()):
        report.check(json.loads(line)["ids"] == list(tokens[index * shape[1]:(index + 1) * shape[1]]),
                     f"{family.name} {name}: tokens of {index}: {line}")
    report.check(len(done.stdout.splitlines()) == shape[0], f"{family.name} {name}: a line an answer")


def run_steps(report, folder):
    expected = json.loads((harness.RUN / "expected.json").read_text())
    rate = expected["optimizer"]["learning_rate"]
    experiment = pathlib.Path(folder) / "experiment.toml"
    recipes = "".join(f'[[recipe]]\nname = "{name}"\n' for name in NAMED)
    experiment.write_text(f'''[model]
path = "{harness.MODEL / 'hub'}"
[parallel]
tensor = {TENSOR}
pipeline = {PIPELINE}
[train]
learning_rate = {rate}
warmup_ratio = {expected["optimizer"]["warmup_ratio"]}
global_batch = {expected["records_per_step"]}
shuffle = false
{recipes}
[[task]]
name = "records"
train = "{harness.RUN / 'records.jsonl'}"
[store]
path = "store"
''')
    log = pathlib.Path(folder) / "steps.jsonl"
    harness.run(RETAIN, "run", experiment, "--log", log, ranks=RANKS)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    report.check(len(lines) == expected["steps"] * len(NAMED), f"{len(lines)} lines in the log")
    for line in lines:
        reference = expected["recipes"][line["recipe"]][line["step"]]
        where = f"{line['recipe']} step {line['step']}"
        report.near("step losses", line["loss"], reference["loss"], 2e-5, where)
        report.near("step gradient norms, relative", line["grad_norm"] / reference["grad_norm"], 1.0, 1e-5, where)
        report.near("learning rates", line["learning_rate"], reference["learning_rate"], 1e-12, where)


NAMED = ["sa_proj", "sa_qkv", "mlp", "mlp_gate_up", "llm", "vision", "projector", "vision_projector", "full"]


def all_cases(report, family, naming, folder):
    """Every case of one model, naming and mesh in three commands: logits and losses, gradients, greedy tokens."""
    folder = pathlib.Path(folder)
    records = [line for name in family.cases for line in write_records(family.cases[name], folder).read_text().splitlines()]
    (folder / "all.jsonl").write_text("\n".join(records) + "\n")
    common = ["--model", family.folder / naming, "--input", folder / "all.jsonl", *MESH]
    harness.run(RETAIN, "forward", "--out", folder / "all.safetensors", *common, ranks=RANKS)
    found = harness.read_safetensors(folder / "all.safetensors")
    done = harness.run(RETAIN, "generate", "--max-new-tokens", 20, "--ignore-eos", *common, ranks=RANKS)
    answers = [json.loads(line)["ids"] for line in done.stdout.splitlines()]
    first = 0
    for name, case in family.cases.items():
        count = len(case["conversations"])
        check_logits(report, family, name, found, first)
        if count == 1:
            report.near(f"{family.name}: loss", found[f"{first}.loss"][1][0], case["loss"], 1e-5, name)
        shape, tokens = family.tensors(name, "generate")["new_tokens"]
        for i in range(count):
            report.check(answers[first + i] == list(tokens[i * shape[1]:(i + 1) * shape[1]]), f"{name}: tokens of {i}")
        first += count
        if case["grads"]:
            forward_case(report, family, name, naming, folder)


def print_table(folder):
    global RANKS, MESH
    print("| Model | naming | data × pipeline × tensor | logits | loss | gradients | gradient norms | greedy tokens |")
    print("|---|---|---|---|---|---|---|---|")
    failures = 0
    for manifest in sorted(harness.MODELS.glob("*/manifest.json")):
        family = Family(manifest.parent)
        for naming in family.namings:
            for data, pipeline, tensor in MESHES:
                RANKS, MESH = data * pipeline * tensor, ["--tensor", str(tensor), "--pipeline", str(pipeline)]
                report = harness.Report()
                all_cases(report, family, naming, folder)
                cells = [f"{value:.1e}" for value in (report.largest.get(f"{family.name}: {what}", float("nan")) for what in
                                                      ("logits", "loss", "gradients, relative", "gradient norms, relative"))]
                failures += len(report.failures)
                for message in report.failures[:5]:
                    print("FAILED", family.name, naming, message, file=sys.stderr)
                tokens = "equal" if not any("tokens of" in failure for failure in report.failures) else "differ"
                print(f"| `{family.name}` | `{naming}` | {data} × {pipeline} × {tensor} |", " | ".join(cells), f"| {tokens} |", flush=True)
    return failures


def compare(folder):
    result = harness.Report()
    for manifest in sorted(harness.MODELS.glob("*/manifest.json")):
        one = Family(manifest.parent)
        for case_name in one.cases:
            for tensor_naming in one.namings if RANKS == 1 else one.namings[:1]:
                forward_case(result, one, case_name, tensor_naming, folder)
            generate_case(result, one, case_name, folder)
    run_steps(result, folder)
    result.end()


with tempfile.TemporaryDirectory() as scratch:
    if TABLE:
        sys.exit(1 if print_table(scratch) else 0)
    compare(scratch)
