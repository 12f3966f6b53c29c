"""Builtins of our own for the code that answers the host; its modules take them before they define anything.

The one idea: a function keeps the builtins that its module had when it was defined. So a snippet that puts others in
place harms itself only, and nothing needs to be put back before the answer has left.

What it does not do: functions of the standard library still see what the snippet left, until the next snippet.
"""

import builtins

BUILTINS = dict(vars(builtins))
