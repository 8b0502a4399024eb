"""The film of docs/toys.md: two rows of benchmarks/modes.py on the grid, as minigan toy shows them.

python -m benchmarks.toys     trains both, and writes docs/toys.gif; some two minutes on one core.
"""

from PIL import Image

from benchmarks import command, modes
from minigan.study.toy import Toy, film
from minigan.study.toy_picture import Drawer
from minigan.training import pictures
from minigan.training.parts import prepare

DATA, ROWS = "grid25", ("GAN", "WGAN-GP")
EVERY = 400
INCHES, DPI = 3.2, 72
OUT = modes.PICTURES / "toys.gif"


def main() -> None:
    """Trains, draws, writes."""
    toys = {row: Toy(prepare(modes.config(DATA, row, 0))) for row in ROWS}
    films = []
    with command.bar(len(ROWS) * modes.STEPS) as show:
        for row, toy in toys.items():
            show(description=row)
            drawer = Drawer(toy, row, INCHES, DPI)
            films.append([drawer(frame) for frame in film(toy, modes.STEPS, EVERY, lambda: show(advance=1))])
    pictures.save_film([pictures.few_colours(_stacked(*moment)) for moment in zip(*films, strict=True)], OUT)


def _stacked(above: Image.Image, below: Image.Image) -> Image.Image:
    sheet = Image.new("RGB", (above.width, above.height + below.height))
    sheet.paste(above, (0, 0))
    sheet.paste(below, (0, above.height))
    return sheet


if __name__ == "__main__":
    main()
