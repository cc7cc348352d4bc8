"""The builds that the claims serve, and the right answers of each.

An undisturbed server answers every request with every build, each under a name of its own. So an
answer under load can be attributed to the build that computed it, and one of another model is
recognised as such.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from commands.chaos.context import Context
from commands.chaos.models import reports
from commands.chaos.models.model_file import Entry, ModelFile
from commands.chaos.traffic import kinds
from commands.chaos.traffic.flow import undisturbed
from commands.chaos.traffic.request import Request
from local.server import Server, ServerError

MODELS = "storyteller and draft"
STORY, SMALL = "story", "small"  # the names that requests use


@dataclass(frozen=True, slots=True)
class Build:
    """One entry that a name may have."""

    label: str
    name: str
    entry: Entry = field(compare=False)

    def lazy(self, **more: object) -> Entry:
        """Return its entry, to be loaded at the first request."""
        return {**self.entry, "load": "lazy", **more}


OLD = Build("story-old", STORY, {"model": "storyteller", "dtype": "bfloat16"})
NEW = Build("story-new", STORY, {"model": "storyteller", "dtype": "int8"})
DRAFT = Build("small", SMALL, {"model": "draft"})


@dataclass(frozen=True, slots=True)
class RightAnswers:
    """The answers of each build to each request, and the memory that each build needs."""

    builds: tuple[Build, ...]
    answers: Mapping[str, Mapping[Request, object]]  # by label
    needs: Mapping[str, int]  # bytes, by label

    @property
    def requests(self) -> list[Request]:
        """All requests, of all models."""
        return [*self.answers[self.builds[0].label]]

    def requests_by_model(self) -> dict[str, list[Request]]:
        """Return the requests to each model, by its name."""
        names = dict.fromkeys(build.name for build in self.builds)
        return {name: [each for each in self.requests if each.model == name] for name in names}

    @property
    def room_for_one(self) -> int:
        """Bytes that suffice for each build alone, and not for two of them."""
        least, most = min(self.needs.values()), max(self.needs.values())
        two = sum(sorted(self.needs.values())[:2])
        room = most + least // 2
        if room >= two:
            raise ServerError(f"no room for one only: the builds need {dict(self.needs)} bytes")
        return room


def right_answers(
    context: Context, builds: Sequence[Build], requests: Sequence[Request]
) -> RightAnswers:
    """Return the answers of these builds. Raises ServerError if two of one name answer alike."""
    file = ModelFile(
        context.folder / "undisturbed.json",
        {build.label: {**build.entry, "load": "start"} for build in builds},
    )
    with context.server(MODELS=file.path) as server:
        answers = {build.label: _answers_of(server, build, requests) for build in builds}
        states = reports.models_of(server)
    for one, other in _of_one_name(builds):
        differ = sum(answers[one.label][each] != answers[other.label][each] for each in requests)
        if differ < len(requests) // 2:
            raise ServerError(f"{one.label} and {other.label} answer alike: {differ} differ")
    return RightAnswers(
        tuple(builds), answers, {build.label: states[build.label].needs for build in builds}
    )


def right_answers_of_both(
    context: Context, dice: random.Random, least: int, most: int
) -> RightAnswers:
    """Return the answers of all builds to requests of `least` to `most` tokens to both models."""
    requests = [
        request
        for name in (STORY, SMALL)
        for request in kinds.mixed(
            dice, len(kinds.NAMING), least, most, kinds=kinds.NAMING, model=name
        )
    ]
    return right_answers(context, (OLD, NEW, DRAFT), requests)


def _answers_of(server: Server, build: Build, requests: Sequence[Request]) -> dict[Request, object]:
    own = {each.to_model(build.label): each for each in requests}
    truth = undisturbed(server, [*own])
    return {own[each]: renamed(truth[each], build.label, own[each].model) for each in own}


def _of_one_name(builds: Sequence[Build]) -> Iterable[tuple[Build, Build]]:
    return ((a, b) for a in builds for b in builds if a.label < b.label and a.name == b.name)


def renamed(answer: object, old: str, new: str) -> object:
    """Return an answer as if the model had had another name."""
    if isinstance(answer, dict):
        return {
            key: new if key == "model" and value == old else renamed(value, old, new)
            for key, value in answer.items()
        }
    return [renamed(each, old, new) for each in answer] if isinstance(answer, list) else answer
