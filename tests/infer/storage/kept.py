"""What a user keeps of a run: the report without its times, and every output's content."""

import csv

PLACES = ("masks", "maps", "overlays")


def rows(report):
    """Scan → row."""
    return {row["scan"]: {**row, "seconds": ""} for row in csv.DictReader(report.splitlines())}


def in_store(bucket, below="results/one"):
    """Of a folder of a bucket."""
    names = [name.removeprefix(f"{below}/") for name in bucket.keys(f"{below}/")]
    files = {it: bucket.get(f"{below}/{it}") for it in names if it.split("/")[0] in PLACES}
    return rows(bucket.get(f"{below}/report.csv").decode()), files


def in_folder(out):
    """Of a folder here."""
    files = {
        path.relative_to(out).as_posix(): path.read_bytes()
        for place in PLACES
        for path in (out / place).rglob("*")
        if path.is_file()
    }
    return rows((out / "report.csv").read_text()), files
