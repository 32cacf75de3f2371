"""Value representations: PS3.5 section 6.2 and table 7.1-1."""

LONG_LENGTH = frozenset("OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
"""VRs whose explicit header has two reserved bytes and a 32-bit length (PS3.5 7.1.2)."""

SHORT_LENGTH = frozenset("AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
"""VRs whose explicit header has a 16-bit length."""

KNOWN = LONG_LENGTH | SHORT_LENGTH

BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
"""VRs that DICOM JSON keeps as InlineBinary or BulkDataURI (PS3.18 F.2.7)."""

WORD_SIZE = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
"""Bytes a word of the binary VRs that depend on byte order."""

NUMBER_FORMAT = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "UV": "Q", "SV": "q"}
"""`struct` codes of the binary number VRs."""

NUMBER_SIZE = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "UV": 8, "SV": 8, "AT": 4}

SINGLE_TEXT = frozenset({"LT", "ST", "UT", "UR"})
"""Text in which a backslash is a character and not a delimiter (PS3.5 6.2)."""

CHARSET_DEPENDENT = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""Text that Specific Character Set (0008,0005) governs (PS3.5 6.1.2.3)."""

BULKDATA_ALLOWED = BINARY | frozenset(
    {"FL", "FD", "LT", "SL", "SS", "ST", "SV", "UC", "UL", "US", "UT", "UV"}
)
"""VRs whose values may be given by a BulkDataURI (PS3.18 F.2.2); DS and IS are not among them."""
