"""The leaf that every page shares: vendored libraries, one style sheet, and a document that needs no network.

`document` gives one self-contained HTML text; `files` gives the same pieces by name, for a server. Text of models and
problems reaches a page in two ways only: through `render` (jinja2, autoescaped) or through the `data` of a document
(JSON, shown by `show.js` as text nodes). What this package does not do: it knows no records and writes no files.
"""

from mario.page.document import document, json_block, render
from mario.page.vendored import LIBRARIES, Library, files

__all__ = ["LIBRARIES", "Library", "document", "files", "json_block", "render"]
