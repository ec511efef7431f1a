"""Pages made of templates."""

import re

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape


def templates(package: str) -> Environment:
    """The templates in a package's folder `templates`: what they are given is escaped, and must be there.

    Their filter `options` marks the command line's options, such as --height, in a sentence.
    """
    environment = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["options"] = _options_marked
    return environment


def _options_marked(sentence: str) -> Markup:
    """The sentence, escaped, with options as code that stays in one line."""
    escaped = str(escape(sentence))  # of a Markup, re.sub would escape the tags, too
    return Markup(re.sub(r"--[a-z][a-z-]*", r'<code class="option">\g<0></code>', escaped))
