"""The sentences that the test models know: 17 patterns, each in English and (all but one) in Spanish.

A sentence is drawn from a ``random.Random``, so that a seed names a set of sentences for ever: the held-out
speech in ``tests/data/held_out`` is such a set. The order of the draws inside a pattern is therefore part of
its definition.
"""

import random
from collections.abc import Callable
from typing import Literal, NamedTuple

from tools.speech_models import lexicon
from tools.speech_models.lexicon import english_number, spanish_number

Language = Literal["en", "es"]
LANGUAGES: tuple[Language, ...] = ("en", "es")


class Sentence(NamedTuple):
    """A sentence in both languages; each is a translation of the other."""

    en: str
    es: str | None
    """None for what is English only (the NATO alphabet)."""

    def text(self, language: Language) -> str | None:
        """Return the sentence in one language."""
        return self.en if language == "en" else self.es


FIXED_SENTENCES = (
    Sentence(
        "The quick brown fox jumps over the lazy dog.",
        "El rápido zorro marrón salta sobre el perro perezoso.",
    ),
    Sentence("Thank you very much for your help.", "Muchas gracias por tu ayuda."),
    Sentence("Good morning, how are you today?", "Buenos días, ¿cómo estás hoy?"),
    Sentence("See you tomorrow at the station.", "Nos vemos mañana en la estación."),
    Sentence("This is a test of the speech service.", "Esto es una prueba del servicio de voz."),
    Sentence("Where is the nearest hospital?", "¿Dónde está el hospital más cercano?"),
    Sentence("I do not understand the question.", "No entiendo la pregunta."),
    Sentence("The system is ready to listen.", "El sistema está listo para escuchar."),
)


def _capitalize(text: str) -> str:
    """Make the first letter a capital and leave the others (``str.capitalize`` would lower them)."""
    return text[0].upper() + text[1:]


def _of(noun: str) -> str:
    """Return ``de`` and a Spanish noun with its article, contracted: ``del jardín``, ``de la cocina``."""
    return f"del {noun.removeprefix('el ')}" if noun.startswith("el ") else f"de {noun}"


def _switch(rng: random.Random) -> Sentence:
    device, room, on = rng.choice(lexicon.DEVICES), rng.choice(lexicon.ROOMS), rng.random() < 0.5
    return Sentence(
        f"Turn {'on' if on else 'off'} the {device.en} in the {room.en}.",
        f"{'Enciende' if on else 'Apaga'} {device.es} {_of(room.es)}.",
    )


def _timer(rng: random.Random) -> Sentence:
    number, unit = rng.randrange(2, 60), rng.choice(lexicon.TIME_UNITS)
    return Sentence(
        f"Set a timer for {english_number(number)} {unit.en}.",
        f"Pon un temporizador de {spanish_number(number)} {unit.es}.",
    )


def _weather(rng: random.Random) -> Sentence:
    city, day = rng.choice(lexicon.CITIES), rng.choice(lexicon.DAYS)
    return Sentence(f"What is the weather in {city.en} on {day.en}?", f"¿Qué tiempo hace en {city.es} el {day.es}?")


def _digits(rng: random.Random) -> Sentence:
    digits = [rng.randrange(10) for _ in range(rng.randrange(3, 8))]
    return Sentence(
        f"The number is {' '.join(map(english_number, digits))}.",
        f"El número es {' '.join(map(spanish_number, digits))}.",
    )


def _call(rng: random.Random) -> Sentence:
    name, hour = rng.choice(lexicon.NAMES), rng.randrange(2, 13)
    return Sentence(
        f"Call {name.en} at {english_number(hour)} o'clock.",
        f"Llama a {name.es} a las {spanish_number(hour)}.",
    )


def _favorite_color(rng: random.Random) -> Sentence:
    color = rng.choice(lexicon.COLORS)
    return Sentence(f"My favorite color is {color.en}.", f"Mi color favorito es el {color.es}.")


def _animals(rng: random.Random) -> Sentence:
    one, other = rng.choice(lexicon.ANIMALS), rng.choice(lexicon.ANIMALS)
    quality, other_quality = rng.choice(lexicon.QUALITIES), rng.choice(lexicon.QUALITIES)
    action, place = rng.choice(lexicon.ACTIONS), rng.choice(lexicon.PLACES)
    where = f"con {other.es}" if place.es == "con" else f"{place.es.removesuffix(' de')} {_of(other.es)}"
    return Sentence(
        f"The {quality.en} {one.en} {action.en} {place.en} the {other_quality.en} {other.en}.",
        _capitalize(f"{one.es} {quality.es} {action.es} {where} {other_quality.es}."),
    )


def _send(rng: random.Random) -> Sentence:
    thing, name, day = rng.choice(lexicon.OBJECTS), rng.choice(lexicon.NAMES), rng.choice(lexicon.DAYS)
    return Sentence(
        f"Please send the {thing.en} to {name.en} on {day.en}.",
        f"Por favor, envía {thing.es} a {name.es} el {day.es}.",
    )


def _order(rng: random.Random) -> Sentence:
    foods, drinks = rng.randrange(2, 30), rng.randrange(2, 30)
    food, drink = rng.choice(lexicon.FOODS), rng.choice(lexicon.DRINKS)
    return Sentence(
        f"I would like {english_number(foods)} {food.en} and {english_number(drinks)} {drink.en}.",
        f"Quisiera {spanish_number(foods)} {food.es} y {spanish_number(drinks)} {drink.es}.",
    )


def _meeting(rng: random.Random) -> Sentence:
    day, date, month = rng.choice(lexicon.DAYS), rng.randrange(2, 31), rng.choice(lexicon.MONTHS)
    return Sentence(
        f"The meeting starts on {day.en}, {month.en} {english_number(date)}.",
        f"La reunión empieza el {day.es} {spanish_number(date)} de {month.es}.",
    )


def _door_and_window(rng: random.Random) -> Sentence:
    door, window = rng.choice(lexicon.ROOMS), rng.choice(lexicon.ROOMS)
    return Sentence(
        f"Open the door of the {door.en} and close the window of the {window.en}.",
        f"Abre la puerta {_of(door.es)} y cierra la ventana {_of(window.es)}.",
    )


def _introduction(rng: random.Random) -> Sentence:
    name, city = rng.choice(lexicon.NAMES), rng.choice(lexicon.CITIES)
    return Sentence(
        f"Hello, my name is {name.en} and I live in {city.en}.",
        f"Hola, me llamo {name.es} y vivo en {city.es}.",
    )


def _nato(rng: random.Random) -> Sentence:
    words = [rng.choice(lexicon.NATO_ALPHABET) for _ in range(rng.randrange(3, 6))]
    return Sentence(f"{_capitalize(', '.join(words))}.", None)


def _fixed(rng: random.Random) -> Sentence:
    return rng.choice(FIXED_SENTENCES)


def _sum(rng: random.Random) -> Sentence:
    one, other = rng.randrange(100), rng.randrange(100)
    return Sentence(
        f"{_capitalize(english_number(one))} plus {english_number(other)}.",
        f"{_capitalize(spanish_number(one))} más {spanish_number(other)}.",
    )


def _colored_object(rng: random.Random) -> Sentence:
    thing, name, color = rng.choice(lexicon.OBJECTS), rng.choice(lexicon.NAMES), rng.choice(lexicon.COLORS)
    return Sentence(f"{name.en} has the {color.en} {thing.en}.", f"{name.es} tiene {thing.es} de color {color.es}.")


def _train(rng: random.Random) -> Sentence:
    origin, destination, day = (
        rng.choice(lexicon.CITIES),
        rng.choice(lexicon.CITIES),
        rng.choice(lexicon.DAYS),
    )
    return Sentence(
        f"The train from {origin.en} to {destination.en} leaves on {day.en}.",
        f"El tren de {origin.es} a {destination.es} sale el {day.es}.",
    )


PATTERNS: tuple[Callable[[random.Random], Sentence], ...] = (
    _switch,
    _timer,
    _weather,
    _digits,
    _call,
    _favorite_color,
    _animals,
    _send,
    _order,
    _meeting,
    _door_and_window,
    _introduction,
    _nato,
    _fixed,
    _sum,
    _colored_object,
    _train,
)


def sentence(rng: random.Random) -> Sentence:
    """Draw one sentence; every pattern is as likely as the others."""
    return rng.choice(PATTERNS)(rng)


def sentence_in(language: Language, rng: random.Random) -> tuple[Sentence, str]:
    """Draw sentences until one exists in ``language``, and return it with its text in that language."""
    while True:
        drawn = sentence(rng)
        text = drawn.text(language)
        if text is not None:
            return drawn, text
