"""A bucket as another library sees it: what is true of what we read and write."""

import boto3

from infer.storage.address import place_of
from infer.storage.store import object_at
from tests.infer.storage.faulty_store import LINE_BREAK


class Bucket:
    """Objects by key; past the proxy, so never at fault."""

    def __init__(self, store, name):
        self._client = boto3.client("s3", endpoint_url=store.server_url)
        self._client.create_bucket(Bucket=name)
        self.name = name
        self.url = f"s3://{name}"

    def put(self, key, content):
        self._client.put_object(Bucket=self.name, Key=_spelt(key), Body=content)
        return f"{self.url}/{key}"

    def archive(self, key, content):
        """An object that is listed and cannot be read until somebody restores it."""
        self._client.put_object(
            Bucket=self.name, Key=_spelt(key), Body=content, StorageClass="GLACIER"
        )

    def upload(self, folder, below):
        """All files of a folder; the folder's address."""
        for path in folder.rglob("*"):
            if path.is_file():
                self.put(f"{below}/{path.relative_to(folder).as_posix()}", path.read_bytes())
        return f"{self.url}/{below}"

    def stored(self, key):
        """A new object, as we see it."""
        return object_at(place_of(self.put(key, key.encode())))

    def get(self, key):
        return self._client.get_object(Bucket=self.name, Key=_spelt(key))["Body"].read()

    def remove(self, key):
        self._client.delete_object(Bucket=self.name, Key=_spelt(key))

    def keys(self, below=""):
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self.name, Prefix=below
        )
        return sorted(
            it["Key"].replace(LINE_BREAK, "\n") for page in pages for it in page.get("Contents", [])
        )


def _spelt(key):
    return key.replace("\n", LINE_BREAK)
