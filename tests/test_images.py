"""Room: data. Folders of images: formats, depths, labels by folder or table, splits; what does not fit is named."""

import numpy as np
import pytest
from PIL import Image

from vaelab.data import load_data, opening
from vaelab.errors import InputError

GENERATOR = np.random.default_rng(0)
GREYS = GENERATOR.integers(0, 256, (12, 4, 3)).astype(np.uint8)
GREYS[0, 0, 0] = 255
BITS = GENERATOR.integers(0, 2, (12, 4, 3)).astype(bool)
DEEP = GENERATOR.integers(0, 65536, (12, 4, 3)).astype(np.uint16)
CLASSES = [0, 1, 2] * 4


def save(folder, images, ending=".png", names=None, **options):
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        name = f"{number:02}" if names is None else names[number]
        drawn = image if isinstance(image, Image.Image) else Image.fromarray(image)
        drawn.save(folder / f"{name}{ending}", **options)


def rows(folder, **said):
    data = load_data(folder, split=False, **said)
    return data, data.split("all").x, data.split("all").labels


@pytest.mark.parametrize("ending", [".png", ".bmp", ".tif", ".TIFF", ".pgm"])
def test_grey_images_of_8_bits(ending, tmp_path):
    save(tmp_path, GREYS, ending)
    data, x, labels = rows(tmp_path)
    assert (data.kind, data.scale, data.image_shape, labels) == ("grey", 255, (4, 3), None)
    assert np.array_equal(x, GREYS.reshape(12, 12))


@pytest.mark.parametrize("ending", [".png", ".bmp", ".tif", ".pbm"])
def test_images_of_one_bit_are_bits(ending, tmp_path):
    save(tmp_path, BITS, ending)
    data, x, _ = rows(tmp_path)
    assert (data.kind, data.scale, data.image_shape) == ("binary", 1, (4, 3))
    assert np.array_equal(x, BITS.reshape(12, 12))


@pytest.mark.parametrize("ending", [".png", ".tif", ".pgm"])
def test_images_of_16_bits_are_divided_by_65535(ending, tmp_path):
    save(tmp_path, DEEP, ending)
    data, x, _ = rows(tmp_path)
    assert (data.kind, data.image_shape) == ("grey", (4, 3))
    assert np.allclose(x, DEEP.reshape(12, 12) / 65535)


def test_the_depth_says_what_white_is(tmp_path):
    save(tmp_path / "dark", GREYS // 4)
    data, x, _ = rows(tmp_path / "dark")
    assert (data.kind, data.scale) == ("grey", 255)
    assert np.array_equal(x, (GREYS // 4).reshape(12, 12))
    assert rows(tmp_path / "dark", scale=63)[0].scale == 63
    save(tmp_path / "bits", BITS.astype(np.uint8))
    assert rows(tmp_path / "bits")[0].kind == "binary"


def test_grey_images_in_colours_are_grey(tmp_path):
    for mode in ("RGB", "RGBA", "P", "LA"):
        save(tmp_path / mode, [Image.fromarray(image).convert(mode) for image in GREYS])
        assert np.array_equal(rows(tmp_path / mode)[1], GREYS.reshape(12, 12))


def test_jpeg_images_are_read(tmp_path):
    save(tmp_path, np.repeat(np.repeat(GREYS, 8, 1), 8, 2), ".jpg", quality=95)
    data, x, _ = rows(tmp_path)
    assert data.image_shape == (32, 24)
    assert np.abs(x.reshape(12, 32, 24)[:, 4::8, 4::8].astype(int) - GREYS).max() < 30


@pytest.mark.parametrize(("names", "note"), [("abc", "the labels are: 0 'a', 1 'b', 2 'c'"), ("012", None)])
def test_one_folder_a_class(names, note, tmp_path):
    for number, name in enumerate(names):
        save(tmp_path / name, GREYS[number::3])
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "Thumbs.db").write_bytes(b"")
    data, x, labels = rows(tmp_path)
    assert np.array_equal(x, np.concatenate([GREYS[number::3] for number in range(3)]).reshape(12, 12))
    assert labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert data.notes == (() if note is None else (note,))


TABLES = {
    "numbers": "file,label\n" + "".join(f"{row:02}.png,{label}\n" for row, label in enumerate(CLASSES)),
    "words": "name,kind\n" + "".join(f"{row:02}.png,{'abc'[label]}\n" for row, label in enumerate(CLASSES)),
    "other order": "label,id\n" + "".join(f"{CLASSES[row]},images/{row:02}.png\n" for row in reversed(range(12))),
    "no endings": "file;width;class\n" + "".join(f"a{row:02};3;{label}\n" for row, label in enumerate(CLASSES)),
}


@pytest.mark.parametrize("table", TABLES)
def test_a_table_of_labels(table, tmp_path):
    save(tmp_path, GREYS, names=[f"{'a' * (table == 'no endings')}{number:02}" for number in range(12)])
    (tmp_path / "labels.csv").write_text(TABLES[table])
    (tmp_path / "readme.md").write_text("hello")
    data, x, labels = rows(tmp_path)
    assert np.array_equal(x, GREYS.reshape(12, 12))
    assert labels.tolist() == CLASSES
    assert "of labels.csv" in data.notes[0]
    assert data.notes[-1] == "not read: 'readme.md'"


def test_folders_of_splits(tmp_path):
    for split, part in (("train", slice(0, 6)), ("val", slice(6, 9)), ("test", slice(9, 12))):
        for label in range(3):
            save(tmp_path / split / "xyz"[label], GREYS[part][label::3])
    data = load_data(tmp_path)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 6, "validation": 3, "test": 3}
    assert data.split("test").labels.tolist() == [0, 1, 2]
    assert np.array_equal(data.split("validation").x, GREYS[6:9].reshape(3, 12))


def colour(folder):
    save(folder, [*GREYS[:11], np.stack([GREYS[0], GREYS[1], GREYS[2]], 2)])


def sizes(folder):
    save(folder, [*GREYS[:11], GREYS[0].T])


def depths(folder):
    save(folder, [*GREYS[:11], DEEP[0]])


def half(folder):
    save(folder, GREYS)
    (folder / "03.png").write_bytes((folder / "03.png").read_bytes()[:50])


def other(folder):
    save(folder, GREYS)
    (folder / "03.png").write_text("%!PS-Adobe\n(hello) show\n")


def frames(folder):
    save(folder, GREYS, ".tif")
    parts = [Image.fromarray(image) for image in GREYS]
    parts[0].save(folder / "03.tif", save_all=True, append_images=parts[1:])


def reals(folder):
    save(folder, list(GREYS.astype(np.float32)), ".tif")


def mixed(folder):
    save(folder, GREYS)
    save(folder / "more", GREYS)


def nested(folder):
    save(folder / "a" / "b", GREYS)


def unlabelled(folder):
    save(folder, GREYS)
    (folder / "labels.csv").write_text(TABLES["numbers"].replace("03.png", "99.png"))


def several(folder):
    save(folder, GREYS)
    (folder / "labels.csv").write_text("file,a,b\n" + "".join(f"{row:02}.png,{row},x\n" for row in range(12)))


def nameless(folder):
    save(folder, GREYS)
    (folder / "labels.csv").write_text("a,b\n1,2\n3,5\n")


def loop(folder):
    save(folder, GREYS)
    (folder / "x.png").symlink_to("x.png")


def clear(folder):
    save(folder, [Image.fromarray(GREYS[0]).convert("LA"), Image.merge("LA", [Image.fromarray(GREYS[0])] * 2)])


REFUSED = {
    colour: r"11\.png: expected a grey image; got colours, which vaelab does not model",
    clear: r"01\.png: expected a grey image; got transparent pixels",
    sizes: r"11\.png: expected 4 x 3 pixels \(height x width\) of 8 bits as in 00\.png; got 3 x 4 pixels",
    depths: r"11\.png: expected 4 x 3 pixels .* of 8 bits as in 00\.png; got .* of 16 bits",
    half: r"03\.png: expected a readable image",
    other: r"03\.png: expected a readable image",
    frames: r"03\.tif: expected one image in a file; got several",
    reals: r"00\.tif: expected a grey image of 1, 8 or 16 bits; got Pillow's mode 'F'",
    mixed: "expected images, or one folder a class; got images beside the folder 'more'",
    nested: "expected images of one class; got folders",
    unlabelled: r"labels\.csv: expected one label for each image of its folder; got none for '03\.png'",
    several: "expected a column of file names and one of labels; got 'file', 'a', 'b'; .*--label-column",
    nameless: r"expected a column with the names of the images beside it, such as '00\.png'",
    loop: r"x\.png: expected a readable file; its symbolic links lead back to themselves",
}


@pytest.mark.parametrize("make", REFUSED, ids=lambda make: make.__name__)
def test_what_does_not_fit_is_named(make, tmp_path):
    make(tmp_path)
    with pytest.raises(InputError, match=REFUSED[make]) as refused:
        load_data(tmp_path)
    assert "\n" not in str(refused.value)


def test_one_image_and_too_many_are_refused(tmp_path, monkeypatch):
    save(tmp_path, GREYS)
    with pytest.raises(InputError, match=r"00\.png: expected a folder of images; got one image; give the folder"):
        load_data(tmp_path / "00.png")
    monkeypatch.setattr(opening, "MEMORY", 100)
    with pytest.raises(InputError, match="expected at most 100 bytes unpacked; got 144 bytes; save them as one array"):
        load_data(tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(InputError, match=r"expected a readable image .*decompression bomb"):
        load_data(tmp_path)


def test_labels_of_several_columns_are_chosen(tmp_path):
    several(tmp_path)
    assert rows(tmp_path, label_column="a")[2].tolist() == list(range(12))
