# SPDX-License-Identifier: Apache-2.0
# Opens the page that test_report writes in a headless Chromium: no console error, figures equal to the study's, tables that
# sort and download. Exits with 77 (skipped) where there is no Chromium.
#   python tests/framework/report_page.py TEST_REPORT
import html.parser
import json
import os
import shutil
import subprocess
import sys
import tempfile

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# Sorts the matrix by its last column, catches every download, and leaves what it saw in the page.
PROBE = """
<script>
addEventListener("load", async () => {
  const blobs = [], seen = {};
  URL.createObjectURL = blob => (blobs.push(blob), "data:,");
  HTMLAnchorElement.prototype.click = function () {};
  const table = document.getElementById("matrix");
  for (const button of document.querySelectorAll("#matrix thead button")) button.click();
  seen.sorted = [...table.tBodies[0].rows].map(row => Number(row.cells[row.cells.length - 1].dataset.value));
  for (const button of table.parentElement.nextSibling.querySelectorAll("button")) button.click();
  for (const button of document.getElementById("measures").parentElement.nextSibling.querySelectorAll("button")) button.click();
  seen.files = await Promise.all(blobs.map(blob => blob.text()));
  const figures = id => [...document.getElementById(id).tBodies[0].rows].map(row => [...row.cells].map(cell => cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value)));
  seen.probes = figures("probes");
  seen.layers = figures("layers");
  seen.written = document.querySelectorAll("table.written tbody tr").length;
  seen.width = [document.documentElement.scrollWidth, innerWidth];
  const out = document.createElement("pre");
  out.id = "seen";
  out.textContent = JSON.stringify(seen);
  document.body.append(out);
});
</script>
"""


class Seen(html.parser.HTMLParser):
    """Collects the probe's text and every fetched address."""

    def __init__(self):
        super().__init__()
        self.text, self.inside, self.fetched = "", False, []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.inside = attributes.get("id") == "seen"
        self.fetched += [attributes[key] for key in ("src", "href") if key in attributes and not attributes[key].startswith(("data:", "#"))]

    def handle_data(self, data):
        self.text += data if self.inside else ""


def open_page(browser, page, folder, *options):
    done = subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", f"--user-data-dir={folder}/profile",
                           "--virtual-time-budget=4000", *options, "--dump-dom", f"file://{page}"], capture_output=True, text=True, timeout=120)
    errors = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert not errors, errors
    seen = Seen()
    seen.feed(done.stdout)
    assert not seen.fetched, seen.fetched
    return json.loads(seen.text)


def check(seen, study):
    points = [study["base"]] + [point for branch in study["branches"] for point in branch["stages"]]
    held_out = [b["name"] for b in study["benchmarks"] if b["kind"] == "held_out"]
    assert [b["kind"] for b in study["benchmarks"]].count("extra") == 1
    means = [100 * sum(point["scores"][name] for name in held_out) / len(held_out) for point in points]
    assert all(abs(a - b) < 1e-9 for a, b in zip(seen["sorted"], sorted(means, reverse=True))), (seen["sorted"], means)
    csv, latex, measures, _ = seen["files"]
    rows = [line.split(",") for line in csv.strip().splitlines()]
    assert len(rows) == 1 + len(points) and latex.startswith("\\begin{tabular}") and latex.count("\\\\") == len(rows), (csv, latex)
    assert "clockread ○" in csv.splitlines()[0] and "clockread $\\circ$" in latex, (csv, latex)
    shown = sorted(tuple(float(x) for x in row[1:-1]) for row in rows[1:])
    stored = sorted(tuple(100 * point["scores"][b["name"]] for b in study["benchmarks"]) for point in points)
    assert all(abs(a - b) < 1e-9 for x, y in zip(shown, stored) for a, b in zip(x, y)), (shown, stored)
    places = [("base", "–", 0, study["base"])]
    for branch in study["branches"]:
        for point in branch["stages"]:
            places += [(branch["recipe"], point["task"], step["step"], step) for step in point["steps"]] + [(branch["recipe"], point["task"], point["last_step"], point)]
    stored = [[branch, stage, step, name, value] for branch, stage, step, at in places for name, value in at["probes"].items()]
    assert sorted(map(tuple, stored)) == sorted(tuple(row[:5]) for row in seen["probes"]), (stored, seen["probes"])
    layers = [(step, layer, at["probes"]["layers"] / (2, 4)[layer], at["probes"]["layers"] * (1, 3)[layer]) for _, _, step, at in places[1:] for layer in (0, 1)]
    assert sorted(layers) == sorted((row[2], row[4], row[5], row[6]) for row in seen["layers"]), (layers, seen["layers"])
    assert seen["written"] == len(places), seen["written"]
    assert "Held-out Forgetting low" in measures.splitlines()[0], measures
    assert seen["width"][0] <= seen["width"][1], f"the page is wider than the screen: {seen['width']}"


def main(program):
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not browser:
        print("no Chromium here")
        return 77
    with tempfile.TemporaryDirectory(prefix="retain-page-") as folder:
        subprocess.run([program, "--gtest_filter=Html.FiguresEqualTheStores"], env={**os.environ, "RETAIN_PAGE": folder}, check=True, stdout=subprocess.DEVNULL)
        with open(f"{folder}/report.html", encoding="utf-8") as file:
            text = file.read()
        with open(f"{folder}/probed.html", "w", encoding="utf-8") as file:
            file.write(text.replace("</body>", PROBE + "</body>"))
        with open(f"{folder}/study.json", encoding="utf-8") as file:
            study = json.load(file)
        for options in (["--window-size=1280,900"], ["--window-size=500,900", "--blink-settings=preferredColorScheme=0"]):
            check(open_page(browser, f"{folder}/probed.html", folder, *options), study)
    print("the page is as it should be")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
