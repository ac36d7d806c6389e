# SPDX-License-Identifier: Apache-2.0
"""What keyboards, screen readers and eyes ask of a page: each finding is a sentence, and a good page has none."""

import html.parser

# Elements without an end (HTML, "Void elements").
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class _Reader(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.findings = []
        self.open = []
        self.levels = []
        self.identifiers = []
        self.references = []
        self.language = self.title = self.heads = None
        self.tables = []

    def handle_starttag(self, tag, attributes):
        fields = dict(attributes)
        self._look(tag, fields)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self._look(tag, dict(attributes))

    def _look(self, tag, fields):
        if "style" in fields or tag == "style":
            self.findings.append(f"a style stands in <{tag}> itself")
        self.findings += [f"a script stands in {name} of <{tag}>" for name in fields if name.startswith("on")]
        if tag == "script" and not fields.get("src"):
            self.findings.append("a script stands in the page itself")
        for name in ("src", "href"):
            if "//" in (fields.get(name) or ""):
                self.findings.append(f"<{tag}> refers to another host: {fields[name]}")
        if "id" in fields:
            self.identifiers.append(fields["id"])
        for name in ("aria-labelledby", "aria-describedby"):
            self.references += (fields.get(name) or "").split()
        if (fields.get("href") or "").startswith("#"):
            self.references.append(fields["href"][1:])
        if tag == "html":
            self.language = fields.get("lang")
        if len(tag) == 2 and tag[0] == "h" and tag[1].isdigit():
            self.levels.append(int(tag[1]))
        if tag == "th" and fields.get("scope") not in ("col", "row"):
            self.findings.append("a head of a table has no scope")
        if tag == "table":
            self.tables.append({"caption": False})
        if tag == "caption" and self.tables:
            self.tables[-1]["caption"] = True
        if tag == "img" and "alt" not in fields:
            self.findings.append("a picture has no words")
        if tag == "svg" and fields.get("aria-hidden") != "true":
            if fields.get("role") != "img" or not fields.get("aria-labelledby"):
                self.findings.append("a drawing is neither named nor hidden from screen readers")

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.findings.append(f"</{tag}> ends what is not open: {' > '.join(self.open[-3:])}")
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data):
        if self.open and self.open[-1] == "title" and "svg" not in self.open:
            self.title = data


def structure(text):
    """Findings about a page's markup."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    findings = reader.findings
    if not reader.language:
        findings.append("the page does not say its language")
    if not reader.title:
        findings.append("the page has no title")
    if reader.levels.count(1) != 1:
        findings.append(f"{reader.levels.count(1)} headings are of level 1")
    for before, after in zip(reader.levels, reader.levels[1:]):
        if after > before + 1:
            findings.append(f"a heading of level {after} follows one of level {before}")
    twice = {name for name in reader.identifiers if reader.identifiers.count(name) > 1}
    findings += [f"two elements have the id {name}" for name in sorted(twice)]
    findings += [f"nothing has the id {name}" for name in sorted(set(reader.references) - set(reader.identifiers))]
    findings += ["a table has no caption" for table in reader.tables if not table["caption"]]
    if reader.open:
        findings.append(f"not ended: {' '.join(reader.open)}")
    return findings


# The contrast of each text with what is behind it (WCAG 2.2, 1.4.3): 4.5, of large text 3.
CONTRAST = """
(() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const over = (front, back) => {
    const alpha = front.length > 3 ? front[3] : 1;
    return [0, 1, 2].map((index) => front[index] * alpha + back[index] * (1 - alpha));
  };
  const luminance = (color) => {
    const [r, g, b] = color.slice(0, 3).map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.unshift(parse(getComputedStyle(at).backgroundColor));
    return layers.reduce((back, layer) => over(layer, back), [255, 255, 255]);
  };
  const findings = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const words = walker.currentNode.data.trim();
    const box = element.getBoundingClientRect();
    if (!words || box.width < 2 || box.height < 2 || element.closest("noscript, svg, script")) continue;
    const style = getComputedStyle(element);
    if (style.visibility !== "visible") continue;
    const back = ground(element);
    const [first, second] = [luminance(over(parse(style.color), back)), luminance(back)].sort((a, b) => b - a);
    const ratio = (first + 0.05) / (second + 0.05);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (isLarge ? 3 : 4.5)) findings.add(`"${words.slice(0, 40)}" has a contrast of ${ratio.toFixed(2)}`);
  }
  return [...findings];
})()
"""

# Whether a keyboard reaches everything that can be scrolled or followed, and nothing is wider than the window.
REACH = """
(() => {
  const findings = [];
  if (document.documentElement.scrollWidth > innerWidth)
    findings.push(`the page is ${document.documentElement.scrollWidth} wide, its window ${innerWidth}`);
  for (const element of document.querySelectorAll("body *")) {
    const style = getComputedStyle(element);
    const scrolls = ["auto", "scroll"].includes(style.overflowX) && element.scrollWidth > element.clientWidth + 1;
    if (scrolls && element.tabIndex < 0) findings.push(`#${element.id} ${element.className} scrolls, and has no focus`);
  }
  const skip = document.querySelector("a.skip");
  skip.focus();
  if (document.activeElement !== skip || skip.getBoundingClientRect().top < 0) findings.push("the skip link is not seen");
  if (getComputedStyle(skip).outlineStyle === "none") findings.push("the focus is not seen");
  skip.blur();
  return findings;
})()
"""
