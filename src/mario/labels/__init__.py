"""Wrong references: found with evidence (`find`), told as suspects, corrected by the patches that we ship.

What this package does not do: decide. People do (`mario review`), and what they decide is a patch (`data.patches`).
"""
