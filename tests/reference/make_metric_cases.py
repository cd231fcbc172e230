# SPDX-License-Identifier: Apache-2.0
"""Writes tests/fixtures/metrics/benchmark_cases.json: scores of the benchmarks' own rules and of the released variants.

make_metric_cases.py [OUT]

Every rule is written here a second time, in Python and from its description, sharing nothing with framework/metrics; the released
rules lean on the Python built-ins (float, re, str) whose habits they inherit.
"""
import collections
import json
import math
import pathlib
import re
import string
import sys

HERE = pathlib.Path(__file__).resolve().parent
MARKS = str.maketrans("", "", string.punctuation)
NUMBERS = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
           "nineteen twenty").split()
OPENINGS = tuple(word + " " for word in ("is are was were does do did can could would should has have had will shall am_i").replace("_", " ").split(" ")
                 if word not in ("am", "i")) + ("am i ",)
RULES = {}


def rule(name, *modes):
    def keep(function):
        for mode in modes:
            RULES[name, mode] = function
        return function
    return keep


def over_references(same):
    return lambda case: float(any(same(case, reference) for reference in case["references"]))


# --- letters -------------------------------------------------------------------------------------------------------------

def named(prediction, letters, options):
    text = prediction.strip()
    one = "[" + letters + "]"
    if hit := re.fullmatch(r"\(?(" + one + r")\)?[.:,]?", text, re.I | re.A):
        return hit[1].upper()
    if hit := re.match(r"\((" + one + r")\)|(" + one + r")[.):,]", text):
        return hit[1] or hit[2]
    if hit := re.search(r"\b(?i:answer|option|choice)\s*(?i:is|:)\s*(?i:the\s+)?(?i:option\s+)?\(?(" + one + r")\b", text):
        return hit[1]
    if hits := re.findall(r"\((" + one + r")\)", text):
        return hits[-1]
    bare = text.rstrip(".! ")
    alone = {m[0] for m in re.finditer(r"\b" + one + r"\b", text) if m[0] not in "AI" or m.end() == len(bare)}
    if len(alone) == 1:
        return alone.pop()
    there = [letter for letter, option in zip(letters, options)
             if re.search(r"(?<!\w)" + re.escape(option.lower()) + r"(?!\w)", text.lower())]
    return there[0] if len(there) == 1 else ""


@rule("option_letter", "clean")
@over_references
def option_letter(case, reference):
    options = case.get("options", [])
    letters = string.ascii_uppercase[:len(options) or 26]
    return named(case["prediction"], letters, options).lower() == reference.strip().lower() != ""


@rule("option_letter", "faithful")
@rule("mcq", "faithful")
@over_references
def released_letter(case, reference):
    text = case["prediction"].strip()
    hit = re.search(r"\b([A-Za-z])[.)]?\b", text)
    found = hit[1] if hit else text[0] if text[:1].isalpha() else text
    return found.lower() == reference.lower()


@rule("leading_letter", "clean", "faithful")
@over_references
def leading(case, reference):
    hit = re.match(r"\s*([A-Z])\.", case["prediction"])
    found = hit[1] if hit else case["prediction"]
    return found.lower().translate(MARKS) == reference.lower().translate(MARKS)


@rule("first_character", "clean", "faithful")
@over_references
def first_character(case, reference):
    return case["prediction"].strip()[:1].lower() == reference.strip().lower()


@rule("scienceqa", "clean")
@over_references
def scienceqa(case, reference):
    text, wanted = case["prediction"].strip().lower(), reference.strip().lower()
    return text == wanted or text[1:2] == "." and text[0] == wanted


@rule("scienceqa", "faithful")
@over_references
def scienceqa_released(case, reference):
    return case["prediction"].strip().lower() == reference.strip().lower()


@rule("mmstar", "clean", "faithful")
@over_references
def mmstar(case, reference):
    text, wanted = (t.lower().strip().replace("\n", " ") for t in (case["prediction"], reference))
    return wanted != "" and any(text.startswith(head) and text[len(head):len(head) + 1] == wanted
                                for head in ("", "(", "option ", "the answer is "))


@rule("realworldqa", "clean", "faithful")
@over_references
def realworldqa(case, reference):
    text = case["prediction"]
    if text.lower() in NUMBERS[:11]:
        text = str(NUMBERS.index(text.lower()))
    text = re.sub(r"[^\w\s]", "", text).strip()
    options = case.get("options") or [o.strip() for o in re.findall(r"\b[A-Z]\.\s+([^\n]*)", case.get("question", ""))]
    letters = {option: string.ascii_uppercase[i] for i, option in enumerate(options)}
    if options and (hit := re.search("|".join(map(re.escape, options)), text)):
        text = letters[hit[0]]
    return text.lower().translate(MARKS) == reference.lower().translate(MARKS)


# --- numbers and times ---------------------------------------------------------------------------------------------------

def released_number(text):
    text = text.lower().replace(".", "")
    for value, word in enumerate(NUMBERS):
        text = text.replace(word, str(value))
    hit = re.search(r"\d+", text)
    return int(hit[0]) if hit else None


@rule("count", "faithful")
@over_references
def count_released(case, reference):
    found = released_number(case["prediction"])
    return found is not None and found == released_number(reference)


def countbench_number(text):
    text = text.lower().replace(".", "")
    if hit := re.search(r"\d+", text):
        return int(hit[0])
    return next((value for value, word in enumerate(NUMBERS) if word in text), None)


@rule("countbench", "faithful")
@over_references
def countbench_released(case, reference):
    found = countbench_number(case["prediction"])
    return found is not None and found == countbench_number(reference)


def time_of(text):
    text = text.lower().replace(".", "")
    if hit := re.search(r"(\d{1,2}):(\d{1,2})", text):
        return int(hit[1]), int(hit[2])
    numbers = re.findall(r"\d+", text)
    return (int(numbers[0]), int(numbers[1])) if len(numbers) > 1 else None


def clock(name, same):
    def score(case, reference):
        found, wanted = time_of(case["prediction"]), time_of(reference)
        return found is not None and wanted is not None and same(found, wanted)
    rule(name, "clean", "faithful")(over_references(score))


HOUR = lambda a, b: a[0] == b[0]
MINUTE = lambda a, b: abs(a[1] - b[1]) in (0, 1, 59)
clock("clock_hour", HOUR)
clock("clock_minute", MINUTE)
clock("clock", lambda a, b: HOUR(a, b) and MINUTE(a, b))


# --- texts ---------------------------------------------------------------------------------------------------------------

@rule("exact_match", "faithful")
@over_references
def exact_released(case, reference):
    return case["prediction"].lower().translate(MARKS) == reference.lower().translate(MARKS)


def squad(text):
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text.lower().translate(MARKS)).split())


def python_number(text):
    try:
        return float(text.rstrip("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return None


@rule("relaxed_accuracy", "faithful")
@over_references
def relaxed_released(case, reference):
    found, wanted = python_number(case["prediction"]), python_number(reference)
    if found is not None and wanted:
        return abs(found - wanted) / abs(wanted) <= 0.05
    return case["prediction"].lower() == reference.lower()


def edits(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


@rule("anls", "faithful")
def anls_released(case):
    raw = case["prediction"]
    tidy = lambda text: " ".join(text.lower().split())
    nearest = min(edits(tidy(r), tidy(raw)) / max(len(r.upper()), len(raw.upper())) if r or raw else 0.0 for r in case["references"])
    return 1 - nearest if 1 - nearest >= 0.5 else 0.0


CONTRACTIONS = {"dont": "don't", "isnt": "isn't", "cant": "can't", "youre": "you're", "whats": "what's"}  # those the cases use


def eval_ai(text):
    text = text.lower().replace(",", "").replace("?", "").replace("'s", " 's").strip().replace("\n", " ").replace("\t", " ").strip()
    out = text
    for mark in ';/[]"{}()=+\\_-><@`,?!':
        out = out.replace(mark, "" if mark + " " in text or " " + mark in text else " ")
    out = re.sub(r"\.(?!\d)", "", out, count=32)
    values = {"none": "0", **{word: str(i) for i, word in enumerate(NUMBERS[:11])}}
    words = (values.get(word, word) for word in out.split())
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ("a", "an", "the"))


@rule("vqa_accuracy", "faithful")
def vqa_released(case):
    answer, given = eval_ai(case["prediction"]), [eval_ai(r) for r in case["references"]]
    shares = [min(1, sum(g == answer for j, g in enumerate(given) if j != i) / 3) for i in range(len(given))]
    return sum(shares) / len(shares)


def tokens(text):
    return re.sub(r"[^A-Za-z ]", "", text).lower().split()


def grams(text, n):
    words = tokens(text)
    return collections.Counter(" ".join(words[i:i + n]) for i in range(len(words) - n + 1))


@rule("pathvqa", "clean")
@over_references
def pathvqa(case, reference):
    mine, wanted = tokens(case["prediction"]), tokens(reference)
    return mine == wanted if mine or wanted else squad(case["prediction"]) == squad(reference)


@rule("pathvqa", "faithful")
def pathvqa_released(case):
    words = tokens(case["prediction"])
    return max(len(set(tokens(r)) & set(words)) / len(words) if words else 0 for r in case["references"])


@rule("word_f1", "clean")
def f1(case):
    def one(reference):
        a, b = grams(case["prediction"], 1), grams(reference, 1)
        both = (a & b).total()
        return 2 * both / (a.total() + b.total()) if both else 0
    return max(map(one, case["references"]))


@rule("word_f1", "faithful")
def f1_released(case):
    def one(reference):
        a, b = grams(case["prediction"], 1), grams(reference, 1)
        right = sum(n for word, n in a.items() if word in b)
        wrong = sum(n for word, n in a.items() if word not in b)
        missed = sum(n for word, n in b.items() if word not in a)
        if not right:
            return 0
        precision, recall = right / (right + wrong), right / (right + missed)
        return 2 * precision * recall / (precision + recall)
    return max(map(one, case["references"]))


def precisions(prediction, references, longest):
    for n in range(1, longest + 1):
        mine, most = grams(prediction, n), collections.Counter()
        for reference in references:
            most |= grams(reference, n)
        yield (mine & most).total() / mine.total() if mine else 0


def brevity(c, lengths):
    r = min(lengths, key=lambda length: (abs(length - c), length))
    return 1 if c > r else math.exp(1 - r / c)


def bleu(longest):
    def clean(case):
        shares = list(precisions(case["prediction"], case["references"], longest))
        if not all(shares):
            return 0
        return brevity(len(tokens(case["prediction"])), [len(tokens(r)) for r in case["references"]]) * math.prod(shares) ** (1 / longest)

    def released(case):
        text = case["prediction"].strip()
        if not text:
            return 0
        shares = [s for s in precisions(text, case["references"], longest) if s]
        return brevity(len(text), [len(r) for r in case["references"]]) * math.exp(sum(math.log(s) / longest for s in shares))
    rule(f"bleu_{longest}", "clean")(clean)
    rule(f"bleu_{longest}", "faithful")(released)


for order in (1, 2, 3):
    bleu(order)


def is_binary(case):
    return case.get("question", "").lower().strip().startswith(OPENINGS)


@rule("yes_no", "clean")
def yes_no(case):
    return float(any(squad(case["prediction"]) == squad(r) for r in case["references"])) if is_binary(case) else None


@rule("yes_no", "faithful")
def yes_no_released(case):
    same = any(case["prediction"].lower().strip() == r.lower().strip() for r in case["references"])
    return float(same) if is_binary(case) else None


def substring(case, text, tidy):
    return float(any(tidy(r) in tidy(text) for r in case["references"]))


def ocr(case, formula_text):
    if case.get("category") in ("HME100k", "Handwritten Mathematical Expression Recognition"):
        return substring(case, formula_text, lambda t: t.strip().replace("\n", " ").replace(" ", ""))
    return substring(case, case["prediction"], lambda t: t.lower().strip().replace("\n", " "))


rule("ocrbench", "clean")(lambda case: ocr(case, case["prediction"]))
rule("ocrbench", "faithful")(lambda case: ocr(case, case["prediction"].lower()))


# --- cases ---------------------------------------------------------------------------------------------------------------

LETTERS = ["A", "b", "B.", "(C)", " D ", "A bird", "The answer is C", "the answer is b.", "Option B", "B. crow", "b) crow", "crow", "",
           "I think it is (B), not (A)", "É", "7", "Answer: D", "Both A and B", "A.", "B.\nBecause it is black", "It is a crow.", "(b"]
BIRDS = ["jay", "crow", "wren", "black tern"]
COUNTS = ["4", "fourteen", "There are four cats.", "forty", "1,234", "4.", "3.0", "none", "Seventy-one", "04", "ten or 12",
          "12 or ten", "", "someone", "99999999999999999999", "two, maybe three", "sixteen", "twenty"]
TIMES = ["3:45", "03:45", "The time is 3:46.", "3:44", "3:47", "15:45", "103:45", "3 45", "quarter to four", "4:00", "3:60", "12:00", "12:59",
         "It shows 11:59", "hour 3, minute 45", "3.45", "3:4.5", ""]
NUMERIC = ["5", "5.25", "5.26", "5%", "0.05", "5%%", " 5 ", "1_0", "inf", "nan", "1e1", "-5", "Five", "five ", "", ".5", "5.", "_5", "1,000", "+5"]
TEXTS = ["the red car", "red car", "Red Car.", "red  car", "red", "car red", "RED CAR!", "", "a red car", "don't", "dont", "2", "two",
         "red-car", "the man's hat", "mans hat", "rød bil", "1,000", "1000"]
# digits of other scripts: full-width, Arabic-Indic, Devanagari; the superscript is none
SCRIPTS = ["５", "There are ٣ cats", "३", "०३", "１٣", "x²", "² or ३", "３", "３.０", "+３", "３e０", " ３ ", "３％", "３%", "１_０", "٣ ५"]
CLOCK_SCRIPTS = ["３:４५", "٠٣:٤٥", "३ ४६", "it is ３:４６.", "³:45", "３:٤"]
MEDICAL = ["yes", "Yes.", "no", "fibrous tissue", "tissue", "the tissue is fibrous", "fibrous fibrous tissue", "in the liver", "liver",
           "", "12", "chronic inflammation of the liver", "inflammation of the liver"]


def cases():
    def emit(metrics, predictions, references, **more):
        for metric in metrics:
            for mode in ("clean", "faithful"):
                if (metric, mode) in RULES:
                    for prediction in predictions:
                        yield {"metric": metric, "mode": mode, "prediction": prediction, "references": references, **more}
    for reference in ("B", "c"):
        yield from emit(["option_letter"], LETTERS, [reference.upper()], options=BIRDS)
        yield from emit(["leading_letter", "first_character", "scienceqa", "mmstar"], LETTERS, [reference])
    yield from emit(["mcq"], LETTERS, ["B"], options=BIRDS)
    yield from emit(["option_letter"], ["Z", "The answer is Z", "A bird", "Q.", "y"], ["Z"])
    question = "How many? Or which is it?\nA. Two\nB. The left one\nC. 2\nAnswer with the letter."
    yield from emit(["realworldqa"], ["two", "Two", "Two.", "The left one", "the left one", "b", "B.", "It is The left one!", "2", "A"], ["B"],
                    question=question)
    yield from emit(["realworldqa"], ["two", "Two", "2.", "ten", "eleven", ""], ["2"], question="How many?")
    yield from emit(["realworldqa"], ["The\x1cleft one", "left\x1fone", "The left one\x1c", "\x1eTwo\x1d", "Two\u180e", "le\u0301ft one", "\u200bTwo", "Two\x85"],
                    ["B", "The left one", "The\x1cleft one", "Two"])
    yield from emit(["realworldqa"], ["left", "The\x1cleft", "2", "C", "d"], ["B", "C"], question="Which?\nA.\x1cTwo\nB.\x1fleft\nC. The\x1cleft\n\x1cD. 2")
    yield from emit(["leading_letter", "mmstar", "scienceqa", "first_character"], ["\x1cB. crow", "\x1fB", " B\x1c", "\x85B."], ["B"])
    yield from emit(["count", "countbench"], COUNTS, ["4"])
    yield from emit(["count", "countbench"], COUNTS[:9], ["14"])
    for reference in ("5", "3", "١٣"):
        yield from emit(["count", "countbench", "relaxed_accuracy"], SCRIPTS, [reference])
    yield from emit(["clock", "clock_hour", "clock_minute"], TIMES + CLOCK_SCRIPTS, ["03:45"])
    yield from emit(["clock"], CLOCK_SCRIPTS, ["３:４５"])
    yield from emit(["clock"], TIMES, ["12:00"])
    yield from emit(["relaxed_accuracy"], NUMERIC, ["5"])
    yield from emit(["relaxed_accuracy"], NUMERIC, ["5%"])
    yield from emit(["relaxed_accuracy"], ["0", "0.0", "inf", "yes", "YES"], ["0", "Yes"])
    yield from emit(["exact_match", "anls", "vqa_accuracy"], TEXTS, ["Red car", "the man's hat", "two"])
    yield from emit(["anls"], ["red c", "red cat", "  red   car  ", "blue car", "ab"], ["red car", "abcd"])
    yield from emit(["anls"], ["straße", "strasse", "STRASSE", "groß", "ﬁnal", "final", "İzmir", "ŉ", "ßß"], ["straße", "groß", "ﬁnal", "İzmir", "ŉ"])
    for reference in ("ßx", "ŉab", "ﬁx"):
        yield from emit(["anls"], ["ß", "ßy", "ŉ", "ŉxy", "ﬁ", "ﬁy", ""], [reference])
    yield from emit(["vqa_accuracy"], ["3.٣", "x.", "3.x", "3x"], ["3.٣", "3٣", "x", "3x"])
    ten = ["red car"] * 2 + ["red  car?", "a red car", "car", "car", "the man's hat", "dont", "2", "1,000"]
    yield from emit(["vqa_accuracy"], TEXTS + ["car", "red car" + "." * 40], ten)
    for reference in ("fibrous tissue", "yes", "inflammation of the liver"):
        yield from emit(["pathvqa", "word_f1", "bleu_1", "bleu_2", "bleu_3"], MEDICAL, [reference])
    for reference in ("5", "95%", "", "2.5 cm", "ö", "the 5th", "100 000", "100000"):
        yield from emit(["pathvqa"], ["", "5", "5.", "90%", "95%", "95 %", "ö", "Ö.", "ß", "cm", "2.5 cm", "3 cm", "the", "th", "5th", "100,000", "100 000"], [reference])
    yield from emit(["pathvqa"], ["5", "95", "", "yes"], ["yes", "95%"])
    yield from emit(["bleu_2", "word_f1"], MEDICAL, ["in the liver", "fibrous tissue of the liver"])
    for question in ("Is it benign?", "are these cells?", "What is it?", "Island of cells?", " DOES it grow?", "am i right?"):
        yield from emit(["yes_no"], ["yes", "Yes.", "no"], ["yes"], question=question)
    yield from emit(["ocrbench"], ["The SIGN says\nstop", "stop", "s t o p", "", "STOPPED"], ["Stop", "says stop"])
    yield from emit(["ocrbench"], [r"\frac { X } { 2 }", r"\frac{x}{2}", r"a = \frac {X}{2} + 1"], [r"\frac { X } { 2 }"], category="HME100k")


def main():
    lines, seen = [], set()
    for case in cases():
        key = json.dumps(case, sort_keys=True)
        if key in seen:
            continue
        seen.add(key)
        score = RULES[case["metric"], case["mode"]](case)
        lines.append(json.dumps({**case, "score": None if score is None else float(score)}, ensure_ascii=False))
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "fixtures/metrics/benchmark_cases.json"
    out.write_text('{"note": "made by tests/reference/make_metric_cases.py; a score of null: left out of the mean", "cases": [\n'
                   + ",\n".join(lines) + "\n]}\n")
    print(len(lines), "cases,", sum('"score": 1.0' in line for line in lines), "right,", sum('"score": 0.0' in line for line in lines), "wrong")


if __name__ == "__main__":
    main()
