import json
import re
import shutil
import subprocess
from base64 import b64decode
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest

import blpsim as bs
from blpsim.errors import ConfigurationError, StoreError
from blpsim.report.narrative import aims, described, spelled_out
from blpsim.report.page import page, write
from tests.study.toys import Mean, Median, Normals

DESIGN = '''"""Which of <mean> & median is better?

The second paragraph.
"""
import blpsim as bs
from tests.study.toys import Mean, Median, Normals
design = bs.Design(name="toy & <study>", seed=1, replications=30,
                   scenarios={"n <1>": Normals(fails={2: "raises"})},
                   estimators={"mean": Mean(), "again": Mean(), "median": Median()})
'''
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
VOID = {"meta", "link", "img", "br"}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    (folder / "design.py").write_text(DESIGN)
    bs.run(bs.load_design(folder / "design.py"), store=folder / "store", workers=0)
    return bs.open_study(folder / "store")


@pytest.fixture(scope="module")
def source(study):
    return page(study)


class Tree(HTMLParser):
    """Tags that are open, names that are defined and referred to, and all text."""

    def __init__(self, source):
        super().__init__()
        self.open, self.ids, self.links, self.images, self.said = [], [], [], [], []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.links += [attrs[name] for name in ("href", "src") if name in attrs]
        self.images += [attrs] if tag == "img" else []

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.said.append(data)


def test_the_page_is_whole_and_needs_nothing_else(source):
    tree = Tree(source)
    assert tree.open == []
    assert len(set(tree.ids)) == len(tree.ids)
    for link in tree.links:
        assert link.startswith("data:") or link.removeprefix("#") in tree.ids
    assert "http" not in re.sub(r"base64,[\w+/=]+", "", source)
    assert all(image["alt"].strip() for image in tree.images)
    assert len(tree.images) == 8


def test_the_page_says_what_the_study_was_and_how_it_ended(source):
    said = " ".join(" ".join(Tree(source).said).split())
    for phrase in (
        "toy & <study>",
        "Which of <mean> & median is better?",
        "The second paragraph.",
        "n <1>",
        "90 estimations attempted",
        "29 of 30 used",
        "--replication 2",
        "Seed 1",
        "Differences to mean",
        "numpy",
    ):
        assert phrase in said, phrase
    assert "<study>" not in source
    assert "<mean>" not in source


def test_downloads_are_the_tables_and_the_design(source, study):
    files = dict(re.findall(r'download="([^"]+)" href="data:[^;]+;base64,([^"]+)"', source))
    assert sorted(files) == sorted(
        ["measures.csv", "diagnostics.csv", "results.tex", "design.json", "provenance.json", "design.py"]
    )
    assert b64decode(files["design.py"]).decode() == DESIGN
    summary = bs.summarize(study, measures="all")
    assert b64decode(files["measures.csv"]).decode() == summary.table.to_csv(index=False, lineterminator="\n")


def test_the_page_is_written_where_it_is_asked_for(study, tmp_path):
    path = write(study, tmp_path / "out", ["png"])
    assert path == tmp_path / "out" / "index.html"
    assert {"bias.png", "work.png"} <= {file.name for file in (tmp_path / "out" / "figures").iterdir()}
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"^output = .*: expected a folder to write into"):
        write(study, tmp_path / "file")
    with pytest.raises(ConfigurationError, match="study = "):
        write(SimpleNamespace(), tmp_path)


def test_a_study_without_a_design_file_has_a_page(tmp_path):
    design = bs.Design(
        name="made",
        seed=1,
        replications=3,
        scenarios={"n": Normals()},
        estimators={"mean": Mean(), "m": Median()},
    )
    bs.run(design, store=tmp_path / "store", workers=0)
    source = page(bs.open_study(tmp_path / "store"))
    assert "says nothing of its aims" in source
    assert Tree(source).open == []


def test_aims_are_the_paragraphs_of_the_docstring_and_code_is_not_run():
    assert aims(DESIGN) == ("Which of <mean> & median is better?", "The second paragraph.")
    assert aims("raise SystemExit") == aims("not python :") == aims("")


def test_designs_are_told_without_what_is_not_set():
    value = {"type": "A", "b": None, "c": [1.0, 0.25], "d": {"type": "B", "e": "x"}, "key": "content:12"}
    assert described(value["d"]) == "B(e=x)"
    assert list(spelled_out(value)) == [("", "A"), ("c", "[1, 0.25]"), ("d", "B(e=x)")]
    assert described(list(range(20))).endswith("11, ... 8 more]")


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_a_browser_shows_the_page_without_a_complaint_and_sorts_its_tables(source, tmp_path):
    click = """<script>
      const table = document.querySelector('[aria-label="Results"] table');
      const buttons = table.tHead.querySelectorAll("button");
      buttons[4].click(); buttons[4].click();
      const shown = [...table.tBodies[0].rows].map((row) => row.cells[4].dataset.value);
      const images = [...document.images].map((image) => image.naturalWidth > 100);
      document.title = JSON.stringify([shown, images]);
    </script>"""
    (tmp_path / "page.html").write_text(source.replace("</body>", click + "</body>"))
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        "--virtual-time-budget=5000",
    ]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    where = (tmp_path / "page.html").as_uri()
    ran = subprocess.run(
        [BROWSER, *options, profile, "--dump-dom", where],
        capture_output=True,
        check=True,
        timeout=120,
        text=True,
    )
    assert "CONSOLE" not in ran.stderr
    title = re.search(r"<title>(.*?)</title>", ran.stdout)[1]
    shown, images = json.loads(title)
    values = np.array([value for value in shown if value is not None], float)
    assert len(values) > 1
    assert (np.diff(values) <= 0).all()
    assert images == [True] * 8
