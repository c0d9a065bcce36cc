"""What tests read off the demo page, as JavaScript."""

import pytest
from browser import PROGRAM

needs_browser = pytest.mark.skipif(
    PROGRAM is None, reason="no Chromium or Chrome: apt-get install chromium, or name one in CHROME"
)

BOXES = """[...document.querySelectorAll('.box')].map(box => {
  const [own, all] = [box, document.querySelector('.boxes')].map(one => one.getBoundingClientRect());
  return [(own.x - all.x) / all.width, (own.y - all.y) / all.height, own.width / all.width, own.height / all.height];
})"""
CARDS = "[...document.querySelectorAll('.face-card h3')].map(one => one.textContent)"
SENTENCES = "[...document.querySelectorAll('.message p')].map(one => one.firstChild.textContent)"
