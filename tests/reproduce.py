#!/usr/bin/env python3
"""Runs recipes of configs/ and prints what their heads expect beside what came out.

    tests/reproduce.py NAME... [-n RANKS] [--seeds 1,2,3] [--out FOLDER] [--examples N] [key=value ...]

NAME is a recipe such as redonovan_elbo, or a .cfg file. Each seed is a run FOLDER/NAME-seedS, which is gone on with where it is
there; FOLDER/NAME.json has the table. Settings replace the recipe's (train.epochs=40, train.threads=1); what a shorter run does
not reach is shown as such. Exit code 1 where a check fails or nothing was checked. The lines of a head that it reads:

    # seeds: 3                                       how many; obtained is their mean
    # check: test.loss, epochs 91-100, 0.1962 +- 0.005         a split's metric, the mean of some epochs
    # check: result.steps_done, end, 1355 within a factor of 2     a key of result.json, as are the next two
    # check: result.status, end, exactly failed
    # check: result.error, end, has KL
    # check: test.kl_nats, epoch 100, about 7.5      shown, not judged; so is `below` or `above` a number, judged
    # evaluate: --importance-samples 5000            what `elbow evaluate` is to measure, as evaluate.KEY
    # below: iwae_1layer_k1                          -log p(x) is lower than that recipe's by two paired standard errors
"""
import argparse
import array
import json
import math
import pathlib
import re
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ABOUT_THIS_MACHINE = ("train.threads=", "train.device=", "data.")
WHEN = re.compile(r"end|epochs? (\d+)(?:-(\d+))?")
NUMBER = r"(-?[\d.]+(?:e-?\d+)?)"
RULES = {  # pattern of what is expected -> whether a value meets it; None: only shown
    rf"{NUMBER} \+- {NUMBER}": lambda x, value, tolerance: abs(x - float(value)) <= float(tolerance),
    rf"{NUMBER} within a factor of {NUMBER}": lambda x, v, f: float(v) / float(f) <= x <= float(v) * float(f),
    rf"below {NUMBER}": lambda x, limit: x < float(limit),
    rf"above {NUMBER}": lambda x, limit: x > float(limit),
    r"exactly (.+)": lambda x, value: x == float(value) if isinstance(x, float) else str(x) == value,
    r"has (.+)": lambda x, word: word in str(x),
    rf"about {NUMBER}": None,
}


class Recipe:
    def __init__(self, name):
        self.file = pathlib.Path(name) if name.endswith(".cfg") else ROOT / "configs" / f"{name}.cfg"
        if not self.file.is_file():
            sys.exit(f"reproduce: there is no recipe {self.file}; `ls configs` names them")
        self.name = self.file.stem
        self.seeds, self.checks, self.evaluate, self.below = [1], [], [], None
        for line in self.file.read_text().splitlines():
            word, _, rest = line.removeprefix("# ").partition(": ")
            if not line.startswith("# ") or word not in ("seeds", "check", "evaluate", "below"):
                continue
            if word == "seeds":
                self.seeds = list(range(1, int(rest) + 1))
            elif word == "check":
                self.checks.append(self.check_of(rest))
            elif word == "evaluate":
                self.evaluate = rest.split()
            else:
                self.below = rest.strip()

    def check_of(self, text):
        quantity, when, expected = (part.strip() for part in text.split(",", 2))
        if not WHEN.fullmatch(when) or "." not in quantity or not any(re.fullmatch(rule, expected) for rule in RULES):
            sys.exit(f"reproduce: cannot read `check: {text}` in {self.file}")
        return quantity, when, expected


def verdict(expected, value):
    """True, False, or None where the value is only shown."""
    if value is None:
        return None
    rule, judge = next((re.fullmatch(rule, expected), judge) for rule, judge in RULES.items() if re.fullmatch(rule, expected))
    return None if judge is None else bool(judge(value, *rule.groups()))


class Run:
    """A finished run folder and what it holds."""

    def __init__(self, folder, evaluation):
        self.folder, self.evaluation = folder, evaluation
        self.result = json.loads((folder / "result.json").read_text())
        self.lines = {}
        for line in map(json.loads, (folder / "metrics.jsonl").read_text().splitlines()):
            self.lines[line["split"], line["epoch"]] = line

    def obtained(self, quantity, when):
        """None where the run did not get there."""
        place, key = quantity.split(".", 1)
        first, last = WHEN.fullmatch(when).groups()
        if place == "result":
            value = self.result.get(key)
        elif place == "evaluate":
            value = self.evaluation.get(key) if first is None or self.result["epochs_done"] == int(first) else None
        else:
            epochs = [max(e for _, e in self.lines)] if first is None else range(int(first), int(last or first) + 1)
            values = [self.lines.get((place, epoch), {}).get(key) for epoch in epochs]
            value = None if None in values else statistics.fmean(values)
        return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def elbow(options, *words):
    ranks = ["-n", options.ranks] if options.ranks else []
    return subprocess.run([ROOT / "launch" / "elbow", *ranks, *words], stdout=subprocess.PIPE, text=True, check=False)


def run_of(recipe, seed, options):
    folder = options.out / f"{recipe.name}-seed{seed}"
    result = folder / "result.json"
    if not result.exists() or json.loads(result.read_text())["status"] != "failed":
        elbow(options, "train", recipe.file, *options.words, f"train.seed={seed}", "--out", folder, "--resume", "auto",
              "--progress", "none")
    if not result.exists() or json.loads(result.read_text())["status"] not in ("complete", "failed"):
        sys.exit(f"reproduce: the run {folder} has not ended; the same command goes on with it")
    evaluation = {}
    if recipe.evaluate:
        some = ["--examples", str(options.examples)] if options.examples else []
        words = [word for word in options.words if word.startswith(ABOUT_THIS_MACHINE)]
        said = elbow(options, "evaluate", folder, *words, *recipe.evaluate, *some, "--out", folder / "log_p.npy", "--json")
        evaluation = json.loads(said.stdout or "{}")
    return Run(folder, evaluation)


def log_p(folder):
    """log p(x) of each example: the first of two float64 columns."""
    stored = (folder / "log_p.npy").read_bytes()
    values = array.array("d", stored[10 + int.from_bytes(stored[8:10], "little"):])
    return values[::2]


def paired(recipe, options):
    """The check `below`: mean difference and its standard error over the same images of seed 1."""
    mine, other = (options.out / f"{name}-seed{options.seeds[0] if options.seeds else 1}" for name in (recipe.name, recipe.below))
    expected = f"below {recipe.below} by 2 paired standard errors"
    entry = {"quantity": "-log p(x)", "when": "paired", "expected": expected, "obtained": None, "passed": None}
    if (other / "log_p.npy").exists() and len(log_p(mine)) == len(log_p(other)):
        differences = [b - a for a, b in zip(log_p(mine), log_p(other))]
        mean, error = statistics.fmean(differences), statistics.stdev(differences) / math.sqrt(len(differences))
        entry |= {"obtained": f"{mean:.3f} +- {error:.3f}", "passed": mean < -2 * error}
    return entry


def shown(value):
    return "not reached" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def reproduce(recipe, options):
    runs = [run_of(recipe, seed, options) for seed in options.seeds or recipe.seeds]
    entries = []
    for quantity, when, expected in recipe.checks:
        each = [run.obtained(quantity, when) for run in runs]
        numbers = all(isinstance(value, float) for value in each)
        value = statistics.fmean(each) if numbers else None if None in each else each[0]
        passed = verdict(expected, value) if numbers else min((verdict(expected, x) for x in each), key=lambda v: (v is None, v))
        entries.append({"quantity": quantity, "when": when, "expected": expected, "obtained": value, "seeds": each, "passed": passed})
    if recipe.below:
        entries.append(paired(recipe, options))
    seconds = sum(run.result["seconds"] or 0 for run in runs)
    print(f"{recipe.name}: {len(runs)} run{'s' * (len(runs) > 1)}, {seconds:.0f} s of training")
    for e in entries:
        mark = {True: "ok", False: "FAILED", None: ""}[e["passed"]]
        each = "  (" + ", ".join(map(shown, e["seeds"])) + ")" if len(e.get("seeds", [])) > 1 else ""
        print(f"  {mark:6}  {e['quantity']:24} {e['when']:14} expected {e['expected']:34} obtained {shown(e['obtained'])}{each}")
    table = {"recipe": recipe.name, "settings": options.words, "training_seconds": seconds, "checks": entries}
    (options.out / f"{recipe.name}.json").write_text(json.dumps(table, indent=2) + "\n")
    return entries


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", metavar="NAME|key=value")
    parser.add_argument("-n", dest="ranks", metavar="RANKS")
    parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/reproduced"))
    parser.add_argument("--examples", type=int, help="importance-sample only the split's first N")
    parser.add_argument("--list", action="store_true", help="print the checks and run nothing")
    options = parser.parse_intermixed_args()
    options.words = [word for word in options.names if "=" in word]
    recipes = [Recipe(name) for name in options.names if "=" not in name]
    if options.list:
        for recipe in recipes:
            print(f"{recipe.name}: {len(recipe.seeds)} seeds", *(", ".join(check) for check in recipe.checks), sep="\n  ")
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    judged = [entry["passed"] for recipe in recipes for entry in reproduce(recipe, options) if entry["passed"] is not None]
    return 0 if judged and all(judged) else 1


if __name__ == "__main__":
    sys.exit(main())
