"""The dashboard: a page and its scripts, which ask the admin API for everything they show."""

from __future__ import annotations

from lbg.control.dashboard.pages import add_dashboard, is_dashboard

__all__ = ["add_dashboard", "is_dashboard"]
