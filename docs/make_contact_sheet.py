"""Write `drawn-faces.png` beside this script: eight drawn people for each emotion.

python docs/make_contact_sheet.py
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jaxfer.data.synthetic import draw_faces
from jaxfer.emotions import AFFECTNET_8

PEOPLE, SIZE, MARGIN = 8, 96, 110


def contact_sheet(seed: int) -> Image.Image:
    """Return the grid, one labelled row for each emotion."""
    labels = np.repeat(np.arange(len(AFFECTNET_8), dtype=np.int32), PEOPLE)
    faces = draw_faces(seed, labels, image_size=SIZE).reshape(len(AFFECTNET_8), PEOPLE, SIZE, SIZE, 3)
    grid = faces.transpose(0, 2, 1, 3, 4).reshape(len(AFFECTNET_8) * SIZE, PEOPLE * SIZE, 3)
    sheet = Image.new("RGB", (MARGIN + grid.shape[1], grid.shape[0]), "white")
    sheet.paste(Image.fromarray(grid), (MARGIN, 0))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(18)
    for row, name in enumerate(AFFECTNET_8):
        draw.text((MARGIN - 12, (row + 0.5) * SIZE), name, fill="black", font=font, anchor="rm")
    return sheet


if __name__ == "__main__":
    path = Path(__file__).with_name("drawn-faces.png")
    sheet = contact_sheet(seed=7)
    # A palette keeps the file small; dithering keeps its gradients smooth.
    palette = sheet.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=4)
    sheet.quantize(palette=palette).save(path, optimize=True)
    print(f"wrote {path}")
