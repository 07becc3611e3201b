# SPDX-License-Identifier: Apache-2.0

"""A manual page in the macros of man(7)."""

import dataclasses
import datetime
import re


@dataclasses.dataclass(frozen=True)
class Heading:
    """The lines at the top and the bottom, which all pages share."""

    date: datetime.date
    source: str
    manual: str


def escaped(text):
    """Escapes characters that roff interprets. A hyphen stays ASCII, so that options can be copied from a terminal."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    # Typewriter quotes; UTF-8 output would turn them into typographic ones.
    text = text.replace("'", "\\(aq").replace("`", "\\(ga").replace("^", "\\(ha").replace("~", "\\(ti")
    return "\n".join("\\&" + line if line.startswith(".") else line for line in text.split("\n"))


class Page:
    def __init__(self, name, number, heading, summary):
        self.name, self.number = name, number
        # A title is in capitals by convention; an abstract begins as a sentence does, a summary doesn't.
        summary = summary[0].lower() + summary[1:]
        self.lines = [
            '.\\" SPDX-License-Identifier: Apache-2.0',
            f'.TH "{escaped(name.upper())}" "{number}" "{heading.date}" "{escaped(heading.source)}" "{escaped(heading.manual)}"',
            # Neither justified nor hyphenated, so that names and paths stay whole.
            ".ad l",
            ".nh",
            ".SH NAME",
            f"{escaped(name)} \\- {escaped(summary)}",
        ]

    def source(self):
        return "\n".join(self.lines) + "\n"

    def section(self, title):
        self.lines.append(f'.SH "{escaped(title)}"')

    def separate(self):
        """Begins a paragraph, unless the page is at the start of a section, where roff begins one."""
        if not self.lines[-1].startswith(".SH"):
            self.lines.append(".PP")

    def paragraph(self, text):
        if text.strip():
            self.separate()
            self.lines.append(escaped(text.strip()))

    def code(self, text):
        self.separate()
        self.lines += [".nf", ".RS 4", *escaped(text.rstrip("\n")).split("\n"), ".RE", ".fi"]

    def entry(self, label, texts):
        """Appends a label and the paragraphs that describe it."""
        self.lines += [".TP", f"\\fB{escaped(label)}\\fR"]
        for text in texts:
            if text is not texts[0]:
                self.lines.append(".br")
            self.lines.append(escaped(text) or "\\&")

    def list(self, entries):
        for label, text in entries:
            self.entry(label, [text])

    def text(self, text):
        """Appends the text of a help screen: paragraphs, and indented lines of a label, two spaces and its description."""
        for block in re.split(r"\n\s*\n", text.strip("\n")):
            words = []
            for line in block.split("\n"):
                if found := re.fullmatch(r"\s+(\S.*?)\s{2,}(\S.*)", line):
                    self.paragraph(" ".join(words))
                    words = []
                    self.entry(found[1], [found[2]])
                else:
                    words.append(line.strip())
            self.paragraph(" ".join(words))

    def references(self, names):
        """Appends references to other pages: parley(1), parley.yaml(5)."""
        self.separate()
        for name in names:
            title, number = name.rstrip(")").split("(")
            end = "," if name != names[-1] else ""
            self.lines.append(f'.BR "{escaped(title)}" ({number}){end}')
