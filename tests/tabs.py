"""Contexts and tabs of a browser that are used again: a new one starts processes, most of a second of a processor."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

__all__ = ["barriers", "reuse"]

# What outlasts the page that is shown: a context or a tab for which it was called is not used again.
_OF_CONTEXT = ("add_cookies", "add_init_script", "expose_function", "grant_permissions", "new_cdp_session", "route")
_OF_TAB = ("add_init_script", "emulate_media", "expose_function", "route")
_VIEWPORT = {"width": 1280, "height": 720}  # that of playwright


def reuse(browser: Any) -> None:
    """Let ``browser`` empty and keep the contexts and tabs that are closed, for the next of the same options."""
    make, kept = browser.new_context, defaultdict[str, list[Any]](list)

    def new_context(**options: Any) -> Any:
        idle = kept[repr(sorted(options.items()))]
        return idle.pop() if idle else _context(make(**options), options, idle)

    def new_page(**options: Any) -> Any:
        context = new_context(**options)
        tab = context.new_page()
        tab.closed = context.close  # as in playwright, where such a tab is the only one of its context
        return tab

    browser.new_context, browser.new_page = new_context, new_page


def barriers(tab: Any, **options: Any) -> list[dict[str, Any]]:
    """Return the serious and critical violations that axe-core finds; a page loads it once, for all that it shows."""
    from axe_playwright_python.base import AXE_SCRIPT  # here: tests of other torch versions need no browser

    if not tab.evaluate("Boolean(window.axe)"):
        tab.evaluate(AXE_SCRIPT)
    found = tab.evaluate("options => axe.run(options)", {"resultTypes": ["violations"], **options})
    return [each for each in found["violations"] if each["impact"] in ("serious", "critical")]


def _context(context: Any, options: dict[str, Any], idle: list[Any]) -> Any:
    """Return a context whose tabs are used again, and which goes to ``idle`` when it is closed."""
    make, end = context.new_page, context.close
    free: list[Any] = []
    shown: list[Any] = []
    spoilt = _notice(context, _OF_CONTEXT)

    def new_page() -> Any:
        tab = free.pop() if free else _tab(make(), options.get("viewport") or _VIEWPORT, free, shown)
        tab.closed = lambda: None
        shown.append(tab)
        tab.bring_to_front()
        return tab

    def close() -> None:
        for tab in shown.copy():
            tab.closed = lambda: None
            tab.close()
        if spoilt:
            end()
        elif context not in idle:
            idle.append(context)

    context.new_page, context.close = new_page, close
    return context


def _tab(tab: Any, viewport: dict[str, int], free: list[Any], shown: list[Any]) -> Any:
    """Return a tab that is emptied when it is closed, and then goes from ``shown`` to ``free``."""
    listen, end, heard = tab.on, tab.close, []
    spoilt = _notice(tab, _OF_TAB)

    def on(event: str, listener: Callable[..., object]) -> None:
        heard.append((event, listener))
        listen(event, listener)

    def close() -> None:
        if tab not in shown:
            return
        shown.remove(tab)
        while heard:
            tab.remove_listener(*heard.pop())
        if spoilt:
            end()
        else:
            tab.goto("about:blank")
            tab.mouse.move(0, 0)
            tab.set_viewport_size(viewport)
            free.append(tab)
        tab.closed()

    tab.on, tab.close = on, close
    return tab


def _notice(what: Any, names: tuple[str, ...]) -> list[str]:
    """Return a list that gets the name of each of these methods when it is called."""
    called: list[str] = []

    def noticed(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*words: Any, **more: Any) -> Any:
            called.append(name)
            return method(*words, **more)

        return call

    for name in names:
        setattr(what, name, noticed(name, getattr(what, name)))
    return called
