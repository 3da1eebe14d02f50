#!/usr/bin/env python3
"""Breaks the core in known ways, one after the other, and runs the simulation on each: it must notice. What cannot come
about in it (a second line of defence) a unit test must notice, whose name is told instead of a seed.

Works on a copy of the tree; what is built of dependencies is shared with the ordinary build. A text that is no longer in
the sources is an error: mend the list together with the code. `mutants.py NAME...` tries those alone.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SEEDS = 10_000
LANE, PLAN, PARTITIONS = "src/allocate/lane.rs", "src/project/plan.rs", "src/allocate/partitions.rs"
GATHER, OUTCOME, SCHEDULE = "src/gather/plan.rs", "src/service/outcome.rs", "src/service/schedule.rs"
FORGOTTEN, RETENTION = "src/allocate/forgotten.rs", "src/upkeep/plan.rs"

# name, file, what stands there, what is put in its place
MUTANTS = [
    ("commits past an open day", LANE, "*next = Some(at.min(first));", "*next = Some(at.max(first));"),
    (
        "forgets what is done after a crash",
        LANE,
        "Self { done, next, ..Self::default() }",
        "{ drop(done); Self { next, ..Self::default() } }",
    ),
    ("takes a superseded revision for the newest", LANE, "if collecting.day.revision() > revision {", "if false {"),
    ("collects a new revision on top of the old one", LANE, "if collecting.day.revision() < revision {", "if false {"),
    ("allocates a repeated revision again", LANE, "self.done(key.clone(), collecting.day.revision());", ""),
    (
        "forgets where an unreadable record stands",
        LANE,
        "collecting.doubt.get_or_insert_with(doubt).first[kind as usize].get_or_insert(offset);",
        "let _ = doubt();",
    ),
    ("waits for ever for the rest of a day", LANE, "time - self.since >= PATIENCE_MS", "time < self.since"),
    ("gives up days that are only young", LANE, "time - self.since >= PATIENCE_MS", "time >= self.since"),
    (
        "writes what waits of a partition that is gone",
        PARTITIONS,
        "days.retain(|day| day.partition != partition);",
        "",
    ),
    (
        "writes again what is committed",
        PARTITIONS,
        "let ready = std::mem::take(&mut self.ready);",
        "let ready = Ready::default();",
    ),
    ("shows half a slice", PLAN, "let whole = slice.received.len() == slice.expected;", "let whole = slice.received.len() * 2 >= slice.expected;"),
    ("writes a row twice", PLAN, "if !slice.received.insert(ordinal) {", "if !slice.received.insert(ordinal) && false {"),
    ("shows a stale revision again", PLAN, "if day.now.complete >= Some(revision) {", "if day.now.complete == Some(revision) {"),
    ("leaves the rows of the revision before", PLAN, "let replaces = self.lowest_stored.is_some_and(|lowest| lowest < revision);", "let replaces = false;"),
    ("does not see a day without rows", PLAN, "if count == 0 {", "if false {"),
    ("does not see a corrected bill", GATHER, "if day.bill_digest != content.bill_digest {", "if false {"),
    ("does not wait for usage", GATHER, "!given_up(id) && attempts < limits.of(id)", "false && !given_up(id) && attempts < limits.of(id)"),
    ("waits for usage for ever", GATHER, "!given_up(id) && attempts < limits.of(id)", "!given_up(id)"),
    ("takes usage away in an outage", GATHER, "if loses {", "if false {"),
    ("begins at 1 again after a tenant was forgotten", GATHER, "memory.revision.max(last_forgotten + 1)", "memory.revision.max(last_forgotten * 0)"),
    ("never suspends a tenant", OUTCOME, "(failures_in_a_row >= threshold.max(1)).then(", "(failures_in_a_row > threshold + 1000).then("),
    ("counts on after a tenant was resumed", OUTCOME, "known.filter(|_| !resumed)", "known.filter(|_| !resumed || true)"),
    ("gathers a suspended tenant", SCHEDULE, "if past.suspended.is_some() {", "if false {"),
    ("takes up what was forgotten", FORGOTTEN, "if !self.has(tenant, revision) {", "if !self.has(tenant, revision) || true {"),
    ("drops a month that somebody keeps", RETENTION, "of_month(projection, month).all(wholly_old)", "of_month(projection, month).any(wholly_old)"),
    ("leaves old days beside younger ones", RETENTION, "holding.first < *first", "holding.last < *first"),
]


def copy_of_the_tree(to):
    root = pathlib.Path(__file__).resolve().parent.parent
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=root, check=True, capture_output=True, text=True)
    for name in files.stdout.splitlines():
        if (root / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, to / name)
    os.environ.setdefault("CARGO_TARGET_DIR", str(root / "target"))


def simulate(tree):
    command = ["cargo", "test", "--quiet", "--test", "simulation", "--", "whatever_happens", "--nocapture"]
    environment = {**os.environ, "TRIBUTARY_SIM_SEEDS": str(SEEDS)}
    run = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
    text = run.stdout + run.stderr
    if "could not compile" in text:
        sys.exit("a mutant does not compile:\n" + text[-4000:])
    seed = re.search(r"^seed (\d+): (.*)$", text, re.M)
    if run.returncode and not seed:
        return "at once", re.search(r"panicked at .*\n(.*)", text).group(1)[:90]
    return (seed.group(1), seed.group(2)[:90]) if seed else (None, "")


def unit_tests(tree):
    command = ["cargo", "test", "--quiet", "--lib", "--", "allocate::", "project::", "gather::", "service::", "upkeep::"]
    run = subprocess.run(command, cwd=tree, capture_output=True, text=True)
    failed = re.search(r"^failures:\n    (\S+)$", run.stdout, re.M)
    return ("a unit test", failed.group(1)) if failed else (None, "")


def main(names):
    survived = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = pathlib.Path(folder) / "tributary"
        copy_of_the_tree(tree)
        for name, file, old, new in MUTANTS:
            if names and name not in names:
                continue
            path = tree / file
            sound = path.read_text()
            if sound.count(old) != 1:
                sys.exit(f"{name}: {file} has {sound.count(old)} times: {old}")
            path.write_text(sound.replace(old, new))
            seed, what = simulate(tree)
            if not seed:
                seed, what = unit_tests(tree)
            path.write_text(sound)
            print(f"| {name} | {seed if seed else 'SURVIVED'} | {what} |", flush=True)
            survived += [] if seed else [name]
    sys.exit(f"{len(survived)} went unnoticed: {', '.join(survived)}" if survived else 0)


main(sys.argv[1:])
