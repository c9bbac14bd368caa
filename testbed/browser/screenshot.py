"""The display as a picture: what ``/CGI/Screenshot`` answers, a CiscoIPPhoneImage of 133 x 65 pixels."""

from __future__ import annotations

from testbed import phone_xml as px
from testbed.browser.picture import packed
from testbed.browser.screen import Screen

WIDTH, HEIGHT, DEPTH = 133, 65, 2
BLACK = 3
ROWS, LINE, ADVANCE = 10, 6, 4
COLUMNS = WIDTH // ADVANCE

_FONT = r"""
A=25755 B=65656 C=34443 D=65556 E=74647 F=74644 G=34553 H=55755 I=72227 J=11152 K=55655 L=44447 M=57755 N=65555
O=25552 P=65644 Q=25563 R=65655 S=34216 T=72222 U=55557 V=55552 W=55775 X=55255 Y=55222 Z=71247 0=75557 1=26227
2=61247 3=61216 4=55711 5=74616 6=34652 7=71222 8=25252 9=25316 .=00002 ,=00024 :=02020 ;=02024 !=22202 ?=61202
'=22000 "=55000 -=00700 +=02720 *=52725 /=11244 \=44211 (=12221 )=42224 [=32223 ]=62226 <=12421 >=42124 _=00007
#=57575 %=51245 &=25253 @=25743 $=36763 |=22222 ~=03600 ^=25000
"""
"""Five rows of three pixels, each an octal digit. Small letters look like capitals; what is not here is a box."""
_GLYPHS = dict(pair.split("=", 1) for pair in _FONT.split()) | {" ": "00000", "=": "07070"}
_BOX = "77777"


def screenshot(screen: Screen) -> px.Image:
    """Title, as many lines as fit, prompt, soft keys. Pictures of pages are not in it: ``/CGI/Screenshot`` of one is that picture."""
    marked = [
        ("" if screen.cursor is None else ">" if index == screen.cursor else " ") + line.replace("\n", " ")
        for index, line in enumerate(screen.lines)
    ]
    first = max(0, (screen.cursor or 0) - (ROWS - 4))
    body = (marked[first:] + [""] * ROWS)[: ROWS - 3]
    keys = "".join(f"{label[:7]:<8}" for label in screen.soft_keys[:4])
    rows = [screen.title, *body, screen.error or screen.prompt, keys] if screen.is_on else []
    pixels = [0] * (WIDTH * HEIGHT)
    for place, text in enumerate(rows):
        for column, character in enumerate(text[:COLUMNS]):
            _draw(pixels, column * ADVANCE, place * LINE, character)
    return px.Image(title="", bitmap=px.Bitmap(width=WIDTH, height=HEIGHT, depth=DEPTH, data=packed(pixels, DEPTH)))


def _draw(pixels: list[int], left: int, top: int, character: str) -> None:
    for y, digit in enumerate(_GLYPHS.get(character.upper(), _BOX)):
        for x in range(3):
            if int(digit, 8) >> (2 - x) & 1:
                pixels[(top + y) * WIDTH + left + x] = BLACK
