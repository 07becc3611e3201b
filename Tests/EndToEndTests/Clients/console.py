# SPDX-License-Identifier: Apache-2.0

"""An operator at the console, in a headless Chromium.

Usage: console.py CHROMIUM DIRECTORY URL TOKEN SESSION [SCREENSHOTS]
SESSION is a live session whose user, title and texts contain markup, and which has a turn `ear` with a slow recognizer. Prints PASS, or FAIL and
the reason.
"""
import os
import sys
import time

from chromium import Failure, Page, expect

executable, directory, url, token, session = sys.argv[1:6]
screenshots = sys.argv[6] if len(sys.argv) > 6 else ""
VIEWS = [("Overview", "#/"), ("Upstreams", "#/upstreams"), ("Sessions", "#/sessions"), ("Log", "#/log"), ("Session", "#/session/" + session)]
MARKERS = {
    "Overview": "document.querySelectorAll('table.figures tbody tr').length >= 4 && document.querySelectorAll('.chart').length >= 4",
    "Upstreams": "document.querySelectorAll('section.card').length >= 3",
    "Sessions": "document.querySelectorAll('table.sessions tbody tr').length >= 1",
    "Log": "document.querySelectorAll('.lines .line').length >= 1",
    "Session": "document.querySelectorAll('.turn').length >= 1",
}


def shown(page, name, address):
    page.run(f"location.hash = '{address}'")
    page.wait(f"document.querySelector('h1')?.textContent.startsWith('{name}') && {MARKERS[name]}", name)


def login(page):
    page.resize(1280)
    page.open(url)
    page.wait("document.activeElement?.id === 'token'", "the login")
    page.type("wrong")
    page.press("Enter")
    page.wait("document.body.innerText.includes('The token is wrong.')")
    # A rejected token stays in the field, selected, and is overwritten.
    page.type(token)
    page.press("Enter")
    page.wait(MARKERS["Overview"], "the overview after the login")
    page.wait("document.body.innerText.includes(', 1 error sent since the start.')", "the singular of errors")
    page.wait("document.body.innerText.includes('Request to first text')", "the chart of a latency")
    stored = "localStorage.length + sessionStorage.length + document.cookie.length"
    expect(page.run(stored) == 0, "the token isn't stored")
    expect(not page.run(f"document.documentElement.outerHTML.includes('{token}')"), "the token isn't in the document")


def layout(page):
    for width, dark in [(1280, False), (1280, True), (390, False), (390, True)]:
        page.resize(width, dark=dark)
        for name, address in VIEWS:
            shown(page, name, address)
            cut = page.overflowing()
            expect(not cut, f"{name} at {width}: cut off {cut}")
            wide = page.run("document.documentElement.scrollWidth")
            expect(wide <= width, f"{name} at {width}: {wide} pixels wide")
            unnamed = page.unnamed()
            expect(not unnamed, f"{name}: without a name: {unnamed}")
            expect(page.run("document.activeElement.tagName") == "H1", f"{name}: the focus isn't at the heading")
            if screenshots:
                time.sleep(1)
                page.screenshot(f"{screenshots}/{name.lower()}-{width}-{'dark' if dark else 'light'}.png")
    page.resize(1280)


def hostile(page):
    for name, address in VIEWS:
        shown(page, name, address)
        expect(page.run("window.hacked") is None, f"{name}: markup was executed")
        count = page.run("document.querySelectorAll('script').length + 10 * document.querySelectorAll('img, iframe, object').length")
        expect(count == 1, f"{name}: markup became elements")
    shown(page, *VIEWS[2])
    expect(page.run("document.querySelector('table.sessions').textContent.includes('<img')"), "the markup isn't shown as text")


def sorting(page):
    shown(page, *VIEWS[2])
    for key, column in [("Errors", 7), ("Age", 3), ("Memory", 4)]:
        page.click("button", key)
        page.wait(f"document.querySelector('th[aria-sort=descending]')?.dataset.name === '{key}'", f"sorted by {key}")
    page.click("button", "User")
    page.wait("document.querySelector('th[aria-sort=ascending]')?.dataset.name === 'User'")
    # By keyboard: the heading keeps the focus after the table is replaced.
    page.run("document.querySelector('[data-key=sort-errors]').focus()")
    page.press("Enter")
    page.wait("document.querySelector('th[aria-sort=descending]')?.dataset.name === 'Errors'")
    page.wait("document.activeElement.dataset.key === 'sort-errors'", "the focus stays")
    errors = page.run("[...document.querySelectorAll('table.sessions td[data-name=Errors]')].map(cell => Number(cell.textContent))")
    expect(errors == sorted(errors, reverse=True), f"not sorted: {errors}")


def waterfall(page):
    shown(page, *VIEWS[4])
    page.wait("document.querySelector('[data-turn=ear]')?.dataset.slowest === 'recognizer'", "the culprit of the slow turn")
    text = page.run("document.querySelector('[data-turn=ear]').innerText")
    expect("Slowest: the recognizer" in text, text)
    page.click("button", "Start the tap")
    page.wait("document.body.innerText.includes('The tap is live')")
    page.click("button", "Stop the tap")
    page.wait("document.body.innerText.includes('The tap is stopped')")


def confirmations(page):
    shown(page, *VIEWS[4])
    page.click("button", "Close the session")
    page.wait("document.querySelector('dialog').open")
    expect(page.run("document.activeElement.id") == "dialog-cancel", "the dialog doesn't begin at Cancel")
    page.press("Escape")
    page.wait("!document.querySelector('dialog').open")
    expect(page.run("document.activeElement.textContent") == "Close the session", "the focus returns to the button")
    shown(page, *VIEWS[0])
    page.click("button", "Set the log level")
    page.wait("document.querySelector('dialog').open")
    page.click("button", "Set")
    page.wait("document.body.innerText.includes('The log level is debug.')")
    page.click("button", "Reload the configuration")
    page.click("button", "Reload")
    page.wait("document.body.innerText.includes('Reloaded;')")
    shown(page, *VIEWS[1])
    page.click("button", "Reset the breakers of chat")
    page.click("button", "Reset")
    page.wait("document.body.innerText.includes('The breakers of chat are closed.')")
    shown(page, *VIEWS[4])
    page.click("button", "Close the session")
    # The dialog's button; the page's own is inert while the dialog is open.
    page.wait("document.querySelector('dialog').open")
    page.run("document.getElementById('dialog-confirm').focus()")
    page.press("Enter")
    page.wait("document.body.innerText.includes('The session is closed.')")
    page.wait("document.querySelector('dl.facts').innerText.includes('ended')")


def logout(page):
    page.click("button", "Log out")
    page.wait("document.activeElement?.id === 'token'")
    expect(not page.run("document.body.innerText.includes('recognizer')"), "data remain after the logout")


page = Page(executable, directory)
try:
    login(page)
    layout(page)
    hostile(page)
    sorting(page)
    waterfall(page)
    confirmations(page)
    logout(page)
    foreign = [address for address in page.requests if not address.startswith((url, "data:"))]
    expect(not foreign, f"requests to other addresses: {foreign}")
    expect(not page.problems, f"the browser reports {page.problems}")
    print("PASS", flush=True)
except Failure as failure:
    if screenshots:
        page.screenshot(os.path.join(screenshots, "failure.png"))
    print(f"FAIL {failure} {page.problems}", flush=True)
    sys.exit(1)
finally:
    page.close()
