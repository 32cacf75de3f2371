"""Wildcards (PS3.4 C.2.2.2.4), without regular expressions, which could be made to run for years."""


def matches_wildcard(pattern: str, text: str) -> bool:
    """Whether `text` is as `pattern` says: `*` any run, `?` any one letter; no other character is special.

    Steps are at most the product of the lengths.
    """
    if "?" in pattern:
        return _matches_letters(pattern, text)
    return _matches_runs(pattern.split("*"), text) if "*" in pattern else pattern == text


def _matches_runs(parts: list[str], text: str) -> bool:
    """Whether `text` is these parts, two or more, with any run between them."""
    place, stop = len(parts[0]), len(text) - len(parts[-1])
    if place > stop or not (text.startswith(parts[0]) and text.endswith(parts[-1])):
        return False
    for part in parts[1:-1]:
        found = text.find(part, place, stop)
        if found < 0:
            return False
        place = found + len(part)
    return True


def _matches_letters(pattern: str, text: str) -> bool:
    """The same, letter by letter."""
    place = star = 0
    position = resume = 0
    starred = False
    while position < len(text):
        if place < len(pattern) and pattern[place] == "*":
            star, resume, starred = place, position, True
            place += 1
        elif place < len(pattern) and pattern[place] in ("?", text[position]):
            place += 1
            position += 1
        elif starred:
            resume += 1
            place, position = star + 1, resume
        else:
            return False
    return not pattern[place:].strip("*")


def has_wildcard(text: str) -> bool:
    """Whether a text has a wildcard in it."""
    return "*" in text or "?" in text
