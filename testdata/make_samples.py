"""Sample data for trying staticwado out: a CT volume, a multi-frame ultrasound and a colour photograph.

    python testdata/make_samples.py FOLDER

The pictures are phantoms computed with numpy; no patient was involved. The same version writes the same bytes
every time: UIDs come from names, noise from a fixed seed.
"""

import sys
import uuid
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

Floats = npt.NDArray[np.float64]

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ULTRASOUND_MULTIFRAME = "1.2.840.10008.5.1.4.1.1.3.1"
VL_PHOTOGRAPH = "1.2.840.10008.5.1.4.1.1.77.1.4"

SLICES, SLICE_SIZE, SPACING, THICKNESS = 60, 256, 1.5, 3.0
"""Slices of the CT; rows and columns; mm between pixels; mm between slices."""
FRAMES, FRAME_ROWS, FRAME_COLUMNS, FRAME_TIME = 48, 360, 480, 33.3
"""Frames of the ultrasound, its size, ms between frames."""
PHOTO_ROWS, PHOTO_COLUMNS = 480, 640


def uid(*names: object) -> str:
    """A UID made from names (PS3.5 B.2): the same names, the same UID."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, '/'.join(['staticwado samples', *map(str, names)])).int}"


def grid(rows: int, columns: int, step: float) -> tuple[Floats, Floats]:
    """(y, x) of each pixel's centre, 0 in the middle, `step` apart."""
    y, x = np.mgrid[:rows, :columns].astype(np.float64)
    return (y - (rows - 1) / 2) * step, (x - (columns - 1) / 2) * step


def ellipse(
    y: Floats, x: Floats, centre: tuple[float, float], radii: tuple[float, float]
) -> npt.NDArray[np.bool_]:
    """Where a pixel lies inside the ellipse with this centre and these radii, both (y, x)."""
    inside: npt.NDArray[np.bool_] = ((y - centre[0]) / radii[0]) ** 2 + ((x - centre[1]) / radii[1]) ** 2 <= 1
    return inside


def smooth(noise: Floats, width: int) -> Floats:
    """`noise` blurred over `width` pixels, so that it looks like texture."""
    kernel = np.hanning(width + 2)[1:-1]
    kernel /= kernel.sum()
    for axis in (0, 1):
        noise = np.apply_along_axis(lambda line: np.convolve(line, kernel, "same"), axis, noise)
    return noise


def chest(z: float, rng: np.random.Generator) -> Floats:
    """One axial slice of a chest, in Hounsfield units; `z` runs from -1 (lowest) to 1."""
    y, x = grid(SLICE_SIZE, SLICE_SIZE, SPACING)
    hu = np.full(y.shape, -1000.0)
    hu[ellipse(y, x, (0, 0), (112, 160))] = -95  # fat
    hu[ellipse(y, x, (0, 0), (101, 148))] = 45  # muscle
    hu[ellipse(y, x, (0, 0), (90, 134))] = -60
    lung = max(0.05, 1 - 0.35 * (z + 0.15) ** 2 - 0.45 * max(0.0, z - 0.35))
    for side in (-1, 1):
        air = ellipse(y, x, (2, side * 64), (78 * lung, 54 * lung))
        hu[air] = -860 + 40 * smooth(rng.standard_normal(y.shape), 9)[air] * 4
        for vessel in range(14):
            angle, reach = vessel * 2.4 + side, 12 + vessel * 2.6 * lung
            place = (2 + reach * np.sin(angle + z * 2), side * 64 + 0.7 * reach * np.cos(angle + z * 2))
            hu[ellipse(y, x, place, (2.6, 2.6)) & air] = 35
    hu[ellipse(y, x, (-18, 14 - 8 * z), (36 * (1 - 0.4 * z**2), 44 * (1 - 0.4 * z**2)))] = 40  # heart
    hu[ellipse(y, x, (-20, 22 - 8 * z), (17 * (1 - z**2) + 2, 15 * (1 - z**2) + 2))] = (
        160  # its contrasted chamber
    )
    if z < -0.35:
        liver = ellipse(y, x, (-6, -58), (66 * -z, 62 * -z))
        hu[liver] = 62
        hu[ellipse(y, x, (-20, -66), (9, 11)) & liver] = 22
    hu[ellipse(y, x, (46, 17), (11, 11))] = 190  # aorta
    hu[ellipse(y, x, (28, -3), (8, 9))] = -990 if z > -0.2 else 30  # trachea
    hu[ellipse(y, x, (70, 0), (19, 22))] = 320  # vertebra
    hu[ellipse(y, x, (70, 0), (14, 17))] = 190
    hu[ellipse(y, x, (91, 0), (9, 8))] = 30
    hu[ellipse(y, x, (106, 0), (10, 4))] = 380
    hu[ellipse(y, x, (-95, 0), (5, 17))] = 330  # sternum
    for rib in range(12):
        angle = 2 * np.pi * rib / 12 + 0.25 * z + 0.26
        hu[ellipse(y, x, (93 * np.sin(angle), 138 * np.cos(angle)), (6, 9))] = 420
    hu[ellipse(y, x, (-26, 82), (7, 7)) if abs(z - 0.2) < 0.12 else np.zeros(y.shape, bool)] = 55  # a nodule
    table = (np.abs(y - 132 + (x / 60) ** 2 * 2) < 3) & (np.abs(x) < 170)
    hu[table] = -250
    return hu + 9 * smooth(rng.standard_normal(y.shape), 3) * 2


def sector(frame: int, rng: np.random.Generator, speckle: Floats) -> npt.NDArray[np.uint8]:
    """One frame of a beating ring in an ultrasound sector."""
    y, x = np.mgrid[:FRAME_ROWS, :FRAME_COLUMNS].astype(np.float64)
    x -= FRAME_COLUMNS / 2
    depth, angle = np.hypot(y + 12, x), np.arctan2(x, y + 12)
    beat = 0.5 - 0.5 * np.cos(2 * np.pi * frame / 24)
    outer, inner = 88.0, 66.0 - 22 * beat
    ring = np.hypot((y - 190) / 1.15, x)
    echo = 70 + 30 * np.sin(depth / 23)
    echo = np.where(ring < outer, 165.0, echo)
    echo = np.where(ring < inner, 9.0, echo)
    picture = (
        echo
        * np.exp(-depth / 520)
        * (0.45 + 1.1 * np.abs(speckle + 0.35 * smooth(rng.standard_normal(y.shape), 3)))
    )
    picture[(np.abs(angle) > 0.66) | (depth < 30) | (depth > 345)] = 0
    picture[8:30, 12:20] = np.linspace(255, 0, 22)[:, None]
    return np.clip(picture, 0, 255).astype(np.uint8)


def skin(rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """A photograph of a mole on skin, with a colour scale beside it."""
    y, x = grid(PHOTO_ROWS, PHOTO_COLUMNS, 1.0)
    texture = smooth(rng.standard_normal(y.shape), 7) * 3
    shade = 1 - 0.22 * (np.hypot(y, x) / 400) ** 2 + 0.03 * texture
    picture = np.stack([shade * tone for tone in (226, 176, 150)], axis=-1)
    wobble = np.arctan2(y, x)
    radius = 92 + 11 * np.sin(3 * wobble) + 6 * np.sin(7 * wobble + 1) + 5 * texture
    dark = np.clip((radius - np.hypot(y + 14, (x + 30) * 0.86)) / 26, 0, 1)[..., None]
    mole = np.array([104.0, 62.0, 44.0]) + 16 * texture[..., None]
    picture = picture * (1 - dark) + mole * dark
    for hair in range(7):
        curve = -190 + hair * 62 + 34 * np.sin(x / 150 + hair)
        picture[np.abs(y - curve - 0.25 * x) < 1.1] *= 0.45
    colours = [
        (200, 40, 40),
        (40, 150, 60),
        (40, 70, 190),
        (230, 210, 50),
        (245, 245, 245),
        (128, 128, 128),
        (20, 20, 20),
    ]
    for patch, colour in enumerate(colours):
        picture[24 + patch * 62 : 78 + patch * 62, 574:622] = colour
    return np.clip(picture, 0, 255).astype(np.uint8)


def instance(sop_class: str, study: str, number: int) -> Dataset:
    """What every sample has: identity, file meta, general study and equipment."""
    data = Dataset()
    data.SpecificCharacterSet = "ISO_IR 192"
    data.SOPClassUID, data.SOPInstanceUID = sop_class, uid(study, "instance", number)
    data.StudyInstanceUID, data.SeriesInstanceUID = uid(study), uid(study, "series")
    data.SeriesNumber, data.InstanceNumber = 1, number
    data.AccessionNumber, data.StudyID = f"SAMPLE-{study.upper()}", "1"
    data.Manufacturer, data.ManufacturerModelName = "staticwado", "Phantom"
    data.InstitutionName, data.ReferringPhysicianName = "Sample Hospital", "Curie^Marie^^Dr."
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = sop_class
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.ImplementationClassUID = uid("implementation")
    data.file_meta.ImplementationVersionName = "STATICWADO_SMPL"
    return data


def describe(data: Dataset, patient: tuple[str, str, str, str], when: str, study: str, series: str) -> None:
    """Who (name, ID, birth date, sex), when (YYYYMMDDHHMMSS) and what."""
    data.PatientName, data.PatientID, data.PatientBirthDate, data.PatientSex = patient
    data.StudyDate = data.SeriesDate = data.AcquisitionDate = data.ContentDate = when[:8]
    data.StudyTime = data.SeriesTime = data.AcquisitionTime = data.ContentTime = when[8:]
    data.StudyDescription, data.SeriesDescription = study, series


def picture(data: Dataset, pixels: npt.NDArray[np.uint8] | npt.NDArray[np.uint16], photometric: str) -> None:
    """The image pixel module; `pixels` is (rows, columns) of one frame, colour last, frames first."""
    samples = 3 if photometric == "RGB" else 1
    data.Rows, data.Columns = pixels.shape[-3:-1] if samples == 3 else pixels.shape[-2:]
    data.SamplesPerPixel, data.PhotometricInterpretation = samples, photometric
    if samples == 3:
        data.PlanarConfiguration = 0
    data.BitsAllocated = 8 * pixels.dtype.itemsize
    data.BitsStored = 12 if pixels.dtype.itemsize == 2 else 8
    data.HighBit, data.PixelRepresentation = data.BitsStored - 1, 0
    data.PixelData = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    data["PixelData"].VR = "OW" if pixels.dtype.itemsize == 2 else "OB"


def write(data: Dataset, path: Path) -> None:
    """Write a Part 10 file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dcmwrite(path, data, enforce_file_format=True)


def make_ct(folder: Path) -> None:
    """A CT of the chest: one series of axial slices."""
    patient = ("Phantom^Chester", "SAMPLE-1", "19610412", "M")
    for number in range(1, SLICES + 1):
        z = 2 * (number - 1) / (SLICES - 1) - 1
        data = instance(CT_IMAGE, "ct", number)
        describe(data, patient, "20240213093000", "CT chest (sample)", "Axial 3 mm")
        data.Modality, data.BodyPartExamined, data.PatientPosition = "CT", "CHEST", "HFS"
        data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        data.KVP, data.SliceThickness, data.AcquisitionNumber = 120, THICKNESS, 1
        data.FrameOfReferenceUID, data.PositionReferenceIndicator = uid("ct", "frame of reference"), ""
        corner = -SPACING * (SLICE_SIZE - 1) / 2
        data.ImagePositionPatient = [corner, corner, THICKNESS * (number - 1)]
        data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        data.SliceLocation, data.PixelSpacing = THICKNESS * (number - 1), [SPACING, SPACING]
        data.RescaleIntercept, data.RescaleSlope, data.RescaleType = -1024, 1, "HU"
        data.WindowCenter, data.WindowWidth = [40, -600], [400, 1500]
        data.WindowCenterWidthExplanation = ["SOFT TISSUE", "LUNG"]
        values = np.clip(np.rint(chest(z, np.random.default_rng([1, number]))) + 1024, 0, 4095)
        picture(data, values.astype(np.uint16), "MONOCHROME2")
        write(data, folder / "ct" / f"slice-{number:03}.dcm")


def make_ultrasound(folder: Path) -> None:
    """An ultrasound of a beating heart: one multi-frame image."""
    data = instance(ULTRASOUND_MULTIFRAME, "us", 1)
    patient = ("Müller^Frauke", "SAMPLE-2", "19790930", "F")
    describe(data, patient, "20240305141500", "Echocardiography (sample)", "Short axis")
    data.Modality, data.ImageType = "US", ["ORIGINAL", "PRIMARY", "CARDIAC"]
    data.NumberOfFrames, data.FrameTime, data.CineRate = FRAMES, FRAME_TIME, round(1000 / FRAME_TIME)
    data.FrameIncrementPointer = 0x00181063
    data.LossyImageCompression = "00"
    rng = np.random.default_rng(2)
    speckle = smooth(rng.standard_normal((FRAME_ROWS, FRAME_COLUMNS)), 5) * 2
    picture(data, np.stack([sector(frame, rng, speckle) for frame in range(FRAMES)]), "MONOCHROME2")
    write(data, folder / "us" / "echo.dcm")


def make_photograph(folder: Path) -> None:
    """A colour photograph of skin."""
    data = instance(VL_PHOTOGRAPH, "photo", 1)
    patient = ("Yamada^Hanako=山田^花子=やまだ^はなこ", "SAMPLE-3", "19880117", "F")
    describe(data, patient, "20240418110500", "Dermatology (sample)", "Left forearm")
    data.Modality, data.ImageType, data.PatientOrientation = "XC", ["ORIGINAL", "PRIMARY"], ["L", "F"]
    data.LossyImageCompression, data.Laterality, data.BurnedInAnnotation = "00", "L", "NO"
    data.AcquisitionContextSequence = []
    picture(data, skin(np.random.default_rng(3)), "RGB")
    write(data, folder / "photo" / "mole.dcm")


def main(folder: Path) -> None:
    """Write the three studies below `folder`."""
    make_ct(folder)
    make_ultrasound(folder)
    make_photograph(folder)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: make_samples.py FOLDER")
    main(Path(sys.argv[1]))
