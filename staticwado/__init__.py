"""A folder of DICOM in, a folder of static DICOMweb files out, and a small server for it."""

__version__ = "0.1.0"
