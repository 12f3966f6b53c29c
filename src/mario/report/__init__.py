"""Stored results as something to look at: one self-contained page, a table for the terminal, a table for Markdown.

Pure functions of what an evaluation left behind; deleting this package changes no number.
"""

from mario.report.page import build_report
from mario.report.runs import ReportRun
from mario.report.tables import SummaryRow, Table, summary_markdown, summary_rows, summary_table
from mario.report.training import TrainingRun, training_table

__all__ = [
    "ReportRun",
    "SummaryRow",
    "Table",
    "TrainingRun",
    "build_report",
    "summary_markdown",
    "summary_rows",
    "summary_table",
    "training_table",
]
