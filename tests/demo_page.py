"""What tests read off the demo page, as JavaScript."""

BOXES = """[...document.querySelectorAll('.box')].map(box => {
  const [own, all] = [box, document.querySelector('.boxes')].map(one => one.getBoundingClientRect());
  return [(own.x - all.x) / all.width, (own.y - all.y) / all.height, own.width / all.width, own.height / all.height];
})"""
CARDS = "[...document.querySelectorAll('.face-card h3')].map(one => one.textContent)"
SENTENCES = "[...document.querySelectorAll('.message p')].map(one => one.firstChild.textContent)"

FAINTEST = """(() => {
  const parsed = (colour) => {
    const [red, green, blue, alpha = 1] = colour.match(/[\\d.]+/g).map(Number);
    return colour.startsWith("color(") ? [255 * red, 255 * green, 255 * blue, alpha] : [red, green, blue, alpha];
  };
  const over = (top, ground) => [0, 1, 2].map((i) => top[i] * top[3] + ground[i] * (1 - top[3]));
  const groundOf = (element) => {
    const own = parsed(getComputedStyle(element).backgroundColor);
    return over(own, element.parentElement ? groundOf(element.parentElement) : [255, 255, 255]);
  };
  const luminance = (colour) => {
    const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    const [red, green, blue] = colour.map((value) => linear(value / 255));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.textContent.trim() || !element.checkVisibility({ opacityProperty: true })) continue;
    const ground = groundOf(element);
    const ink = over(parsed(getComputedStyle(element).color), ground);
    const [dark, bright] = [ink, ground].map(luminance).sort((one, other) => one - other);
    found.push([(bright + 0.05) / (dark + 0.05), texts.currentNode.textContent.trim()]);
  }
  return found.sort(([one], [other]) => one - other)[0];
})()"""
"""The least contrast between a text and its ground, as WCAG 2 counts it, and that text."""
