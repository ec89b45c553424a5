#!/usr/bin/env bash
# What a person sees while a run goes: on a terminal a bar that lives, never wraps and leaves whole lines behind; elsewhere
# plain lines.    terminal_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/../support/shell.sh" "$@"
few_digits digits 4000 200

run=(train "$repository/configs/kl_vae.cfg" data.source=idx data.dir=digits model.encoder=64 model.decoder=64 train.epochs=4
  train.batch_size=50 log.every_steps=10)
seen() {  # NAME COLUMNS COMMAND...
  "$python" "$repository/tests/support/on_terminal.py" "$2" "$1.seen" "${@:3}"
  check "$1: ends with 0" same $? 0
}
seen alone 80 "$program" "${run[@]}" --out alone
seen narrow 60 "$launcher" -n 2 "${run[@]}" --out narrow
seen ranks 200 "$launcher" -n 2 "${run[@]}" --out ranks
seen redirected 100 bash -c '"$@" >redirected.out' -- "$launcher" -n 2 "${run[@]}" --out redirected

check "the bar" "$python" - <<'PYTHON'
import json, re

def received(name):
    lines = [line.split(" ", 1) for line in open(f"{name}.seen")]
    return [(float(seconds), json.loads(text)) for seconds, text in lines]

def screen(text):
    """What the terminal shows at the end: a carriage return overwrites, ESC[K wipes to the line's end."""
    lines, column = [""], 0
    for word in re.findall(r"\x1b\[K|\r|\n|[^\x1b\r\n]+|\x1b", text):
        if word == "\r":
            column = 0
        elif word == "\n":
            lines.append("")
            column = 0
        elif word == "\x1b[K":
            lines[-1] = lines[-1][:column]
        else:
            assert word != "\x1b", "a sequence that this test does not know"
            lines[-1] = lines[-1][:column] + word + lines[-1][column + len(word):]
            column += len(word)
    return lines

for name, columns in (("alone", 80), ("narrow", 60), ("ranks", 200), ("redirected", 100)):
    parts = received(name)
    text = "".join(part for _, part in parts)
    bars = re.findall(r"\r(epoch [^\r\n]*)\x1b\[K", text)
    assert len(bars) >= 20, f"{name}: {len(bars)} bars"
    assert all(len(bar) < columns for bar in bars), f"{name}: a bar wraps"
    form = r"epoch [1-4]/4 [ \d]{3}% (\[#*-*\] )?ETA \d+:\d\d(  \d+ examples/s(  loss \d\.\d{4}(  test \d\.\d{4})?)?)?"
    for bar in bars:
        assert re.fullmatch(form, bar), f"{name}: {bar!r}"
        assert "loss" in bar, f"{name}: {bar!r}"
    percents = [int(re.search(r"(\d+)%", bar)[1]) for bar in bars]
    assert percents == sorted(percents) and percents[0] < 10 and percents[-1] == 100, percents
    assert "test" in bars[-1] or columns < 80, f"{name}: {bars[-1]!r}"
    moments = [seconds for seconds, part in parts if "%" in part]
    assert moments[-1] - moments[0] > 0.05, f"{name}: all bars came at once, at the end"
    shown = screen(text)
    assert not any("%" in line for line in shown), f"{name}: a bar stayed: {shown}"
    epochs = [line for line in shown if line.startswith("epoch")]
    if name == "redirected":
        assert shown == [""], f"standard output was redirected: {shown}"
        plain = open("redirected.out").read()
        assert "\x1b" not in plain and "\r" not in plain
        epochs = [line for line in plain.splitlines() if line.startswith("epoch")]
    else:
        assert shown[0].startswith("run "), shown
        assert shown[-2].startswith("next "), shown
    assert len(epochs) == 4, f"{name}: {epochs}"
    if name in ("alone", "narrow"):
        assert max(map(len, epochs)) < 80, epochs
    if name == "ranks":
        assert all("sigma" in line and "examples/s" in line for line in epochs), epochs
PYTHON

"$launcher" -n 2 "${run[@]}" --out plain >plain.out 2>plain.err
check "not on a terminal: one line an epoch" same "$(grep -cE '^epoch [1-4]/4  train .* \| test .* \| mu .* examples/s$' plain.out)" 4
check "without control characters" fails grep -qP '[\x00-\x09\x0b-\x1f]' plain.out
check "and nothing on standard error" same "$(cat plain.err)" ""
"$launcher" -n 2 "${run[@]}" --out none --progress none >none.out 2>none.err
check "none: no line an epoch" same "$(grep -c '^epoch' none.out)" 0
check "none: only the table of settings and the summary" same "$(cut -d' ' -f1 none.out | xargs)" \
  "run data model likelihood objective optimizer training ranks devices if end train test posterior best speed files next"
check "none: nothing on standard error" same "$(cat none.err)" ""
finish
