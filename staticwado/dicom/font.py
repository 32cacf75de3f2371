"""Letters for what is burned into pictures: five columns, seven rows above the line and two below.

Drawn for this project. Letters lose their accents, and ligatures are spelled; what is no Latin letter, digit
or sign of ASCII is a box.
"""

import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy import ndarray

    Array = ndarray[Any, Any]

CELL_WIDTH, CELL_HEIGHT = 6, 11
"""Of a letter and the space after it and below it, in dots."""
_COLUMNS, _ROWS = 5, 9
_BOX = "1F11111111111F"

# One letter a line: each row is two hexadecimal digits, of which the lower five bits are dots.
_GLYPHS = """
A 0E11111F111111
B 1E11111E11111E
C 0E11101010110E
D 1E11111111111E
E 1F10101E10101F
F 1F10101E101010
G 0E11101713110F
H 1111111F111111
I 0E04040404040E
J 0702020202120C
K 11121418141211
L 1010101010101F
M 111B1515111111
N 11191915131311
O 0E11111111110E
P 1E11111E101010
Q 0E11111115120D
R 1E11111E141211
S 0F10100E01011E
T 1F040404040404
U 1111111111110E
V 11111111110A04
W 1111111515150A
X 11110A040A1111
Y 11110A04040404
Z 1F01020408101F
a 00000E010F110F
b 10101E1111111E
c 00000F1010100F
d 01010F1111110F
e 00000E111F100E
f 0609081C080808
g 00000F1111110F010E
h 10101E11111111
i 04000C0404040E
j 0200060202020202120C
k 10101214181412
l 0C04040404040E
m 00001A15151515
n 00001E11111111
o 00000E1111110E
p 00001E1111111E1010
q 00000F1111110F0101
r 00001619101010
s 00000F100E011E
t 08081C08080906
u 0000111111110F
v 00001111110A04
w 0000111115150A
x 0000110A040A11
y 0000111111110F010E
z 00001F0204081F
0 0E11131519110E
1 040C140404041F
2 0E11010608101F
3 1E01010E01011E
4 02060A121F0202
5 1F101E0101110E
6 0608101E11110E
7 1F010204040808
8 0E11110E11110E
9 0E11110F01020C
. 00000000000C0C
, 00000000000C0C0408
: 000C0C000C0C00
; 000C0C000C0C0408
! 04040404040004
? 0E110106040004
- 0000000E000000
+ 0004041F040400
= 00001F001F0000
_ 0000000000001F
* 00150E1F0E1500
/ 01010204081010
\\ 10100804020101
| 0404040404040404
( 02040808080402
) 08040202020408
[ 0E08080808080E
] 0E02020202020E
{ 06040408040406
} 0C04040204040C
< 02040810080402
> 08040201020408
# 0A0A1F0A1F0A0A
% 18190204081303
& 0C12140815120D
@ 0E11171517100E
$ 040F140E051E04
' 04040800000000
" 0A0A0000000000
` 08040200000000
^ 040A1100000000
~ 0000000D120000
° 0C12120C000000
± 04041F04041F00
µ 00001111111D1010
² 0C02040E000000
"""
_NEAR = {
    "ß": "ss",
    "æ": "ae",
    "Æ": "AE",
    "œ": "oe",
    "Œ": "OE",
    "ø": "o",
    "Ø": "O",
    "đ": "d",
    "Đ": "D",
    "ł": "l",
    "Ł": "L",
    "\N{LATIN SMALL LETTER DOTLESS I}": "i",
    "þ": "th",
    "Þ": "Th",
    "\N{GREEK SMALL LETTER MU}": "µ",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\t": " ",
}


def _dots(digits: str) -> tuple[int, ...]:
    rows = tuple(bytes.fromhex(digits))
    return rows + (0,) * (_ROWS - len(rows))


_BITMAPS = {line[0]: _dots(line[2:])[:_ROWS] for line in _GLYPHS.strip().splitlines()}
_BITMAPS[" "] = (0,) * _ROWS
_MISSING = _dots(_BOX)


def plain(text: str) -> str:
    """`text` in letters that there are: accents dropped, ligatures spelled; the rest stays as it is."""
    spelled = "".join(_NEAR.get(letter, letter) for letter in text)
    result = []
    for letter in spelled:
        parts = letter if letter in _BITMAPS else unicodedata.normalize("NFKD", letter)
        kept = [part for part in parts if not unicodedata.combining(part)]
        known = kept and all(part in _BITMAPS for part in kept)
        result.extend(kept if known else [letter] if not unicodedata.combining(letter) else [])
    return "".join(result)


def line_mask(text: str, scale: int = 1) -> "Array":
    """The dots of one line of `text`: bool (11 x scale rows, 6 x scale columns a letter)."""
    import numpy as np

    letters = plain(text)
    mask = np.zeros((CELL_HEIGHT, CELL_WIDTH * max(len(letters), 1)), bool)
    for index, letter in enumerate(letters):
        for row, bits in enumerate(_BITMAPS.get(letter, _MISSING), 1):
            for column in range(_COLUMNS):
                if bits >> (_COLUMNS - 1 - column) & 1:
                    mask[row, index * CELL_WIDTH + column] = True
    return mask.repeat(scale, axis=0).repeat(scale, axis=1) if scale > 1 else mask
