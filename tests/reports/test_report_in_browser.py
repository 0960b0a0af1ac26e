"""The page in a real browser: no complaint in its console, nothing wider than a phone, sorting works."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from foretoken.checks import diagnose
from foretoken.reports import save_page, write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--allow-file-access-from-files"),
    *("--enable-logging=stderr", "--v=0", "--dump-dom"),
]
PROBE = """<!doctype html><iframe src="report/index.html" width="WIDTH" height="800"></iframe><pre id="found"></pre>
<script>
addEventListener("load", () => {
  const page = document.querySelector("iframe").contentDocument, table = page.querySelector("table.sortable");
  const seen = (node) => node.getBoundingClientRect().width > 0;
  const shown = (selector) => [...page.querySelectorAll(selector)].filter(seen).length;
  const losses = () => [...table.tBodies[0].rows].map((row) => row.cells[5].dataset.value).filter(Boolean).map(Number);
  table.tHead.rows[0].cells[5].querySelector("button").click();
  document.querySelector("#found").textContent = JSON.stringify({
    wide: page.documentElement.scrollWidth, screen: page.documentElement.clientWidth, losses: losses(),
    narrow_figures: shown("svg.narrow"), wide_figures: shown("svg.wide"), saves: shown("figure > .button"),
    text: parseFloat(page.defaultView.getComputedStyle(page.querySelector("#law p")).fontSize),
  });
});
</script>"""

pytestmark = [
    pytest.mark.page,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, to look at the page as a reader does"),
]


ANY_PAGE = """<!doctype html><iframe src="page.html" width="WIDTH" height="800"></iframe><pre id="found"></pre>
<script>
addEventListener("load", () => {
  const page = document.querySelector("iframe").contentDocument;
  const figures = [...page.querySelectorAll("figure")];
  const seen = (figure) => [...figure.querySelectorAll("svg")].some((svg) => svg.getBoundingClientRect().width > 0);
  document.querySelector("#found").textContent = JSON.stringify({
    wide: page.documentElement.scrollWidth, screen: page.documentElement.clientWidth,
    figures: figures.length, drawn: figures.filter(seen).length,
  });
});
</script>"""


def look(folder: Path, width: int, probe: str = PROBE) -> tuple[dict, list[str]]:
    """What a frame of this width finds, and what the browser's console said."""
    (folder / "probe.html").write_text(probe.replace("WIDTH", str(width)), encoding="utf-8")
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", "--window-size=1500,900", "probe.html"]
    command[-1] = (folder / "probe.html").as_uri()
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, flags=re.DOTALL)
    return json.loads(found.group(1)), re.findall(r".*CONSOLE.*", done.stderr)


@pytest.mark.parametrize(("width", "narrow"), [(390, 1), (1280, 0)])
def test_page_fits_its_screen_without_complaint(material, tmp_path, width, narrow):
    write_report(material.whole, tmp_path)
    found, console = look(tmp_path, width)
    assert console == []
    assert found["wide"] <= found["screen"] <= width
    assert (found["narrow_figures"], found["wide_figures"]) == (narrow, 1 - narrow)
    assert found["text"] >= 16
    assert found["saves"] == 5
    assert found["losses"] == sorted(found["losses"])
    assert len(found["losses"]) == 22


@pytest.mark.parametrize("kind", ["fit", "diagnosis"])
def test_other_pages_fit_a_phone_and_show_every_figure(material, make_table, tmp_path, kind):
    found = material.whole.fit if kind == "fit" else diagnose(make_table(material.ladder))
    save_page(found, tmp_path / "page.html")
    seen, console = look(tmp_path, 390, ANY_PAGE)
    assert console == []
    assert seen["wide"] <= seen["screen"] <= 390
    assert seen["drawn"] == seen["figures"] > 0
