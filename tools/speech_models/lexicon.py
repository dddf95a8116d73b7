"""The words of the test models' sentences: English and Spanish terms, and numbers in words."""

from typing import NamedTuple


class Term(NamedTuple):
    """One thing with its name in both languages."""

    en: str
    """English, without an article."""
    es: str
    """Spanish, with its article where the sentences need one."""


def _terms(table: str) -> tuple[Term, ...]:
    """Read ``english = spanish`` pairs, separated by commas."""
    return tuple(Term(*(side.strip() for side in pair.split("="))) for pair in table.split(","))


def _words(text: str) -> tuple[str, ...]:
    """Read words, separated by spaces."""
    return tuple(text.split())


ROOMS = _terms("""kitchen = la cocina, bedroom = el dormitorio, garage = el garaje, bathroom = el baño,
    living room = la sala, garden = el jardín, office = la oficina, hallway = el pasillo""")
DEVICES = _terms("""light = la luz, television = la televisión, radio = la radio, fan = el ventilador,
    heater = la estufa, music = la música, alarm = la alarma, computer = el ordenador""")
CITIES = _terms("""London = Londres, Madrid = Madrid, Paris = París, Mexico = México, Lima = Lima,
    Boston = Boston, Bogota = Bogotá, Toronto = Toronto, Rome = Roma, Havana = La Habana""")
DAYS = _terms("""Monday = lunes, Tuesday = martes, Wednesday = miércoles, Thursday = jueves, Friday = viernes,
    Saturday = sábado, Sunday = domingo""")
MONTHS = _terms("""January = enero, February = febrero, March = marzo, April = abril, May = mayo,
    June = junio, July = julio, August = agosto, September = septiembre, October = octubre,
    November = noviembre, December = diciembre""")
NAMES = _terms("""Maria = María, John = Juan, Anna = Ana, Peter = Pedro, Lucy = Lucía, David = David,
    Elena = Elena, Michael = Miguel, Sofia = Sofía, Thomas = Tomás""")
COLORS = _terms("""red = rojo, blue = azul, green = verde, yellow = amarillo, black = negro, white = blanco,
    brown = marrón, grey = gris, orange = naranja, purple = morado""")
ANIMALS = _terms("""dog = el perro, cat = el gato, fox = el zorro, horse = el caballo, bird = el pájaro,
    fish = el pez, bear = el oso, wolf = el lobo, rabbit = el conejo, lion = el león""")
QUALITIES = _terms("""quick = rápido, lazy = perezoso, small = pequeño, big = grande, old = viejo,
    young = joven, happy = feliz, quiet = tranquilo""")
ACTIONS = _terms("runs = corre, jumps = salta, sleeps = duerme, sings = canta")
PLACES = _terms("with = con, near = cerca de, behind = detrás de")
OBJECTS = _terms("""book = el libro, letter = la carta, report = el informe, package = el paquete,
    picture = la foto, key = la llave, phone = el teléfono, ticket = el billete""")
FOODS = _terms("""apples = manzanas, sandwiches = bocadillos, eggs = huevos, oranges = naranjas,
    tomatoes = tomates, cookies = galletas""")
DRINKS = _terms("coffees = cafés, teas = tés, beers = cervezas, juices = zumos")
TIME_UNITS = _terms("minutes = minutos, seconds = segundos, hours = horas")

NATO_ALPHABET = _words("""alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike
    november oscar papa quebec romeo sierra tango uniform victor whiskey yankee zulu""")

_ENGLISH_TO_19 = _words("""zero one two three four five six seven eight nine ten eleven twelve thirteen
    fourteen fifteen sixteen seventeen eighteen nineteen""")
_ENGLISH_TENS = _words("twenty thirty forty fifty sixty seventy eighty ninety")
_SPANISH_TO_29 = _words("""cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce
    quince dieciséis diecisiete dieciocho diecinueve veinte veintiuno veintidós veintitrés veinticuatro
    veinticinco veintiséis veintisiete veintiocho veintinueve""")
_SPANISH_TENS = _words("treinta cuarenta cincuenta sesenta setenta ochenta noventa")


def english_number(number: int) -> str:
    """Return a number from 0 to 99 in English words, as in ``forty two``."""
    if number < 20:
        return _ENGLISH_TO_19[number]
    tens, ones = divmod(number, 10)
    return _ENGLISH_TENS[tens - 2] + (f" {_ENGLISH_TO_19[ones]}" if ones else "")


def spanish_number(number: int) -> str:
    """Return a number from 0 to 99 in Spanish words, as in ``cuarenta y dos``."""
    if number < 30:
        return _SPANISH_TO_29[number]
    tens, ones = divmod(number, 10)
    return _SPANISH_TENS[tens - 3] + (f" y {_SPANISH_TO_29[ones]}" if ones else "")
