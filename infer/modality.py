"""Is a scan of the modality that a model was made for? Told of scans that name theirs: DICOM."""

# What DICOM calls those that take images (PS3.3 C.7.3.1.1.1). Any other word in a scan is not
# repeated: whoever wrote it may have written anything there.
_CODES = {
    *("BDUS", "BI", "BMD", "CR", "CT", "DG", "DMS", "DX", "ES", "GM", "IO", "IVOCT", "IVUS", "LS"),
    *("MG", "MR", "NM", "OCT", "OP", "OPM", "OPT", "OPTBSV", "OPTENF", "PA", "PT", "PX", "RF"),
    *("RG", "SM", "TG", "US", "XA", "XC"),
}
# What a manifest may call them instead, and radiographs of either kind of detector.
_CALLED = {
    "cr": ("CR", "DX"),
    "dx": ("DX", "CR"),
    "x-ray": ("DX", "CR", "RG"),
    "fundus": ("OP",),
    "mri": ("MR",),
    "oct": ("OPT", "OCT", "IVOCT"),
    "pet": ("PT",),
    "ultrasound": ("US", "BDUS", "IVUS"),
}


def warnings_of(modality: str, *, made_for: str) -> tuple[str, ...]:
    """What to say of a scan of this modality (DICOM's code; empty: unknown) to a model's user.

    >>> warnings_of("MR", made_for="CT")
    ('it is MR, the model was made for CT',)
    >>> warnings_of("OP", made_for="fundus")
    ()
    """
    fitting = _CALLED.get(made_for.lower(), (made_for.upper(),))
    if modality not in _CODES or modality in fitting:
        return ()
    return (f"it is {modality}, the model was made for {made_for}",)
