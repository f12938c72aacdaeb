"""What validation/ shows of the benchmark is what its data say, and the data are judged by plain arithmetic."""

from __future__ import annotations

import functools
import re
import sys
import types
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

PROJECT = Path(__file__).parents[1]
sys.path.insert(0, str(PROJECT / "validation"))  # its scripts are no package

(
    contest,
    data,
    goals,
    peers,
    report,
    roofline,
    scaling,
    timing,
    documents,
    checks,
    accuracy,
    tables,
    formulas,
    physics,
    scale,
    results,
) = map(
    import_module,
    (
        "_contest",
        "_speed_data",
        "_goals",
        "_peers",
        "_report",
        "_roofline",
        "_scaling",
        "_timing",
        "_speed_report",
        "_checks",
        "_accuracy_report",
        "_tables_report",
        "_symbolic_report",
        "_physics_report",
        "_scale_report",
        "_results",
    ),
)

SPEED, ACCURACY, CHECKS = data.load(), data.load(accuracy.FILE), data.load(checks.FILE)
TABLES, FORMULAS, PHYSICS = data.load(tables.FILE), formulas.sets(), data.load(physics.FILE)
SCALE = data.load(scale.FILE)


def time_of(contender, forward, both=None, workload="small", dtype="float32", threads=1):
    record = {"threads": threads, "workload": workload, "dtype": dtype, "contender": contender, "forward": forward}
    return record if both is None else {**record, "both": both}


TIMES = [
    time_of("numkan", 1e-3, 2e-3),
    time_of("pykan plain", 30e-3, 28e-3),
    time_of("inkan compiled", 4e-3, 14e-3),
    time_of("numkan", 4e-3, 9e-3, "row"),
    time_of("numkan frozen", 1e-3, workload="row"),
    time_of("flashkan", 9e-3, 90e-3, "row"),
    time_of("numkan", 1e-3, 3e-3, "wide", threads=2),
    time_of("jaxkan jitted", 2e-3, 2e-3, "wide", threads=2),
]


def section(name, path):
    return path.read_text(encoding="utf-8").split(f"<!-- begin {name} -->\n")[1].split(f"\n<!-- end {name} -->")[0]


# --- who takes part -----------------------------------------------------------------------------------------------

WORK = peers.Workload("small", (2, 1), 5, 3)


def returning(y):
    return lambda work, dtype, threads: peers.Contender(lambda: y, None)


def test_a_peer_takes_part_with_finite_outputs_of_the_workload_only(monkeypatch):
    y, wrong = (
        np.ones((3, 1), np.float32),
        {
            "no numbers": np.full((3, 1), np.nan, np.float32),
            "other shape": np.ones(3, np.float32),
            "other dtype": np.ones((3, 1)),
        },
    )
    given = {"numkan": y, "a peer": y, **wrong}
    monkeypatch.setattr(contest, "CONTENDERS", {name: returning(outputs) for name, outputs in given.items()})
    ready, absent = contest.assemble(list(given), WORK, "float32", 1)
    assert list(ready) == ["numkan", "a peer"]
    assert absent == dict.fromkeys(wrong, "ValueError: outputs are not finite float32 of shape (3, 1)")


def test_numkan_may_not_be_left_out(monkeypatch):
    monkeypatch.setattr(contest, "CONTENDERS", {"numkan": returning(np.full((3, 1), np.nan))})
    with pytest.raises(ValueError, match="not finite"):
        contest.assemble(["numkan"], WORK, "float64", 1)


@pytest.mark.parametrize("text", [documents.section, documents.report_text])
def test_the_results_say_who_was_left_out(text):
    absent = [
        {"workload": "wide", "dtype": "float32", "contender": "pykan", "threads": n, "why": "slow"} for n in (1, 2)
    ]
    shown = text({"peers": {**SPEED["peers"], "absent": absent}})
    assert "\nLeft out: pykan of wide float32 (slow)." in shown


# --- the documents ------------------------------------------------------------------------------------------------


def test_the_table_of_the_readme_is_made_from_the_data():
    assert section("speed", documents.README) == documents.readme_text(SPEED["peers"])


def test_the_results_are_made_from_the_data_and_short():
    text = report.RESULTS.read_text(encoding="utf-8")
    assert text == results.results_text(SPEED, ACCURACY, CHECKS, TABLES, FORMULAS, PHYSICS, SCALE)
    assert len(text.splitlines()) <= 200


def test_scale_is_extrapolated_from_what_was_measured_in_two_pages():
    about = {"date": "today", "machine": "m", "system": "s", "packages": "p 1"}
    fit = {"seconds": 20.0, "wall": 20.0, "memory": 90.0, "error": 0.001, "bound": 0.0015, "bits": "a"}
    two = fit | {"wall": 10.0, "bits": "b"}
    local = {"seconds": 25.0, "passes": {"BlockSlope": 9, "BlockEquations": 2, "_ModelLoss": 1}}
    parts = {
        "rows": {"n": 1_000_000, "rows": {"numkan, 1": fit, "numkan, 2": two, "numkan, files": fit, "boosting": fit}},
        "workers": {"n": 1_000_000, "local": local, "over local": 0.1, "same bits": True},
        "step": {"n": 10_000_000, "coefficients": 500, "equations": 30.0, "slope": 25.0, "loss": 3.0},
        "simulation": {
            "rows": 1_000_000_000, "workers": 100, "tasks": 3815, "task seconds": 3.0, "sum bytes": 2_000_000,
            "sent bytes": 7000, "computed": 30.0, "wall": 31.0, "scheduler seconds a task": 0.001,
        },
    }  # fmt: skip
    found = {name: {"about": about, **part} for name, part in parts.items()}
    missed = [goal.what for goal in scale.claim(found).missed]
    assert missed == [
        "1e6 rows: bits that differ, threads and files",
        "1e6 rows: CPU",
        "1e7 rows in files: CPU of a step, loss and slope of all rows",
    ]
    text = scale.text(found)
    assert len(text.splitlines()) <= 100
    costs = scale._Costs(found)
    assert costs.fit(1e9, 1) == pytest.approx(1e3 * (2 * 3.0 + 9 * 2.5), rel=0.01)
    assert f"| {costs.fit(1e9, 100):,.0f} |" in text.replace("  ", " ").replace("  ", " ").replace("  ", " ")
    assert costs.fit(1e9, 1) / 100 < costs.fit(1e9, 100) < costs.fit(1e9, 1) / 50
    assert len(scale.text({"rows": found["rows"]})) < len(text)


def test_writing_makes_the_same_documents_again(tmp_path, monkeypatch):
    readme = results.README.read_text(encoding="utf-8")
    table = readme[readme.index("<!-- begin accuracy") : readme.index("<!-- end accuracy")]
    (tmp_path / "README.md").write_text(readme.replace(table, table[: table.index("\n") + 1]), encoding="utf-8")
    monkeypatch.setattr(results, "RESULTS", tmp_path / "RESULTS.md")
    monkeypatch.setattr(results, "README", tmp_path / "README.md")
    results.write()
    assert (tmp_path / "RESULTS.md").read_text(encoding="utf-8") == report.RESULTS.read_text(encoding="utf-8")
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == readme


def test_every_claim_has_a_line_and_every_missed_goal_stands_above_them():
    about = {"date": "today", "machine": "m", "system": "s", "packages": "p 1", "claim": "said."}
    rows = [
        {"what": "slow", "value": 3.0, "bound": 2.0, "unit": "s"},
        {"what": "few", "value": 1, "bound": 1, "least": True},
    ]
    text = results.results_text({}, {}, {"faults": {"about": about, "rows": rows}})
    missed = text.index("| Nothing lost, torn, hung or unclear: slow |")
    assert missed < text.index("| Nothing lost, torn, hung or unclear |")
    assert "\n1 of 2 met.\n" in text
    assert "[checks.json](checks.json): `faults.py`." in text
    assert "few |" not in text[:missed]


def test_claims_of_a_group_share_a_line_that_counts_their_goals():
    about = {"date": "today"}
    each = [goals.Claim(n, f"s.py --task {n}", [goals.Goal(n, 1.0, bound)], about, group="all") for n, bound in
            (("a", 1.0), ("b", 2.0))]  # fmt: skip
    *_, line = lines = results.summary(each).splitlines()
    assert len(lines) == 3
    assert all(part in line for part in ("| all ", "`s.py`", "1 of 2 met"))


def test_equations_are_held_against_their_goals_by_every_seed():
    about = {"date": "today", "machine": "m", "system": "s", "packages": "p 1"}
    runs = [{"seed": seed, "error": error, "seconds": 1.0} for seed, error in enumerate((1e-9, 1e-9, 1e-4))]
    inverse = [{"seed": s, "error": 0.1, "seconds": 1.0, "covers": s < 57, "beside": 0.02} for s in range(100)]
    found = {"about": about, "poisson": {"anchor": "splines", "runs": runs},
             "cost": {"[2, 5, 1]": {"derivatives": 6.0, "step": 2.5}},
             "diffusion 5 %": {"anchor": "peer", "runs": inverse}}  # fmt: skip
    missed = [goal.what for goal in physics.goals(found) if not goal.met]
    assert missed == [
        "poisson: worst error of 3 seeds",
        "diffusion 5 %: share of 100 seeds whose interval of 68 % covers the truth",
    ]
    shown = " ".join(physics.section(found).split())
    assert shown.index("Missed: poisson: worst error of 3 seeds 0.0001 (goal 5e-05)") < shown.index("1.0e-04 of 3")
    assert "1.0e-01 of 100, 68 % intervals cover 57" in shown
    long = physics.report_text(found)
    assert "1.0e-09, 1.0e-09, 1.0e-04" in long.replace("\n ", "")
    assert " splines |" in long
    assert " peer; least squares of the exact modes: 0.02 s; 68 % intervals cover 57 of 100 |" in long
    assert "in steps of the fit: 6 and 2.5 for [2, 5, 1]." in long


def test_a_claim_says_when_its_peers_ran():
    claim = goals.Claim("it is fast", "s.py", [], {"date": "today", "peers": "yesterday"})
    assert "| today, peers yesterday |" in results.summary([claim])


def test_many_missed_goals_do_not_make_the_results_long():
    about = {"date": "today", "machine": "m", "system": "s", "packages": "p 1", "claim": "said."}
    rows = [{"what": f"goal {i}.", "value": 3.0, "bound": 2.0} for i in range(40)]
    text = results.results_text({}, {}, {"faults": {"about": about, "rows": rows}}).split("## Checks")[0]
    assert text.count(": goal ") == results.SHOWN
    assert f"The first {results.SHOWN} of 40 that are missed" in text


def test_machines_are_listed_once_with_the_versions_that_agree():
    hosts = [("a", "m", "p 1, q 1"), ("b", "m", "p 1, r 2"), ("c", "m", "p 2"), ("d", "n", "p 1")]
    claims = [
        goals.Claim("", f"{name}.py", [], {"machine": machine, "system": "s", "packages": packages})
        for name, machine, packages in hosts
    ]
    assert results.machines(claims).splitlines() == [
        "- `a.py`, `b.py`: m; s; p 1, q 1, r 2.",
        "- `c.py`: m; s; p 2.",
        "- `d.py`: n; s; p 1.",
    ]


def test_all_that_the_files_hold_can_be_printed():
    long = documents.report_text(SPEED)
    for name, part in SPEED.items():
        assert f"## {name}\n" in long
        for record in part.get("times", []):
            assert f"| {record['contender']} " in long
    assert documents.report_text({}) == ""


@pytest.mark.parametrize(
    ("script", "printed"),
    [("benchmark", lambda: documents.report_text(SPEED)), ("accuracy", lambda: accuracy.report_text(ACCURACY))],
)
def test_a_report_prints_the_long_tables_and_measures_nothing(script, printed, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [script, "--report"])
    assert import_module(script).main() == 0
    assert capsys.readouterr().out.strip() == printed()


def test_what_a_script_keeps_replaces_its_part_and_is_shown_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(checks, "FILE", tmp_path / "checks.json")
    monkeypatch.setattr(results, "RESULTS", tmp_path / "RESULTS.md")
    comparison = import_module("determinism").Comparison()
    digests = dict.fromkeys(("outputs", "loss", "gradient", "derivative", "Jacobian"), "a")
    comparison.see("1 thread", "net", digests, digests)
    comparison.see("2 threads", "net", {"outputs": "b"}, digests)
    about = {"date": "today", "machine": "m", "system": "s", "packages": "p 1", "claim": "said."}
    for _ in range(2):
        checks.keep("determinism", {"about": about, "rows": comparison.records()})
    assert list(data.load(checks.FILE)) == ["determinism"]
    text = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    assert "| The same bits: digests equal " in text
    assert re.search(r"5 of 6 \| +at least 6 of 6 \|", text)


def test_what_hosts_with_shorter_vectors_measure_is_a_few_lines():
    about = {**SPEED["peers"]["about"], "vectors": "256"}
    assert data.part_name("peers", about) == "peers 256"
    assert data.part_name("peers", SPEED["peers"]["about"]) == "peers"
    other = {"peers 256": {**SPEED["peers"], "about": about}}
    section = documents.section(other)
    assert section.startswith("## Speed, vectors of 256 bits\n")
    assert len(section.splitlines()) < 10
    found = documents.claims(other)
    assert all(claim.what.endswith(", vectors of 256 bits") for claim in found)
    assert not any("floors" in claim.what for claim in found)
    assert {claim.what.split(",")[0] for claim in found if claim.decides} == {"Ahead of every peer"}


def test_the_data_come_back_as_they_were_saved(tmp_path):
    path = tmp_path / "speed.json"
    data.save(SPEED, path)
    assert data.load(path) == SPEED
    assert path.read_text(encoding="utf-8") == data.FILE.read_text(encoding="utf-8")


@pytest.mark.parametrize("measured", [{}, SPEED, {"peers": SPEED["peers"]}, {"scaling": SPEED["scaling"]}])
def test_the_figure_is_drawn_from_what_there_is(tmp_path, measured):
    documents.draw(measured, tmp_path / "speed.png")
    assert (tmp_path / "speed.png").stat().st_size > 1000


def test_the_readme_shows_the_fastest_peer_and_the_predictor_for_rows():
    about = {"date": "today", "machine": "this one", "system": "s", "packages": "p", "vectors": "512"}
    lines = documents.readme_text({"about": about, "times": TIMES}).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:4]]
    assert cells[0][1:] == ["1 / 2", "4.0x (inkan compiled) / 7.0x (inkan compiled)", "30x / 14x"]
    assert cells[1][1:] == ["1 / 9", "9.0x (flashkan) / 10.0x (flashkan)", "- / -"]


# --- ratios and goals ---------------------------------------------------------------------------------------------


def verdicts(found):
    return {goal.what: (pytest.approx(goal.value), goal.met) for goal in found}


def test_pykan_is_held_where_it_took_part():
    assert verdicts(goals.over_pykan(TIMES)) == {
        "small float32 fwd, pykan plain": (30, True),
        "small float32 fwd+bwd, pykan plain": (14, False),
    }


def test_floors_are_about_the_fastest_peer_in_float32_with_one_thread():
    assert verdicts(goals.floors([*TIMES, time_of("numkan", 1.0, 1.0, "mid", "float64")])) == {
        "small float32 fwd, inkan compiled": (4, False),
        "small float32 fwd+bwd, inkan compiled": (7, True),
        "row float32 fwd, flashkan": (9, True),
        "row float32 fwd+bwd, flashkan": (10, True),
    }


def test_numkan_is_to_be_ahead_everywhere():
    assert verdicts(goals.ahead(TIMES, 2)) == {
        "wide float32 fwd, jaxkan jitted": (2, True),
        "wide float32 fwd+bwd, jaxkan jitted": (pytest.approx(2 / 3), False),
    }
    assert [goal.met for goal in goals.ahead(TIMES, 1)] == [True] * 4


def test_without_peers_there_are_no_goals_about_them():
    alone = [record for record in TIMES if record["contender"].startswith("numkan")]
    about = {"vectors": "512"}
    assert not documents.peer_claims({"about": about, "times": alone, "speedups": [], "rates": []})


def test_every_workload_has_its_floors():
    assert set(goals.FLOORS) == set(documents.WORKLOADS)


def test_two_threads_over_one():
    gain = {"threads": 2, "workload": "mnist", "dtype": "float64", "forward": 1.6, "both": 1.4}
    assert [goal.met for goal in goals.speedups([gain])] == [True, False]


def test_what_the_machine_gains_is_said_beside_where_it_was_measured():
    gains = [{**gain, "machine": 1.943} for gain in SPEED["peers"]["speedups"]]
    assert "1.94 times the work" in documents.section({"peers": {**SPEED["peers"], "speedups": gains}})


def test_a_bound_from_above_is_met_below_it():
    assert goals.Goal("", 1.2, 1.3, most=True).met
    assert not goals.Goal("", 1.4, 1.3, most=True).met
    assert goals.Goal("wide", 1.4, 1.3, most=True).row() == ["wide", "1.4 x", "at most 1.3 x", "missed"]


# --- useful work --------------------------------------------------------------------------------------------------


def test_useful_flops_and_bytes_of_two_layers():
    work = peers.Workload("", (2, 5, 3), 4, 10)
    first, second = 2 * 5 * 10 * 10, 2 * 5 * 10 * 15  # 2 (k + 2) N n_in n_out
    assert roofline.useful_flops(work, "forward") == first + second
    assert roofline.useful_flops(work, "both") == 2 * first + 3 * second  # no gradient by the inputs of the first
    parameters, samples = (10 + 15) * (4 + 3 + 2), 10 * (2 + 3)
    assert roofline.least_bytes(work, "forward", "float32") == 4 * (parameters + samples)
    assert roofline.least_bytes(work, "both", "float64") == 8 * (2 * parameters + samples)


def test_the_parameters_that_count_are_those_of_the_network():
    import numkan

    work = peers.Workload("", (2, 5, 3), 4, 0)
    n_params = numkan.KAN(list(work.width), grid=work.G, k=work.k).n_params
    assert roofline.least_bytes(work, "forward", "float64") == 8 * n_params


def test_the_time_of_the_work_is_the_longer_of_two():
    work = peers.Workload("wide", (10, 10), 1, 10)  # 10,000 flop; 800 numbers
    assert roofline.work_seconds(work, "forward", "float32", {"flops": 1e4, "bytes": 3.2e4}) == 1.0
    assert roofline.work_seconds(work, "forward", "float32", {"flops": 1e5, "bytes": 1.6e3}) == 2.0


def test_the_share_is_of_the_time_of_the_work_and_the_bound_is_on_flops():
    work, times = peers.Workload("wide", (10, 10), 1, 10), [time_of("numkan", 4.0, 8.0, "wide")]
    machine = [{"workload": "wide", "dtype": "float32", "flops": 1e4, "bytes": 1.6e3}]
    rows = roofline.table_of_shares(times, machine, {"wide": work}).splitlines()[2:]
    assert [row.split("|")[-2].strip() for row in rows] == ["50 %", "44 %"]  # 2 of 4 s; 3.5 (5600 bytes) of 8 s
    (goal,) = roofline.roofline(times, machine, {"wide": work})
    assert goal.value == pytest.approx(4.0)


# --- sweeps -------------------------------------------------------------------------------------------------------


def test_a_sweep_is_divided_by_what_it_should_cost():
    by_degree = scaling.SWEEPS[2]
    spent = {3: 5.0, 1: 3.0, 2: 8.0, 4: 6.0, 5: 14.0}  # 1, 1, 2, 1, 2 by k + 2
    records = [{"sweep": by_degree.title, "dtype": "float32", "k": k, "forward": t} for k, t in spent.items()]
    assert scaling.relative(by_degree, "float32", "forward", records) == {1: 1.0, 2: 2.0, 4: 1.0, 5: 2.0}


def test_the_worst_of_a_sweep_is_held_against_its_bound():
    records = [
        {"sweep": plan.title, "dtype": dtype, plan.over: v, "forward": 1.25 * cost(v), "both": cost(v) + (v == 50)}
        for plan in scaling.SWEEPS
        for dtype in scaling.DTYPES
        for cost in [scaling.COST[plan.over]]
        for v in plan.values
    ]
    memory = [{"call": "loss", "dtype": "float32", "bytes": 150_000_000}]
    found = scaling.scaling({"sweeps": records, "memory": memory})
    assert [goal.what for goal in found if not goal.met] == [
        *(f"[{width}], 10,000 rows, grids, {d} fwd+bwd" for width in ("4,16,16,1", "256,256") for d in scaling.DTYPES),
        "memory of a loss, 1,000,000 rows, float32",
    ]


# --- timing ------------------------------------------------------------------------------------------------------


def test_every_call_has_its_rounds_and_a_slow_one_no_more(monkeypatch):
    now = 0.0
    count = {"one": 0, "two": 0, "slow": 0}
    spent = {"one": 2e-3, "two": 2e-3, "slow": 1.2}

    def call(name):
        nonlocal now
        count[name] += 1
        now += spent[name]

    monkeypatch.setattr(timing, "time", types.SimpleNamespace(perf_counter=lambda: now))
    found = timing.alternate({name: functools.partial(call, name) for name in spent}, 60e-3, 3)
    assert count["one"] == count["two"] > count["slow"] == 3
    assert found == pytest.approx(spent)
