"""All that people read is in the catalogues of all languages, and what is compiled is what is written."""

from __future__ import annotations

import ast
import itertools
import re
import string
from collections.abc import Iterable
from functools import cache
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.frontend import CommandLineInterface
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po

from verifier.catalogues import DIRECTORY, SOURCE, catalogue_of, known_language, languages
from verifier.domain import errors

ROOT = Path(__file__).resolve().parents[3]
TRANSLATED = [code for code in languages() if code != SOURCE]
# For the operators and developers of a service, in English.
OTHER_TEMPLATES = ("verifier/templates/api/", "verifier/templates/dev/", "verifier/templates/ops/")
PLACE = re.compile(r"%\(\w+\)s")
# What a browser shows or reads out of a tag.
SHOWN_ATTRIBUTE = re.compile(
    r'\b(?:title|alt|placeholder|aria-label|data-busy|data-slow|data-words)="([^"]*)"'
)

Sentence = str | tuple[str, ...]


def _templates() -> list[str]:
    found = [*(ROOT / "verifier/templates").rglob("*.html"), *(ROOT / "workers/mail/templates").iterdir()]
    names = [path.relative_to(ROOT).as_posix() for path in found]
    return sorted(name for name in names if not name.startswith(OTHER_TEMPLATES))


def _catalogue(language: str) -> Catalog:
    with (DIRECTORY / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, locale=language)


@cache
def _sentences(scratch: Path) -> frozenset[Sentence]:
    """Return what is to be translated, as `make translations` finds it."""
    pot = scratch / "messages.pot"
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8")
    keywords = re.findall(r"-k (\S+)", recipe)
    CommandLineInterface().run(
        ["pybabel", "-q", "extract", "-F", str(DIRECTORY / "babel.cfg"), "-o", str(pot)]
        + [part for keyword in keywords for part in ("-k", keyword)]
        + ["."]
    )
    with pot.open("rb") as file:
        return frozenset(message.id for message in read_po(file) if message.id)


@pytest.fixture
def sentences(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> frozenset[Sentence]:
    """What is to be translated."""
    monkeypatch.chdir(ROOT)
    return _sentences(tmp_path_factory.getbasetemp())


def test_there_are_english_and_korean() -> None:
    """Each by its own name."""
    assert languages() == {"en": "English", "ko": "한국어"}


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_sentence_is_translated(language: str, sentences: frozenset[Sentence]) -> None:
    """None is missing, empty, doubtful or left over; run `make translations` after a change, and fill in what is new."""
    catalogue = _catalogue(language)
    messages = {message.id: message for message in catalogue if message.id}
    assert sentences - set(messages) == set(), "not in the catalogue"
    assert set(messages) - sentences == set(), "in no code any more"
    assert [message.id for message in messages.values() if message.fuzzy] == []
    for message in messages.values():
        forms = (message.string,) if isinstance(message.string, str) else tuple(message.string)
        assert all(forms), message.id
        assert len(forms) == (catalogue.num_plurals if message.pluralizable else 1)
        said = message.id if isinstance(message.id, str) else message.id[-1]
        for form in forms:
            assert sorted(PLACE.findall(form)) == sorted(PLACE.findall(said)), message.id


@pytest.mark.parametrize("language", TRANSLATED)
def test_what_is_compiled_is_current(language: str) -> None:
    """`make translations` compiles it."""
    compiled = BytesIO()
    write_mo(compiled, _catalogue(language))
    with (DIRECTORY / language / "LC_MESSAGES" / "messages.mo").open("rb") as file:
        found = read_mo(file)
    compiled.seek(0)
    wanted = read_mo(compiled)
    assert _strings_in(found) == _strings_in(wanted)


def _strings_in(catalogue: Catalog) -> dict[Sentence, Sentence]:
    """Return them as they are compared: reading a compiled catalogue gives lists for plurals."""
    return {_frozen(each.id): _frozen(each.string) for each in catalogue if each.id}


def _frozen(forms: str | Iterable[str]) -> Sentence:
    return forms if isinstance(forms, str) else tuple(forms)


@pytest.mark.parametrize("template", _templates())
def test_no_text_stands_in_a_template_by_itself(template: str) -> None:
    """All of it is asked for from the catalogue, so that the extraction finds it."""
    assert _left_over((ROOT / template).read_text(encoding="utf-8")) == []


def _left_over(text: str) -> list[str]:
    text = re.sub(r"{% block \w+_class %}.*?{% endblock %}", "", text)
    text = re.sub(r"{%.*?%}|{{.*?}}|{#.*?#}", "", text, flags=re.DOTALL)
    shown = SHOWN_ATTRIBUTE.findall(text)
    text = re.sub(r"<style>.*?</style>|<[^>]*>|\baria-[a-z]+=\"[a-z]*\"", " ", text, flags=re.DOTALL)
    return [each for each in (*shown, *text.split()) if re.search(r"[^\W\d_]{2}", each)]


def test_text_in_a_template_would_be_found() -> None:
    """Between tags, and in what is shown of a tag; not in what is not."""
    assert _left_over('<p class="lead">Words</p><img alt="A picture">') == ["A picture", "Words"]


def _error_names() -> set[str]:
    found = vars(errors).items()
    return {name for name, each in found if isinstance(each, type) and issubclass(each, errors.VerifierError)}


@pytest.mark.parametrize("path", ["domain", "web", "service.py"])
def test_no_error_for_people_is_raised_with_bare_text(path: str) -> None:
    """A text is in no catalogue. (What the programmers of a backend did wrong, the API tells in English.)"""
    place = ROOT / "verifier" / path
    for file in [place] if place.is_file() else place.glob("*.py"):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Name)
                and call.func.id in _error_names()
            ):
                bare = [
                    arg
                    for arg in call.args
                    if isinstance(arg, ast.JoinedStr)
                    or (isinstance(arg, ast.Constant) and isinstance(arg.value, str) and " " in arg.value)
                ]
                assert not bare, f"{file}:{call.lineno}"


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("ko", "ko"),
        ("ko-KR", "ko"),
        ("KO_kr", "ko"),
        ("en-GB", "en"),
        (" ko ", "ko"),
        ("kok", None),
        ("xx", None),
        ("*", None),
        ("", None),
        ("ko\0", None),
        ("../ko", None),
        ("k" * 5000, None),
        ("\u202eko", None),
        ("한국어", None),
    ],
)
def test_a_language_is_known_by_its_tag(tag: str, language: str | None) -> None:
    """Region and case do not matter; nonsense is none of ours."""
    assert known_language(tag) == language


def test_a_tag_is_looked_for_in_memory_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A header of a browser, or of somebody who means harm, can name a thousand languages."""
    languages()

    def refuse(*_: object) -> bool:
        raise AssertionError("A file was looked for.")

    monkeypatch.setattr("os.path.exists", refuse)
    for one, other in itertools.product(string.ascii_lowercase, repeat=2):
        assert known_language(f"q{one}{other}") is None


def test_a_language_without_a_catalogue_is_english() -> None:
    """Also where somebody would lead us to another file."""
    for language in ("xx", "../../x", ""):
        assert catalogue_of(language).gettext("Verify") == "Verify"
