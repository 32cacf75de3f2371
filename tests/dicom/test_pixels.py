import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from staticwado.dicom.pixels import ImagePixel, SampleKind, image_pixel, samples, stored_values, to_array
from staticwado.errors import BrokenDicom, StaticWadoError, Unsupported
from tests.dicom.images import element, image_dataset


def test_the_module_is_read_as_it_stands() -> None:
    dataset = image_dataset(
        3, 5, "YBR_FULL", samples=3, allocated=16, stored=12, high=13, signed=True, planar=1
    )
    dataset["00280008"] = element("IS", "7")
    assert image_pixel(dataset) == ImagePixel(
        rows=3,
        columns=5,
        samples_per_pixel=3,
        photometric_interpretation="YBR_FULL",
        planar_configuration=1,
        bits_allocated=16,
        bits_stored=12,
        high_bit=13,
        pixel_representation=1,
        number_of_frames=7,
    )


@pytest.mark.parametrize(
    ("tag", "value", "name"),
    [
        ("00280010", None, "Rows"),
        ("00280010", 0, "Rows"),
        ("00280011", "many", "Columns"),
        ("00280011", -1, "Columns"),
        ("00280100", None, "Bits Allocated"),
        ("00280100", 0, "Bits Allocated"),
        ("00280100", 48, "Bits Allocated"),
        ("00280002", 0, "Samples per Pixel"),
        ("00280002", 65535, "Samples per Pixel"),
    ],
)
def test_what_cannot_be_guessed_is_named(tag: str, value: object, name: str) -> None:
    with pytest.raises(Unsupported, match=name):
        image_pixel({**image_dataset(2, 2), tag: element("US", value)})
    if value is None:
        dataset = image_dataset(2, 2)
        del dataset[tag]
        with pytest.raises(Unsupported, match=name):
            image_pixel(dataset)


def test_what_is_missing_takes_the_usual_value() -> None:
    image = image_pixel({tag: element("US", 16) for tag in ("00280010", "00280011", "00280100")})
    assert image == ImagePixel(16, 16)
    colour = image_pixel(
        {
            **{tag: element("US", 8) for tag in ("00280010", "00280011", "00280100")},
            "00280004": element("CS", "RGB"),
        }
    )
    assert colour.samples_per_pixel == 3


def test_contradicting_bits_are_straightened() -> None:
    image = image_pixel(image_dataset(1, 1, allocated=8, stored=12, high=11))
    assert (image.bits_allocated, image.bits_stored, image.high_bit) == (8, 8, 7)
    image = image_pixel(image_dataset(1, 1, allocated=16, stored=12, high=3))
    assert image.high_bit == 11


@pytest.mark.parametrize(
    ("tag", "kind", "bits"), [("7FE00008", SampleKind.FLOAT32, 32), ("7FE00009", SampleKind.FLOAT64, 64)]
)
def test_floating_point_pixels_need_no_bits(tag: str, kind: SampleKind, bits: int) -> None:
    dataset = {
        "00280010": element("US", 2),
        "00280011": element("US", 3),
        tag: {"vr": "OF", "BulkDataURI": "x"},
    }
    image = image_pixel(dataset)
    assert (image.kind, image.bits_allocated) == (kind, bits)
    numbers = np.linspace(-1, 1, 6, dtype=image.dtype)
    assert np.array_equal(to_array(numbers.tobytes(), image), numbers.reshape(2, 3))


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
@pytest.mark.parametrize("signed", [False, True])
def test_whole_cells_are_little_endian(bits: int, *, signed: bool) -> None:
    image = image_pixel(image_dataset(2, 3, allocated=bits, signed=signed))
    wanted = np.arange(6).reshape(2, 3) - 3 * signed
    frame = wanted.astype(f"<{'i' if signed else 'u'}{bits // 8}").tobytes()
    assert to_array(frame, image).tolist() == wanted.tolist()


def test_one_bit_pixels_begin_with_the_least_significant_bit() -> None:
    image = image_pixel(image_dataset(3, 3, allocated=1))
    assert image.frame_length == 2
    assert to_array(bytes((0b10000001, 0b1)), image).tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 1]]


@given(st.integers(2, 31).filter(lambda bits: bits not in (8, 16)), st.data())
def test_cells_of_any_number_of_bits_are_packed_without_gaps(bits: int, data: st.DataObject) -> None:
    wanted = data.draw(st.lists(st.integers(0, (1 << bits) - 1), min_size=1, max_size=20))
    stream = sum(value << (bits * place) for place, value in enumerate(wanted))
    image = image_pixel(image_dataset(1, len(wanted), allocated=bits))
    frame = stream.to_bytes(image.frame_length, "little")
    assert to_array(frame, image).tolist() == [wanted]


def test_twelve_bit_cells_keep_their_sign() -> None:
    image = image_pixel(image_dataset(1, 2, allocated=12, signed=True))
    assert to_array(b"\xff\x1f\x80", image).tolist() == [[-1, -2047]]


def test_bits_outside_the_stored_ones_are_ignored() -> None:
    image = image_pixel(image_dataset(1, 3, stored=12))
    assert to_array(np.array([0xF123, 0x0FFF, 0x1000], "<u2").tobytes(), image).tolist() == [
        [0x123, 0xFFF, 0]
    ]


def test_the_sign_is_extended_from_the_stored_bits() -> None:
    image = image_pixel(image_dataset(1, 3, stored=12, signed=True))
    assert to_array(np.array([0x0FFF, 0x0800, 0x07FF], "<u2").tobytes(), image).tolist() == [
        [-1, -2048, 2047]
    ]


@pytest.mark.parametrize(("signed", "wanted"), [(False, 0xABC), (True, 0xABC - 0x1000)])
def test_the_high_bit_shifts(wanted: int, *, signed: bool) -> None:
    image = image_pixel(image_dataset(1, 1, stored=12, high=15, signed=signed))
    assert to_array(np.array([0xABC7], "<u2").tobytes(), image).tolist() == [[wanted]]


def test_values_that_fit_are_not_copied() -> None:
    image = image_pixel(image_dataset(1, 2, stored=12))
    cells = samples(np.array([1, 4095], "<u2").tobytes(), image)
    assert stored_values(cells, image) is cells


def test_both_planar_configurations_come_out_alike() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    interleaved = image_pixel(image_dataset(2, 4, "RGB", samples=3, allocated=8))
    planar = image_pixel(image_dataset(2, 4, "RGB", samples=3, allocated=8, planar=1))
    assert np.array_equal(to_array(pixels.tobytes(), interleaved), pixels)
    assert np.array_equal(to_array(pixels.transpose(2, 0, 1).tobytes(), planar), pixels)


def test_halved_chrominance_is_given_to_each_pixel() -> None:
    image = image_pixel(image_dataset(1, 4, "YBR_FULL_422", samples=3, allocated=8))
    assert image.frame_length == 8
    frame = bytes((1, 2, 100, 200, 3, 4, 101, 201))
    assert to_array(frame, image).tolist() == [[[1, 100, 200], [2, 100, 200], [3, 101, 201], [4, 101, 201]]]


def test_chrominance_said_to_be_halved_but_stored_in_full_is_read_in_full() -> None:
    image = image_pixel(image_dataset(1, 2, "YBR_FULL_422", samples=3, allocated=8))
    assert to_array(bytes(range(6)), image).tolist() == [[[0, 1, 2], [3, 4, 5]]]


def test_halved_chrominance_needs_pairs_of_pixels() -> None:
    image = image_pixel(image_dataset(1, 3, "YBR_FULL_422", samples=3, allocated=8))
    with pytest.raises(Unsupported, match="odd"):
        to_array(bytes(6), image)


def test_a_frame_that_is_too_short_is_broken_however_large_it_claims_to_be() -> None:
    image = image_pixel(image_dataset(65535, 65535))
    with pytest.raises(BrokenDicom, match="Rows 65535, Columns 65535"):
        to_array(b"few bytes", image)


def test_bytes_after_the_frame_are_ignored() -> None:
    image = image_pixel(image_dataset(1, 1, allocated=8))
    assert to_array(b"\7\0", image).tolist() == [[7]]


ANY_VALUE = st.one_of(
    st.none(),
    st.integers(-3, 70000),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["RGB", "YBR_FULL_422"]),
)
TAGS = (
    "00280002",
    "00280004",
    "00280006",
    "00280010",
    "00280011",
    "00280100",
    "00280101",
    "00280102",
    "00280103",
)


@given(
    st.dictionaries(st.sampled_from(TAGS), st.one_of(ANY_VALUE, st.lists(ANY_VALUE))), st.binary(max_size=200)
)
def test_no_module_and_no_frame_fails_in_another_way(wild: dict[str, object], frame: bytes) -> None:
    dataset = image_dataset(2, 3)
    dataset |= {
        tag: {"vr": "US", "Value": value} if isinstance(value, list) else element("US", value)
        for tag, value in wild.items()
    }
    try:
        image = image_pixel(dataset)
        array = to_array(frame, image)
    except StaticWadoError:
        return
    assert array.shape[:2] == (image.rows, image.columns)
    assert array.size == image.frame_samples
