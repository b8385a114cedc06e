import math
import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from scrnn_stream.alert import Alert, SensorEvidence
from scrnn_stream.records import Partition, Position
from scrnn_stream.report import N_CHARTS, N_ROWS, render_card, write_report

NAN = math.nan
BEGIN = 1_767_571_200.0  # Monday 2026-01-05, 00:00 UTC
VOID = {"meta", "br", "wbr"}
MARKUP = "<script>alert('x')</script>&\"<i>"


class Page(HTMLParser):
    """Reads a page, insists that every tag is closed in order, and keeps tags with their attributes and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data

    def of_class(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for _, attributes in self.tags if name in (attributes.get("class") or "").split()]

    def drawn(self, name: str) -> str:
        """The path data of one kind of line over all charts, without the legend."""
        return "".join(
            a["d"] or "" for a in self.of_class(name) if not re.match("M[01] 5H2|M0 0H26|M13 0V10", a["d"] or "")
        )


def evidence(actual=(1.0, 1.1, 3.0), sensor="vibration", share=0.9, timed=True, **changes) -> SensorEvidence:
    n = len(actual)
    return msgspec.structs.replace(
        SensorEvidence(
            sensor=sensor,
            share=share,
            actual=actual[-1] if n else NAN,
            expected=1.0,
            low=0.5,
            high=1.5,
            channel="slow",
            trail_time=tuple(BEGIN + 300.0 * i if timed else NAN for i in range(n)),
            trail_reading=tuple(actual),
            trail_average=tuple(actual),
            trail_expected=(1.0,) * n,
            trail_low=(0.5,) * n,
            trail_high=(1.5,) * n,
        ),
        **changes,
    )


def alert(*sensors: SensorEvidence, **changes) -> Alert:
    return msgspec.structs.replace(
        Alert(
            id="pump-1/anomaly/7",
            machine="pump-1",
            kind="anomaly",
            state="firing",
            severity="warning",
            begin=BEGIN + 300,
            raised=BEGIN + 9000,
            position=Position(Partition("pumps", 0), 7),
            score=0.99,
            p_value=1e-4,
            budget_used=0.5,
            message="vibration is high",
            sensors=sensors,
        ),
        **changes,
    )


def test_a_card_says_what_happened_where_when_and_for_how_long():
    text = Page(render_card(alert(evidence()))).text
    for words in (
        "pump-1 is not behaving normally",
        "vibration is high",
        "Mon 05 Jan 2026, 00:05 UTC",
        "2 h 25 min after the first sign",
        "not yet",
        "reading 3.00, expected 1.00, normal 0.50 to 1.50",
        "90% of the evidence",
        "about once in 10,000 calm records",
        "50% of the alert budget used",
        "pumps/0@7",
    ):
        assert words in text


def test_a_resolved_card_says_how_long_it_lasted():
    text = Page(render_card(alert(evidence(), state="resolved", end=BEGIN + 300 + 2 * 86400 + 3 * 3600))).text
    assert "pump-1 was not behaving normally" in text
    assert "lasted 2 d 3 h" in text


@pytest.mark.parametrize(
    ("kind", "sensors", "headline"),
    [
        ("silent", (), "pump-1 has stopped sending data"),
        ("silent", (evidence(),), "vibration of pump-1 has stopped sending data"),
        ("stuck", (evidence(),), "vibration of pump-1 is frozen"),
        ("stuck", (evidence(), evidence()), "vibration and 1 more of pump-1 are frozen"),
        ("silent", (evidence(), evidence(), evidence()), "vibration and 2 more of pump-1 have stopped sending data"),
        ("stuck", (), "A sensor of pump-1 is frozen"),
        ("out_of_range", (evidence(),), "vibration of pump-1 is out of range"),
        ("regime_changed", (), "pump-1 has settled into a new normal"),
    ],
)
def test_each_kind_has_its_own_headline(kind, sensors, headline):
    assert headline in Page(render_card(alert(*sensors, kind=kind))).text


@pytest.mark.parametrize(
    ("low", "high", "words"), [(0.5, 1.5, "0.50 to 1.50"), (NAN, 1.5, "at most 1.50"), (0.5, NAN, "at least 0.50")]
)
def test_a_card_of_a_sensor_out_of_range_shows_its_limits(low, high, words):
    text = Page(render_card(alert(evidence(low=low, high=high), kind="out_of_range"))).text
    assert f"limits {words}" in text
    assert "Normal band" not in text


def test_the_index_carries_the_note_under_its_heading(tmp_path: Path):
    index = write_report([alert()], tmp_path, title="Pumps", note=f"1 asked {MARKUP}")
    assert f"1 asked {MARKUP}" in Page(index.read_text(encoding="utf-8")).text


def test_what_comes_from_the_wire_is_escaped_everywhere(tmp_path: Path):
    hostile = alert(
        evidence(sensor=MARKUP),
        id=MARKUP,
        machine=MARKUP,
        message=MARKUP,
        position=Position(Partition(MARKUP, 0), 1),
    )
    index = write_report([hostile], tmp_path, title=MARKUP, note=MARKUP)
    for path in tmp_path.iterdir():
        page = Page(path.read_text(encoding="utf-8"))
        assert not {"script", "i"} & {tag for tag, _ in page.tags}
        assert MARKUP in page.text
    assert index.exists()


def test_a_markup_name_survives_as_text_in_braces_and_format_fields():
    assert "{machine} {0} %s is not behaving normally" in Page(render_card(alert(machine="{machine} {0} %s"))).text


def test_a_page_refers_to_nothing_outside_itself(tmp_path: Path):
    index = write_report([alert(evidence())], tmp_path, title="Pumps")
    for path in tmp_path.iterdir():
        html = path.read_text(encoding="utf-8")
        assert not re.search(r"://|src=|url\(|@import|<link|<script", html)
    links = [attributes["href"] for tag, attributes in Page(index.read_text(encoding="utf-8")).tags if tag == "a"]
    assert [(tmp_path / link).exists() for link in links] == [True]


def test_a_card_stays_small_with_long_trails_long_names_and_many_sensors():
    long = [0.5 + 0.4 * math.sin(i) for i in range(20_000)]
    sensors = [evidence(long, sensor="s" * 50_000, share=0.002) for _ in range(N_CHARTS)]
    sensors += [evidence((), sensor=f"{i}" * 1000, share=0.001) for i in range(2000)]
    html = render_card(alert(*sensors, message="m" * 100_000, machine="p" * 100_000, id="i" * 100_000))
    assert len(html.encode()) < 200_000
    assert f"{2000 + N_CHARTS - N_ROWS} more sensors" in Page(html).text


def test_thinning_a_long_trail_keeps_its_only_spike():
    trail = [1.0] * 5000
    trail[2345] = 9.0
    assert Page(render_card(alert(evidence(trail)))).drawn("outside")


def test_only_the_sensors_with_the_largest_shares_are_drawn_in_their_order():
    sensors = [evidence(sensor=f"sensor-{i}", share=i / 10) for i in (1, 3, 4, 2)]
    page = Page(render_card(alert(*sensors)))
    titles = [a["aria-label"].split()[0] for _, a in page.tags if a.get("role") == "img"]
    assert titles == ["sensor-4", "sensor-3", "sensor-2"]


def test_a_gap_breaks_the_line_and_a_lone_point_becomes_a_dot():
    page = Page(render_card(alert(evidence((1.0, 1.1, NAN, 1.2, NAN, 1.0, 1.1)))))
    assert page.drawn("average").count("M") == 3
    assert "h0" in page.drawn("dot")
    assert "nan" not in page.drawn("average")


def test_no_line_is_drawn_across_a_time_without_data():
    times = [BEGIN + 300 * i + (36_000 if i >= 3 else 0) for i in range(6)]
    page = Page(render_card(alert(evidence((1.0, 1.1, 1.0, 1.2, 1.0, 1.1), trail_time=tuple(times)))))
    assert page.drawn("average").count("M") == 2
    assert page.drawn("band").count("M") == 2


def test_readings_outside_the_band_are_marked_and_only_they():
    assert not Page(render_card(alert(evidence((1.0, 1.2, 1.4))))).drawn("outside")
    page = Page(render_card(alert(evidence((1.0, 1.2, 3.0)))))
    assert page.drawn("outside").count("M") == 1
    assert "3.00 ▲" in page.text


def test_the_first_sign_is_a_line_where_it_lies_in_the_picture_and_words_where_it_lies_before():
    inside = Page(render_card(alert(evidence())))
    before = Page(render_card(alert(evidence(), begin=BEGIN - 86400)))
    assert inside.drawn("begin") == "M500 0V400"
    assert "first sign 00:05" in inside.text
    assert before.drawn("begin") == ""
    assert "← first sign 04 Jan 00:00" in before.text


def test_data_without_time_has_an_axis_in_samples_before_the_alert():
    for sensor in (evidence(timed=False), evidence(trail_time=()), evidence()):
        text = Page(render_card(alert(sensor, begin=None, raised=None))).text
        assert "samples before the alert" in text
        assert "not timed" in text
        assert "-2" in text


@pytest.mark.parametrize(
    "sensor",
    [
        evidence((5.0,) * 10, expected=5.0, low=5.0, high=5.0),
        evidence((0.0,) * 3, expected=0.0, low=0.0, high=0.0, trail_low=(0.0,) * 3, trail_high=(0.0,) * 3),
        evidence((2.0,)),
        evidence((NAN, NAN)),
        evidence((NAN, 1.0), expected=NAN, low=NAN, high=NAN, share=NAN),
        evidence((1e300, -1e300, 1e-300), expected=1e300, low=-math.inf, high=math.inf),
        evidence((1.0, 2.0), trail_low=(-math.inf, 0.0), trail_high=(math.inf, math.inf)),
        evidence((1e9, 1e9 + 1e-6)),
        evidence((1.0, 2.0), trail_time=(BEGIN, BEGIN)),
        evidence((1.0, 2.0), trail_time=(1e18, 2e18)),
        evidence((1e18,), trail_time=(1e18,), trail_expected=(NAN,), trail_low=(NAN,), trail_high=(NAN,)),
        evidence((1.0, 2.0), trail_expected=()),
        evidence(()),
    ],
    ids=str,
)
def test_odd_trails_still_make_a_whole_card(sensor):
    page = Page(render_card(alert(sensor)))
    assert "pump-1" in page.text
    for _, attributes in page.tags:
        assert not re.search("nan|inf", (attributes.get("d") or "") + (attributes.get("style") or ""))


@pytest.mark.parametrize(
    ("p_value", "words"),
    [
        (0.0, "rarer than any calm record"),
        (1e-12, "less than once in a billion calm records"),
        (0.004, "about once in 250 calm records"),
        (NAN, "not judged by a probability"),
    ],
)
def test_a_p_value_is_told_in_words(p_value, words):
    assert words in Page(render_card(alert(p_value=p_value))).text


def test_every_chart_can_be_read_aloud():
    page = Page(render_card(alert(evidence(), evidence(sensor="flow", share=0.1))))
    charts = [attributes for _, attributes in page.tags if attributes.get("role") == "img"]
    assert [chart["aria-label"] for chart in charts] == [
        "vibration reading 3.00, expected 1.00, normal 0.50 to 1.50",
        "flow reading 3.00, expected 1.00, normal 0.50 to 1.50",
    ]


def test_the_latest_state_wins_and_keeps_the_evidence(tmp_path: Path):
    firing = alert(evidence())
    resolved = alert(state="resolved", end=BEGIN + 20000, sensors=())
    index = write_report([firing, resolved, firing], tmp_path, title="Pumps")
    (card,) = set(tmp_path.iterdir()) - {index}
    text = Page(card.read_text(encoding="utf-8")).text
    assert "Resolved" in text
    assert "reading 3.00" in text
    assert "1 alert, 0 of them still firing" in Page(index.read_text(encoding="utf-8")).text


def test_the_index_groups_by_machine_and_sorts_by_begin(tmp_path: Path):
    alerts = [
        alert(id="d", machine="b", begin=None, message=""),
        alert(id="c", machine="b", begin=BEGIN + 7200),
        alert(id="b", machine="b", begin=BEGIN),
        alert(id="a", machine="a", begin=BEGIN + 90000),
    ]
    page = Page(write_report(alerts, tmp_path, title="Pumps").read_text(encoding="utf-8"))
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert [link[0] for link in links] == ["a", "b", "c", "d"]
    assert sum(tag == "h2" for tag, _ in page.tags) == 2


def test_a_report_without_alerts_says_so(tmp_path: Path):
    index = write_report([], tmp_path / "new" / "folder", title="Pumps")
    assert index == tmp_path / "new" / "folder" / "index.html"
    assert "No alerts" in Page(index.read_text(encoding="utf-8")).text


def test_file_names_are_safe_and_differ_for_ids_that_look_alike(tmp_path: Path):
    ids = ["../../x", "..\\..\\x", "A/b", "a/b", "", "x" * 5000, "index", "\ud800", "ü"]
    write_report([alert(id=name) for name in ids], tmp_path, title="Pumps")
    names = [path.name for path in tmp_path.iterdir()]
    assert len({name.lower() for name in names}) == len(ids) + 1
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9-]*\.html", name) and len(name) < 100 for name in names)
