"""The part of plotly.js that a page has: whole in what it reaches, and small. `test_pages.py` draws with it."""

from plotly.offline import get_plotlyjs

from liqtruth.heatmap.drawing.plotly_js import CALL, MODULE, drawing_script, part_of

BUNDLE = get_plotlyjs()
TINY = (
    "head;var core=W((e,t)=>{t.exports=shared()});var shared=W(e=>{e.own=newer()});var behind=W((e,t)=>{});"
    "var a={},newer=E(()=>{});"
    + "".join(
        f"var {kind}=W((e,t)=>{{t.exports=its{kind}()}});"
        f'var its{kind}=W((e,t)=>{{t.exports={{moduleType:"trace",name:"{kind}"}}}});'
        for kind in ("bar", "heatmap", "candlestick", "globe")
    )
    + "var last=W((e,t)=>{var n=core();n.register([bar(),heatmap(),candlestick(),globe()])});return last();tail"
)
"""A bundle of the same layout: `globe` is drawn by no page, `behind` called by nobody but with `newer` behind it."""


def names_of(script: str) -> set[str]:
    return {found[1] for found in MODULE.finditer(script)}


def test_what_is_called_is_there_and_what_no_trace_reaches_is_not() -> None:
    part = part_of(TINY)
    assert part.startswith("head;")
    assert part.endswith("return last();tail")
    assert names_of(TINY) - names_of(part) == {"globe", "itsglobe"}
    assert "register([bar(),heatmap(),candlestick()])" in part


def test_of_the_installed_bundle_every_module_that_is_called_is_there() -> None:
    part = drawing_script()
    every = names_of(BUNDLE)
    assert {called for called in CALL.findall(part) if called in every} <= names_of(part)
    assert len(part) < 0.3 * len(BUNDLE)
    assert BUNDLE[-1500:] == part[-1500:], "licences of what is inside stand at the end"


def test_a_bundle_of_another_layout_is_taken_whole() -> None:
    for other in (
        "",
        "var Plotly={};",
        TINY.replace("register", "learn"),
        TINY.replace("return last", "return x"),
    ):
        assert part_of(other) == other
