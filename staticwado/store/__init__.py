"""Where bytes live. A store knows keys and bytes, and nothing of DICOM or of the layout."""
