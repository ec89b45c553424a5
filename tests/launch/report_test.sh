#!/usr/bin/env bash
# `elbow report`: figures and report.html from run folders alone.    report_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/../support/shell.sh" "$@"
few_digits digits 1000 200
train() { "$program" train data.source=idx data.dir="$folder/digits" model.encoder=32 model.decoder=24 train.batch_size=100 "$@" >/dev/null; }
train train.epochs=3 --out run
train train.epochs=2 model.latent=5 objective.kl_wt=1e-2 --out other
train train.epochs=2 model.latent=1 --out line

before=$(find run -type f -exec sha256sum {} + | sort)
"$program" report run >said 2>errors
check "a report ends with 0" same $? 0
check "without a word on standard error" same "$(cat errors)" ""
check "it names the page" contains said run/report.html
check "it leaves the run's files alone" same "$(find run -type f ! -path '*/figures/*' ! -name report.html -exec sha256sum {} + | sort)" "$before"
check "it draws these figures" same "$(cd run/figures && echo *)" \
  "aggregated_posterior.png aggregated_posterior.svg latent_scatter.png latent_units.png latent_units.svg loss_curves.png loss_curves.svg manifold.png manifold_range.png numbers.json posterior_ellipses.png posterior_ellipses.svg prior_samples.png reconstructions.png"
check "the page asks for nothing from elsewhere" fails grep -qE '(src|href)="(https?:)?//' run/report.html
check "and is of a size to send" test "$(stat -c %s run/report.html)" -lt 5000000
check "numbers agree with the metrics" "$python" - <<'PYTHON'
import json
numbers = json.load(open("run/figures/numbers.json"))["run"]
last = json.loads(open("run/metrics.jsonl").readlines()[-1])
assert numbers["last_epoch"]["elbo_nats"] == last["elbo_nats"]
assert (numbers["split"], numbers["examples"], numbers["beta"]) == ("test", 200, 0.784), numbers
shares = [numbers[f"mu_within_{k}sd"] for k in (1, 2, 5)]
assert 0 <= shares[0] <= shares[1] <= shares[2] <= 1 and shares[2] > 0
assert 0 < numbers["sample_sharpness"] < 1
PYTHON
first=$(sha256sum run/figures/* run/report.html)
"$program" report run >/dev/null
check "twice gives the same files" same "$(sha256sum run/figures/* run/report.html)" "$first"

# --- Other runs ----------------------------------------------------------------------------------------------------------
"$program" report other >/dev/null
check "five latent units: also their principal axes" test -s other/figures/latent_scatter_axes.png
check "one latent unit is drawn" "$program" report line
cp -r run unfinished && rm -r unfinished/result.json unfinished/checkpoints unfinished/figures
check "a run that has no weights yet" "$program" report unfinished
check "gets its curves and traces" same "$(cd unfinished/figures && echo *.png)" "loss_curves.png posterior_ellipses.png"
"$program" report run other --out both >/dev/null
check "several runs stand side by side" test -s both/report.html -a -s both/figures/held_out_curves.png
check "with the settings in which they differ" contains both/report.html "<tr><th>model.latent</th><td>2</td><td>5</td></tr>"
check "two ranks report as one" "$launcher" -n 2 report run

# --- A sweep, from its ledger alone ----------------------------------------------------------------------------------------
mkdir sweep
ELBOW_LEDGER=sweep/ledger.jsonl "$(dirname "$program")/tests/launch_sweep_ledger_test" \
  --gtest_filter=LedgerTest.AnExampleOfEverythingIsWritten >/dev/null
"$program" report sweep >/dev/null
check "a sweep's ledger gives a page, tables and figures" same "$(cd sweep && echo figures/*.png *.csv *.html)" \
  "figures/parallel_coordinates.png figures/rungs.png frontier.csv results.csv report.html"
check "with a line for every trial" same "$(wc -l <sweep/results.csv)" 5
check "a sweep is not put beside runs" fails "$program" report sweep run 2>/dev/null

# --- In a browser ----------------------------------------------------------------------------------------------------------
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
if [[ -z $browser ]]; then
  echo "skipped: how the page looks in a browser (Debian's chromium is not installed)"
  finish
fi
# Loads report.html at some width, without network, and tells of its charts, its width and its errors.
look() {  # PAGE WIDTH
  cat >frame.html <<HTML
<body style="margin:0"><iframe src="$1" style="width:${2}px;height:1000px;border:0"></iframe>
<script>
const frame = document.querySelector("iframe");
frame.onload = () => setTimeout(() => {
  const page = frame.contentDocument, charts = [...page.querySelectorAll("canvas")];
  const drawn = charts.filter((canvas) => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((x) => x)).length;
  const broken = [...page.images].filter((image) => !image.src.startsWith("data:")).length;
  document.body.dataset.found = drawn + " of " + charts.length + " charts, " + page.documentElement.scrollWidth + " wide, " + broken + " broken";
}, 300);
</script>
HTML
  timeout 120 "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --allow-file-access-from-files --user-data-dir="$folder/profile" \
    --host-resolver-rules="MAP * ~NOTFOUND" --virtual-time-budget=8000 --window-size="$2,1000" --dump-dom "file://$folder/frame.html" 2>browser.err |
    grep -oE 'data-found="[^"]*"'
}
check "on a desktop all charts are drawn" same "$(look run/report.html 1200)" 'data-found="6 of 6 charts, 1200 wide, 0 broken"'
check "on a phone nothing is wider than the screen" same "$(look both/report.html 360)" 'data-found="6 of 6 charts, 360 wide, 0 broken"'
if [[ -n ${ELBOW_SCREENSHOTS:-} ]]; then  # a folder: to look at
  for page in run both; do
    "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$folder/profile" --hide-scrollbars --window-size=1280,4000 \
      --virtual-time-budget=8000 --screenshot="$ELBOW_SCREENSHOTS/report_$page.png" "file://$folder/$page/report.html" 2>/dev/null
  done
fi
finish
